//! From backendRefs to backends of the table ([B-4] to [B-12]).

use std::collections::BTreeSet;

use super::endpoint::Transport;
use super::findings::{BadRef, Findings, RefProblem};
use super::lookup::{ByName, Key, Lookup};
use super::policy::{Policies, SERVICE, SERVICE_IMPORT, Use, XBACKEND};
use super::xbackend::XBackends;
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
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

/// The backends of a table; equal references share one.
#[derive(Debug, Default)]
pub(crate) struct BackendStore {
    /// By id.
    list: Vec<Slot>,
    /// By the name of the object, of whatever kind.
    by_name: ByName<Vec<BackendId>>,
    free: BTreeSet<BackendId>,
    /// New or changed since they were last taken.
    changed: BTreeSet<BackendId>,
    /// Without a user since they were last taken, perhaps.
    idle: BTreeSet<BackendId>,
    noted: Noted,
}

/// EndpointSlices of which something is found, or no more, and the names of the backends.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) slices: BTreeSet<ObjectRef>,
    pub(crate) behind: BTreeSet<(Box<str>, Box<str>)>,
}

impl Noted {
    fn note(&mut self, object: &ObjectRef, findings: &[Diagnostic]) {
        if !findings.is_empty() {
            self.slices.extend(findings.iter().filter_map(|diagnostic| diagnostic.object.clone()));
            self.behind.insert((object.namespace.clone(), object.name.clone()));
        }
    }
}

#[derive(Debug)]
struct Slot {
    backend: Backend,
    /// Policies on traffic do not apply ([SP-8]).
    conflict: bool,
    /// Number of the routes that refer to it.
    users: usize,
    /// Of EndpointSlices.
    findings: Vec<Diagnostic>,
}

impl BackendStore {
    fn slot(&self, id: BackendId) -> Option<&Slot> {
        self.list.get(usize::try_from(id.0).ok()?)
    }

    fn slot_mut(&mut self, id: BackendId) -> Option<&mut Slot> {
        self.list.get_mut(usize::try_from(id.0).ok()?)
    }

    /// Counts a route that refers to a backend.
    pub(crate) fn hold(&mut self, id: BackendId) {
        if let Some(slot) = self.slot_mut(id) {
            slot.users = slot.users.saturating_add(1);
        }
    }

    /// A route refers no more to a backend.
    pub(crate) fn release(&mut self, id: BackendId) {
        if let Some(slot) = self.slot_mut(id) {
            slot.users = slot.users.saturating_sub(1);
            self.idle.insert(id);
        }
    }

    /// Forgets what no route refers to; its ids are used again.
    pub(crate) fn sweep(&mut self) -> Vec<BackendId> {
        let mut swept = Vec::new();
        for id in std::mem::take(&mut self.idle) {
            let Some(slot) = self.slot_mut(id).filter(|slot| slot.users == 0) else { continue };
            let findings = std::mem::take(&mut slot.findings);
            let object = slot.backend.object.clone();
            self.noted.note(&object, &findings);
            let key = (&*object.namespace, &*object.name);
            let Some(ids) = self.by_name.get_mut(key).filter(|ids| ids.contains(&id)) else { continue };
            ids.retain(|one| *one != id);
            if ids.is_empty() {
                self.by_name.remove(key);
            }
            self.free.insert(id);
            self.changed.remove(&id);
            swept.push(id);
        }
        swept
    }

