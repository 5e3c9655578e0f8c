//! What is counted. A metric is read by [`expose`](super::expose), which gives it its name.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::connects::Connects;
use super::histogram::Histogram;
use super::names::Names;
use crate::publish::PortKey;

/// A counter.
pub(super) type Count = Arc<AtomicU64>;

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// All metrics of a server. Series outlive the tables whose names they have: a reload sets nothing to zero.
#[derive(Debug)]
pub struct Metrics {
    pub(super) started: SystemTime,
    pub(super) places: Mutex<HashMap<Names, Arc<PlaceSeries>>>,
    /// Answers of the gateway's own, by Gateway and reason.
    pub(super) answers: Mutex<BTreeMap<(String, &'static str), Count>>,
    pub(super) backends: Mutex<BTreeMap<String, Arc<BackendSeries>>>,
    pub(super) ports: Mutex<BTreeMap<PortKey, Arc<PortSeries>>>,
    pub(super) connects: Arc<Connects>,
    pub(super) panics: AtomicU64,
}

/// The requests of one rule and backend at one listener.
#[derive(Debug)]
pub(super) struct PlaceSeries {
    pub(super) names: Names,
    pub(super) duration: Histogram,
    /// By indexes of method and status.
    pub(super) requests: Mutex<BTreeMap<(u8, u16), Count>>,
}

/// What is sent to one backend.
#[derive(Debug, Default)]
pub struct BackendSeries {
    pub(super) in_flight: AtomicI64,
    pub(super) attempts: [AtomicU64; 3],
    pub(crate) retries: AtomicU64,
    pub(crate) retries_refused: AtomicU64,
    pub(super) mirrors: [AtomicU64; 3],
}

/// What came of a request that was sent to a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It answered.
    Done,
    /// It could not be reached, or did not speak HTTP.
    Failed,
    /// An attempt took too long; a copy was not sent, since there were too many.
    Other,
}

impl Outcome {
    pub(super) const ATTEMPTS: [&str; 3] = ["response", "error", "timeout"];
    pub(super) const MIRRORS: [&str; 3] = ["sent", "error", "dropped"];
}

impl BackendSeries {
    /// A request is under way as long as the answer lives.
    pub(crate) fn start(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(crate) fn attempt(&self, outcome: Outcome) {
        count(&self.attempts[outcome as usize]);
    }

    pub(crate) fn mirror(&self, outcome: Outcome) {
        count(&self.mirrors[outcome as usize]);
    }
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<BackendSeries>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections, or flows of UDP, of one port.
#[derive(Debug, Default)]
pub struct PortSeries {
    pub(super) open: AtomicI64,
    /// By what was decided: there are ten words or so.
    decisions: Mutex<BTreeMap<&'static str, u64>>,
    /// Datagrams for which there was no flow.
    pub(crate) datagrams_dropped: AtomicU64,
}

impl PortSeries {
    /// A connection is open as long as the answer lives.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    fn decided(&self, word: &'static str) {
        *lock(&self.decisions).entry(word).or_default() += 1;
    }

    pub(super) fn decisions(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.decisions).clone()
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Open(Arc<PortSeries>);

impl Open {
    /// What was decided about it.
    pub(crate) fn decided(&self, word: &'static str) {
        self.0.decided(word);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            places: Mutex::default(),
            answers: Mutex::default(),
            backends: Mutex::default(),
            ports: Mutex::default(),
            connects: Arc::default(),
            panics: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Connections to backends.
    pub(crate) fn connects(&self) -> &Arc<Connects> {
        &self.connects
    }

    /// A panic was caught ([R-S9]).
    pub(crate) fn panicked(&self) {
        count(&self.panics);
    }

    /// The series of a port.
    pub(crate) fn port(&self, key: &PortKey) -> Arc<PortSeries> {
        Arc::clone(lock(&self.ports).entry(key.clone()).or_default())
    }

    /// The series of a backend, named `namespace/name:port`.
    pub(super) fn backend(&self, name: &str) -> Arc<BackendSeries> {
        let mut backends = lock(&self.backends);
        if let Some(found) = backends.get(name) {
            return Arc::clone(found);
        }
        Arc::clone(backends.entry(name.to_owned()).or_default())
    }

    pub(super) fn place(&self, names: Names) -> Arc<PlaceSeries> {
        let mut places = lock(&self.places);
        let place = places.entry(names).or_insert_with_key(|names| {
            Arc::new(PlaceSeries { names: names.clone(), duration: Histogram::default(), requests: Mutex::default() })
        });
        Arc::clone(place)
    }

    /// The counter of the gateway's own answers for a reason.
    pub(crate) fn answers(&self, gateway: &str, reason: &'static str) -> Count {
        Arc::clone(lock(&self.answers).entry((gateway.to_owned(), reason)).or_default())
    }
}

impl PlaceSeries {
    /// The counter of requests with this method and status.
    pub(super) fn requests(&self, method: u8, status: u16) -> Count {
        Arc::clone(lock(&self.requests).entry((method, status)).or_default())
    }
}

/// One request: where it is counted.
pub(crate) struct Counted {
    pub(super) place: Arc<PlaceSeries>,
    pub(super) requests: Count,
    pub(super) answers: Option<Count>,
}

impl Counted {
    /// The labels.
    pub(crate) fn names(&self) -> &Names {
        &self.place.names
    }

    /// The request has ended.
    pub(crate) fn finished(&self, took: Duration) {
        count(&self.requests);
        self.place.duration.observe(took);
        if let Some(answers) = &self.answers {
            count(answers);
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.names.fmt(f)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
