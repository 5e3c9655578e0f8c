//! One request on its way to a backend: attempts, retries, mirrors, and the answer as the client gets it.

use std::sync::Arc;
use std::time::Duration;

use gatewright::decision::{Forward, GrpcStatus, ResponseEdits};
use gatewright::session::Session;
use gatewright::table::Backend;
use gatewright::{Pick, Table, apply};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::backend_tls::Speaker;
use super::body::{self, AnyBody, BoxError, Deadline, Outgoing, With};
use super::connection::Connection;
use super::incoming::Fault;
use super::interim::Interim;
use super::service::{Place, plain, with_head};
use super::stall::Taken;
use super::upstream::Address;
use super::{Shared, hop, mirror};

/// What came of an attempt.
enum Failure {
    /// A connection or protocol error.
    Upstream(BoxError),
    /// The timeout of the attempt ([TO-2]).
    Attempt,
    /// The timeout of the request ([TO-1]).
    Request,
    /// The backend has had its share of retries ([RT-9]).
    Budget,
}

/// What a backend answered.
struct Answered {
    response: Response<Incoming>,
    address: Address,
    /// The deadline of the attempt ([TO-2]).
    until: Option<Instant>,
}

/// A backend, and how TLS is spoken to it if it wants that.
pub(super) struct To<'e> {
    pub(super) backend: &'e Backend,
    pub(super) tls: Option<Arc<Speaker>>,
}

/// A request on its way to a backend.
pub(super) struct Exchange<'e> {
    pub(super) table: &'e Table,
    pub(super) shared: &'e Arc<Shared>,
    pub(super) forward: &'e Forward<'e>,
    pub(super) to: To<'e>,
    pub(super) parts: &'e Parts,
    pub(super) pick: Pick,
    pub(super) started: Instant,
    pub(super) upgrade: Option<HeaderValue>,
    pub(super) client: Option<hyper::upgrade::OnUpgrade>,
    pub(super) connection: Arc<Connection>,
    pub(super) place: Place,
    pub(super) fault: Fault,
}

