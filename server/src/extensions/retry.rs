//! HTTPRetryPolicy: which failures are tried again.

use std::time::Duration;

use gatewright::Pick;
use http::Method;
use serde::Deserialize;

use super::Wrong;
use super::fields::{Length, none_of, some};

/// The specification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    #[serde(deserialize_with = "some")]
    retry_on: Vec<RetryOn>,
    num_retries: Option<u32>,
    #[serde(default)]
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum RetryOn {
    /// 500 to 599, or no answer.
    ServerErrors,
    /// 502, 503 and 504, or no answer.
    GatewayErrors,
    /// No connection.
    ConnectFailure,
    /// No answer on a connection.
    Reset,
    /// 409.
    RetriableClientErrors,
    /// One code.
    Code(u16),
}

impl TryFrom<String> for RetryOn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "5xx" => Self::ServerErrors,
            "gateway-error" => Self::GatewayErrors,
            "connect-failure" => Self::ConnectFailure,
            "reset" => Self::Reset,
            "retriable-4xx" => Self::RetriableClientErrors,
            code => match code.parse() {
                Ok(code @ 400..=599) => Self::Code(code),
                _ => {
                    let expected = "5xx, gateway-error, connect-failure, reset, retriable-4xx or a code from 400 to 599";
                    return Err(none_of(code, expected));
                }
            },
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Backoff {
    base_interval: Option<Length>,
    max_interval: Option<Length>,
}

/// Retries at most: more would be a flood.
const MOST: u32 = 10;
const BASE: Duration = Duration::from_millis(25);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// With this status.
    Status(u16),
    /// Without a connection: the backend has seen nothing.
    NoConnection,
    /// Without an answer in time, or with a broken connection.
    NoAnswer,
}

/// A valid policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    retry_on: Vec<RetryOn>,
    retries: u32,
    base: Duration,
    most: Duration,
}

impl RetryPolicy {
    pub(super) fn new(spec: &Spec) -> Result<Self, Wrong> {
        let retries = spec.num_retries.unwrap_or(1);
        if retries > MOST {
            let message = format!("{retries} is more than {MOST} retries");
            return Err(Wrong { path: "spec.numRetries".to_owned(), message });
        }
        let base = spec.backoff.base_interval.map_or(BASE, |length| length.0);
        let most = spec.backoff.max_interval.map_or(base.saturating_mul(10), |length| length.0);
        if most < base {
            let message = "the longest pause is shorter than the first one".to_owned();
            return Err(Wrong { path: "spec.backoff.maxInterval".to_owned(), message });
        }
        Ok(Self { retry_on: spec.retry_on.clone(), retries, base, most })
    }

    /// Number of retries.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Whether a request is sent again. One that the backend may have carried out, and must not carry out twice, only if
    /// the policy names the code (RFC 9110 section 9.2.2).
    pub(crate) fn again(&self, method: &Method, trouble: Trouble) -> bool {
        let by = |on: &RetryOn| match (on, trouble) {
            (RetryOn::Code(code), Trouble::Status(status)) => *code == status,
            (RetryOn::ConnectFailure | RetryOn::ServerErrors | RetryOn::GatewayErrors, Trouble::NoConnection) => true,
            (RetryOn::Reset | RetryOn::ServerErrors | RetryOn::GatewayErrors, Trouble::NoAnswer)
            | (RetryOn::ServerErrors, Trouble::Status(500..=599))
            | (RetryOn::GatewayErrors, Trouble::Status(502..=504))
            | (RetryOn::RetriableClientErrors, Trouble::Status(409)) => method.is_idempotent(),
            _ => false,
        };
        self.retry_on.iter().any(by)
    }

    /// The pause before a retry, 0 for the first: it doubles up to the longest, and is spread from half of that.
    pub(crate) fn pause(&self, retry: u32, pick: Pick) -> Duration {
        let whole = self.base.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(self.most);
        let half = u64::try_from(whole.as_micros() / 2).unwrap_or(u64::MAX);
        whole - Duration::from_micros(pick.0 % (half.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> RetryPolicy {
        RetryPolicy::new(&serde_json::from_str(text).unwrap()).ok().unwrap()
    }

    #[test]
    fn what_is_tried_again() {
        use Trouble::{NoAnswer, NoConnection, Status};
        let all = [Status(200), Status(409), Status(500), Status(503), NoConnection, NoAnswer];
        for (on, method, expected) in [
            ("5xx", Method::GET, &[Status(500), Status(503), NoConnection, NoAnswer][..]),
            ("5xx", Method::POST, &[NoConnection]),
            ("gateway-error", Method::PUT, &[Status(503), NoConnection, NoAnswer]),
            ("connect-failure", Method::POST, &[NoConnection]),
            ("reset", Method::GET, &[NoAnswer]),
            ("reset", Method::POST, &[]),
            ("retriable-4xx", Method::GET, &[Status(409)]),
            ("503", Method::POST, &[Status(503)]),
        ] {
            let policy = policy(&format!(r#"{{"retryOn": ["{on}"]}}"#));
            let again: Vec<_> = all.into_iter().filter(|trouble| policy.again(&method, *trouble)).collect();
            assert_eq!(again, expected, "{on} {method}");
        }
    }

    #[test]
    fn pauses() {
        let policy = policy(r#"{"retryOn": ["5xx"], "backoff": {"baseInterval": "100ms", "maxInterval": "1s"}}"#);
        let pauses = |retry| [0, 1 << 20, u64::MAX].map(|pick| policy.pause(retry, Pick(pick)).as_millis());
        assert_eq!((policy.retries(), pauses(0)[0], pauses(2)[0], pauses(5)[0], pauses(99)[0]), (1, 100, 400, 1000, 1000));
        assert!(pauses(2).iter().all(|pause| (200..=400).contains(pause)));
    }
}
