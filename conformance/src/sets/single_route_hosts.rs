//! Many hosts with one route each.

use super::traffic;
use super::{RouteSet, SetPath, SetRule, words};
use crate::world::Random;

/// As many hosts as rules; every tenth rule is for a path, the others take all of their host.
pub(super) fn single_route_hosts(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let rule = |n| SetRule {
        host: Some(format!("customer-{n}.shops.example.com")),
        path: SetPath::Prefix(if random.one_in(10) { words::path(&mut random) } else { "/".to_owned() }),
        ..SetRule::default()
    };
    let rules: Vec<SetRule> = (0..rules).map(rule).collect();
    let requests = traffic::requests(&mut random, &rules, requests);
    RouteSet { name: "single_route_hosts", rules, requests }
}
