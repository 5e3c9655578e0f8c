//! All rules on one host.

use std::collections::HashSet;

use super::standard::with_conditions;
use super::traffic;
use super::words::{self, BELOW, RESOURCES};
use super::{RouteSet, SetPath, SetRule};
use crate::world::Random;

/// Prefixes and exact paths of one host, nested in each other, with the conditions of the standard set.
pub(super) fn one_host(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let mut known = HashSet::new();
    let rule = |n: usize| {
        // A number makes enough paths for any count; those without one are shared by many requests.
        let number = n / 16;
        loop {
            let path = match random.below(8) {
                0 => words::path(&mut random),
                1 => format!("/{}-{number}", random.of(&RESOURCES)),
                2 => format!("/shop-{number}/{}", random.of(&RESOURCES)),
                3 | 4 => format!("/api/v1/{}-{number}", random.of(&RESOURCES)),
                5 => format!("/api/v{}/{}/{}-{number}", 1 + random.below(3), random.of(&RESOURCES), random.of(&BELOW)),
                _ => format!("/api/v2/{}-{number}/{}/{}", random.of(&RESOURCES), random.of(&BELOW), random.of(&BELOW)),
            };
            let path = if random.below(100) < 12 { SetPath::Exact(path) } else { SetPath::Prefix(path) };
            let rule = with_conditions(&mut random, SetRule { host: Some("shop.example.com".to_owned()), path, ..SetRule::default() });
            if known.insert((rule.path.clone(), rule.headers.clone(), rule.queries.clone())) {
                return rule;
            }
        }
    };
    let rules: Vec<SetRule> = (0..rules).map(rule).collect();
    let requests = traffic::requests(&mut random, &rules, requests);
    RouteSet { name: "one_host", rules, requests }
}
