//! One request: ask the table, carry out the decision.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gatewright::decision::Reason;
use gatewright::table::Backend;
use gatewright::{Decision, Pick, apply};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use super::body::{self, AnyBody};
use super::connection::{Connection, Open};
use super::exchange::{Exchange, To};
use super::guard::{Guard, Guards, Passed};
use super::incoming::Fault;
use super::limits::Token;
use super::retries::Retries;
use super::strict::Answering;
use super::{Shared, head, hop};

/// A request's place among those of its connection and among all.
pub(super) type Place = (Open, Token);

/// Answers one request; never fails.
pub(super) async fn answer(shared: Arc<Shared>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, incoming) = request.into_parts();
    let (is_http1, limits) = (parts.version <= Version::HTTP_11, &shared.limits);
    // The reader of the connection waits for the answer behind the head of an upgrade.
    let asks_upgrade = is_http1 && incoming.is_end_stream() && parts.headers.contains_key(header::UPGRADE);
    let mut answering = asks_upgrade.then(|| Answering::new(&connection.gate));
    let (open, is_last) = connection.begin(!is_http1, limits.requests_per_connection);
    let mut response = match (shared.requests.enter(), head::check(&parts, &incoming, limits)) {
        (None, _) => plain_with(StatusCode::SERVICE_UNAVAILABLE, header::RETRY_AFTER, "1"),
        (_, Err(status)) => plain_with(status, header::CONNECTION, "close"),
        (Some(token), Ok(())) => carry_out(&shared, &connection, parts, incoming, (open, token)).await,
    };
    if is_http1 && is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else if !is_http1 {
        response.headers_mut().remove(header::CONNECTION);
    }
    if let Some(answering) = &mut answering {
        answering.switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    }
    response
}

/// A fault of this program ends the request that has met it, and no other of its connection ([R-S9]).
pub(super) async fn contained(answer: impl Future<Output = Response<AnyBody>>) -> Response<AnyBody> {
    let mut answer = pin!(answer);
    let poll = |context: &mut Context<'_>| {
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(plain(StatusCode::INTERNAL_SERVER_ERROR)))
    };
    std::future::poll_fn(poll).await
}

/// Asks the table about a request that is within bounds, and carries out its decision. `place` is kept until the response
/// has been sent.
async fn carry_out(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    mut parts: Parts,
    incoming: Incoming,
    place: Place,
) -> Response<AnyBody> {
    let started = Instant::now();
    let host = parts
        .uri
        .authority()
        .map(|a| a.as_str().as_bytes().to_vec())
        .or_else(|| parts.headers.get(header::HOST).map(|h| h.as_bytes().to_vec()));
    let upgrade = hop::upgrade(&parts.headers, &parts.method, parts.version);
    let peer = connection.peer;
    let scheme = if connection.tls.is_some() { "https" } else { "http" };
    hop::set_forwarded(&mut parts.headers, peer.ip(), scheme, host.as_deref());
    // One table for the whole request, whatever is published meanwhile.
    let published = shared.current.load_full();
    let arrival = match connection.arrival(&published) {
        Ok(arrival) => arrival,
        Err(status) => return plain(status),
    };
    let pick = Pick(random());
    let table = &published.table;
    // The client's side of an upgrade is kept out of the way of the borrowed parts.
    let client = upgrade.is_some().then(|| parts.extensions.remove::<hyper::upgrade::OnUpgrade>()).flatten();
    let decision = table.decide_with_sessions(&gatewright::Request::from_http(&parts, arrival), pick, &shared.sessions());
    let Some(guards) = Guards::of(&decision) else { return plain(StatusCode::INTERNAL_SERVER_ERROR) };
    let guard = Guard { shared, published: &published, parts: &parts, peer: peer.ip(), pick, guards };
    let fault = Fault::default();
    let passed = guard.pass(body::from_client(incoming, &shared.limits, &fault)).await;
    let mut for_client = HeaderMap::new();
    let response = match (&decision, passed) {
        (_, Err(denied)) => denied,
        (Decision::Respond(respond), _) => {
            let mut response = with_head(apply::respond(respond));
            // Whoever sends what has two readings may have sent more behind it.
            if matches!(respond.reason, Reason::Refused(_)) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
        (Decision::Redirect(redirect), _) => with_head(apply::redirect(redirect)),
        (Decision::Forward(forward), Ok(Passed { body, mut allowed })) => match table.backend(forward.backend) {
            Some(backend) => {
                let tls = |backend: &Backend| published.backends_tls.get(table, backend.id, forward.matched.parent);
                let to = |backend| To { backend, tls: tls(backend) };
                let mirrors = forward.mirrors.iter().filter_map(|id| table.backend(id)).map(to).collect::<Vec<_>>();
                for_client = allowed.as_mut().map(|allowed| std::mem::take(&mut allowed.response)).unwrap_or_default();
                let retries = Retries::of(forward, &published.extensions);
                let (to, connection) = (to(backend), Arc::clone(connection));
                let exchange = Exchange {
                    table,
                    shared,
                    forward,
                    to,
                    parts: &parts,
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
            None => plain(StatusCode::INTERNAL_SERVER_ERROR),
        },
        _ => plain(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let response = guard.finished(response, &for_client).await;
    let matched = decision.matched().map(|matched| table.match_report(matched));
    let (status, took) = (response.status().as_u16(), started.elapsed());
    tracing::info!(target: "access", %peer, method = %parts.method, uri = %parts.uri, status, ?took,
        rule = matched.map(|m| m.to_string()).unwrap_or_default());
    response
}

/// An even choice for each request; the standard library's hasher keys are random for every process and count up
/// for every use.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0_u64)
}

fn plain_with(status: StatusCode, name: HeaderName, value: &'static str) -> Response<AnyBody> {
    let mut response = plain(status);
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

pub(super) fn plain(status: StatusCode) -> Response<AnyBody> {
    with_head((status, HeaderMap::new()))
}

pub(super) fn with_head((status, headers): (StatusCode, HeaderMap)) -> Response<AnyBody> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let answer = contained(async {
            tokio::task::yield_now().await;
            panic!("planted");
        });
        assert_eq!(answer.await.status(), 500);
    }
}
