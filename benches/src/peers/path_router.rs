//! Routers that know paths only: one for each host, and the rest of a rule compared at the node that is found.

use std::collections::BTreeMap;
use std::fmt::Debug;

use gatewright_conformance::sets::{RouteSet, SetPath, SetRequest, SetRule};

use crate::contender::Contender;
use crate::plain::Plain;
use crate::residual::{Hosts, Residual};

/// The rules of a node: a range of the rules of its host, in order of precedence.
pub type Node = (u32, u32);

/// A router of paths.
pub trait PathRouter: Debug {
    /// Its name in tables.
    const NAME: &'static str;

    /// Makes one of whole paths, and of beginnings of paths that a slash and at least one octet more come after.
    fn build(paths: &[(String, Node)], prefixes: &[(String, Node)]) -> Self;

    /// The node for a path.
    fn find(&self, path: &str) -> Option<Node>;
}

/// A router of paths for each host.
#[derive(Debug)]
pub struct PerHost<R> {
    hosts: Hosts<Host<R>>,
}

#[derive(Debug)]
struct Host<R> {
    router: R,
    rules: Box<[Residual]>,
}

impl<R: PathRouter> Host<R> {
    fn new(rules: &[(u32, &SetRule)]) -> Self {
        // Exact rules stand before prefixes in order of precedence, as they must at the node of their path.
        let mut paths: BTreeMap<&str, [Vec<(u32, &SetRule)>; 2]> = BTreeMap::new();
        for (id, rule) in rules {
            let (text, kind) = match &rule.path {
                SetPath::Exact(text) => (text.as_str(), 0),
                SetPath::Prefix(text) => (text.trim_end_matches('/'), 1),
                SetPath::Regex(_) => continue,
            };
            paths.entry(text).or_default()[kind].push((*id, *rule));
        }
        let (mut whole, mut prefixes, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let mut add = |rules: &[(u32, &SetRule)]| {
            all.extend(rules.iter().map(|(id, rule)| Residual::new(*id, rule)));
            u32::try_from(all.len()).expect("ids have 32 bits")
        };
        let mut start = 0;
        for (text, [exact, prefix]) in &paths {
            let middle = add(exact);
            // An exact path with a slash at the end is the first of what a prefix covers.
            let below = text.strip_suffix('/').and_then(|text| paths.get(text)).map_or(prefix, |[_, prefix]| prefix);
            let end = add(below);
            if !text.is_empty() {
                whole.push(((*text).to_owned(), (start, end)));
            }
            if !prefix.is_empty() {
                let slash = format!("{text}/");
                if !paths.contains_key(slash.as_str()) {
                    whole.push((slash, (middle, end)));
                }
                prefixes.push(((*text).to_owned(), (middle, end)));
            }
            start = end;
        }
        Self { router: R::build(&whole, &prefixes), rules: all.into() }
    }

    fn find(&self, request: &Plain) -> Option<u32> {
        let (start, end) = self.router.find(request.path())?;
        self.rules[start as usize..end as usize].iter().find(|rule| rule.holds(request)).map(|rule| rule.id)
    }
}

impl<R: PathRouter> Contender for PerHost<R> {
    const NAME: &'static str = R::NAME;
    const LACKS: &'static str = "hosts, methods, header fields, parameters (added around it); regular expressions; a shorter prefix when the rest of a rule does not hold";
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
        self.hosts.find(request.host(), |host| host.find(request))
    }

    fn names(&self, _: &RouteSet) {}

    fn rule(_: &(), found: &Option<u32>) -> Option<u32> {
        *found
    }
}
