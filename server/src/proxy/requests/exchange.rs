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

use crate::extensions::Trouble;
use crate::observe::{BackendSeries, InFlight, Outcome, count};
use crate::proxy::Shared;
use crate::proxy::backends::backend_tls::Speaker;
use crate::proxy::backends::mirror;
use crate::proxy::backends::stream;
use crate::proxy::backends::upstream::{self, Address};
use crate::proxy::ports::connection::Connection;
use crate::proxy::ports::stall::Taken;
use crate::proxy::requests::body::{self, AnyBody, BoxError, Deadline, Outgoing, With};
use crate::proxy::requests::ext_auth;
use crate::proxy::requests::guard::{Allowed, is_grpc};
use crate::proxy::requests::hop;
use crate::proxy::requests::incoming::Fault;
use crate::proxy::requests::interim::Interim;
use crate::proxy::requests::record::Done;
use crate::proxy::requests::retries::Retries;
use crate::proxy::requests::service::{Place, plain, with_head};

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

/// Waits until then; for ever if there is no such time, and without a timer.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What a backend answered.
struct Answered {
    response: Response<Incoming>,
    address: Address,
    /// Counts for the backend until the answer has ended.
    in_flight: InFlight,
    /// The deadline of the attempt ([TO-2]).
    until: Option<Instant>,
}

/// A backend, and how TLS is spoken to it if it wants that.
pub(in crate::proxy) struct To<'e> {
    pub(in crate::proxy) backend: &'e Backend,
    pub(in crate::proxy) tls: Option<Arc<Speaker>>,
    pub(in crate::proxy) series: Arc<BackendSeries>,
}

/// A request on its way to a backend.
pub(in crate::proxy) struct Exchange<'e> {
    pub(in crate::proxy) table: &'e Table,
    pub(in crate::proxy) shared: &'e Arc<Shared>,
    pub(in crate::proxy) forward: &'e Forward<'e>,
    pub(in crate::proxy) to: To<'e>,
    pub(in crate::proxy) parts: &'e Parts,
    pub(in crate::proxy) pick: Pick,
    pub(in crate::proxy) started: Instant,
    pub(in crate::proxy) upgrade: Option<HeaderValue>,
    pub(in crate::proxy) client: Option<hyper::upgrade::OnUpgrade>,
    pub(in crate::proxy) connection: Arc<Connection>,
    pub(in crate::proxy) place: Place,
    pub(in crate::proxy) fault: Fault,
    /// What an authorization service has said.
    pub(in crate::proxy) allowed: Option<Allowed>,
    pub(in crate::proxy) retries: Option<Retries<'e>>,
}