    /// The backends that are new or have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<Backend> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|id| Some(self.slot(id)?.backend.clone())).collect()
    }

    /// Where something was found, or is no more, since the last call.
    pub(crate) fn take_noted(&mut self) -> Noted {
        std::mem::take(&mut self.noted)
    }

    /// What was found about the EndpointSlices behind the backends.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().flat_map(|slot| &slot.findings)
    }

    /// The same of the backends of one name.
    pub(crate) fn findings_of(&self, key: Key<'_>) -> impl Iterator<Item = &Diagnostic> {
        self.by_name.get(key).into_iter().flatten().filter_map(|id| self.slot(*id)).flat_map(|slot| &slot.findings)
    }

    /// Reads the endpoints of the backends of a name again. Gives whether it is now known of one of them that nothing is
    /// ready behind it, or no more known.
    pub(crate) fn refresh(&mut self, key: Key<'_>, lookup: &Lookup<'_>) -> bool {
        let mut turned = false;
        for id in self.by_name.get(key).cloned().unwrap_or_default() {
            let Some(slot) = usize::try_from(id.0).ok().and_then(|n| self.list.get_mut(n)) else { continue };
            if matches!(slot.backend.endpoints, Endpoints::External(_)) {
                continue;
            }
            let mut findings = Vec::new();
            let endpoints = lookup.endpoints_of(&slot.backend.object, slot.backend.port, slot.backend.protocol, &mut findings);
            let before = std::mem::replace(&mut slot.findings, findings);
            self.noted.note(&slot.backend.object, &slot.findings);
            self.noted.note(&slot.backend.object, &before);
            if endpoints != slot.backend.endpoints {
                turned |= is_empty(&endpoints) != is_empty(&slot.backend.endpoints);
                slot.backend.endpoints = endpoints;
                self.changed.insert(id);
            }
        }
        turned
    }
}

/// Whether it is known that nothing is ready ([B-8]).
fn is_empty(endpoints: &Endpoints) -> bool {
    matches!(endpoints, Endpoints::Known(list) if list.is_empty())
}

impl Lookup<'_> {
    /// The port of a Service or ServiceImport that speaks a protocol.
    fn port(&self, object: &ObjectRef, number: u16, transport: Transport) -> Option<&ServicePort> {
        let ports = match (&*object.group, &*object.kind) {
            SERVICE => &self.service(&object.namespace, &object.name)?.spec.ports,
            SERVICE_IMPORT => &self.import(&object.namespace, &object.name)?.spec.ports,
            _ => return None,
        };
        ports.iter().find(|port| port.port == i32::from(number) && transport.is(port.protocol.as_deref()))
    }

    /// The endpoints of a backend.
    fn endpoints_of(&self, object: &ObjectRef, port: u16, protocol: BackendProtocol, findings: &mut Vec<Diagnostic>) -> Endpoints {
        let transport = Transport::speaking(protocol);
        self.endpoints(object, self.port(object, port, transport), transport, findings)
    }

    /// The name of a port in use; `None` when it is not known.
    pub(crate) fn port_name(&self, used: &Use) -> Option<Box<str>> {
        self.port(&used.object, used.port, Transport::Tcp).map(|port| port.name.as_deref().unwrap_or_default().into())
    }
}

/// A reference, found: before it is looked at how to talk to it.
struct Found<'r> {
    object: ObjectRef,
    port: u16,
    /// The port of a Service; `None` for a Service that is assumed to exist.
    service_port: Option<&'r ServicePort>,
}

/// What a route refers to.
#[derive(Debug, Default)]
pub(crate) struct Referred {
    pub(crate) backends: BTreeSet<BackendId>,
    /// Services, found or not; marked if requests are mirrored there.
    pub(crate) services: ByName<bool>,
    /// Backends that policies or XBackends may ask for, resolved or not.
    uses: BTreeSet<Use>,
}

impl Referred {
    /// To a Service.
    pub(crate) fn refer(&mut self, key: Key<'_>) {
        if self.services.get(key).is_none() {
            self.services.insert(key, false);
        }
    }
}

/// References of routes, resolved to backends.
#[derive(Debug)]
pub(crate) struct Backends<'i> {
    pub(crate) lookup: Lookup<'i>,
    pub(crate) policies: &'i Policies,
    pub(crate) xbackends: &'i XBackends,
    pub(crate) store: &'i mut BackendStore,
    /// By one route.
    pub(crate) referred: Referred,
}

