//! Clients that do not take their answers: whoever opens no window, or reads nothing, holds memory and a connection to a
//! backend for as long as it likes ([R-S4], [R-S7]).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

/// How many bodies of a connection wait for their client, by the turn in which they began to: an even and an odd one.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Stalls {
    turn: AtomicUsize,
    waiting: [AtomicUsize; 2],
}

impl Stalls {
    /// The next turn begins; true if a body waits since before the one that ends.
    pub(in crate::proxy) fn next(&self) -> bool {
        let next = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        self.turn.store(next, Ordering::Relaxed);
        self.waiting[next % 2].load(Ordering::Relaxed) > 0
    }
}

/// A response's body, which waits for the client from each frame to when the next one is asked for.
pub(in crate::proxy) struct Taken<B> {
    body: B,
    waiting: Waiting,
}

/// Since which turn a body waits.
struct Waiting {
    stalls: Arc<Stalls>,
    since: Option<usize>,
}

impl Waiting {
    fn wait(&mut self) {
        let turn = self.stalls.turn.load(Ordering::Relaxed) % 2;
        self.stalls.waiting[turn].fetch_add(1, Ordering::Relaxed);
        self.since = Some(turn);
    }

    fn go_on(&mut self) {
        if let Some(turn) = self.since.take() {
            self.stalls.waiting[turn].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.go_on();
    }
}

impl<B> Taken<B> {
    pub(in crate::proxy) fn new(body: B, stalls: Arc<Stalls>) -> Self {
        let mut waiting = Waiting { stalls, since: None };
        waiting.wait();
        Self { body, waiting }
    }
}

impl<B: Body + Unpin> Body for Taken<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.waiting.go_on();
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(Some(Ok(_)))) {
            self.waiting.wait();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::proxy::requests::body::full;

    #[tokio::test]
    async fn only_what_waits_for_a_whole_turn_is_stalled() {
        use http_body_util::BodyExt as _;
        let stalls = Arc::<Stalls>::default();
        let mut body = Taken::new(full(Bytes::from_static(b"x")), Arc::clone(&stalls));
        assert!(!stalls.next(), "since this turn");
        body.frame().await.unwrap().unwrap();
        assert!(!stalls.next(), "it went on in between");
        assert!(stalls.next(), "and now not for a whole turn");
        assert!(body.frame().await.is_none());
        assert!(!stalls.next() && !stalls.next() && !stalls.next(), "at its end it waits for nobody");
        drop(Taken::new(full(Bytes::new()), Arc::clone(&stalls)));
        assert!(!stalls.next() && !stalls.next() && !stalls.next(), "nor when it is gone");
    }
}
