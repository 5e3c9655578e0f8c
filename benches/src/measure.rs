//! How one contender is measured on one set. The floor is measured in the same rounds, so that the ratio does not depend on what
//! else the machine does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gatewright_conformance::sets::{self, RouteSet, SetPath};

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
    pub const FULL: Self = Self { rounds: 9, round: Duration::from_millis(60) };
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
        let mut set = sets::set(name, rules, 20_260_101 + rules as u64)?;
        if rules > EXPRESSIONS_TO {
            for (n, rule) in set.rules.iter_mut().enumerate() {
                if matches!(rule.path, SetPath::Regex(_)) {
                    rule.path = SetPath::Prefix(format!("/rx/{n}"));
                }
            }
        }
        Some(Self::new(set))
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

/// The automata of a table are limited in their sum, which 2 % of more rules than that would exceed: they are prefixes then.
const EXPRESSIONS_TO: usize = 500_000;

/// How many requests are touched, and then asked, at a time: few enough to stay in the first cache.
const BLOCK: usize = 16;

/// Measures one contender.
pub fn measure<C: Contender>(question: &Question, effort: Effort) -> Row {
    let Question { set, expected } = question;
    let rules = set.rules.len().max(1) as f64;
    let mut row = Row { contender: C::NAME.to_owned(), set: set.name.to_owned(), rules: set.rules.len(), ..Row::default() };
    let source = C::source(set);
    let builds = if set.rules.len() > 100_000 { 1 } else { effort.rounds.min(3) };
    let build = |_| {
        let start = Instant::now();
        let built = C::build(black_box(&source));
        let taken = start.elapsed();
        drop(built);
        nanoseconds(taken)
    };
    // Always the same work: what is above the least is the machine's.
    row.build = (0..builds).map(build).fold(f64::MAX, f64::min);
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
    ours.ask();
    let allocations = allocation_counter::measure(|| ours.ask());
    row.allocations = allocations.count_total as f64 / ours.count as f64;

    let clock = overhead();
    let (mut means, mut warm) = ([Rounds::default(), Rounds::default()], [Rounds::default(), Rounds::default()]);
    for _ in 0..effort.rounds {
        // The pass before each one that counts undoes what the other one did to the caches.
        ours.ask();
        means[0].0.push(ours.mean());
        warm[0].0.push(ours.warm(clock));
        theirs.ask();
        means[1].0.push(theirs.mean());
        warm[1].0.push(theirs.warm(clock));
    }
    (row.mean, row.floor_mean) = (means[0].mean(ours.count), means[1].mean(theirs.count));
    (row.warm, row.floor_warm) = (warm[0].mean(ours.count), warm[1].mean(theirs.count));
    row.ratio = row.mean / row.floor_mean;
    row.warm_ratio = row.warm / row.floor_warm;
    let passes: Vec<Vec<f64>> = (0..effort.rounds.min(3)).map(|_| ours.single(clock)).collect();
    row.p50 = median(passes.iter().map(|single| single[single.len() / 2]));
    row.p99 = median(passes.iter().map(|single| single[single.len() * 99 / 100]));
    row.explain = ours.explain();
    row
}

/// The times of the stretches of each round.
#[derive(Default)]
struct Rounds(Vec<Vec<f64>>);

impl Rounds {
    /// The mean for each request: of each stretch the median of the rounds, since others may have had the core for a while in
    /// one or two of them.
    fn mean(&self, count: usize) -> f64 {
        let stretches = 0..self.0[0].len();
        stretches.map(|n| median(self.0.iter().map(|round| round[n]))).sum::<f64>() / count as f64
    }
}

/// A contender with requests.
struct Asked<'c, C: Contender> {
    contender: &'c C,
    /// In random order.
    requests: Vec<C::Request>,
    /// How many of them are asked.
    count: usize,
    /// How many of them are timed together: for about a third of a millisecond, less than a turn of the scheduler.
    stretch: usize,
    /// The place of each in the set.
    order: Vec<usize>,
}

impl<'c, C: Contender> Asked<'c, C> {
    fn new(contender: &'c C, set: &RouteSet) -> Self {
        let (order, requests): (Vec<_>, Vec<_>) = prepare(contender, &set.requests).into_iter().unzip();
        Self { contender, count: requests.len(), stretch: 1, requests, order }
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
        let one = nanoseconds(start.elapsed()) / self.count as f64;
        self.stretch = ((300_000.0 / one) as usize).clamp(1, 256);
        right as f64 / self.count as f64
    }

    /// One pass that is not timed.
    fn ask(&self) {
        for request in &self.requests[..self.count] {
            black_box(self.contender.find(black_box(request)));
        }
    }

    fn mean(&self) -> Vec<f64> {
        let stretch = |requests: &[C::Request]| {
            let start = Instant::now();
            for request in requests {
                black_box(self.contender.find(black_box(request)));
            }
            nanoseconds(start.elapsed())
        };
        self.requests[..self.count].chunks(self.stretch).map(stretch).collect()
    }

    fn warm(&self, clock: f64) -> Vec<f64> {
        let block = |block: &[C::Request]| {
            for request in block {
                black_box(C::touch(request));
            }
            let start = Instant::now();
            for request in block {
                black_box(self.contender.find(black_box(request)));
            }
            nanoseconds(start.elapsed()) - clock
        };
        self.requests[..self.count].chunks(BLOCK.min(self.stretch)).map(block).collect()
    }

    /// Sorted.
    fn single(&self, clock: f64) -> Vec<f64> {
        let one = |request| {
            black_box(C::touch(request));
            let start = Instant::now();
            black_box(self.contender.find(black_box(request)));
            (nanoseconds(start.elapsed()) - clock).max(0.0)
        };
        let mut all: Vec<f64> = self.requests[..self.count].iter().map(one).collect();
        all.sort_by(f64::total_cmp);
        all
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
