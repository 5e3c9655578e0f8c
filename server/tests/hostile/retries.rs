//! Retries: only where a rule asks for them, within its timeout, within a budget, and with what can be sent again ([R-B2]).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gatewright_server::proxy::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::Scenario;
use super::bounds::{Memory, PATIENCE};
use super::common::recorded::Recorded;
use super::common::scripted::{Scripted, Then};
use super::common::{self, Answer, fetch};
use super::upgrades::TWO;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("REF-024", filters_that_nobody_knows),
    ("RTY-001", a_budget_for_all),
    ("RTY-002", nothing_is_sent_twice_unasked),
    ("RTY-004", large_bodies_are_sent_once),
    ("RTY-005", one_timeout_for_all_attempts),
    ("RTY-006", no_backend_says_when),
    ("RTY-007", gateways_in_a_row),
];

/// Rules of `/admin` with these fields.
fn with(fields: &str) -> String {
    TWO.replace("    backendRefs: [{name: admin", &format!("    {fields}\n    backendRefs: [{{name: admin"))
}

/// A gateway that sends `/admin` to this address.
async fn before(address: SocketAddr, manifests: &str) -> Recorded {
    // One thread, so that requests meet on one connection to the backend.
    Recorded::start_with(manifests, &[("default/admin:80", address)], Settings { workers: 1, ..Settings::default() }).await
}

async fn ask(gateway: SocketAddr, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let asked = fetch(gateway, method, "a.example", "/admin", headers, body);
    tokio::time::timeout(PATIENCE, asked).await.expect("no answer").unwrap()
}

/// Requests that a backend has got.
fn requests(backend: &Scripted) -> usize {
    backend.got().iter().map(|octets| octets.matches(" /admin").count()).sum()
}

/// Retries that a budget without a policy allows after so many requests since then: a fifth of them, and a hundred in each ten
/// seconds (counted in tenths of them).
fn allowed(requests: usize, begun: Instant) -> usize {
    requests / 5 + 100 * (1 + usize::try_from(begun.elapsed().as_secs() + 1).unwrap() / 10)
}

fn filters_that_nobody_knows() {
    common::run(async {
        let filters = [
            "{type: RateLimit}",
            "{type: 'example.org/Auth'}",
            "{type: ExtensionRef, extensionRef: {group: example.org, kind: Auth, name: none}}",
            "{type: ExtensionRef}",
        ];
        for filter in filters {
            let mut gateway = Recorded::start(&with(&format!("filters: [{filter}]"))).await;
            assert_eq!(ask(gateway.address(), "GET", &[], b"").await.status, 500, "{filter}");
            assert!(gateway.reached().await.is_empty(), "{filter} was skipped");
            // Others are served as before.
            assert_eq!(fetch(gateway.address(), "GET", "a.example", "/", &[], b"").await.unwrap().status, 200);
        }
    });
}

/// Fewer than the vector has, but as many retries for each as the rule would like.
fn a_budget_for_all() {
    common::run(async {
        const REQUESTS: usize = 400;
        let backend = Scripted::start("", Then::Resets).await;
        let gateway = before(backend.address, &with("retry: {attempts: 3, backoff: 1ms}")).await;
        let (address, begun) = (gateway.address(), Instant::now());
        let client = |_| {
            tokio::spawn(async move {
                for _ in 0..REQUESTS / 8 {
                    assert_eq!(ask(address, "GET", &[], b"").await.status, 503);
                }
            })
        };
        for client in (0..8).map(client).collect::<Vec<_>>() {
            client.await.unwrap();
        }
        let sent = backend.connections();
        assert!(sent > REQUESTS, "there are retries");
        assert!(sent <= REQUESTS + allowed(REQUESTS, begun), "{sent} in {:?}", begun.elapsed());
    });
}

/// A backend that answers the first requests of each connection and resets it after another.
async fn resetting_after(answers: usize) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (got, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let got = got.clone();
            tokio::spawn(async move {
                for n in 0..=answers {
                    let mut request = vec![0; 4096];
                    let Ok(length @ 1..) = stream.read(&mut request).await else { return };
                    let _ = got.send(String::from_utf8_lossy(&request[..length]).into_owned());
                    if n == answers {
                        return drop(stream.set_zero_linger());
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            });
        }
    });
    (address, requests)
}

