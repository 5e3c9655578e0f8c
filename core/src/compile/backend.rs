//! From backendRefs to backends of the table ([B-4] to [B-12]).

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{BadRef, Findings, RefProblem};
use super::input::Input;
use crate::diagnostic::{Code, ObjectRef};
use crate::model::grant::Reference;
use crate::resource::GATEWAY_GROUP;
use crate::resource::kubernetes::{EndpointSlice, ServicePort};
use crate::table::{Backend, BackendId, BackendProtocol, Endpoint, Endpoints, RouteKind};

/// The parts of a backendRef that say what it refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackendRefParts<'a> {
    pub(crate) group: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) port: Option<i32>,
}

macro_rules! parts {
    ($reference:expr) => {
        $crate::compile::backend::BackendRefParts {
            group: $reference.group.as_deref(),
            kind: $reference.kind.as_deref(),
            name: &$reference.name,
            namespace: $reference.namespace.as_deref(),
            port: $reference.port,
        }
    };
}
pub(crate) use parts;

/// Who refers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referrer<'a> {
    pub(crate) kind: RouteKind,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) view: View,
}

/// Through which kind of parent a route is looked at: its backends may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum View {
    /// A listener of a Gateway or ListenerSet.
    Gateway,
    /// A TLS listener that forwards what it cannot read: nothing of a backend's TLS settings applies ([T-2]).
    Passthrough,
    /// A Service of a mesh: references need no grant ([A-26]).
    Mesh,
}

/// The backends of the table under construction; equal references share one.
#[derive(Debug)]
pub(crate) struct Backends<'i, 'r> {
    input: &'i Input<'r>,
    pub(crate) list: Vec<Backend>,
    index: BTreeMap<(ObjectRef, u16, BackendProtocol), BackendId>,
}

impl<'i, 'r> Backends<'i, 'r> {
    pub(crate) fn new(input: &'i Input<'r>) -> Self {
        Self { input, list: Vec::new(), index: BTreeMap::new() }
    }

    /// Resolves a reference. The checks stand in the order of [B-6]: permission before existence, so that no
    /// answer reveals what another namespace holds ([RG-5]).
    pub(crate) fn resolve(
        &mut self,
        from: Referrer<'_>,
        to: BackendRefParts<'_>,
        path: &str,
        findings: &mut Findings,
    ) -> Result<BackendId, BadRef> {
        let bad = |problem, field: &str, message: String| Err(BadRef { problem, path: format!("{path}{field}"), message });
        let namespace = to.namespace.filter(|namespace| !namespace.is_empty()).unwrap_or(from.namespace);
        let kind = to.kind.filter(|kind| !kind.is_empty()).unwrap_or("Service");
        let group = match to.group {
            Some("core") => {
                findings.warning(
                    Code::InvalidValue,
                    format!("{path}.group"),
                    "group `core` means the core group, which is written as an empty text",
                );
                ""
            }
            group => group.unwrap_or(""),
        };
        let reference = Reference {
            from_group: GATEWAY_GROUP,
            from_kind: from.kind.as_str(),
            from_namespace: from.namespace,
            to_group: group,
            to_kind: kind,
            to_namespace: namespace,
            to_name: to.name,
        };
        if from.view != View::Mesh && !self.input.grants.permit(&reference) {
            let message = format!("no ReferenceGrant in namespace `{namespace}` permits this reference to {kind} `{}`", to.name);
            return bad(RefProblem::RefNotPermitted, ".namespace", message);
        }
        if !matches!((group, kind), ("", "Service") | ("multicluster.x-k8s.io", "ServiceImport")) {
            let found = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
            let message = format!("backends of kind `{found}` are not supported, expected Service or ServiceImport.multicluster.x-k8s.io");
            return bad(RefProblem::InvalidKind, ".kind", message);
        }
        let Some(port) = to.port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) else {
            return bad(RefProblem::BackendNotFound, ".port", "a reference to a Service needs a port from 1 to 65535".to_owned());
        };
        let ports = if kind == "ServiceImport" {
            self.input.import(namespace, to.name).map(|import| import.spec.ports.as_slice())
        } else {
            match self.input.service(namespace, to.name) {
                Some(service) if service.spec.type_.as_deref() == Some("ExternalName") => {
                    let message = format!("Service `{namespace}/{}` is of type ExternalName, which is not supported for security", to.name);
                    return bad(RefProblem::InvalidKind, ".name", message);
                }
                service => service.map(|service| service.spec.ports.as_slice()),
            }
        };
        let service_port = match ports {
            Some(ports) => {
                let Some(found) = ports.iter().find(|p| p.port == i32::from(port) && is_tcp(p.protocol.as_deref())) else {
                    let known = ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>().join(", ");
                    let message = format!("{kind} `{namespace}/{}` has no TCP port {port} (its ports: {known})", to.name);
                    return bad(RefProblem::BackendNotFound, ".port", message);
                };
                Some(found)
            }
            None if kind == "Service" && self.input.assumes_service(namespace) => {
                let message = format!("Service `{namespace}/{}` is not part of the input and is assumed to exist", to.name);
                findings.info(Code::AssumedService, format!("{path}.name"), message);
                None
            }
            None => {
                let message = format!("{kind} `{namespace}/{}` does not exist", to.name);
                return bad(RefProblem::BackendNotFound, ".name", message);
            }
        };
        let protocol = match protocol(service_port.and_then(|p| p.app_protocol.as_deref()), from.kind) {
            Ok(protocol) => protocol,
            Err(found) => {
                let message = format!("appProtocol `{found}` of port {port} of {kind} `{namespace}/{}` cannot serve this route", to.name);
                return bad(RefProblem::UnsupportedProtocol, ".port", message);
            }
        };
        if self.input.wants_tls(kind, namespace, to.name) {
            let message =
                format!("a BackendTLSPolicy asks for TLS towards {kind} `{namespace}/{}`, which is not supported in this version", to.name);
            return bad(RefProblem::UnsupportedProtocol, ".name", message);
        }
        let slices = self.input.slices(kind, namespace, to.name);
        let endpoints = || endpoints(slices, service_port);
        Ok(self.intern(ObjectRef::new(group, kind, namespace, to.name), port, protocol, endpoints))
    }

    fn intern(&mut self, object: ObjectRef, port: u16, protocol: BackendProtocol, endpoints: impl FnOnce() -> Endpoints) -> BackendId {
        let next = BackendId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let list = &mut self.list;
        *self.index.entry((object.clone(), port, protocol)).or_insert_with(|| {
            list.push(Backend { id: next, endpoints: endpoints(), ..Backend::of(object, port, protocol) });
            next
        })
    }
}

