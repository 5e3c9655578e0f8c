//! TLS ports of the proxy on real sockets.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::backends::{Told, converse, inside_tls, tcp};
use common::pki::{self, Signed};
use common::tls::{self, Client, connect, connect_with, hello};
use common::{Answer, Live, fetch_tls, fields};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{HandshakeKind, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const H2: &[&[u8]] = &[b"h2"];

/// The Gateway `gw` with listeners of port 443.
fn gateway(listeners: &[String], more: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\nspec:\n  gatewayClassName: any\n{more}  listeners:\n{}",
        listeners.concat()
    )
}

/// A listener of port 443, named as the first label of its hostname.
fn listener(protocol: &str, hostname: &str, tls: &str) -> String {
    let name = hostname.split('.').next().unwrap().replace('*', "any");
    format!("  - {{name: {name}, port: 443, protocol: {protocol}, hostname: '{hostname}', tls: {tls}}}\n")
}

fn https(hostname: &str, secrets: &[&str]) -> String {
    let refs: Vec<_> = secrets.iter().map(|name| format!("{{name: {name}}}")).collect();
    listener("HTTPS", hostname, &format!("{{certificateRefs: [{}]}}", refs.join(", ")))
}

/// A route of every host to a Service of its own.
fn http_route(service: &str, hostname: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {service}}}\nspec: {{parentRefs: [{{name: gw}}], hostnames: ['{hostname}'], rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: {service}}}\nspec: {{ports: [{{port: 80}}]}}\n"
    )
}

fn tls_route(service: &str, hostname: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {{name: {service}}}\nspec: {{parentRefs: [{{name: gw}}], hostnames: ['{hostname}'], rules: [{{backendRefs: [{{name: {service}, port: 443}}]}}]}}\n"
    )
}

/// Two HTTPS listeners, each with a certificate and a route of its own.
fn two_hosts(a: &Signed, b: &Signed) -> String {
    let listeners = [https("a.example.com", &["a"]), https("b.example.com", &["b"])];
    let routes = [http_route("a", "a.example.com"), http_route("b", "b.example.com")].concat();
    gateway(&listeners, "") + &routes + &a.secret("a") + &b.secret("b")
}

fn named(sni: &str) -> Client<'_> {
    Client { sni, ..Client::default() }
}

/// An HTTP/2 connection that can be asked more than once.
async fn h2(address: SocketAddr, sni: &str) -> http2::SendRequest<Full<Bytes>> {
    let connected = connect(address, Client { alpn: H2, ..named(sni) }).await.map_err(|(error, _)| error).unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(connected.stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut http2::SendRequest<Full<Bytes>>, host: &str) -> Answer {
    let request = Request::builder().uri(format!("https://{host}/")).body(Full::default()).unwrap();
    Answer::read(sender.send_request(request).await.unwrap()).await.unwrap()
}

/// What comes of a connection after some octets: everything that it says until it ends.
async fn send_raw(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Who is rejected early need not be able to say all.
    let _ = stream.write_all(octets).await;
    said(&mut stream).await
}

/// A reset is an end like any other.
async fn said(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    said
}

/// [L-23]: certificate, protocol and scheme of the listener that the server name chooses.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_name_picks_the_certificate() {
    let (a, b) = (pki::server(&["a.example.com"]), pki::server(&["b.example.com"]));
    let live = Live::start(&two_hosts(&a, &b), &[]).await;
    for (host, certificate, pod) in [("a.example.com", &a, "a"), ("b.example.com", &b, "b"), ("B.Example.Com", &b, "b")] {
        for alpn in [H2, &[b"http/1.1"], &[]] {
            let client = Client { trust: Some(certificate), alpn, ..named(host) };
            let connected = connect(live.port(443), client).await.map_err(|(error, _)| error).unwrap();
            assert_eq!(connected.shown(), certificate.der());
            // [L-32]
            assert_eq!(connected.stream.get_ref().1.alpn_protocol(), alpn.first().copied());
            let answer = fetch_tls(live.port(443), client, "GET", host, "/", &[("x-forwarded-proto", "http")]).await.0.unwrap();
            assert_eq!(answer.pod(), pod);
            // [R-F7]
            assert_eq!(fields(&answer.echo().unwrap())["x-forwarded-proto"], "https");
        }
    }
}

