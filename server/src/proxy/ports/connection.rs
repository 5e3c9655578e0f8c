//! One connection: ask the table, carry out the decision.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gatewright::connection::{ConnectionTls, ForwardConnection};
use gatewright::decision::Parent;
use gatewright::table::{ListenerId, PortProtocol};
use gatewright::{Arrival, ConnectionDecision, Pick, Place};
use http::{HeaderValue, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use crate::certificates::{ListenerName, Validation};
use crate::observe::{Open, caught, count};
use crate::proxy::Shared;
use crate::proxy::backends::backend_tls::Speaker;
use crate::proxy::backends::stream;
use crate::proxy::backends::upstream::Address;
use crate::proxy::ports::connection_record::{ConnectionRecord, word};
use crate::proxy::ports::limits::{Limits, Token};
use crate::proxy::ports::stall::Stalls;
use crate::proxy::ports::strict::{Gate, Strict};
use crate::proxy::ports::tcp::{Phase, reached};
use crate::proxy::ports::tls::Hello;
use crate::proxy::requests::body::BoxError;
use crate::proxy::requests::hop;
use crate::proxy::requests::service;
use crate::publish::{PortKey, Published};

/// How long an idle connection of HTTP/1 is kept for a request that may be on its way, when it should end.
const LINGER: Duration = Duration::from_secs(2);

/// What is known of a connection for all of its requests.
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    /// Where it arrived.
    pub(in crate::proxy) port: Arc<PortKey>,
    /// The client.
    pub(in crate::proxy) peer: SocketAddr,
    /// The same as a field value.
    pub(in crate::proxy) peer_value: HeaderValue,
    /// What the handshake led to; `None` without TLS.
    pub(in crate::proxy) tls: Option<Handshake>,
    /// Held by its reader while an upgrade waits for an answer.
    pub(in crate::proxy) gate: Arc<Gate>,
    /// Its place among all connections, and what says that it is still there or must end now.
    life: Life,
    /// Whether it speaks HTTP/2.
    is_http2: AtomicBool,
    /// Whether no more requests should come.
    is_ending: AtomicBool,
    /// Requests that have come.
    requests: AtomicUsize,
    /// Requests that are not done with.
    underway: AtomicUsize,
    /// Told when the last request has come that it may have.
    worn: Notify,
    /// Answers that wait for the client.
    pub(in crate::proxy) stalls: Arc<Stalls>,
}

/// What a TLS handshake led to.
#[derive(Debug)]
pub(in crate::proxy) struct Handshake {
    server_name: Option<String>,
    listener: ListenerName,
    validation: Option<Arc<Validation>>,
}

impl Connection {
    /// A request begins; true for one that should be the last of this connection.
    pub(in crate::proxy) fn begin(self: &Arc<Self>, is_http2: bool, most: usize) -> (Underway, bool) {
        self.underway.fetch_add(1, Ordering::Relaxed);
        self.is_http2.store(is_http2, Ordering::Relaxed);
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if number >= most {
            self.worn.notify_one();
        }
        (Underway(Arc::clone(self)), number >= most || self.is_ending.load(Ordering::Relaxed))
    }

    /// Waits until the connection must end, whatever it carries.
    pub(in crate::proxy) async fn is_cut(&self) {
        reached(&mut self.life.phase.clone(), Phase::Cut).await;
    }

    /// Waits until no more requests should come ([R-S4]): the client has had none for long, or the connection is old or worn.
    /// False if there is nothing to wait for either: there never was a request, or the client does not take its answers.
    async fn is_done(&self, limits: &Limits) -> bool {
        let begun = Instant::now();
        // hyper's own timeout begins when it knows the version of HTTP, which a client need never tell.
        let (mut wait, mut before) = (limits.head, 0);
        loop {
            let is_worn = tokio::time::timeout(wait, self.worn.notified()).await.is_ok();
            let requests = self.requests.load(Ordering::Relaxed);
            let is_idle = requests == before && self.underway.load(Ordering::Relaxed) == 0;
            if is_idle || is_worn || begun.elapsed() >= limits.connection_age {
                return requests > 0;
            }
            if self.stalls.next() {
                return false;
            }
            (wait, before) = (limits.idle, requests);
        }
    }

    /// Waits until what is left of a connection that is ending is only in the way of its end: nothing has been open for some
    /// time, or the client does not take its answers.
    async fn is_left(&self, limits: &Limits) {
        let mut is_left = false;
        loop {
            tokio::time::sleep(limits.idle).await;
            let before = std::mem::replace(&mut is_left, self.underway.load(Ordering::Relaxed) == 0);
            if (before && is_left) || self.stalls.next() {
                return;
            }
        }
    }

