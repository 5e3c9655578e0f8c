//! A panic ends its own request and no other ([R-S9]).

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Waits for a future; `None` if it panicked. What it shares with others is behind locks that bear it.
///
/// It takes a reference, as a future that is moved into another one has its place in both.
pub(crate) async fn caught<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(caught(pin!(async { 1 })).await, Some(1));
        let late = async {
            tokio::task::yield_now().await;
            assert!(std::env::args().count() > 1_000_000, "a fault on purpose");
        };
        assert_eq!(caught(pin!(late)).await, None);
    }
}
