//! The table against the plain twin, on every large set: which rule answers a request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gatewright::Decision;
use gatewright::decision::Reason;

use super::mutate::Mutator;
use crate::sets::{self, Plain, SetRequest, SetRule, SetTable};
use crate::world::Random;

/// Requests of the generator for each table; all others are made of them.
const ORIGINALS: usize = 512;

/// A request that table and twin have different rules for.
#[derive(Debug)]
pub struct SetDifference {
    set: &'static str,
    rules: usize,
    seed: u64,
    request: SetRequest,
    /// As it went over the wire.
    target: String,
    expected: Option<(usize, SetRule)>,
    found: Found,
}

/// What the table did: a rule, or why there is none.
type Found = Result<(usize, SetRule), String>;

impl fmt::Display for SetDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "set {}, {} rules, seed {}", self.set, self.rules, self.seed)?;
        writeln!(f, "{:#?}\ntarget: {}", self.request, self.target)?;
        match &self.expected {
            Some((id, rule)) => writeln!(f, "twin:  rule {id} {rule:?}")?,
            None => writeln!(f, "twin:  no rule")?,
        }
        match &self.found {
            Ok((id, rule)) => writeln!(f, "table: rule {id} {rule:?}"),
            Err(reason) => writeln!(f, "table: {reason}"),
        }
    }
}

/// What was compared, by set.
#[derive(Clone, Debug, Default)]
pub struct SetCounts {
    sets: BTreeMap<&'static str, SetCount>,
}

#[derive(Clone, Debug, Default)]
struct SetCount {
    requests: u64,
    answered: u64,
    tables: u64,
    largest: usize,
    time: Duration,
}

impl SetCounts {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.sets.values().map(|count| count.requests).sum()
    }
}

impl fmt::Display for SetCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.requests();
        writeln!(f, "{requests} requests to large sets compared, no difference")?;
        for (set, SetCount { requests, answered, tables, largest, time }) in &self.sets {
            let seconds = time.as_secs_f64();
            writeln!(f, "  {requests:>9} {set}: {answered} answered, {tables} tables of up to {largest} rules, {seconds:.1} s")?;
        }
        Ok(())
    }
}

/// One table and its requests.
struct Unit {
    set: &'static str,
    rules: usize,
    seed: u64,
    requests: u64,
}

