//! All rules are regular expressions for paths of one host.

use std::collections::HashSet;

use super::traffic;
use super::{RouteSet, SetPath, SetRequest, SetRule, words};
use crate::world::Random;

/// Regular expressions on one host, of the standard set's kind.
pub(super) fn regex_paths(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let mut known = HashSet::new();
    let mut rules_of_host = Vec::new();
    while rules_of_host.len() < rules {
        let regex = words::regex(&mut random);
        if known.insert(regex.clone()) {
            let host = Some("shop.example.com".to_owned());
            rules_of_host.push(SetRule { host, path: SetPath::Regex(regex), ..SetRule::default() });
        }
    }
    let requests = traffic::requests_by(&mut random, &rules_of_host, requests, traffic::for_rule, near_miss);
    RouteSet { name: "regex_paths", rules: rules_of_host, requests }
}

/// A request whose path an expression follows to its end, or nearly.
fn near_miss(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = traffic::for_rule(random, rule);
    match random.below(3) {
        0 => request = traffic::for_none(random, rule),
        1 => request.path.push_str("/more"),
        _ => request.path.push('_'),
    }
    request
}
