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

/// What counts where a policy leaves something out ([BT-2]): 20 percent over ten seconds, and ten in every second whatever
/// the share.
impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, interval: Duration::from_secs(10), min_count: 10, min_interval: Duration::from_secs(1) }
    }
}

impl RetryBudget {
    /// The budget of a backend that no policy gives one ([R-B2]): the default's share and rate, but what the rate allows
    /// in the whole interval may come at once. Nobody has asked for a budget there: it is to end storms, and not to be
    /// noticed by a few requests of a quiet backend that are all retried.
    pub fn without_policy() -> Self {
        let default = Self::default();
        let times = default.interval.as_micros().checked_div(default.min_interval.as_micros()).unwrap_or(1);
        let min_count = default.min_count.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX));
        Self { min_count, min_interval: default.interval, ..default }
    }

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

/// Counts the requests and retries of one backend, and asks its budget. Pure: `now` is the time since any fixed moment,
/// and must not run backwards by much. One for each backend of an instance of the gateway ([BT-2]).
#[derive(Clone, Debug)]
pub struct RetryWindow {
    budget: RetryBudget,
    requests: Window,
    retries: Window,
    recent_retries: Window,
}

impl RetryWindow {
    /// A window without requests.
    pub fn new(budget: RetryBudget) -> Self {
        let (interval, min_interval) = (budget.interval, budget.min_interval);
        Self { requests: Window::new(interval), retries: Window::new(interval), recent_retries: Window::new(min_interval), budget }
    }

    /// The budget.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// A request is sent for the first time.
    pub fn request(&mut self, now: Duration) {
        self.requests.add(now);
    }

    /// Whether a request may be sent again; if so, it is counted.
    pub fn try_retry(&mut self, now: Duration) -> bool {
        let counts =
            RetryCounts { requests: self.requests.sum(now), retries: self.retries.sum(now), recent_retries: self.recent_retries.sum(now) };
        let allowed = self.budget.allows(counts);
        if allowed {
            self.retries.add(now);
            self.recent_retries.add(now);
        }
        allowed
    }
}

const SLOTS: usize = 10;

/// Counts of the last interval, in tenths of it.
#[derive(Clone, Debug)]
struct Window {
    /// Microseconds of one slot.
    width: u128,
    /// Number of the slot that was written last, and the counts of it and those before it.
    newest: u128,
    slots: [u64; SLOTS],
}

impl Window {
    fn new(interval: Duration) -> Self {
        Self { width: interval.as_micros().div_ceil(SLOTS as u128).max(1), newest: 0, slots: [0; SLOTS] }
    }

    /// Forgets what is older than the interval.
    fn advance(&mut self, now: Duration) {
        let slot = now.as_micros().checked_div(self.width).unwrap_or(0).max(self.newest);
        let passed = usize::try_from(slot.saturating_sub(self.newest)).unwrap_or(SLOTS).min(SLOTS);
        self.slots.rotate_right(passed.min(SLOTS.saturating_sub(1)));
        self.slots.iter_mut().take(passed).for_each(|count| *count = 0);
        self.newest = slot;
    }

    fn add(&mut self, now: Duration) {
        self.advance(now);
        self.slots.iter_mut().take(1).for_each(|count| *count = count.saturating_add(1));
    }

    fn sum(&mut self, now: Duration) -> u64 {
        self.advance(now);
        self.slots.iter().fold(0, |sum, count| sum.saturating_add(*count))
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

    /// [R-B2]: as many in ten seconds as by the default, but at any time of them.
    #[test]
    fn without_a_policy_bursts_pass() {
        let budget = RetryBudget::without_policy();
        assert_eq!((budget.percent(), budget.min_count(), budget.min_interval()), (20, 100, budget.interval()));
        let mut window = RetryWindow::new(budget);
        assert_eq!((0..1000).filter(|_| window.try_retry(Duration::from_secs(5))).count(), 100);
    }

    /// [BT-2]: a thousand requests in ten seconds allow two hundred retries, and what is old is forgotten.
    #[test]
    fn a_window_of_time() {
        let budget = RetryBudget { percent: 20, interval: Duration::from_secs(10), min_count: 1, min_interval: Duration::from_secs(1) };
        let mut window = RetryWindow::new(budget);
        let at = |n: u64| Duration::from_secs(100) + Duration::from_millis(n);
        (0..1000).for_each(|n| window.request(at(n * 9)));
        let allowed = (0..1000).filter(|n| window.try_retry(at(9000 + n / 10))).count();
        assert_eq!(allowed, 200);
        // A second later the floor allows one more, and no second one.
        assert!(window.try_retry(at(10_200)) && !window.try_retry(at(10_200)));
        // Requests pass out of the window; so do the retries that they allowed.
        assert!(!window.try_retry(at(10_900)));
        assert!(window.try_retry(at(60_000)) && !window.try_retry(at(60_050)));
        (0..10).for_each(|_| window.request(at(60_100)));
        assert!(window.try_retry(at(60_100)), "two of ten, and one was used");
        assert!(!window.try_retry(at(60_100)));
        // A clock that runs backwards forgets nothing.
        assert!(!window.try_retry(at(0)));
    }
}
