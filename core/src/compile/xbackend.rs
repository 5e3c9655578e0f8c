//! XBackends: hosts outside of the cluster ([XB-1] to [XB-3]).

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Findings, RefProblem, condition};
use super::input::Input;
use super::policy::{self, Situation};
use super::uses::Ancestor;
use crate::diagnostic::{Code, ObjectRef};
use crate::model::grant::Reference;
use crate::model::hostname::Hostname;
use crate::model::namespace_of;
use crate::options::EndpointAddresses;
use crate::resource::backend::{XBackendParentStatus, XBackendProtocol, XBackendStatus, XBackendTls, XBackendTlsMode, XBackendType};
use crate::resource::{GATEWAY_X_GROUP, XBackend};
use crate::table::{BackendProtocol, BackendTls, RouteKind};

/// Entries of `status.parents` at most.
const LIMIT: usize = 32;

/// The XBackends of the input.
#[derive(Debug, Default)]
pub(crate) struct XBackends {
    by_name: BTreeMap<ObjectRef, Checked>,
}

/// Why a reference to an XBackend is invalid.
type Problem = (RefProblem, String);

#[derive(Debug)]
struct Checked {
    protocol: Option<XBackendProtocol>,
    generation: Option<i64>,
    port: Option<u16>,
    /// Host and TLS, or what is wrong.
    value: Result<(Box<str>, Option<BackendTls>), Problem>,
    findings: Findings,
}

impl XBackends {
    pub(crate) fn new(input: &Input<'_>) -> Self {
        let mut by_name = BTreeMap::new();
        for resource in &input.resources.backends {
            let object = ObjectRef::of_meta(GATEWAY_X_GROUP, "XBackend", &resource.metadata);
            let mut findings = Findings::new(object.clone());
            let value = check(resource, input, &mut findings).map_err(|(problem, path, message)| {
                findings.error(problem.code(), path, message.clone());
                (problem, format!("{path}: {message}"))
            });
            let port = u16::try_from(resource.spec.port.port).ok().filter(|port| *port > 0);
            let (protocol, generation) = (resource.spec.protocol.clone(), resource.metadata.generation);
            by_name.entry(object).or_insert(Checked { protocol, generation, port, value, findings });
        }
        Self { by_name }
    }

    /// The port of an XBackend; `None` when it does not exist, or has none.
    pub(crate) fn port(&self, object: &ObjectRef) -> Option<u16> {
        self.by_name.get(object)?.port
    }

    /// What to speak, with which TLS, to which host ([XB-2], [XB-3]).
    pub(crate) fn settings(
        &self,
        object: &ObjectRef,
        speaks: RouteKind,
    ) -> Result<(BackendProtocol, Option<BackendTls>, Box<str>), Problem> {
        let Some(checked) = self.by_name.get(object) else {
            return Err((RefProblem::BackendNotFound, format!("{object} does not exist")));
        };
        let (host, tls) = checked.value.as_ref().map_err(|(problem, message)| (*problem, format!("{object}: {message}")))?;
        let protocol = protocol(checked.protocol.as_ref(), speaks)
            .map_err(|found| (RefProblem::UnsupportedProtocol, format!("protocol `{found}` of {object} cannot serve this route")))?;
        Ok((protocol, tls.clone(), host.clone()))
    }

    /// The status of those of these objects, or of all: one entry for each Gateway that uses it.
    pub(crate) fn report(
        &self,
        named: Option<&BTreeSet<ObjectRef>>,
        situation: &Situation<'_>,
    ) -> Vec<(ObjectRef, Option<XBackendStatus>)> {
        let list: Vec<(&ObjectRef, &Checked)> = match named {
            None => self.by_name.iter().collect(),
            Some(objects) => objects.iter().filter_map(|object| self.by_name.get_key_value(object)).collect(),
        };
        list.into_iter().map(|(object, checked)| (object.clone(), status(object, checked, situation))).collect()
    }

    /// What was found.
    pub(crate) fn findings(&mut self) -> Vec<Findings> {
        let all = self.by_name.iter_mut();
        all.map(|(object, checked)| Findings { object: object.clone(), list: std::mem::take(&mut checked.findings.list) }).collect()
    }
}

fn status(object: &ObjectRef, checked: &Checked, situation: &Situation<'_>) -> Option<XBackendStatus> {
    let parents: BTreeSet<&Ancestor> = situation.uses.of(object).map(|(ancestor, _)| ancestor).collect();
    let accepted = match &checked.value {
        Ok(_) => condition("Accepted", true, "Accepted", "", checked.generation),
        Err((_, message)) => condition("Accepted", false, "Invalid", message.clone(), checked.generation),
    };
    let entry = |(parent, controller): (&ObjectRef, &str)| XBackendParentStatus {
        parent_ref: policy::ancestor(parent),
        controller_name: controller.to_owned(),
        conditions: vec![accepted.clone()],
    };
    let names = parents.iter().filter_map(|ancestor| ancestor.names(situation.gateways, situation.controller));
    (!parents.is_empty()).then(|| XBackendStatus { parents: names.take(LIMIT).map(entry).collect() })
}

