//! Valid retries ([RT-1]).

use std::time::Duration;

/// How failed attempts are repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub(crate) attempts: u32,
    pub(crate) codes: Box<[u16]>,
    pub(crate) backoff: Option<Duration>,
}

impl Retry {
    /// Number of retries, not of tries; default 1 ([RT-1], [U-37]).
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Response codes that are retried; connection errors and `backendRequest` timeouts always are ([RT-3],
    /// [RT-4]).
    pub fn codes(&self) -> &[u16] {
        &self.codes
    }

    /// Least pause before each retry, if given ([RT-5]).
    pub fn backoff(&self) -> Option<Duration> {
        self.backoff
    }
}
