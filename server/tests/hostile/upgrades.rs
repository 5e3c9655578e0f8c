//! Upgrades: a tunnel begins with the 101 that was asked for, and not before ([R-S6]).

use std::time::Duration;

use gatewright_server::proxy::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Scenario;
use super::common::recorded::Recorded;
use super::common::scripted::{Scripted, Then};
use super::common::{self, fetch};
use super::wire;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("WS-001", a_200_is_no_tunnel),
    ("WS-002", nothing_before_the_101),
    ("WS-004", no_body),
    ("WS-005", no_h2c),
    ("WS-006", no_other_protocol),
    ("WS-007", no_handshake_of_another_shape),
    ("WS-009", no_101_that_was_not_asked_for),
    ("WS-010", tunnels_are_drained),
    ("WS-011", routed_like_any_request),
];

/// A Gateway with one rule for a path, and one for the rest.
pub(super) const TWO: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {value: /admin}}]
    backendRefs: [{name: admin, port: 80}]
  - backendRefs: [{name: public, port: 80}]
";

const HANDSHAKE: &str = "GET /public HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A gateway before a backend that answers as it is told.
async fn before(answer: &str, then: Then) -> (Recorded, Scripted) {
    let backend = Scripted::start(answer, then).await;
    (Recorded::start_with(TWO, &[("default/public:80", backend.address)], Settings::default()).await, backend)
}

fn a_200_is_no_tunnel() {
    common::run(async {
        let (mut gateway, _) = before("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Stays).await;
        let requests = format!("{HANDSHAKE}GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let outcome = wire::http1(gateway.address(), requests.as_bytes()).await;
        assert_eq!(outcome.statuses(), [200, 200], "{outcome:?}");
        assert_eq!(gateway.reached().await[0].pod, "admin", "the second request is one for itself");
    });
}

fn nothing_before_the_101() {
    common::run(async {
        let (mut gateway, backend) = before("", Then::Stays).await;
        // The backend keeps silent for now.
        let requests = format!("{HANDSHAKE}GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let outcome = wire::http1(gateway.address(), requests.as_bytes()).await;
        assert!(outcome.statuses().is_empty(), "{outcome:?}");
        assert!(gateway.reached().await.is_empty());
        let got = backend.got().concat();
        assert!(got.starts_with("GET /public") && !got.contains("/admin"), "{got}");

        // What was sent too early belongs to the tunnel once there is one.
        let (gateway, backend) = before(SWITCHED, Then::Stays).await;
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(format!("{HANDSHAKE}early").as_bytes()).await.unwrap();
        let mut head = [0; 512];
        let length = stream.read(&mut head).await.unwrap();
        assert!(head[..length].starts_with(b"HTTP/1.1 101"));
        stream.write_all(b" and later\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(backend.got().concat().ends_with("early and later\n"), "{:?}", backend.got());
    });
}

fn no_body() {
    common::run(async {
        let (mut gateway, backend) = before(SWITCHED, Then::Stays).await;
        let with_body = HANDSHAKE.replace("Upgrade: websocket", "Upgrade: websocket\r\nContent-Length: 30");
        let outcome = wire::http1(gateway.address(), (with_body + &"x".repeat(30)).as_bytes()).await;
        assert_eq!(outcome.statuses(), [400], "{outcome:?}");
        assert!(gateway.reached().await.is_empty() && backend.connections() == 0);
    });
}

fn no_h2c() {
    passes_without(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        &["upgrade", "http2-settings", "connection"],
    );
}

fn no_other_protocol() {
    passes_without("Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0, foo\r\n", &["upgrade", "connection"]);
}

/// A request with these lines reaches its backend as an ordinary one.
fn passes_without(lines: &str, absent: &[&str]) {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        let request = format!("GET /public HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n");
        let outcome = wire::http1(gateway.address(), request.as_bytes()).await;
        assert_eq!(outcome.statuses(), [200], "{outcome:?}");
        let reached = gateway.reached().await;
        let found: Vec<_> = reached[0].headers.iter().filter(|(name, _)| absent.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{found:?}");
    });
}

fn no_handshake_of_another_shape() {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        let post = HANDSHAKE.replacen("GET", "POST", 1);
        for request in [HANDSHAKE.replace("HTTP/1.1", "HTTP/1.0"), post, HANDSHAKE.replace("Connection: Upgrade\r\n", "")] {
            let outcome = wire::http1(gateway.address(), request.as_bytes()).await;
            assert_eq!(outcome.statuses(), [200], "{outcome:?}");
            let reached = gateway.reached().await;
            assert!(reached[0].headers.iter().all(|(name, _)| name != "upgrade"), "{reached:?}");
        }
    });
}

fn no_101_that_was_not_asked_for() {
    common::run(async {
        // This gateway makes no handshakes of its own: what it can check is that somebody asked.
        let (gateway, _) = before(SWITCHED, Then::Stays).await;
        let answer = fetch(gateway.address(), "GET", "a.example", "/public", &[], b"").await.unwrap();
        assert_eq!(answer.status, 502);
    });
}

fn tunnels_are_drained() {
    common::run(async {
        let backend = Scripted::start(SWITCHED, Then::Stays).await;
        let settings = Settings { drain: Duration::from_millis(600), ..Settings::default() };
        let gateway = Recorded::start_with(TWO, &[("default/public:80", backend.address)], settings).await;
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let (_, closed) = wire::read(&mut stream).await;
        assert!(!closed);
        // The server is told to stop, waits for the tunnel, and cuts it.
        drop(gateway);
        stream.write_all(b"still there").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(backend.got().concat().ends_with("still there"));
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("cut when the time is over").ok();
    });
}

fn routed_like_any_request() {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        let handshake = HANDSHAKE.replace("/public", "/x/../%61dmin").replace("Version: 13", "Version: 1777");
        let outcome = wire::http1(gateway.address(), handshake.as_bytes()).await;
        assert_eq!(outcome.statuses(), [101], "{outcome:?}");
        let reached = gateway.reached().await;
        assert_eq!((&*reached[0].pod, &*reached[0].path), ("admin", "/admin"));
    });
}
