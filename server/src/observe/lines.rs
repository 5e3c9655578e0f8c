//! What a line of the access log says.

use std::net::SocketAddr;
use std::time::Duration;

use gatewright::connection::ConnectionReport;
use http::{Method, StatusCode};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::access_log::{cut, now};
use super::names::Names;

/// Octets of a method that are logged at most.
const METHOD: usize = 32;

/// What is known of a request that has ended: for its line and its span.
pub(crate) struct Facts<'a> {
    pub(crate) names: &'a Names,
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) client: SocketAddr,
    pub(crate) port: u16,
    pub(crate) protocol: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) method: &'a Method,
    pub(crate) host: &'a str,
    /// Without the query, which may hold secrets.
    pub(crate) path: &'a str,
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) octets: u64,
    /// Whether the response was sent to its end.
    pub(crate) complete: bool,
    pub(crate) match_: Option<u32>,
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) reason: Option<&'static str>,
}

/// One request.
impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("time", &now())?;
        line.serialize_entry("request_id", self.request_id)?;
        optional(&mut line, "trace_id", self.trace_id)?;
        line.serialize_entry("client", &self.client)?;
        line.serialize_entry("gateway", &self.names.gateway)?;
        line.serialize_entry("port", &self.port)?;
        line.serialize_entry("protocol", self.protocol)?;
        line.serialize_entry("scheme", self.scheme)?;
        line.serialize_entry("method", cut(self.method.as_str(), METHOD))?;
        line.serialize_entry("host", self.host)?;
        line.serialize_entry("path", self.path)?;
        optional(&mut line, "user_agent", self.user_agent)?;
        line.serialize_entry("status", &self.status.as_u16())?;
        line.serialize_entry("duration_ms", &milliseconds(self.took))?;
        line.serialize_entry("bytes", &self.octets)?;
        line.serialize_entry("complete", &self.complete)?;
        for (name, value) in self.names.labels().into_iter().skip(1) {
            optional(&mut line, name, Some(value).filter(|value| !value.is_empty()))?;
            if name == "rule" {
                optional(&mut line, "match", self.match_)?;
            }
        }
        optional(&mut line, "endpoint", self.endpoint)?;
        optional(&mut line, "reason", self.reason)?;
        line.end()
    }
}

fn optional<M: SerializeMap>(line: &mut M, name: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| line.serialize_entry(name, &value))
}

/// One connection or flow that is not HTTP.
#[derive(Serialize)]
pub(crate) struct ConnectionLine<'a> {
    pub(crate) time: String,
    pub(crate) client: SocketAddr,
    pub(crate) gateway: String,
    pub(crate) port: u16,
    pub(crate) protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sni: Option<&'a str>,
    pub(crate) duration_ms: f64,
    #[serde(flatten)]
    pub(crate) decision: Report<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<&'a str>,
}

/// The decision about a connection in the words that requests have.
#[derive(Serialize, Default)]
pub(crate) struct Report<'a> {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "displayed")]
    route: Option<&'a gatewright::ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "displayed")]
    backend: Option<&'a gatewright::report::BackendReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> Report<'a> {
    pub(crate) fn of(report: &'a ConnectionReport) -> Self {
        match report {
            ConnectionReport::Forward { parent, route, rule_name, backend, .. } => Self {
                decision: "forward",
                listener: listener(Some(parent)),
                route: Some(route),
                rule: rule_name.as_deref(),
                backend: Some(backend),
                reason: None,
            },
            ConnectionReport::Reject { parent, route, reason, .. } => Self {
                decision: "reject",
                listener: listener(parent.as_ref()),
                route: route.as_ref(),
                reason: Some(reason),
                ..Self::default()
            },
            _ => Self { decision: "http", ..Self::default() },
        }
    }
}

/// The name behind `namespace/gateway/`.
fn listener(parent: Option<&String>) -> Option<&str> {
    parent?.splitn(3, '/').nth(2)
}

fn displayed<S: Serializer, T: std::fmt::Display>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// A duration as it is written.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
