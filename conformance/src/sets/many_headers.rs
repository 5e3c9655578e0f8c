//! Requests with 100 header fields.

use super::RouteSet;
use super::standard::standard_rules;
use super::traffic;
use crate::world::Random;

const FIELDS: usize = 100;

/// The standard set's rules and requests, with fields that no rule looks at.
pub(super) fn many_headers(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let rules = standard_rules(&mut random, rules);
    let mut requests = traffic::requests(&mut random, &rules, requests);
    for request in &mut requests {
        let more = request.headers.len()..FIELDS;
        request.headers.extend(more.map(|n| (format!("x-field-{n}"), format!("value {n} of a field that no rule looks at"))));
        random.shuffle(&mut request.headers);
    }
    RouteSet { name: "many_headers", rules, requests }
}
