//! Clients that take their time, and clients that are many ([R-S4]).

use std::time::Duration;

use bytes::Bytes;
use gatewright_server::proxy::{Limits, Settings};
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::Scenario;
use super::bounds::{Bystander, Memory, PATIENCE, ends, none_is_left_at};
use super::common::recorded::Recorded;
use super::common::{self, Answer, fetch};
use super::upgrades::TWO;
use super::wire;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("LIM-006", slow_heads),
    ("LIM-007", slow_bodies),
    ("LIM-009", ranges_are_the_backends),
    ("LIM-010", connections_that_come_and_go),
    ("LIM-012", requests_of_one_connection),
];

/// Clients of an attack. A vector may have more: a test runs beside others, unoptimised.
const CLIENTS: usize = 300;

const HOST: &str = "a.example";

async fn limited(limits: Limits) -> Recorded {
    Recorded::start_with(TWO, &[], Settings { limits, ..Settings::default() }).await
}

/// Clients that all send this, and then an octet from time to time, until they are told to go; what each has heard.
async fn slowly(gateway: &Recorded, first: &'static str, octet: &'static str, pause: Duration) -> Vec<String> {
    let (memory, bystander) = (Memory::now(), Bystander::of(gateway.address(), HOST));
    let address = gateway.address();
    let client = |_| {
        tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut reading, mut writing) = stream.into_split();
            let drips = tokio::spawn(async move {
                let _ = writing.write_all(first.as_bytes()).await;
                loop {
                    tokio::time::sleep(pause).await;
                    if writing.write_all(octet.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
            let mut said = Vec::new();
            let read = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut said);
            let _ = tokio::time::timeout(PATIENCE, read).await.expect("the connection is still open");
            drips.abort();
            String::from_utf8_lossy(&said).into_owned()
        })
    };
    let mut heard = Vec::new();
    for client in (0..CLIENTS).map(client).collect::<Vec<_>>() {
        heard.push(client.await.unwrap());
    }
    memory.has_not_grown();
    bystander.must_be_served(address, HOST).await;
    heard
}

/// The time is for the whole head, however many octets come.
fn slow_heads() {
    common::run(async {
        let mut gateway = limited(Limits { head: Duration::from_millis(1500), ..Limits::default() }).await;
        let head = "GET /admin HTTP/1.1\r\nHost: a.example\r\n";
        let heard = slowly(&gateway, head, "X-A: b\r\n", Duration::from_millis(100)).await;
        assert!(heard.iter().all(|said| said.is_empty() || said.starts_with("HTTP/1.1 408")), "{heard:?}");
        assert!(gateway.reached().await.iter().all(|echo| echo.pod != "admin"));
        none_is_left_at(gateway.address().port()).await;
    });
}

/// An octet comes after each pause, which is longer than a body may be silent.
fn slow_bodies() {
    common::run(async {
        let mut gateway = limited(Limits { body_idle: Duration::from_millis(500), ..Limits::default() }).await;
        let lengths = "POST /admin HTTP/1.1\r\nHost: a.example\r\nContent-Length: 8192\r\n\r\nx";
        let chunks = "POST /admin HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
        for (first, octet) in [(lengths, "x"), (chunks, "1\r\nx\r\n")] {
            let heard = slowly(&gateway, first, octet, Duration::from_millis(1500)).await;
            assert!(heard.iter().all(|said| said.starts_with("HTTP/1.1 408")), "{heard:?}");
        }
        assert!(gateway.reached().await.iter().all(|echo| echo.pod != "admin"));
        none_is_left_at(gateway.address().port()).await;
    });
}

fn ranges_are_the_backends() {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        let ranges = (0..1300).map(|n| format!("{n}-{}", n + 1)).collect::<Vec<_>>().join(",");
        let range = format!("bytes=0-,{ranges}");
        let answer = fetch(gateway.address(), "GET", HOST, "/admin", &[("range", &range)], b"").await.unwrap();
        assert_eq!(answer.status, 200);
        let reached = gateway.reached().await;
        assert!(reached[0].headers.contains(&("range".into(), range)), "{reached:?}");
    });
}

fn connections_that_come_and_go() {
    common::run(async {
        let gateway = limited(Limits { head: Duration::from_secs(2), ..Limits::default() }).await;
        let (address, memory) = (gateway.address(), Memory::now());
        let bystander = Bystander::of(address, HOST);
        let mut half_closed = Vec::new();
        for n in 0..3000 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if n % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: a.exa").await.unwrap();
            }
            match n % 3 {
                0 => drop(stream),
                1 => stream.set_zero_linger().unwrap(),
                _ => {
                    stream.shutdown().await.unwrap();
                    half_closed.push(stream);
                }
            }
        }
        for stream in half_closed {
            ends(stream).await;
        }
        bystander.must_be_served(address, HOST).await;
        none_is_left_at(address.port()).await;
        memory.has_not_grown();
    });
}

/// With a smaller bound than a server has.
fn requests_of_one_connection() {
    common::run(async {
        const MOST: usize = 50;
        let gateway = limited(Limits { requests_per_connection: MOST, ..Limits::default() }).await;
        let requests = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(2 * MOST);
        let outcome = wire::http1(gateway.address(), requests.as_bytes()).await;
        let wire::Outcome::Octets { text, closed } = &outcome else { panic!("{outcome:?}") };
        assert!(outcome.statuses() == [200; MOST] && *closed, "{} answers", outcome.statuses().len());
        // Only the last one says that it is.
        let lower = text.to_ascii_lowercase();
        let (before, last) = lower.rsplit_once("http/1.1 200").unwrap();
        assert!(last.contains("connection: close") && !before.contains("connection: close"), "{text}");

        // HTTP/2 is told GOAWAY, and loses no request.
        let stream = TcpStream::connect(gateway.address()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let ended = tokio::spawn(connection);
        let mut answered = 0;
        while sender.ready().await.is_ok() && answered < 10 * MOST {
            let request = Request::builder().uri("http://a.example/").body(Empty::new()).unwrap();
            match sender.try_send_request(request).await {
                Ok(response) => answered += usize::from(Answer::read(response).await.unwrap().status == 200),
                // It was not taken: it can be sent on another connection.
                Err(mut error) => {
                    assert!(error.take_message().is_some() || error.error().is_canceled(), "{error:?}");
                    break;
                }
            }
        }
        assert!((MOST..10 * MOST).contains(&answered), "{answered}");
        drop(sender);
        tokio::time::timeout(PATIENCE, ended).await.expect("the connection is still open").unwrap().ok();
    });
}
