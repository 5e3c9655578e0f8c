//! What deciding a request costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::sets::{SetRequest, SetTable};

/// Nanoseconds to decide a request: the least of many repetitions, since whatever else a machine does only adds to it.
/// One repetition decides so often that the clock's own steps do not count.
pub(super) fn cost(table: &SetTable, request: &SetRequest, repetitions: u32) -> f64 {
    let (target, headers) = (request.target(), request.header_map());
    let time = |times: u32| {
        let begin = Instant::now();
        for _ in 0..times {
            drop(black_box(table.decide(black_box(request), &target, &headers)));
        }
        begin.elapsed()
    };
    // The first one brings the table's part into the caches.
    time(1);
    let once = time(1).max(Duration::from_nanos(1));
    let times = u32::try_from(Duration::from_micros(4).as_nanos() / once.as_nanos()).unwrap_or(1).clamp(1, 100);
    // A request that takes long needs no more repetitions than one that does not.
    let repetitions = if once > Duration::from_millis(1) { repetitions.min(3) } else { repetitions };
    let least = (0..repetitions).map(|_| time(times)).min().unwrap_or(once);
    least.as_secs_f64() * 1e9 / f64::from(times)
}
