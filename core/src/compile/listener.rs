//! One listener of a Gateway or ListenerSet: whether it is valid, which routes it takes, and its status ([L-8] to
//! [L-15], [L-30]).

use super::findings::{Findings, Problem, condition};
use super::input::Input;
use super::tls::{self, Owner};
use crate::diagnostic::{Code, ObjectRef};
use crate::features::{Feature, Features};
use crate::model::hostname::{Hostname, HostnameError};
use crate::model::selector::AllowedNamespaces;
use crate::resource::GATEWAY_GROUP;
use crate::resource::gateway::{Gateway, Listener, ProtocolType, TlsMode};
use crate::resource::status::{ListenerStatus, RouteGroupKind};
use crate::table::{ClientValidation, ListenerProtocol, ListenerTls, RouteKind};

/// A listener, checked.
#[derive(Debug)]
pub(crate) struct CheckedListener {
    pub(crate) name: Box<str>,
    /// As written.
    pub(crate) written: (ProtocolType, i32),
    /// Namespace of the object that has it ([L-15]).
    pub(crate) namespace: Box<str>,
    /// The ListenerSet that has it, by its place among those of the Gateway.
    pub(crate) set: Option<usize>,
    /// Field path of the listener.
    pub(crate) path: String,
    pub(crate) port: u16,
    /// `None` for a protocol that is not served.
    pub(crate) protocol: Option<ListenerProtocol>,
    pub(crate) hostname: Option<Hostname>,
    /// Whether port and hostname could be read.
    pub(crate) readable: bool,
    pub(crate) namespaces: AllowedNamespaces,
    pub(crate) kinds: Vec<RouteKind>,
    /// Why it is not accepted.
    pub(crate) rejected: Option<Problem>,
    pub(crate) conflict: Option<&'static str>,
    /// Whether a client may reuse a connection to it for another listener ([L-33]).
    pub(crate) overlaps: bool,
    pub(crate) unresolved: Option<Problem>,
    pub(crate) unprogrammed: Option<Problem>,
    pub(crate) certificates: Vec<ObjectRef>,
    pub(crate) client_validation: Option<ClientValidation>,
}

impl CheckedListener {
    /// Whether the listener takes part in traffic ([A-6]).
    pub(crate) fn accepted(&self) -> bool {
        self.rejected.is_none() && self.conflict.is_none()
    }

    /// Whether it can be served.
    pub(crate) fn programmed(&self) -> bool {
        self.accepted() && self.unprogrammed.is_none()
    }

    /// How it decrypts, if it does.
    pub(crate) fn tls(&self) -> Option<ListenerTls> {
        matches!(self.protocol, Some(ListenerProtocol::Https | ListenerProtocol::TlsTerminate))
            .then(|| ListenerTls { certificates: self.certificates.clone().into(), client_validation: self.client_validation.clone() })
    }

    /// `status` of the listener with this number of attached routes.
    pub(crate) fn status(&self, attached: usize, generation: Option<i64>) -> ListenerStatus {
        let set = |type_: &str, problem: Option<&Problem>| match problem {
            Some((reason, message)) => condition(type_, false, reason, message.clone(), generation),
            None => condition(type_, true, type_, String::new(), generation),
        };
        // Whose listener excludes this one is not for its owner to know ([L-42]).
        let conflict: Option<Problem> =
            self.conflict.map(|reason| (reason, format!("{}: another listener on port {} excludes this one", self.path, self.port)));
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
        if self.overlaps {
            let message = format!("{}.hostname: another listener on port {} answers TLS for some of its hosts", self.path, self.port);
            conditions.push(condition("OverlappingTLSConfig", true, "OverlappingHostnames", message, generation));
        }
        let kind = |kind: &RouteKind| RouteGroupKind { group: Some(GATEWAY_GROUP.into()), kind: kind.as_str().into() };
        ListenerStatus {
            name: self.name.to_string(),
            supported_kinds: self.kinds.iter().map(kind).collect(),
            attached_routes: i32::try_from(attached).unwrap_or(i32::MAX),
            conditions,
        }
    }
}

/// Checks the listeners of one object, each by itself.
pub(crate) fn check(
    list: &[Listener],
    owner: Owner<'_>,
    set: Option<usize>,
    gateway: (&Gateway, &str),
    input: &Input<'_>,
    findings: &mut Findings,
) -> Vec<CheckedListener> {
    let mut checked: Vec<CheckedListener> = Vec::with_capacity(list.len());
    for (n, listener) in list.iter().enumerate() {
        let path = format!("spec.listeners[{n}]");
        if checked.iter().any(|earlier| *earlier.name == *listener.name) {
            let message = format!("listener name `{}` must be unique within the Gateway", listener.name);
            findings.error_with(Code::InvalidCombination, format!("{path}.name"), message, "the listener is left out");
            continue;
        }
        checked.push(check_one(listener, owner, set, path, gateway, input, findings));
    }
    checked
}

