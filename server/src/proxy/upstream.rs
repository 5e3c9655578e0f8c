//! Connections to backends: HTTP/1.1 through hyper-util's pool, HTTP/2 one connection for each address; over TLS where the
//! backend wants it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use gatewright::table::{Backend, BackendProtocol, Endpoint, Endpoints};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self as client, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::backend_tls::Speaker;
use super::balance::{Busy, InFlight};
use super::body::{AnyBody, BoxError};
use super::stream::{self, CONNECT};
use crate::observe::{Connector, Connects};

/// The HTTP/2 connection to one address.
type Http2Slot = Arc<Mutex<Option<http2::SendRequest<AnyBody>>>>;

/// Where a request or stream is sent. As long as it lives, the endpoint counts as busy with it.
#[derive(Debug)]
pub(super) struct Address {
    text: String,
    /// Its place among the endpoints that the table knows of the backend.
    place: Option<usize>,
    _busy: Option<Busy>,
}

impl Address {
    /// The endpoint of the backend that this is.
    pub(super) fn endpoint<'b>(&self, backend: &'b Backend) -> Option<&'b Endpoint> {
        match &backend.endpoints {
            Endpoints::Known(list) => list.get(self.place?),
            _ => None,
        }
    }
}

impl Deref for Address {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Opens connections.
pub(super) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

/// Keeps connections of HTTP/1.1.
pub(super) fn pool() -> client::Builder {
    let mut pool = Client::builder(TokioExecutor::new());
    pool.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(60));
    // Retries are the rule's to ask for.
    pool.retry_canceled_requests(true).set_host(false);
    pool
}

/// Connections to backends.
#[derive(Debug)]
pub(super) struct Upstreams {
    resolve: BTreeMap<String, Vec<SocketAddr>>,
    in_flight: InFlight,
    http1: Client<Connector, AnyBody>,
    http2: Http2Pool,
    connects: Arc<Connects>,
}

impl Upstreams {
    pub(super) fn new(resolve: BTreeMap<String, Vec<SocketAddr>>, connects: &Arc<Connects>) -> Self {
        let http1 = pool().build(Connector::new(connector(), connects));
        Self { resolve, in_flight: InFlight::default(), http1, http2: Http2Pool::default(), connects: Arc::clone(connects) }
    }

    /// Where to send a request: as told on the command line, to the endpoint of its session, to one of the ready
    /// endpoints, or to the DNS name.
    pub(super) fn address(&self, backend: &Backend, session: Option<&Endpoint>, pick: u64) -> Address {
        let object = &backend.object;
        if !self.resolve.is_empty()
            && let Some(told) = self.resolve.get(&format!("{}/{}:{}", object.namespace, object.name, backend.port))
            && let Some((_, endpoint, busy)) = self.in_flight.choose(told.len(), |n| told[n], pick)
        {
            return Address { text: endpoint.to_string(), place: None, _busy: busy };
        }
        let text = match &backend.endpoints {
            Endpoints::Known(list) => {
                let at = |n: usize| SocketAddr::new(list[n].address, list[n].port);
                let pinned = session.and_then(|session| list.iter().position(|endpoint| endpoint == session));
                let chosen = match pinned {
                    Some(n) => Some((n, at(n), Some(self.in_flight.count(at(n))))),
                    None => self.in_flight.choose(list.len(), at, pick),
                };
                if let Some((place, endpoint, busy)) = chosen {
                    return Address { text: endpoint.to_string(), place: Some(place), _busy: busy };
                }
                // A decision for a backend without endpoints is none to forward ([B-8]).
                dns_name(backend)
            }
            Endpoints::External(host) => format!("{host}:{}", backend.port),
            _ => dns_name(backend),
        };
        Address { text, place: None, _busy: None }
    }

    /// Sends a request. `request` has its target in origin form and `authority` as its Host; `tls` is how the backend is to
    /// be spoken to, if it wants TLS.
    pub(super) async fn send(
        &self,
        backend: &Backend,
        tls: Option<&Speaker>,
        address: &str,
        mut request: Request<AnyBody>,
    ) -> Result<Response<Incoming>, BoxError> {
        // What a policy wants encrypted is never sent without TLS ([TP-6]).
        if backend.tls.is_some() && tls.is_none() {
            return Err("the TLS that the backend wants cannot be spoken".into());
        }
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(if tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        match backend.protocol {
            BackendProtocol::H2c => {
                // `:authority` is the Host, whatever address it is sent to.
                let host = request.headers_mut().remove(http::header::HOST);
                let host = host.as_ref().and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
                uri.authority = Some(host.map_or_else(|| address.parse(), Ok)?);
                *request.uri_mut() = Uri::from_parts(uri)?;
                *request.version_mut() = http::Version::HTTP_2;
                let mut sender = match tls {
                    None => self.http2.sender(&self.connects, address, |tcp| std::future::ready(Ok(tcp))).await?,
                    Some(speaker) => speaker.http2.sender(&self.connects, address, |tcp| speaker.http2(tcp)).await?,
                };
                Ok(sender.send_request(request).await?)
            }
            _ => {
                uri.authority = Some(address.parse()?);
                *request.uri_mut() = Uri::from_parts(uri)?;
                *request.version_mut() = http::Version::HTTP_11;
                match tls {
                    None => Ok(self.http1.request(request).await?),
                    Some(speaker) => Ok(speaker.http1.request(request).await?),
                }
            }
        }
    }
}

/// Whether an error of [`Upstreams::send`] means that there was no connection: the backend has seen nothing.
pub(super) fn is_no_connection(error: &BoxError) -> bool {
    error.is::<std::io::Error>() || error.downcast_ref::<client::Error>().is_some_and(client::Error::is_connect)
}

/// The name of a Service, or of an imported one, in the DNS of a cluster.
fn dns_name(backend: &Backend) -> String {
    let object = &backend.object;
    let zone = if &*object.kind == "ServiceImport" { "clusterset" } else { "cluster" };
    format!("{}.{}.svc.{zone}.local:{}", object.name, object.namespace, backend.port)
}

/// HTTP/2 connections by address.
#[derive(Debug, Default)]
pub(super) struct Http2Pool(Mutex<HashMap<String, Http2Slot>>);

impl Http2Pool {
    /// A connection that is there, or a new one, on which `secure` puts TLS if there is to be any.
    async fn sender<S, F>(
        &self,
        connects: &Arc<Connects>,
        address: &str,
        secure: impl FnOnce(TcpStream) -> F,
    ) -> Result<http2::SendRequest<AnyBody>, BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = std::io::Result<S>>,
    {
        let slot = Arc::clone(self.0.lock().await.entry(address.to_owned()).or_default());
        let mut slot = slot.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let (stream, open) = connects.track(async { secure(stream::connect(address).await?).await }).await?;
        let (sender, connection) =
            http2::Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            let _open = open;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a backend ended");
            }
        });
        *slot = Some(sender.clone());
        Ok(sender)
    }
}
