//! From parentRefs to listeners: where a route attaches, and why not ([A-1] to ).

use std::collections::{BTreeMap, BTreeSet};

use super::backend::View;
use super::findings::{Findings, Problem};
use super::gateway::{CheckedGateway, Gateways};
use super::kept::ListenerPlace;
use super::listener::CheckedListener;
use super::lookup::{Key, Lookup};
use super::mesh::{self, FrontendKey};
use super::route::CheckedRoute;
use crate::diagnostic::Code;
use crate::features::Feature;
use crate::model::hostname::{self, Hostname};
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::ParentReference;
use crate::table::{ListenerProtocol, RouteKind};

/// Hostnames a route serves on a listener; `None` is any host.
pub(crate) type Hostnames = BTreeSet<Option<Hostname>>;

/// What becomes of one parentRef that names an object of this controller.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// As written; made up for a default Gateway ([N-1]).
    pub(crate) parent: ParentReference,
    /// Field path of the reference.
    pub(crate) path: String,
    /// The place of the Gateway, or of that of the ListenerSet; `None` for a Service.
    pub(crate) gateway: Option<usize>,
    /// Hostnames by number of the listener; empty when `refused` says why.
    pub(crate) listeners: BTreeMap<usize, Hostnames>,
    /// The ports of a Service.
    pub(crate) frontends: BTreeSet<FrontendKey>,
    /// Reason and message of `Accepted=False`.
    pub(crate) refused: Option<Problem>,
}

impl Attachment {
    /// The listeners by their places.
    pub(crate) fn places(&self) -> impl Iterator<Item = ListenerPlace> {
        self.gateway.into_iter().flat_map(|gateway| self.listeners.keys().map(move |listener| (gateway, *listener)))
    }

    /// The views through which the route is looked at here.
    pub(crate) fn views(&self, kind: RouteKind, gateways: &Gateways) -> BTreeSet<View> {
        let Some(gateway) = self.gateway.and_then(|place| gateways.get(place)) else { return BTreeSet::from([View::Mesh]) };
        let views: BTreeSet<View> = self.listeners.keys().filter_map(|n| Some(view(kind, gateway.listeners.get(*n)?))).collect();
        if views.is_empty() { BTreeSet::from([View::Gateway]) } else { views }
    }
}

/// The view of a route through a listener.
pub(crate) fn view(kind: RouteKind, listener: &CheckedListener) -> View {
    match (kind, listener.protocol) {
        (RouteKind::Tls, Some(ListenerProtocol::TlsPassthrough)) => View::Passthrough,
        _ => View::Gateway,
    }
}

/// What a parentRef names.
enum Parent<'r> {
    Gateway(Key<'r>),
    ListenerSet(Key<'r>),
    Service(Key<'r>),
}

/// Attaches a route to its parents.
pub(crate) fn attach(route: &CheckedRoute<'_>, gateways: &Gateways, input: &Lookup<'_>, findings: &mut Findings) -> Vec<Attachment> {
    let mut attachments = Vec::with_capacity(route.parents.len());
    for (index, parent) in route.parents.iter().enumerate() {
        let path = format!("spec.parentRefs[{index}]");
        match parent_of(parent, route.namespace) {
            Some(Parent::Gateway(key)) => match gateways.find(key) {
                Some(place) => attachments.extend(to_listeners(route, parent.clone(), path, (gateways, place), None, input, findings)),
                // A parent that is not ours gets no word in status ([S-11]).
                None => not_ours("Gateway", key, path, findings),
            },
            Some(Parent::ListenerSet(key)) => match gateways.find_set(key) {
                Some((place, set)) => {
                    attachments.extend(to_listeners(route, parent.clone(), path, (gateways, place), Some(set), input, findings));
                }
                None => not_ours("ListenerSet", key, path, findings),
            },
            Some(Parent::Service(key)) if input.options.features.contains(Feature::Mesh) => {
                match mesh::frontends(route, parent, key, input) {
                    None => not_ours("Service", key, path, findings),
                    Some(result) => {
                        let (frontends, refused) = match result {
                            Ok(frontends) => (frontends, None),
                            Err((reason, message)) => {
                                findings.error(Code::NotAttached, path.clone(), message.clone());
                                (BTreeSet::new(), Some((reason, format!("{path}: {message}"))))
                            }
                        };
                        let (parent, gateway, listeners) = (parent.clone(), None, BTreeMap::new());
                        attachments.push(Attachment { parent, path, gateway, listeners, frontends, refused });
                    }
                }
            }
            Some(Parent::Service(_)) | None => {
                let kind = parent.kind.as_deref().unwrap_or("Gateway");
                findings.info(Code::NotRouted, path, format!("parents of kind `{kind}` are not served here"));
            }
        }
    }
    if route.use_default_gateways {
        to_default_gateways(route, gateways, input, findings, &mut attachments);
    }
    attachments
}

/// The Services that a route has as parents.
pub(crate) fn services<'r>(route: &CheckedRoute<'r>) -> impl Iterator<Item = Key<'r>> {
    let own = route.namespace;
    route.parents.iter().filter_map(move |parent| match parent_of(parent, own)? {
        Parent::Service(key) => Some(key),
        _ => None,
    })
}

