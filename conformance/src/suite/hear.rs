//! What the rows of a case ask the table, for those who write it down.

use std::fmt::Debug;
use std::path::Path;

use gatewright::load::Loaded;
use gatewright::{Arrival, Compiled, Options, Pick, Request, compile};

use super::case::Case;
use super::observed::Forwarded;
use super::proxy::Proxy;
use super::row::Row;
use super::run::{nth_pick, requests};
use super::state::{State, options};

/// A question to the table, or what it has no answer to.
#[derive(Debug)]
pub enum Asked<'a> {
    /// What becomes of a connection.
    Connection(Arrival<'a>),
    /// What becomes of a request.
    Request(Request<'a>),
    /// No route has the Service (`namespace/name`) as parent: the request passes through as it is.
    PassThrough {
        /// The Service.
        service: &'a str,
        /// The request.
        request: &'a Forwarded,
    },
}

/// Hears the questions of rows, in order.
pub trait Hear: Debug {
    /// A question, before it is answered.
    fn hear(&self, row: &Row, asked: &Asked<'_>, pick: Pick);
}

/// A cluster after one step of a case.
#[derive(Debug)]
pub struct Step<'c> {
    case: &'c Case,
    /// Number of the step, from 1.
    pub number: u32,
    /// The objects.
    pub state: &'c State,
    /// The objects as resources.
    pub loaded: Loaded,
    /// The options of the controller under test.
    pub options: Options,
    /// What it makes of the resources.
    pub compiled: Compiled,
}

impl Step<'_> {
    /// Sends the rows of the step. `chosen` says which of so many evenly spread picks.
    ///
    /// # Errors
    ///
    /// A row that does not fit the objects.
    pub fn ask<I: Iterator<Item = u64>>(&self, hear: &dyn Hear, chosen: impl Fn(u64) -> I) -> Result<(), String> {
        let proxy = Proxy::new(self.state, &self.compiled.table).heard(hear);
        for row in self.case.traffic.iter().filter(|row| row.step == self.number) {
            let count = requests(row);
            for n in chosen(count.into()).filter_map(|n| u32::try_from(n).ok()) {
                proxy.observe(row, nth_pick(n, count)).map_err(|error| format!("{}: {error}", row.id))?;
            }
        }
        Ok(())
    }
}

/// Goes through the steps of a case.
///
/// # Errors
///
/// A case that cannot be read, and what `each` says.
pub fn each_step(suite: &Path, name: &str, each: &mut dyn FnMut(&Step<'_>) -> Result<(), String>) -> Result<(), String> {
    let case = Case::read(suite, name)?;
    let mut state = State::base(suite, &case)?;
    let last = case.steps.iter().map(|step| step.step).max().unwrap_or(0);
    for number in 1..=last {
        state.step(&case, number)?;
        let (loaded, options) = (state.load()?, options(&case)?);
        let compiled = compile(&loaded.resources, &options);
        each(&Step { case: &case, number, state: &state, loaded, options, compiled })?;
    }
    Ok(())
}
