//! The access log: one line of JSON for each request, whatever clients send.

mod common;

use std::io::{Result, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Live, fetch, fetch_h2, fields};
use gatewright_server::observe::{AccessLog, Lines};
use gatewright_server::proxy::Settings;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}, {name: raw, port: 5432, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gw, sectionName: http}]
  hostnames: [shop.example.com]
  rules:
  - {matches: [{path: {value: /none}}, {path: {value: /cart}}], backendRefs: [{name: cart, port: 80}]}
  - {name: slow, matches: [{path: {value: /slow}}], timeouts: {request: 50ms}, backendRefs: [{name: cart, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: db}
spec: {parentRefs: [{name: gw, sectionName: raw}], rules: [{backendRefs: [{name: cart, port: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {ports: [{port: 80}]}
";

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines once there are so many; each is a JSON object.
    async fn lines(&self, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            if self.text().lines().count() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let lines: Vec<Value> = self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }
}

async fn live(lines: Lines, trust_request_id: bool) -> (Live, Written) {
    let written = Written::default();
    let settings = Settings { access_log: AccessLog::to(written.clone(), lines), trust_request_id, ..Settings::default() };
    (Live::start_with(MANIFESTS, &[], settings).await, written)
}

fn without(line: &Value, names: &[&str]) -> Value {
    let mut line = line.clone();
    names.iter().for_each(|name| drop(line.as_object_mut().unwrap().remove(*name).unwrap_or_else(|| panic!("{name} is missing"))));
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_names_who_decided() {
    let (live, written) = live(Lines::All, false).await;
    let (http, shop) = (live.port(80), "shop.example.com");
    let trace = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("user-agent", "test")];
    let answer = fetch(http, "GET", shop, "/cart/7?secret=1", &trace, b"").await.unwrap();
    let line = &written.lines(1).await[0];
    let expected = serde_json::json!({
        "request_id": answer.headers["x-request-id"].to_str().unwrap(), "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "gateway": "default/gw", "port": 80, "protocol": "HTTP/1.1", "scheme": "http",
        "method": "GET", "host": shop, "path": "/cart/7", "user_agent": "test", "status": 200,
        "bytes": answer.body.len(), "complete": true, "listener": "http", "route": "HTTPRoute/default/shop", "rule": "0", "match": 1,
        "backend": "default/cart:80",
    });
    assert_eq!(without(line, &["time", "client", "endpoint", "duration_ms"]), expected);
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    line["client"].as_str().unwrap().parse::<SocketAddr>().unwrap();
    line["endpoint"].as_str().unwrap().parse::<SocketAddr>().unwrap();
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);

    fetch_h2(http, "POST", shop, "/slow?delay=1s", &[], b"").await.unwrap();
    fetch(http, "HEAD", "nobody.example.org", "/cart", &[], b"").await.unwrap();
    let lines = written.lines(3).await;
    let of = |n: usize, names: &[&str]| names.iter().map(|name| lines[n][name].clone()).collect::<Vec<_>>();
    assert_eq!(of(1, &["status", "reason", "rule", "protocol"]), [504.into(), Value::from("Timeout"), "slow".into(), "HTTP/2.0".into()]);
    let unmatched = of(2, &["status", "reason", "method", "host", "path", "route"]);
    assert_eq!(unmatched, [404.into(), Value::from("NoRoute"), "HEAD".into(), "nobody.example.org".into(), "/cart".into(), Value::Null]);
}

/// Quotes, octets outside of ASCII and long texts stay within one line of bounded length.
#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_is_escaped_and_cut() {
    let (live, written) = live(Lines::All, false).await;
    let long = "a".repeat(7000);
    let agent = [b"\"}\\ \t\xff\xfe".as_slice(), &vec![b'x'; 15 * 1024]].concat();
    let mut stream = tokio::net::TcpStream::connect(live.port(80)).await.unwrap();
    let head = format!("GET /cart%0a%1b\"/{long} HTTP/1.1\r\nConnection: close\r\nHost: shop.example.com\r\nUser-Agent: ");
    stream.write_all(&[head.as_bytes(), &agent, b"\r\n\r\n"].concat()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let line = &written.lines(1).await[0];
    assert_eq!(line["user_agent"].as_str().unwrap().len(), 256 + 2 * 2, "an octet that is no text becomes three");
    assert!(line["user_agent"].as_str().unwrap().starts_with("\"}\\ \t\u{fffd}\u{fffd}xxx"));
    assert_eq!(line["path"].as_str().unwrap().len(), 2048);
    assert!(line["path"].as_str().unwrap().starts_with("/cart%0a%1b"), "{line}");
    let text = written.text();
    assert!(text.len() < 4096 && !text.trim_end().contains(|c: char| c.is_control()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unmatched_alone_and_none() {
    for (lines, count) in [(Lines::Unmatched, 1), (Lines::None, 0)] {
        let (live, written) = live(lines, false).await;
        fetch(live.port(80), "GET", "shop.example.com", "/cart", &[], b"").await.unwrap();
        fetch(live.port(80), "GET", "nobody.example.org", "/lost", &[], b"").await.unwrap();
        let lines = written.lines(count).await;
        assert!(lines.iter().all(|line| line["path"] == "/lost"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_have_lines_when_they_end() {
    let (live, written) = live(Lines::All, false).await;
    let mut stream = tokio::net::TcpStream::connect(live.port(5432)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    drop(stream);
    let line = &written.lines(1).await[0];
    let expected = serde_json::json!({
        "gateway": "default/gw", "port": 5432, "protocol": "TCP", "decision": "forward", "listener": "raw",
        "route": "TCPRoute/default/db", "backend": "default/cart:80",
    });
    assert_eq!(without(line, &["time", "client", "endpoint", "duration_ms"]), expected);
}

/// A client that goes away has a line, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_wait() {
    let (live, written) = live(Lines::All, false).await;
    let mut stream = tokio::net::TcpStream::connect(live.port(80)).await.unwrap();
    stream.write_all(b"GET /cart?delay=60s HTTP/1.1\r\nHost: shop.example.com\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(stream);
    let line = &written.lines(1).await[0];
    assert_eq!((&line["status"], &line["reason"], &line["complete"]), (&499.into(), &"ClientClosed".into(), &false.into()));
    assert_eq!((&line["path"], &line["rule"]), (&"/cart".into(), &"0".into()));
    // And one that leaves in the middle of the answer.
    let mut stream = tokio::net::TcpStream::connect(live.port(80)).await.unwrap();
    stream.write_all(b"GET /cart?drip=60s HTTP/1.1\r\nHost: shop.example.com\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    drop(stream);
    let line = &written.lines(2).await[1];
    assert_eq!((&line["status"], &line["complete"], &line["reason"]), (&200.into(), &false.into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_reach_the_backend_and_the_client() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for trusted in [false, true] {
        let (live, written) = live(Lines::All, trusted).await;
        let given =
            [("x-request-id", "mine"), ("traceparent", TRACE), ("tracestate", "a=1,b=2"), ("x-echo-set-header", "x-request-id:forged")];
        let answer = fetch(live.port(80), "GET", "shop.example.com", "/cart", &given, b"").await.unwrap();
        let got = fields(&answer.echo().unwrap());
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!((&got["x-request-id"], got.get_all("x-request-id").iter().count()), (&answer.headers["x-request-id"], 1));
        assert_eq!(id == "mine", trusted, "{id}");
        assert!(trusted || (id.len() == 32 && id.bytes().all(|octet| octet.is_ascii_hexdigit())), "{id}");
        assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1);
        assert_eq!((&got["traceparent"], &got["tracestate"]), (&TRACE.parse().unwrap(), &"a=1,b=2".parse().unwrap()));
        assert_eq!(written.lines(1).await[0]["request_id"], id);
        // Answers of the gateway's own have one, each its own.
        let other = fetch(live.port(80), "GET", "nobody.example.org", "/", &[], b"").await.unwrap();
        assert_ne!(other.headers["x-request-id"], id);
        // A trace that is broken ends here.
        let broken = [("traceparent", "00-xyz"), ("tracestate", "a=1")];
        let answer = fetch(live.port(80), "GET", "shop.example.com", "/cart", &broken, b"").await.unwrap();
        let got = fields(&answer.echo().unwrap());
        assert!(!got.contains_key("tracestate") && !got.contains_key("traceparent"));
    }
}
