//! Clients that ask without a pause, and look at every answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Answer;
use super::tls::{Client, connect};

/// How a client asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, as long as a connection lasts.
    Http1,
    /// HTTP/1.1, on a new connection each time.
    Once,
    /// HTTP/2.
    Http2,
}

/// A load that runs until it is stopped.
pub struct Load {
    done: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    clients: Vec<JoinHandle<()>>,
}

pub fn is_ok(answer: &Answer) -> Result<(), String> {
    if answer.status == 200 { Ok(()) } else { Err(answer.status.to_string()) }
}

/// A client that is told that its request was not taken asks again: nothing is lost by that.
enum Asked {
    Answered(Box<Answer>),
    NotTaken,
    Failed(String),
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self, String> {
        let stream = TokioIo::new(TcpStream::connect(address).await.map_err(|error| error.to_string())?);
        if protocol == Protocol::Http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::handshake(stream).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    async fn ask(&mut self) -> Asked {
        let request = Request::get("http://h/").header("host", "h");
        let sent = match self {
            Self::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request.uri("/").body(Full::default()).unwrap()).await,
                Err(_) => return Asked::NotTaken,
            },
            Self::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request.body(Full::default()).unwrap()).await,
                Err(_) => return Asked::NotTaken,
            },
        };
        match sent {
            Ok(response) => Answer::read(response).await.map_or_else(Asked::Failed, |answer| Asked::Answered(Box::new(answer))),
            // Never sent, or behind the last request that GOAWAY names.
            Err(error) if error.is_canceled() || is_refused(&error) => Asked::NotTaken,
            Err(error) => Asked::Failed(format!("{error:?}")),
        }
    }
}

/// GOAWAY without an error says that what was sent behind the last stream was not looked at (RFC 9113 section 6.8).
fn is_refused(error: &hyper::Error) -> bool {
    let text = format!("{error:?}");
    text.contains("GoAway") && text.contains("NO_ERROR") || text.contains("REFUSED_STREAM")
}

impl Load {
    fn new() -> Self {
        Self { done: Arc::default(), answered: Arc::default(), failures: Arc::default(), clients: Vec::new() }
    }

    /// So many clients of each kind; `check` says what is wrong with an answer.
    pub fn start(
        address: SocketAddr,
        clients: &[(Protocol, usize)],
        check: impl Fn(&Answer) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let (mut load, check) = (Self::new(), Arc::new(check));
        for &(protocol, number) in clients {
            for _ in 0..number {
                let (done, answered, failures, check) =
                    (Arc::clone(&load.done), Arc::clone(&load.answered), Arc::clone(&load.failures), Arc::clone(&check));
                load.clients.push(tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        // Nobody there any longer, or not yet: no request was sent.
                        let Ok(mut sender) = Sender::open(address, protocol).await else {
                            sleep(Duration::from_millis(5)).await;
                            continue;
                        };
                        while !done.load(Ordering::Relaxed) {
                            let wrong = match sender.ask().await {
                                Asked::NotTaken => break,
                                Asked::Failed(error) => Err(error),
                                Asked::Answered(answer) => {
                                    answered.fetch_add(1, Ordering::Relaxed);
                                    check(&answer)
                                }
                            };
                            if let Err(wrong) = wrong {
                                failures.lock().unwrap().push(wrong);
                                break;
                            }
                            if protocol == Protocol::Once {
                                break;
                            }
                        }
                    }
                }));
            }
        }
        load
    }

    /// Clients that open a connection of TLS each time and ask once; the certificates that they see, in order.
    pub fn handshakes(address: SocketAddr, host: &'static str, clients: usize) -> (Self, Arc<Mutex<Vec<CertificateDer<'static>>>>) {
        let (mut load, seen) = (Self::new(), Arc::<Mutex<Vec<_>>>::default());
        for _ in 0..clients {
            let (done, answered, failures, seen) =
                (Arc::clone(&load.done), Arc::clone(&load.answered), Arc::clone(&load.failures), Arc::clone(&seen));
            load.clients.push(tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    match handshake(address, host).await {
                        Ok(shown) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            seen.lock().unwrap().push(shown);
                        }
                        Err(error) => failures.lock().unwrap().push(error),
                    }
                }
            }));
        }
        (load, seen)
    }

    /// Answers, and what went wrong.
    pub async fn stop(self) -> (u64, Vec<String>) {
        self.done.store(true, Ordering::Relaxed);
        for client in self.clients {
            timeout(Duration::from_secs(30), client).await.expect("a client hangs").unwrap();
        }
        let mut failures = std::mem::take(&mut *self.failures.lock().unwrap());
        failures.truncate(20);
        (self.answered.load(Ordering::Relaxed), failures)
    }
}

async fn handshake(address: SocketAddr, host: &str) -> Result<CertificateDer<'static>, String> {
    let mut connected = connect(address, Client { sni: host, ..Client::default() }).await.map_err(|(error, _)| error.to_string())?;
    let shown = connected.shown();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connected.stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    connected.stream.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    if answer.starts_with(b"HTTP/1.1 200") { Ok(shown) } else { Err(String::from_utf8_lossy(&answer).into_owned()) }
}