impl Exchange<'_> {
    pub(super) async fn run(self, incoming: AnyBody, mirrors: &[To<'_>]) -> Response<AnyBody> {
        let head = self.head();
        let mut outgoing = Outgoing::Streamed(incoming);
        // A body that may have to be sent more than once is kept, if it is small.
        if self.forward.retry.is_some() {
            outgoing = match Outgoing::keep_if_small(outgoing.take()).await {
                Ok(outgoing) => outgoing,
                Err(_) => return self.failed(self.fault.status().unwrap_or(StatusCode::BAD_REQUEST), GrpcStatus::Internal),
            };
        }
        for (n, (to, copy)) in mirrors.iter().zip(outgoing.copies(mirrors.len())).enumerate() {
            mirror::send(self.shared, to, &head, copy, self.pick.derive(n as u64));
        }
        let deadline = self.forward.timeouts.request.map(|timeout| self.started + timeout);
        match self.attempts(&head, &mut outgoing, deadline).await {
            Ok(answered) => {
                let until = deadline.into_iter().chain(answered.until).min();
                self.finish(answered, until)
            }
            Err(Failure::Request | Failure::Attempt) => self.failed(StatusCode::GATEWAY_TIMEOUT, GrpcStatus::Unavailable),
            Err(Failure::Budget) => {
                tracing::debug!(backend = %self.to.backend.object, "no more retries for now");
                self.failed(StatusCode::SERVICE_UNAVAILABLE, GrpcStatus::Unavailable)
            }
            Err(Failure::Upstream(_)) if let Some(status) = self.fault.status() => self.failed(status, GrpcStatus::Internal),
            Err(Failure::Upstream(error)) => {
                tracing::warn!(%error, backend = %self.to.backend.object, "the backend cannot be reached");
                // Where retries were asked for and did not help, the backend counts as unavailable ([RT-2]).
                let status = if self.forward.retry.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
                self.failed(status, GrpcStatus::Unavailable)
            }
        }
    }

    /// The request as the backend gets it.
    fn head(&self) -> Parts {
        let mut head = Request::new(()).into_parts().0;
        head.method = self.parts.method.clone();
        head.headers = self.parts.headers.clone();
        // The body says it anew, in one spelling.
        head.headers.remove(header::CONTENT_LENGTH);
        apply::forward(self.forward, &mut head);
        if let Some(protocol) = &self.upgrade {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(header::UPGRADE, protocol.clone());
        }
        head
    }

    /// Tries until something is to be handed to the client ([RT-1] to [RT-6]).
    async fn attempts(&self, head: &Parts, body: &mut Outgoing, deadline: Option<Instant>) -> Result<Answered, Failure> {
        let retry = self.forward.retry.filter(|_| body.is_kept());
        let retries = retry.map_or(0, gatewright::model::retry::Retry::attempts);
        let mut attempt = 0;
        self.shared.budgets.request(self.to.backend, retries);
        loop {
            let until = self.forward.timeouts.backend_request.map(|timeout| Instant::now() + timeout);
            let result = self.attempt(attempt, head, body.take(), deadline, until).await;
            let again = match &result {
                Ok(answered) => retry.is_some_and(|retry| retry.codes().contains(&answered.response.status().as_u16())),
                Err(Failure::Upstream(_) | Failure::Attempt) => true,
                Err(Failure::Request | Failure::Budget) => false,
            };
            if !again || attempt >= retries {
                return result;
            }
            if !self.shared.budgets.try_retry(self.to.backend) {
                return Err(Failure::Budget);
            }
            let pause = retry.map_or(Duration::ZERO, |retry| retry.pause(attempt, self.pick.derive(1000 + u64::from(attempt))));
            attempt += 1;
            if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
                return Err(Failure::Request);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        number: u32,
        head: &Parts,
        body: AnyBody,
        deadline: Option<Instant>,
        until: Option<Instant>,
    ) -> Result<Answered, Failure> {
        // Another draw for each attempt: mostly another endpoint.
        let session = self.forward.session.as_ref().filter(|_| number == 0).and_then(Session::endpoint);
        let address = self.shared.upstreams.address(self.to.backend, session, self.pick.derive(2000 + u64::from(number)).0);
        let mut request = Request::from_parts(head.clone(), body);
        let interim = Interim::count(&mut request);
        let send = self.shared.upstreams.send(self.to.backend, self.to.tls.as_deref(), &address, request);
        let never = Instant::now() + Duration::from_secs(86_400 * 365);
        tokio::select! {
            result = send => match result {
                Ok(response) => Ok(Answered { response, address, until }),
                Err(error) => Err(Failure::Upstream(error)),
            },
            () = interim.too_many() => Err(Failure::Upstream("too many interim responses".into())),
            () = tokio::time::sleep_until(until.unwrap_or(never)) => Err(Failure::Attempt),
            () = tokio::time::sleep_until(deadline.unwrap_or(never)) => Err(Failure::Request),
        }
    }

    /// The backend's response as the client gets it.
    fn finish(self, answered: Answered, deadline: Option<Instant>) -> Response<AnyBody> {
        let Answered { response, address, .. } = answered;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response, address);
        }
        let (mut head, incoming) = response.into_parts();
        hop::strip_response(&mut head.headers);
        apply::response_headers(&self.forward.response, &mut head.headers);
        if let Some((name, value)) = self.table.session_field(self.forward, address.endpoint(self.to.backend), &self.shared.sessions()) {
            head.headers.append(name, value);
        }
        head.version = Version::HTTP_11;
        let incoming = body::any(With::new(incoming, (address, self.place)));
        let incoming = body::any(Taken::new(incoming, Arc::clone(&self.connection.stalls)));
        let body = match deadline {
            Some(deadline) => body::any(Deadline::new(incoming, deadline)),
            None => incoming,
        };
        Response::from_parts(head, body)
    }

    /// Joins the two connections after an upgrade; no timeout runs any longer ([TO-6]).
    fn switch(self, mut response: Response<Incoming>, address: Address) -> Response<AnyBody> {
        let (Some(client), Some(protocol)) = (self.client, self.upgrade) else { return plain(StatusCode::BAD_GATEWAY) };
        let backend = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        let accepted = head.headers.get(header::UPGRADE).cloned().unwrap_or(protocol);
        hop::strip_response(&mut head.headers);
        apply::response_headers(&self.forward.response, &mut head.headers);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, accepted);
        let (connection, place) = (self.connection, self.place);
        tokio::spawn(async move {
            let _kept = (address, place);
            let (Ok(client), Ok(backend)) = tokio::join!(client, backend) else { return };
            let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
            // A tunnel counts as its connection does, and is cut when the time to drain is over.
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut backend) => {}
                () = connection.is_cut() => {}
            }
        });
        Response::from_parts(head, body::empty())
    }

    /// An answer of the gateway's own; a gRPC client gets a gRPC status.
    fn failed(&self, status: StatusCode, grpc: GrpcStatus) -> Response<AnyBody> {
        let edits: &ResponseEdits<'_> = &self.forward.response;
        let is_grpc = self.parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if is_grpc {
            return with_head(apply::grpc_failure(grpc, status.canonical_reason().unwrap_or_default(), edits));
        }
        let mut headers = HeaderMap::new();
        apply::response_headers(edits, &mut headers);
        with_head((status, headers))
    }
}
