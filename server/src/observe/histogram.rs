//! Durations, counted in buckets without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in seconds: those that OpenTelemetry advises for `http.server.request.duration`, two for answers that are
/// faster, and the 2 seconds that the alert asks about.
pub(super) const BOUNDS: [f64; 17] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0];

/// A histogram of durations.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Of each bucket by itself; the last one has no bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What it holds at one moment.
pub(super) struct Reading {
    pub(super) seconds: f64,
    pub(super) count: u64,
    /// Upper bound, and count of this bucket by itself.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Reading {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<_> = BOUNDS.into_iter().chain([f64::INFINITY]).zip(counts).collect();
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        Reading {
            seconds: Duration::from_nanos(nanoseconds).as_secs_f64(),
            // Of the same reading: the count is the sum of the buckets, whatever is added meanwhile.
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 100, 10_000, 10_001] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let reading = histogram.read();
        let filled: Vec<_> = reading.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.001, 2), (0.0025, 1), (0.1, 1), (10.0, 1), (f64::INFINITY, 1)]);
        assert_eq!((reading.count, reading.seconds), (6, 20.104));
    }
}
