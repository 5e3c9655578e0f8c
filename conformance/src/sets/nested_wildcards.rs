//! Wildcard hosts that lie in each other, as deep as names can be.

use super::traffic;
use super::{RouteSet, SetPath, SetRequest, SetRule, words};
use crate::world::Random;

/// Octets of a hostname.
const LONGEST: usize = 253;

/// Chains of wildcard hosts, each below the one before it, more than 100 labels deep. Each has one rule for a path of
/// its own, so that a request for another one's path has to go from host to broader host.
pub(super) fn nested_wildcards(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let mut list = Vec::new();
    for chain in 0.. {
        if list.len() >= rules {
            break;
        }
        let same = random.one_in(2);
        let mut suffix = format!("c{chain}.example");
        for depth in 0.. {
            if suffix.len() + 2 > LONGEST || list.len() >= rules {
                break;
            }
            let path = SetPath::Prefix(format!("/depth-{depth}"));
            list.push(SetRule { host: Some(format!("*.{suffix}")), path, ..SetRule::default() });
            // Labels of one letter make the deepest names; in half of the chains they are all the same.
            let label = if same { "a" } else { *random.of(&["a", "b", "c"]) };
            suffix = format!("{label}.{suffix}");
        }
    }
    let requests = traffic::requests_by(&mut random, &list, requests, for_rule, for_none);
    RouteSet { name: "nested_wildcards", rules: list, requests }
}

/// A request to a host some labels below the rule's, for the rule's path.
fn for_rule(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = traffic::for_rule(random, rule);
    request.host = deep_host(random, rule);
    request
}

/// A request for a path that no host has, so that all of them are asked.
fn for_none(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = for_rule(random, rule);
    request.path = format!("/depth-{}/{}", 1000 + random.below(1000), words::id(random));
    request
}

fn deep_host(random: &mut Random, rule: &SetRule) -> String {
    let suffix = rule.host.as_deref().unwrap_or("*").trim_start_matches("*.");
    let room = (LONGEST - suffix.len()) / 2;
    let labels = 1 + random.below(room);
    let below: String = (0..labels).map(|_| if random.one_in(8) { "b." } else { "a." }).collect();
    traffic::as_sent(random, &format!("{below}{suffix}"))
}
