//! One request: ask the table, carry out the decision.

use std::sync::Arc;

use gatewright::decision::Reason;
use gatewright::table::Backend;
use gatewright::{Decision, Pick, apply};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use crate::observe::Identity;
use crate::proxy::Shared;
use crate::proxy::ports::connection::{Connection, Underway};
use crate::proxy::ports::limits::Token;
use crate::proxy::ports::strict::Answering;
use crate::proxy::requests::body::{self, AnyBody};
use crate::proxy::requests::exchange::{Exchange, To};
use crate::proxy::requests::guard::{Guard, Guards, Passed, is_grpc};
use crate::proxy::requests::head;
use crate::proxy::requests::hop;
use crate::proxy::requests::incoming::Fault;
use crate::proxy::requests::record::{Done, Record};
use crate::proxy::requests::retries::Retries;

/// A request's place among those of its connection and among all.
pub(in crate::proxy) type Place = (Underway, Token);

/// Answers one request; never fails.
pub(in crate::proxy) async fn answer(shared: &Arc<Shared>, connection: &Arc<Connection>, request: Request<Incoming>) -> Response<AnyBody> {
    let is_http1 = request.version() <= Version::HTTP_11;
    // The reader of the connection waits for the answer behind the head of an upgrade.
    let asks_upgrade = is_http1 && request.body().is_end_stream() && request.headers().contains_key(header::UPGRADE);
    let mut answering = asks_upgrade.then(|| Answering::new(&connection.gate));
    let (underway, is_last) = connection.begin(!is_http1, shared.limits.requests_per_connection);
    let mut response = carry_out(shared, connection, request, underway).await;
    let has_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if is_http1 && is_last && !has_switched {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else if !is_http1 {
        response.headers_mut().remove(header::CONNECTION);
    }
    if let Some(answering) = &mut answering {
        answering.switched = has_switched;
    }
    response
}

/// Asks the table, and carries out its decision.
async fn carry_out(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
    underway: Underway,
) -> Response<AnyBody> {
    let started = Instant::now();
    let (mut parts, incoming) = request.into_parts();
    let within_bounds = head::check(&parts, &incoming, &shared.limits);
    let mut identity = Identity::set(&mut parts.headers, shared.trust_request_id, random);
    let span = shared.spans.start(&mut parts.headers, &mut identity);
    let authority = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let host = authority.or_else(|| parts.headers.get(header::HOST).cloned());
    let upgrade = hop::upgrade(&parts.headers, &parts.method, parts.version);
    let scheme = if connection.tls.is_some() { "https" } else { "http" };
    hop::set_forwarded(&mut parts.headers, connection.peer_value.clone(), scheme, host.clone());
    // The client's side of an upgrade is kept out of the way of the borrowed parts.
    let client = upgrade.is_some().then(|| parts.extensions.remove::<hyper::upgrade::OnUpgrade>()).flatten();
    // One table for the whole request, whatever is published meanwhile.
    let published = shared.current.load_full();
    let record = Record::new(shared, connection, parts, host, (identity, span), started, published);
    let (parts, published) = (&record.parts, &record.published);
    let Some(token) = shared.requests.enter() else {
        // Early and cheap: before anything is decided or opened.
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return record.finish(Done::because(response, "Overloaded"));
    };
    if let Err((status, reason)) = within_bounds {
        return record.finish(Done::because(closing(plain(status)), reason));
    }
    let arrival = match connection.arrival(published) {
        Ok(arrival) => arrival,
        Err(status) => return record.finish(Done::because(plain(status), "ConnectionOutlived")),
    };
    let pick = Pick(random());
    let table = &published.table;
    let decision = table.decide_with_sessions(&gatewright::Request::from_http(parts, arrival), pick, &shared.sessions());
    record.decided(&decision);
    let Some(guards) = Guards::of(&decision) else {
        drop(decision);
        return record.finish(Done::because(plain(StatusCode::INTERNAL_SERVER_ERROR), "NotServed"));
    };
    let guard = Guard { shared, published, parts, peer: connection.peer.ip(), pick, guards };
    let fault = Fault::default();
    let passed = guard.pass(body::from_client(incoming, &shared.limits, &fault, is_grpc(parts))).await;
    let mut for_client = HeaderMap::new();
    let mut done = match (&decision, passed) {
        (_, Err(denied)) => Done::because(denied, "Denied"),
        (Decision::Respond(respond), _) => {
            let response = with_head(apply::respond(respond));
            // Whoever sends what has two readings may have sent more behind it.
            let response = if matches!(respond.reason, Reason::Refused(_)) { closing(response) } else { response };
            Done::because(response, respond.reason.as_str())
        }
        (Decision::Redirect(redirect), _) => Done::because(with_head(apply::redirect(redirect)), "Redirect"),
        (Decision::Forward(forward), Ok(Passed { body, mut allowed })) => match table.backend(forward.backend) {
            Some(backend) => {
                let tls = |backend: &Backend| published.backends_tls.get(table, backend.id, forward.matched.parent);
                let series = |backend: &Backend| published.series.backend(table, backend.id);
                let to = |backend| To { backend, tls: tls(backend), series: series(backend) };
                let mirrors = forward.mirrors.iter().filter_map(|id| table.backend(id)).map(to).collect::<Vec<_>>();
                for_client = allowed.as_mut().map(|allowed| std::mem::take(&mut allowed.response)).unwrap_or_default();
                let retries = Retries::of(forward, &published.extensions);
                let (to, connection, place) = (to(backend), Arc::clone(connection), (underway, token));
                let exchange = Exchange {
                    table,
                    shared,
                    forward,
                    to,
                    parts,
                    pick,
                    started,
                    upgrade,
                    client,
                    connection,
                    place,
                    fault,
                    allowed,
                    retries,
                };
                exchange.run(body, &mirrors).await
            }
            None => Done::because(plain(StatusCode::INTERNAL_SERVER_ERROR), "InvalidBackend"),
        },
        _ => Done::because(plain(StatusCode::INTERNAL_SERVER_ERROR), "NotServed"),
    };
    done.response = guard.finished(done.response, &for_client).await;
    drop(decision);
    record.finish(done)
}

/// An even choice for each request; the standard library's hasher keys are random for every process and count up
/// for every use.
pub(in crate::proxy) fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0_u64)
}

/// The last response of its connection.
fn closing(mut response: Response<AnyBody>) -> Response<AnyBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(in crate::proxy) fn plain(status: StatusCode) -> Response<AnyBody> {
    with_head((status, HeaderMap::new()))
}

pub(in crate::proxy) fn with_head((status, headers): (StatusCode, HeaderMap)) -> Response<AnyBody> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
