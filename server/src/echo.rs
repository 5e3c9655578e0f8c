//! A backend that answers with what it received, as JSON, and sends the messages of a WebSocket back: for trying things out,
//! for the demo and for tests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// What a backend calls itself.
#[derive(Clone, Debug)]
pub struct Name {
    /// Namespace.
    pub namespace: String,
    /// Name of the Service, and of the pod.
    pub service: String,
}

/// A request as a backend received it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Echo {
    /// Namespace of the backend.
    pub namespace: String,
    /// Name of the backend.
    pub pod: String,
    /// Method.
    pub method: String,
    /// Host or `:authority`.
    pub host: String,
    /// Request target.
    pub path: String,
    /// HTTP version.
    pub proto: String,
    /// Header fields, in order.
    pub headers: Vec<(String, String)>,
    /// Number of octets of the body.
    pub body: usize,
    /// Names of the trailer section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<String>,
}

/// Starts a backend on a free port of the loopback interface; tells `seen` of each request, if given.
///
/// `?delay=200ms` (or `2s`) delays the answer (the head; `?drip=200ms` delays the body), `/status/503` answers with that
/// status, and a request's `X-Echo-Set-Header: Name:value,Name2:value` sets response header fields.
///
/// # Errors
///
/// When no port can be opened.
pub async fn start(name: Name, seen: Option<mpsc::UnboundedSender<Echo>>) -> std::io::Result<SocketAddr> {
    start_at((std::net::Ipv4Addr::LOCALHOST, 0).into(), name, seen).await
}

/// Starts a backend at an address; see [`start`].
///
/// # Errors
///
/// When the port cannot be opened.
pub async fn start_at(address: SocketAddr, name: Name, seen: Option<mpsc::UnboundedSender<Echo>>) -> std::io::Result<SocketAddr> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    let name = Arc::new(name);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = socket.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let (name, seen) = (Arc::clone(&name), seen.clone());
            let service = hyper::service::service_fn(move |request| answer(Arc::clone(&name), seen.clone(), request));
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    name: Arc<Name>,
    seen: Option<mpsc::UnboundedSender<Echo>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    if let Some(accept) = accept_key(&request) {
        if let Some(seen) = seen {
            let _ = seen.send(describe(&name, &request, 0, Vec::new()));
        }
        return Ok(switch(request, accept));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().into_iter().flat_map(HeaderMap::keys).map(ToString::to_string).collect();
    let request = Request::from_parts(parts, ());
    let echo = describe(&name, &request, body.to_bytes().len(), trailers);
    let (parts, ()) = request.into_parts();
    let asked = |key: &str| {
        let query = parts.uri.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('='));
        query.into_iter().find(|(name, _)| *name == key).and_then(|(_, value)| match value.strip_suffix("ms") {
            Some(milliseconds) => milliseconds.parse().ok().map(Duration::from_millis),
            None => value.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
        })
    };
    if let Some(delay) = asked("delay") {
        tokio::time::sleep(delay).await;
    }
    let grpc = parts.headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    let json = serde_json::to_vec_pretty(&echo).unwrap_or_default();
    let mut response = Response::new(());
    let status = parts.uri.path().rsplit_once("/status/").and_then(|(_, code)| code.parse().ok());
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    let head = response.headers_mut();
    head.insert("content-type", HeaderValue::from_static(if grpc { "application/grpc" } else { "application/json" }));
    for pair in parts.headers.get_all("x-echo-set-header").iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')) {
        if let Some((name, value)) = pair.split_once(':')
            && let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.trim().as_bytes()), HeaderValue::from_str(value.trim()))
        {
            head.append(name, value);
        }
    }
    if let Some(seen) = seen {
        let _ = seen.send(echo);
    }
    // The head comes at once, the body when it is time.
    let body = Body {
        wait: asked("drip").map(|drip| Box::pin(tokio::time::sleep(drip))),
        data: Some(Bytes::from(json)),
        trailers: grpc.then(|| HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])),
    };
    Ok(response.map(|()| body))
}

/// A request as it is echoed.
fn describe<B>(name: &Name, request: &Request<B>, body: usize, trailers: Vec<String>) -> Echo {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let host = request.uri().authority().map(ToString::to_string).or_else(|| request.headers().get("host").map(text));
    Echo {
        namespace: name.namespace.clone(),
        pod: name.service.clone(),
        method: request.method().to_string(),
        host: host.unwrap_or_default(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        proto: format!("{:?}", request.version()),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
        trailers,
    }
}

/// The answer to the key of a WebSocket handshake (RFC 6455 section 4.2.2).
fn accept_key(request: &Request<Incoming>) -> Option<HeaderValue> {
    request.headers().get("upgrade").filter(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))?;
    let key = request.headers().get("sec-websocket-key")?;
    HeaderValue::try_from(tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())).ok()
}

/// Switches to WebSocket, and sends every message back.
fn switch(mut request: Request<Incoming>, accept: HeaderValue) -> Response<Body> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Body { wait: None, data: None, trailers: None });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let head = response.headers_mut();
    head.insert("connection", HeaderValue::from_static("upgrade"));
    head.insert("upgrade", HeaderValue::from_static("websocket"));
    head.insert("sec-websocket-accept", accept);
    response
}

/// One piece of data after a pause, then trailers.
struct Body {
    wait: Option<Pin<Box<Sleep>>>,
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }
}