    /// Counts what hyper has answered for itself: it was no request, so that nothing else knows of it.
    fn ended(&self, ended: Result<(), BoxError>, shared: &Shared) -> io::Result<()> {
        let Err(error) = ended else { return Ok(()) };
        let reason = match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_parse() => Some("Malformed"),
            Some(error) if error.is_timeout() => Some("HeadTimeout"),
            _ => None,
        };
        if let Some(reason) = reason {
            let gateway = format!("{}/{}", self.port.namespace, self.port.gateway);
            count(&shared.metrics.answers(&gateway, reason));
        }
        Err(io::Error::other(error))
    }

    /// Where its requests arrive in a table; the error is the answer to those that arrive nowhere any longer. A client
    /// that is told 421 asks again on another connection, and so meets the listeners there are now: that is right also
    /// when other client certificates are asked for than in this handshake ([L-38]).
    pub(in crate::proxy) fn arrival(&self, published: &Published) -> Result<Arrival<'_>, StatusCode> {
        let place = Place::Port(*published.ports.get(&*self.port).ok_or(StatusCode::NOT_FOUND)?);
        let Some(tls) = &self.tls else { return Ok(Arrival { place, sni: None, listener: None }) };
        let listener = published.certificates.get(&tls.listener).filter(|listener| listener.validation == tls.validation);
        let listener = listener.ok_or(StatusCode::MISDIRECTED_REQUEST)?;
        Ok(Arrival { place, sni: tls.server_name.as_deref(), listener: Some(listener.id) })
    }
}

/// A request of a connection, until its response has been sent or given up.
#[derive(Debug)]
pub(in crate::proxy) struct Underway(Arc<Connection>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.underway.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that has just been accepted.
pub(in crate::proxy) struct Incoming {
    pub(in crate::proxy) shared: Arc<Shared>,
    pub(in crate::proxy) http: Arc<auto::Builder<TokioExecutor>>,
    pub(in crate::proxy) port: Arc<PortKey>,
    pub(in crate::proxy) peer: SocketAddr,
    pub(in crate::proxy) life: Life,
    /// Counts it as long as it lives.
    pub(in crate::proxy) open: Open,
}

/// What a connection has for as long as it lives, tunnels included.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Life {
    /// Its place among all connections.
    pub(in crate::proxy) _token: Arc<Token>,
    /// The port waits until nobody has one.
    pub(in crate::proxy) _alive: mpsc::Sender<()>,
    /// How far the end of the port has come.
    pub(in crate::proxy) phase: watch::Receiver<Phase>,
}

impl Incoming {
    /// Serves it to its end.
    pub(in crate::proxy) async fn serve(self, stream: std::net::TcpStream) {
        let (peer, port) = (self.peer, Arc::clone(&self.port));
        let served = match TcpStream::from_std(stream) {
            Ok(stream) => self.carry_out(stream).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::debug!(%error, %peer, %port, "a connection ended");
        }
    }

    async fn carry_out(self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (deadline, idle) = (Instant::now() + self.shared.limits.head, self.shared.stream_idle);
        let hello = match self.protocol() {
            Some(PortProtocol::Tls) => Some(timeout_at(deadline, Hello::read(&mut stream)).await??),
            _ => None,
        };
        let server_name = hello.as_ref().and_then(Hello::server_name);
        // The newest table: the ClientHello may have taken its time.
        let published = self.shared.current.load_full();
        let Some(port) = published.ports.get(&*self.port) else { return Ok(()) };
        let pick = Pick(service::random());
        let arrival = Arrival { place: Place::Port(*port), sni: server_name.as_deref(), listener: None };
        let decision = published.table.decide_connection(&arrival, pick);
        self.open.decided(word(&decision));
        let record = (!matches!(decision, ConnectionDecision::Http { .. })).then(|| {
            let protocol = if hello.is_some() { "TLS" } else { "TCP" };
            let of = (protocol, self.peer, server_name.as_deref());
            let in_flight = match &decision {
                ConnectionDecision::Forward(forward) => Some(published.series.backend(&published.table, forward.backend).start()),
                _ => None,
            };
            ConnectionRecord::new(&self.shared, &self.port, of, (&published.table, &decision), in_flight)
        });
        // A table must not live as long as the connections that it has decided: it is dropped before each goes on.
        match (decision, hello) {
            (ConnectionDecision::Http { listener: None }, None) => {
                drop(published);
                self.requests(stream, None).await
            }
            (ConnectionDecision::Http { listener: Some(id) }, Some(hello)) => {
                let (stream, handshake) = self.decrypted(deadline, decrypt(&published, id, hello, stream)).await?;
                drop(published);
                self.requests(stream, Some(handshake)).await
            }
            (ConnectionDecision::Forward(forward), hello) => {
                let Some((address, tls)) = self.address(&published, &forward, pick) else { return Ok(()) };
                let (mut record, mut phase) = (record, self.life.phase.clone());
                record.iter_mut().for_each(|record| record.goes_to(&address));
                let joined = async {
                    match (forward.tls, hello, forward.matched.parent) {
                        (ConnectionTls::None, None, _) => {
                            drop(published);
                            stream::join(stream, &[], &address, tls.as_deref(), idle).await
                        }
                        (ConnectionTls::Passthrough, Some(hello), _) => {
                            drop(published);
                            stream::join(stream, &hello.into_octets(), &address, None, idle).await
                        }
                        (ConnectionTls::Terminate, Some(hello), Parent::Listener(id)) => {
                            let (stream, _) = self.decrypted(deadline, decrypt(&published, id, hello, stream)).await?;
                            drop(published);
                            stream::join(stream, &[], &address, tls.as_deref(), idle).await
                        }
                        _ => Ok(()),
                    }
                };
                tokio::select! {
                    joined = joined => joined,
                    () = reached(&mut phase, Phase::Cut) => Ok(()),
                }
            }
            // Rejected, or the port has come to speak something else while the client was about to: without a word.
            _ => Ok(()),
        }
    }

