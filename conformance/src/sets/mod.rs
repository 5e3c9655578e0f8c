//! Large route sets, made from a seed: what benchmarks measure and what the differential test asks. Each has its
//! requests, and a plain twin says which rule answers each of them.

mod crowded;
mod grpc;
mod json;
mod long_paths;
mod many_headers;
mod nested_wildcards;
mod one_host;
mod one_path;
mod plain;
mod regex_paths;
mod resources;
mod single_route_hosts;
mod standard;
mod table;
mod traffic;
mod words;
pub mod worst;

pub use json::{Expected, from_json};
pub use plain::Plain;
pub use resources::RuleIds;
pub use table::SetTable;

use http::{HeaderMap, HeaderName, HeaderValue};

/// One rule with one match. Its place in [`RouteSet::rules`] is its id, and the order of the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetRule {
    /// `None` is any host; `*.example.com` covers all hosts below it.
    pub host: Option<String>,
    /// The path.
    pub path: SetPath,
    /// The method, if the rule has one.
    pub method: Option<String>,
    /// Header fields with their exact values; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Query parameters with their exact values.
    pub queries: Vec<(String, String)>,
    /// The rule is one of a GRPCRoute: an exact path is `/service/method`, a prefix `/service`, and `/` every call.
    pub grpc: bool,
}

/// The path of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetPath {
    /// The whole path.
    Exact(String),
    /// By whole segments, without a slash at the end; `/` covers everything.
    Prefix(String),
    /// A regular expression for the whole path.
    Regex(String),
}

/// Everything.
impl Default for SetPath {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetRequest {
    /// As sent: with a port, some letters in upper case.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path, canonical.
    pub path: String,
    /// The query, without `?`.
    pub query: Option<String>,
    /// The header fields in the order sent, without Host.
    pub headers: Vec<(String, String)>,
}

impl SetRequest {
    /// Path and query, as they come over the wire.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The header fields, as hyper hands them over.
    ///
    /// # Panics
    ///
    /// When one is not valid; those of sets are.
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a valid name");
            map.append(name, HeaderValue::from_str(value).expect("a valid value"));
        }
        map
    }
}

/// Rules, and requests for them.
#[derive(Clone, Debug)]
pub struct RouteSet {
    /// A stable name, for instance `standard`.
    pub name: &'static str,
    /// The rules.
    pub rules: Vec<SetRule>,
    /// The requests.
    pub requests: Vec<SetRequest>,
}

/// Makes a set: number of rules, number of requests, seed.
type Generator = fn(usize, usize, u64) -> RouteSet;

/// Every set by name.
const GENERATORS: [(&str, Generator); 12] = [
    ("standard", standard::standard),
    ("one_host", one_host::one_host),
    ("one_path_header", one_path::one_path_header),
    ("one_path_query", one_path::one_path_query),
    ("one_path_method_and_two_headers", one_path::one_path_method_and_two_headers),
    ("regex_paths", regex_paths::regex_paths),
    ("nested_wildcards", nested_wildcards::nested_wildcards),
    ("single_route_hosts", single_route_hosts::single_route_hosts),
    ("long_paths", long_paths::long_paths),
    ("many_headers", many_headers::many_headers),
    ("grpc", grpc::grpc),
    ("crowded", crowded::crowded),
];

/// The names of all sets.
pub fn names() -> impl Iterator<Item = &'static str> {
    GENERATORS.iter().map(|(name, _)| *name)
}

/// The set of this name with this many rules.
pub fn set(name: &str, rules: usize, seed: u64) -> Option<RouteSet> {
    // What is large is needed less often.
    let requests = if matches!(name, "long_paths" | "many_headers") { 2048 } else { 16_384 };
    set_with_requests(name, rules, requests, seed)
}

/// The same with this many requests.
pub fn set_with_requests(name: &str, rules: usize, requests: usize, seed: u64) -> Option<RouteSet> {
    GENERATORS.iter().find(|(of, _)| *of == name).map(|(_, make)| make(rules, requests, seed))
}

/// The standard set, which others are measured against.
pub fn standard(rules: usize, seed: u64) -> RouteSet {
    standard::standard(rules, 16_384, seed)
}

#[cfg(test)]
mod tests {
    use gatewright::{Decision, Options, Severity, compile};

    use super::*;

    /// Every rule of a set is valid, every request that a rule answers is forwarded, and about 80 % are.
    #[test]
    fn sets_are_what_they_say() {
        for (name, make) in GENERATORS {
            let set = make(200, 1000, 1);
            assert_eq!((set.name, set.rules.len(), set.requests.len()), (name, 200, 1000));
            let again = make(200, 1000, 1);
            assert_eq!((&set.rules, &set.requests), (&again.rules, &again.requests), "{name}");
            assert_ne!(set.requests, make(200, 1000, 2).requests, "{name}");
            let compiled = compile(&set.resources(), &Options::default());
            let errors: Vec<_> = compiled.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
            let table = SetTable::new(&set);
            let forwarded = set.requests.iter().filter(|request| {
                let target = request.target();
                let decision = table.decide(request, &target, &request.headers);
                let forward = matches!(decision, Decision::Forward(_));
                assert_eq!(forward, decision.matched().is_some(), "{name} {decision:?}");
                forward
            });
            let share = forwarded.count() * 100 / set.requests.len();
            let expected = if name == "crowded" { 50..=95 } else { 75..=85 };
            assert!(expected.contains(&share), "{name}: {share} % are forwarded");
        }
        assert!(set("standard", 10, 1).is_some() && set("unknown", 10, 1).is_none());
    }
}
