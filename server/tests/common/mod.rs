//! A gateway on real sockets, echo backends behind it, and a client.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod auth;
pub mod backends;
pub mod load;
pub mod pki;
pub mod program;
pub mod recorded;
pub mod retry;
pub mod scripted;
pub mod tls;
pub mod tokens;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gatewright::{EndpointAddresses, MissingServices, Options};
use gatewright_server::admin::Admin;
use gatewright_server::echo::{self, Echo, Name};
use gatewright_server::observe::AccessLog;
use gatewright_server::proxy::{self, Bound, Settings};
use gatewright_server::publish::{PortKey, Publisher, Rejected, Transport};
use gatewright_server::source::Snapshot;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use tls::Client;

/// A gateway that serves manifests, with an echo backend for each Service port that is not resolved otherwise.
pub struct Live {
    pub bound: Bound,
    pub seen: mpsc::UnboundedReceiver<Echo>,
    stop: watch::Sender<bool>,
    /// Its end of the channel must outlive the server.
    publisher: Publisher,
    published: u64,
    is_bound: watch::Receiver<Bound>,
    log: AccessLog,
}

impl Live {
    pub async fn start(manifests: &str, resolve: &[(&str, SocketAddr)]) -> Self {
        Self::start_with(manifests, resolve, Settings { drain: Duration::from_secs(5), ..Settings::default() }).await
    }

    pub async fn start_with(manifests: &str, resolve: &[(&str, SocketAddr)], mut settings: Settings) -> Self {
        let loaded = load(manifests);
        let (sender, seen) = mpsc::unbounded_channel();
        for service in &loaded.resources.services {
            let namespace = service.metadata.namespace.clone().unwrap_or_else(|| "default".into());
            let name = Name { namespace: namespace.clone(), service: service.metadata.name.clone() };
            let address = echo::start(name.clone(), Some(sender.clone())).await.unwrap();
            for port in &service.spec.ports {
                settings.resolve.insert(format!("{namespace}/{}:{}", name.service, port.port), vec![address]);
            }
        }
        for (name, _) in resolve {
            settings.resolve.remove(*name);
        }
        for (name, address) in resolve {
            settings.resolve.entry((*name).to_owned()).or_default().push(*address);
        }
        Self::serve(loaded, seen, settings, EndpointAddresses::default()).await
    }

    /// Backends are where their EndpointSlices say, on this machine, too.
    pub async fn with_endpoints(manifests: &str, settings: Settings) -> Self {
        let (_, seen) = mpsc::unbounded_channel();
        Self::serve(gatewright::load::load_text("live", manifests), seen, settings, EndpointAddresses::Any).await
    }

    async fn serve(
        loaded: gatewright::load::Loaded,
        seen: mpsc::UnboundedReceiver<Echo>,
        mut settings: Settings,
        endpoint_addresses: EndpointAddresses,
    ) -> Self {
        for listener in loaded.resources.gateways.iter().flat_map(|g| &g.spec.listeners) {
            settings.port_map.insert(u16::try_from(listener.port).unwrap(), 0);
        }
        let mut options = Options::default();
        options.missing_services = MissingServices::Infer;
        options.endpoint_addresses = endpoint_addresses;
        let mut publisher = Publisher::new(options, None);
        publisher.publish(Snapshot { loaded, errors: Vec::new(), hash: 1 }).unwrap();
        let wanted = publisher.current().load().ports.len();
        let (stop, stopped) = watch::channel(false);
        let (bound, mut is_bound) = watch::channel(Bound::new());
        let (log, open) = (settings.access_log.clone(), is_bound.clone());
        tokio::spawn(proxy::serve(publisher.current(), publisher.changes(), settings, stopped, bound));
        let bound =
            tokio::time::timeout(Duration::from_secs(10), is_bound.wait_for(|bound| bound.len() == wanted)).await.unwrap().unwrap().clone();
        Self { bound, seen, stop, publisher, published: 1, is_bound: open, log }
    }

    /// Publishes other manifests, as if the files had changed.
    pub fn publish(&mut self, manifests: &str) {
        self.try_publish(manifests).unwrap();
    }

    /// The same; they may be rejected.
    pub fn try_publish(&mut self, manifests: &str) -> Result<(), Rejected> {
        self.published += 1;
        self.publish_as(manifests, self.published)
    }

