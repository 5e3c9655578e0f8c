//! Kinds of routes that exclude each other at one parent ([G-12], [A-24]).

use std::collections::BTreeMap;

use super::attach::{Attachment, Hostnames};
use super::backend::View;
use super::findings::Findings;
use super::input::Key;
use super::mesh::FrontendKey;
use super::route::CheckedRoute;
use crate::diagnostic::Code;
use crate::model::hostname;
use crate::table::RouteKind;

/// HTTPRoutes and GRPCRoutes must not share hostnames on a listener: the older route keeps them, then the first
/// by `namespace/name` ([G-12], [U-13]). The other does not attach there.
pub(crate) fn on_listeners<'r>(routes: &[CheckedRoute<'r>], attachments: &mut [Vec<Attachment<'r>>], findings: &mut [Findings]) {
    if [RouteKind::Http, RouteKind::Grpc].iter().any(|kind| !routes.iter().any(|route| route.kind == *kind)) {
        return;
    }
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|n| routes.get(*n).map(|route| &route.rank));
    let mut taken: BTreeMap<(Key<'r>, usize), Vec<(RouteKind, Hostnames)>> = BTreeMap::new();
    for n in order {
        let (Some(route), Some(attachments), Some(findings)) = (routes.get(n), attachments.get_mut(n), findings.get_mut(n)) else {
            continue;
        };
        if !matches!(route.kind, RouteKind::Http | RouteKind::Grpc) {
            continue;
        }
        // A route of which nothing is left is not accepted anyway and takes no hostname away.
        let nothing = route.rules.get(&View::Gateway).is_some_and(|rules| rules.rules.is_empty());
        if nothing && route.unusable(View::Gateway).is_some() {
            continue;
        }
        for attachment in attachments {
            let Some(gateway) = attachment.gateway else { continue };
            attachment.listeners.retain(|listener, hostnames| {
                let others = taken.entry((gateway, *listener)).or_default();
                let overlap = |(kind, names): &(RouteKind, Hostnames)| {
                    *kind != route.kind
                        && names.iter().any(|a| hostnames.iter().any(|b| hostname::intersect(a.as_ref(), b.as_ref()).is_some()))
                };
                if others.iter().any(overlap) {
                    return false;
                }
                others.push((route.kind, hostnames.clone()));
                true
            });
            if attachment.listeners.is_empty() && attachment.refused.is_none() {
                let message = "an older route of the other kind (HTTPRoute or GRPCRoute) serves these hostnames".to_owned();
                findings.error(Code::NotAttached, attachment.path.clone(), message.clone());
                attachment.refused = Some(("Conflicted", format!("{}: {message}", attachment.path)));
            }
        }
    }
}

/// The kinds of routes from the most specific: on one port of a Service the most specific kind that is there
/// serves alone ([A-24]).
const SPECIFIC_FIRST: [RouteKind; 4] = [RouteKind::Grpc, RouteKind::Http, RouteKind::Tls, RouteKind::Tcp];

/// Takes the less specific kinds of routes off every port of a Service.
pub(crate) fn on_services<'r>(routes: &[CheckedRoute<'r>], attachments: &mut [Vec<Attachment<'r>>], findings: &mut [Findings]) {
    let rank = |kind: RouteKind| SPECIFIC_FIRST.iter().position(|one| *one == kind);
    let mut best = BTreeMap::<FrontendKey<'r>, usize>::new();
    for (route, attachments) in routes.iter().zip(&*attachments) {
        let Some(rank) = rank(route.kind) else { continue };
        for key in attachments.iter().flat_map(|attachment| &attachment.frontends) {
            let best = best.entry(*key).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    for ((route, attachments), findings) in routes.iter().zip(attachments).zip(findings) {
        for attachment in attachments.iter_mut().filter(|attachment| !attachment.frontends.is_empty()) {
            attachment.frontends.retain(|key| best.get(key).copied() == rank(route.kind));
            if attachment.frontends.is_empty() {
                let message = "a route of a more specific kind serves the Service".to_owned();
                findings.error(Code::NotAttached, attachment.path.clone(), message.clone());
                attachment.refused = Some(("Conflicted", format!("{}: {message}", attachment.path)));
            }
        }
    }
}
