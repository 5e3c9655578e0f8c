//! Stage 5, **carrying out a decision**: pure functions over the types of the `http` crate, so that no
//! embedder writes a rule again. [`status`] does it for what a controller writes back.

pub mod auth;
mod cors;
mod headers;
pub mod hop;
pub mod status;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request};

use crate::decision::{Forward, GrpcStatus, Redirect, Respond, ResponseEdits};
use crate::request::Headers;

pub use crate::model::matching::is_grpc;
pub use cors::cors_headers;
pub use headers::{request_headers, response_headers};

/// Turns a request into the one to send to the backend: target (origin form), `Host`, header edits.
///
/// Fields of one hop and aliases of known fields go first, so that nothing a client sends takes an edit back
/// ([`Forward::dropped`]); an upgrade that the caller carries out is written after this. The caller chooses the
/// connection; for HTTP/2 it joins scheme and authority to the target.
pub fn forward(decision: &Forward<'_>, parts: &mut request::Parts) {
    drop_fields(decision, &mut parts.headers);
    edit(decision, parts);
}

/// [`forward`] for a request that an authorization service has allowed: the fields of its answer come in after what the
/// client must not send and before the edits of the rule, which see them ([E-5], [F-3]).
pub fn forward_allowed(decision: &Forward<'_>, answer: &HeaderMap, parts: &mut request::Parts) {
    drop_fields(decision, &mut parts.headers);
    if let Some(check) = &decision.auth {
        auth::copy_allowed(check.service, answer, &mut parts.headers);
    }
    edit(decision, parts);
}

fn edit(decision: &Forward<'_>, parts: &mut request::Parts) {
    // A canonical target is a URI; were it none, the request would better go nowhere than elsewhere.
    parts.uri = decision.target.to_string().parse::<Uri>().unwrap_or_else(|_| Uri::from_static("/"));
    request_headers(&decision.request_headers, &mut parts.headers);
    match decision.authority.map(HeaderValue::from_str) {
        Some(Ok(host)) => {
            parts.headers.insert(header::HOST, host);
        }
        _ => {
            parts.headers.remove(header::HOST);
        }
    }
}

/// Takes out what must not be forwarded, and joins the pieces into which HTTP/2 splits Cookie, as they were matched
/// (RFC 9113 section 8.2.3).
fn drop_fields(decision: &Forward<'_>, headers: &mut HeaderMap) {
    let dropped: Vec<_> = decision.dropped(&*headers).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    for name in dropped {
        headers.remove(name);
    }
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookie);
    }
}

/// The status and header fields of a redirect; its body is empty.
pub fn redirect(decision: &Redirect<'_>) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&decision.location.to_string()) {
        headers.insert(header::LOCATION, location);
    }
    response_headers(&decision.response, &mut headers);
    (decision.status, headers)
}

/// The status and header fields of an answer; its body is empty. A gRPC client gets status 200 and
/// `grpc-status` ([G-10]).
pub fn respond(decision: &Respond<'_>) -> (StatusCode, HeaderMap) {
    let (status, mut headers) = match decision.grpc_status {
        Some(grpc) => (StatusCode::OK, grpc_headers(grpc, &decision.reason.to_string())),
        None => (decision.status, HeaderMap::new()),
    };
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6 asks for it; which methods a target has is its backend's to say.
        headers.insert(header::ALLOW, HeaderValue::from_static(""));
    }
    response_headers(&decision.response, &mut headers);
    (status, headers)
}

/// The status and header fields with which a gateway tells a gRPC client of a failure of its own, for instance
/// a timeout: a response of header fields only. [`failure`] chooses between it and a plain status.
///
/// ```
/// use gatewright::apply::grpc_failure;
/// use gatewright::decision::{GrpcStatus, ResponseEdits};
///
/// let (status, headers) = grpc_failure(GrpcStatus::DeadlineExceeded, "50% done", &ResponseEdits::default());
/// assert_eq!(status.as_u16(), 200);
/// assert_eq!(headers["grpc-status"], "4");
/// assert_eq!(headers["grpc-message"], "50%25 done");
/// ```
pub fn grpc_failure(status: GrpcStatus, message: &str, edits: &ResponseEdits<'_>) -> (StatusCode, HeaderMap) {
    let mut headers = grpc_headers(status, message);
    response_headers(edits, &mut headers);
    (StatusCode::OK, headers)
}

/// The status and header fields with which a gateway tells a client of a failure of its own, for instance 502 or 504: with
/// the edits of the decision ([F-7]), and to a client of gRPC as a gRPC status.
///
/// ```
/// use gatewright::{apply, decision::ResponseEdits};
/// use http::StatusCode;
///
/// let (status, _) = apply::failure(StatusCode::BAD_GATEWAY, &[("accept", "*/*")], &ResponseEdits::default());
/// assert_eq!(status, StatusCode::BAD_GATEWAY);
/// let grpc = [("content-type", "application/grpc")];
/// let (status, headers) = apply::failure(StatusCode::BAD_GATEWAY, &grpc, &ResponseEdits::default());
/// assert_eq!((status, headers["grpc-status"].as_bytes()), (StatusCode::OK, &b"14"[..]));
/// ```
pub fn failure<H: Headers + ?Sized>(status: StatusCode, request: &H, edits: &ResponseEdits<'_>) -> (StatusCode, HeaderMap) {
    if is_grpc(request) {
        return grpc_failure(GrpcStatus::of_failure(status), status.canonical_reason().unwrap_or_default(), edits);
    }
    let mut headers = HeaderMap::new();
    response_headers(edits, &mut headers);
    (status, headers)
}

fn grpc_headers(status: GrpcStatus, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(status.code())));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(message)) {
        headers.insert("grpc-message", message);
    }
    headers
}

/// As gRPC over HTTP/2 writes messages: whatever is not printable ASCII, and `%` itself.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for octet in message.bytes() {
        match octet {
            b' '..=b'~' if octet != b'%' => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}
