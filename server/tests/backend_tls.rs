//! TLS towards backends on real sockets.

mod common;

use std::net::SocketAddr;

use common::backends::{Handshake, Handshakes, noting_tls};
use common::pki::{self, Signed, authority, server_of};
use common::tls::Client;
use common::{Live, fetch, fetch_h2};
use gatewright_server::echo::{self, Name};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A Gateway with one HTTP listener, and a route to the Service `a`.
fn manifests(spec: &str, service: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\nspec: {{gatewayClassName: any, {spec}listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: gw}}], rules: [{{backendRefs: [{{name: a, port: 443}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: 443{service}}}]}}\n"
    )
}

/// A Gateway that decrypts streams for the Service `a`.
const STREAMS: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {gatewayClassName: any, listeners: [{name: tls, port: 443, protocol: TLS, tls: {mode: Terminate, certificateRefs: [{name: front}]}}]}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: gw}], hostnames: [s.example], rules: [{backendRefs: [{name: a, port: 443}]}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 443}]}\n";

/// A policy for the Service `a`.
fn policy(validation: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: p}}\nspec:\n  targetRefs: [{{group: '', kind: Service, name: a}}]\n  validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: ca}}], {validation}}}\n"
    )
}

/// A backend with a certificate, and what it sees of handshakes.
async fn backend(certificate: &Signed) -> (SocketAddr, Handshakes) {
    let seen = Handshakes::default();
    let plain = echo::start(Name { namespace: "default".into(), service: "a".into() }, None).await.unwrap();
    (noting_tls(certificate, plain, "a", &seen).await.unwrap(), seen)
}

fn last(seen: &Handshakes) -> Option<Handshake> {
    seen.lock().unwrap().get("a").cloned()
}

/// [TP-3], [TP-6]: which certificates are taken, by names and authority; others get nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_trusted() {
    let (ours, other) = (authority("ours"), authority("other"));
    let certificate = server_of(&ours, &["a.internal", "*.wild.internal"], &["spiffe://internal/a"]);
    let (address, seen) = backend(&certificate).await;
    for (validation, ca, expected) in [
        ("hostname: a.internal", &ours, true),
        ("hostname: b.wild.internal", &ours, true),
        ("hostname: b.internal", &ours, false),
        ("hostname: a.internal", &other, false),
        // Then the hostname is only sent.
        ("hostname: b.internal, subjectAltNames: [{type: Hostname, hostname: a.internal}]", &ours, true),
        ("hostname: b.internal, subjectAltNames: [{type: Hostname, hostname: '*.wild.internal'}]", &ours, true),
        ("hostname: b.internal, subjectAltNames: [{type: Hostname, hostname: '*.internal'}]", &ours, true),
        (
            "hostname: b.internal, subjectAltNames: [{type: Hostname, hostname: x.example}, {type: URI, uri: 'spiffe://internal/a'}]",
            &ours,
            true,
        ),
        ("hostname: a.internal, subjectAltNames: [{type: URI, uri: 'spiffe://internal/b'}]", &ours, false),
        ("hostname: a.internal, subjectAltNames: [{type: URI, uri: 'spiffe://internal/a'}]", &other, false),
    ] {
        seen.lock().unwrap().clear();
        let live = Live::start(&(manifests("", "") + &policy(validation) + &ca.config_map("ca")), &[("default/a:443", address)]).await;
        let answer = fetch(live.address(), "GET", "client.example", "/x", &[], b"").await.unwrap();
        if expected {
            let echo = answer.echo().unwrap_or_else(|| panic!("{validation}: {answer:?}"));
            // [TP-8]: the server name is the policy's, the Host the client's.
            let sni = last(&seen).unwrap().sni;
            assert_eq!((echo.host.as_str(), echo.path.as_str()), ("client.example", "/x"), "{validation}");
            assert!(validation.contains(&format!("hostname: {sni}")), "{validation}: {sni}");
        } else {
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{validation}");
        }
    }
}

/// An authority that comes, and one that goes, count for the next connection; one that stays keeps its connections.
#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_replaced() {
    let (ours, other) = (authority("ours"), authority("other"));
    let (address, seen) = backend(&server_of(&ours, &["a.internal"], &[])).await;
    let with = |ca: &Signed| manifests("", "") + &policy("hostname: a.internal") + &ca.config_map("ca");
    let mut live = Live::start(&with(&other), &[("default/a:443", address)]).await;
    let mut statuses = Vec::new();
    for ca in [&other, &ours, &other] {
        live.publish(&with(ca));
        statuses.push(fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, [502, 200, 502]);
    live.publish(&with(&ours));
    assert_eq!(fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap().status, StatusCode::OK);
    // A connection is free again a moment after its answer.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    seen.lock().unwrap().clear();
    live.publish(&(with(&ours) + "---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 80}]}\n"));
    assert_eq!(fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap().status, StatusCode::OK);
    assert_eq!(last(&seen), None, "the connection is the one from before");
}

/// [L-37]: the Gateway's certificate is shown; without it nothing is sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_shows_its_certificate() {
    let ours = authority("ours");
    let shown = pki::client(&ours);
    let (address, seen) = backend(&server_of(&ours, &["a.internal"], &[])).await;
    let spec = "tls: {backend: {clientCertificateRef: {name: own}}}, ";
    let text = manifests(spec, "") + &policy("hostname: a.internal") + &ours.config_map("ca");
    let live = Live::start(&(text + &shown.secret("own")), &[("default/a:443", address)]).await;
    assert_eq!(fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap().pod(), "a");
    assert_eq!(last(&seen).unwrap().certificate, Some(shown.der()));
}

/// HTTP/2 towards a backend is negotiated, and `:authority` stays the client's ([TP-8]).
#[tokio::test(flavor = "multi_thread")]
async fn http2_inside_tls() {
    let ours = authority("ours");
    let (address, seen) = backend(&server_of(&ours, &["a.internal"], &[])).await;
    let text = manifests("", ", appProtocol: kubernetes.io/h2c") + &policy("hostname: a.internal") + &ours.config_map("ca");
    let live = Live::start(&text, &[("default/a:443", address)]).await;
    let answer = fetch_h2(live.address(), "POST", "client.example", "/x", &[], b"body").await.unwrap();
    let echo = answer.echo().unwrap();
    assert_eq!((echo.proto.as_str(), echo.host.as_str(), echo.body), ("HTTP/2.0", "client.example", 4));
    assert_eq!(last(&seen).unwrap().alpn, "h2");
}

/// A stream that is decrypted is encrypted again where the backend wants it ([T-2], [TP-1]).
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_encrypted_again() {
    let ours = authority("ours");
    let (front, behind) = (pki::server(&["s.example"]), server_of(&ours, &["a.internal"], &[]));
    // A backend that says back what it hears.
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await
    });
    let seen = Handshakes::default();
    let address = noting_tls(&behind, plain, "a", &seen).await.unwrap();
    let text = STREAMS.to_owned() + &policy("hostname: a.internal") + &ours.config_map("ca") + &front.secret("front");
    let live = Live::start(&text, &[("default/a:443", address)]).await;
    let client = Client { sni: "s.example", ..Client::default() };
    let mut connected = common::tls::connect(live.port(443), client).await.map_err(|(error, _)| error).unwrap();
    connected.stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    connected.stream.read_exact(&mut back).await.unwrap();
    assert_eq!((&back, last(&seen).unwrap().sni.as_str()), (b"hello", "a.internal"));
}
