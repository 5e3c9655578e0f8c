//! Valid retry budgets ([BT-2]).

use std::time::Duration;

/// How many retries a backend may get, from its XBackendTrafficPolicy. A budget permits no retry by itself: only a
/// rule with `retry` retries ([BT-3]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    pub(crate) percent: u8,
    pub(crate) interval: Duration,
    pub(crate) min_count: u32,
    pub(crate) min_interval: Duration,
}

/// What [`RetryBudget::allows`] needs to know of one backend, as one instance of the gateway sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// Requests of the last `interval`, retries left out.
    pub requests: u64,
    /// Retries of the last `interval`.
    pub retries: u64,
    /// Retries of the last `min_interval`.
    pub recent_retries: u64,
}

impl RetryBudget {
    /// Retries for a hundred requests, 0 to 100.
    pub fn percent(&self) -> u8 {
        self.percent
    }

    /// Time over which requests and retries are counted, one second to one hour.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Number of retries that are allowed in every `min_interval`, whatever the share.
    pub fn min_count(&self) -> u32 {
        self.min_count
    }

    /// Time over which `min_count` counts, at most one hour.
    pub fn min_interval(&self) -> Duration {
        self.min_interval
    }

    /// Whether one more retry is allowed. A request that is denied one is answered with 503 ([RT-9]).
    pub fn allows(&self, counts: RetryCounts) -> bool {
        if counts.recent_retries < u64::from(self.min_count) {
            return true;
        }
        let wanted = u128::from(counts.retries).saturating_add(1).saturating_mul(100);
        wanted <= u128::from(counts.requests).saturating_mul(u128::from(self.percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [BT-2]: its example, the floor, and a budget that is nothing but the floor.
    #[test]
    fn retries_are_a_share_of_requests() {
        let budget = |percent, min_count| RetryBudget {
            percent,
            interval: Duration::from_secs(10),
            min_count,
            min_interval: Duration::from_secs(1),
        };
        let allows =
            |budget: &RetryBudget, requests, retries, recent_retries| budget.allows(RetryCounts { requests, retries, recent_retries });
        let twenty = budget(20, 10);
        assert!(allows(&twenty, 1000, 199, 50) && !allows(&twenty, 1000, 200, 50));
        assert!(allows(&twenty, 0, 9, 9) && !allows(&twenty, 0, 10, 10), "below the floor always");
        assert!(allows(&budget(0, 10), 1000, 500, 9) && !allows(&budget(0, 10), 1000, 0, 10), "only the floor");
        assert!(allows(&budget(100, 0), u64::MAX, u64::MAX - 1, 0) && !allows(&budget(0, 0), u64::MAX, 0, 0));
    }
}