/// Compares at least this many requests, spread over all sets, on tables of at most `largest` rules. The same seed gives
/// the same requests, whatever the number of threads.
///
/// # Errors
///
/// The first difference.
pub fn run(seed: u64, requests: u64, largest: usize) -> Result<SetCounts, Box<SetDifference>> {
    let units = units(seed, requests, largest);
    let next = AtomicU64::new(0);
    let found: Mutex<Option<(u64, Box<SetDifference>)>> = Mutex::new(None);
    let counts = Mutex::new(SetCounts::default());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(unit) = usize::try_from(number).ok().and_then(|n| units.get(n)) else { return };
            // A difference ends the work on later tables, not on earlier ones: they may have the first one.
            if found.lock().expect("no thread panics").as_ref().is_some_and(|(of, _)| *of < number) {
                return;
            }
            let begin = Instant::now();
            match compare(unit) {
                Ok(answered) => {
                    let mut counts = counts.lock().expect("no thread panics");
                    let count = counts.sets.entry(unit.set).or_default();
                    count.requests += unit.requests;
                    count.answered += answered;
                    count.tables += 1;
                    count.largest = count.largest.max(unit.rules);
                    count.time += begin.elapsed();
                }
                Err(difference) => {
                    let mut found = found.lock().expect("no thread panics");
                    if found.as_ref().is_none_or(|(of, _)| number < *of) {
                        *found = Some((number, difference));
                    }
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    match found.into_inner().expect("no thread panics") {
        Some((_, difference)) => Err(difference),
        None => Ok(counts.into_inner().expect("no thread panics")),
    }
}

/// Many small and middle tables of every set, where most of the shapes are and the twin is quick; one in 50 is large.
fn units(seed: u64, requests: u64, largest: usize) -> Vec<Unit> {
    let sets = sets::names().count() as u64;
    let of_set = requests.div_ceil(sets);
    let per_table = (of_set / 50).clamp(2_000, 20_000);
    let mut random = Random(seed);
    let mut units = Vec::new();
    for number in 0..of_set.div_ceil(per_table) {
        for set in sets::names() {
            let rules = match number % 50 {
                25 => large(set),
                n if n % 10 == 9 => 300 + random.below(1000),
                n if n % 3 == 2 => 60 + random.below(240),
                _ => 4 + random.below(56),
            };
            let rules = rules.min(large(set)).min(largest);
            units.push(Unit { set, rules, seed: random.number(), requests: per_table });
        }
    }
    units
}

/// Rules of the large tables of a set.
fn large(set: &str) -> usize {
    match set {
        // All automata of a table together have a bound.
        "regex_paths" => 1_000,
        "single_route_hosts" => 100_000,
        _ => 10_000,
    }
}

/// Compares the requests of one table; how many of them a rule answers.
fn compare(unit: &Unit) -> Result<u64, Box<SetDifference>> {
    let originals = ORIGINALS.min(usize::try_from(unit.requests).unwrap_or(ORIGINALS));
    let set = sets::set_with_requests(unit.set, unit.rules, originals, unit.seed).expect("a set of the list");
    let table = SetTable::new(&set);
    let plain = Plain::new(&set.rules);
    let mutator = Mutator::new(&set);
    let mut random = Random(unit.seed);
    let mut answered = 0;
    for n in 0..unit.requests {
        let mut request = set.requests[usize::try_from(n).unwrap_or(0) % originals].clone();
        if n >= originals as u64 {
            mutator.change(&mut random, &mut request);
        }
        let target = spell(&mut random, &request);
        let expected = plain.decide(&request);
        let found = decided(&table, &mut random, &request, &target);
        // No rule is no rule for one reason only: no request is refused.
        if found.as_ref().ok().copied() != expected || found.as_ref().is_err_and(|reason| *reason != Reason::NoRoute.as_str()) {
            let rule = |id: usize| (id, set.rules[id].clone());
            let (rules, seed) = (unit.rules, unit.seed);
            let found = found.map(rule).map_err(str::to_owned);
            return Err(Box::new(SetDifference { set: unit.set, rules, seed, request, target, expected: expected.map(rule), found }));
        }
        answered += u64::from(expected.is_some());
    }
    Ok(answered)
}

/// Path and query, for a few requests in another spelling of the same path: the twin never sees it.
fn spell(random: &mut Random, request: &SetRequest) -> String {
    match random.below(32) {
        0 => format!("/.{}", request.target()),
        1 => SetRequest { path: request.path.replacen('a', "%61", 1), ..request.clone() }.target(),
        _ => request.target(),
    }
}

/// The id of the rule that the table chooses, or why there is none. Header fields come in either of the two forms.
fn decided(table: &SetTable, random: &mut Random, request: &SetRequest, target: &str) -> Result<usize, &'static str> {
    let id = |decision: Decision<'_>| match decision {
        Decision::Respond(respond) if respond.matched.is_none() => Err(respond.reason.as_str()),
        decision => decision.matched().map(|matched| table.rule_of(matched)).ok_or("no rule"),
    };
    if random.one_in(16) {
        id(table.decide(request, target, &request.header_map()))
    } else {
        id(table.decide(request, target, &request.headers))
    }
}

#[cfg(test)]
mod tests {
    /// About 200,000 requests, on tables of up to 150 rules.
    #[test]
    fn no_difference() {
        let counts = super::run(1, 200_000, 150).unwrap_or_else(|difference| panic!("{difference}"));
        assert!(counts.requests() >= 200_000);
    }
}
