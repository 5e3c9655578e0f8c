//! One request on its way to a backend: attempts, retries, mirrors, and the answer as the client gets it.

use std::sync::Arc;
use std::time::Duration;

use gatewright::decision::{Forward, GrpcStatus, ResponseEdits};
use gatewright::table::Backend;
use gatewright::{Pick, apply};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::backend_tls::Speaker;
use super::body::{self, AnyBody, BoxError, Deadline, Outgoing, With};
use super::record::Done;
use super::service::{plain, with_head};
use super::upstream::Address;
use super::{Shared, hop, mirror};
use crate::observe::{BackendSeries, InFlight, Outcome, count};

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
    /// Counts for the backend until the answer has ended.
    in_flight: InFlight,
    /// The deadline of the attempt ([TO-2]).
    until: Option<Instant>,
}

/// A backend, and how TLS is spoken to it if it wants that.
pub(super) struct To<'e> {
    pub(super) backend: &'e Backend,
    pub(super) tls: Option<Arc<Speaker>>,
    pub(super) series: Arc<BackendSeries>,
}

/// A request on its way to a backend.
pub(super) struct Exchange<'e> {
    pub(super) shared: &'e Arc<Shared>,
    pub(super) forward: &'e Forward<'e>,
    pub(super) to: To<'e>,
    pub(super) parts: &'e Parts,
    pub(super) pick: Pick,
    pub(super) started: Instant,
    pub(super) upgrade: Option<HeaderValue>,
    pub(super) client: Option<hyper::upgrade::OnUpgrade>,
}

impl Exchange<'_> {
    pub(super) async fn run(mut self, incoming: AnyBody, mirrors: &[To<'_>]) -> Done {
        let head = self.head();
        let mut outgoing = Outgoing::Streamed(incoming);
        // A body that may have to be sent more than once is kept, if it is small.
        if self.forward.retry.is_some() || !mirrors.is_empty() {
            outgoing = match Outgoing::keep_if_small(outgoing.take()).await {
                Ok(outgoing) => outgoing,
                Err(_) => return self.failed(StatusCode::BAD_REQUEST, GrpcStatus::Internal, "RequestBody"),
            };
        }
        for (n, to) in mirrors.iter().enumerate() {
            if let Some(body) = outgoing.kept() {
                mirror::send(self.shared, to, &head, body, self.pick.derive(n as u64));
            }
        }
        let deadline = self.forward.timeouts.request.map(|timeout| self.started + timeout);
        match self.attempts(&head, &mut outgoing, deadline).await {
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
        apply::forward(self.forward, &mut head);
        if let Some(protocol) = &self.upgrade {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(header::UPGRADE, protocol.clone());
        }
        head
    }

    /// Tries until something is to be handed to the client ([RT-1] to [RT-6]).
    async fn attempts(&self, head: &Parts, body: &mut Outgoing, deadline: Option<Instant>) -> Result<Answered, Failure> {
        let retry = self.forward.retry.filter(|_| body.kept().is_some());
        let retries = retry.map_or(0, gatewright::model::retry::Retry::attempts);
        let mut attempt = 0;
        self.shared.budgets.request(self.to.backend);
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
        head: &Parts,
        body: AnyBody,
        deadline: Option<Instant>,
        until: Option<Instant>,
    ) -> Result<Answered, Failure> {
        // Another draw for each attempt: mostly another endpoint.
        let address = self.shared.upstreams.address(self.to.backend, self.pick.derive(2000 + u64::from(number)).0);
        let send = self.shared.upstreams.send(self.to.backend, self.to.tls.as_deref(), &address, Request::from_parts(head.clone(), body));
        let never = Instant::now() + Duration::from_secs(86_400 * 365);
        let in_flight = self.to.series.start();
        let (outcome, result) = tokio::select! {
            result = send => match result {
                Ok(response) => (Outcome::Done, Ok(Answered { response, address, in_flight, until })),
                Err(error) => (Outcome::Failed, Err(Failure::Upstream(error))),
            },
            () = tokio::time::sleep_until(until.unwrap_or(never)) => (Outcome::Other, Err(Failure::Attempt)),
            () = tokio::time::sleep_until(deadline.unwrap_or(never)) => (Outcome::Other, Err(Failure::Request)),
        };
        self.to.series.attempt(outcome);
        result
    }

    /// The backend's response as the client gets it.
    fn finish(&mut self, answered: Answered, deadline: Option<Instant>) -> Done {
        let Answered { response, address, in_flight, .. } = answered;
        let endpoint = Some(address.to_string());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Done { endpoint, ..self.switch(response, (address, in_flight)) };
        }
        let (mut head, incoming) = response.into_parts();
        hop::strip_response(&mut head.headers);
        apply::response_headers(&self.forward.response, &mut head.headers);
        head.version = Version::HTTP_11;
        let incoming = body::any(With::new(body::any(incoming), (address, in_flight)));
        let body = match deadline {
            Some(deadline) => body::any(Deadline::new(incoming, deadline)),
            None => incoming,
        };
        Done { endpoint, ..Done::from(Response::from_parts(head, body)) }
    }

    /// Joins the two connections after an upgrade; no timeout runs any longer ([TO-6]).
    fn switch(&mut self, mut response: Response<Incoming>, busy: (Address, InFlight)) -> Done {
        let (Some(client), Some(protocol)) = (self.client.take(), self.upgrade.take()) else {
            return Done::because(plain(StatusCode::BAD_GATEWAY), "Upgrade");
        };
        let backend = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        let accepted = head.headers.get(header::UPGRADE).cloned().unwrap_or(protocol);
        hop::strip_response(&mut head.headers);
        apply::response_headers(&self.forward.response, &mut head.headers);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, accepted);
        tokio::spawn(async move {
            let _busy = busy;
            let (Ok(client), Ok(backend)) = tokio::join!(client, backend) else { return };
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(backend)).await;
        });
        Response::from_parts(head, body::empty()).into()
    }

    /// An answer of the gateway's own; a gRPC client gets a gRPC status.
    fn failed(&self, status: StatusCode, grpc: GrpcStatus, reason: &'static str) -> Done {
        let edits: &ResponseEdits<'_> = &self.forward.response;
        let is_grpc = self.parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if is_grpc {
            return Done::because(with_head(apply::grpc_failure(grpc, status.canonical_reason().unwrap_or_default(), edits)), reason);
        }
        let mut headers = HeaderMap::new();
        apply::response_headers(edits, &mut headers);
        Done::because(with_head((status, headers)), reason)
    }
}
