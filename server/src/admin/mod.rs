//! The admin port: health, metrics, and questions about the table that serves. It has a socket of its own, on the loopback
//! interface unless told otherwise, and no listener of a Gateway ever leads here ([R-O1]).

mod config;
mod explain;
mod routes;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::observe::{AccessLog, History, expose};
use crate::proxy::Bound;
use crate::publish::{Published, Publisher};

/// Connections at once at most.
const CONNECTIONS: usize = 64;
/// How long a client may take for the head of a request, and the server for a question.
const PATIENCE: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin port can tell.
#[derive(Clone, Debug)]
pub struct Admin {
    current: Arc<ArcSwap<Published>>,
    history: Arc<History>,
    bound: watch::Receiver<Bound>,
    log: AccessLog,
    draining: Arc<AtomicBool>,
}

/// An answer: status, media type, text.
type Page = (StatusCode, &'static str, String);

impl Admin {
    /// Of a server whose open ports are told by `bound`.
    pub fn new(publisher: &Publisher, bound: watch::Receiver<Bound>, log: AccessLog) -> Self {
        Self { current: publisher.current(), history: publisher.history(), bound, log, draining: Arc::default() }
    }

    /// From now on the server is not ready: it takes no new work for long.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Opens a port.
    ///
    /// # Errors
    ///
    /// When it is taken.
    pub async fn open(self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let socket = TcpListener::bind(address).await?;
        let local = socket.local_addr()?;
        tokio::spawn(self.serve(socket));
        Ok(local)
    }

    async fn serve(self, socket: TcpListener) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            let Ok((stream, _)) = socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let this = self.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let this = this.clone();
                    async move { Ok::<_, Infallible>(this.answer(&request).await) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(64 * 1024);
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
                drop(permit);
            });
        }
    }

    async fn answer(self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method != Method::GET && method != Method::HEAD {
            let mut response = response((StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned()));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        // A table may be large: its text is not made where requests are served.
        let page = tokio::task::spawn_blocking(move || self.page(&path, &query));
        response(page.await.unwrap_or_else(|_| (StatusCode::INTERNAL_SERVER_ERROR, TEXT, "failed\n".to_owned())))
    }

    fn page(&self, path: &str, query: &str) -> Page {
        let published = self.current.load_full();
        match path {
            "/healthz" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => match self.unready(&published) {
                None => (StatusCode::OK, TEXT, "ready\n".to_owned()),
                Some(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
            },
            "/metrics" => {
                let metrics = published.series.metrics();
                metrics.sweep(&published.table);
                match expose(metrics, &self.history, &self.log) {
                    Ok(text) => (StatusCode::OK, OPEN_METRICS, text),
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
                }
            }
            "/debug/config" => json(&config::page(self, &published)),
            "/debug/routes" => match routes::page(&published, query) {
                Ok(rows) => json(&rows),
                Err(error) => bad(&error),
            },
            "/debug/explain" => match explain::page(&published, query) {
                Ok(reasons) => json(&reasons),
                Err(error) => bad(&error),
            },
            _ => (
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /healthz, /readyz, /metrics, /debug/config, /debug/routes, /debug/explain\n".to_owned(),
            ),
        }
    }

    /// Why new work should go elsewhere.
    fn unready(&self, published: &Published) -> Option<&'static str> {
        let bound = self.bound.borrow();
        if self.draining.load(Ordering::Relaxed) {
            Some("draining")
        } else if published.ports.is_empty() {
            Some("no table serves")
        } else if !published.ports.keys().all(|port| bound.contains_key(port)) {
            Some("a port is not open")
        } else {
            None
        }
    }
}

fn json(value: &impl Serialize) -> Page {
    match serde_json::to_string(value) {
        Ok(text) => (StatusCode::OK, JSON, text + "\n"),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

fn bad(error: &str) -> Page {
    let text = serde_json::json!({ "error": error }).to_string();
    (StatusCode::BAD_REQUEST, JSON, text + "\n")
}

/// No answer is to be kept, or taken for another type than it says: names in it come from manifests.
fn response((status, media_type, text): Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The pairs of a query.
fn pairs(query: &str) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}
