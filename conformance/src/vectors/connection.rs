//! Connections and flows: what arrives, what is wanted, and the comparison.

use std::collections::BTreeMap;

use gatewright::connection::{ConnectionDecision, ConnectionReport};
use gatewright::table::ListenerTls;
use gatewright::table::RuleId;
use gatewright::{Arrival, Pick, Table};
use serde::Deserialize;

use super::differences::Differences;
use super::request::{Place, nth_pick};
use super::status::object_name;

/// A connection, or the first datagram of a flow, with the decision that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connected {
    /// What it shows, if it does not say it itself.
    pub name: Option<String>,
    /// `namespace/name` of the Gateway.
    pub gateway: Option<String>,
    /// The listener's port.
    pub port: Option<u16>,
    /// In a mesh, instead of a Gateway: `namespace/name` of the Service.
    pub service: Option<String>,
    /// In a mesh: namespace of the client.
    pub client: Option<String>,
    /// `tcp` or `udp`.
    #[serde(default)]
    pub transport: Transport,
    /// The server name of the TLS handshake.
    pub sni: Option<String>,
    /// Where in the shares of the backends.
    #[serde(default)]
    pub pick: u64,
    /// Instead of one answer: how many of some evenly spread picks go where.
    pub shares: Option<ConnectionShares>,
    /// The answer.
    #[serde(default)]
    pub expect: WantedConnection,
    /// The route that wins: `Kind namespace/name`.
    pub route: Option<String>,
}

/// The transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// How many of some picks go where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionShares {
    /// Number of picks, evenly spread.
    pub picks: u64,
    /// Backend, or reason of a rejection, to number of picks.
    pub to: BTreeMap<String, u64>,
}

/// One of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedConnection {
    /// HTTP is served.
    pub http: Option<WantedHttp>,
    /// Joined to a backend.
    pub forward: Option<WantedStream>,
    /// Closed, or the datagram dropped.
    pub reject: Option<WantedReject>,
    /// In a mesh: it passes through unmodified.
    #[serde(default)]
    pub pass_through: bool,
}

/// HTTP is served.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedHttp {
    /// Name of the listener that the server name chose; absent without TLS.
    listener: Option<String>,
    /// Certificates of the listener, all of them in order.
    certificates: Option<Vec<String>>,
    /// What is asked of client certificates.
    client_validation: Option<WantedValidation>,
    /// Client certificates are not asked for.
    #[serde(default)]
    no_client_validation: bool,
}

/// What is asked of client certificates.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedValidation {
    /// `AllowValidOnly` or `AllowInsecureFallback`.
    mode: String,
    /// The trusted certificates, all of them in order.
    ca_certificates: Vec<String>,
}

/// Joined to a backend.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedStream {
    backend: String,
    /// `none`, `passthrough` or `terminate`.
    tls: Option<String>,
}

/// Closed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedReject {
    reason: Option<String>,
}

impl Connected {
    /// The connection for a person.
    pub fn name(&self) -> String {
        let line = format!("connection to {} {}", self.port.unwrap_or(0), self.sni.as_deref().unwrap_or("-"));
        self.name.as_ref().map_or_else(|| line.clone(), |name| format!("`{name}` ({line})"))
    }

    /// Decides and compares; what differs, as sentences.
    ///
    /// # Errors
    ///
    /// What cannot be asked.
    pub fn check(&self, place: &Place, table: &Table) -> Result<Vec<String>, String> {
        let mut differ = Differences::default();
        let found = self.find(place, table)?;
        differ.equal("whether it passes through", found.is_none(), self.expect.pass_through);
        let Some(place) = found else { return Ok(differ.0) };
        let arrival = Arrival { place, sni: self.sni.as_deref(), listener: None };
        if let Some(shares) = &self.shares {
            shares.check(&arrival, table, &mut differ);
            return Ok(differ.0);
        }
        let decision = table.decide_connection(&arrival, Pick(self.pick));
        let report = table.connection_report(&decision);
        differ.equal("the explained decision", &table.explain_connection(&arrival, Pick(self.pick)).decision, &report);
        self.compare(&decision, &report, table, &mut differ);
        Ok(differ.0)
    }

    fn find(&self, place: &Place, table: &Table) -> Result<Option<gatewright::Place>, String> {
        self.own_place().or(place).find(table, self.transport == Transport::Udp)
    }

    /// What it says itself about where it arrives.
    pub(crate) fn own_place(&self) -> Place {
        Place {
            gateway: self.gateway.clone(),
            port: self.port,
            authority: None,
            service: self.service.clone(),
            client: self.client.clone(),
        }
    }

