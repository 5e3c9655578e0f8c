//! The rules of one host in the order in which they are tried, for the floor and for peers that need to be told.

use std::cmp::Reverse;
use std::collections::HashMap;

use gatewright_conformance::sets::{SetPath, SetRule};

/// The ids of the rules of each host, first to be tried first.
pub fn by_host(rules: &[SetRule]) -> HashMap<Option<&str>, Vec<u32>> {
    let mut hosts: HashMap<Option<&str>, Vec<u32>> = HashMap::new();
    for (id, rule) in (0..).zip(rules) {
        hosts.entry(rule.host.as_deref()).or_default().push(id);
    }
    for ids in hosts.values_mut() {
        ids.sort_by_cached_key(|id| rank(&rules[*id as usize], *id));
    }
    hosts
}

/// Exact, then regular expressions, then prefixes, the longer first; then those with a method, with more header
/// fields, with more parameters; then the older.
fn rank(rule: &SetRule, id: u32) -> impl Ord + use<> {
    let (kind, text) = match &rule.path {
        SetPath::Exact(text) => (0, text),
        SetPath::Regex(text) => (1, text),
        SetPath::Prefix(text) => (2, text),
    };
    (kind, Reverse(text.len()), rule.method.is_none(), Reverse(rule.headers.len()), Reverse(rule.queries.len()), id)
}
