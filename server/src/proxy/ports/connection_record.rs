//! What is kept of a connection or flow that is not HTTP until it ends: then it gets its line in the access log.

use std::net::SocketAddr;
use std::sync::Arc;

use gatewright::connection::ConnectionReport;
use gatewright::{ConnectionDecision, Table};
use tokio::time::Instant;

use crate::observe::{ConnectionLine, InFlight, Report, cut, milliseconds, now};
use crate::proxy::Shared;
use crate::publish::PortKey;

/// Octets of a server name that are logged at most.
const NAME: usize = 256;

/// Writes its line when it is dropped, if there is a log.
pub(in crate::proxy) struct ConnectionRecord {
    seen: Option<Box<Seen>>,
    _in_flight: Option<InFlight>,
}

struct Seen {
    shared: Arc<Shared>,
    port: Arc<PortKey>,
    protocol: &'static str,
    client: SocketAddr,
    sni: Option<String>,
    report: ConnectionReport,
    endpoint: Option<String>,
    started: Instant,
}

/// The word that a decision is counted under.
pub(in crate::proxy) fn word(decision: &ConnectionDecision) -> &'static str {
    match decision {
        ConnectionDecision::Http { .. } => "http",
        ConnectionDecision::Forward(_) => "forward",
        ConnectionDecision::Reject(reject) => reject.reason.as_str(),
        _ => "other",
    }
}

impl ConnectionRecord {
    /// A connection that has just been decided; `in_flight` counts for its backend.
    pub(in crate::proxy) fn new(
        shared: &Arc<Shared>,
        port: &Arc<PortKey>,
        (protocol, client, sni): (&'static str, SocketAddr, Option<&str>),
        (table, decision): (&Table, &ConnectionDecision),
        in_flight: Option<InFlight>,
    ) -> Self {
        let matched = !matches!(decision, ConnectionDecision::Reject(reject) if reject.matched.is_none());
        let seen = shared.access_log.wants(matched).then(|| {
            Box::new(Seen {
                shared: Arc::clone(shared),
                port: Arc::clone(port),
                protocol,
                client,
                sni: sni.map(|sni| cut(sni, NAME).to_owned()),
                report: table.connection_report(decision),
                endpoint: None,
                started: Instant::now(),
            })
        });
        Self { seen, _in_flight: in_flight }
    }

    /// Where it is forwarded to.
    pub(in crate::proxy) fn goes_to(&mut self, endpoint: &str) {
        if let Some(seen) = &mut self.seen {
            seen.endpoint = Some(endpoint.to_owned());
        }
    }
}

impl Drop for ConnectionRecord {
    fn drop(&mut self) {
        let Some(seen) = &self.seen else { return };
        seen.shared.access_log.line(&ConnectionLine {
            time: now(),
            client: seen.client,
            gateway: format!("{}/{}", seen.port.namespace, seen.port.gateway),
            port: seen.port.port,
            protocol: seen.protocol,
            sni: seen.sni.as_deref(),
            duration_ms: milliseconds(seen.started.elapsed()),
            decision: Report::of(&seen.report),
            endpoint: seen.endpoint.as_deref(),
        });
    }
}
