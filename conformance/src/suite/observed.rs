//! The checks of traffic rows against what was observed, wherever: with a model of a proxy or on a socket.

use http::{HeaderMap, Uri};

use super::row::{AnsweredBy, Frame, NameMatch, Outcome, Protocol, Rejection, Row, WantedBackend, WantedForwarded, WantedRedirect};

/// What a client and a backend saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Why the connection was not served, when it was not.
    pub refused: Option<Refused>,
    /// Whether the gateway asked for a client certificate.
    pub client_cert_requested: bool,
    /// Status of the response; 0 when there was none, or when the decision leaves it open.
    pub status: u16,
    /// gRPC status of the response.
    pub grpc: Option<u8>,
    /// Header fields of the response.
    pub headers: HeaderMap,
    /// The request as the backend received it, or the connection: then without method and path.
    pub forwarded: Option<Forwarded>,
    /// The copies that mirrors received.
    pub mirrored: Vec<Forwarded>,
    /// Why no backend could be talked to, when none could.
    pub failure: Option<String>,
    /// Attempts at the backend.
    pub attempts: u32,
    /// WebSocket messages that came back.
    pub frames: Vec<Frame>,
}

/// How a connection was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Ended without a word.
    Rejected(Rejection),
    /// Failed with an alert, an untrusted certificate, or no listener at all.
    Failed(String),
}

/// A request as a backend received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Namespace of the backend.
    pub namespace: String,
    /// Name of its pod.
    pub pod: String,
    /// Name of its Service, where the backend knows it.
    pub service: String,
    /// Method.
    pub method: String,
    /// Host.
    pub host: String,
    /// Request target.
    pub path: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// TLS towards the backend.
    pub tls: Option<SeenTls>,
}

/// What a backend saw of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenTls {
    /// The server name.
    pub sni: String,
    /// `namespace/name` of the Secret with the client's certificate.
    pub client_cert: Option<String>,
}

/// What is wrong with an observation.
pub fn check_row(row: &Row, observed: &Observed) -> Vec<String> {
    let expect = &row.expect;
    let mut wrong = Vec::new();
    if expect.client_cert_requested.is_some_and(|wanted| wanted != observed.client_cert_requested) {
        wrong.push(format!("client certificate requested: {}", observed.client_cert_requested));
    }
    match (expect.outcome, &observed.refused) {
        (Outcome::RequestError, Some(_)) => return wrong,
        (Outcome::ConnectionRejected, Some(Refused::Rejected(how))) if expect.rejection.contains(how) => return wrong,
        (Outcome::RequestError | Outcome::ConnectionRejected, found) => {
            wrong.push(format!("expected a refused connection, found {found:?}, status {}", observed.status));
            return wrong;
        }
        (_, Some(refused)) => {
            wrong.push(format!("the connection was refused: {refused:?}"));
            return wrong;
        }
        (_, None) => {}
    }
    let code = |wanted: &Option<super::row::GrpcCode>| wanted.as_ref().map(|code| code.number);
    match expect.outcome {
        Outcome::Response => {
            let accepted = |status| expect.status.contains(&status) || expect.status_accepted.contains(&status);
            if observed.status != 0 && !expect.status.is_empty() && !accepted(observed.status) {
                wrong.push(format!("status {}, expected {:?}", observed.status, expect.status));
            }
            if row.protocol == Protocol::Grpc && observed.grpc != Some(0) {
                wrong.push(format!("gRPC status {:?}, expected 0", observed.grpc));
            }
            if let Some(redirect) = &expect.redirect {
                wrong.extend(check_redirect(redirect, &observed.headers));
            }
            check_attempts(row, observed, &mut wrong);
            if row.client.is_none() && !matches!(observed.status, 200 | 204) {
                return wrong;
            }
        }
        Outcome::FailureResponse if expect.status_not.contains(&observed.status) || expect.status_retry.contains(&observed.status) => {
            wrong.push(format!("status {} does not tell of a failure", observed.status));
        }
        Outcome::GrpcResponse => {
            let wanted = code(&expect.grpc_code);
            if observed.grpc != wanted {
                wrong.push(format!("gRPC status {:?}, expected {:?}", observed.grpc, expect.grpc_code));
            }
            if wanted != Some(0) {
                return wrong;
            }
        }
        Outcome::GrpcFailure if observed.grpc.is_none() || observed.grpc == code(&expect.grpc_code_not) => {
            wrong.push(format!("gRPC status {:?}", observed.grpc));
        }
        Outcome::WebsocketEcho => {
            if !expect.status.contains(&observed.status) {
                wrong.push(format!("status {}, expected {:?}", observed.status, expect.status));
            }
            if observed.frames != expect.frames {
                wrong.push(format!("messages {:?}", observed.frames));
            }
        }
        Outcome::Stream | Outcome::Datagram | Outcome::DnsReply if observed.forwarded.is_none() => wrong.push("no backend answered".into()),
        _ => {}
    }
    check_forwarded(row, observed, &mut wrong);
    check_mirrors(row, observed, &mut wrong);
    check_response_headers(row, &observed.headers, &mut wrong);
    // What upstream states for meshes without comparing it holds all the same.
    if row.client.is_some() {
        check_unchecked(row, observed, &mut wrong);
    }
    wrong
}

