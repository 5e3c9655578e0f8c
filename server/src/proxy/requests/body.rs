//! Message bodies: streamed, or kept when they have to be sent more than once.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::proxy::ports::limits::Limits;
use crate::proxy::requests::incoming::{Fault, FromClient};
use crate::proxy::requests::tee::tee;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub(in crate::proxy) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

pub(in crate::proxy) fn empty() -> AnyBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(in crate::proxy) fn full(bytes: Bytes) -> AnyBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

pub(in crate::proxy) fn any<B>(body: B) -> AnyBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// The body of a client's request.
pub(in crate::proxy) fn from_client(incoming: Incoming, limits: &Limits, fault: &Fault, may_pause: bool) -> AnyBody {
    if incoming.is_end_stream() { empty() } else { any(FromClient::new(incoming, limits, fault.clone(), may_pause)) }
}

/// A body that fails with [`LengthLimitError`](http_body_util::LengthLimitError) when there is more of it.
pub(in crate::proxy) fn limited(body: AnyBody, most: usize) -> AnyBody {
    any(Limited::new(body, most))
}

/// A request body: kept, so that it can be sent again, or streamed once.
pub(in crate::proxy) enum Outgoing {
    Kept(Bytes),
    Streamed(AnyBody),
}

/// Bytes that are kept of a body for retries and mirrors.
const KEEP: u64 = 64 * 1024;

impl Outgoing {
    /// Reads a body whose size is known to be small; streams any other.
    pub(in crate::proxy) async fn keep_if_small(body: AnyBody) -> Result<Self, BoxError> {
        if body.size_hint().upper().is_some_and(|size| size <= KEEP) {
            return Ok(Self::Kept(body.collect().await?.to_bytes()));
        }
        Ok(Self::Streamed(body))
    }

    /// Whether it can be sent again.
    pub(in crate::proxy) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// As many copies, which are sent beside it.
    pub(in crate::proxy) fn copies(&mut self, copies: usize) -> Vec<AnyBody> {
        match self {
            Self::Kept(bytes) => (0..copies).map(|_| full(bytes.clone())).collect(),
            Self::Streamed(_) if copies == 0 => Vec::new(),
            Self::Streamed(_) => {
                let (body, readers) = tee(self.take(), copies);
                *self = Self::Streamed(body);
                readers
            }
        }
    }

    /// The body to send now. A streamed body is sent once.
    pub(in crate::proxy) fn take(&mut self) -> AnyBody {
        match self {
            Self::Kept(bytes) if bytes.is_empty() => empty(),
            Self::Kept(bytes) => full(bytes.clone()),
            Self::Streamed(body) => std::mem::replace(body, empty()),
        }
    }
}

/// A body with something that lives as long as it does.
pub(in crate::proxy) struct With<B, T> {
    body: B,
    _kept: T,
}

impl<B, T> With<B, T> {
    pub(in crate::proxy) fn new(body: B, kept: T) -> Self {
        Self { body, _kept: kept }
    }
}

impl<B: Body + Unpin, T: Unpin> Body for With<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that must end before a deadline, or fails ([TO-1], [TO-2]).
pub(in crate::proxy) struct Deadline {
    body: AnyBody,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(in crate::proxy) fn new(body: AnyBody, at: Instant) -> Self {
        Self { body, sleep: Box::pin(tokio::time::sleep_until(at)) }
    }
}

impl Body for Deadline {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("the response took longer than its timeout".into())));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
