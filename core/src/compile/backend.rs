//! From backendRefs to backends of the table ([B-4] to [B-12]).

use std::collections::{BTreeMap, BTreeSet};

use super::Status;
use super::endpoint::Transport;
use super::findings::{BadRef, Findings, RefProblem};
use super::input::Input;
use super::policy::{Ancestor, Policies, SERVICE, SERVICE_IMPORT, Use, XBACKEND};
use super::xbackend::XBackends;
use crate::diagnostic::{Code, ObjectRef};
use crate::features::{Feature, Features};
use crate::model::grant::Reference;
use crate::resource::GATEWAY_GROUP;
use crate::resource::kubernetes::ServicePort;
use crate::table::{Backend, BackendId, BackendProtocol, BackendTls, Endpoints, RouteKind};

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

/// What tells backends apart; the last says that policies on traffic do not apply ([SP-8]).
type BackendKey = (ObjectRef, u16, BackendProtocol, Option<BackendTls>, bool);

/// The backends of the table under construction; equal references share one.
#[derive(Debug)]
pub(crate) struct Backends<'i, 'r> {
    input: &'i Input<'r>,
    list: Vec<Backend>,
    index: BTreeMap<BackendKey, BackendId>,
    policies: Policies<'r>,
    xbackends: XBackends<'r>,
    /// Backends that were referred to since they were last taken: those that policies may change.
    uses: BTreeSet<Use>,
    /// Of EndpointSlices.
    findings: Vec<Findings>,
}

/// A reference, found: before it is looked at how to talk to it.
struct Found<'r> {
    object: ObjectRef,
    port: u16,
    /// The port of a Service; `None` for a Service that is assumed to exist.
    service_port: Option<&'r ServicePort>,
}

impl<'i, 'r> Backends<'i, 'r> {
    pub(crate) fn new(input: &'i Input<'r>) -> Self {
        Self {
            input,
            list: Vec::new(),
            index: BTreeMap::new(),
            policies: Policies::new(input),
            xbackends: XBackends::new(input),
            uses: BTreeSet::new(),
            findings: Vec::new(),
        }
    }

    /// The backends that were referred to since the last call, resolved or not, as far as policies apply to them.
    pub(crate) fn take_uses(&mut self) -> BTreeSet<Use> {
        std::mem::take(&mut self.uses)
    }