impl Exchange<'_> {
    pub(in crate::proxy) async fn run(self, incoming: AnyBody, mirrors: &[To<'_>]) -> Done {
        let head = self.head();
        let mut outgoing = Outgoing::Streamed(incoming);
        // A body that may have to be sent more than once is kept, if it is small.
        if self.retries.is_some() {
            outgoing = match Outgoing::keep_if_small(outgoing.take()).await {
                Ok(outgoing) => outgoing,
                Err(_) => {
                    return self.failed(self.fault.status().unwrap_or(StatusCode::BAD_REQUEST), GrpcStatus::Internal, "RequestBody");
                }
            };
        }
        for (n, (to, copy)) in mirrors.iter().zip(outgoing.copies(mirrors.len())).enumerate() {
            mirror::send(self.shared, to, &head, copy, self.pick.derive(n as u64));
        }
        let deadline = self.forward.timeouts.request.map(|timeout| self.started + timeout);
        match self.attempts(head, &mut outgoing, deadline).await {
            Ok(answered) => {
                let until = deadline.into_iter().chain(answered.until).min();
                self.finish(answered, until)
            }
            Err(Failure::Request | Failure::Attempt) => self.failed(StatusCode::GATEWAY_TIMEOUT, GrpcStatus::Unavailable, "Timeout"),
            Err(Failure::Budget) => {
                tracing::debug!(backend = %self.to.backend.object, "no more retries for now");
                self.failed(StatusCode::SERVICE_UNAVAILABLE, GrpcStatus::Unavailable, "RetryBudget")
            }
            Err(Failure::Upstream(error)) => {
                // What a client has broken is not its backend's.
                if let Some(status) = self.fault.status() {
                    return self.failed(status, GrpcStatus::Internal, "RequestBody");
                }
                tracing::warn!(%error, backend = %self.to.backend.object, "the backend cannot be reached");
                // Where retries were asked for and did not help, the backend counts as unavailable ([RT-2]).
                let status = if self.forward.retry.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
                self.failed(status, GrpcStatus::Unavailable, "BackendUnreachable")
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
        match &self.allowed {
            Some(allowed) => {
                ext_auth::remove(allowed, &mut head);
                apply::forward_allowed(self.forward, &allowed.fields, &mut head);
            }
            None => apply::forward(self.forward, &mut head),
        }
        if let Some(protocol) = &self.upgrade {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(header::UPGRADE, protocol.clone());
        }
        head
    }

    /// Tries until something is to be handed to the client ([RT-1] to [RT-6]).
    async fn attempts(&self, mut head: Parts, body: &mut Outgoing, deadline: Option<Instant>) -> Result<Answered, Failure> {
        let retry = self.retries.filter(|_| body.is_kept());
        let retries = retry.map_or(0, Retries::number);
        let mut attempt = 0;
        self.shared.budgets.request(self.to.backend, retries);
        loop {
            let until = self.forward.timeouts.backend_request.map(|timeout| Instant::now() + timeout);
            // The last one takes the head with it.
            let sent = if attempt < retries { head.clone() } else { std::mem::replace(&mut head, Request::new(()).into_parts().0) };
            let result = self.attempt(attempt, sent, body.take(), deadline, until).await;
            let trouble = match &result {
                Ok(answered) => Some(Trouble::Status(answered.response.status().as_u16())),
                Err(Failure::Upstream(error)) if upstream::is_no_connection(error) => Some(Trouble::NoConnection),
                Err(Failure::Upstream(_) | Failure::Attempt) => Some(Trouble::NoAnswer),
                Err(Failure::Request | Failure::Budget) => None,
            };
            let again = retry.zip(trouble).is_some_and(|(retry, trouble)| retry.again(&self.parts.method, trouble));
            if !again || attempt >= retries {
                return result;
            }
            if !self.shared.budgets.try_retry(self.to.backend) {
                count(&self.to.series.retries_refused);
                return Err(Failure::Budget);
            }
            let pause = retry.map_or(Duration::ZERO, |retry| retry.pause(attempt, self.pick.derive(1000 + u64::from(attempt))));
            attempt += 1;
            count(&self.to.series.retries);
            if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
                return Err(Failure::Request);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        number: u32,
        head: Parts,
        body: AnyBody,
        deadline: Option<Instant>,
        until: Option<Instant>,
    ) -> Result<Answered, Failure> {
        // Another draw for each attempt: mostly another endpoint.
        let session = self.forward.session.as_ref().filter(|_| number == 0).and_then(Session::endpoint);
        let pick = self.pick.derive(2000 + u64::from(number)).0;
        let Some(address) = self.shared.upstreams.address(self.to.backend, session, pick) else {
            return Err(Failure::Upstream("the backend has no address".into()));
        };
        let mut request = Request::from_parts(head, body);
        let interim = Interim::count(&mut request);
        let send = self.shared.upstreams.send(self.to.backend, self.to.tls.as_deref(), &address, request);
        let in_flight = self.to.series.start();
        let (outcome, result) = tokio::select! {
            biased;
            result = send => match result {
                Ok(response) => (Outcome::Done, Ok(Answered { response, address, in_flight, until })),
                Err(error) => (Outcome::Failed, Err(Failure::Upstream(error))),
            },
            () = interim.too_many() => (Outcome::Failed, Err(Failure::Upstream("too many interim responses".into()))),
            () = at(until) => (Outcome::Other, Err(Failure::Attempt)),
            () = at(deadline) => (Outcome::Other, Err(Failure::Request)),
        };
        self.to.series.attempt(outcome);
        result
    }

    /// The backend's response as the client gets it.
    fn finish(self, answered: Answered, deadline: Option<Instant>) -> Done {
        let Answered { response, address, in_flight, .. } = answered;
        self.fault.answered();
        let endpoint = Some(address.authority().clone());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Done { endpoint, ..self.switch(response, (address, in_flight)) };
        }
        let (mut head, incoming) = response.into_parts();
        hop::strip_response(&mut head.headers);
        apply::response_headers(&self.forward.response, &mut head.headers);
        if let Some((name, value)) = self.table.session_field(self.forward, address.endpoint(self.to.backend), &self.shared.sessions()) {
            head.headers.append(name, value);
        }
        head.version = Version::HTTP_11;
        let taken = Taken::new(incoming, Arc::clone(&self.connection.stalls));
        let incoming = body::any(With::new(taken, (address, in_flight, self.place)));
        let body = match deadline {
            Some(deadline) => body::any(Deadline::new(incoming, deadline)),
            None => incoming,
        };
        Done { endpoint, ..Done::from(Response::from_parts(head, body)) }
    }

    /// Joins the two connections after an upgrade; no timeout runs any longer ([TO-6]).
    fn switch(self, mut response: Response<Incoming>, busy: (Address, InFlight)) -> Done {
        let (Some(client), Some(protocol)) = (self.client, self.upgrade) else {
            return Done::because(plain(StatusCode::BAD_GATEWAY), "Upgrade");
        };
        let backend = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        let accepted = head.headers.get(header::UPGRADE).cloned().unwrap_or(protocol);
        hop::strip_response(&mut head.headers);
        apply::response_headers(&self.forward.response, &mut head.headers);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, accepted);
        let (connection, idle) = (self.connection, self.shared.stream_idle);
        // Its place among requests is free again: a tunnel counts as a connection.
        tokio::spawn(async move {
            let _busy = busy;
            let (Ok(client), Ok(backend)) = tokio::join!(client, backend) else { return };
            // It is cut when the time to drain is over.
            tokio::select! {
                _ = stream::copy(TokioIo::new(client), TokioIo::new(backend), idle) => {}
                () = connection.is_cut() => {}
            }
        });
        Response::from_parts(head, body::empty()).into()
    }

    /// An answer of the gateway's own; a gRPC client gets a gRPC status.
    fn failed(&self, status: StatusCode, grpc: GrpcStatus, reason: &'static str) -> Done {
        let edits: &ResponseEdits<'_> = &self.forward.response;
        if is_grpc(self.parts) {
            return Done::because(with_head(apply::grpc_failure(grpc, status.canonical_reason().unwrap_or_default(), edits)), reason);
        }
        let mut headers = HeaderMap::new();
        apply::response_headers(edits, &mut headers);
        Done::because(with_head((status, headers)), reason)
    }
}