fn check_unchecked(row: &Row, observed: &Observed, wrong: &mut Vec<String>) {
    let unchecked = &row.expect.unchecked;
    if let Some(redirect) = &unchecked.redirect {
        wrong.extend(check_redirect(redirect, &observed.headers));
    }
    let Some(forwarded) = &observed.forwarded else { return };
    if let Some(wanted) = &unchecked.forwarded {
        check_request(wanted, forwarded, wrong);
    }
    if unchecked.backend.as_ref().is_some_and(|backend| backend.namespace != forwarded.namespace) {
        wrong.push(format!("backend namespace {}, expected {:?}", forwarded.namespace, unchecked.backend));
    }
}

fn check_attempts(row: &Row, observed: &Observed, wrong: &mut Vec<String>) {
    if let Some(wanted) = &row.expect.implied_backend_attempts
        && !(wanted.min..=wanted.max).contains(&observed.attempts)
    {
        wrong.push(format!("{} attempts, expected {wanted:?}", observed.attempts));
    }
}

fn check_response_headers(row: &Row, headers: &HeaderMap, wrong: &mut Vec<String>) {
    let expect = &row.expect;
    let squeeze = |text: &str| if expect.ignore_spaces_in_header_values { text.replace(' ', "") } else { text.to_owned() };
    for (name, value) in &expect.response_headers {
        let found = joined(headers, name);
        if found.as_deref().map(squeeze) != Some(squeeze(value)) {
            wrong.push(format!("response header {name}: {found:?}, expected {value:?}"));
        }
    }
    for (name, values) in &expect.response_headers_any_of {
        let found = joined(headers, name).map(|value| squeeze(&value));
        if !values.iter().any(|value| found.as_deref() == Some(&squeeze(value))) {
            wrong.push(format!("response header {name}: {found:?}, expected one of {values:?}"));
        }
    }
    for name in &expect.response_absent_headers {
        if let Some(found) = joined(headers, name) {
            wrong.push(format!("response header {name}: {found:?}, expected none"));
        }
    }
}

fn check_forwarded(row: &Row, observed: &Observed, wrong: &mut Vec<String>) {
    let (expect, forwarded) = (&row.expect, observed.forwarded.as_ref());
    match (expect.answered_by, forwarded) {
        (Some(AnsweredBy::Gateway), Some(forwarded)) => wrong.push(format!("a backend answered: {}", forwarded.pod)),
        (Some(AnsweredBy::Backend), None) => wrong.push(format!("no backend answered: {:?}", observed.failure)),
        _ => {}
    }
    let Some(forwarded) = forwarded else { return };
    if let Some(backend) = &expect.backend
        && !is_backend(backend, forwarded)
    {
        wrong.push(format!("backend {}/{}, expected {backend:?}", forwarded.namespace, forwarded.pod));
    }
    if expect.not_backend.as_ref().is_some_and(|backend| is_backend(backend, forwarded)) {
        wrong.push(format!("backend {}/{} must not answer", forwarded.namespace, forwarded.pod));
    }
    if expect.backend_is_tls.is_some_and(|wanted| wanted != forwarded.tls.is_some()) {
        wrong.push(format!("TLS towards the backend: {:?}, expected {:?}", forwarded.tls, expect.backend_is_tls));
    }
    if let Some(sni) = &expect.backend_sni
        && forwarded.tls.as_ref().map(|tls| &tls.sni) != Some(sni)
    {
        wrong.push(format!("TLS towards the backend: {:?}, expected SNI {sni}", forwarded.tls));
    }
    if let Some(name) = &expect.forwarded_header_names_backend {
        let values: Vec<_> = forwarded.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
        if !matches!(values.as_slice(), [value] if forwarded.pod.starts_with(value)) {
            wrong.push(format!("header {name} is {values:?} at backend {}", forwarded.pod));
        }
    }
    if let Some(wanted) = &expect.forwarded {
        check_request(wanted, forwarded, wrong);
    }
}

