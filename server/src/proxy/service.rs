//! One request: ask the table, carry out the decision.

use std::sync::Arc;

use gatewright::table::Backend;
use gatewright::{Decision, Pick, apply};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::{self, AnyBody};
use super::connection::Connection;
use super::exchange::{Exchange, To};
use super::guard::{Guard, Guards, Passed};
use super::retries::Retries;
use super::{Shared, hop};

/// Answers one request; never fails.
pub(super) async fn answer(shared: Arc<Shared>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<AnyBody> {
    let started = Instant::now();
    let (mut parts, incoming) = request.into_parts();
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
    let decision = table.decide(&gatewright::Request::from_http(&parts, arrival), pick);
    let Some(guards) = Guards::of(&decision) else { return plain(StatusCode::INTERNAL_SERVER_ERROR) };
    let guard = Guard { shared: &shared, published: &published, parts: &parts, peer: peer.ip(), pick, guards };
    let passed = guard.pass(any_incoming(incoming)).await;
    let mut for_client = HeaderMap::new();
    let response = match (&decision, passed) {
        (_, Err(denied)) => denied,
        (Decision::Respond(respond), _) => with_head(apply::respond(respond)),
        (Decision::Redirect(redirect), _) => with_head(apply::redirect(redirect)),
        (Decision::Forward(forward), Ok(Passed { body, mut allowed })) => match table.backend(forward.backend) {
            Some(backend) => {
                let tls = |backend: &Backend| published.backends_tls.get(table, backend.id, forward.matched.parent);
                let to = |backend| To { backend, tls: tls(backend) };
                let mirrors = forward.mirrors.iter().filter_map(|id| table.backend(id)).map(to).collect::<Vec<_>>();
                for_client = allowed.as_mut().map(|allowed| std::mem::take(&mut allowed.response)).unwrap_or_default();
                let retries = Retries::of(forward, &published.extensions);
                let to = to(backend);
                let exchange = Exchange { shared: &shared, forward, to, parts: &parts, pick, started, upgrade, client, allowed, retries };
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

fn any_incoming(incoming: Incoming) -> AnyBody {
    body::any(incoming)
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
