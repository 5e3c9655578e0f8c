//! Copies of requests: whatever becomes of them, the request itself does not notice ([R-B3]).

use std::time::Duration;

use gatewright_server::proxy::Settings;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::Scenario;
use super::bounds::{Memory, PATIENCE};
use super::common::recorded::Recorded;
use super::common::scripted::{Scripted, Then};
use super::common::{self, Live, fetch};
use super::endless::Endless;
use super::upgrades::TWO;
use super::wire;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("MIR-001", a_black_hole),
    ("MIR-002", answers_are_nobodys),
    ("MIR-004", shares),
    ("MIR-005", copies_that_fall_behind),
    ("MIR-006", no_copy_without_a_grant),
    ("MIR-007", credentials_are_copied),
];

/// Copies on their way at most.
const COPIES: usize = 128;

/// A rule that sends copies to Service `copy`, with what else its filter says.
fn mirrored(more: &str) -> String {
    let filter = format!(
        "    filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: copy, port: 80}}{more}}}}}]\n    backendRefs: [{{name: admin"
    );
    TWO.replace("    backendRefs: [{name: admin", &filter)
}

/// A gateway that sends copies of `/admin` to this address.
async fn copying_to(address: std::net::SocketAddr) -> Recorded {
    Recorded::start_with(&mirrored(""), &[("default/copy:80", address)], Settings::default()).await
}

/// So many requests, each answered by its own backend and not by the one of copies.
async fn ask(gateway: &Recorded, requests: usize) {
    for _ in 0..requests {
        let asked = fetch(gateway.address(), "GET", "a.example", "/admin", &[], b"");
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("the request waits for its copy").unwrap();
        assert!(answer.status == 200 && answer.pod() == "admin" && !answer.headers.contains_key("set-cookie"), "{answer:?}");
    }
}

fn a_black_hole() {
    common::run(async {
        let hole = Scripted::start("", Then::Stays).await;
        let gateway = copying_to(hole.address).await;
        let memory = Memory::now();
        ask(&gateway, 4 * COPIES).await;
        // Those that find no place are dropped, and nobody keeps them for later.
        assert_eq!(hole.connections(), COPIES);
        memory.has_not_grown();
    });
}

fn answers_are_nobodys() {
    common::run(async {
        let heads = ["HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\nSet-Cookie: a=b\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"];
        for head in heads {
            let backend = Endless::start(head, vec![b'x'; 64 * 1024]).await;
            let (gateway, memory) = (copying_to(backend.address).await, Memory::now());
            ask(&gateway, 20).await;
            // Read to a small bound, and hung up on.
            backend.is_left().await;
            assert_eq!(backend.accepted(), 20);
            memory.has_not_grown();
        }
        let interim = Endless::start("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n").await;
        ask(&copying_to(interim.address).await, 20).await;
        interim.is_left().await;
        let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: a=b\r\n\r\n";
        for (answer, then) in [(switched, Then::Stays), ("nonsense", Then::Closes), ("", Then::Resets)] {
            let backend = Scripted::start(answer, then).await;
            ask(&copying_to(backend.address).await, 5).await;
        }
    });
}

/// Fewer than the vector has, and what is as good as certain for them.
fn shares() {
    common::run(async {
        const REQUESTS: usize = 900;
        let cases = [
            (", percent: 0", 0..=0),
            (", percent: 100", REQUESTS..=REQUESTS),
            ("", REQUESTS..=REQUESTS),
            (", fraction: {numerator: 0, denominator: 1}", 0..=0),
            // Seven standard deviations.
            (", fraction: {numerator: 1, denominator: 3}", 200..=400),
        ];
        for (share, expected) in cases {
            let mut gateway = Recorded::start(&mirrored(share)).await;
            let request = "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n";
            let last = request.replace("Host", "Connection: close\r\nHost");
            for _ in 0..REQUESTS / 50 {
                let outcome = wire::http1(gateway.address(), (request.repeat(49) + &last).as_bytes()).await;
                assert_eq!(outcome.statuses(), [200; 50]);
            }
            let mut reached = gateway.reached().await;
            while reached.len() < REQUESTS + expected.start() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let more = gateway.reached().await;
                assert!(!more.is_empty(), "{} requests and copies of {share:?}", reached.len());
                reached.extend(more);
            }
            let copies = reached.iter().filter(|echo| echo.pod == "copy").count();
            assert!(reached.len() - copies == REQUESTS && expected.contains(&copies), "{share}: {copies}");
        }
    });
}

/// Less than the vector has, but a thousand times what a copy may be behind.
fn copies_that_fall_behind() {
    common::run(async {
        const LENGTH: usize = 64 << 20;
        // It is connected to, and never reads.
        let hole = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut gateway = copying_to(hole.local_addr().unwrap()).await;
        let memory = Memory::now();
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        let head = format!("POST /admin HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: {LENGTH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..LENGTH / piece.len() {
            let sent = tokio::time::timeout(PATIENCE, stream.write_all(&piece)).await;
            sent.expect("the request waits for its copy").unwrap();
        }
        let said = super::bounds::ends(stream).await;
        assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
        let reached = gateway.reached().await;
        assert!(reached.len() == 1 && reached[0].pod == "admin" && reached[0].body == LENGTH, "{reached:?}");
        memory.has_not_grown();
        // What has come of the copy is not the whole of it, and nothing more follows.
        let (copy, _) = hole.accept().await.unwrap();
        assert!(super::bounds::ends(copy).await.len() < LENGTH);
    });
}

fn no_copy_without_a_grant() {
    common::run(async {
        let services = ["default", "other"].map(|namespace| {
            ["admin", "public", "copy"].map(|name| {
                format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{ports: [{{port: 80}}]}}\n")
            })
        });
        let manifests =
            mirrored("").replace("{name: copy, port: 80}", "{name: copy, namespace: other, port: 80}") + &services.concat().concat();
        let grant = "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: other}\nspec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: Service}]}\n";
        for (manifests, expected) in [(manifests.clone(), vec!["admin"]), (manifests + grant, vec!["admin", "copy"])] {
            let mut live = Live::start(&manifests, &[]).await;
            let answer = fetch(live.address(), "GET", "a.example", "/admin", &[], b"").await.unwrap();
            assert!(answer.status == 200 && answer.pod() == "admin", "{answer:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut pods: Vec<_> = std::iter::from_fn(|| live.seen.try_recv().ok()).map(|echo| echo.pod).collect();
            pods.sort();
            assert_eq!(pods, expected);
        }
    });
}

/// A copy is one of the request as its backend gets it, credentials included: the specification leaves nothing out. Whoever
/// does not want that takes them out with a filter before.
fn credentials_are_copied() {
    common::run(async {
        let mut gateway = Recorded::start(&mirrored("")).await;
        let credentials = [("authorization", "Bearer x"), ("cookie", "a=b")];
        fetch(gateway.address(), "GET", "a.example", "/admin", &credentials, b"").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let reached = gateway.reached().await;
        assert_eq!(reached.len(), 2, "{reached:?}");
        for echo in reached {
            for (name, value) in credentials {
                assert!(echo.headers.contains(&(name.into(), value.into())), "{echo:?}");
            }
        }
    });
}