    /// Whether an answer of the oracle is the wanted one.
    pub(super) fn agrees(&self, listener: Option<&str>, then: &str) -> bool {
        let WantedConnection { http, forward, reject, .. } = &self.expect;
        match (http, forward, reject) {
            (Some(wanted), None, None) => {
                let chosen = listener.and_then(|listener| listener.rsplit(' ').next());
                then == "HTTP" && chosen == wanted.listener.as_deref()
            }
            (None, Some(wanted), None) => {
                let backend = then.strip_prefix("forwarded to ").and_then(|rest| rest.split([' ', ',']).next());
                let tls = match wanted.tls.as_deref() {
                    None => "",
                    Some("passthrough") => "passed through",
                    Some("terminate") => "terminated",
                    Some(none) => none,
                };
                backend == Some(&*wanted.backend) && then.ends_with(tls)
            }
            (None, None, Some(wanted)) => match then.strip_prefix("rejected: ") {
                Some(reason) => wanted.reason.as_ref().is_none_or(|wanted| wanted == reason),
                None => false,
            },
            _ => false,
        }
    }

    /// The rule that wins, if one does.
    pub fn winner(&self, place: &Place, table: &Table) -> Option<RuleId> {
        let place = self.find(place, table).ok()??;
        let arrival = Arrival { place, sni: self.sni.as_deref(), listener: None };
        match table.decide_connection(&arrival, Pick(self.pick)) {
            ConnectionDecision::Forward(forward) => Some(forward.matched.rule),
            ConnectionDecision::Reject(reject) => reject.matched.map(|matched| matched.rule),
            _ => None,
        }
    }

    fn compare(&self, decision: &ConnectionDecision, report: &ConnectionReport, table: &Table, differ: &mut Differences) {
        match (decision, report, &self.expect) {
            (ConnectionDecision::Http { listener }, _, WantedConnection { http: Some(wanted), .. }) => {
                let listener = listener.and_then(|id| table.listener(id));
                differ.equal("the listener", listener.map(|listener| &*listener.name), wanted.listener.as_deref());
                wanted.tls(listener.and_then(|listener| listener.tls.as_ref()), differ);
            }
            (_, ConnectionReport::Forward { backend, tls, route, .. }, WantedConnection { forward: Some(wanted), .. }) => {
                differ.equal("the backend", &backend.to_string(), &wanted.backend);
                if let Some(wanted) = &wanted.tls {
                    differ.equal("what is done with TLS", *tls, wanted.as_str());
                }
                if let Some(wanted) = &self.route {
                    differ.equal("the route", &object_name(route), wanted);
                }
            }
            (_, ConnectionReport::Reject { reason, .. }, WantedConnection { reject: Some(wanted), .. }) => {
                if let Some(wanted) = &wanted.reason {
                    differ.equal("the reason", *reason, wanted.as_str());
                }
            }
            _ => differ.0.push(format!("the answer is `{report}`, expected {:?}", self.expect)),
        }
    }
}

impl WantedHttp {
    fn tls(&self, got: Option<&ListenerTls>, differ: &mut Differences) {
        if let Some(wanted) = &self.certificates {
            let names = got.map(|tls| tls.certificates.iter().map(object_name).collect::<Vec<_>>());
            differ.equal("the list of certificates", names.unwrap_or_default(), wanted.clone());
        }
        let validation = got.and_then(|tls| tls.client_validation.as_ref()).map(|validation| WantedValidation {
            mode: if validation.allow_insecure_fallback { "AllowInsecureFallback" } else { "AllowValidOnly" }.to_owned(),
            ca_certificates: validation.ca_certificates.iter().map(object_name).collect(),
        });
        if self.client_validation.is_some() || self.no_client_validation {
            differ.equal("the validation of clients", validation.as_ref(), self.client_validation.as_ref());
        }
    }
}

impl ConnectionShares {
    fn check(&self, arrival: &Arrival<'_>, table: &Table, differ: &mut Differences) {
        let mut got = BTreeMap::<String, u64>::new();
        for n in 0..self.picks {
            let decision = table.decide_connection(arrival, Pick(nth_pick(n, self.picks)));
            let to = match table.connection_report(&decision) {
                ConnectionReport::Forward { backend, .. } => backend.to_string(),
                ConnectionReport::Reject { reason, .. } => reason.to_owned(),
                other => other.to_string(),
            };
            *got.entry(to).or_default() += 1;
        }
        differ.equal("the list of shares", &got, &self.to);
    }
}
