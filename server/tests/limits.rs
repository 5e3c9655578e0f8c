//! What clients may take ([R-S4]): what is beyond a bound is refused at once, and what is within it is served.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::recorded::Recorded;
use common::{fetch, fetch_h2};
use gatewright_server::proxy::{Limits, Settings};
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], hostnames: [h], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: g}
spec: {parentRefs: [{name: gw}], hostnames: [grpc.example], rules: [{backendRefs: [{name: messages, port: 80}]}]}
";

async fn bounded(limits: Limits) -> Recorded {
    Recorded::start_with(MANIFESTS, &[], Settings { limits, ..Settings::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests() {
    let mut gateway = bounded(Limits { requests: 2, ..Limits::default() }).await;
    let address = gateway.address();
    let slow: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { fetch(address, "GET", "h", "/?delay=1500ms", &[], b"").await.unwrap().status })).collect();
    sleep(Duration::from_millis(500)).await;
    for answer in [fetch(address, "GET", "h", "/", &[], b"").await, fetch_h2(address, "GET", "h", "/", &[], b"").await] {
        let answer = answer.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
    }
    for slow in slow {
        assert_eq!(slow.await.unwrap(), 200);
    }
    assert_eq!(fetch(address, "GET", "h", "/", &[], b"").await.unwrap().status, 200);
    assert_eq!(gateway.reached().await.len(), 3, "what is refused reaches no backend");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections() {
    let gateway = bounded(Limits { connections: 2, ..Limits::default() }).await;
    let mut first = TcpStream::connect(gateway.address()).await.unwrap();
    let second = TcpStream::connect(gateway.address()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let mut said = String::new();
    let mut third = TcpStream::connect(gateway.address()).await.unwrap();
    timeout(Duration::from_secs(10), third.read_to_string(&mut said)).await.expect("closed").unwrap();
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    // Who is there is served, and a place that is free is taken.
    first.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    drop(second);
    timeout(Duration::from_secs(10), async {
        while fetch(gateway.address(), "GET", "h", "/", &[], b"").await.map_or(true, |answer| answer.status != 200) {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("a free place");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large() {
    let mut gateway = bounded(Limits { body: Some(10), ..Limits::default() }).await;
    for (octets, status) in [(10, 200), (11, 413)] {
        assert_eq!(fetch(gateway.address(), "POST", "h", "/", &[], &vec![b'x'; octets]).await.unwrap().status.as_u16(), status);
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        let chunked = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            octets - 5,
            "x".repeat(octets - 5)
        );
        stream.write_all(chunked.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head, *format!("HTTP/1.1 {status}").as_bytes());
    }
    let reached: Vec<_> = gateway.reached().await.iter().map(|echo| echo.body).collect();
    assert_eq!(reached, [10, 10]);
}

/// A tunnel is a connection, and no request that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn tunnels_are_no_requests() {
    let gateway = bounded(Limits { requests: 1, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    let handshake = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    assert_eq!(fetch(gateway.address(), "GET", "h", "/", &[], b"").await.unwrap().status, 200);
}

/// A body that pauses is given up, but a stream of messages is not a slow body.
#[tokio::test(flavor = "multi_thread")]
async fn messages_may_pause() {
    let limits = Limits { body_idle: Duration::from_millis(300), ..Limits::default() };
    let mut gateway = bounded(limits).await;
    for (host, kind, status) in [("h", "text/plain", 408), ("grpc.example", "application/grpc", 200)] {
        let stream = TcpStream::connect(gateway.address()).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let frames = futures_util::stream::unfold(0, |n| async move {
            sleep(Duration::from_millis(if n == 1 { 1000 } else { 0 })).await;
            (n < 2).then(|| (Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from_static(b"x"))), n + 1))
        });
        let request = Request::post(format!("http://{host}/service/Method"))
            .header("content-type", kind)
            .body(StreamBody::new(Box::pin(frames)))
            .unwrap();
        let response = timeout(Duration::from_secs(10), sender.send_request(request)).await.expect("an answer").unwrap();
        assert_eq!(response.status().as_u16(), status, "{kind}");
        drop(response.into_body().collect().await);
    }
    assert_eq!(gateway.reached().await.iter().map(|echo| echo.body).collect::<Vec<_>>(), [2]);
}
