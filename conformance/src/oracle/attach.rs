//! Which routes serve on which listeners, and why not ([A-1] to, [G-12]).

use std::collections::{BTreeMap, BTreeSet};

use gatewright::Resources;

use super::listeners::{self, Served};
use super::routes::Route;
use super::{GROUP, View, hosts};

/// Hostnames under which a route serves on a listener; none is any host.
pub(super) type Hostnames = BTreeSet<Option<String>>;

/// What becomes of one parentRef of one route that names something of ours.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    /// Position in the list of routes.
    pub(super) route: usize,
    /// Position in `spec.parentRefs`.
    pub(super) parent: usize,
    /// Position in the list of Gateways.
    pub(super) gateway: usize,
    /// By position in the Gateway's list of listeners.
    pub(super) listeners: BTreeMap<usize, Hostnames>,
    /// Reasons of which one is given when the route is not accepted there; empty if it is.
    pub(super) refused: BTreeSet<&'static str>,
}

/// Every parentRef of every route, in order.
pub(super) fn all(resources: &Resources, gateways: &[View<'_>], routes: &[Route<'_>]) -> Vec<Attachment> {
    let mut all = Vec::new();
    for (n, route) in routes.iter().enumerate() {
        for (parent, reference) in route.parents.iter().enumerate() {
            let group = reference.group.as_deref().unwrap_or(GROUP);
            let kind = reference.kind.as_deref().unwrap_or("Gateway");
            let namespace = reference.namespace.as_deref().unwrap_or(route.namespace);
            // What is not there gets no word ([S-11]).
            let is = |g: &View<'_>| (group, kind) == (GROUP, "Gateway") && g.name == (namespace, &*reference.name);
            let Some(gateway) = gateways.iter().position(is) else { continue };
            let of_parent = |l: &&(usize, &Served<'_>)| {
                l.1.owner.kind == kind && (l.1.owner.namespace, l.1.owner.name) == (namespace, &*reference.name)
            };
            let listeners: Vec<(usize, &Served<'_>)> = gateways[gateway].listeners.iter().enumerate().collect();
            let listeners: Vec<_> = listeners.iter().filter(of_parent).copied().collect();
            let mut attachment = Attachment { route: n, parent, gateway, listeners: BTreeMap::new(), refused: BTreeSet::new() };
            match steps(resources, route, reference.section_name.as_deref(), reference.port, &listeners) {
                Ok(listeners) => {
                    attachment.listeners = listeners;
                    attachment.refused = route.unusable();
                }
                Err(reason) => drop(attachment.refused.insert(reason)),
            }
            all.push(attachment);
        }
    }
    separate(routes, &mut all);
    all
}

/// The steps of: each filters the set, and the one that empties it gives the reason.
fn steps(
    resources: &Resources,
    route: &Route<'_>,
    section: Option<&str>,
    port: Option<i32>,
    listeners: &[(usize, &Served<'_>)],
) -> Result<BTreeMap<usize, Hostnames>, &'static str> {
    let mut set = listeners.to_vec();
    set.retain(|(_, l)| section.is_none_or(|name| name == l.listener.name) && port.is_none_or(|port| port == l.listener.port));
    if set.is_empty() {
        return Err("NoMatchingParent");
    }
    set.retain(|(_, l)| listeners::kinds(l.listener).0.contains(&route.kind) && listeners::allows_routes(resources, l, route.namespace));
    if set.is_empty() {
        return Err("NotAllowedByListeners");
    }
    // An address is no hostname and is passed over ([A-8]).
    let names: Vec<Option<&str>> = match route.hostnames {
        [] => vec![None],
        list => list.iter().filter(|name| !hosts::is_address(name)).map(|name| Some(name.as_str())).collect(),
    };
    if names.is_empty() {
        return Err("UnsupportedValue");
    }
    let mut found = BTreeMap::new();
    for (n, l) in set {
        let hostnames: Hostnames = names.iter().filter_map(|name| hosts::intersect(l.hostname(), *name)).collect();
        if !hostnames.is_empty() {
            found.insert(n, hostnames);
        }
    }
    if found.is_empty() { Err("NoMatchingListenerHostname") } else { Ok(found) }
}

/// HTTPRoutes and GRPCRoutes do not share hostnames on a listener: the older route has them, then the first by
/// name ([G-12]).
fn separate(routes: &[Route<'_>], all: &mut [Attachment]) {
    let mut by_age: Vec<usize> = (0..all.len()).collect();
    by_age.sort_by_key(|n| routes[all[*n].route].rank());
    let mut have: Vec<(usize, usize, &'static str, Hostnames)> = Vec::new();
    for n in by_age {
        let attachment = &mut all[n];
        let route = &routes[attachment.route];
        // A route of which no rule takes part has nothing to share.
        if !route.rules.is_empty() && route.rules.iter().all(|rule| rule.fault.as_ref().is_some_and(|fault| !fault.closed)) {
            continue;
        }
        let before = attachment.listeners.len();
        let gateway = attachment.gateway;
        attachment.listeners.retain(|listener, hostnames| {
            !have.iter().any(|(of_gateway, of_listener, kind, theirs)| {
                let overlap = |a: &Option<String>| hostnames.iter().any(|b| hosts::intersect(a.as_deref(), b.as_deref()).is_some());
                (*of_gateway, *of_listener) == (gateway, *listener) && *kind != route.kind && theirs.iter().any(overlap)
            })
        });
        if before > 0 && attachment.listeners.is_empty() {
            attachment.refused.insert("Conflicted");
        }
        have.extend(attachment.listeners.iter().map(|(listener, hostnames)| (gateway, *listener, route.kind, hostnames.clone())));
    }
}
