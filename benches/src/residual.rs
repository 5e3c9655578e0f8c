//! What a path router leaves to its caller: the host before it, method, header fields and parameters after it.

use std::collections::HashMap;

use gatewright_conformance::sets::{SetPath, SetRule};

use crate::plain::{Plain, encode};
use crate::precedence::by_host;

/// A router for each host.
#[derive(Debug)]
pub struct Hosts<R> {
    exact: HashMap<Box<str>, R>,
    /// Without `*.`.
    wildcards: HashMap<Box<str>, R>,
    any: Option<R>,
}

impl<R> Hosts<R> {
    /// Makes a router of the rules of each host, given with their ids in order of precedence.
    pub fn new(rules: &[SetRule], router: impl Fn(&[(u32, &SetRule)]) -> R) -> Self {
        let mut hosts = Self { exact: HashMap::new(), wildcards: HashMap::new(), any: None };
        for (host, ids) in by_host(rules) {
            let rules: Vec<_> = ids.iter().map(|id| (*id, &rules[*id as usize])).collect();
            let router = router(&rules);
            match host.map(|host| host.strip_prefix("*.").ok_or(host)) {
                None => hosts.any = Some(router),
                Some(Ok(suffix)) => drop(hosts.wildcards.insert(suffix.into(), router)),
                Some(Err(host)) => drop(hosts.exact.insert(host.into(), router)),
            }
        }
        hosts
    }

    /// The first answer of the routers of a host, the most specific first.
    pub fn find(&self, host: &str, find: impl Fn(&R) -> Option<u32>) -> Option<u32> {
        if let Some(found) = self.exact.get(host).and_then(&find) {
            return Some(found);
        }
        let suffixes = host.match_indices('.').map(|(place, _)| &host[place + 1..]);
        suffixes.filter_map(|suffix| self.wildcards.get(suffix)).chain(&self.any).find_map(find)
    }
}

/// A rule without host and path.
#[derive(Debug)]
pub struct Residual {
    /// Its id.
    pub id: u32,
    method: Option<Box<str>>,
    headers: Box<[(Box<str>, Box<str>)]>,
    queries: Box<[(Box<str>, Box<str>)]>,
    /// For calls of gRPC only; whether of a service.
    call: Option<bool>,
}

impl Residual {
    /// Takes what is left of a rule.
    pub fn new(id: u32, rule: &SetRule) -> Self {
        let headers = rule.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let queries = rule.queries.iter().map(|(name, value)| (encode(name.as_bytes()).into(), encode(value.as_bytes()).into()));
        let call = rule.grpc.then(|| rule.path != SetPath::default());
        Self { id, method: rule.method.as_deref().map(Into::into), headers: headers.collect(), queries: queries.collect(), call }
    }

    /// Whether it holds.
    pub fn holds(&self, request: &Plain) -> bool {
        self.method.as_deref().is_none_or(|method| method == request.method())
            && self.call.is_none_or(|of_service| request.is_call(of_service))
            && self.headers.iter().all(|(name, value)| request.has_field(name.as_bytes(), value.as_bytes()))
            && self.queries.iter().all(|(name, value)| request.has_parameter(name.as_bytes(), value.as_bytes()))
    }
}
