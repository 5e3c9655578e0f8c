//! Carrying out decisions on sockets.

mod backend_tls;
mod balance;
mod body;
mod budget;
mod connection;
mod connection_record;
mod exchange;
mod hop;
mod listener;
mod mirror;
mod record;
mod service;
mod stream;
mod tls;
mod udp;
mod upstream;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::observe::{AccessLog, Metrics, Spans};
use crate::publish::Published;

pub use backend_tls::BackendsTls;
pub use body::BoxError;
pub use listener::{Bound, serve};

/// What the proxy is told besides the manifests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Ports of Gateways that are served on another local port; 0 is any free one.
    pub port_map: BTreeMap<u16, u16>,
    /// Addresses of backends, by `namespace/service:port`; they come before all others.
    pub resolve: BTreeMap<String, Vec<SocketAddr>>,
    /// How long open requests may take to end after the server was told to.
    pub drain: Duration,
    /// How long a UDP flow may be silent before it is forgotten.
    pub udp_idle: Duration,
    /// UDP flows of a port at most: each has a socket of its own. Datagrams of others are dropped.
    pub udp_flows: usize,
    /// Where requests are logged.
    pub access_log: AccessLog,
    /// Where spans of OpenTelemetry go.
    pub spans: Spans,
    /// Whether an `x-request-id` of a client is kept.
    pub trust_request_id: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            port_map: BTreeMap::new(),
            resolve: BTreeMap::new(),
            drain: Duration::from_secs(30),
            udp_idle: Duration::from_secs(60),
            udp_flows: 4096,
            access_log: AccessLog::default(),
            spans: Spans::default(),
            trust_request_id: false,
        }
    }
}

/// What every connection shares.
#[derive(Debug)]
struct Shared {
    current: Arc<ArcSwap<Published>>,
    upstreams: upstream::Upstreams,
    mirrors: mirror::Mirrors,
    budgets: budget::Budgets,
    stop: watch::Receiver<bool>,
    drain: Duration,
    udp_idle: Duration,
    udp_flows: usize,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
    spans: Spans,
    trust_request_id: bool,
}
