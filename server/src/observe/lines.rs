//! What a line of the access log says.

use std::net::SocketAddr;
use std::time::Duration;

use gatewright::connection::ConnectionReport;
use serde::{Serialize, Serializer};

/// One request.
#[derive(Serialize)]
pub(crate) struct RequestLine<'a> {
    pub(crate) time: String,
    pub(crate) request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) client: SocketAddr,
    pub(crate) gateway: &'a str,
    pub(crate) port: u16,
    pub(crate) protocol: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    /// Without the query, which may hold secrets.
    pub(crate) path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) status: u16,
    pub(crate) duration_ms: f64,
    /// Octets of the response's body.
    pub(crate) bytes: u64,
    /// False if the response was not sent to its end.
    pub(crate) complete: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) listener: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) route: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) rule: &'a str,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub(crate) match_: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) backend: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
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
