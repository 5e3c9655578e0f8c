//! Runs the cases of the suite against the library: status by the compiler, traffic by a model of a proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use gatewright::{Compiled, Pick};
use serde::Serialize;

use super::case::{Case, Profile, cases};
use super::observed::{Observed, check_row, check_sample};
use super::proxy::Proxy;
use super::row::{Conversation, Millis, Outcome, Protocol, Row};
use super::state::{State, USABLE_ADDRESS};
use super::status::{Checked, check_status};

/// What became of a case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseResult {
    /// Folder of the case.
    pub case: String,
    /// Upstream's short name.
    pub name: String,
    /// Release or branch that the case is from.
    pub source_version: String,
    /// `standard` or `experimental`.
    pub channel: String,
    /// Whether upstream calls the test provisional.
    pub provisional: bool,
    /// `core` or `extended`.
    pub level: String,
    /// The features that an implementation must claim for the case to run.
    pub features: Vec<String>,
    /// The profiles that count the case.
    pub profiles: Vec<Profile>,
    /// Assertions of status that were checked.
    pub checked_status: Vec<String>,
    /// Rows whose expectation a decision settles as a whole; all of it was checked.
    pub checked_rows: Vec<String>,
    /// Rows of which something is left to the proxy that carries the decision out. The rest was checked.
    pub partial_rows: Vec<PartialRow>,
    /// What was not checked.
    pub skipped: Vec<Skipped>,
    /// What is wrong, each with the id of its assertion or row.
    pub wrong: Vec<String>,
}

/// A row that was checked in part.
#[derive(Clone, Debug, Serialize)]
pub struct PartialRow {
    /// Its id.
    pub id: String,
    /// What is left to a proxy.
    pub left: Vec<&'static str>,
}

/// An assertion or row that was not checked.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: &'static str,
}

