//! The listeners of a Gateway: which are valid, and which exclude each other ([L-1] to [L-15]).

use super::findings::{Findings, condition};
use super::input::Input;
use crate::diagnostic::Code;
use crate::model::grant::Reference;
use crate::model::hostname::{Hostname, HostnameError};
use crate::model::selector::AllowedNamespaces;
use crate::resource::GATEWAY_GROUP;
use crate::resource::gateway::{Gateway, Listener, ProtocolType, TlsMode};
use crate::resource::meta::SecretObjectReference;
use crate::resource::status::{ListenerStatus, RouteGroupKind};
use crate::table::{ListenerProtocol, RouteKind};

/// Reason and message of a condition that is not as it should be.
pub(crate) type Problem = (&'static str, String);

/// A listener, checked.
#[derive(Debug)]
pub(crate) struct CheckedListener<'r> {
    pub(crate) resource: &'r Listener,
    /// Field path of the listener.
    pub(crate) path: String,
    pub(crate) port: u16,
    /// `None` for a protocol that is not served in this version.
    pub(crate) protocol: Option<ListenerProtocol>,
    pub(crate) hostname: Option<Hostname>,
    pub(crate) namespaces: AllowedNamespaces,
    pub(crate) kinds: Vec<RouteKind>,
    /// Why it is not accepted.
    pub(crate) rejected: Option<Problem>,
    pub(crate) conflict: Option<&'static str>,
    unresolved: Option<Problem>,
    pub(crate) unprogrammed: Option<Problem>,
}

impl CheckedListener<'_> {
    /// Whether the listener takes part in traffic ([A-6]).
    pub(crate) fn accepted(&self) -> bool {
        self.rejected.is_none() && self.conflict.is_none()
    }

    /// `status` of the listener with this number of attached routes.
    pub(crate) fn status(&self, attached: usize, generation: Option<i64>) -> ListenerStatus {
        let set = |type_: &str, problem: Option<&Problem>| match problem {
            Some((reason, message)) => condition(type_, false, reason, message.clone(), generation),
            None => condition(type_, true, type_, String::new(), generation),
        };
        let conflict: Option<Problem> =
            self.conflict.map(|reason| (reason, format!("another listener on port {} excludes this one", self.port)));
        let rejected = conflict.as_ref().or(self.rejected.as_ref());
        // What is not accepted cannot be programmed; a conflict gives its reason there too ([L-4]).
        let invalid = rejected.map(|(reason, message)| (if conflict.is_some() { *reason } else { "Invalid" }, message.clone()));
        let mut conditions = vec![
            set("Accepted", rejected),
            set("Programmed", invalid.as_ref().or(self.unprogrammed.as_ref())),
            set("ResolvedRefs", self.unresolved.as_ref()),
        ];
        if let Some((reason, message)) = conflict {
            conditions.push(condition("Conflicted", true, reason, message, generation));
        }
        let kind = |kind: &RouteKind| RouteGroupKind { group: Some(GATEWAY_GROUP.into()), kind: kind.as_str().into() };
        ListenerStatus {
            name: self.resource.name.clone(),
            supported_kinds: self.kinds.iter().map(kind).collect(),
            attached_routes: i32::try_from(attached).unwrap_or(i32::MAX),
            conditions,
        }
    }
}

/// Checks the listeners of one Gateway.
pub(crate) fn check<'r>(gateway: &'r Gateway, namespace: &str, input: &Input<'r>, findings: &mut Findings) -> Vec<CheckedListener<'r>> {
    let mut checked: Vec<CheckedListener<'r>> = Vec::with_capacity(gateway.spec.listeners.len());
    for (n, listener) in gateway.spec.listeners.iter().enumerate() {
        let path = format!("spec.listeners[{n}]");
        if checked.iter().any(|earlier| earlier.resource.name == listener.name) {
            let message = format!("listener name `{}` must be unique within the Gateway: this listener is left out", listener.name);
            findings.error(Code::InvalidCombination, format!("{path}.name"), message);
            continue;
        }
        checked.push(check_one(gateway, listener, path, namespace, input, findings));
    }
    let conflicts: Vec<_> = checked.iter().map(|one| checked.iter().find_map(|other| conflict(one, other))).collect();
    for (listener, reason) in checked.iter_mut().zip(conflicts) {
        if let Some(reason) = reason {
            let message =
                format!("listener `{}` and another one on port {} exclude each other: {reason}", listener.resource.name, listener.port);
            findings.error(Code::Listener, listener.path.clone(), message);
            listener.conflict = Some(reason);
        }
    }
    checked
}

