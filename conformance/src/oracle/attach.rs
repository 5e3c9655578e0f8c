//! Which routes serve on which listeners, and why not ([A-1] to, [G-12]).

use std::collections::{BTreeMap, BTreeSet};

use gatewright::Resources;

use super::listeners::{self, Served};
use super::mesh::{self, Frontend};
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
    /// Position in the list of Gateways; none for a Service.
    pub(super) gateway: Option<usize>,
    /// By position in the Gateway's list of listeners.
    pub(super) listeners: BTreeMap<usize, Hostnames>,
    /// The ports of a Service.
    pub(super) frontends: BTreeSet<Frontend>,
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
            let mut attachment = Attachment {
                route: n,
                parent,
                gateway: None,
                listeners: BTreeMap::new(),
                frontends: BTreeSet::new(),
                refused: BTreeSet::new(),
            };
            // What is not there gets no word ([S-11]).
            let key = (namespace, &*reference.name);
            let has_set = |g: &View<'_>| g.sets.iter().any(|set| (set.owner.namespace, set.owner.name) == key);
            let gateway = match (group, kind) {
                (GROUP, "Gateway") => gateways.iter().position(|g| g.name == key),
                (GROUP, "ListenerSet") => gateways.iter().position(has_set),
                ("", "Service") => {
                    match mesh::frontends(resources, route, reference) {
                        None => continue,
                        Some(Ok(frontends)) => {
                            attachment.frontends = frontends;
                            attachment.refused = route.unusable();
                        }
                        Some(Err(reasons)) => attachment.refused = reasons,
                    }
                    all.push(attachment);
                    continue;
                }
                _ => None,
            };
            let Some(gateway) = gateway else { continue };
            attachment.gateway = Some(gateway);
            // A Gateway means its own listeners only, a ListenerSet its own ([L-39]).
            let of_parent = |l: &(usize, &Served<'_>)| l.1.owner.kind == kind && (l.1.owner.namespace, l.1.owner.name) == key;
            let listeners: Vec<(usize, &Served<'_>)> = gateways[gateway].listeners.iter().enumerate().filter(of_parent).collect();
            if kind == "ListenerSet" && listeners.is_empty() {
                // A set that adds nothing takes no route ([L-17]); no reason is named.
                attachment.refused = BTreeSet::from(["NoMatchingParent", "NotAllowedByListeners"]);
                all.push(attachment);
                continue;
            }
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
    mesh::separate(routes, &mut all);
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
    let of_http = |n: &usize| ["HTTPRoute", "GRPCRoute"].contains(&routes[all[*n].route].kind) && all[*n].gateway.is_some();
    let mut by_age: Vec<usize> = (0..all.len()).filter(of_http).collect();
    by_age.sort_by_key(|n| routes[all[*n].route].rank());
    let mut have: Vec<(Option<usize>, usize, &'static str, Hostnames)> = Vec::new();
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
