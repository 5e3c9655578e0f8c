//! Rules of GRPCRoutes, all on one host.

use std::collections::HashSet;

use super::words::{self, HEADERS, RESOURCES};
use super::{RouteSet, SetPath, SetRequest, SetRule, traffic};
use crate::world::Random;

const METHODS: [&str; 8] = ["Get", "List", "Create", "Update", "Delete", "Watch", "Import", "Export"];

/// Methods and whole services of one host; 20 % look at a header field.
pub(super) fn grpc(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    let mut known = HashSet::new();
    let rule = |n: usize| loop {
        let service = service(&mut random, n / 16);
        let path = match random.below(100) {
            0..15 => SetPath::Prefix(service),
            _ => SetPath::Exact(format!("{service}/{}", random.of(&METHODS))),
        };
        let headers: Vec<_> = (random.below(100) < 20).then(|| words::pair(&mut random, &HEADERS)).into_iter().collect();
        if known.insert((path.clone(), headers.clone())) {
            let host = Some("grpc.example.com".to_owned());
            return SetRule { host, path, headers, grpc: true, ..SetRule::default() };
        }
    };
    let rules: Vec<SetRule> = (0..rules).map(rule).collect();
    let requests = traffic::requests_by(&mut random, &rules, requests, for_rule, near_miss);
    RouteSet { name: "grpc", rules, requests }
}

/// The path of a service.
fn service(random: &mut Random, number: usize) -> String {
    format!("/acme.shop.v{}.{}{number}", 1 + random.below(2), random.of(&RESOURCES))
}

fn for_rule(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = traffic::for_rule(random, rule);
    if let SetPath::Prefix(service) = &rule.path {
        request.path = format!("{service}/{}", random.of(&METHODS));
    }
    request.method = "POST".to_owned();
    request.query = None;
    let content_type = random.of(&["application/grpc", "application/grpc+proto"]);
    request.headers.push(("content-type".to_owned(), (*content_type).to_owned()));
    request.headers.push(("te".to_owned(), "trailers".to_owned()));
    request
}

/// A call of a method or service that there is not, or what is no call.
fn near_miss(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = for_rule(random, rule);
    match random.below(4) {
        0 => request.path.push('x'),
        1 => request.path.push_str("/more"),
        2 => request.path.insert(1, 'x'),
        _ => request.headers.retain(|(name, _)| name != "content-type"),
    }
    request
}