fn check_one(
    listener: &Listener,
    owner: Owner<'_>,
    set: Option<usize>,
    path: String,
    (gateway, gateway_namespace): (&Gateway, &str),
    input: &Input<'_>,
    findings: &mut Findings,
) -> CheckedListener {
    let mut rejected: Option<Problem> = None;
    let mut reject = |reason, code, at: String, message: String, findings: &mut Findings| {
        findings.error_with(code, at.clone(), message.clone(), "the listener is left out");
        rejected.get_or_insert((reason, format!("{at}: {message}")));
    };
    let features = input.options.features;
    let protocol = match protocol(listener, &path, features) {
        Ok(protocol) => Some(protocol),
        Err((reason, code, at, message)) => {
            reject(reason, code, at, message, findings);
            None
        }
    };
    let port = u16::try_from(listener.port).unwrap_or(0);
    if port == 0 {
        let message = format!("port {} is not from 1 to 65535", listener.port);
        reject("UnsupportedValue", Code::InvalidValue, format!("{path}.port"), message, findings);
    } else if input.options.unavailable_ports.contains(&port) {
        reject("PortUnavailable", Code::Listener, format!("{path}.port"), format!("port {port} cannot be opened"), findings);
    }
    let written = listener.hostname.as_deref().filter(|text| !text.is_empty());
    let hostname = match written.map(Hostname::parse) {
        None => None,
        Some(Ok(hostname)) => Some(hostname),
        Some(Err(error)) => {
            let message = hostname_message(written.unwrap_or_default(), error);
            reject("UnsupportedValue", Code::InvalidValue, format!("{path}.hostname"), message, findings);
            None
        }
    };
    // A listener that could not be read must not let routes in by what was not read.
    let readable = port != 0 && (hostname.is_some() || written.is_none());
    if hostname.is_some() && matches!(listener.protocol, ProtocolType::Tcp | ProtocolType::Udp) {
        let message = "hostname must not be specified for protocols ['TCP', 'UDP']".to_owned();
        reject("UnsupportedValue", Code::InvalidCombination, format!("{path}.hostname"), message, findings);
    }
    if listener.tls.is_some() && matches!(listener.protocol, ProtocolType::Http | ProtocolType::Tcp | ProtocolType::Udp) {
        let message = "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']".to_owned();
        reject("UnsupportedValue", Code::InvalidCombination, format!("{path}.tls"), message, findings);
    }
    let namespaces = match AllowedNamespaces::parse(listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref())) {
        Ok(namespaces) => namespaces,
        Err((field, text)) => {
            let message = format!("`{text}` is not supported: no route is let in");
            reject("UnsupportedValue", Code::UnsupportedValue, format!("{path}.allowedRoutes.namespaces{field}"), message, findings);
            AllowedNamespaces::None
        }
    };
    let (kinds, mut unresolved) = match protocol {
        Some(protocol) if readable => kinds(listener, protocol, features, &path, findings),
        _ => (Vec::new(), None),
    };
    let mut unprogrammed = None;
    let (mut certificates, mut client_validation) = (Vec::new(), None);
    if matches!(protocol, Some(ListenerProtocol::Https | ListenerProtocol::TlsTerminate)) {
        let resolved = served_certificates(listener, owner, &path, input, findings);
        if resolved.good.is_empty() {
            unprogrammed = Some(("Invalid", format!("{path}.tls.certificateRefs: no certificate can be served")));
        }
        certificates = resolved.good;
        let validation = tls::client_validation(gateway, gateway_namespace, port, input, findings);
        client_validation = validation.settings;
        rejected = rejected.or(validation.rejected);
        unresolved = resolved.problem.or(validation.problem).or(unresolved);
    }
    CheckedListener {
        name: listener.name.as_str().into(),
        written: (listener.protocol.clone(), listener.port),
        namespace: owner.namespace.into(),
        set,
        path,
        port,
        protocol,
        hostname,
        readable,
        namespaces,
        kinds,
        rejected,
        conflict: None,
        overlaps: false,
        unresolved,
        unprogrammed,
        certificates,
        client_validation,
    }
}