fn check_one<'r>(
    gateway: &'r Gateway,
    listener: &'r Listener,
    path: String,
    namespace: &str,
    input: &Input<'r>,
    findings: &mut Findings,
) -> CheckedListener<'r> {
    let mut rejected: Option<Problem> = None;
    let mut reject = |reason, code, at: String, message: String, findings: &mut Findings| {
        findings.error(code, at, message.clone());
        rejected.get_or_insert((reason, message));
    };
    let protocol = match &listener.protocol {
        ProtocolType::Http => Some(ListenerProtocol::Http),
        ProtocolType::Https => Some(ListenerProtocol::Https),
        other => {
            let message = match other {
                ProtocolType::Other(text) => format!("protocol `{text}` is not supported, expected HTTP or HTTPS"),
                known => format!("protocol {known} is not served in this version, expected HTTP or HTTPS"),
            };
            reject("UnsupportedProtocol", Code::Listener, format!("{path}.protocol"), message, findings);
            None
        }
    };
    let port = u16::try_from(listener.port).unwrap_or(0);
    if port == 0 {
        let message = format!("port {} is not from 1 to 65535", listener.port);
        reject("UnsupportedValue", Code::InvalidValue, format!("{path}.port"), message, findings);
    }
    let hostname = match listener.hostname.as_deref().filter(|text| !text.is_empty()).map(Hostname::parse) {
        None => None,
        Some(Ok(hostname)) => Some(hostname),
        Some(Err(error)) => {
            let message = hostname_message(listener.hostname.as_deref().unwrap_or_default(), error);
            reject("UnsupportedValue", Code::InvalidValue, format!("{path}.hostname"), message, findings);
            None
        }
    };
    let namespaces = match AllowedNamespaces::parse(listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref())) {
        Ok(namespaces) => namespaces,
        Err((field, text)) => {
            let message = format!("`{text}` is not supported: no route is let in");
            reject("UnsupportedValue", Code::UnsupportedValue, format!("{path}.allowedRoutes.namespaces{field}"), message, findings);
            AllowedNamespaces::None
        }
    };
    let tls = listener.tls.as_ref();
    if tls.is_some() && protocol == Some(ListenerProtocol::Http) {
        let message = "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']".to_owned();
        reject("UnsupportedValue", Code::InvalidCombination, format!("{path}.tls"), message, findings);
    }
    if protocol == Some(ListenerProtocol::Https) && !matches!(tls.and_then(|tls| tls.mode.as_ref()), None | Some(TlsMode::Terminate)) {
        let message = "tls mode must be Terminate for protocol HTTPS".to_owned();
        reject("UnsupportedValue", Code::UnsupportedValue, format!("{path}.tls.mode"), message, findings);
    }
    // A listener that could not be read must not let routes in by what was not read.
    let (kinds, bad_kinds) = if hostname.is_none() && listener.hostname.as_deref().is_some_and(|text| !text.is_empty()) {
        (Vec::new(), None)
    } else {
        kinds(listener, protocol, &path, findings)
    };
    let mut unresolved = bad_kinds;
    let mut unprogrammed = None;
    if protocol == Some(ListenerProtocol::Https) {
        if let Some(problem) = certificates(listener, namespace, &path, input, findings, &mut unprogrammed) {
            unresolved = Some(problem);
        }
        if asks_for_client_certificates(gateway, port) {
            let message = "client certificate validation is not supported in this version: the listener is not served without it";
            findings.error(Code::UnsupportedValue, "spec.tls.frontend", message);
            unprogrammed = Some(("Invalid", message.to_owned()));
        }
    }
    CheckedListener {
        resource: listener,
        path,
        port,
        protocol,
        hostname,
        namespaces,
        kinds,
        rejected,
        conflict: None,
        unresolved,
        unprogrammed,
    }
}

pub(crate) fn hostname_message(text: &str, error: HostnameError) -> String {
    let text = text.escape_debug();
    match error {
        HostnameError::Address => format!("`{text}` is an IP address, expected a hostname"),
        HostnameError::Pattern => format!("`{text}` is not a hostname, expected lower-case labels, `*` only as the first"),
    }
}

/// Route kinds the listener serves, and what is wrong with those it asks for ([L-8]).
fn kinds(
    listener: &Listener,
    protocol: Option<ListenerProtocol>,
    path: &str,
    findings: &mut Findings,
) -> (Vec<RouteKind>, Option<Problem>) {
    // Of a protocol that is not served the listener says so itself.
    if protocol.is_none() {
        return (Vec::new(), None);
    }
    let all = [RouteKind::Http, RouteKind::Grpc];
    let asked = listener.allowed_routes.as_ref().map_or(&[][..], |allowed| allowed.kinds.as_slice());
    if asked.is_empty() {
        return (all.to_vec(), None);
    }
    let mut kinds = Vec::new();
    let mut problem = None;
    for (n, ask) in asked.iter().enumerate() {
        let group = ask.group.as_deref().unwrap_or(GATEWAY_GROUP);
        match all.iter().find(|kind| group == GATEWAY_GROUP && kind.as_str() == ask.kind) {
            Some(kind) if !kinds.contains(kind) => kinds.push(*kind),
            Some(_) => {}
            None => {
                let message = format!("kind `{}.{group}` is not served by a listener of protocol {}", ask.kind, listener.protocol);
                findings.error(Code::RefKind, format!("{path}.allowedRoutes.kinds[{n}]"), message.clone());
                problem.get_or_insert(("InvalidRouteKinds", message));
            }
        }
    }
    (kinds, problem)
}

