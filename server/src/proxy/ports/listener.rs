//! Sockets of the Gateways' ports: opened and closed as the table changes, drained at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::proxy::Settings;
use crate::proxy::Shared;
use crate::proxy::backends::budget::Budgets;
use crate::proxy::backends::mirror::Mirrors;
use crate::proxy::backends::upstream::Upstreams;
use crate::proxy::ports::limits::Bounded;
use crate::proxy::ports::tcp;
use crate::proxy::ports::udp;
use crate::proxy::ports::worker::Workers;
use crate::proxy::requests::sessions;
use crate::publish::{PortKey, Published, Transport};

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
        budgets: Arc::new(Budgets::new()),
        stop: stop.clone(),
        drain: settings.drain,
        connections: Bounded::new(settings.limits.connections),
        requests: Bounded::new(settings.limits.requests),
        limits: settings.limits.clone(),
        stream_idle: settings.stream_idle,
        udp_idle: settings.udp_idle,
        udp_flows: settings.udp_flows,
        session_keys: settings.sessions.clone().unwrap_or_else(sessions::of_this_process),
        metrics,
        access_log: settings.access_log.clone(),
        spans: settings.spans.clone(),
        trust_request_id: settings.trust_request_id,
    });
    let workers = match Workers::start(&shared, settings.workers) {
        Ok(workers) => Arc::new(workers),
        Err(error) => return tracing::error!(%error, "cannot start threads"),
    };
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
            match open_socket(key.transport, address, settings.share_ports).await {
                Ok((local, socket)) => {
                    bound.send_modify(|bound| {
                        bound.insert(key.clone(), local);
                    });
                    // Whoever reads this finds the server ready.
                    tracing::info!(port = %key, %local, "listening");
                    let (close, closed) = watch::channel(false);
                    let (shared, named) = (Arc::clone(&shared), Arc::new(key.clone()));
                    match socket {
                        Socket::Tcp(socket) => ports.spawn(tcp::serve(shared, Arc::clone(&workers), named, socket, closed)),
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

/// Connections that wait to be accepted at most.
const BACKLOG: u32 = 4096;

/// The socket of a port.
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

async fn open_socket(transport: Transport, address: SocketAddr, share: bool) -> std::io::Result<(SocketAddr, Socket)> {
    Ok(match transport {
        Transport::Tcp => {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A port that has just been closed can be opened again.
            #[cfg(unix)]
            socket.set_reuseaddr(true)?;
            #[cfg(unix)]
            socket.set_reuseport(share)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            (socket.local_addr()?, Socket::Tcp(socket))
        }
        Transport::Udp => {
            let socket = UdpSocket::bind(address).await?;
            (socket.local_addr()?, Socket::Udp(socket))
        }
    })
}

/// Waits for a flag, or for the end of whoever could raise it.
pub(in crate::proxy) async fn told(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|told| *told).await;
}
