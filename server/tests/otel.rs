//! Spans of OpenTelemetry, as a collector gets them over OTLP/HTTP.
#![cfg(feature = "otel")]

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{Live, fetch, fields};
use gatewright_server::observe::Spans;
use gatewright_server::proxy::Settings;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gw}]
  rules: [{name: cart, matches: [{path: {value: /cart}}], backendRefs: [{name: cart, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {ports: [{port: 80}]}
";

/// The fields of a message of protocol buffers: those of numbers, and those of octets.
fn message(mut octets: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn number(octets: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = octets.split_first().unwrap();
            *octets = rest;
            value |= u64::from(first & 0x7f) << shift;
            shift += 7;
            if first & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut fields = Vec::new();
    while !octets.is_empty() {
        let tag = number(&mut octets);
        let (length, value) = match tag & 7 {
            0 => (0, number(&mut octets)),
            1 => (8, 0),
            2 => (number(&mut octets) as usize, 0),
            5 => (4, 0),
            other => panic!("wire type {other}"),
        };
        let (part, rest) = octets.split_at(length);
        octets = rest;
        fields.push((tag >> 3, value, part));
    }
    fields
}

fn parts(octets: &[u8], field: u64) -> Vec<&[u8]> {
    message(octets).into_iter().filter(|(number, ..)| *number == field).map(|(.., part)| part).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A span: `opentelemetry.proto.trace.v1.Span`.
#[derive(Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    attributes: BTreeMap<String, String>,
    failed: bool,
}

impl Span {
    fn read(octets: &[u8]) -> Self {
        let one = |field| parts(octets, field).first().copied().unwrap_or_default();
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let attributes = parts(octets, 9).into_iter().map(|pair| {
            let value = parts(pair, 2)[0];
            let value = message(value).into_iter().map(|(field, number, part)| if field == 3 { number.to_string() } else { text(part) });
            (text(parts(pair, 1)[0]), value.collect())
        });
        Self {
            trace: hex(one(1)),
            id: hex(one(2)),
            parent: hex(one(4)),
            name: text(one(5)),
            kind: message(octets).into_iter().find(|(field, ..)| *field == 6).unwrap().1,
            attributes: attributes.collect(),
            failed: message(one(15)).into_iter().any(|(field, value, _)| field == 3 && value == 2),
        }
    }
}

/// Takes spans, and tells each.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sender, spans) = mpsc::unbounded_channel();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let sender = sender.clone();
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let sender = sender.clone();
                async move {
                    assert_eq!(
                        (request.uri().path(), &request.headers()["content-type"]),
                        ("/v1/traces", &"application/x-protobuf".parse().unwrap())
                    );
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    for span in parts(&body, 1).into_iter().flat_map(|of| parts(of, 2)).flat_map(|of| parts(of, 2)) {
                        sender.send(Span::read(span)).unwrap();
                    }
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, spans)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_a_span() {
    let (collector, mut received) = collector().await;
    let spans = Spans::to(&format!("http://{collector}/v1/traces")).unwrap();
    let live = Live::start_with(MANIFESTS, &[], Settings { spans: spans.clone(), ..Settings::default() }).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let given = [("traceparent", &*format!("00-{trace}-b7ad6b7169203331-01")), ("tracestate", "a=1"), ("user-agent", "test")];
    let answer = fetch(live.port(80), "GET", "shop.example.com", "/cart/7?secret=1", &given, b"").await.unwrap();
    let lost = fetch(live.port(80), "BREW", "shop.example.com", "/tea", &[], b"").await.unwrap();
    let broken = fetch(live.port(80), "GET", "shop.example.com", "/cart/status/503", &[("traceparent", "00-xyz")], b"").await.unwrap();
    // The client has its answer a moment before the server is done with it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::task::spawn_blocking(move || spans.shut_down()).await.unwrap();
    let mut all = Vec::new();
    while let Ok(span) = received.try_recv() {
        all.push(span);
    }
    assert_eq!(all.len(), 3, "{all:#?}");
    let of = |path: &str| all.iter().find(|span| span.attributes["url.path"] == path).unwrap();

    let span = of("/cart/7");
    assert_eq!((&*span.trace, &*span.parent, &*span.name, span.kind), (trace, "b7ad6b7169203331", "GET HTTPRoute/default/shop", 2));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "HTTPRoute/default/shop"),
        ("url.scheme", "http"),
        ("server.address", "shop.example.com"),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "test"),
        ("network.protocol.version", "1.1"),
        ("gatewright.rule", "cart"),
        ("gatewright.backend", "default/cart:80"),
        ("gatewright.request_id", answer.headers["x-request-id"].to_str().unwrap()),
    ] {
        assert_eq!(span.attributes.get(name).map(String::as_str), Some(value), "{name}");
    }
    // What the backend does is within this span.
    let got = fields(&answer.echo().unwrap());
    assert_eq!(
        (got["traceparent"].to_str().unwrap(), &got["tracestate"]),
        (&*format!("00-{trace}-{}-01", span.id), &"a=1".parse().unwrap())
    );

    let span = of("/tea");
    assert_eq!((&*span.name, &*span.parent, &*span.attributes["http.request.method_original"]), ("HTTP", "", "BREW"));
    assert_eq!((lost.status.as_u16(), &*span.attributes["gatewright.reason"], span.failed), (404, "NoRoute", false));

    // A broken trace is not gone on with: a new one begins.
    let span = of("/cart/status/503");
    assert!(span.failed && span.attributes["error.type"] == "503" && span.parent.is_empty() && span.trace.len() == 32);
    assert!(fields(&broken.echo().unwrap())["traceparent"].to_str().unwrap().contains(&span.trace));
}
