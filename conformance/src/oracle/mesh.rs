//! Services as parents ([A-20] to ).

use std::collections::BTreeSet;

use gatewright::Resources;
use gatewright::resource::meta::ParentReference;

use super::attach::Attachment;
use super::references::name_of;
use super::routes::Route;

/// A port of a Service, for the clients of one namespace or for all ([A-21]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Frontend {
    pub(super) service: (String, String),
    pub(super) port: i32,
    pub(super) consumer: Option<String>,
}

/// The ports of a Service that a parentRef names; the error is every reason that may be given. None where there is
/// no such Service.
pub(super) fn frontends(
    resources: &Resources,
    route: &Route<'_>,
    parent: &ParentReference,
) -> Option<Result<BTreeSet<Frontend>, BTreeSet<&'static str>>> {
    let namespace = parent.namespace.as_deref().unwrap_or(route.namespace);
    let service = resources.services.iter().find(|s| name_of(&s.metadata) == (namespace, &*parent.name))?;
    // no reason is named.
    if service.spec.type_.as_deref() == Some("ExternalName") || service.spec.cluster_ip.as_deref() == Some("None") {
        return Some(Err(BTreeSet::from(["UnsupportedValue", "NoMatchingParent"])));
    }
    let mut found = BTreeSet::new();
    for port in &service.spec.ports {
        let by_number = parent.port.is_none_or(|number| number == port.port);
        if by_number && parent.section_name.as_deref().is_none_or(|name| port.name.as_deref() == Some(name)) {
            found.insert(Frontend {
                service: (namespace.to_owned(), parent.name.clone()),
                port: port.port,
                consumer: (route.namespace != namespace).then(|| route.namespace.to_owned()),
            });
        }
    }
    Some(if found.is_empty() { Err(BTreeSet::from(["NoMatchingParent"])) } else { Ok(found) })
}

/// On one port the most specific kind of route serves alone ([A-24]).
pub(super) fn separate(routes: &[Route<'_>], all: &mut [Attachment]) {
    let rank = |n: usize| ["GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"].iter().position(|kind| *kind == routes[n].kind);
    let copies: Vec<Attachment> = all.to_vec();
    for attachment in all.iter_mut().filter(|a| !a.frontends.is_empty()) {
        let own = rank(attachment.route);
        let beaten = |frontend: &Frontend| copies.iter().any(|other| other.frontends.contains(frontend) && rank(other.route) < own);
        attachment.frontends.retain(|frontend| !beaten(frontend));
        if attachment.frontends.is_empty() {
            attachment.refused = BTreeSet::from(["Conflicted"]);
        }
    }
}