/// Of several certificates the longest matching name is shown, of those whose key the client understands ([L-23]).
#[tokio::test(flavor = "multi_thread")]
async fn one_listener_with_several_certificates() {
    let (wide, exact) = (pki::server(&["*.example.com"]), pki::server(&["other.org", "c.example.com"]));
    let modern = pki::server_ed25519(&["*.example.com"]);
    let manifests = gateway(&[https("*.example.com", &["wide", "broken", "exact", "modern"])], "") + &http_route("a", "a.example.com");
    // Each part is PEM, but they do not belong together.
    let broken = Signed { key: exact.key.clone(), ..pki::server(&["d.example.com"]) };
    let secrets = [wide.secret("wide"), exact.secret("exact"), modern.secret("modern"), broken.secret("broken")].concat();
    let live = Live::start(&(manifests + &secrets), &[]).await;
    let ed25519: &[_] = &[SignatureScheme::ED25519];
    for (sni, schemes, expected) in [
        ("a.example.com", &[][..], &wide),
        ("c.example.com", &[], &exact),
        ("d.example.com", &[], &wide),
        ("c.example.com", ed25519, &modern),
    ] {
        let connected = connect(live.port(443), Client { schemes, ..named(sni) }).await.map_err(|(error, _)| error).unwrap();
        assert_eq!(connected.shown(), expected.der(), "{sni}");
    }
}

/// [L-24]: a connection that is reused for a host of another listener is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_another_listener_is_misdirected() {
    let (a, b) = (pki::server(&["a.example.com"]), pki::server(&["b.example.com"]));
    let live = Live::start(&two_hosts(&a, &b), &[]).await;
    let mut sender = h2(live.port(443), "a.example.com").await;
    let mut status = Vec::new();
    for host in ["a.example.com", "b.example.com", "unknown.org", "a.example.com"] {
        status.push(ask(&mut sender, host).await.status.as_u16());
    }
    assert_eq!(status, [200, 421, 404, 200]);
}

