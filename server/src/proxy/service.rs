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
use super::record::{Done, Record};
use super::{Shared, hop};
use crate::observe::Identity;

/// Answers one request; never fails.
pub(super) async fn answer(shared: Arc<Shared>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<AnyBody> {
    let started = Instant::now();
    let (mut parts, incoming) = request.into_parts();
    let mut identity = Identity::set(&mut parts.headers, shared.trust_request_id, random);
    let span = shared.spans.start(&mut parts.headers, &mut identity);
    let host = parts
        .uri
        .authority()
        .map(|a| a.as_str().as_bytes().to_vec())
        .or_else(|| parts.headers.get(header::HOST).map(|h| h.as_bytes().to_vec()));
    let upgrade = hop::upgrade(&parts.headers, &parts.method, parts.version);
    let scheme = if connection.tls.is_some() { "https" } else { "http" };
    hop::set_forwarded(&mut parts.headers, connection.peer.ip(), scheme, host.as_deref());
    // The client's side of an upgrade is kept out of the way of the borrowed parts.
    let client = upgrade.is_some().then(|| parts.extensions.remove::<hyper::upgrade::OnUpgrade>()).flatten();
    // One table for the whole request, whatever is published meanwhile.
    let published = shared.current.load_full();
    let record = Record::new(&shared, &connection, parts, host, (identity, span), started, published);
    let (parts, published) = (&record.parts, &record.published);
    let arrival = match connection.arrival(published) {
        Ok(arrival) => arrival,
        Err(status) => return record.finish(Done::because(plain(status), "ConnectionOutlived")),
    };
    let pick = Pick(random());
    let table = &published.table;
    let decision = table.decide(&gatewright::Request::from_http(parts, arrival), pick);
    record.decided(&decision);
    let done = match &decision {
        decision if is_guarded(decision) => Done::because(plain(StatusCode::INTERNAL_SERVER_ERROR), "NotServed"),
        Decision::Respond(respond) => Done::because(with_head(apply::respond(respond)), respond.reason.as_str()),
        Decision::Redirect(redirect) => Done::because(with_head(apply::redirect(redirect)), "Redirect"),
        Decision::Forward(forward) => match table.backend(forward.backend) {
            Some(backend) => {
                let tls = |backend: &Backend| published.backends_tls.get(table, backend.id, forward.matched.parent);
                let series = |backend: &Backend| published.series.backend(table, backend.id);
                let to = |backend| To { backend, tls: tls(backend), series: series(backend) };
                let mirrors = forward.mirrors.iter().filter_map(|id| table.backend(id)).map(to).collect::<Vec<_>>();
                let exchange = Exchange { shared: &shared, forward, to: to(backend), parts, pick, started, upgrade, client };
                exchange.run(any_incoming(incoming), &mirrors).await
            }
            None => Done::because(plain(StatusCode::INTERNAL_SERVER_ERROR), "InvalidBackend"),
        },
        _ => Done::because(plain(StatusCode::INTERNAL_SERVER_ERROR), "NotServed"),
    };
    drop(decision);
    record.finish(done)
}

/// Whether something has to be asked or run before anything else may happen, which this proxy does not do.
fn is_guarded(decision: &Decision<'_>) -> bool {
    match decision {
        Decision::Forward(d) => d.auth.is_some() || d.extensions.iter().next().is_some(),
        Decision::Redirect(d) => d.auth.is_some() || d.extensions.iter().next().is_some(),
        _ => false,
    }
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