/// Problem, field path and message.
type Fault = (RefProblem, &'static str, String);

fn check(resource: &XBackend, input: &Input<'_>, findings: &mut Findings) -> Result<(Box<str>, Option<BackendTls>), Fault> {
    let spec = &resource.spec;
    if let XBackendType::Other(other) = &spec.type_ {
        return Err((RefProblem::InvalidKind, "spec.type", format!("type `{other}` is not supported, expected ExternalHostname")));
    }
    let host = spec.external_hostname.as_ref().map(|external| external.hostname.as_str());
    let at = "spec.externalHostname.hostname";
    let Some(host) = host else {
        let message = "externalHostname must be set when type is ExternalHostname and must be unset otherwise".to_owned();
        return Err((RefProblem::BackendNotFound, "spec.externalHostname", message));
    };
    let valid = matches!(Hostname::parse(host), Ok(Hostname::Exact(_))) && !in_zone(host, "cluster.local");
    if !valid {
        let message = "hostname must not be an IP address or end with .cluster.local, and be a precise hostname".to_owned();
        return Err((RefProblem::BackendNotFound, at, message));
    }
    if in_zone(host, "localhost") && input.options.endpoint_addresses != EndpointAddresses::Any {
        return Err((RefProblem::BackendNotFound, at, format!("`{host}` is the gateway itself: no traffic is sent there")));
    }
    if u16::try_from(spec.port.port).ok().is_none_or(|port| port == 0) {
        return Err((RefProblem::BackendNotFound, "spec.port.port", format!("port {} is not from 1 to 65535", spec.port.port)));
    }
    let tls = match &spec.tls {
        None => None,
        Some(tls) => tls_settings(tls, namespace_of(&resource.metadata), input, findings)?,
    };
    if tls.is_none() {
        findings.warning(Code::Insecure, "spec.tls", "traffic leaves the cluster without TLS");
    }
    Ok((host.into(), tls))
}

fn in_zone(host: &str, zone: &str) -> bool {
    host.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A field that cannot be honoured makes the reference invalid: nothing is sent without the TLS that was asked for.
fn tls_settings(tls: &XBackendTls, namespace: &str, input: &Input<'_>, findings: &mut Findings) -> Result<Option<BackendTls>, Fault> {
    let fault = |path, message: String| (RefProblem::UnsupportedProtocol, path, message);
    let shows = match &tls.mode {
        XBackendTlsMode::None | XBackendTlsMode::ServerOnly => false,
        XBackendTlsMode::ClientAndServer => true,
        XBackendTlsMode::Other(other) => {
            let message = format!("mode `{other}` is not supported, expected {}", XBackendTlsMode::KNOWN.join(", "));
            return Err(fault("spec.tls.mode", message));
        }
    };
    if shows != tls.client_certificate_ref.is_some() {
        let message = "clientCertificateRef must be set if and only if mode is ClientAndServer".to_owned();
        return Err(fault("spec.tls", message));
    }
    if tls.mode == XBackendTlsMode::None {
        return Ok(None);
    }
    let Some(validation) = &tls.validation else {
        let message = "a backend without `validation` could be anybody: nothing is sent to it".to_owned();
        return Err(fault("spec.tls.validation", message));
    };
    let (settings, _) = policy::validation(validation, namespace, "spec.tls.validation", input, findings);
    let mut settings = settings.map_err(|(_, message)| fault("spec.tls.validation", message))?;
    if let Some(reference) = &tls.client_certificate_ref {
        let (group, kind) = (reference.group.as_deref().unwrap_or(""), reference.kind.as_deref().unwrap_or("Secret"));
        let to_namespace = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(namespace);
        let permitted = input.lookup.index.grants.permit(&Reference {
            from_group: GATEWAY_X_GROUP,
            from_kind: "XBackend",
            from_namespace: namespace,
            to_group: group,
            to_kind: kind,
            to_namespace,
            to_name: &reference.name,
        });
        let problem = if !permitted {
            Some(format!("no ReferenceGrant in namespace `{to_namespace}` permits this reference to {kind} `{}`", reference.name))
        } else if (group, kind) != ("", "Secret") {
            Some(format!("kind `{kind}.{group}` is not supported, expected Secret"))
        } else if !input.secrets.contains_key(&(to_namespace, reference.name.as_str())) {
            Some(format!("Secret `{to_namespace}/{}` does not exist", reference.name))
        } else {
            None
        };
        if let Some(message) = problem {
            return Err(fault("spec.tls.clientCertificateRef", message));
        }
        settings.client_certificate = Some(ObjectRef::new("", "Secret", to_namespace, &reference.name));
    }
    Ok(Some(settings))
}

/// What to speak for a `protocol` ([XB-2]); absent means what the route speaks. The error is the unsupported text.
fn protocol(protocol: Option<&XBackendProtocol>, speaks: RouteKind) -> Result<BackendProtocol, &str> {
    use XBackendProtocol::{H2c, Http, Http2, Http11, Mcp, Other, Tcp};
    match (speaks, protocol) {
        (_, Some(Other(other))) => Err(other),
        (RouteKind::Tls | RouteKind::Tcp, _) => Ok(BackendProtocol::Tcp),
        (RouteKind::Udp, _) => Err("UDP"),
        (_, Some(Tcp)) => Err("TCP"),
        (RouteKind::Grpc, Some(Http11 | Mcp)) => Err(protocol.map_or("", XBackendProtocol::as_str)),
        (RouteKind::Grpc, _) | (_, Some(Http2 | H2c)) => Ok(BackendProtocol::H2c),
        // MCP is spoken in HTTP requests.
        (RouteKind::Http, None | Some(Http | Http11 | Mcp)) => Ok(BackendProtocol::Http1),
    }
}