/// [T-2]: nothing is added to or taken from the octets of either side, however they come.
#[tokio::test(flavor = "multi_thread")]
async fn passthrough_leaves_octets_alone() {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manifests = gateway(&[listener("TLS", "p.example.com", "{mode: Passthrough}")], "") + &tls_route("p", "p.example.com");
    let live = Live::start(&manifests, &[("default/p:443", backend.local_addr().unwrap())]).await;
    // The ClientHello in two records (RFC 8446 section 5.1), and something after it that is no TLS.
    let whole = hello("p.example.com");
    let (head, message) = whole.split_at(5);
    let (one, two) = message.split_at(message.len() / 3);
    let record = |part: &[u8]| [&head[..3], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
    let sent = [&record(one)[..], &record(two), b"not TLS"].concat();
    let mut client = TcpStream::connect(live.port(443)).await.unwrap();
    for piece in sent.chunks(50) {
        client.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.shutdown().await.unwrap();
    let (mut accepted, _) = backend.accept().await.unwrap();
    assert_eq!(said(&mut accepted).await, sent);
    accepted.write_all(b"any answer").await.unwrap();
    drop(accepted);
    assert_eq!(said(&mut client).await, b"any answer");
}

/// Terminated and passed through on one port ([L-3], [T-2]).
#[tokio::test(flavor = "multi_thread")]
async fn streams_inside_tls() {
    let (own, theirs) = (pki::server(&["t.example.com"]), pki::server(&["p.example.com"]));
    let terminated = listener("TLS", "t.example.com", "{mode: Terminate, certificateRefs: [{name: own}]}");
    let passed = listener("TLS", "p.example.com", "{mode: Passthrough}");
    let manifests =
        gateway(&[terminated, passed], "") + &tls_route("t", "t.example.com") + &tls_route("p", "p.example.com") + &own.secret("own");
    let plain = tcp(Told { pod: "t".into(), ..Told::default() }, None).await.unwrap();
    let encrypted = tcp(Told { pod: "p".into(), ..Told::default() }, Some(&theirs)).await.unwrap();
    let live = Live::start(&manifests, &[("default/t:443", plain), ("default/p:443", encrypted)]).await;
    for (sni, certificate, pod, tls) in [("t.example.com", &own, "t", None), ("p.example.com", &theirs, "p", Some("p.example.com"))] {
        let client = Client { trust: Some(certificate), alpn: H2, ..named(sni) };
        let connected = connect(live.port(443), client).await.map_err(|(error, _)| error).unwrap();
        let told = converse(connected.stream).await.unwrap();
        assert_eq!((told.pod.as_str(), told.tls.as_deref()), (pod, tls));
    }
}

/// A client that has said all is still answered, inside TLS, too.
#[tokio::test(flavor = "multi_thread")]
async fn half_closed_streams_inside_tls() {
    let own = pki::server(&["t.example.com"]);
    let terminated = listener("TLS", "t.example.com", "{mode: Terminate, certificateRefs: [{name: own}]}");
    let manifests = gateway(&[terminated], "") + &tls_route("t", "t.example.com") + &own.secret("own");
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let live = Live::start(&manifests, &[("default/t:443", backend.local_addr().unwrap())]).await;
    let mut client = connect(live.port(443), named("t.example.com")).await.map_err(|(error, _)| error).unwrap().stream;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut accepted, _) = backend.accept().await.unwrap();
    assert_eq!(said(&mut accepted).await, b"question");
    accepted.write_all(b"answer").await.unwrap();
    drop(accepted);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
}

/// [T-3], [L-25]: no alert, no certificate, not one octet.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_rejected_hears_nothing() {
    let a = pki::server(&["a.example.com"]);
    let garbage = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";
    let listeners = [
        https("a.example.com", &["a"]),
        https("unreadable.example.com", &["unreadable"]),
        listener("TLS", "lonely.example.com", "{mode: Passthrough}"),
        listener("TLS", "invalid.example.com", "{mode: Terminate, certificateRefs: [{name: a}]}"),
    ];
    let invalid = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: gw}], hostnames: [invalid.example.com], rules: [{backendRefs: [{kind: Nothing, name: x, port: 1}]}]}\n";
    let secret =
        format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: unreadable}}\ndata: {{tls.crt: {garbage}, tls.key: {garbage}}}\n");
    let live = Live::start(&(gateway(&listeners, "") + &http_route("a", "a.example.com") + invalid + &secret + &a.secret("a")), &[]).await;
    let address = live.port(443);
    for sni in ["unknown.org", "", "unreadable.example.com", "lonely.example.com", "invalid.example.com"] {
        assert_eq!(send_raw(address, &hello(sni)).await, b"", "{sni}");
    }
    assert_eq!(send_raw(address, b"GET / HTTP/1.1\r\nhost: a.example.com\r\n\r\n").await, b"");
    // The same is heard by a listener that serves.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello("a.example.com")).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 22, "a handshake record");
}

