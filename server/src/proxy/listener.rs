//! Sockets of the Gateways' ports: opened and closed as the table changes, drained at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::budget::Budgets;
use super::connection::Incoming;
use super::mirror::Mirrors;
use super::upstream::Upstreams;
use super::{Settings, Shared, udp};
use crate::publish::{PortKey, Published, Transport};

/// How long a client may take for the header section ([R-S4]).
pub(super) const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The local address of each open port.
pub type Bound = BTreeMap<PortKey, SocketAddr>;

/// Serves until `stop` says so, then until every open request has ended or the time for it is over.
///
/// Ports follow the table: after each word on `changes` new ones are opened and vanished ones drained. `bound`
/// tells which are open.
pub async fn serve(
    current: Arc<ArcSwap<Published>>,
    mut changes: watch::Receiver<()>,
    settings: Settings,
    mut stop: watch::Receiver<bool>,
    bound: watch::Sender<Bound>,
) {
    let metrics = Arc::clone(current.load().series.metrics());
    let shared = Arc::new(Shared {
        current: Arc::clone(&current),
        upstreams: Upstreams::new(settings.resolve.clone(), metrics.connects()),
        mirrors: Mirrors::new(),
        budgets: Budgets::new(),
        stop: stop.clone(),
        drain: settings.drain,
        udp_idle: settings.udp_idle,
        udp_flows: settings.udp_flows,
        metrics,
        access_log: settings.access_log.clone(),
        spans: settings.spans.clone(),
        trust_request_id: settings.trust_request_id,
    });
    let mut open: BTreeMap<PortKey, watch::Sender<bool>> = BTreeMap::new();
    let mut ports = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let wanted = current.load_full();
        open.retain(|key, close| {
            let keep = wanted.ports.contains_key(key);
            if !keep {
                tracing::info!(port = %key, "closed");
                close.send_replace(true);
                bound.send_modify(|bound| {
                    bound.remove(key);
                });
            }
            keep
        });
        for key in wanted.ports.keys() {
            if open.contains_key(key) {
                continue;
            }
            let address = SocketAddr::new(settings.bind, settings.port_map.get(&key.port).copied().unwrap_or(key.port));
            match open_socket(key.transport, address).await {
                Ok((local, socket)) => {
                    bound.send_modify(|bound| {
                        bound.insert(key.clone(), local);
                    });
                    // Whoever reads this finds the server ready.
                    tracing::info!(port = %key, %local, "listening");
                    let (close, closed) = watch::channel(false);
                    let (shared, named) = (Arc::clone(&shared), Arc::new(key.clone()));
                    match socket {
                        Socket::Tcp(socket) => ports.spawn(accept(shared, named, socket, closed)),
                        Socket::Udp(socket) => ports.spawn(udp::serve(shared, named, socket, closed)),
                    };
                    open.insert(key.clone(), close);
                }
                Err(error) => tracing::error!(port = %key, %address, %error, "cannot listen"),
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = told(&mut stop) => break,
        }
    }
    while ports.join_next().await.is_some() {}
}

/// The socket of a port.
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

async fn open_socket(transport: Transport, address: SocketAddr) -> std::io::Result<(SocketAddr, Socket)> {
    Ok(match transport {
        Transport::Tcp => {
            let socket = TcpListener::bind(address).await?;
            (socket.local_addr()?, Socket::Tcp(socket))
        }
        Transport::Udp => {
            let socket = UdpSocket::bind(address).await?;
            (socket.local_addr()?, Socket::Udp(socket))
        }
    })
}

/// Waits for a flag, or for the end of whoever could raise it.
pub(super) async fn told(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|told| *told).await;
}

/// Accepts connections of one port until it is closed or the server stops; then lets them end.
async fn accept(shared: Arc<Shared>, key: Arc<PortKey>, socket: TcpListener, mut closed: watch::Receiver<bool>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_headers(100);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(200).max_header_list_size(64 * 1024);
    let http = Arc::new(builder);
    let graceful = GracefulShutdown::new();
    let series = shared.metrics.port(&key);
    // Gone when the time to drain is over: that cuts what is still open.
    let (cut, _) = watch::channel(false);
    let mut stop = shared.stop.clone();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors: others will be freed.
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                }
            },
            () = told(&mut closed) => break,
            () = told(&mut stop) => break,
        };
        let (shared, http, port) = (Arc::clone(&shared), Arc::clone(&http), Arc::clone(&key));
        let incoming = Incoming { shared, http, port, peer, watcher: graceful.watcher(), open: series.open() };
        let mut cut = cut.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = incoming.serve(stream) => {}
                () = told(&mut cut) => {}
            }
        });
    }
    drop(socket);
    if tokio::time::timeout(shared.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(port = %key, "the time to drain is over: open connections are cut");
    }
}
