//! The body of a client's request: bounded in size and in the pauses it may make, without its trailers.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::proxy::ports::limits::Limits;
use crate::proxy::requests::body::BoxError;

/// What becomes of a client's body, for whoever answers the request.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Fault(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Why it has not come to its end, as the status for the client: that is not the backend's fault.
    status: AtomicU16,
    is_answered: AtomicBool,
}

impl Fault {
    pub(in crate::proxy) fn status(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.0.status.load(Ordering::Relaxed)).ok()
    }

    /// The backend has begun to answer: from now on the two may take turns, and pauses are theirs.
    pub(in crate::proxy) fn answered(&self) {
        self.0.is_answered.store(true, Ordering::Relaxed);
    }

    fn is(&self, status: StatusCode) -> BoxError {
        self.0.status.store(status.as_u16(), Ordering::Relaxed);
        status.canonical_reason().unwrap_or_default().into()
    }
}

/// A body on its way from the client.
pub(in crate::proxy) struct FromClient {
    body: Incoming,
    fault: Fault,
    /// How long it may pause.
    idle: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Octets that may still come.
    left: u64,
}

impl FromClient {
    /// A stream of messages (`may_pause`) is not a body that comes slowly.
    pub(in crate::proxy) fn new(body: Incoming, limits: &Limits, fault: Fault, may_pause: bool) -> Self {
        let idle = (!may_pause).then_some(limits.body_idle);
        Self { body, fault, idle, pause: None, left: limits.body.unwrap_or(u64::MAX) }
    }
}

impl Body for FromClient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let frame = match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(this.fault.is(StatusCode::BAD_REQUEST)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    let Some(idle) = this.idle else { return Poll::Pending };
                    let pause = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                    if pause.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    if this.fault.0.is_answered.load(Ordering::Relaxed) {
                        this.idle = None;
                        return Poll::Pending;
                    }
                    return Poll::Ready(Some(Err(this.fault.is(StatusCode::REQUEST_TIMEOUT))));
                }
            };
            this.pause = None;
            // Trailers end here: a backend might take them for header fields ([R-F8]).
            let Ok(data) = frame.into_data() else { continue };
            let Some(left) = this.left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Some(Err(this.fault.is(StatusCode::PAYLOAD_TOO_LARGE))));
            };
            this.left = left;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
