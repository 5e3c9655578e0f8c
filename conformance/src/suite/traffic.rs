//! The checks of traffic rows against what was observed, wherever: in a decision or on a socket.

use http::{HeaderMap, Uri};

use super::case::{Row, WantedRedirect};

/// What a client and a backend saw.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Status of the response.
    pub status: u16,
    /// gRPC status of the response.
    pub grpc: Option<u8>,
    /// Header fields of the response.
    pub headers: HeaderMap,
    /// The request as the backend received it.
    pub forwarded: Option<Forwarded>,
}

/// A request as a backend received it.
#[derive(Clone, Debug, Default)]
pub struct Forwarded {
    /// Namespace of the backend.
    pub namespace: String,
    /// Name of its pod.
    pub pod: String,
    /// Method.
    pub method: String,
    /// Host.
    pub host: String,
    /// Request target.
    pub path: String,
    /// Header fields.
    pub headers: HeaderMap,
}

/// What is wrong with an observation; an outcome that is not known is wrong, too.
pub fn check_row(row: &Row, observed: &Observed) -> Vec<String> {
    let expect = &row.expect;
    let mut wrong = Vec::new();
    match expect.outcome.as_str() {
        "response" => {
            if !expect.status.contains(&observed.status) {
                wrong.push(format!("status {}, expected {:?}", observed.status, expect.status));
            }
            if let Some(redirect) = &expect.redirect {
                wrong.extend(check_redirect(redirect, &observed.headers));
            }
            if !matches!(observed.status, 200 | 204) {
                return wrong;
            }
        }
        "grpc_response" => {
            let code = expect.grpc_code.as_ref().map(|code| code.number);
            if observed.grpc != code {
                wrong.push(format!("gRPC status {:?}, expected {:?}", observed.grpc, expect.grpc_code));
            }
            if code != Some(0) {
                return wrong;
            }
        }
        other => return vec![format!("unknown outcome `{other}`")],
    }
    check_forwarded(row, observed.forwarded.as_ref(), &mut wrong);
    let squeeze = |text: &str| if expect.ignore_spaces_in_header_values { text.replace(' ', "") } else { text.to_owned() };
    for (name, value) in &expect.response_headers {
        let found = joined(&observed.headers, name);
        if found.as_deref().map(squeeze) != Some(squeeze(value)) {
            wrong.push(format!("response header {name}: {found:?}, expected {value:?}"));
        }
    }
    for (name, values) in &expect.response_headers_any_of {
        let found = joined(&observed.headers, name).map(|value| squeeze(&value));
        if !values.iter().any(|value| found.as_deref() == Some(&squeeze(value))) {
            wrong.push(format!("response header {name}: {found:?}, expected one of {values:?}"));
        }
    }
    for name in &expect.response_absent_headers {
        if let Some(found) = joined(&observed.headers, name) {
            wrong.push(format!("response header {name}: {found:?}, expected none"));
        }
    }
    wrong
}

fn check_forwarded(row: &Row, forwarded: Option<&Forwarded>, wrong: &mut Vec<String>) {
    let expect = &row.expect;
    match (expect.answered_by.as_deref(), forwarded) {
        (Some("gateway"), Some(forwarded)) => wrong.push(format!("a backend answered: {}", forwarded.pod)),
        (Some("backend"), None) => wrong.push("no backend answered".to_owned()),
        (None | Some("gateway" | "backend"), _) => {}
        (Some(other), _) => wrong.push(format!("unknown answered_by `{other}`")),
    }
    let Some(forwarded) = forwarded else { return };
    if let Some(backend) = &expect.backend {
        if backend.match_ != "pod_prefix" {
            wrong.push(format!("unknown backend match `{}`", backend.match_));
        }
        if backend.namespace.as_deref().is_some_and(|namespace| namespace != forwarded.namespace) {
            wrong.push(format!("backend namespace {}, expected {:?}", forwarded.namespace, backend.namespace));
        }
        if backend.name.as_deref().is_some_and(|name| !forwarded.pod.starts_with(name)) {
            wrong.push(format!("backend {}, expected {:?}", forwarded.pod, backend.name));
        }
    }
    if let Some(name) = &expect.forwarded_header_names_backend {
        let values: Vec<_> = forwarded.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
        if !matches!(values.as_slice(), [value] if forwarded.pod.starts_with(value)) {
            wrong.push(format!("header {name} is {values:?} at backend {}", forwarded.pod));
        }
    }
    let Some(wanted) = &expect.forwarded else { return };
    let mut same = |what: &str, wanted: Option<&str>, found: &str| {
        if wanted.is_some_and(|wanted| wanted != "{ANY}" && wanted != found) {
            wrong.push(format!("forwarded {what} {found:?}, expected {wanted:?}"));
        }
    };
    same("method", wanted.method.as_deref(), &forwarded.method);
    same("path", wanted.path.as_deref(), &forwarded.path);
    if !wanted.host.as_deref().is_some_and(|host| host.contains('{')) {
        same("host", wanted.host.as_deref(), &forwarded.host);
    }
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