    /// Waits for a handshake; one that fails is counted.
    async fn decrypted<T>(&self, deadline: Instant, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let done = timeout_at(deadline, handshake).await.map_err(io::Error::from).flatten();
        if done.is_err() {
            self.open.decided("HandshakeFailed");
        }
        done
    }

    fn protocol(&self) -> Option<PortProtocol> {
        let published = self.shared.current.load();
        published.table.port(*published.ports.get(&*self.port)?).map(|port| port.protocol)
    }

    /// Where a connection is forwarded to, and how TLS is spoken there. A backend that asks for TLS gets nothing of what is
    /// decrypted without it ([TP-6]).
    fn address(&self, published: &Published, forward: &ForwardConnection, pick: Pick) -> Option<(Address, Option<Arc<Speaker>>)> {
        let backend = published.table.backend(forward.backend)?;
        let tls = match forward.tls {
            ConnectionTls::Passthrough => None,
            _ => published.backends_tls.get(&published.table, backend.id, forward.matched.parent),
        };
        if backend.tls.is_some() && forward.tls != ConnectionTls::Passthrough && tls.is_none() {
            tracing::warn!(backend = %backend.object, "the TLS that the backend wants cannot be spoken");
            return None;
        }
        Some((self.shared.upstreams.address(backend, None, pick.derive(0).0)?, tls))
    }

    /// Serves HTTP.
    async fn requests<S>(self, stream: S, tls: Option<Handshake>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gate = Arc::<Gate>::default();
        let stream = TokioIo::new(Strict::new(stream, Arc::clone(&gate)));
        let (port, peer, life, _open) = (self.port, self.peer, self.life, self.open);
        let (is_http2, is_ending, requests, underway, worn, stalls) = Default::default();
        let peer_value = hop::address(peer.ip());
        let connection = Connection { port, peer, peer_value, tls, gate, life, is_http2, is_ending, requests, underway, worn, stalls };
        let connection = Arc::new(connection);
        let (shared, of_requests) = (Arc::clone(&self.shared), Arc::clone(&connection));
        let service = hyper::service::service_fn(move |request| {
            let (shared, connection) = (Arc::clone(&shared), Arc::clone(&of_requests));
            async move {
                let answer = caught(pin!(service::answer(&shared, &connection, request))).await;
                Ok::<_, std::convert::Infallible>(answer.unwrap_or_else(|| {
                    shared.metrics.panicked();
                    service::plain(StatusCode::INTERNAL_SERVER_ERROR)
                }))
            }
        });
        let mut requests = pin!(self.http.serve_connection_with_upgrades(stream, service).into_owned());
        let (limits, mut phase) = (&self.shared.limits, connection.life.phase.clone());
        let has_begun = tokio::select! {
            biased;
            ended = &mut requests => return connection.ended(ended, &self.shared),
            begun = connection.is_done(limits) => begun,
            () = reached(&mut phase, Phase::Ending) => true,
        };
        if !has_begun {
            return Err(io::ErrorKind::TimedOut.into());
        }
        connection.is_ending.store(true, Ordering::Relaxed);
        // HTTP/2 says which was the last request. A client of HTTP/1 may have sent one by now: it is answered, with the word
        // that it was the last.
        if !connection.is_http2.load(Ordering::Relaxed) {
            tokio::select! {
                ended = &mut requests => return connection.ended(ended, &self.shared),
                () = tokio::time::sleep(LINGER.min(self.shared.drain / 2)) => {}
            }
        }
        requests.as_mut().graceful_shutdown();
        tokio::select! {
            ended = &mut requests => connection.ended(ended, &self.shared),
            () = connection.is_left(limits) => Err(io::ErrorKind::TimedOut.into()),
            () = reached(&mut phase, Phase::Cut) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Ends the TLS of a connection as a listener ([L-23]).
async fn decrypt(published: &Published, id: ListenerId, hello: Hello, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Handshake)> {
    let listener = published.table.listener(id).map(ListenerName::of).ok_or(io::ErrorKind::NotFound)?;
    let decrypting = published.certificates.get(&listener).ok_or(io::ErrorKind::NotFound)?;
    let config = decrypting.config.clone().ok_or_else(|| io::Error::other("the listener has no certificate"))?;
    let handshake = Handshake { server_name: hello.server_name(), listener, validation: decrypting.validation.clone() };
    Ok((hello.finish(stream, config).await?, handshake))
}
