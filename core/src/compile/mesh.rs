//! Services as parents: which of their ports a route serves, and to whom ([A-20] to, GEP-1294).

use std::collections::BTreeSet;

use super::findings::Problem;
use super::lookup::{Key, Lookup};
use super::route::CheckedRoute;
use crate::features::Feature;
use crate::resource::kubernetes::ServicePort;
use crate::resource::meta::ParentReference;
use crate::table::RouteKind;

/// Stands for every port of a Service whose ports are not known.
pub(crate) use crate::table::ANY_PORT;

/// A port of a Service, and the namespace whose clients it is for; `None` is for all ([A-21]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrontendKey {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) port: u16,
    pub(crate) consumer: Option<Box<str>>,
}

/// The ports of a Service that a parentRef names; `None` when nothing is known of the Service, so that it gets no
/// word in status.
pub(crate) fn frontends(
    route: &CheckedRoute<'_>,
    parent: &ParentReference,
    key: Key<'_>,
    input: &Lookup<'_>,
) -> Option<Result<BTreeSet<FrontendKey>, Problem>> {
    let (namespace, name) = key;
    let service = input.service(namespace, name);
    if service.is_none() && !input.assumes_service(namespace) {
        return None;
    }
    // A route of another namespace than the Service's is for the clients of its own ([A-21]).
    let consumer = (route.namespace != namespace).then_some(route.namespace);
    if consumer.is_some() && !input.options.features.contains(Feature::MeshConsumerRoute) {
        return Some(Err(("UnsupportedValue", "routes for a Service of another namespace are not supported here".to_owned())));
    }
    if route.kind == RouteKind::Udp {
        return Some(Err(("UnsupportedValue", "a Service cannot be the parent of a UDPRoute here".to_owned())));
    }
    let section = parent.section_name.as_deref().filter(|name| !name.is_empty());
    let ports: Vec<u16> = match service {
        Some(service) => {
            // What has no address of its own cannot be told apart by it ([A-25]).
            let (type_, address) = (service.spec.type_.as_deref(), service.spec.cluster_ip.as_deref());
            if type_ == Some("ExternalName") || address == Some("None") {
                let what = if type_ == Some("ExternalName") { "of type ExternalName" } else { "headless" };
                return Some(Err(("UnsupportedValue", format!("Service `{namespace}/{name}` is {what} and cannot be a parent"))));
            }
            let named = |port: &&ServicePort| {
                parent.port.is_none_or(|number| number == port.port) && section.is_none_or(|name| port.name.as_deref() == Some(name))
            };
            service.spec.ports.iter().filter(named).filter_map(|port| u16::try_from(port.port).ok()).collect()
        }
        // Of an assumed Service only the port that is written is known; without one it is any.
        None if parent.port.is_none() && section.is_none() => vec![ANY_PORT],
        None => parent.port.and_then(|port| u16::try_from(port).ok()).into_iter().collect(),
    };
    if ports.is_empty() {
        return Some(Err(("NoMatchingParent", format!("Service `{namespace}/{name}` has no such port"))));
    }
    let key = |port| FrontendKey { namespace: namespace.into(), name: name.into(), port, consumer: consumer.map(Into::into) };
    Some(Ok(ports.into_iter().map(key).collect()))
}
