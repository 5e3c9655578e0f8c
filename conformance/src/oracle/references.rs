//! References: who may refer ([RG-2]), and to what a backendRef leads ([B-4] to [B-12]).

use gatewright::Resources;
use gatewright::resource::kubernetes::ServicePort;
use gatewright::resource::meta::ObjectMeta;

use super::{GROUP, policies};

/// Namespace and name of an object; a file may leave the namespace out.
pub(super) fn name_of(meta: &ObjectMeta) -> (&str, &str) {
    (meta.namespace.as_deref().unwrap_or("default"), &meta.name)
}

/// When an object was made; without a time it is the youngest.
pub(super) fn created(meta: &ObjectMeta) -> String {
    meta.creation_timestamp.clone().unwrap_or_else(|| "9".to_owned())
}

/// One end of a reference: group, kind, namespace, and name.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a>(pub(super) &'a str, pub(super) &'a str, pub(super) &'a str, pub(super) &'a str);

/// Whether a reference stays at home or a grant in the target's namespace permits it.
pub(super) fn permitted(resources: &Resources, from: End<'_>, to: End<'_>) -> bool {
    if from.2 == to.2 {
        return true;
    }
    for grant in &resources.reference_grants {
        if name_of(&grant.metadata).0 != to.2 {
            continue;
        }
        for f in &grant.spec.from {
            for t in &grant.spec.to {
                let of_from = (f.group.as_str(), f.kind.as_str(), f.namespace.as_str()) == (from.0, from.1, from.2);
                let of_to = (t.group.as_str(), t.kind.as_str()) == (to.0, to.1);
                // An empty name is no wildcard: the API server refuses it.
                let named = t.name.as_deref().is_none_or(|name| name == to.3);
                if of_from && of_to && named {
                    return true;
                }
            }
        }
    }
    false
}

/// A backendRef as written: group, kind, namespace, name, port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ref<'r> {
    pub(super) group: Option<&'r str>,
    pub(super) kind: Option<&'r str>,
    pub(super) namespace: Option<&'r str>,
    pub(super) name: &'r str,
    pub(super) port: Option<i32>,
}

macro_rules! reference {
    ($of:expr) => {
        $crate::oracle::references::Ref {
            group: $of.group.as_deref(),
            kind: $of.kind.as_deref(),
            namespace: $of.namespace.as_deref(),
            name: &$of.name,
            port: $of.port,
        }
    };
}
pub(super) use reference;

/// Where a backendRef leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `namespace/name:port protocol`, TLS if it is asked for, and the endpoints if they are known.
    pub(super) text: String,
    /// Whether it is known to have no ready endpoint ([B-8]).
    pub(super) empty: bool,
}

/// The route that refers.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'r> {
    pub(super) kind: &'r str,
    pub(super) namespace: &'r str,
    /// Whether it is looked at through a Service: then no reference needs a grant ([A-26]).
    pub(super) mesh: bool,
    /// Whether it forwards TLS as it comes ([T-2]).
    pub(super) passthrough: bool,
}

/// Follows a backendRef of a route; the error is the reason of `ResolvedRefs`, in the order of [B-6].
pub(super) fn follow(resources: &Resources, from: From<'_>, to: Ref<'_>) -> Result<Target, &'static str> {
    let From { kind: route_kind, namespace: own, mesh, .. } = from;
    let namespace = to.namespace.unwrap_or(own);
    let (group, kind) = (to.group.unwrap_or(""), to.kind.unwrap_or("Service"));
    if !mesh && !permitted(resources, End(GROUP, route_kind, own, ""), End(group, kind, namespace, to.name)) {
        return Err("RefNotPermitted");
    }
    if (group, kind) != ("", "Service") {
        return Err("InvalidKind");
    }
    let number = to.port.ok_or("BackendNotFound")?;
    let service = resources.services.iter().find(|s| name_of(&s.metadata) == (namespace, to.name)).ok_or("BackendNotFound")?;
    if service.spec.type_.as_deref() == Some("ExternalName") {
        return Err("InvalidKind");
    }
    let transport = if route_kind == "UDPRoute" { "UDP" } else { "TCP" };
    let of_transport = |p: &&ServicePort| p.port == number && p.protocol.as_deref().unwrap_or("TCP") == transport;
    let port = service.spec.ports.iter().find(of_transport).ok_or("BackendNotFound")?;
    let (protocol, over_tls) = match (route_kind, port.app_protocol.as_deref()) {
        ("TLSRoute" | "TCPRoute", _) => ("tcp", false),
        ("UDPRoute", _) => ("udp", false),
        (_, Some("kubernetes.io/h2c")) | ("GRPCRoute", None) => ("h2c", false),
        ("HTTPRoute", None | Some("kubernetes.io/ws")) => ("http1", false),
        ("HTTPRoute", Some("kubernetes.io/wss")) => ("http1", true),
        _ => return Err("UnsupportedProtocol"),
    };
    // What is forwarded as it is has no TLS of the gateway's ([TP-1]).
    let applies = !from.passthrough && !matches!(route_kind, "TCPRoute" | "UDPRoute");
    let policy = if applies { policies::tls(resources, namespace, to.name, port.name.as_deref()) } else { None };
    let tls = match policy {
        Some(Ok(tls)) => tls,
        None if !over_tls => String::new(),
        Some(Err(())) | None => return Err("UnsupportedProtocol"),
    };
    let endpoints = endpoints(resources, namespace, to.name, port, transport);
    let known = endpoints.as_ref().map(|list| format!(" {list:?}")).unwrap_or_default();
    let text = format!("{namespace}/{}:{number} {protocol}{tls}{known}", to.name);
    Ok(Target { text, empty: endpoints.is_some_and(|list| list.is_empty()) })
}

/// The ready endpoints of a Service's port, joined by the port's name; none if no EndpointSlice speaks of the
/// Service.
fn endpoints(resources: &Resources, namespace: &str, name: &str, port: &ServicePort, transport: &str) -> Option<Vec<String>> {
    let mut known = false;
    let mut found = Vec::new();
    for slice in &resources.endpoint_slices {
        let of_service = slice.metadata.labels.get("kubernetes.io/service-name").is_some_and(|label| label == name);
        if !of_service || name_of(&slice.metadata).0 != namespace {
            continue;
        }
        known = true;
        for slice_port in &slice.ports {
            let same_name = slice_port.name.as_deref().unwrap_or("") == port.name.as_deref().unwrap_or("");
            if !same_name || slice_port.protocol.as_deref().unwrap_or("TCP") != transport {
                continue;
            }
            for endpoint in &slice.endpoints {
                if endpoint.conditions.ready != Some(false) {
                    found.push(format!("{}:{}", endpoint.addresses[0], slice_port.port.unwrap_or_default()));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    known.then_some(found)
}
