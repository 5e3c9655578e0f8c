//! The table against the oracle, and on large sets against the plain twin.

mod explained;
mod mutate;
pub mod sets;
mod shrink;
mod table;
pub mod updates;

pub(crate) use explained::index;
pub(crate) use table::{place, target, view};

use std::collections::BTreeMap;
use std::fmt;

use gatewright::{Options, Resources, compile};
use serde::{Deserialize, Serialize};

use crate::oracle::{Facts, Oracle, WorldConnection, WorldRequest};
use crate::world::{self, Random};

/// What is asked of a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// What becomes of a request?
    Request(Box<WorldRequest>),
    /// What becomes of a connection?
    Connection(WorldConnection),
    /// What does status say?
    Status,
}

/// A difference, as small as it could be made.
#[derive(Debug)]
pub struct Difference {
    /// The world.
    pub resources: Resources,
    /// What was asked.
    pub question: Question,
}

/// Manifests to paste, the question, and the two answers.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", shrink::manifests(&self.resources))?;
        match &self.question {
            Question::Request(request) => writeln!(f, "{request:#?}")?,
            Question::Connection(connection) => writeln!(f, "{connection:#?}")?,
            Question::Status => {}
        }
        match answers(&self.resources, &self.question) {
            Some(Answers { oracle, table, .. }) => writeln!(f, "oracle: {oracle}\ntable:  {table}"),
            None => writeln!(f, "no difference"),
        }
    }
}

/// What oracle and table say when they differ.
struct Answers {
    oracle: String,
    table: String,
    /// What the difference is about: a condition, a request.
    about: String,
}

fn answers(resources: &Resources, question: &Question) -> Option<Answers> {
    let compiled = compile(resources, &Options::default());
    let oracle = Oracle::new(resources);
    match question {
        Question::Request(request) => {
            let (expected, found) = (oracle.answer(request), table::decided(&compiled.table, request));
            let answers = || Answers { oracle: format!("{expected:#?}"), table: format!("{found:#?}"), about: "request".to_owned() };
            (found.as_ref() != Ok(&expected)).then(answers)
        }
        Question::Connection(connection) => {
            let (expected, found) = (oracle.connect(connection), table::connected(&compiled.table, connection));
            let answers = || Answers { oracle: format!("{expected:#?}"), table: format!("{found:#?}"), about: "connection".to_owned() };
            (found.as_ref() != Ok(&expected)).then(answers)
        }
        Question::Status => {
            let (of, expected, found) = differing(&oracle.facts(), &table::facts(&compiled.status))?;
            let words: Vec<&str> = of.split(' ').skip(2).collect();
            let about = format!("{} {expected:?} {found}", words.last().unwrap_or(&""));
            Some(Answers { oracle: format!("{of} = {}", expected.join(" or ")), table: format!("{of} = {found}"), about })
        }
    }
}

/// The first fact that is not among the right ones: what it is of, what is right, what was found.
fn differing(expected: &Facts, found: &BTreeMap<String, String>) -> Option<(String, Vec<String>, String)> {
    expected.iter().find_map(|(of, right)| {
        let found = found.get(of).map_or("absent", String::as_str);
        (!right.iter().any(|text| text == found)).then(|| (of.clone(), right.clone(), found.to_owned()))
    })
}

/// What was compared, by kind.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Requests and connections.
    pub requests: u64,
    /// Worlds; the status of each was compared.
    pub worlds: u64,
    /// Outcomes of both.
    pub outcomes: BTreeMap<String, u64>,
    /// Reasons of conditions.
    pub reasons: BTreeMap<String, u64>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} requests and connections in {} worlds compared, no difference", self.requests, self.worlds)?;
        for (kind, count) in self.outcomes.iter().chain(&self.reasons) {
            writeln!(f, "  {count:>9} {kind}")?;
        }
        Ok(())
    }
}

/// Compares at least this many requests, and the status of every world.
///
/// # Errors
///
/// The first difference, made small.
pub fn run(seed: u64, requests: u64) -> Result<Counts, Box<Difference>> {
    const PER_WORLD: u64 = 32;
    let mut random = Random(seed);
    let mut counts = Counts::default();
    while counts.requests < requests {
        let resources = world::resources(&mut random);
        let compiled = compile(&resources, &Options::default());
        let oracle = Oracle::new(&resources);
        let facts = oracle.facts();
        if differing(&facts, &table::facts(&compiled.status)).is_some() {
            return Err(Box::new(shrink::smallest(Difference { resources, question: Question::Status })));
        }
        counts.worlds += 1;
        for kind in facts.iter().filter_map(|(of, right)| reason_kind(of, right)) {
            *counts.reasons.entry(kind).or_default() += 1;
        }
        for _ in 0..PER_WORLD {
            let request = world::request(&mut random, &resources);
            let expected = oracle.answer(&request);
            if table::decided(&compiled.table, &request).as_ref() != Ok(&expected) {
                return Err(Box::new(shrink::smallest(Difference { resources, question: Question::Request(Box::new(request)) })));
            }
            *counts.outcomes.entry(expected.kind()).or_default() += 1;
            counts.requests += 1;
        }
        for _ in 0..PER_WORLD / 4 {
            let connection = world::connection(&mut random, &resources);
            let expected = oracle.connect(&connection);
            if table::connected(&compiled.table, &connection).as_ref() != Ok(&expected) {
                return Err(Box::new(shrink::smallest(Difference { resources, question: Question::Connection(connection) })));
            }
            *counts.outcomes.entry(expected.kind()).or_default() += 1;
            counts.requests += 1;
        }
    }
    Ok(counts)
}

/// The kind of a fact that is the one right reason of a condition: `route Accepted: NoMatchingParent`.
fn reason_kind(of: &str, right: &[String]) -> Option<String> {
    let ([reason], Some(condition)) = (right, of.strip_suffix(" reason")?.rsplit(' ').next()) else { return None };
    let of_route = of.split(' ').next()?.ends_with("Route");
    Some(format!("{} {condition}: {reason}", if of_route { "route" } else { "Gateway or listener" }))
}
