//! TCP: the connections of one port are accepted, handed to the workers, and drained at the end.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use gatewright::table::PortProtocol;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::proxy::Shared;
use crate::proxy::ports::connection::{Incoming, Life};
use crate::proxy::ports::limits::{Limits, MAX_FIELDS, MAX_HEAD};
use crate::proxy::ports::listener::told;
use crate::proxy::ports::worker::Workers;
use crate::publish::PortKey;

/// How far the end of a port has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proxy) enum Phase {
    /// Requests come.
    Open,
    /// Those that are there are answered.
    Ending,
    /// The time to drain is over.
    Cut,
}

/// Waits until a port has come so far.
pub(in crate::proxy) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// Accepts connections of one port until it is closed or the server stops; then lets them end.
pub(in crate::proxy) async fn serve(
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    key: Arc<PortKey>,
    socket: TcpListener,
    mut closed: watch::Receiver<bool>,
) {
    let http = Arc::new(http(&shared.limits));
    let series = shared.metrics.port(&key);
    let (phase, _) = watch::channel(Phase::Open);
    // Each connection has a sender: there is nothing to receive when all have ended.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let begin = |stream: TcpStream, peer: SocketAddr| {
        let Some(token) = shared.connections.enter() else {
            tracing::debug!(%peer, port = %key, "too many connections");
            refuse(&shared, &key, &stream);
            return;
        };
        let (http, port, open) = (Arc::clone(&http), Arc::clone(&key), series.open());
        let life = Life { _token: Arc::new(token), _alive: alive.clone(), phase: phase.subscribe() };
        workers.spawn(|shared| Incoming { shared, http, port, peer, life, open }.serve(stream));
    };
    let mut stop = shared.stop.clone();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => begin(stream, peer),
                Err(error) => {
                    // Out of file descriptors: others will be freed.
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            },
            () = told(&mut closed) => break,
            () = told(&mut stop) => break,
        }
    }
    // Whoever has connected already is served: a socket that is closed would reset them. The system is asked, as the runtime
    // may not have heard of them yet.
    if let Ok(socket) = socket.into_std() {
        while let Ok((stream, peer)) = socket.accept() {
            if stream.set_nonblocking(true).is_ok() {
                begin(stream, peer);
            }
        }
    }
    phase.send_replace(Phase::Ending);
    drop(alive);
    if tokio::time::timeout(shared.drain, ended.recv()).await.is_err() {
        tracing::warn!(port = %key, "the time to drain is over: open connections are cut");
    }
    phase.send_replace(Phase::Cut);
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
fn refuse(shared: &Shared, key: &PortKey, mut stream: &TcpStream) {
    let published = shared.current.load();
    let port = published.ports.get(key).and_then(|port| published.table.port(*port));
    if port.is_some_and(|port| port.protocol == PortProtocol::Http) {
        let _ = stream.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
}
