//! What a run measures, as plain data: printed as a table, kept as a file that the picture is drawn from.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Where and with what it was measured.
    pub machine: Machine,
    /// One row for each contender, set and number of rules.
    pub rows: Vec<Row>,
}

/// Where and with what it was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, and how many of it there are.
    pub processor: String,
    /// The operating system's kernel.
    pub system: String,
    /// The compiler.
    pub compiler: String,
    /// The crates that were compared, with their versions.
    pub crates: Vec<String>,
    /// The load of the machine when the run began; other work makes figures worse.
    pub load: String,
}

/// What is measured of one contender on one set. Times are in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// The contender.
    pub contender: String,
    /// The set.
    pub set: String,
    /// Number of rules.
    pub rules: usize,
    /// Number of requests; slow contenders are asked fewer.
    pub requests: usize,
    /// Mean over all requests in random order; their bytes come from wherever they are.
    pub mean: f64,
    /// The same of the floor, in the same rounds.
    pub floor_mean: f64,
    /// The one divided by the other.
    pub ratio: f64,
    /// Mean over all requests whose bytes were touched just before.
    pub warm: f64,
    /// The same of the floor.
    pub floor_warm: f64,
    /// The one divided by the other.
    pub warm_ratio: f64,
    /// Median of single lookups whose bytes were touched just before.
    pub p50: f64,
    /// 99 of 100 single lookups take at most that.
    pub p99: f64,
    /// Allocations for each lookup.
    pub allocations: f64,
    /// Live bytes on the heap for each rule, all that it was made of dropped.
    pub bytes: f64,
    /// The most of it while it was built, what it is made of not counted.
    pub peak: f64,
    /// Time to build it from parsed rules.
    pub build: f64,
    /// Time to say why, if it can.
    pub explain: Option<f64>,
    /// Share of the requests answered by the rule that the plain twin names.
    pub agree: f64,
    /// The same of the floor.
    pub floor_agree: f64,
}
