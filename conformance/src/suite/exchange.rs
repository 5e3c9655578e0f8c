//! The attempts at a backend that follow from a decision's timeouts and retries, on a clock of their own.

use std::time::Duration;

use gatewright::decision::Timeouts;
use gatewright::model::retry::Retry;

use super::row::{Behaviour, Failure};

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// Attempts that were begun.
    pub(super) attempts: u32,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The backend answered as it always does.
    Answered,
    /// The backend answered with this status.
    Failed(u16),
    /// A timeout ended the request: 504 ([TO-1], [TO-2]).
    TimedOut,
    /// No connection held. Which status that is, is the proxy's to say ([RT-2]).
    NoConnection,
}

/// Plays a request through.
pub(super) fn play(timeouts: Timeouts, retry: Option<&Retry>, reachable: bool, behaviour: Option<&Behaviour>) -> Exchange {
    let limit = timeouts.request.unwrap_or(Duration::MAX);
    let retries = retry.map_or(0, Retry::attempts);
    let mut now = Duration::ZERO;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (mut end, mut after) = if reachable { one(attempts, behaviour) } else { (End::NoConnection, Duration::ZERO) };
        if let Some(timeout) = timeouts.backend_request.filter(|timeout| *timeout < after) {
            (end, after) = (End::TimedOut, timeout);
        }
        now += after;
        if now >= limit {
            return Exchange { attempts, end: End::TimedOut };
        }
        let again = match end {
            End::Answered => false,
            End::Failed(status) => retry.is_some_and(|retry| retry.codes().contains(&status)),
            End::TimedOut | End::NoConnection => retry.is_some(),
        };
        if !again || attempts > retries {
            return Exchange { attempts, end };
        }
        // The least that a pause may be.
        now += retry.and_then(Retry::backoff).unwrap_or_default();
    }
}

/// What the nth attempt meets, and after what time.
fn one(n: u32, behaviour: Option<&Behaviour>) -> (End, Duration) {
    match behaviour {
        None => (End::Answered, Duration::ZERO),
        Some(Behaviour::Delay { duration }) => (End::Answered, Duration::from_millis(duration.0)),
        Some(Behaviour::RetrySimulation { fail_first, failure, failure_status, delay_before_failure }) if n <= *fail_first => {
            let end = match failure {
                Failure::Status => End::Failed(failure_status.unwrap_or(500)),
                Failure::ConnectionReset => End::NoConnection,
            };
            (end, Duration::from_millis(delay_before_failure.0))
        }
        Some(Behaviour::RetrySimulation { .. }) => (End::Answered, Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Millis;
    use super::*;

    fn timeouts(request: Option<u64>, backend_request: Option<u64>) -> Timeouts {
        Timeouts { request: request.map(Duration::from_millis), backend_request: backend_request.map(Duration::from_millis) }
    }

    #[test]
    fn a_backend_that_fails_is_not_asked_again_without_a_retry() {
        let failing = Behaviour::RetrySimulation {
            fail_first: 1,
            failure: Failure::Status,
            failure_status: Some(503),
            delay_before_failure: Millis(0),
        };
        assert_eq!(play(timeouts(None, None), None, true, Some(&failing)), Exchange { attempts: 1, end: End::Failed(503) });
        assert_eq!(play(timeouts(None, None), None, false, None), Exchange { attempts: 1, end: End::NoConnection });
        assert_eq!(play(timeouts(None, None), None, true, None), Exchange { attempts: 1, end: End::Answered });
    }

    #[test]
    fn timeouts_end_what_takes_longer() {
        let slow = Behaviour::Delay { duration: Millis(1000) };
        let end = |timeouts| play(timeouts, None, true, Some(&slow)).end;
        assert_eq!(end(timeouts(None, None)), End::Answered);
        assert_eq!(end(timeouts(Some(500), None)), End::TimedOut);
        assert_eq!(end(timeouts(None, Some(500))), End::TimedOut);
        assert_eq!(end(timeouts(Some(2000), Some(1500))), End::Answered);
    }
}
