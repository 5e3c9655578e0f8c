//! From parsed rules to a table, beside the floor and the peers.

use std::cell::LazyCell;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use gatewright_benches::contender::{Contender, Visit, visit_all};
use gatewright_conformance::sets::{RouteSet, standard};

fn benches(criterion: &mut Criterion) {
    let testing = std::env::args().any(|argument| argument == "--test");
    let rules: &[usize] = if testing { &[100] } else { &[1_000, 10_000] };
    for rules in rules {
        let set = LazyCell::new(|| standard(*rules, 1));
        visit_all(&mut Compile { criterion, rules: *rules, set: &set });
    }
}

struct Compile<'c, F> {
    criterion: &'c mut Criterion,
    rules: usize,
    set: &'c LazyCell<RouteSet, F>,
}

impl<F: FnOnce() -> RouteSet> Visit for Compile<'_, F> {
    fn visit<C: Contender>(&mut self) {
        let source = LazyCell::new(|| C::source(self.set));
        let mut group = self.criterion.benchmark_group("compile/standard");
        // Dropping the table is not part of it.
        group.bench_function(BenchmarkId::new(C::NAME, self.rules), |b| {
            b.iter_batched(|| (), |()| C::build(&source), BatchSize::PerIteration);
        });
        group.finish();
    }
}

fn config() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2)).sample_size(10)
}

criterion_group!(name = all; config = config(); targets = benches);
criterion_main!(all);
