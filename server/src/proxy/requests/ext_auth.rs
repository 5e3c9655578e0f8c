//! Asking an authorization service ([E-1] to [E-7]). Whatever goes wrong, the request does not go on.

use std::time::Duration;

use bytes::Bytes;
use gatewright::apply::auth::{self, Verdict};
use gatewright::decision::{Check, Target};
use gatewright::model::auth::AuthProtocol;
use gatewright::table::{Backend, Endpoints};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Collected, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

use crate::proxy::requests::body::{self, AnyBody, BoxError};
use crate::proxy::requests::ext_authz::{self, Answer};
use crate::proxy::requests::guard::{Allowed, Denial, Guard, Passed};

/// How long a service may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take for a body that the service gets.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Octets of the body of a denial at most, and of an answer over gRPC.
const MOST: usize = 1024 * 1024;

/// Asks the service of a check; the error is the answer to the client.
pub(in crate::proxy) async fn ask(
    guard: &Guard<'_>,
    check: &Check<'_>,
    target: &Target<'_>,
    body: AnyBody,
    timeout: Option<Duration>,
) -> Result<Passed, Box<Denial>> {
    let (body, octets) = match check.service.max_body() {
        0 => (body, Bytes::new()),
        most => {
            let octets = buffer(body, most, timeout.unwrap_or(BODY_TIMEOUT)).await?;
            (if octets.is_empty() { body::empty() } else { body::full(octets.clone()) }, octets)
        }
    };
    let asked = asked(guard, check, target, octets);
    let trouble: BoxError = match tokio::time::timeout(timeout.map_or(TIMEOUT, |timeout| timeout.min(TIMEOUT)), asked).await {
        Ok(Ok(Ok(allowed))) => return Ok(Passed { body, allowed: Some(allowed) }),
        Ok(Ok(Err(denial))) => return Err(denial),
        Ok(Err(error)) => error,
        Err(elapsed) => elapsed.into(),
    };
    tracing::warn!(error = %trouble, "the authorization service could not be asked: the request is refused");
    Err(Denial::of(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The answer of the service, whichever it is.
async fn asked(guard: &Guard<'_>, check: &Check<'_>, target: &Target<'_>, octets: Bytes) -> Result<Result<Allowed, Box<Denial>>, BoxError> {
    match check.service.protocol() {
        AuthProtocol::Http => over_http(guard, check, target, octets).await,
        AuthProtocol::Grpc => over_grpc(guard, check, target, octets).await,
    }
}

/// The whole body of the request, if it is not larger than the service takes ([E-6]).
async fn buffer(body: AnyBody, most: u32, within: Duration) -> Result<Bytes, Box<Denial>> {
    let too_large = || Denial::of(StatusCode::PAYLOAD_TOO_LARGE);
    if body.size_hint().lower() > u64::from(most) {
        return Err(too_large());
    }
    let limited = body::limited(body, usize::try_from(most).unwrap_or(usize::MAX));
    match tokio::time::timeout(within, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Denial::of(StatusCode::BAD_REQUEST)),
        Err(_) => Err(Denial::of(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// Sends to the backend of the service, with the TLS that it wants.
async fn send(guard: &Guard<'_>, check: &Check<'_>, request: Request<AnyBody>) -> Result<Response<Incoming>, BoxError> {
    let table = &guard.published.table;
    let backend: &Backend = table.backend(check.service.backend()).ok_or("it is not a backend of the table")?;
    if matches!(&backend.endpoints, Endpoints::Known(list) if list.is_empty()) {
        return Err("it has no ready endpoint".into());
    }
    let tls = guard.guards.parent.and_then(|parent| guard.published.backends_tls.get(table, backend.id, parent));
    let address = guard.shared.upstreams.address(backend, None, guard.pick.derive(3000).0).ok_or("the backend has no address")?;
    guard.shared.upstreams.send(backend, tls.as_deref(), &address, request).await
}

/// The whole body of an answer.
async fn collect(incoming: Incoming) -> Result<Collected<Bytes>, BoxError> {
    Limited::new(incoming, MOST).collect().await
}

async fn over_http(
    guard: &Guard<'_>,
    check: &Check<'_>,
    target: &Target<'_>,
    octets: Bytes,
) -> Result<Result<Allowed, Box<Denial>>, BoxError> {
    let length = u64::try_from(octets.len())?;
    let head = auth::request(check, target, guard.parts, length);
    let body = if octets.is_empty() { body::empty() } else { body::full(octets) };
    let (head, incoming) = send(guard, check, Request::from_parts(head, body)).await?.into_parts();
    let verdict = Verdict::of_status(head.status);
    let Some(status) = verdict.status() else {
        return Ok(Ok(Allowed { fields: head.headers, ..Allowed::default() }));
    };
    let mut denial = Denial::of(status);
    if let Verdict::Deny(_) = verdict {
        denial.headers = auth::denial_headers(&head.headers);
        denial.body = collect(incoming).await?.to_bytes();
    } else if verdict == Verdict::Failed {
        return Err(format!("it answered {}", head.status).into());
    }
    Ok(Err(denial))
}

async fn over_grpc(
    guard: &Guard<'_>,
    check: &Check<'_>,
    target: &Target<'_>,
    octets: Bytes,
) -> Result<Result<Allowed, Box<Denial>>, BoxError> {
    let fields = auth::headers(check.service, &guard.parts.headers);
    let message = ext_authz::question(guard, check, target, fields, octets);
    let mut head = Request::new(()).into_parts().0;
    head.method = http::Method::POST;
    head.uri = Uri::from_static("/envoy.service.auth.v3.Authorization/Check");
    let backend = guard.published.table.backend(check.service.backend()).ok_or("it is not a backend of the table")?;
    if let Ok(host) = HeaderValue::from_str(&format!("{}.{}:{}", backend.object.name, backend.object.namespace, backend.port)) {
        head.headers.insert(header::HOST, host);
    }
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let (head, incoming) = send(guard, check, Request::from_parts(head, body::full(message))).await?.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("it answered {}", head.status).into());
    }
    let collected = collect(incoming).await?;
    let told = collected.trailers().and_then(|trailers| trailers.get("grpc-status")).or_else(|| head.headers.get("grpc-status"));
    if told.is_none_or(|status| status != "0") {
        return Err(format!("the call ended with grpc-status {told:?}").into());
    }
    match ext_authz::answer(&collected.to_bytes())? {
        Answer::Allow { set, removed, response } => {
            let mut fields = set.into_fields(&guard.parts.headers);
            removed.iter().for_each(|name| drop(fields.remove(name)));
            Ok(Ok(Allowed { fields, removed, response: auth::denial_headers(&response.into_fields(&HeaderMap::new())) }))
        }
        Answer::Deny { status, headers, body } => {
            let mut denial = Denial::of(status);
            denial.headers = auth::denial_headers(&headers.into_fields(&HeaderMap::new()));
            denial.body = body;
            Ok(Err(denial))
        }
    }
}

/// Takes the fields out that the service removes. Those that frame the request are written anew later.
pub(in crate::proxy) fn remove(allowed: &Allowed, head: &mut Parts) {
    for name in &allowed.removed {
        auth::take_out(name, &mut head.headers);
    }
}
