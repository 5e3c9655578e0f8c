//! Valid retries ([RT-1]).

use std::time::Duration;

use crate::request::Pick;

/// How failed attempts are repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

    /// The pause before a retry, 0 for the first one ([RT-5], [U-37]). It may double with each retry, up to ten times
    /// the first, and `pick` spreads it: from nothing up when no backoff is given, and never below one that is.
    pub fn pause(&self, retry: u32, pick: Pick) -> Duration {
        let base = self.backoff.unwrap_or(DEFAULT_BACKOFF);
        let most = base.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX).min(10));
        let least = self.backoff.unwrap_or_default();
        let spread = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least.saturating_add(Duration::from_micros(pick.below(spread.saturating_add(1))))
    }
}

/// The greatest first pause when no backoff is given.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    /// [RT-5], [U-37]
    #[test]
    fn pauses() {
        let pauses = |backoff: Option<u64>, retry| {
            let retry_of = Retry { attempts: 9, codes: Box::default(), backoff: backoff.map(Duration::from_millis) };
            [Pick(0), Pick(u64::MAX)].map(|pick| retry_of.pause(retry, pick).as_millis())
        };
        assert_eq!([0, 1, 2, 3, 4, 40].map(|n| pauses(None, n)), [[0, 25], [0, 50], [0, 100], [0, 200], [0, 250], [0, 250]]);
        assert_eq!([0, 1, 3, 4].map(|n| pauses(Some(100), n)), [[100, 100], [100, 200], [100, 800], [100, 1000]]);
        assert_eq!(pauses(Some(0), 5), [0, 0]);
    }
}