fn is_tcp(protocol: Option<&str>) -> bool {
    matches!(protocol, None | Some("" | "TCP"))
}

/// What to speak for an `appProtocol` ([B-11], [G-13]); the error is the unsupported text.
fn protocol(app_protocol: Option<&str>, kind: RouteKind) -> Result<BackendProtocol, &str> {
    match (app_protocol, kind) {
        // Streams are forwarded as they are, whatever is spoken in them ([B-11]).
        (_, RouteKind::Tls | RouteKind::Tcp) => Ok(BackendProtocol::Tcp),
        (_, RouteKind::Udp) => Ok(BackendProtocol::Udp),
        (None | Some("" | "http" | "HTTP"), RouteKind::Grpc) => Ok(BackendProtocol::H2c),
        (None | Some("" | "http" | "HTTP"), RouteKind::Http) | (Some("kubernetes.io/ws" | "ws"), RouteKind::Http) => {
            Ok(BackendProtocol::Http1)
        }
        (Some("kubernetes.io/h2c" | "h2c" | "http2" | "grpc"), _) => Ok(BackendProtocol::H2c),
        (Some(other), _) => Err(other),
    }
}

/// The ready endpoints behind a Service port, joined by the port's name ([B-8], [B-10]).
fn endpoints(slices: &[&EndpointSlice], port: Option<&ServicePort>) -> Endpoints {
    if slices.is_empty() {
        return Endpoints::Unknown;
    }
    let name = port.and_then(|port| port.name.as_deref()).unwrap_or("");
    let mut found = BTreeSet::new();
    for slice in slices {
        let number = slice
            .ports
            .iter()
            .find(|p| p.name.as_deref().unwrap_or("") == name && is_tcp(p.protocol.as_deref()))
            .and_then(|p| u16::try_from(p.port?).ok());
        let Some(number) = number else { continue };
        let ready = slice.endpoints.iter().filter(|endpoint| endpoint.conditions.ready != Some(false));
        let addresses = ready.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok());
        found.extend(addresses.map(|address| Endpoint { address, port: number }));
    }
    Endpoints::Known(found.into_iter().collect())
}
