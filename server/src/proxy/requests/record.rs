//! What is kept of a request until the last octet of its answer: then it is counted and gets its line in the access log,
//! however it ended.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use gatewright::Decision;
use gatewright::decision::Matched;
use gatewright::table::BackendId;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Response, StatusCode, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::observe::{Counted, Facts, Identity, Key, Span, cut, cut_octets};
use crate::proxy::Shared;
use crate::proxy::ports::connection::Connection;
use crate::proxy::requests::body::{self, AnyBody, BoxError};
use crate::publish::Published;

/// Octets of a path, a host and a user agent that are logged at most.
const PATH: usize = 2048;
const HOST: usize = 256;
const AGENT: usize = 256;
/// Stands in the log for the answer that a client did not wait for.
const CLIENT_CLOSED: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// An answer, and what there is to tell of it.
pub(in crate::proxy) struct Done {
    pub(in crate::proxy) response: Response<AnyBody>,
    /// Where the backend's answer came from.
    pub(in crate::proxy) endpoint: Option<Authority>,
    /// Why the gateway answered itself.
    pub(in crate::proxy) reason: Option<&'static str>,
}

impl Done {
    /// An answer of the gateway's own.
    pub(in crate::proxy) fn because(response: Response<AnyBody>, reason: &'static str) -> Self {
        Self { response, endpoint: None, reason: Some(reason) }
    }
}

/// An answer of a backend.
impl From<Response<AnyBody>> for Done {
    fn from(response: Response<AnyBody>) -> Self {
        Self { response, endpoint: None, reason: None }
    }
}

/// A request whose answer is not there yet.
pub(in crate::proxy) struct Record {
    pub(in crate::proxy) parts: Parts,
    pub(in crate::proxy) published: Arc<Published>,
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    host: Option<HeaderValue>,
    identity: Identity,
    /// Until it has ended.
    span: Option<Span>,
    started: Instant,
    decided: OnceLock<(Option<Matched>, Option<BackendId>)>,
    is_finished: bool,
}

impl Record {
    pub(in crate::proxy) fn new(
        shared: &Arc<Shared>,
        connection: &Arc<Connection>,
        parts: Parts,
        host: Option<HeaderValue>,
        (identity, span): (Identity, Span),
        started: Instant,
        published: Arc<Published>,
    ) -> Self {
        let (shared, connection) = (Arc::clone(shared), Arc::clone(connection));
        let (span, decided) = (Some(span), OnceLock::new());
        Self { parts, published, shared, connection, host, identity, span, started, decided, is_finished: false }
    }

    /// Takes down who decided.
    pub(in crate::proxy) fn decided(&self, decision: &Decision<'_>) {
        let backend = match decision {
            Decision::Forward(forward) => Some(forward.backend),
            _ => None,
        };
        let _ = self.decided.set((decision.matched(), backend));
    }

    /// The answer as it is sent; the request ends with its body.
    pub(in crate::proxy) fn finish(mut self, done: Done) -> Response<AnyBody> {
        let Done { mut response, endpoint, reason } = done;
        self.identity.answer(response.headers_mut());
        let ending = self.ending(response.status(), endpoint, reason);
        let (head, body) = response.into_parts();
        if body.is_end_stream() {
            let mut ending = ending;
            ending.is_complete = true;
            return Response::from_parts(head, body);
        }
        Response::from_parts(head, body::any(Watched { body, ending }))
    }

    fn ending(&mut self, status: StatusCode, endpoint: Option<Authority>, reason: Option<&'static str>) -> Ending {
        self.is_finished = true;
        let (matched, backend) = self.decided.get().copied().unwrap_or_default();
        let (port, published) = (&self.connection.port, &self.published);
        let key = Key::new(published.ports.get(&**port).copied(), matched, backend, reason, (&self.parts.method, status));
        let counted = published.series.request(&published.table, port, key);
        let is_logged = self.shared.access_log.wants(matched.is_some());
        let span = self.span.take().filter(Span::is_recording);
        let seen = (is_logged || span.is_some()).then(|| {
            Box::new(Seen {
                is_logged,
                span,
                shared: Arc::clone(&self.shared),
                connection: Arc::clone(&self.connection),
                method: std::mem::take(&mut self.parts.method),
                uri: std::mem::take(&mut self.parts.uri),
                version: self.parts.version,
                host: self.host.take(),
                agent: self.parts.headers.get(header::USER_AGENT).cloned(),
                identity: self.identity.clone(),
                status,
                match_: matched.and_then(|matched| published.table.match_info(matched.match_)).map(|info| info.index),
                endpoint,
                reason,
            })
        });
        Ending { counted, started: self.started, octets: 0, is_complete: false, seen }
    }
}

/// The client has gone, or the request has panicked.
impl Drop for Record {
    fn drop(&mut self) {
        if !self.is_finished {
            let (status, reason) =
                if std::thread::panicking() { (StatusCode::INTERNAL_SERVER_ERROR, "Panic") } else { (CLIENT_CLOSED, "ClientClosed") };
            drop(self.ending(status, None, Some(reason)));
        }
    }
}

/// A request whose answer is being sent. Dropped when that is over.
struct Ending {
    counted: Arc<Counted>,
    started: Instant,
    octets: u64,
    is_complete: bool,
    /// What the log and the span say of it, if there is one of them.
    seen: Option<Box<Seen>>,
}

struct Seen {
    is_logged: bool,
    span: Option<Span>,
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    identity: Identity,
    status: StatusCode,
    match_: Option<u32>,
    endpoint: Option<Authority>,
    reason: Option<&'static str>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.counted.finished(took);
        let Some(seen) = self.seen.as_deref_mut() else { return };
        let host = seen.host.as_ref().map(|host| cut_octets(host.as_bytes(), HOST)).unwrap_or_default();
        let agent = seen.agent.as_ref().map(|agent| cut_octets(agent.as_bytes(), AGENT));
        let facts = Facts {
            names: self.counted.names(),
            request_id: seen.identity.request.to_str().unwrap_or_default(),
            trace_id: seen.identity.trace_id(),
            client: seen.connection.peer,
            port: seen.connection.port.port,
            protocol: protocol(seen.version),
            scheme: if seen.connection.tls.is_some() { "https" } else { "http" },
            method: &seen.method,
            host: &host,
            path: cut(seen.uri.path(), PATH),
            user_agent: agent.as_deref(),
            status: seen.status,
            took,
            octets: self.octets,
            complete: self.is_complete,
            match_: seen.match_,
            endpoint: seen.endpoint.as_ref().map(Authority::as_str),
            reason: seen.reason,
        };
        if seen.is_logged {
            seen.shared.access_log.line(&facts);
        }
        if let Some(span) = &mut seen.span {
            span.end(&facts);
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP",
    }
}

/// The body of an answer, and the request that ends with it.
struct Watched {
    body: AnyBody,
    ending: Ending,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.ending.octets += frame.data_ref().map_or(0, |data| data.remaining() as u64);
                self.ending.is_complete = self.body.is_end_stream() || frame.is_trailers();
            }
            Poll::Ready(None) => self.ending.is_complete = true,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
