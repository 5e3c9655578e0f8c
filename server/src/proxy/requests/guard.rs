//! What a request passes before its decision is carried out: the authorization service, then the policies of its rule and
//! its backend, in the order written ([F-3], [F-60]). They guard redirects and answers of the gateway as well.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright::decision::{Check, Extensions, GrpcStatus, Parent, ResponseEdits, Target};
use gatewright::{Decision, Pick, apply};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::extensions::{Policy, Refused};
use crate::proxy::Shared;
use crate::proxy::requests::body::{self, AnyBody};
use crate::proxy::requests::ext_auth;
use crate::proxy::requests::pages;
use crate::proxy::requests::service::with_head;
use crate::publish::Published;

/// A request before its decision is carried out.
pub(in crate::proxy) struct Guard<'g> {
    pub(in crate::proxy) shared: &'g Arc<Shared>,
    pub(in crate::proxy) published: &'g Published,
    pub(in crate::proxy) parts: &'g Parts,
    pub(in crate::proxy) peer: IpAddr,
    pub(in crate::proxy) pick: Pick,
    pub(in crate::proxy) guards: Guards<'g>,
}

/// A request that may go on.
pub(in crate::proxy) struct Passed {
    pub(in crate::proxy) body: AnyBody,
    /// What the authorization service says, if one was asked.
    pub(in crate::proxy) allowed: Option<Allowed>,
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Passed, Box<Denial>>> + Send + 'a>>;

/// What an authorization service says along with its yes.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Allowed {
    /// Fields for the request ([E-5]).
    pub(in crate::proxy) fields: HeaderMap,
    /// Fields of the request that it takes out.
    pub(in crate::proxy) removed: Vec<HeaderName>,
    /// Fields for the response.
    pub(in crate::proxy) response: HeaderMap,
}

/// The answer to a request that does not pass.
#[derive(Debug)]
pub(in crate::proxy) struct Denial {
    pub(in crate::proxy) status: StatusCode,
    pub(in crate::proxy) grpc: GrpcStatus,
    pub(in crate::proxy) headers: HeaderMap,
    pub(in crate::proxy) body: Bytes,
}

impl Denial {
    /// In a box: it is the rare way out of functions that mostly give little.
    pub(in crate::proxy) fn of(status: StatusCode) -> Box<Self> {
        let grpc = match status {
            StatusCode::UNAUTHORIZED => GrpcStatus::Unauthenticated,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => GrpcStatus::ResourceExhausted,
            status if status.is_server_error() => GrpcStatus::Unavailable,
            _ => GrpcStatus::PermissionDenied,
        };
        Box::new(Self { status, grpc, headers: HeaderMap::new(), body: Bytes::new() })
    }

    fn with(mut self: Box<Self>, name: HeaderName, value: HeaderValue) -> Box<Self> {
        self.headers.insert(name, value);
        self
    }

    /// As the client gets it: with the edits of the rule ([F-7]), and for gRPC as a status.
    fn answer(self, request: &Parts, edits: &ResponseEdits<'_>) -> Response<AnyBody> {
        if is_grpc(request) {
            let message = self.status.canonical_reason().unwrap_or_default();
            return with_head(apply::grpc_failure(self.grpc, message, edits));
        }
        let mut headers = self.headers;
        apply::response_headers(edits, &mut headers);
        let mut response = with_head((self.status, headers));
        if !self.body.is_empty() && request.method != Method::HEAD {
            *response.body_mut() = body::full(self.body);
        }
        response
    }
}

/// What guards a decision, and what is edited of its response.
#[derive(Clone, Copy)]
pub(in crate::proxy) struct Guards<'d> {
    check: Option<(Check<'d>, &'d Target<'d>)>,
    pub(in crate::proxy) extensions: Extensions<'d>,
    edits: ResponseEdits<'d>,
    pub(in crate::proxy) parent: Option<Parent>,
    /// Of the whole request ([TO-1]).
    timeout: Option<Duration>,
}

impl<'d> Guards<'d> {
    /// `None` for a decision that nothing is known of: it must not be carried out.
    pub(in crate::proxy) fn of(decision: &'d Decision<'d>) -> Option<Self> {
        let (auth, target, extensions, edits, timeout) = match decision {
            Decision::Forward(d) => (d.auth, Some(&d.target), d.extensions, d.response, d.timeouts.request),
            Decision::Redirect(d) => (d.auth, Some(d.location.target()), d.extensions, d.response, None),
            Decision::Respond(d) => (d.auth, d.target.as_ref(), d.extensions, d.response, None),
            _ => return None,
        };
        let check = match (auth, target) {
            (Some(check), Some(target)) => Some((check, target)),
            (None, _) => None,
            // A check without anything to ask about must not be passed over.
            (Some(_), None) => return None,
        };
        let parent = decision.matched().map(|matched| matched.parent);
        Some(Self { check, extensions, edits, parent, timeout })
    }
}

impl Guard<'_> {
    /// Lets the request pass; the error is the answer to one that does not.
    pub(in crate::proxy) async fn pass(&self, body: AnyBody) -> Result<Passed, Response<AnyBody>> {
        let guards = &self.guards;
        let mut passed = Passed { body, allowed: None };
        if let Some((check, target)) = &guards.check {
            // Few requests are asked about: the others are not to carry the place for it.
            let asked: Asked<'_> = Box::pin(ext_auth::ask(self, check, target, passed.body, guards.timeout));
            passed = asked.await.map_err(|denial| denial.answer(self.parts, &guards.edits))?;
        }
        for name in guards.extensions.iter() {
            let checked = match self.published.extensions.get(name) {
                Some(policy) => self.check(policy),
                // The table knows it and its policy is not there: not skipped ([F-60]).
                None => Err(Denial::of(StatusCode::INTERNAL_SERVER_ERROR)),
            };
            checked.map_err(|denial| {
                tracing::debug!(policy = %name, status = denial.status.as_u16(), "refused");
                denial.answer(self.parts, &guards.edits)
            })?;
        }
        Ok(passed)
    }

    /// The response with what its policies and the authorization service add, whoever made it.
    pub(in crate::proxy) async fn finished(&self, mut response: Response<AnyBody>, fields: &HeaderMap) -> Response<AnyBody> {
        for (name, value) in fields {
            response.headers_mut().append(name, value.clone());
        }
        if self.guards.extensions.is_empty() { response } else { pages::with_page(self, response).await }
    }

    /// What a policy says before a request is sent.
    fn check(&self, policy: &Policy) -> Result<(), Box<Denial>> {
        match policy {
            Policy::RateLimit(limit) => limit.check(self.peer, &self.parts.headers).map_err(|wait| {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Denial::of(StatusCode::TOO_MANY_REQUESTS).with(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
            }),
            Policy::Jwt(jwt) => jwt.check(&self.parts.headers).map_err(|refused| {
                let challenge = match refused {
                    Refused::NoToken => HeaderValue::from_static("Bearer"),
                    Refused::Invalid => HeaderValue::from_static("Bearer error=\"invalid_token\""),
                };
                Denial::of(StatusCode::UNAUTHORIZED).with(header::WWW_AUTHENTICATE, challenge)
            }),
            // Those come later.
            Policy::Retry(_) | Policy::ErrorPages(_) => Ok(()),
        }
    }
}

/// Whether the client speaks gRPC.
pub(in crate::proxy) fn is_grpc(request: &Parts) -> bool {
    apply::is_grpc(&request.headers)
}