/// Reason, code, path and message of a listener that is not accepted.
type Rejection = (&'static str, Code, String, String);

/// What the listener speaks, of what the embedding program serves ([L-9], [L-10], [L-30]).
fn protocol(listener: &Listener, path: &str, features: Features) -> Result<ListenerProtocol, Rejection> {
    let at = || format!("{path}.protocol");
    let unsupported = |message: String| Err(("UnsupportedProtocol", Code::Listener, at(), message));
    let mode = |expected: &str, text: &str| {
        let message = format!("{expected}, found `{text}`");
        Err(("UnsupportedValue", Code::UnsupportedValue, format!("{path}.tls.mode"), message))
    };
    let needed: &[Feature] = match &listener.protocol {
        ProtocolType::Http | ProtocolType::Https => &[Feature::HttpRoute, Feature::GrpcRoute],
        ProtocolType::Tls => &[Feature::TlsRoute],
        ProtocolType::Tcp => &[Feature::TcpRoute],
        ProtocolType::Udp => &[Feature::UdpRoute],
        ProtocolType::Other(text) => {
            return unsupported(format!("protocol `{text}` is not supported, expected one of {}", ProtocolType::KNOWN.join(", ")));
        }
    };
    if !needed.iter().any(|feature| features.contains(*feature)) {
        return unsupported(format!("protocol {} is not served here", listener.protocol));
    }
    let tls = listener.tls.as_ref();
    match (&listener.protocol, tls.and_then(|tls| tls.mode.as_ref())) {
        (ProtocolType::Http, _) => Ok(ListenerProtocol::Http),
        (ProtocolType::Tcp, _) => Ok(ListenerProtocol::Tcp),
        (ProtocolType::Udp, _) => Ok(ListenerProtocol::Udp),
        (ProtocolType::Https, None | Some(TlsMode::Terminate)) => Ok(ListenerProtocol::Https),
        (ProtocolType::Https, Some(other)) => mode("tls mode must be Terminate for protocol HTTPS", other.as_str()),
        (_, None) if tls.is_none() => mode("tls mode must be set for protocol TLS", ""),
        (_, Some(TlsMode::Passthrough)) => Ok(ListenerProtocol::TlsPassthrough),
        (_, None | Some(TlsMode::Terminate)) if features.contains(Feature::TlsRouteModeTerminate) => Ok(ListenerProtocol::TlsTerminate),
        (_, None | Some(TlsMode::Terminate)) => mode("tls mode must be Passthrough here", "Terminate"),
        (_, Some(other)) => mode("tls mode must be Terminate or Passthrough", other.as_str()),
    }
}

pub(crate) fn hostname_message(text: &str, error: HostnameError) -> String {
    let text = text.escape_debug();
    match error {
        HostnameError::Address => format!("`{text}` is an IP address, expected a hostname"),
        HostnameError::Pattern => format!("`{text}` is not a hostname, expected lower-case labels, `*` only as the first"),
    }
}

/// Route kinds the listener serves, and what is wrong with those it asks for ([L-8], [A-11]).
fn kinds(
    listener: &Listener,
    protocol: ListenerProtocol,
    features: Features,
    path: &str,
    findings: &mut Findings,
) -> (Vec<RouteKind>, Option<Problem>) {
    let mut all = match protocol {
        ListenerProtocol::Http | ListenerProtocol::Https => vec![RouteKind::Http, RouteKind::Grpc],
        ListenerProtocol::TlsTerminate | ListenerProtocol::TlsPassthrough => vec![RouteKind::Tls],
        ListenerProtocol::Tcp => vec![RouteKind::Tcp],
        ListenerProtocol::Udp => vec![RouteKind::Udp],
    };
    all.retain(|kind| features.contains(kind.feature()));
    let asked = listener.allowed_routes.as_ref().map_or(&[][..], |allowed| allowed.kinds.as_slice());
    if asked.is_empty() {
        return (all, None);
    }
    let mut kinds = Vec::new();
    let mut problem = None;
    for (n, ask) in asked.iter().enumerate() {
        let group = ask.group.as_deref().unwrap_or(GATEWAY_GROUP);
        match all.iter().find(|kind| group == GATEWAY_GROUP && kind.as_str() == ask.kind) {
            Some(kind) if !kinds.contains(kind) => kinds.push(*kind),
            Some(_) => {}
            None => {
                let at = format!("{path}.allowedRoutes.kinds[{n}]");
                let message = format!("kind `{}.{group}` is not served by a listener of protocol {}", ask.kind, listener.protocol);
                findings.error(Code::RefKind, at.clone(), message.clone());
                problem.get_or_insert(("InvalidRouteKinds", format!("{at}: {message}")));
            }
        }
    }
    (kinds, problem)
}

/// The certificates to serve; any good one is enough ([L-11], [L-12], [L-31]).
fn served_certificates(listener: &Listener, owner: Owner<'_>, path: &str, input: &Input<'_>, findings: &mut Findings) -> tls::Resolved {
    let refs = listener.tls.as_ref().map_or(&[][..], |tls| tls.certificate_refs.as_slice());
    if refs.is_empty() {
        let at = format!("{path}.tls");
        let message = format!("a listener of protocol {} that decrypts needs `tls.certificateRefs`", listener.protocol);
        findings.error_with(Code::Listener, at.clone(), message.clone(), "no connection is served");
        return tls::Resolved { good: Vec::new(), problem: Some(("InvalidCertificateRef", format!("{at}: {message}"))) };
    }
    tls::certificates(refs, owner, &format!("{path}.tls.certificateRefs"), input, findings)
}