fn check_request(wanted: &WantedForwarded, forwarded: &Forwarded, wrong: &mut Vec<String>) {
    let mut same = |what: &str, wanted: Option<&str>, found: &str| {
        if wanted.is_some_and(|wanted| wanted != found) {
            wrong.push(format!("forwarded {what} {found:?}, expected {wanted:?}"));
        }
    };
    same("method", wanted.method.as_deref(), &forwarded.method);
    same("path", wanted.path.as_deref(), &forwarded.path);
    same("host", wanted.host.as_deref(), &forwarded.host);
    for (name, value) in &wanted.headers {
        let found = joined(&forwarded.headers, name);
        if found.as_deref() != Some(value) {
            wrong.push(format!("forwarded header {name}: {found:?}, expected {value:?}"));
        }
    }
    for name in &wanted.absent_headers {
        if let Some(found) = joined(&forwarded.headers, name) {
            wrong.push(format!("forwarded header {name}: {found:?}, expected none"));
        }
    }
    if let Some(wanted) = &wanted.tls {
        let secret = wanted.client_cert.as_ref().map(|secret| format!("{}/{}", secret.namespace(), secret.name));
        let found = forwarded.tls.as_ref();
        if found.map(|tls| &tls.sni) != Some(&wanted.sni) || (secret.is_some() && found.and_then(|tls| tls.client_cert.clone()) != secret) {
            wrong.push(format!("TLS towards the backend: {found:?}, expected {wanted:?}"));
        }
    }
}

fn is_backend(wanted: &WantedBackend, found: &Forwarded) -> bool {
    let name = wanted.name.as_deref().is_none_or(|name| match wanted.match_ {
        NameMatch::PodPrefix | NameMatch::HostnamePrefix => found.pod.starts_with(name),
        NameMatch::PodPrefixDash => found.pod.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')),
        NameMatch::ServiceName => found.service == name,
        NameMatch::Deployment => found.pod.rsplitn(3, '-').nth(2) == Some(name),
    });
    name && wanted.namespace.as_deref().is_none_or(|namespace| namespace == found.namespace)
}

/// Copies that every request must give; shares are counted over many requests.
fn check_mirrors(row: &Row, observed: &Observed, wrong: &mut Vec<String>) {
    for mirror in &row.expect.mirrored_to {
        let mut copies = observed.mirrored.iter().filter(|copy| is_mirror(copy, &mirror.namespace, &mirror.name)).peekable();
        if copies.peek().is_none() && mirror.percent.is_none() {
            wrong.push(format!("no copy went to {mirror:?}, only to {:?}", observed.mirrored));
        }
        for copy in copies {
            if row.expect.mirrored_path.as_ref().is_some_and(|path| *path != copy.path) {
                wrong.push(format!("mirrored path {}, expected {:?}", copy.path, row.expect.mirrored_path));
            }
        }
    }
}

/// What is wrong with the shares of backends and mirrors in a sample of a row.
pub fn check_sample(row: &Row, sample: &[Observed], tolerance: f64) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(distribution) = &row.distribution {
        let pods: Vec<_> =
            sample.iter().map(|observed| observed.forwarded.as_ref().map_or("", |forwarded| forwarded.pod.as_str())).collect();
        for wanted in &distribution.expected {
            let share = pods.iter().filter(|pod| pod.starts_with(&wanted.name)).count() as f64 / sample.len() as f64;
            if (share - wanted.fraction).abs() > tolerance || (wanted.fraction == 0.0 && share > 0.0) {
                wrong.push(format!("{} got {share}, expected {}", wanted.name, wanted.fraction));
            }
        }
        let known = |pod: &&&str| distribution.expected.iter().any(|wanted| pod.starts_with(&wanted.name));
        if let Some(other) = pods.iter().find(|pod| !known(pod)) {
            wrong.push(format!("backend `{other}` got a share"));
        }
    }
    for mirror in row.expect.mirrored_to.iter().filter(|mirror| mirror.percent.is_some()) {
        let copied = |observed: &&Observed| observed.mirrored.iter().any(|copy| is_mirror(copy, &mirror.namespace, &mirror.name));
        let copies = sample.iter().filter(copied).count() as f64;
        if !(mirror.min_count.unwrap_or(f64::NAN)..=mirror.max_count.unwrap_or(f64::NAN)).contains(&copies) {
            wrong.push(format!("{copies} copies, expected {mirror:?}"));
        }
    }
    wrong
}

/// Whether a copy went to a mirror.
fn is_mirror(copy: &Forwarded, namespace: &str, name: &str) -> bool {
    copy.namespace == namespace && copy.pod.starts_with(name)
}

/// Several values are joined by a comma without a space.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn check_redirect(wanted: &WantedRedirect, headers: &HeaderMap) -> Vec<String> {
    let Some(location) = joined(headers, "location") else { return vec!["no Location".to_owned()] };
    let Ok(uri) = location.parse::<Uri>() else { return vec![format!("Location {location:?} is no URI")] };
    let well_known = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(well_known).to_string();
    let mut wrong = Vec::new();
    let mut same = |what: &str, found: Option<&str>, wanted: &str| {
        if found != Some(wanted) {
            wrong.push(format!("Location {location}: {what} {found:?}, expected {wanted:?}"));
        }
    };
    same("scheme", uri.scheme_str(), &wanted.scheme);
    if let Some(host) = &wanted.host {
        same("host", uri.host(), host);
    }
    same("port", Some(&port), &wanted.port.as_ref().map_or(well_known.to_string(), ToString::to_string));
    same("path", Some(uri.path()), &wanted.path);
    wrong
}
