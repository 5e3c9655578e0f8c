//! Sockets of the Gateways' ports: opened and closed as the table changes, drained at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::budget::Budgets;
use super::mirror::Mirrors;
use super::upstream::Upstreams;
use super::{Settings, Shared, service};
use crate::publish::{PortKey, Published};

/// How long a client may take for the header section ([R-D2] asks for a bound).
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

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
    let shared = Arc::new(Shared {
        current: Arc::clone(&current),
        upstreams: Upstreams::new(settings.resolve.clone()),
        mirrors: Mirrors::new(),
        budgets: Budgets::new(),
        stop: stop.clone(),
        drain: settings.drain,
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
            match TcpListener::bind(address).await.and_then(|socket| Ok((socket.local_addr()?, socket))) {
                Ok((local, socket)) => {
                    tracing::info!(port = %key, %local, "listening");
                    bound.send_modify(|bound| {
                        bound.insert(key.clone(), local);
                    });
                    let (close, closed) = watch::channel(false);
                    ports.spawn(accept(Arc::clone(&shared), Arc::new(key.clone()), socket, closed));
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

/// Waits for a flag, or for the end of whoever could raise it.
async fn told(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|told| *told).await;
}

/// Accepts connections of one port until it is closed or the server stops; then lets them end.
async fn accept(shared: Arc<Shared>, key: Arc<PortKey>, socket: TcpListener, mut closed: watch::Receiver<bool>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_headers(100);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(200).max_header_list_size(64 * 1024);
    let graceful = GracefulShutdown::new();
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
        let _ = stream.set_nodelay(true);
        let (shared, key) = (Arc::clone(&shared), Arc::clone(&key));
        let service = hyper::service::service_fn(move |request| {
            let (shared, key) = (Arc::clone(&shared), Arc::clone(&key));
            async move { Ok::<_, std::convert::Infallible>(service::answer(shared, key, peer, request).await) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended");
            }
        });
    }
    drop(socket);
    if tokio::time::timeout(shared.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(port = %key, "the time to drain is over: open requests are cut");
    }
}
