//! A decision on every set, beside the floor and the peers.

use std::cell::LazyCell;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gatewright_benches::contender::{Contender, Visit, prepare, visit_all};
use gatewright_conformance::sets::{self, RouteSet};

/// The standard set by number of rules; the others have as many as the second one of these.
const RULES: [usize; 4] = [10, 1_000, 10_000, 100_000];

fn benches(criterion: &mut Criterion) {
    // `cargo bench -- --test` runs each once, to see that it runs.
    let testing = std::env::args().any(|argument| argument == "--test");
    for name in sets::names() {
        let rules: &[usize] = match name {
            _ if testing => &[100],
            "standard" => &RULES,
            _ => &RULES[1..2],
        };
        for rules in rules {
            // A filter may leave this set out.
            let set = LazyCell::new(|| sets::set(name, *rules, 1).expect("there is a set of this name"));
            visit_all(&mut Decide { criterion, name, rules: *rules, set: &set });
        }
    }
}

struct Decide<'c, F> {
    criterion: &'c mut Criterion,
    name: &'static str,
    rules: usize,
    set: &'c LazyCell<RouteSet, F>,
}

impl<F: FnOnce() -> RouteSet> Visit for Decide<'_, F> {
    fn visit<C: Contender>(&mut self) {
        if self.rules > C::MOST_RULES {
            return;
        }
        let ready = LazyCell::new(|| {
            let contender = C::build(&C::source(self.set));
            let requests = prepare(&contender, &self.set.requests);
            (contender, requests)
        });
        let id = BenchmarkId::new(C::NAME, self.rules);
        let mut group = self.criterion.benchmark_group(format!("decide/{}", self.name));
        group.bench_function(id, |b| {
            let (contender, requests) = &*ready;
            let mut requests = requests.iter().cycle();
            b.iter(|| contender.find(&requests.next().expect("there is always a next one").1));
        });
        group.finish();
    }
}

fn config() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20)
}

criterion_group!(name = all; config = config(); targets = benches);
criterion_main!(all);