impl<'i> Backends<'i> {
    /// The backends that were referred to since the last call, as far as policies apply to them.
    pub(crate) fn take_uses(&mut self) -> BTreeSet<Use> {
        std::mem::take(&mut self.referred.uses)
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
        let asked = self.policies.name(&found.object) || (&*found.object.group, &*found.object.kind) == XBACKEND;
        if applies && asked {
            self.referred.uses.insert(Use { object: found.object.clone(), port: found.port });
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
        let conflict = from.view == View::Mesh && self.lookup.has_affinity(&found.object) && self.policies.has_session(&found.object);
        Ok(self.intern(found, protocol, tls, endpoints, conflict))
    }

    /// Whether the reference is permitted, of a supported kind, and leads to an object with that port.
    fn find(
        &mut self,
        from: Referrer<'_>,
        speaks: RouteKind,
        to: BackendRefParts<'_>,
        path: &str,
        findings: &mut Findings,
    ) -> Result<Found<'i>, BadRef> {
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
        if from.view != View::Mesh && !self.lookup.index.grants.permit(&reference) {
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
            self.lookup.import(namespace, to.name).map(|import| import.spec.ports.as_slice())
        } else {
            self.referred.refer((namespace, to.name));
            match self.lookup.service(namespace, to.name) {
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
            None if (group, kind) == SERVICE && self.lookup.assumes_service(namespace) => {
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
        let (protocol, over_tls) = protocol(app_protocol, speaks, &self.lookup.options.features)
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

    /// Whether a mirror may be sent to: nobody waits for a copy that nobody can take ([F-42]).
    pub(crate) fn takes_mirror(&mut self, id: BackendId) -> bool {
        let Some(slot) = self.store.slot(id) else { return false };
        // A ServiceImport has endpoints, too.
        self.referred.services.insert((&slot.backend.object.namespace, &slot.backend.object.name), true);
        !is_empty(&slot.backend.endpoints)
    }

    fn intern(
        &mut self,
        found: Found<'i>,
        protocol: BackendProtocol,
        tls: Option<BackendTls>,
        endpoints: Endpoints,
        conflict: bool,
    ) -> BackendId {
        let object = found.object;
        let same = |slot: &Slot| {
            let Slot { backend: known, conflict: of_slot, .. } = slot;
            (known.port, known.protocol, *of_slot) == (found.port, protocol, conflict) && known.object == object && known.tls == tls
        };
        let named = self.store.by_name.get((&object.namespace, &object.name)).into_iter().flatten();
        if let Some(id) = named.copied().find(|id| self.store.slot(*id).is_some_and(same)) {
            self.referred.backends.insert(id);
            return id;
        }
        let next = BackendId(u32::try_from(self.store.list.len()).unwrap_or(u32::MAX));
        let id = self.store.free.pop_first().unwrap_or(next);
        let port = found.port;
        let mut findings = Vec::new();
        let endpoints = match endpoints {
            Endpoints::Unknown => self.lookup.endpoints(&object, found.service_port, Transport::speaking(protocol), &mut findings),
            external => external,
        };
        let (session, retry_budget) = match protocol {
            BackendProtocol::Http1 | BackendProtocol::H2c if !conflict => self.policies.traffic(&object, port),
            _ => (None, None),
        };
        self.store.by_name.entry((&object.namespace, &object.name)).push(id);
        self.store.noted.note(&object, &findings);
        let backend = Backend { id, endpoints, tls, session, retry_budget, ..Backend::of(object, port, protocol) };
        let slot = Slot { backend, conflict, users: 0, findings };
        match self.store.slot_mut(id) {
            Some(free) => *free = slot,
            None => self.store.list.push(slot),
        }
        self.store.changed.insert(id);
        // Until the route that refers to it is counted.
        self.store.idle.insert(id);
        self.referred.backends.insert(id);
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
