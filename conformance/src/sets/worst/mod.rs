//! Searches for the worst request to the worst table of a given size: hill climbing over shapes of tables, and for each
//! table over requests. What it finds is measured against the standard set of the same size.

mod cost;
mod shape;

use std::fmt;
use std::time::{Duration, Instant};

use self::cost::cost;
use self::shape::{FAMILIES, Family, Shape};
use super::{Plain, RouteSet, SetRequest, SetTable};
use crate::world::Random;

/// Repetitions while searching, and to be sure.
const QUICK: u32 = 5;
const SURE: u32 = 200;
/// Changes of a request in a row that may make it no worse.
const PATIENCE: usize = 40;

/// What deciding costs at worst.
#[derive(Debug)]
pub struct Report {
    /// Rules of each table.
    pub rules: usize,
    /// Nanoseconds for the requests of the standard set of this size: the mean, and the worst one.
    pub standard: (f64, f64),
    /// The worst of each family of shapes.
    pub families: Vec<Worst>,
}

/// The worst request that was found among the tables of a family.
#[derive(Debug)]
pub struct Worst {
    family: &'static Family,
    tables: usize,
    requests: usize,
    /// Nanoseconds.
    cost: f64,
    shape: Shape,
    request: SetRequest,
    /// Whether table and twin agree on it.
    agreed: bool,
}

impl Report {
    /// Whether table and twin agree on all that was found.
    pub fn agreed(&self) -> bool {
        self.families.iter().all(|worst| worst.agreed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, most) = self.standard;
        writeln!(f, "{} rules; standard set: {mean:.0} ns at a mean, {most:.0} ns at most", self.rules)?;
        for worst in &self.families {
            let Worst { family, tables, requests, cost, .. } = worst;
            writeln!(
                f,
                "{:>11.0} ns {:>8.1} times  {}: {} ({tables} tables, {requests} requests)",
                cost,
                cost / mean,
                family.name,
                worst.words()
            )?;
            if !worst.agreed {
                writeln!(f, "            table and twin differ: {:#?}", worst.request)?;
            }
        }
        Ok(())
    }
}

impl Worst {
    /// The shape of the table and the size of the request.
    fn words(&self) -> String {
        let SetRequest { host, path, query, headers, .. } = &self.request;
        format!(
            "{}; request of {} fields, {} segments, {} parameters, {} labels",
            self.shape,
            headers.len(),
            path.matches('/').count(),
            query.as_ref().map_or(0, |query| query.split('&').count()),
            host.split('.').count()
        )
    }
}

/// Searches for this long, each family as long as the others.
pub fn search(rules: usize, time: Duration, seed: u64) -> Report {
    let mut random = Random(seed);
    let standard = standard(rules, seed);
    let share = time / u32::try_from(FAMILIES.len()).unwrap_or(1);
    let families = FAMILIES.iter().map(|family| of_family(family, rules, share, &mut random)).collect();
    Report { rules, standard, families }
}

/// The costs of the standard set's requests: mean and maximum.
fn standard(rules: usize, seed: u64) -> (f64, f64) {
    let set = super::set_with_requests("standard", rules, 2_000, seed).expect("the standard set");
    let table = SetTable::new(&set);
    let costs = set.requests.iter().map(|request| cost(&table, request, QUICK));
    let (sum, most) = costs.fold((0.0, 0.0_f64), |(sum, most), cost| (sum + cost, most.max(cost)));
    (sum / set.requests.len() as f64, most)
}

/// The worst of one family: from a shape to a similar one, as long as it gets worse; sometimes from a new one.
fn of_family(family: &'static Family, rules: usize, time: Duration, random: &mut Random) -> Worst {
    let begin = Instant::now();
    let mut best: Option<Worst> = None;
    let (mut tables, mut requests) = (0, 0);
    while best.is_none() || begin.elapsed() < time {
        let shape = match &best {
            None => family.extreme(rules),
            // The first few tables are as different as can be.
            Some(best) if tables > 8 && !random.one_in(4) => family.similar(random, &best.shape, rules),
            Some(_) => family.shape(random, rules),
        };
        let set = RouteSet { name: "worst", rules: shape.rules(rules), requests: Vec::new() };
        let table = SetTable::new(&set);
        tables += 1;
        let (found, tried) = of_table(&table, family, &shape, random, time.saturating_sub(begin.elapsed()));
        requests += tried;
        let known = best.as_ref().map_or(0.0, |best| best.cost);
        if cost(&table, &found, QUICK) <= known {
            continue;
        }
        let cost = cost(&table, &found, SURE);
        if cost > known {
            let answer = table.decide(&found, &found.target(), &found.headers).matched().map(|matched| table.rule_of(matched));
            let agreed = answer == Plain::new(&set.rules).decide(&found);
            best = Some(Worst { family, tables, requests, cost, shape, request: found, agreed });
        }
    }
    let worst = best.expect("at least one table was tried");
    Worst { tables, requests, ..worst }
}

/// The worst request to a table: from a request to a similar one, as long as it gets worse.
fn of_table(table: &SetTable, family: &Family, shape: &Shape, random: &mut Random, time: Duration) -> (SetRequest, usize) {
    let begin = Instant::now();
    let mut tried = 0;
    let mut worst: Option<(f64, SetRequest)> = None;
    for _ in 0..3 {
        let mut request = shape.request(random, family);
        let mut known = cost(table, &request, QUICK);
        let mut idle = 0;
        while idle < PATIENCE && begin.elapsed() < time {
            let mut other = request.clone();
            shape.change(random, family, &mut other);
            let cost = cost(table, &other, QUICK);
            tried += 1;
            // Less than this is noise.
            if cost > known * 1.02 {
                (request, known, idle) = (other, cost, 0);
            } else {
                idle += 1;
            }
        }
        if worst.as_ref().is_none_or(|(cost, _)| known > *cost) {
            worst = Some((known, request));
        }
    }
    (worst.expect("three were tried").1, tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shape that a family allows is valid, and the table is right about the requests that are looked for.
    #[test]
    fn shapes_are_valid() {
        let mut random = Random(1);
        for family in &FAMILIES {
            let mut shape = family.extreme(120);
            for n in 0..6 {
                if n > 0 {
                    shape = if n % 2 == 0 { family.shape(&mut random, 120) } else { family.similar(&mut random, &shape, 120) };
                }
                let rules = shape.rules(120);
                assert_eq!(rules.len(), 120);
                let set = RouteSet { name: "worst", rules, requests: Vec::new() };
                let (table, plain) = (SetTable::new(&set), Plain::new(&set.rules));
                let mut request = shape.request(&mut random, family);
                for _ in 0..20 {
                    let target = request.target();
                    let decision = table.decide(&request, &target, &request.headers);
                    let found = decision.matched().map(|matched| table.rule_of(matched));
                    assert_eq!(found, plain.decide(&request), "{} {shape} {request:#?} {decision:?}", family.name);
                    assert!(found.is_some() || decision.status() == Some(http::StatusCode::NOT_FOUND), "{request:#?} {decision:?}");
                    shape.change(&mut random, family, &mut request);
                }
            }
        }
    }

    #[test]
    fn a_search_ends() {
        let report = search(50, Duration::from_millis(200), 1);
        assert!(report.agreed() && report.standard.0 > 0.0, "{report}");
        assert_eq!(report.families.len(), FAMILIES.len());
        assert!(report.families.iter().all(|worst| worst.cost > 0.0 && worst.tables > 0), "{report}");
    }
}
