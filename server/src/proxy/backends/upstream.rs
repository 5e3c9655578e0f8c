//! Connections to backends: HTTP/1.1 through hyper-util's pool, HTTP/2 one connection for each address; over TLS where the
//! backend wants it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, PoisonError};
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

use crate::observe::{Connector, Connects};
use crate::proxy::backends::backend_tls::Speaker;
use crate::proxy::backends::balance::{Busy, InFlight};
use crate::proxy::backends::stream::{self, CONNECT};
use crate::proxy::requests::body::{AnyBody, BoxError};

/// The HTTP/2 connection to one address.
type Http2Slot = Arc<Mutex<Option<http2::SendRequest<AnyBody>>>>;

/// Where a request or stream is sent. As long as it lives, the endpoint counts as busy with it.
#[derive(Debug)]
pub(in crate::proxy) struct Address {
    authority: Authority,
    /// Its place among the endpoints that the table knows of the backend.
    place: Option<usize>,
    _busy: Option<Busy>,
}

impl Address {
    /// As it stands in a URI.
    pub(in crate::proxy) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The endpoint of the backend that this is.
    pub(in crate::proxy) fn endpoint<'b>(&self, backend: &'b Backend) -> Option<&'b Endpoint> {
        match &backend.endpoints {
            Endpoints::Known(list) => list.get(self.place?),
            _ => None,
        }
    }
}

impl Deref for Address {
    type Target = str;

    fn deref(&self) -> &str {
        self.authority.as_str()
    }
}

/// Opens connections.
pub(in crate::proxy) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

/// Keeps connections of HTTP/1.1.
pub(in crate::proxy) fn pool() -> client::Builder {
    let mut pool = Client::builder(TokioExecutor::new());
    pool.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(60));
    // Retries are the rule's to ask for.
    pool.retry_canceled_requests(true).set_host(false);
    pool
}

/// Connections to backends.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Upstreams {
    /// Addresses that come before all others, sorted.
    resolve: Arc<[(Resolved, Vec<SocketAddr>)]>,
    in_flight: InFlight,
    http1: Client<Connector, AnyBody>,
    http2: Arc<Http2Pool>,
    connects: Arc<Connects>,
    authorities: Arc<Authorities>,
}

/// A port of a Service.
#[derive(Debug)]
struct Resolved {
    namespace: String,
    service: String,
    port: u16,
}

impl Resolved {
    fn key(&self) -> (u16, &str, &str) {
        (self.port, &self.service, &self.namespace)
    }
}

/// Addresses of endpoints as they stand in a URI: written and read once.
#[derive(Debug, Default)]
struct Authorities(std::sync::Mutex<HashMap<SocketAddr, Authority>>);

/// Addresses that are remembered at most.
const REMEMBERED: usize = 4096;

impl Authorities {
    fn of(&self, address: SocketAddr) -> Option<Authority> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authority) = known.get(&address) {
            return Some(authority.clone());
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let authority: Authority = address.to_string().parse().ok()?;
        known.insert(address, authority.clone());
        Some(authority)
    }
}

impl Upstreams {
    pub(in crate::proxy) fn new(resolve: BTreeMap<String, Vec<SocketAddr>>, connects: &Arc<Connects>) -> Self {
        let resolve = resolve.into_iter().filter_map(|(name, addresses)| {
            let (namespace, rest) = name.split_once('/')?;
            let (service, port) = rest.split_once(':')?;
            Some((Resolved { namespace: namespace.to_owned(), service: service.to_owned(), port: port.parse().ok()? }, addresses))
        });
        let mut resolve: Vec<_> = resolve.collect();
        resolve.sort_by(|(a, _), (b, _)| a.key().cmp(&b.key()));
        Self {
            resolve: resolve.into(),
            in_flight: InFlight::default(),
            http1: pool().build(Connector::new(connector(), connects)),
            http2: Arc::default(),
            connects: Arc::clone(connects),
            authorities: Arc::default(),
        }
    }

    /// The same counts of what is in flight, and connections of its own.
    pub(in crate::proxy) fn of_worker(&self) -> Self {
        let http1 = pool().build(Connector::new(connector(), &self.connects));
        Self { http1, http2: Arc::default(), authorities: Arc::default(), ..self.clone() }
    }

    /// Where to send a request: as told on the command line, to the endpoint of its session, to one of the ready
    /// endpoints, or to the DNS name. `None` for a name that is none.
    pub(in crate::proxy) fn address(&self, backend: &Backend, session: Option<&Endpoint>, pick: u64) -> Option<Address> {
        let object = &backend.object;
        let this = (backend.port, &*object.name, &*object.namespace);
        let found = self.resolve.binary_search_by(|(of, _)| of.key().cmp(&this)).ok().and_then(|at| self.resolve.get(at));
        let told = found.map_or(&[][..], |(_, told)| told);
        if let Some((_, endpoint, busy)) = self.in_flight.choose(told.len(), |n| told[n], pick) {
            return Some(Address { authority: self.authorities.of(endpoint)?, place: None, _busy: busy });
        }
        let name = match &backend.endpoints {
            Endpoints::Known(list) => {
                let at = |n: usize| SocketAddr::new(list[n].address, list[n].port);
                let pinned = session.and_then(|session| list.iter().position(|endpoint| endpoint == session));
                let chosen = match pinned {
                    Some(n) => Some((n, at(n), Some(self.in_flight.count(at(n))))),
                    None => self.in_flight.choose(list.len(), at, pick),
                };
                if let Some((place, endpoint, busy)) = chosen {
                    return Some(Address { authority: self.authorities.of(endpoint)?, place: Some(place), _busy: busy });
                }
                // A decision for a backend without endpoints is none to forward ([B-8]).
                dns_name(backend)
            }
            Endpoints::External(host) => format!("{host}:{}", backend.port),
            _ => dns_name(backend),
        };
        Some(Address { authority: name.parse().ok()?, place: None, _busy: None })
    }

    /// Sends a request. `request` has its target in origin form and `authority` as its Host; `tls` is how the backend is to
    /// be spoken to, if it wants TLS.
    pub(in crate::proxy) async fn send(
        &self,
        backend: &Backend,
        tls: Option<&Speaker>,
        address: &Address,
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
                uri.authority = Some(host.unwrap_or_else(|| address.authority.clone()));
                *request.uri_mut() = Uri::from_parts(uri)?;
                *request.version_mut() = http::Version::HTTP_2;
                // In a box: requests over HTTP/1 are not to carry the place for opening connections.
                let opened = async {
                    match tls {
                        None => self.http2.sender(&self.connects, address, |tcp| std::future::ready(Ok(tcp))).await,
                        Some(speaker) => speaker.http2.sender(&self.connects, address, |tcp| speaker.http2(tcp)).await,
                    }
                };
                Ok(Box::pin(opened).await?.send_request(request).await?)
            }
            _ => {
                uri.authority = Some(address.authority.clone());
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
pub(in crate::proxy) fn is_no_connection(error: &BoxError) -> bool {
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
pub(in crate::proxy) struct Http2Pool(Mutex<HashMap<String, Http2Slot>>);

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
