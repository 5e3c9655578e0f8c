//! Sockets of the Gateways' ports: opened and closed as the table changes, drained at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright::table::PortProtocol;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::budget::Budgets;
use super::connection::{Incoming, Life};
use super::limits::{Bounded, Limits, MAX_FIELDS, MAX_HEAD};
use super::mirror::Mirrors;
use super::upstream::Upstreams;
use super::{Settings, Shared, sessions, udp};
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
        budgets: Budgets::new(),
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
pub(super) async fn told(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|told| *told).await;
}

/// Accepts connections of one port until it is closed or the server stops; then lets them end.
async fn accept(shared: Arc<Shared>, key: Arc<PortKey>, socket: TcpListener, closed: watch::Receiver<bool>) {
    let http = Arc::new(http(&shared.limits));
    let series = shared.metrics.port(&key);
    // Gone when the time to drain is over: that cuts what is still open.
    let (cut, _) = watch::channel(false);
    // Each connection has a sender: there is nothing to receive when all have ended.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let mut stop = shared.stop.clone();
    let begin = |stream: TcpStream, peer: SocketAddr| {
        let Some(token) = shared.connections.enter() else {
            tracing::debug!(%peer, port = %key, "too many connections");
            refuse(&shared, &key, &stream);
            return;
        };
        let (shared, http, port) = (Arc::clone(&shared), Arc::clone(&http), Arc::clone(&key));
        let life = Life { _token: Arc::new(token), _alive: alive.clone(), cut: cut.subscribe() };
        let mut cut = life.cut.clone();
        let incoming = Incoming { shared, http, port, peer, closed: closed.clone(), life, open: series.open() };
        tokio::spawn(async move {
            tokio::select! {
                () = incoming.serve(stream) => {}
                () = told(&mut cut) => {}
            }
        });
    };
    let mut closing = closed.clone();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => begin(stream, peer),
                Err(error) => {
                    // Out of file descriptors: others will be freed.
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            },
            () = told(&mut closing) => break,
            () = told(&mut stop) => break,
        }
    }
    // Whoever has connected already is served: a socket that is closed would reset them. The system is asked, as the runtime
    // may not have heard of them yet.
    if let Ok(socket) = socket.into_std() {
        while let Ok((stream, peer)) = socket.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            stream.into_iter().for_each(|stream| begin(stream, peer));
        }
    }
    drop(alive);
    if tokio::time::timeout(shared.drain, ended.recv()).await.is_err() {
        tracing::warn!(port = %key, "the time to drain is over: open connections are cut");
    }
}

/// How HTTP is spoken to clients.
fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_headers(MAX_FIELDS).max_buf_size(MAX_HEAD);
    // A client that does not answer a PING within a minute has gone.
    let alive = std::time::Duration::from_secs(30);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(alive).keep_alive_timeout(alive);
    builder.http2().max_concurrent_streams(100).max_header_list_size(MAX_HEAD as u32).initial_stream_window_size(64 * 1024);
    builder.http2().initial_connection_window_size(1024 * 1024).max_send_buf_size(256 * 1024);
    builder
}

/// Tells a client that there are too many, if that takes no time.
fn refuse(shared: &Shared, key: &PortKey, stream: &TcpStream) {
    let published = shared.current.load();
    let port = published.ports.get(key).and_then(|port| published.table.port(*port));
    if port.is_some_and(|port| port.protocol == PortProtocol::Http) {
        let _ = stream.try_write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
}