    /// Publishes the same manifests, as if somebody had looked again.
    pub fn publish_again(&mut self, manifests: &str) {
        self.publish_as(manifests, self.published).unwrap();
    }

    fn publish_as(&mut self, manifests: &str, hash: u64) -> Result<(), Rejected> {
        let loaded = load(manifests);
        self.publisher.publish(Snapshot { loaded, errors: Vec::new(), hash }).map(drop)
    }

    /// Opens an admin port.
    pub async fn admin(&self) -> SocketAddr {
        let admin = Admin::new(&self.publisher, self.is_bound.clone(), self.log.clone());
        admin.open(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
    }

    /// The only port.
    pub fn address(&self) -> SocketAddr {
        *self.bound.values().next().unwrap()
    }

    pub fn find_port(&self, namespace: &str, gateway: &str, port: u16, transport: Transport) -> Option<SocketAddr> {
        self.bound.get(&PortKey { namespace: namespace.into(), gateway: gateway.into(), port, transport }).copied()
    }

    /// A port of the Gateway `gw`.
    pub fn port(&self, port: u16) -> SocketAddr {
        self.find_port("default", "gw", port, Transport::Tcp).unwrap()
    }

    /// A UDP port of the Gateway `gw`.
    pub fn udp_port(&self, port: u16) -> SocketAddr {
        self.find_port("default", "gw", port, Transport::Udp).unwrap()
    }
}

/// Loads manifests as the server does.
pub fn load(manifests: &str) -> gatewright::load::Loaded {
    let mut loader = gatewright_server::source::loader();
    loader.add_text("live", manifests);
    loader.finish()
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: Option<HeaderMap>,
    pub body: Bytes,
}

impl Answer {
    pub async fn read(response: http::Response<hyper::body::Incoming>) -> Result<Self, String> {
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.map_err(|error| error.to_string())?;
        let trailers = collected.trailers().cloned();
        Ok(Self { status: parts.status, headers: parts.headers, trailers, body: collected.to_bytes() })
    }

    /// What the backend received, if it answered.
    pub fn echo(&self) -> Option<Echo> {
        serde_json::from_slice(&self.body).ok()
    }

    pub fn pod(&self) -> String {
        self.echo().map(|echo| echo.pod).unwrap_or_default()
    }
}

/// Sends one request on a new connection.
pub async fn fetch(
    address: SocketAddr,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, String> {
    exchange(address, false, method, host, target, headers, body).await
}

/// The same over HTTP/2 by prior knowledge.
pub async fn fetch_h2(
    address: SocketAddr,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, String> {
    exchange(address, true, method, host, target, headers, body).await
}

async fn exchange(
    address: SocketAddr,
    h2: bool,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    send(stream, h2, method, &format!("http://{host}"), target, headers, body).await
}

/// The same over TLS, with HTTP/2 if the client names it by ALPN; says, too, whether a client certificate was asked for.
pub async fn fetch_tls(
    address: SocketAddr,
    client: Client<'_>,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (Result<Answer, std::io::Error>, bool) {
    let connected = match tls::connect(address, client).await {
        Ok(connected) => connected,
        Err((error, requested)) => return (Err(error), requested),
    };
    let requested = connected.certificate_requested();
    let h2 = client.alpn == [b"h2"];
    let answer = send(connected.stream, h2, method, &format!("https://{host}"), target, headers, b"").await;
    (answer.map_err(std::io::Error::other), requested)
}

/// Sends one request on a connection. `origin` is scheme and authority.
pub async fn send<S>(
    stream: S,
    h2: bool,
    method: &str,
    origin: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = TokioIo::new(stream);
    let mut request = Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let request = if h2 { request.uri(format!("{origin}{target}")) } else { request.uri(target).header("host", host) };
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).map_err(|e| text(&e))?;
    let response = if h2 {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.map_err(|e| text(&e))?;
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(|e| text(&e))?;
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    Answer::read(response.map_err(|e| text(&e))?).await
}

/// Runs a test to its end.
pub fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

/// Header fields of an echo.
pub fn fields(echo: &Echo) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &echo.headers {
        headers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

/// Counts answers by backend.
pub fn count(pods: impl Iterator<Item = String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    pods.for_each(|pod| *counts.entry(pod).or_default() += 1);
    counts
}
