//! All rules on one path of one host: only a header field, a query parameter or the method tells them apart.

use super::traffic;
use super::{RouteSet, SetPath, SetRequest, SetRule};
use crate::world::Random;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// Rules told apart by the value of one header field.
pub(super) fn one_path_header(rules: usize, requests: usize, seed: u64) -> RouteSet {
    set("one_path_header", (rules, requests), seed, |n| SetRule { headers: field("x-tenant", n), ..SetRule::default() })
}

/// Rules told apart by the value of one query parameter, some of which clients must encode.
pub(super) fn one_path_query(rules: usize, requests: usize, seed: u64) -> RouteSet {
    set("one_path_query", (rules, requests), seed, |n| {
        let value = if n % 8 == 0 { format!("Smith & Sons +{n}") } else { format!("tenant-{n:05}") };
        SetRule { queries: vec![("tenant".to_owned(), value)], ..SetRule::default() }
    })
}

/// Rules told apart by method and two header fields: every value of the one with every value of the other.
pub(super) fn one_path_method_and_two_headers(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let values = (1..=rules).find(|side| side * side * METHODS.len() >= rules).unwrap_or(1);
    set("one_path_method_and_two_headers", (rules, requests), seed, |n| SetRule {
        method: Some(METHODS[n % METHODS.len()].to_owned()),
        headers: [field("x-tenant", n / METHODS.len() % values), field("x-release", n / METHODS.len() / values)].concat(),
        ..SetRule::default()
    })
}

fn field(name: &str, n: usize) -> Vec<(String, String)> {
    vec![(name.to_owned(), format!("value-{n:05}"))]
}

fn set(name: &'static str, (count, requests): (usize, usize), seed: u64, rule: impl Fn(usize) -> SetRule) -> RouteSet {
    let mut random = Random(seed);
    let path = SetPath::Prefix("/api/v1/orders".to_owned());
    let rule = |n| SetRule { host: Some("shop.example.com".to_owned()), path: path.clone(), ..rule(n) };
    let mut rules: Vec<SetRule> = (0..count).map(rule).collect();
    random.shuffle(&mut rules);
    let requests = traffic::requests_by(&mut random, &rules, requests, traffic::for_rule, near_miss);
    RouteSet { name, rules, requests }
}

/// A request for a rule, but for one condition.
fn near_miss(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = traffic::for_rule(random, rule);
    match random.below(4) {
        0 => request = traffic::for_none(random, rule),
        1 => request.query = Some("tenant=nobody&page=1".to_owned()),
        2 => request.headers.retain(|(name, _)| !rule.headers.iter().any(|(of, _)| of == name)),
        _ => request
            .headers
            .iter_mut()
            .filter(|(name, _)| rule.headers.iter().any(|(of, _)| of == name))
            .for_each(|(_, value)| value.push('x')),
    }
    request
}
