//! The table against the plain twin, on every large set: which rule answers a request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gatewright::Decision;
use gatewright::decision::Reason;

use super::mutate::Mutator;
use crate::sets::{self, Plain, RouteSet, SetRequest, SetRule, SetTable};
use crate::world::Random;

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

impl Unit {
    /// Requests of the generator, of which all others are made.
    fn originals(&self) -> usize {
        let most = usize::try_from(self.requests).unwrap_or(usize::MAX);
        (self.rules / 4).clamp(512, 2048).min(most)
    }
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
    let tables_of_two_rounds: u64 = sets::names().map(|set| if is_slow(set) { 1 } else { 2 }).sum();
    let in_rounds = (requests * 2).div_ceil(tables_of_two_rounds);
    let per_table = (in_rounds / 50).clamp(2_000, 20_000);
    let mut random = Random(seed);
    let mut units = Vec::new();
    // Rounds come in twos, so that each set has its share.
    for round in 0..in_rounds.div_ceil(per_table).next_multiple_of(2) {
        for set in sets::names().filter(|set| round % 2 == 0 || !is_slow(set)) {
            let rules = match round % 50 {
                24 => large(set),
                n if n % 10 == 4 => 300 + random.below(1000),
                n if n % 3 == 2 => 60 + random.below(240),
                _ => 4 + random.below(56),
            };
            let rules = rules.min(large(set)).min(largest);
            units.push(Unit { set, rules, seed: random.number(), requests: per_table });
        }
    }
    units
}

/// Sets with large requests or slow rules get half as many requests as the others.
fn is_slow(set: &str) -> bool {
    matches!(set, "long_paths" | "many_headers" | "regex_paths")
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
    let set = sets::set_with_requests(unit.set, unit.rules, unit.originals(), unit.seed).expect("a set of the list");
    compare_set(unit, &set, &Plain::new(&set.rules))
}

fn compare_set(unit: &Unit, set: &RouteSet, plain: &Plain<'_>) -> Result<u64, Box<SetDifference>> {
    let table = SetTable::new(set);
    let mutator = Mutator::new(set);
    let mut random = Random(unit.seed);
    let mut answered = 0;
    let originals = set.requests.iter().cycle();
    for (n, original) in (0..unit.requests).zip(originals) {
        let mut request = original.clone();
        if n >= set.requests.len() as u64 {
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

/// Compares the requests of a file that the generator in `shared/bench` wrote, then this many that are made of them. The
/// twin must answer as the file says.
///
/// # Errors
///
/// A sentence about the file, or the first difference.
pub fn run_file(path: &str, seed: u64, requests: u64) -> Result<SetCounts, String> {
    let (set, expected) = sets::from_json(path)?;
    let plain = Plain::new(&set.rules);
    for (request, expected) in set.requests.iter().zip(expected) {
        let found = plain.decide(request);
        if found != expected {
            return Err(format!("the file says {expected:?}, the twin {found:?}: {request:#?}"));
        }
    }
    let begin = Instant::now();
    let requests = requests + set.requests.len() as u64;
    let unit = Unit { set: set.name, rules: set.rules.len(), seed, requests };
    let answered = compare_set(&unit, &set, &plain).map_err(|difference| difference.to_string())?;
    let count = SetCount { requests, answered, tables: 1, largest: unit.rules, time: begin.elapsed() };
    Ok(SetCounts { sets: BTreeMap::from([(set.name, count)]) })
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
