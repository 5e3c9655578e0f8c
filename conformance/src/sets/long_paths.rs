//! Requests whose paths have 200 segments.

use super::standard::standard_rules;
use super::traffic;
use super::{RouteSet, SetPath, SetRequest, SetRule};
use crate::world::Random;

const SEGMENTS: usize = 200;

/// The standard set's rules, of which one in eight has a path of about 100 segments, and some exact ones as many as the
/// requests. Every request has 200 segments, many of them those of such a rule for a part of the way.
pub(super) fn long_paths(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let mut rules = standard_rules(&mut random, rules);
    for (n, rule) in rules.iter_mut().enumerate() {
        match random.below(32) {
            0 => rule.path = SetPath::Exact(deep(SEGMENTS, n)),
            1..4 => rule.path = SetPath::Prefix(deep(90 + random.below(20), n)),
            _ => {}
        }
    }
    let requests = traffic::requests_by(&mut random, &rules, requests, for_rule, for_none);
    RouteSet { name: "long_paths", rules, requests }
}

/// A path with the same segments for all rules, but for the last one.
fn deep(depth: usize, number: usize) -> String {
    format!("{}/{number}", same(depth - 1))
}

fn same(depth: usize) -> String {
    (0..depth).map(|n| format!("/{}", n % 10)).collect()
}

fn for_rule(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = traffic::for_rule(random, rule);
    lengthen(&mut request.path, rule);
    request
}

/// The segments of deep rules, and then others.
fn for_none(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = traffic::for_none(random, rule);
    if random.one_in(2) {
        request.path = same(60 + random.below(140));
    }
    request.path.push_str("/x");
    lengthen(&mut request.path, rule);
    request
}

fn lengthen(path: &mut String, rule: &SetRule) {
    let segments = path.matches('/').count();
    if !matches!(rule.path, SetPath::Exact(_) | SetPath::Regex(_)) && segments < SEGMENTS {
        path.extend((segments..SEGMENTS).map(|n| format!("/{}", n % 10)));
    }
}