fn nothing_is_sent_twice_unasked() {
    common::run(async {
        for answers in [0, 1] {
            let (backend, mut requests) = resetting_after(answers).await;
            let gateway = before(backend, TWO).await;
            let mut statuses = Vec::new();
            for _ in 0..=answers {
                statuses.push(ask(gateway.address(), "POST", &[], b"order").await.status.as_u16());
            }
            assert_eq!(statuses, [vec![200; answers], vec![502]].concat());
            let got: Vec<_> = std::iter::from_fn(|| requests.try_recv().ok()).filter(|octets| octets.starts_with("POST")).collect();
            assert_eq!(got.len(), answers + 1, "{got:?}");
        }
    });
}

fn large_bodies_are_sent_once() {
    common::run(async {
        let backend = Scripted::start("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Then::Stays).await;
        let gateway = before(backend.address, &with("retry: {attempts: 3, codes: [503], backoff: 1ms}")).await;
        let memory = Memory::now();
        let answer = fetch(gateway.address(), "PUT", "a.example", "/admin", &[], &vec![b'x'; 10 << 20]).await;
        // The client may still be sending when the backend has had enough.
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 503), "{answer:?}");
        assert_eq!(requests(&backend), 1);
        memory.has_not_grown();
        // One that is small enough to be kept is sent again.
        assert_eq!(ask(gateway.address(), "PUT", &[], &vec![b'x'; 64 << 10]).await.status, 503);
        assert_eq!(requests(&backend), 1 + 4);
    });
}

fn one_timeout_for_all_attempts() {
    common::run(async {
        let backend = Scripted::start("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Then::Stays).await;
        let rule = "timeouts: {request: 1s}\n    retry: {attempts: 10, codes: [503], backoff: 500ms}";
        let gateway = before(backend.address, &with(rule)).await;
        assert_eq!(ask(gateway.address(), "GET", &[], b"").await.status, 504);
        // At once, after half a second at least, and no third time.
        assert!((1..=2).contains(&requests(&backend)), "{}", requests(&backend));
        // A backend that says nothing is not waited for longer.
        let silent = Scripted::start("", Then::Stays).await;
        let gateway = before(silent.address, &with(rule)).await;
        assert_eq!(ask(gateway.address(), "GET", &[], b"").await.status, 504);
        assert_eq!(requests(&silent), 1);
    });
}

fn no_backend_says_when() {
    common::run(async {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n";
        let backend = Scripted::start(answer, Then::Stays).await;
        let gateway = before(backend.address, &with("retry: {attempts: 6, codes: [503]}")).await;
        let answer = ask(gateway.address(), "GET", &[], b"").await;
        assert_eq!((answer.status.as_u16(), requests(&backend)), (503, 1 + 6));
        assert_eq!(answer.headers["retry-after"], "99999999", "the client may wait");
    });
}

fn gateways_in_a_row() {
    common::run(async {
        const REQUESTS: usize = 60;
        let backend = Scripted::start("", Then::Resets).await;
        let retry = with("retry: {attempts: 3, codes: [500, 502, 503, 504], backoff: 1ms}");
        let inner = before(backend.address, &retry).await;
        let outer = before(inner.address(), &retry).await;
        // What clients say of retries is not looked at.
        let claims = [("x-envoy-max-retries", "100"), ("x-envoy-retry-on", "5xx"), ("x-retry-count", "0"), ("retry-attempts", "100")];
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            assert_eq!(ask(outer.address(), "GET", &claims, b"").await.status, 503);
        }
        let of_outer = REQUESTS + allowed(REQUESTS, begun);
        let bound = of_outer + allowed(of_outer, begun);
        let sent = backend.connections();
        assert!(sent > REQUESTS && sent <= bound, "{sent} of {bound} at most, {} without budgets", REQUESTS * 16);
        assert!(begun.elapsed() < Duration::from_secs(60));
    });
}