/// [R-L6]: ten seconds from the first octet to the last, however slowly they come, and 64 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_hello_has_bounds() {
    let a = pki::server(&["a.example.com"]);
    let manifests = gateway(&[https("a.example.com", &["a"])], "") + &http_route("a", "a.example.com") + &a.secret("a");
    let live = Live::start(&manifests, &[]).await;
    let address = live.port(443);
    let begun = Instant::now();
    let silent = tokio::spawn(async move { send_raw(address, b"").await });
    let slow = tokio::spawn(async move {
        let (mut stream, octets) = (TcpStream::connect(address).await.unwrap(), hello("a.example.com"));
        let (mut reading, mut writing) = stream.split();
        let mut said = Vec::new();
        tokio::select! {
            _ = reading.read_to_end(&mut said) => {}
            () = async {
                for octet in octets {
                    let _ = writing.write_all(&[octet]).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            } => {}
        }
        said
    });
    // 20,000 of the 60,000 octets of a message in records of one: six times as many, which is too much before the end.
    let mut endless = vec![22, 3, 1, 0, 4, 1, 0, 0xea, 0x60];
    endless.extend([22, 3, 1, 0, 1, 0].repeat(20_000));
    assert_eq!(send_raw(address, &endless).await, b"");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((silent.await.unwrap(), slow.await.unwrap()), (Vec::new(), Vec::new()));
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

/// [R-S4]: ten seconds for the head of the first request, also for who has not even told the version of HTTP; then as long as it
/// takes.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_nothing_is_not_kept() {
    let a = pki::server(&["a.example.com"]);
    let plain = "  - {name: plain, port: 80, protocol: HTTP}\n".to_owned();
    let manifests = gateway(&[https("a.example.com", &["a"]), plain], "") + &http_route("a", "a.example.com") + &a.secret("a");
    let live = Live::start(&manifests, &[]).await;
    let (address, plain) = (live.port(443), live.port(80));
    let begun = Instant::now();
    let inside_tls = async |octets: &'static [u8]| {
        let mut stream = connect(address, named("a.example.com")).await.map_err(|(error, _)| error).unwrap().stream;
        stream.write_all(octets).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        begun.elapsed()
    };
    let without = async |octets: &'static [u8]| {
        send_raw(plain, octets).await;
        begun.elapsed()
    };
    let lasting = async {
        fetch_tls(address, named("a.example.com"), "GET", "a.example.com", "/?delay=11s", &[]).await.0.unwrap();
        begun.elapsed()
    };
    let all = async { tokio::join!(inside_tls(b""), inside_tls(b"PRI * HTTP/2.0"), without(b""), without(b"GET / HT"), lasting) };
    let (one, two, three, four, lasting) = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    for ended in [one, two, three, four] {
        assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&ended), "{ended:?}");
    }
    assert!(lasting > Duration::from_secs(11));
}

/// A new certificate serves the next handshake, and nobody who is connected notices.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_without_a_gap() {
    let (old, b, new) = (pki::server(&["a.example.com"]), pki::server(&["b.example.com"]), pki::server(&["a.example.com"]));
    let mut live = Live::start(&two_hosts(&old, &b), &[]).await;
    let address = live.port(443);
    let mut connected = h2(address, "a.example.com").await;
    assert_eq!(ask(&mut connected, "a.example.com").await.pod(), "a");
    live.publish(&two_hosts(&new, &b));
    let shown = connect(address, named("a.example.com")).await.map_err(|(error, _)| error).unwrap().shown();
    assert_eq!(shown, new.der());
    assert_eq!(ask(&mut connected, "a.example.com").await.pod(), "a");
    // Without a certificate nobody new is served ([L-11]).
    live.publish(&two_hosts(&new, &b).replace("metadata: {name: a}\ntype", "metadata: {name: gone}\ntype"));
    assert_eq!(send_raw(address, &hello("a.example.com")).await, b"");
    assert_eq!(ask(&mut connected, "a.example.com").await.pod(), "a");
}