/// Checks the certificates; any good one is enough to serve ([L-11], [L-12]).
fn certificates(
    listener: &Listener,
    namespace: &str,
    path: &str,
    input: &Input<'_>,
    findings: &mut Findings,
    unprogrammed: &mut Option<Problem>,
) -> Option<Problem> {
    let refs = listener.tls.as_ref().map_or(&[][..], |tls| tls.certificate_refs.as_slice());
    if refs.is_empty() {
        let message = "an HTTPS listener needs `tls.certificateRefs`".to_owned();
        findings.error(Code::Listener, format!("{path}.tls"), message.clone());
        *unprogrammed = Some(("Invalid", message.clone()));
        return Some(("InvalidCertificateRef", message));
    }
    let mut problems = Vec::new();
    for (n, reference) in refs.iter().enumerate() {
        if let Err((reason, message)) = certificate(reference, namespace, input) {
            let code = if reason == "RefNotPermitted" { Code::RefNotPermitted } else { Code::RefNotFound };
            findings.error(code, format!("{path}.tls.certificateRefs[{n}]"), message.clone());
            problems.push((reason, message));
        }
    }
    if problems.len() == refs.len() {
        *unprogrammed = Some(("Invalid", "no certificate can be served".to_owned()));
    }
    let refused = problems.iter().position(|(reason, _)| *reason == "RefNotPermitted").unwrap_or(0);
    (!problems.is_empty()).then(|| problems.swap_remove(refused))
}

fn certificate(reference: &SecretObjectReference, namespace: &str, input: &Input<'_>) -> Result<(), Problem> {
    let group = reference.group.as_deref().unwrap_or("");
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    let to_namespace = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(namespace);
    let name = reference.name.as_str();
    let permitted = input.grants.permit(&Reference {
        from_group: GATEWAY_GROUP,
        from_kind: "Gateway",
        from_namespace: namespace,
        to_group: group,
        to_kind: kind,
        to_namespace,
        to_name: name,
    });
    if !permitted {
        let message = format!("no ReferenceGrant in namespace `{to_namespace}` permits this reference to {kind} `{name}`");
        return Err(("RefNotPermitted", message));
    }
    let invalid = |message: String| Err(("InvalidCertificateRef", message));
    if (group, kind) != ("", "Secret") {
        return invalid(format!("kind `{kind}.{group}` is not supported, expected Secret"));
    }
    let Some(secret) = input.secrets.get(&(to_namespace, name)) else {
        return invalid(format!("Secret `{to_namespace}/{name}` does not exist"));
    };
    // The server parses keys; here it is enough that both members are PEM texts.
    for member in ["tls.crt", "tls.key"] {
        let pem = secret.string_data.get(member).is_some_and(|text| text.trim_start().starts_with("-----BEGIN"))
            || secret.data.get(member).is_some_and(|base64| base64.trim_start().starts_with("LS0tLS1CRUdJTi"));
        if !pem {
            return invalid(format!("`{member}` of Secret `{to_namespace}/{name}` is not in PEM format"));
        }
    }
    Ok(())
}

/// Whether the Gateway validates client certificates on a port ([L-34]).
fn asks_for_client_certificates(gateway: &Gateway, port: u16) -> bool {
    let Some(frontend) = gateway.spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref()) else { return false };
    let of_port = frontend.per_port.iter().find(|entry| entry.port == i32::from(port)).map(|entry| &entry.tls);
    of_port.unwrap_or(&frontend.default).validation.is_some()
}

/// Why two listeners of one Gateway exclude each other; nobody wins ([L-3], [L-4]).
fn conflict(one: &CheckedListener<'_>, other: &CheckedListener<'_>) -> Option<&'static str> {
    use ProtocolType::{Http, Https, Tcp, Tls, Udp};
    if std::ptr::eq(one, other) || one.port != other.port || one.port == 0 {
        return None;
    }
    let same_host = one.hostname == other.hostname;
    match (&one.resource.protocol, &other.resource.protocol) {
        (ProtocolType::Other(_), _) | (_, ProtocolType::Other(_)) => None,
        (Udp, Udp) => Some("ProtocolConflict"),
        (Udp, _) | (_, Udp) => None,
        (Tcp, _) | (_, Tcp) => Some("ProtocolConflict"),
        (Http, Http) | (Https, Https) | (Tls, Tls) | (Https, Tls) | (Tls, Https) => same_host.then_some("HostnameConflict"),
        _ => Some("ProtocolConflict"),
    }
}
