//! The table of a set, ready to be asked.

use gatewright::decision::Matched;
use gatewright::table::PortId;
use gatewright::{Arrival, Authority, Decision, Headers, Options, Pick, Request, Table, compile};

use super::{RouteSet, RuleIds, SetRequest};

/// The table of a set, with the way back to the set's rules.
#[derive(Debug)]
pub struct SetTable {
    /// The table.
    pub table: Table,
    /// Where the set's requests arrive.
    pub port: PortId,
    ids: RuleIds,
}

impl SetTable {
    /// Compiles a set.
    ///
    /// # Panics
    ///
    /// When a rule of the set is not valid.
    pub fn new(set: &RouteSet) -> Self {
        let table = compile(&set.resources(), &Options::default()).table;
        let ids = RuleIds::new(set, &table);
        let port = table.ports()[0].id;
        Self { table, port, ids }
    }

    /// Asks the table; `target` and `headers` are those of the request, in the form to ask with.
    pub fn decide<'a, H: Headers + ?Sized>(&'a self, request: &'a SetRequest, target: &'a str, headers: &'a H) -> Decision<'a> {
        let request = Request {
            arrival: Arrival::on(self.port),
            method: &request.method,
            scheme: None,
            authority: Authority::Given(request.host.as_bytes()),
            target: target.as_bytes(),
            headers,
        };
        self.table.decide(&request, Pick(0))
    }

    /// The id of the rule that matched: its place in [`RouteSet::rules`].
    pub fn rule_of(&self, matched: Matched) -> usize {
        self.ids.rule_of(matched)
    }
}
