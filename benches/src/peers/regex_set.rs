//! A `RegexSet` of all paths of a host, the rest of the rules compared in the order of precedence.

use gatewright_conformance::sets::{RouteSet, SetPath, SetRequest, SetRule};
use regex::RegexSet;

use crate::contender::Contender;
use crate::plain::Plain;
use crate::residual::{Hosts, Residual};

/// A set for each host.
#[derive(Debug)]
pub struct RegexSets {
    hosts: Hosts<Host>,
}

#[derive(Debug)]
struct Host {
    paths: RegexSet,
    rules: Box<[Residual]>,
}

impl Host {
    fn new(rules: &[(u32, &SetRule)]) -> Self {
        let paths = rules.iter().map(|(_, rule)| match &rule.path {
            SetPath::Exact(text) => format!("^{}$", regex::escape(text)),
            SetPath::Prefix(text) => format!("^{}(?:/.*)?$", regex::escape(text.trim_end_matches('/'))),
            SetPath::Regex(text) => format!("^(?:{text})$"),
        });
        let rules_of_host = rules.iter().map(|(id, rule)| Residual::new(*id, rule)).collect();
        // Its limit is for one expression; these are as many as the host has rules.
        let paths = regex::RegexSetBuilder::new(paths).size_limit(1 << 30).build().expect("the expressions of the sets are valid");
        Self { paths, rules: rules_of_host }
    }
}

impl Contender for RegexSets {
    const NAME: &'static str = "RegexSet";
    const LACKS: &'static str = "hosts, methods, header fields, parameters (added around it)";
    /// The caches that grow on first use need gigabytes above it.
    const MOST_RULES: usize = 10_000;
    type Request = Plain;
    type Source = RouteSet;
    type Found = Option<u32>;
    type Names = ();

    fn source(set: &RouteSet) -> RouteSet {
        set.clone()
    }

    fn build(set: &RouteSet) -> Self {
        Self { hosts: Hosts::new(&set.rules, Host::new) }
    }

    fn prepare(&self, request: &SetRequest) -> Plain {
        Plain::new(request)
    }

    fn touch(request: &Plain) -> usize {
        request.touch()
    }

    fn find(&self, request: &Plain) -> Option<u32> {
        self.hosts.find(request.host(), |host| {
            let matches = host.paths.matches(request.path());
            matches.iter().map(|n| &host.rules[n]).find(|rule| rule.holds(request)).map(|rule| rule.id)
        })
    }

    fn names(&self, _: &RouteSet) {}

    fn rule(_: &(), found: &Option<u32>) -> Option<u32> {
        *found
    }
}
