//! How one contender is measured on one set. The floor is measured in the same rounds, so that the ratio does not depend on what
//! else the machine does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gatewright_conformance::sets::{self, RouteSet};

use crate::contender::{Contender, prepare};
use crate::floor::Floor;
use crate::results::Row;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds, of which the median is taken.
    pub rounds: usize,
    /// About how long a round may take for slow contenders, which are then asked fewer requests.
    pub round: Duration,
}

impl Effort {
    /// For figures.
    pub const FULL: Self = Self { rounds: 9, round: Duration::from_millis(100) };
    /// To see that everything runs.
    pub const QUICK: Self = Self { rounds: 3, round: Duration::from_millis(20) };
}

/// A set with the answers of the plain twin.
#[derive(Clone, Debug)]
pub struct Question {
    /// The set.
    pub set: RouteSet,
    /// The rule of each request.
    pub expected: Vec<Option<u32>>,
}

impl Question {
    /// The set with this name; `None` if there is none.
    pub fn of(name: &str, rules: usize) -> Option<Self> {
        Some(Self::new(sets::set(name, rules, 20_260_101 + rules as u64)?))
    }

    /// A set with its answers.
    pub fn new(set: RouteSet) -> Self {
        let plain = sets::Plain::new(&set.rules);
        let id = |id: usize| u32::try_from(id).expect("ids have 32 bits");
        let expected = set.requests.iter().map(|request| plain.decide(request).map(id)).collect();
        drop(plain);
        Self { set, expected }
    }
}

/// How many requests are touched, and then asked, at a time: few enough to stay in the first cache.
const BLOCK: usize = 16;

/// Measures one contender.
pub fn measure<C: Contender>(question: &Question, effort: Effort) -> Row {
    let Question { set, expected } = question;
    let rules = set.rules.len().max(1) as f64;
    let mut row = Row { contender: C::NAME.to_owned(), set: set.name.to_owned(), rules: set.rules.len(), ..Row::default() };
    let source = C::source(set);
    let builds = if set.rules.len() > 10_000 { 1 } else { effort.rounds.min(5) };
    row.build = median((0..builds).map(|_| {
        let start = Instant::now();
        let built = C::build(black_box(&source));
        let taken = start.elapsed();
        drop(built);
        nanoseconds(taken)
    }));
    drop(source);
    let mut built = None;
    let mut peak = 0;
    let heap = allocation_counter::measure(|| {
        let source = C::source(set);
        peak = allocation_counter::measure(|| built = Some(C::build(&source))).bytes_max;
    });
    let contender = built.expect("it was just built");
    row.bytes = heap.bytes_current as f64 / rules;
    row.peak = peak as f64 / rules;
    let floor = Floor::build(set);

    let mut ours = Asked::new(&contender, set);
    let mut theirs = Asked::new(&floor, set);
    let names = contender.names(set);
    row.agree = ours.agree(expected, |found| C::rule(&names, found), effort.round);
    row.floor_agree = theirs.agree(expected, |found| *found, effort.round);
    drop(names);
    row.requests = ours.count;

    // What grows on first use has grown after one pass.
    ours.mean();
    let allocations = allocation_counter::measure(|| {
        ours.mean();
    });
    row.allocations = allocations.count_total as f64 / ours.count as f64;

    let clock = overhead();
    let (mut means, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        // The pass before each one that counts undoes what the other one did to the caches.
        ours.mean();
        let (our_mean, our_warm) = (ours.mean(), ours.warm(clock));
        theirs.mean();
        means.push((our_mean, theirs.mean()));
        warm.push((our_warm, theirs.warm(clock)));
    }
    let of = |pairs: &[(f64, f64)]| {
        let pairs = pairs.iter();
        (median(pairs.clone().map(|pair| pair.0)), median(pairs.clone().map(|pair| pair.1)), median(pairs.map(|pair| pair.0 / pair.1)))
    };
    (row.mean, row.floor_mean, row.ratio) = of(&means);
    (row.warm, row.floor_warm, row.warm_ratio) = of(&warm);
    let mut single = ours.single(clock);
    single.sort_by(f64::total_cmp);
    row.p50 = single[single.len() / 2];
    row.p99 = single[single.len() * 99 / 100];
    row.explain = ours.explain();
    row
}

/// A contender with requests.
struct Asked<'c, C: Contender> {
    contender: &'c C,
    /// In random order.
    requests: Vec<C::Request>,
    /// How many of them are asked.
    count: usize,
    /// The place of each in the set.
    order: Vec<usize>,
}

impl<'c, C: Contender> Asked<'c, C> {
    fn new(contender: &'c C, set: &RouteSet) -> Self {
        let (order, requests): (Vec<_>, Vec<_>) = prepare(contender, &set.requests).into_iter().unzip();
        Self { contender, count: requests.len(), requests, order }
    }

    /// The share of right answers. Stops when the time of a round is over; then only so many requests are asked later on.
    fn agree(&mut self, expected: &[Option<u32>], rule: impl Fn(&C::Found) -> Option<u32>, limit: Duration) -> f64 {
        let start = Instant::now();
        let mut right = 0;
        for (n, request) in self.requests.iter().enumerate() {
            right += usize::from(rule(&self.contender.find(request)) == expected[self.order[n]]);
            if n >= BLOCK * 4 && start.elapsed() > limit {
                self.count = n + 1;
                break;
            }
        }
        right as f64 / self.count as f64
    }

    fn mean(&self) -> f64 {
        let start = Instant::now();
        for request in &self.requests[..self.count] {
            black_box(self.contender.find(black_box(request)));
        }
        nanoseconds(start.elapsed()) / self.count as f64
    }

    fn warm(&self, clock: f64) -> f64 {
        let mut sum = 0.0;
        for block in self.requests[..self.count].chunks(BLOCK) {
            for request in block {
                black_box(C::touch(request));
            }
            let start = Instant::now();
            for request in block {
                black_box(self.contender.find(black_box(request)));
            }
            sum += nanoseconds(start.elapsed()) - clock;
        }
        sum / self.count as f64
    }

    fn single(&self, clock: f64) -> Vec<f64> {
        let one = |request| {
            black_box(C::touch(request));
            let start = Instant::now();
            black_box(self.contender.find(black_box(request)));
            (nanoseconds(start.elapsed()) - clock).max(0.0)
        };
        self.requests[..self.count].iter().map(one).collect()
    }

    fn explain(&self) -> Option<f64> {
        let some = &self.requests[..self.count.min(256)];
        let start = Instant::now();
        for (n, request) in (1_u32..).zip(some) {
            if !self.contender.explain(request) {
                return None;
            }
            if n as usize == some.len() || start.elapsed() > Duration::from_millis(200) {
                return Some(nanoseconds(start.elapsed()) / f64::from(n));
            }
        }
        None
    }
}

/// What reading the clock twice takes.
fn overhead() -> f64 {
    median((0..10_001).map(|_| {
        let start = Instant::now();
        nanoseconds(black_box(start).elapsed())
    }))
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
