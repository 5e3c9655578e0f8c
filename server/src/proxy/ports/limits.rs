//! What one client, and all of them together, may take ([R-S4]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bounds on what clients take. What is beyond them is refused or ended; nothing waits for it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections. Another one is answered 503, if it speaks HTTP without TLS, and closed.
    pub connections: usize,
    /// Requests in flight. Another one is answered 503 at once.
    pub requests: usize,
    /// Requests on one connection; the last one says that it is the last.
    pub requests_per_connection: usize,
    /// Age of a connection, after which it ends with the requests that it has.
    pub connection_age: Duration,
    /// How long a client may take for a header section, for a handshake, and for the first request after it.
    pub head: Duration,
    /// How long a client may pause in the middle of a body: 408 after it.
    pub body_idle: Duration,
    /// How long a connection of HTTP/2 may be without a request, and any client may leave an answer untaken; up to twice as
    /// long until it is noticed.
    pub idle: Duration,
    /// Octets of a request's body: 413 beyond; `None` for any number.
    pub body: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            requests: 8_192,
            requests_per_connection: 1_000,
            connection_age: Duration::from_secs(3600),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            body: None,
        }
    }
}

/// Octets of a header section ([R-S4]).
pub(in crate::proxy) const MAX_HEAD: usize = 64 * 1024;
/// Octets of one field line ([R-S4]).
pub(in crate::proxy) const MAX_FIELD: usize = 16 * 1024;
/// Field lines of a header section ([R-S4]).
pub(in crate::proxy) const MAX_FIELDS: usize = 100;

/// A number of things that may not grow beyond a bound.
#[derive(Debug)]
pub(in crate::proxy) struct Bounded {
    most: usize,
    count: AtomicUsize,
}

impl Bounded {
    pub(in crate::proxy) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, count: AtomicUsize::new(0) })
    }

    /// One more, until the token is dropped; `None` at the bound.
    pub(in crate::proxy) fn enter(self: &Arc<Self>) -> Option<Token> {
        let token = Token(Arc::clone(self));
        (self.count.fetch_add(1, Ordering::Relaxed) < self.most).then_some(token)
    }
}

/// One of a bounded number.
#[derive(Debug)]
pub(in crate::proxy) struct Token(Arc<Bounded>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_does_not_count() {
        let bounded = Bounded::new(1);
        let first = bounded.enter();
        assert!(first.is_some());
        assert!(bounded.enter().is_none() && bounded.enter().is_none());
        drop(first);
        assert!(bounded.enter().is_some());
    }
}