    /// Fills the status of policies and XBackends from what the routes of each ancestor use.
    pub(crate) fn report<'u>(&mut self, uses: impl IntoIterator<Item = (&'u Ancestor, &'u Use)> + Clone, status: &mut Status) {
        let input = self.input;
        let port_name = |used: &Use| {
            let (namespace, name) = (&*used.object.namespace, &*used.object.name);
            let ports = match (&*used.object.group, &*used.object.kind) {
                SERVICE => input.service(namespace, name)?.spec.ports.as_slice(),
                SERVICE_IMPORT => input.import(namespace, name)?.spec.ports.as_slice(),
                _ => return None,
            };
            let port = ports.iter().find(|port| port.port == i32::from(used.port) && Transport::Tcp.is(port.protocol.as_deref()))?;
            Some(port.name.as_deref().unwrap_or_default().into())
        };
        self.policies.report(uses.clone(), port_name, |object| input.has_affinity(object), status);
        status.backends = self.xbackends.report(uses);
    }

    /// The backends, and what was found out about objects that are no routes.
    pub(crate) fn finish(self) -> (Vec<Backend>, Vec<Findings>) {
        let findings = self.policies.into_findings().chain(self.xbackends.into_findings()).chain(self.findings);
        (self.list, findings.collect())
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
        self.resolve_as(from, from.kind, to, path, findings)
    }

    /// Resolves a reference to a backend that is to be talked to as the routes of `speaks` are.
    pub(crate) fn resolve_as(
        &mut self,
        from: Referrer<'_>,
        speaks: RouteKind,
        to: BackendRefParts<'_>,
        path: &str,
        findings: &mut Findings,
    ) -> Result<BackendId, BadRef> {
        let bad = |problem, field: &str, message: String| BadRef { problem, path: format!("{path}{field}"), message };
        let found = self.find(from, speaks, to, path, findings)?;
        // Nothing of TLS applies to octets that are forwarded as they are ([TP-1], [T-2]).
        let applies = from.view != View::Passthrough && !matches!(speaks, RouteKind::Tcp | RouteKind::Udp);
        if applies {
            self.uses.insert(Use { object: found.object.clone(), port: found.port });
        }
        let (protocol, tls, endpoints) = if (&*found.object.group, &*found.object.kind) == XBACKEND {
            let (protocol, tls, host) =
                self.xbackends.settings(&found.object, speaks).map_err(|(problem, message)| bad(problem, ".name", message))?;
            (protocol, tls.filter(|_| applies), Endpoints::External(host))
        } else {
            let (protocol, tls) =
                self.settings(&found, speaks, applies).map_err(|(field, message)| bad(RefProblem::UnsupportedProtocol, field, message))?;
            (protocol, tls, Endpoints::Unknown)
        };
        let conflict = from.view == View::Mesh && self.input.has_affinity(&found.object) && self.policies.has_session(&found.object);
        Ok(self.intern(found, protocol, tls, endpoints, conflict))
    }

    /// Whether the reference is permitted, of a supported kind, and leads to an object with that port.
    fn find(
        &self,
        from: Referrer<'_>,
        speaks: RouteKind,
        to: BackendRefParts<'_>,
        path: &str,
        findings: &mut Findings,
    ) -> Result<Found<'r>, BadRef> {
        let bad = |problem, field: &str, message: String| Err(BadRef { problem, path: format!("{path}{field}"), message });
        let namespace = to.namespace.filter(|namespace| !namespace.is_empty()).unwrap_or(from.namespace);
        let kind = to.kind.filter(|kind| !kind.is_empty()).unwrap_or("Service");
        let group = to.group.unwrap_or("");
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
        if (group, kind) == XBACKEND && namespace != from.namespace {
            let message = "an XBackend must be in the namespace of the route; no ReferenceGrant changes that".to_owned();
            return bad(RefProblem::RefNotPermitted, ".namespace", message);
        }
        if ![SERVICE, SERVICE_IMPORT, XBACKEND].contains(&(group, kind)) {
            let found = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
            let message = format!(
                "backends of kind `{found}` are not supported, expected Service, ServiceImport.{} or XBackend.{}",
                SERVICE_IMPORT.0, XBACKEND.0
            );
            return bad(RefProblem::InvalidKind, ".kind", message);
        }
        let object = ObjectRef::new(group, kind, namespace, to.name);
        let wanted = to.port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if (group, kind) == XBACKEND {
            let Some(port) = self.xbackends.port(&object) else {
                return bad(RefProblem::BackendNotFound, ".name", format!("XBackend `{namespace}/{}` does not exist", to.name));
            };
            // The port of the reference is optional, and must agree when set ([XB-1]).
            return match (to.port, wanted) {
                (Some(other), wanted) if wanted != Some(port) => {
                    let message = format!("XBackend `{namespace}/{}` has port {port}, not {other}", to.name);
                    bad(RefProblem::BackendNotFound, ".port", message)
                }
                _ => Ok(Found { object, port, service_port: None }),
            };
        }
        let Some(port) = wanted else {
            return bad(RefProblem::BackendNotFound, ".port", "a reference to a Service needs a port from 1 to 65535".to_owned());
        };
        let ports = if (group, kind) == SERVICE_IMPORT {
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
        let transport = Transport::of(speaks);
        let service_port = match ports {
            Some(ports) => {
                let Some(found) = ports.iter().find(|p| p.port == i32::from(port) && transport.is(p.protocol.as_deref())) else {
                    let known = ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>().join(", ");
                    let message =
                        format!("{kind} `{namespace}/{}` has no {} port {port} (its ports: {known})", to.name, transport.as_str());
                    return bad(RefProblem::BackendNotFound, ".port", message);
                };
                Some(found)
            }
            None if (group, kind) == SERVICE && self.input.assumes_service(namespace) => {
                let message = format!("Service `{namespace}/{}` is not part of the input and is assumed to exist", to.name);
                findings.info(Code::AssumedService, format!("{path}.name"), message);
                None
            }
            None => {
                let message = format!("{kind} `{namespace}/{}` does not exist", to.name);
                return bad(RefProblem::BackendNotFound, ".name", message);
            }
        };
        Ok(Found { object, port, service_port })
    }

    /// What to speak to a Service, and with which TLS: a policy decides ([P-8]), and a protocol over TLS needs one
    /// ([B-11]). The error names the field and says why nothing may be sent.
    fn settings(
        &self,
        found: &Found<'_>,
        speaks: RouteKind,
        applies: bool,
    ) -> Result<(BackendProtocol, Option<BackendTls>), (&'static str, String)> {
        let app_protocol = found.service_port.and_then(|port| port.app_protocol.as_deref());
        let what = || format!("of port {} of {} `{}/{}`", found.port, found.object.kind, found.object.namespace, found.object.name);
        let (protocol, over_tls) = protocol(app_protocol, speaks, &self.input.options.features)
            .map_err(|other| (".port", format!("appProtocol `{other}` {} cannot serve this route", what())))?;
        let policy = if applies { self.policies.tls(&found.object, found.service_port) } else { None };
        match policy {
            Some(Ok(tls)) => Ok((protocol, Some(tls.clone()))),
            Some(Err(message)) => Err((".name", message)),
            None if over_tls => {
                let app_protocol = app_protocol.unwrap_or_default();
                Err((".port", format!("appProtocol `{app_protocol}` {} needs a BackendTLSPolicy", what())))
            }
            None => Ok((protocol, None)),
        }
    }

    /// Whether it is known that nothing is ready behind a backend ([B-8]).
    pub(crate) fn has_no_endpoint(&self, id: BackendId) -> bool {
        let backend = usize::try_from(id.0).ok().and_then(|n| self.list.get(n));
        backend.is_some_and(|backend| matches!(&backend.endpoints, Endpoints::Known(list) if list.is_empty()))
    }

    fn intern(
        &mut self,
        found: Found<'r>,
        protocol: BackendProtocol,
        tls: Option<BackendTls>,
        endpoints: Endpoints,
        conflict: bool,
    ) -> BackendId {
        let key = (found.object, found.port, protocol, tls, conflict);
        if let Some(id) = self.index.get(&key) {
            return *id;
        }
        let id = BackendId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let (object, port, protocol, tls, _) = key.clone();
        let endpoints = match endpoints {
            Endpoints::Unknown => self.input.endpoints(&object, found.service_port, Transport::speaking(protocol), &mut self.findings),
            external => external,
        };
        let (session, retry_budget) = match protocol {
            BackendProtocol::Http1 | BackendProtocol::H2c if !conflict => self.policies.traffic(&object, port),
            _ => (None, None),
        };
        self.list.push(Backend { id, endpoints, tls, session, retry_budget, ..Backend::of(object, port, protocol) });
        self.index.insert(key, id);
        id
    }
}

