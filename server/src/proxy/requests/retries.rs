//! Which attempts are repeated: by the rule's own `retry`, or else by a policy.

use std::time::Duration;

use gatewright::Pick;
use gatewright::decision::Forward;
use gatewright::model::retry::Retry;
use http::Method;

use crate::extensions::{Extensions, Policy, RetryPolicy, Trouble};

/// How a request is sent again.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Retries<'r> {
    /// As the rule says ([RT-1]).
    Rule(&'r Retry),
    /// As a policy says.
    Policy(&'r RetryPolicy),
}

impl<'r> Retries<'r> {
    pub(in crate::proxy) fn of(forward: &Forward<'r>, extensions: &'r Extensions) -> Option<Self> {
        let policies = forward.extensions.iter().filter_map(|name| extensions.get(name));
        let policy = policies.filter_map(|policy| if let Policy::Retry(policy) = policy { Some(&**policy) } else { None }).next();
        forward.retry.map(Self::Rule).or_else(|| policy.map(Self::Policy))
    }

    /// Number of retries.
    pub(in crate::proxy) fn number(self) -> u32 {
        match self {
            Self::Rule(retry) => retry.attempts(),
            Self::Policy(policy) => policy.retries(),
        }
    }

    /// Whether a request is sent again ([RT-3], [RT-4]).
    pub(in crate::proxy) fn again(self, method: &Method, trouble: Trouble) -> bool {
        match (self, trouble) {
            (Self::Rule(retry), Trouble::Status(status)) => retry.codes().contains(&status),
            (Self::Rule(_), _) => true,
            (Self::Policy(policy), _) => policy.again(method, trouble),
        }
    }

    /// The pause before a retry, 0 for the first ([RT-5]).
    pub(in crate::proxy) fn pause(self, retry: u32, pick: Pick) -> Duration {
        match self {
            Self::Rule(of) => of.pause(retry, pick),
            Self::Policy(policy) => policy.pause(retry, pick),
        }
    }
}
