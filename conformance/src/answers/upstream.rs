//! The worlds of the upstream suite: one for each step of a case.

use std::cell::RefCell;
use std::path::Path;

use gatewright::table::PortProtocol;
use gatewright::{Arrival, Pick, Request, Table};
use http::HeaderMap;

use super::ask::Ask;
use super::question::{At, ConnectionQuestion, RequestQuestion};
use super::{Suite, World, chosen};
use crate::suite::{Asked, Hear, Row, cases, each_step};
use crate::vectors::{Place, fields};

/// Every step of every case.
pub(super) fn worlds(suite: &Path, tell: &mut dyn FnMut(&World) -> Result<(), String>) -> Result<(), String> {
    for name in cases(suite)? {
        each_step(suite, &name, &mut |step| {
            let id = format!("{name}::{}", step.number);
            let mut world = World::new(id, Suite::Upstream, step.state.texts(), &step.options, &step.loaded, &step.compiled)?;
            let heard = Heard { table: &step.compiled.table, asks: RefCell::default() };
            step.ask(&heard, chosen)?;
            world.asks = heard.asks.into_inner().into_iter().collect::<Result<_, _>>()?;
            tell(&world)
        })
        .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Writes down what the rows ask.
#[derive(Debug)]
struct Heard<'t> {
    table: &'t Table,
    asks: RefCell<Vec<Result<Ask, String>>>,
}

impl Hear for Heard<'_> {
    fn hear(&self, row: &Row, asked: &Asked<'_>, pick: Pick) {
        let ask = match asked {
            Asked::Request(request) => self.request(row, request, pick),
            Asked::Connection(arrival) => self.connection(row, arrival, pick),
            Asked::PassThrough { service, request } => {
                let place = Place { service: Some((*service).to_owned()), ..Place::default() };
                let question = |at| RequestQuestion::unasked(at, &request.method, &request.host, &request.path, &request.headers, pick);
                at(row, place, None).map(|at| Ask::passing_request(question(at)))
            }
        };
        self.asks.borrow_mut().push(ask);
    }
}

impl Heard<'_> {
    fn request(&self, row: &Row, request: &Request<'_>, pick: Pick) -> Result<Ask, String> {
        let response: Vec<_> = row.request.backend_set_response_headers.clone().into_iter().collect();
        let response: HeaderMap = fields(&response)?;
        let question = RequestQuestion::new(self.at(row, &request.arrival)?, request, pick);
        Ask::request(question, self.table, request, pick, &response, is_first(pick))
    }

    fn connection(&self, row: &Row, arrival: &Arrival<'_>, pick: Pick) -> Result<Ask, String> {
        let udp = match arrival.place {
            gatewright::Place::Port(id) => self.table.port(id).is_some_and(|port| port.protocol == PortProtocol::Udp),
            gatewright::Place::Service(_) => false,
        };
        let question = ConnectionQuestion::new(self.at(row, arrival)?, udp, pick);
        Ask::connection(question, self.table, arrival, pick, is_first(pick))
    }

    /// Where it arrives, with names.
    fn at(&self, row: &Row, arrival: &Arrival<'_>) -> Result<At, String> {
        let place = match arrival.place {
            gatewright::Place::Port(_) => {
                Place { gateway: Some(format!("{}/{}", row.gateway.namespace(), row.gateway.name)), ..Place::default() }
            }
            gatewright::Place::Service(id) => {
                let service = &self.table.frontend(id).ok_or("no such Service")?.service;
                Place { service: Some(format!("{}/{}", service.namespace, service.name)), ..Place::default() }
            }
        };
        Ok(at(row, place, arrival.sni)?.with_listener(arrival, self.table))
    }
}

/// With the port and the client of the row.
fn at(row: &Row, place: Place, sni: Option<&str>) -> Result<At, String> {
    let port = row.target.as_ref().map_or(row.port, |target| target.port);
    let client = row.client.as_ref().map(|client| client.namespace.clone());
    At::new(&Place { port: Some(port), client, ..place }, sni)
}

/// The first pick of a row is 0; the others are explained by the same words.
fn is_first(pick: Pick) -> bool {
    pick == Pick(0)
}
