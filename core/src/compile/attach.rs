//! From parentRefs to listeners: where a route attaches, and why not ([A-1] to ).

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use super::gateway::CheckedGateway;
use super::input::{Input, Key};
use super::listener::CheckedListener;
use super::route::CheckedRoute;
use crate::diagnostic::Code;
use crate::model::hostname::{self, Hostname};
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::ParentReference;
use crate::table::RouteKind;

/// Hostnames a route serves on a listener; `None` is any host.
pub(crate) type Hostnames = BTreeSet<Option<Hostname>>;

/// What becomes of one parentRef that names a Gateway of this controller.
#[derive(Debug)]
pub(crate) struct Attachment<'r> {
    pub(crate) parent: &'r ParentReference,
    /// Position in `spec.parentRefs`.
    pub(crate) index: usize,
    pub(crate) gateway: Key<'r>,
    /// Hostnames by number of the listener; empty when `refused` says why.
    pub(crate) listeners: BTreeMap<usize, Hostnames>,
    /// Reason and message of `Accepted=False`.
    pub(crate) refused: Option<(&'static str, String)>,
}

/// Attaches a route to its parents.
pub(crate) fn attach<'r>(
    route: &CheckedRoute<'r>,
    gateways: &BTreeMap<Key<'r>, CheckedGateway<'r>>,
    input: &Input<'r>,
    findings: &mut Findings,
) -> Vec<Attachment<'r>> {
    let mut attachments = Vec::with_capacity(route.parents.len());
    for (index, parent) in route.parents.iter().enumerate() {
        let path = format!("spec.parentRefs[{index}]");
        let kind = parent.kind.as_deref().unwrap_or("Gateway");
        let group = parent.group.as_deref().unwrap_or(GATEWAY_GROUP);
        if (group, kind) != (GATEWAY_GROUP, "Gateway") {
            findings.info(Code::NotRouted, path, format!("parents of kind `{kind}` are not served in this version"));
            continue;
        }
        let namespace = parent.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(route.namespace);
        let key = (namespace, parent.name.as_str());
        // A parent that is not ours gets no word in status ([S-11]).
        let Some(gateway) = gateways.get(&key) else {
            findings.warning(
                Code::NotAttached,
                path,
                format!("no Gateway `{namespace}/{}` of this controller is part of the input", parent.name),
            );
            continue;
        };
        let (listeners, refused) = match candidates(route, parent, gateway, namespace, input) {
            Ok(listeners) => (listeners, None),
            Err((reason, message)) => {
                findings.error(Code::NotAttached, path, message.clone());
                (BTreeMap::new(), Some((reason, message)))
            }
        };
        attachments.push(Attachment { parent, index, gateway: key, listeners, refused });
    }
    attachments
}

/// The listeners that take the route. Each step filters the set, and the step that empties it gives the reason
/// ([A-5], [U-21]).
fn candidates<'r>(
    route: &CheckedRoute<'r>,
    parent: &ParentReference,
    gateway: &CheckedGateway<'_>,
    gateway_namespace: &str,
    input: &Input<'r>,
) -> Result<BTreeMap<usize, Hostnames>, (&'static str, String)> {
    let section = parent.section_name.as_deref().filter(|name| !name.is_empty());
    let of_parent = |listener: &CheckedListener<'_>| {
        section.is_none_or(|name| name == listener.resource.name) && parent.port.is_none_or(|port| port == listener.resource.port)
    };
    let mut set: Vec<(usize, &CheckedListener<'_>)> = gateway.listeners.iter().enumerate().filter(|(_, l)| of_parent(l)).collect();
    if set.is_empty() {
        let wanted = match (section, parent.port) {
            (Some(name), Some(port)) => format!("named `{name}` on port {port}"),
            (Some(name), None) => format!("named `{name}`"),
            (None, Some(port)) => format!("on port {port}"),
            (None, None) => "at all".to_owned(),
        };
        let known: Vec<_> = gateway.listeners.iter().map(|l| format!("{} ({})", l.resource.name, l.resource.port)).collect();
        return Err(("NoMatchingParent", format!("the Gateway has no listener {wanted}, only {}", known.join(", "))));
    }
    set.retain(|(_, listener)| {
        listener.kinds.contains(&route.kind) && listener.namespaces.allow(gateway_namespace, route.namespace, &input.namespaces)
    });
    if set.is_empty() {
        let message = format!("no listener allows {}s from namespace `{}`", route.kind.as_str(), route.namespace);
        return Err(("NotAllowedByListeners", message));
    }
    if route.hostnames.is_empty() {
        return Err(("UnsupportedValue", "none of spec.hostnames is a hostname".to_owned()));
    }
    let listeners: BTreeMap<usize, Hostnames> = set
        .into_iter()
        .map(|(n, listener)| {
            let effective = route.hostnames.iter().filter_map(|name| hostname::intersect(listener.hostname.as_ref(), name.as_ref()));
            (n, effective.collect::<Hostnames>())
        })
        .filter(|(_, hostnames)| !hostnames.is_empty())
        .collect();
    if listeners.is_empty() {
        return Err(("NoMatchingListenerHostname", "no hostname of the route intersects a listener's".to_owned()));
    }
    Ok(listeners)
}

/// HTTPRoutes and GRPCRoutes must not share hostnames on a listener: the older route keeps them, then the first
/// by `namespace/name` ([G-12], [U-13]). The other does not attach there.
pub(crate) fn separate_kinds<'r>(routes: &[CheckedRoute<'r>], attachments: &mut [Vec<Attachment<'r>>], findings: &mut [Findings]) {
    if [RouteKind::Http, RouteKind::Grpc].iter().any(|kind| !routes.iter().any(|route| route.kind == *kind)) {
        return;
    }
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|n| routes.get(*n).map(|route| route.rank));
    let mut taken: BTreeMap<(Key<'r>, usize), Vec<(RouteKind, Hostnames)>> = BTreeMap::new();
    for n in order {
        let (Some(route), Some(attachments), Some(findings)) = (routes.get(n), attachments.get_mut(n), findings.get_mut(n)) else {
            continue;
        };
        for attachment in attachments {
            let gateway = attachment.gateway;
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
                findings.error(Code::NotAttached, format!("spec.parentRefs[{}]", attachment.index), message.clone());
                attachment.refused = Some(("Conflicted", message));
            }
        }
    }
}