/// [R-L4]: a session is resumed after a change elsewhere, and not after one of its listener.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_belong_to_a_listener() {
    let (a, b) = (pki::server(&["a.example.com"]), pki::server(&["b.example.com"]));
    let mut live = Live::start(&two_hosts(&a, &b), &[]).await;
    let address = live.port(443);
    let (config, _) = tls::config(Client { alpn: &[b"http/1.1"], ..named("a.example.com") });
    let kind = async || {
        let mut stream = connect_with(address, config.clone(), "a.example.com").await.unwrap();
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        // Tickets come with the first answer.
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a.example.com\r\nconnection: close\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        kind
    };
    assert_eq!((kind().await, kind().await), (HandshakeKind::Full, HandshakeKind::Resumed));
    live.publish(&two_hosts(&a, &pki::server(&["b.example.com"])));
    assert_eq!(kind().await, HandshakeKind::Resumed);
    live.publish(&two_hosts(&pki::server(&["a.example.com"]), &b));
    assert_eq!((kind().await, kind().await), (HandshakeKind::Full, HandshakeKind::Resumed));
}

/// [L-35], [L-38]: who is let in by another validation than the one of now is asked to come again; so is who is connected to
/// a listener that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn connections_follow_their_listener() {
    let (a, b, authority, other) =
        (pki::server(&["a.example.com"]), pki::server(&["b.example.com"]), pki::authority("one"), pki::authority("two"));
    let client = pki::client(&authority);
    let bundle = |of: &Signed| of.config_map("authority");
    let validated = |mode: &str, of: &Signed| {
        let frontend = format!(
            "  tls: {{frontend: {{default: {{validation: {{mode: {mode}, caCertificateRefs: [{{group: '', kind: ConfigMap, name: authority}}]}}}}}}}}\n"
        );
        gateway(&[https("a.example.com", &["a"])], &frontend) + &http_route("a", "a.example.com") + &a.secret("a") + &bundle(of)
    };
    let mut live = Live::start(&two_hosts(&a, &b), &[]).await;
    let address = live.port(443);
    let mut connected = h2(address, "a.example.com").await;
    assert_eq!(ask(&mut connected, "a.example.com").await.status, StatusCode::OK);

    live.publish(&validated("AllowValidOnly", &authority));
    assert_eq!(ask(&mut connected, "a.example.com").await.status, StatusCode::MISDIRECTED_REQUEST);
    let get = async |certificate: Option<&Signed>| {
        let client = Client { certificate, alpn: H2, ..named("a.example.com") };
        let (answer, requested) = fetch_tls(address, client, "GET", "a.example.com", "/", &[]).await;
        assert!(requested);
        answer.map(|answer| answer.status.as_u16()).ok()
    };
    assert_eq!((get(None).await, get(Some(&client)).await), (None, Some(200)));

    live.publish(&validated("AllowValidOnly", &other));
    assert_eq!(get(Some(&client)).await, None);
    live.publish(&validated("AllowInsecureFallback", &other));
    assert_eq!((get(None).await, get(Some(&client)).await), (Some(200), Some(200)));

    let mut connected = h2(address, "a.example.com").await;
    live.publish(&two_hosts(&a, &b).replace("name: a, port: 443", "name: renamed, port: 443"));
    assert_eq!(ask(&mut connected, "a.example.com").await.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(ask(&mut h2(address, "a.example.com").await, "a.example.com").await.status, StatusCode::OK);
}

/// HTTP over TLS that another server ends.
#[tokio::test(flavor = "multi_thread")]
async fn https_passes_through() {
    let theirs = pki::server(&["p.example.com"]);
    let name = gatewright_server::echo::Name { namespace: "default".into(), service: "p".into() };
    let backend = inside_tls(&theirs, gatewright_server::echo::start(name, None).await.unwrap()).await.unwrap();
    let manifests = gateway(&[listener("TLS", "p.example.com", "{mode: Passthrough}")], "") + &tls_route("p", "p.example.com");
    let live = Live::start(&manifests, &[("default/p:443", backend)]).await;
    let client = Client { trust: Some(&theirs), ..named("p.example.com") };
    let answer = fetch_tls(live.port(443), client, "GET", "p.example.com", "/", &[]).await.0.unwrap();
    // The gateway has not seen the request.
    assert!(answer.pod() == "p" && !fields(&answer.echo().unwrap()).contains_key("x-forwarded-proto"));
}