impl CaseResult {
    fn new(case: &Case) -> Self {
        Self {
            case: case.case.clone(),
            name: case.name.clone(),
            source_version: case.source_version.clone(),
            channel: case.channel.clone(),
            provisional: case.provisional,
            level: case.level.clone(),
            features: case.features.clone(),
            profiles: case.profiles.clone(),
            checked_status: Vec::new(),
            checked_rows: Vec::new(),
            partial_rows: Vec::new(),
            skipped: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Whether everything that was checked holds.
    pub fn passed(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The ids of all that was checked or skipped, sorted.
    pub fn ids(&self) -> Vec<&str> {
        let checked = self.checked_status.iter().chain(&self.checked_rows);
        let partial = self.partial_rows.iter().map(|row| &row.id);
        let mut ids: Vec<_> = checked.chain(partial).chain(self.skipped.iter().map(|skipped| &skipped.id)).map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }
}

/// What became of many cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Cases that ran.
    pub cases: usize,
    /// Those of which everything that was checked holds.
    pub passed: usize,
    /// Assertions of status that were checked.
    pub status: usize,
    /// Rows of traffic that were checked as a whole.
    pub rows: usize,
    /// Rows of traffic that were checked but for what is left to a proxy.
    pub partial_rows: usize,
    /// What is left to a proxy, and in how many rows.
    pub left: BTreeMap<&'static str, usize>,
    /// Assertions and rows that were not checked.
    pub skipped: usize,
}

impl Totals {
    /// Adds up results.
    pub fn of<'r>(results: impl IntoIterator<Item = &'r CaseResult>) -> Self {
        let mut totals = Self::default();
        for result in results {
            totals.cases += 1;
            totals.passed += usize::from(result.passed());
            totals.status += result.checked_status.len();
            totals.rows += result.checked_rows.len();
            totals.partial_rows += result.partial_rows.len();
            totals.skipped += result.skipped.len();
            for what in result.partial_rows.iter().flat_map(|row| &row.left) {
                *totals.left.entry(what).or_default() += 1;
            }
        }
        totals
    }

    /// The totals of each conformance profile, at each level. A case belongs to several profiles, or to none.
    pub fn by_profile(results: &[CaseResult]) -> BTreeMap<Profile, Self> {
        let all: BTreeSet<&Profile> = results.iter().flat_map(|result| &result.profiles).collect();
        let of = |profile: &Profile| Self::of(results.iter().filter(|result| result.profiles.contains(profile)));
        all.into_iter().map(|profile| (profile.clone(), of(profile))).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cases: {} run, {} pass", self.cases, self.passed)?;
        writeln!(f, "assertions of status: {} checked", self.status)?;
        writeln!(f, "rows of traffic: {} checked, {} in part", self.rows, self.partial_rows)?;
        for (what, rows) in &self.left {
            writeln!(f, "  left to a proxy in {rows} rows: {what}")?;
        }
        write!(f, "skipped: {}", self.skipped)
    }
}

/// Runs all cases of a suite, in order of their names.
///
/// # Errors
///
/// A suite that cannot be read.
pub fn run_all(suite: &Path) -> Result<Vec<CaseResult>, String> {
    cases(suite)?.iter().map(|name| run_case(suite, name)).collect()
}

/// Runs one case.
///
/// # Errors
///
/// A case that cannot be read, or whose steps or entries do not fit together.
pub fn run_case(suite: &Path, name: &str) -> Result<CaseResult, String> {
    run_case_under(suite, name, &[&[]])?.pop().ok_or_else(|| format!("{name} gave no result"))
}

/// Runs one case once under each of some lists of options, given by name and value
/// ([`Options::set`](gatewright::Options::set)).
///
/// # Errors
///
/// A case that cannot be read, or whose steps or entries do not fit together; an option that does not exist.
pub fn run_case_under(suite: &Path, name: &str, choices: &[&[(&str, &str)]]) -> Result<Vec<CaseResult>, String> {
    let case = Case::read(suite, name)?;
    let mut state = State::base(suite, &case)?;
    let mut results: Vec<CaseResult> = choices.iter().map(|_| CaseResult::new(&case)).collect();
    let last = case.steps.iter().map(|step| step.step).max().unwrap_or(0);
    for step in 1..=last {
        state.step(&case, step)?;
        let resources = state.resources()?;
        for (chosen, result) in choices.iter().zip(&mut results) {
            let compiled = state.compile(resources.clone(), &case, chosen)?;
            check_step(step, &case, &state, &compiled, result);
        }
    }
    let entries = case.status.iter().map(|check| check.id.as_str()).chain(case.traffic.iter().map(|row| row.id.as_str()));
    let mut given: Vec<_> = entries.collect();
    given.sort_unstable();
    if let Some(result) = results.iter().find(|result| result.ids() != given) {
        return Err(format!("{name}: not every entry belongs to a step: {given:?}, {:?}", result.ids()));
    }
    Ok(results)
}

fn check_step(step: u32, case: &Case, state: &State, compiled: &Compiled, result: &mut CaseResult) {
    for check in case.status.iter().filter(|check| check.step == step) {
        match check_status(check, state, compiled) {
            Checked::Skipped(reason) => result.skipped.push(Skipped { id: check.id.clone(), reason }),
            Checked::Wrong(wrong) => {
                result.checked_status.push(check.id.clone());
                result.wrong.extend(wrong.into_iter().map(|wrong| format!("{} {:?}: {wrong}", check.id, check.check)));
            }
        }
    }
    result.wrong.extend(published(case, compiled).map(|wrong| format!("features: {wrong}")));
    let proxy = Proxy::new(state, &compiled.table);
    for row in case.traffic.iter().filter(|row| row.step == step) {
        let wrong = addressee(row, compiled).into_iter().chain(traffic(row, &proxy));
        let place = format!("{} {:?} {} {}", row.id, row.protocol, row.request.host, row.request.path);
        result.wrong.extend(wrong.map(|wrong| format!("{place}: {wrong}")));
        match left_to_a_proxy(row) {
            left if left.is_empty() => result.checked_rows.push(row.id.clone()),
            left => result.partial_rows.push(PartialRow { id: row.id.clone(), left }),
        }
    }
}

/// The features that the GatewayClass publishes are those that let the case run. Those of meshes are not among them,
/// nor are those that only the main branch names.
fn published(case: &Case, compiled: &Compiled) -> impl Iterator<Item = String> {
    let listed = |feature: &String| {
        let mut features = compiled.status.gateway_classes.iter().flat_map(|class| &class.status.supported_features);
        features.any(|listed| listed.name == **feature)
    };
    let released = case.source_version != "main";
    let needed = case.features.iter().chain(&case.conditions_to_run.only_if_supported);
    let needed = needed.filter(move |feature| released && !feature.starts_with("Mesh"));
    let missing = needed.filter(move |feature| !listed(feature)).map(|feature| format!("{feature} is not published"));
    let forbidden = case.conditions_to_run.only_if_unsupported.iter().filter(move |feature| listed(feature));
    missing.chain(forbidden.map(|feature| format!("{feature} is published")))
}

/// A row names a Gateway, which must have the address that the row is sent to, or a client and a target.
fn addressee(row: &Row, compiled: &Compiled) -> Option<String> {
    match (&row.client, &row.target) {
        (Some(_), Some(_)) => return None,
        (None, None) if row.port > 0 => {}
        _ => return Some("neither a row to a Gateway nor one of a mesh".to_owned()),
    }
    let is = |object: &gatewright::ObjectRef| *object.namespace == *row.gateway.namespace() && *object.name == *row.gateway.name;
    let status = compiled.status.gateways.iter().find(|gateway| is(&gateway.object));
    let reachable = status.is_some_and(|gateway| gateway.status.addresses.iter().any(|address| address.value == USABLE_ADDRESS));
    (!reachable).then(|| format!("{} has no address", row.gateway))
}

/// A row once for a plain one, and with evenly spread picks where shares count.
fn traffic(row: &Row, proxy: &Proxy<'_>) -> Vec<String> {
    let count = requests(row);
    let mut wrong = Vec::new();
    let mut all: Vec<Observed> = Vec::new();
    for n in 0..count {
        match proxy.observe(row, nth_pick(n, count)) {
            Ok(observed) => {
                wrong.extend(check_row(row, &observed));
                all.push(observed);
            }
            Err(error) => wrong.push(error),
        }
    }
    wrong.dedup();
    // Evenly spread picks leave no room for chance.
    wrong.extend(check_sample(row, &all, 0.005));
    wrong
}

/// How often a row is sent.
pub(super) fn requests(row: &Row) -> u32 {
    row.distribution.as_ref().map(|d| d.requests).or(row.repeat.as_ref().map(|r| r.count)).unwrap_or(1)
}

/// The nth of evenly spread picks; the first is 0.
pub(super) fn nth_pick(n: u32, of: u32) -> Pick {
    Pick(u64::MAX / u64::from(of) * u64::from(n))
}

/// What of a row's expectation no decision can settle. Names and references are checked all the same: which
/// certificate, which trust root, which limit.
fn left_to_a_proxy(row: &Row) -> Vec<&'static str> {
    let expect = &row.expect;
    let over_tls = matches!(row.protocol, Protocol::Https | Protocol::H2 | Protocol::Tls);
    let tls_to_backend = expect.forwarded.as_ref().is_some_and(|forwarded| forwarded.tls.is_some());
    let retries = row.backend_behaviour.is_some();
    let mut left = Vec::new();
    let mut tell = |holds: bool, what| left.extend(holds.then_some(what));
    tell(over_tls && expect.outcome != Outcome::ConnectionRejected, "the client's TLS handshake");
    tell(expect.outcome == Outcome::ConnectionRejected, "closing the connection without a TLS alert");
    tell(tls_to_backend || matches!(expect.outcome, Outcome::FailureResponse | Outcome::GrpcFailure), "the TLS handshake with the backend");
    tell(row.request.conversation == Some(Conversation::TcpEcho), "the octets of the stream");
    tell(row.request.conversation == Some(Conversation::ConnectOnly), "accepting the connection");
    tell(matches!(expect.outcome, Outcome::Datagram | Outcome::DnsReply), "the datagrams");
    tell(expect.outcome == Outcome::WebsocketEcho, "the handshake and messages of WebSocket");
    tell(row.protocol == Protocol::H2c, "HTTP/2 by prior knowledge");
    tell(retries, "timers, and the status of a connection that fails");
    tell(row.request_timeout.or(expect.max_time).is_some_and(|limit| limit > Millis(0)), "the time that an answer takes");
    left
}
