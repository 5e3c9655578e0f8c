//! Counts by key, in bounded memory whatever clients send.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// Keys that have a count of their own at most; all others share one.
const MOST: usize = 100_000;
/// Keys below which nobody looks for those that can be forgotten.
const FEW: usize = 1024;

/// Counts by key. A key whose count has run out is as good as new and is forgotten when there are many.
#[derive(Debug)]
pub(super) struct Store {
    started: Instant,
    most: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    /// When the count of each key will have run out, by the clock of the store.
    by_key: HashMap<u64, Nanos>,
    /// That of all keys for which there is no place.
    shared: Option<Nanos>,
    /// Number of keys from which on it is looked for some to forget.
    look: usize,
    /// When it was last looked, once there is no place.
    looked: Nanos,
}

impl Default for Store {
    fn default() -> Self {
        Self::with_most(MOST)
    }
}

impl Store {
    fn with_most(most: usize) -> Self {
        let counts = Counts { by_key: HashMap::new(), shared: None, look: FEW.min(most), looked: Nanos::new(0) };
        Self { started: Instant::now(), most, counts: Mutex::new(counts) }
    }
}

impl StateStore for Store {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.by_key.get_mut(key) {
            let (value, new) = measure(Some(*count))?;
            *count = new;
            return Ok(value);
        }
        if counts.by_key.len() >= counts.look {
            counts.forget(Nanos::from(self.started.elapsed()), self.most);
        }
        if counts.by_key.len() < self.most {
            let (value, new) = measure(None)?;
            counts.by_key.insert(*key, new);
            return Ok(value);
        }
        let (value, new) = measure(counts.shared)?;
        counts.shared = Some(new);
        Ok(value)
    }
}

impl Counts {
    /// Forgets what has run out: each time as many keys have come as were left, or once a second when there is no place.
    fn forget(&mut self, now: Nanos, most: usize) {
        let second = Nanos::from(Duration::from_secs(1));
        if self.by_key.len() >= most && self.looked != Nanos::new(0) && now < self.looked + second {
            return;
        }
        self.looked = now;
        self.by_key.retain(|_, runs_out| *runs_out > now);
        self.look = (self.by_key.len() * 2).clamp(FEW.min(most), most);
        if self.by_key.len() < self.by_key.capacity() / 4 {
            self.by_key.shrink_to(self.look);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::MonotonicClock;
    use governor::{Quota, RateLimiter};

    use super::*;

    fn limiter(quota: Quota, most: usize) -> RateLimiter<u64, Store, MonotonicClock, governor::middleware::NoOpMiddleware<Instant>> {
        RateLimiter::new(quota, Store::with_most(most), MonotonicClock)
    }

    /// A flood of keys takes no more memory than there is place for, and shares one count beyond; who is known keeps its own.
    #[test]
    fn memory_is_bounded() {
        let limiter = limiter(Quota::with_period(Duration::from_secs(3600)).unwrap(), 10);
        let passed = (0..10_000).filter(|key| limiter.check_key(key).is_ok()).count();
        assert_eq!(passed, 11, "ten keys with counts of their own, and one for all others");
        assert!(limiter.check_key(&3).is_err() && limiter.check_key(&20_000).is_err());
        assert_eq!(limiter.into_state_store().counts.into_inner().unwrap().by_key.len(), 10);
    }

    /// What has run out makes way.
    #[test]
    fn old_keys_are_forgotten() {
        let limiter = limiter(Quota::with_period(Duration::from_nanos(1)).unwrap(), 100_000);
        (0..50_000).for_each(|key| assert!(limiter.check_key(&key).is_ok()));
        assert!(limiter.into_state_store().counts.into_inner().unwrap().by_key.len() <= FEW);
    }
}