/// Group and kind of a parentRef, and the object that it names.
fn parent_of<'r>(parent: &'r ParentReference, own: &'r str) -> Option<Parent<'r>> {
    let namespace = parent.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(own);
    let key = (namespace, parent.name.as_str());
    match (parent.group.as_deref().unwrap_or(GATEWAY_GROUP), parent.kind.as_deref().unwrap_or("Gateway")) {
        (GATEWAY_GROUP, "Gateway") => Some(Parent::Gateway(key)),
        (GATEWAY_GROUP, "ListenerSet") => Some(Parent::ListenerSet(key)),
        ("" | "core", "Service") => Some(Parent::Service(key)),
        _ => None,
    }
}

fn not_ours(kind: &str, (namespace, name): Key<'_>, path: String, findings: &mut Findings) {
    let message = format!("no {kind} `{namespace}/{name}` of this controller is part of the input");
    findings.warning(Code::NotAttached, path, message);
}

/// Attaches to every default Gateway that no parentRef names ([N-1]).
fn to_default_gateways(
    route: &CheckedRoute<'_>,
    gateways: &Gateways,
    input: &Lookup<'_>,
    findings: &mut Findings,
    attachments: &mut Vec<Attachment>,
) {
    for (place, gateway) in gateways.iter().filter(|(_, gateway)| gateway.is_default()) {
        let named = |one: &Attachment| one.gateway == Some(place) && one.parent.kind.as_deref().unwrap_or("Gateway") == "Gateway";
        if attachments.iter().any(named) {
            continue;
        }
        let parent = ParentReference {
            group: Some(GATEWAY_GROUP.to_owned()),
            kind: Some("Gateway".to_owned()),
            namespace: Some(gateway.object.namespace.to_string()),
            name: gateway.object.name.to_string(),
            ..ParentReference::default()
        };
        let path = "spec.useDefaultGateways".to_owned();
        attachments.extend(to_listeners(route, parent, path, (gateways, place), None, input, findings));
    }
}

fn to_listeners(
    route: &CheckedRoute<'_>,
    parent: ParentReference,
    path: String,
    (gateways, place): (&Gateways, usize),
    set: Option<usize>,
    input: &Lookup<'_>,
    findings: &mut Findings,
) -> Option<Attachment> {
    let (listeners, refused) = match candidates(route, &parent, gateways.get(place)?, set, input) {
        Ok(listeners) => (listeners, None),
        Err((reason, message)) => {
            findings.error(Code::NotAttached, path.clone(), message.clone());
            (BTreeMap::new(), Some((reason, format!("{path}: {message}"))))
        }
    };
    Some(Attachment { parent, path, gateway: Some(place), listeners, frontends: BTreeSet::new(), refused })
}

/// The listeners that take the route. Each step filters the set, and the step that empties it gives the reason
/// ([A-5], [U-21]).
fn candidates(
    route: &CheckedRoute<'_>,
    parent: &ParentReference,
    gateway: &CheckedGateway,
    set: Option<usize>,
    input: &Lookup<'_>,
) -> Result<BTreeMap<usize, Hostnames>, Problem> {
    let http = matches!(route.kind, RouteKind::Http | RouteKind::Grpc);
    if http && parent.port.is_some() && !input.options.features.contains(Feature::HttpRouteParentRefPort) {
        // As if it were absent would be another route ([A-3]).
        return Err(("UnsupportedValue", "`port` of a parentRef is not supported here".to_owned()));
    }
    let section = parent.section_name.as_deref().filter(|name| !name.is_empty());
    let of_parent = |listener: &CheckedListener| {
        section.is_none_or(|name| *name == *listener.name) && parent.port.is_none_or(|port| port == listener.written.1)
    };
    // A Gateway has its own listeners only, a ListenerSet its own ([L-39]).
    let all: Vec<(usize, &CheckedListener)> = gateway.listeners.iter().enumerate().filter(|(_, l)| l.set == set).collect();
    let mut list = all.clone();
    list.retain(|(_, listener)| of_parent(listener));
    if list.is_empty() {
        let wanted = match (section, parent.port) {
            (Some(name), Some(port)) => format!("named `{name}` on port {port}"),
            (Some(name), None) => format!("named `{name}`"),
            (None, Some(port)) => format!("on port {port}"),
            (None, None) => "at all".to_owned(),
        };
        let kind = if set.is_some() { "ListenerSet" } else { "Gateway" };
        let known: Vec<_> = all.iter().map(|(_, l)| format!("{} ({})", l.name, l.written.1)).collect();
        let known = if known.is_empty() { "none that take part".to_owned() } else { known.join(", ") };
        return Err(("NoMatchingParent", format!("the {kind} has no listener {wanted}, only {known}")));
    }
    list.retain(|(_, listener)| {
        listener.kinds.contains(&route.kind) && listener.namespaces.allow(&listener.namespace, route.namespace, &input.index.namespaces)
    });
    if list.is_empty() {
        let message = format!("no listener allows {}s from namespace `{}`", route.kind.as_str(), route.namespace);
        return Err(("NotAllowedByListeners", message));
    }
    if route.hostnames.is_empty() {
        return Err(("UnsupportedValue", "none of spec.hostnames is a hostname".to_owned()));
    }
    let listeners: BTreeMap<usize, Hostnames> = list
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