/// What to speak for an `appProtocol`, and whether it is spoken over TLS ([B-11], [G-13]); the error is the unsupported
/// text.
fn protocol<'p>(app_protocol: Option<&'p str>, kind: RouteKind, features: &Features) -> Result<(BackendProtocol, bool), &'p str> {
    let (h2c, web_socket) = (Feature::HttpRouteBackendProtocolH2c, Feature::HttpRouteBackendProtocolWebSocket);
    let default = if kind == RouteKind::Grpc { BackendProtocol::H2c } else { BackendProtocol::Http1 };
    match (app_protocol, kind) {
        // Streams are forwarded as they are, whatever is spoken in them ([B-11]).
        (_, RouteKind::Tls | RouteKind::Tcp) => Ok((BackendProtocol::Tcp, false)),
        (_, RouteKind::Udp) => Ok((BackendProtocol::Udp, false)),
        (None | Some("" | "http" | "HTTP"), _) => Ok((default, false)),
        (Some("https" | "HTTPS"), _) => Ok((default, true)),
        (Some("kubernetes.io/ws" | "ws"), RouteKind::Http) if features.contains(web_socket) => Ok((BackendProtocol::Http1, false)),
        (Some("kubernetes.io/wss" | "wss"), RouteKind::Http) if features.contains(web_socket) => Ok((BackendProtocol::Http1, true)),
        (Some("kubernetes.io/h2c" | "h2c" | "http2" | "grpc"), _) if kind == RouteKind::Grpc || features.contains(h2c) => {
            Ok((BackendProtocol::H2c, false))
        }
        (Some(other), _) => Err(other),
    }
}
