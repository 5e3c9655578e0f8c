//! The standard set: ten rules for each host, as sites with many services have them.

use std::collections::HashSet;

use super::traffic;
use super::words::{self, HEADERS, QUERIES};
use super::{RouteSet, SetPath, SetRule};
use crate::world::Random;

/// `rules` rules over a tenth as many hosts, of which 5 % are wildcards. About 88 % of the paths are prefixes, 10 %
/// exact and 2 % regular expressions; 20 % of the rules look at a header field and 5 % at a query parameter. 80 % of the
/// requests are for rules, all rules alike; 20 % are for none.
pub(super) fn standard(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let rules = standard_rules(&mut random, rules);
    let requests = traffic::requests(&mut random, &rules, requests);
    RouteSet { name: "standard", rules, requests }
}

pub(super) fn standard_rules(random: &mut Random, count: usize) -> Vec<SetRule> {
    let hosts = hosts(random, count);
    let mut known = HashSet::new();
    let mut rule = |n: usize| {
        let host = &hosts[n % hosts.len()];
        loop {
            let rule = SetRule { host: Some(host.clone()), ..any_rule(random) };
            if known.insert((n % hosts.len(), rule.path.clone(), rule.headers.clone(), rule.queries.clone())) {
                return rule;
            }
        }
    };
    (0..count).map(&mut rule).collect()
}

fn hosts(random: &mut Random, rules: usize) -> Vec<String> {
    let count = (rules / 10).max(1);
    let mut wildcards: Vec<bool> = (0..count).map(|n| n < (count + 10) / 20 || (n == 0 && rules >= 100)).collect();
    random.shuffle(&mut wildcards);
    let name = |(n, wildcard)| if wildcard { format!("*.tenant-{n}.example.com") } else { format!("svc-{n:05}.prod.example.com") };
    wildcards.into_iter().enumerate().map(name).collect()
}

/// A rule without its host.
fn any_rule(random: &mut Random) -> SetRule {
    let path = match random.below(100) {
        0..2 => SetPath::Regex(words::regex(random)),
        2..12 => SetPath::Exact(words::path(random)),
        _ => SetPath::Prefix(words::path(random)),
    };
    with_conditions(random, SetRule { path, ..SetRule::default() })
}

/// A header field for 20 % of the rules, a query parameter for 5 %.
pub(super) fn with_conditions(random: &mut Random, rule: SetRule) -> SetRule {
    let headers = (random.below(100) < 20).then(|| words::pair(random, &HEADERS)).into_iter().collect();
    let queries = (random.below(100) < 5).then(|| words::pair(random, &QUERIES)).into_iter().collect();
    SetRule { headers, queries, ..rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares that other programs are measured with.
    #[test]
    fn shares() {
        let rules = standard_rules(&mut Random(1), 10_000);
        let count = |of: fn(&SetRule) -> bool| rules.iter().filter(|rule| of(rule)).count();
        for (what, count, expected) in [
            ("prefixes", count(|rule| matches!(rule.path, SetPath::Prefix(_))), 8650..8950),
            ("exact paths", count(|rule| matches!(rule.path, SetPath::Exact(_))), 900..1100),
            ("expressions", count(|rule| matches!(rule.path, SetPath::Regex(_))), 170..270),
            ("header fields", count(|rule| !rule.headers.is_empty()), 1900..2200),
            ("query parameters", count(|rule| !rule.queries.is_empty()), 430..580),
            ("wildcards", count(|rule| rule.host.as_ref().is_some_and(|host| host.starts_with('*'))), 500..501),
        ] {
            assert!(expected.contains(&count), "{count} {what}");
        }
        let hosts: HashSet<_> = rules.iter().map(|rule| &rule.host).collect();
        assert_eq!(hosts.len(), 1000);
    }
}
