//! Carrying out decisions on sockets: `ports` take what comes, `requests` are decided and carried out, `backends` get them.

mod backends;
mod ports;
mod requests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use gatewright::session::{SessionKeys, Sessions};
use tokio::sync::watch;

use crate::observe::{AccessLog, Metrics, Spans};
use crate::publish::Published;

pub use backends::backend_tls::BackendsTls;
pub use ports::limits::Limits;
pub use ports::listener::{Bound, serve};
pub use requests::body::BoxError;
pub use requests::sessions::from_files as session_keys;

/// What the proxy is told besides the manifests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Whether another process may listen on the same TCP ports, so that it can take over without a gap.
    pub share_ports: bool,
    /// How long a stream or a tunnel may be without an octet before it ends.
    pub stream_idle: Duration,
    /// Ports of Gateways that are served on another local port; 0 is any free one.
    pub port_map: BTreeMap<u16, u16>,
    /// Addresses of backends, by `namespace/service:port`; they come before all others.
    pub resolve: BTreeMap<String, Vec<SocketAddr>>,
    /// How long open requests may take to end after the server was told to.
    pub drain: Duration,
    /// Threads that serve connections.
    pub workers: usize,
    /// What clients may take.
    pub limits: Limits,
    /// How long a UDP flow may be silent before it is forgotten.
    pub udp_idle: Duration,
    /// What seals the tokens of sessions; without it, keys of this process.
    pub sessions: Option<SessionKeys>,
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
            share_ports: false,
            stream_idle: Duration::from_secs(3600),
            port_map: BTreeMap::new(),
            resolve: BTreeMap::new(),
            drain: Duration::from_secs(30),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            limits: Limits::default(),
            udp_idle: Duration::from_secs(60),
            sessions: None,
            udp_flows: 4096,
            access_log: AccessLog::default(),
            spans: Spans::default(),
            trust_request_id: false,
        }
    }
}

/// What every connection shares.
#[derive(Clone, Debug)]
struct Shared {
    current: Arc<ArcSwap<Published>>,
    upstreams: backends::upstream::Upstreams,
    mirrors: backends::mirror::Mirrors,
    budgets: Arc<backends::budget::Budgets>,
    stop: watch::Receiver<bool>,
    drain: Duration,
    limits: Limits,
    connections: Arc<ports::limits::Bounded>,
    requests: Arc<ports::limits::Bounded>,
    stream_idle: Duration,
    udp_idle: Duration,
    udp_flows: usize,
    session_keys: SessionKeys,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
    spans: Spans,
    trust_request_id: bool,
}

impl Shared {
    /// The same with connections to backends that no other thread uses.
    fn of_worker(&self) -> Self {
        Self { upstreams: self.upstreams.of_worker(), ..self.clone() }
    }

    /// Keys and time, by which tokens of sessions are opened and sealed.
    fn sessions(&self) -> Sessions<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Sessions { keys: &self.session_keys, now }
    }
}
