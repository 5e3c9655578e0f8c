//! What `decide` and `explain` ask the table: a request, or a connection; at a Gateway, or in a mesh.

use gatewright::connection::{ConnectionExplanation, ConnectionReport};
use gatewright::explain::Explanation;
use gatewright::report::DecisionReport;
use gatewright::table::{ListenerId, PortProtocol};
use gatewright::{Arrival, Authority, Pick, Place, Request, Table};
use serde::{Deserialize, Serialize};

/// A question; one line of `--requests`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) gateway: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) listener: Option<String>,
    /// In a mesh: the namespace of the client, and the Service as `namespace/name`.
    pub(crate) client: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) scheme: Option<String>,
    pub(crate) sni: Option<String>,
    #[serde(default)]
    pub(crate) method: Option<String>,
    pub(crate) authority: Option<String>,
    /// A request has a target, a connection a transport.
    pub(crate) target: Option<String>,
    pub(crate) connection: Option<Transport>,
    #[serde(default)]
    pub(crate) headers: Fields,
    #[serde(default)]
    pub(crate) pick: u64,
}

/// The transport of a connection or flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Tls,
    Tcp,
    Udp,
}

type Fields = Vec<(String, String)>;

/// A decision, as it is printed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "one is made for each line of output")]
pub(super) enum Answer {
    Request(DecisionReport),
    Connection(ConnectionReport),
    PassThrough(PassThrough),
}

/// An explanation, as it is printed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "one is made for each line of output")]
pub(crate) enum Reasons {
    Request(Explanation),
    Connection(ConnectionExplanation),
    PassThrough(PassThrough),
}

/// In a mesh: no route has the Service as parent ([A-22]).
#[derive(Debug, Serialize)]
#[serde(tag = "decision", rename = "passThrough")]
pub(crate) struct PassThrough {
    message: &'static str,
}

impl PassThrough {
    const NO_ROUTE: Self = Self { message: "no route has this port of the Service as parent: the traffic passes through unmodified" };
}

impl Answer {
    /// Whether a route answers.
    pub(super) fn is_matched(&self) -> bool {
        match self {
            Self::Request(DecisionReport::Respond { matched, .. }) => matched.is_some(),
            Self::Connection(ConnectionReport::Reject { route, .. }) => route.is_some(),
            _ => true,
        }
    }
}

impl Reasons {
    /// Whether a route answers.
    pub(super) fn is_matched(&self) -> bool {
        match self {
            Self::Request(explanation) => !matches!(explanation.decision, DecisionReport::Respond { matched: None, .. }),
            Self::Connection(explanation) => !matches!(explanation.decision, ConnectionReport::Reject { route: None, .. }),
            Self::PassThrough(_) => true,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(report) => report.fmt(f),
            Self::Connection(report) => report.fmt(f),
            Self::PassThrough(pass) => f.write_str(pass.message),
        }
    }
}

impl std::fmt::Display for Reasons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(explanation) => explanation.fmt(f),
            Self::Connection(explanation) => explanation.fmt(f),
            Self::PassThrough(pass) => f.write_str(pass.message),
        }
    }
}

impl Question {
    /// What becomes of it.
    pub(super) fn decide(&self, table: &Table) -> Result<Answer, String> {
        let Some((place, listener)) = self.place(table)? else { return Ok(Answer::PassThrough(PassThrough::NO_ROUTE)) };
        let arrival = Arrival { place, sni: self.sni.as_deref(), listener };
        let pick = Pick(self.pick);
        Ok(match self.request(arrival)? {
            Some(request) => Answer::Request(table.report(&table.decide(&request, pick))),
            None => Answer::Connection(table.connection_report(&table.decide_connection(&arrival, pick))),
        })
    }

    /// What becomes of it, and why.
    pub(crate) fn explain(&self, table: &Table) -> Result<Reasons, String> {
        let Some((place, listener)) = self.place(table)? else { return Ok(Reasons::PassThrough(PassThrough::NO_ROUTE)) };
        let arrival = Arrival { place, sni: self.sni.as_deref(), listener };
        let pick = Pick(self.pick);
        Ok(match self.request(arrival)? {
            Some(request) => Reasons::Request(table.explain(&request, pick)),
            None => Reasons::Connection(table.explain_connection(&arrival, pick)),
        })
    }

    /// The request; `None` for a connection.
    fn request<'q>(&'q self, arrival: Arrival<'q>) -> Result<Option<Request<'q, Fields>>, String> {
        let target = match (&self.target, self.connection) {
            (Some(target), None) => target,
            (None, Some(_)) => return Ok(None),
            _ => return Err("a request has a `target`, a connection has `connection`: one of the two is needed".to_owned()),
        };
        Ok(Some(Request {
            arrival,
            method: self.method.as_deref().unwrap_or("GET"),
            scheme: self.scheme.as_deref(),
            authority: self.authority.as_deref().map_or(Authority::Absent, |text| Authority::Given(text.as_bytes())),
            target: target.as_bytes(),
            headers: &self.headers,
        }))
    }

    /// Where it arrives; `None` in a mesh where no route has the Service as parent.
    fn place(&self, table: &Table) -> Result<Option<(Place, Option<ListenerId>)>, String> {
        if self.client.is_some() || self.service.is_some() {
            let (Some(client), Some(service)) = (&self.client, &self.service) else {
                return Err("a mesh needs both `client` and `service`".to_owned());
            };
            let (namespace, name) = service.split_once('/').ok_or("`service` is namespace/name")?;
            let port = self.port.unwrap_or(80);
            return Ok(table.find_frontend(client, namespace, name, port).map(|frontend| (Place::Service(frontend.id), None)));
        }
        at_gateway(table, self).map(Some)
    }

    /// What the port speaks that is meant.
    fn protocol(&self) -> PortProtocol {
        match (self.connection, self.scheme.as_deref()) {
            (Some(Transport::Udp), _) => PortProtocol::Udp,
            (Some(Transport::Tls), _) | (None, Some("https")) => PortProtocol::Tls,
            (Some(Transport::Tcp), _) => PortProtocol::Tcp,
            (None, _) => PortProtocol::Http,
        }
    }
}

/// The port of a Gateway, or a listener of it, by name or by what is obvious.
fn at_gateway(table: &Table, question: &Question) -> Result<(Place, Option<ListenerId>), String> {
    let gateway = table.choose_gateway(question.gateway.as_deref()).map_err(|error| error.to_string())?;
    if let Some(name) = &question.listener {
        let found = table.find_listener(gateway.id, name).ok_or_else(|| format!("no accepted listener `{name}`"))?;
        return Ok((Place::Port(found.port), Some(found.id)));
    }
    let port = table.choose_port(question.gateway.as_deref(), question.port, question.protocol());
    port.map(|port| (Place::Port(port.id), None)).map_err(|error| error.to_string())
}

/// The Service that a client of a namespace means by a host: `name`, `name.namespace`, or the whole DNS name.
pub(super) fn service_of(host: &str, client: &str) -> String {
    let mut labels = host.trim_end_matches('.').split('.');
    let name = labels.next().unwrap_or_default();
    format!("{}/{name}", labels.next().unwrap_or(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_services() {
        for (host, expected) in [("echo", "shop/echo"), ("echo.other", "other/echo"), ("echo.other.svc.cluster.local.", "other/echo")] {
            assert_eq!(service_of(host, "shop"), expected);
        }
    }
}
