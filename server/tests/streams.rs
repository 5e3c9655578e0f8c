//! TCP and UDP ports of the proxy on real sockets.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::backends::{self, Told, ask, converse, receive};
use common::{Live, fetch, pki};
use gatewright_server::proxy::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The Gateway `gw`; each line is name, port and protocol of a listener.
fn gateway(listeners: &[(&str, u16, &str)]) -> String {
    let listeners: Vec<_> =
        listeners.iter().map(|(name, port, protocol)| format!("{{name: {name}, port: {port}, protocol: {protocol}}}")).collect();
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\nspec: {{gatewayClassName: any, listeners: [{}]}}\n",
        listeners.join(", ")
    )
}

/// A TCPRoute or UDPRoute of the listener of its name.
fn route(kind: &str, name: &str, backend_refs: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{parentRefs: [{{name: gw, sectionName: {name}}}], rules: [{{backendRefs: [{backend_refs}]}}]}}\n"
    )
}

fn told(pod: &str) -> Told {
    Told { pod: pod.to_owned(), ..Told::default() }
}

/// All that a connection says until it ends.
async fn said(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    said
}

/// [T-6]: each side may end what it says without ending what it hears.
#[tokio::test(flavor = "multi_thread")]
async fn half_closed_streams() {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manifests = gateway(&[("t", 5000, "TCP")]) + &route("TCPRoute", "t", "{name: t, port: 1}");
    let live = Live::start(&manifests, &[("default/t:1", backend.local_addr().unwrap())]).await;
    let mut client = TcpStream::connect(live.port(5000)).await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut accepted, _) = backend.accept().await.unwrap();
    assert_eq!(said(&mut accepted).await, b"question");
    accepted.write_all(b"answer").await.unwrap();
    accepted.shutdown().await.unwrap();
    assert_eq!(said(&mut client).await, b"answer");

    // The other way round.
    let mut client = TcpStream::connect(live.port(5000)).await.unwrap();
    let (mut accepted, _) = backend.accept().await.unwrap();
    accepted.write_all(b"greeting").await.unwrap();
    accepted.shutdown().await.unwrap();
    assert_eq!(said(&mut client).await, b"greeting");
    client.write_all(b"late").await.unwrap();
    drop(client);
    assert_eq!(said(&mut accepted).await, b"late");
}

/// [T-7]: an invalid share is closed; so is a connection to a backend that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn streams_without_a_backend_end() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let manifests = gateway(&[("invalid", 5000, "TCP"), ("gone", 5001, "TCP"), ("none", 5002, "TCP")])
        + &route("TCPRoute", "invalid", "{kind: Nothing, name: x, port: 1}")
        + &route("TCPRoute", "gone", "{name: gone, port: 1}");
    let live = Live::start(&manifests, &[("default/gone:1", gone)]).await;
    for port in [5000, 5001, 5002] {
        let mut client = TcpStream::connect(live.port(port)).await.unwrap();
        assert_eq!(said(&mut client).await, b"", "{port}");
    }
}

/// UDP and TCP have numbers of their own.
#[tokio::test(flavor = "multi_thread")]
async fn one_number_for_tcp_and_udp() {
    let manifests = gateway(&[("t", 5300, "TCP"), ("u", 5300, "UDP")])
        + &route("TCPRoute", "t", "{name: t, port: 1}")
        + &route("UDPRoute", "u", "{name: u, port: 1}");
    let (tcp, udp) = (backends::tcp(told("t"), None).await.unwrap(), backends::udp(told("u")).await.unwrap());
    let live = Live::start(&manifests, &[("default/t:1", tcp), ("default/u:1", udp)]).await;
    assert_eq!(converse(TcpStream::connect(live.port(5300)).await.unwrap()).await.unwrap().pod, "t");
    let answer = ask(live.udp_port(5300), b"hello").await.unwrap();
    assert_eq!(serde_json::from_slice::<Told>(&answer).unwrap(), Told { request: "hello".into(), ..told("u") });
}

/// A UDP listener before a backend of the test's own.
async fn with_backend(idle: u64, flows: usize) -> (Live, SocketAddr, UdpSocket) {
    let backend = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let manifests = gateway(&[("u", 5300, "UDP")]) + &route("UDPRoute", "u", "{name: u, port: 1}");
    let settings = Settings { udp_idle: Duration::from_millis(idle), udp_flows: flows, ..Settings::default() };
    let live = Live::start_with(&manifests, &[("default/u:1", backend.local_addr().unwrap())], settings).await;
    let address = live.udp_port(5300);
    (live, address, backend)
}

async fn client(of: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(of).await.unwrap();
    socket
}

/// A datagram as the backend gets it, and where from.
async fn arrived(backend: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (size, from) = tokio::time::timeout(Duration::from_secs(5), backend.recv_from(&mut buffer)).await.unwrap().unwrap();
    (buffer[..size].to_vec(), from)
}

/// Each client hears the answers to what it has sent, many or none, and nothing else ([T-6]).
#[tokio::test(flavor = "multi_thread")]
async fn flows_are_told_apart() {
    let (_live, address, backend) = with_backend(5000, 10).await;
    let (one, two) = (client(address).await, client(address).await);
    one.send(b"one").await.unwrap();
    let (datagram, of_one) = arrived(&backend).await;
    assert_eq!(datagram, b"one");
    two.send(b"two").await.unwrap();
    let (datagram, of_two) = arrived(&backend).await;
    assert_eq!(datagram, b"two");
    assert_ne!(of_one, of_two);
    // Answers in the opposite order, two for one, and an empty one.
    for (to, datagram) in [(of_two, &b"for two"[..]), (of_one, b"for one"), (of_one, b"")] {
        backend.send_to(datagram, to).await.unwrap();
    }
    assert_eq!(receive(&one).await.unwrap(), b"for one");
    assert_eq!(receive(&one).await.unwrap(), b"");
    assert_eq!(receive(&two).await.unwrap(), b"for two");
    // A flow stays with its socket; strangers are not heard.
    one.send(b"more").await.unwrap();
    assert_eq!(arrived(&backend).await, (b"more".to_vec(), of_one));
    UdpSocket::bind("127.0.0.1:0").await.unwrap().send_to(b"stranger", of_one).await.unwrap();
    backend.send_to(b"known", of_one).await.unwrap();
    assert_eq!(receive(&one).await.unwrap(), b"known");
}

/// A silent flow is forgotten; what comes later is another one. Either side keeps it alive.
#[tokio::test(flavor = "multi_thread")]
async fn idle_flows_end() {
    let (_live, address, backend) = with_backend(400, 10).await;
    let client = client(address).await;
    client.send(b"first").await.unwrap();
    let (_, first) = arrived(&backend).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        backend.send_to(b"tick", first).await.unwrap();
        assert_eq!(receive(&client).await.unwrap(), b"tick");
    }
    client.send(b"same").await.unwrap();
    assert_eq!(arrived(&backend).await.1, first);
    tokio::time::sleep(Duration::from_millis(900)).await;
    client.send(b"second").await.unwrap();
    assert_ne!(arrived(&backend).await.1, first);
}

/// Flows of a port have a bound; one that ends makes room.
#[tokio::test(flavor = "multi_thread")]
async fn flows_have_a_bound() {
    let (_live, address, backend) = with_backend(300, 2).await;
    let clients = [client(address).await, client(address).await, client(address).await];
    for client in &clients[..2] {
        client.send(b"served").await.unwrap();
        assert_eq!(arrived(&backend).await.0, b"served");
    }
    clients[2].send(b"dropped").await.unwrap();
    clients[1].send(b"still served").await.unwrap();
    assert_eq!(arrived(&backend).await.0, b"still served");
    tokio::time::sleep(Duration::from_millis(800)).await;
    clients[2].send(b"served now").await.unwrap();
    assert_eq!(arrived(&backend).await.0, b"served now");
}

/// A flow that meets an invalid share is dropped as a whole, in proportion ([T-6], [T-7]).
#[tokio::test(flavor = "multi_thread")]
async fn invalid_shares_of_flows_are_dropped() {
    let refs = "{name: u, port: 1}, {kind: Nothing, name: x, port: 1}";
    let manifests = gateway(&[("u", 5300, "UDP")]) + &route("UDPRoute", "u", refs);
    let backend = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let live = Live::start(&manifests, &[("default/u:1", backend.local_addr().unwrap())]).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(client(live.udp_port(5300)).await);
    }
    for client in clients.iter().chain(&clients) {
        client.send(client.local_addr().unwrap().to_string().as_bytes()).await.unwrap();
    }
    let mut arrivals = std::collections::BTreeMap::<_, u32>::new();
    let mut buffer = [0; 64];
    while let Ok(received) = tokio::time::timeout(Duration::from_millis(500), backend.recv(&mut buffer)).await {
        *arrivals.entry(buffer[..received.unwrap()].to_vec()).or_default() += 1;
    }
    assert!((10..50).contains(&arrivals.len()), "{}", arrivals.len());
    assert!(arrivals.values().all(|count| *count == 2), "{arrivals:?}");
}

/// What a port of TCP speaks is the newest table's to say: it stays open meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_changes_its_protocol() {
    let http = gateway(&[("t", 5000, "HTTP")]);
    let web = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: t}\nspec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let backend = backends::tcp(told("t"), None).await.unwrap();
    let mut live = Live::start(&(http + web), &[("default/t:1", backend)]).await;
    let address = live.port(5000);
    assert_eq!(fetch(address, "GET", "h", "/", &[], b"").await.unwrap().pod(), "web");
    live.publish(&(gateway(&[("t", 5000, "TCP")]) + &route("TCPRoute", "t", "{name: t, port: 1}")));
    assert_eq!(converse(TcpStream::connect(address).await.unwrap()).await.unwrap().pod, "t");
    let certificate = pki::server(&["h.example.com"]);
    let tls = "{certificateRefs: [{name: own}]}";
    let https = gateway(&[("t", 5000, &format!("HTTPS, tls: {tls}"))]);
    live.publish(&(https + web + &certificate.secret("own")));
    let client = common::tls::Client { sni: "h.example.com", ..Default::default() };
    assert_eq!(common::fetch_tls(address, client, "GET", "h", "/", &[]).await.0.unwrap().pod(), "web");
}

/// Streams do not end by themselves: the time to drain ends them.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_cut_when_the_time_to_drain_is_over() {
    let manifests = gateway(&[("t", 5000, "TCP"), ("other", 5001, "TCP")]) + &route("TCPRoute", "t", "{name: t, port: 1}");
    let backend = backends::tcp(told("t"), None).await.unwrap();
    let settings = Settings { drain: Duration::from_millis(500), ..Settings::default() };
    let mut live = Live::start_with(&manifests, &[("default/t:1", backend)], settings).await;
    let mut client = TcpStream::connect(live.port(5000)).await.unwrap();
    let mut greeting = [0; 28];
    client.read_exact(&mut greeting).await.unwrap();
    let begun = Instant::now();
    live.publish(&gateway(&[("other", 5001, "TCP")]));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(live.port(5000)).await.is_err());
    // Still open.
    client.write_all(b"TEST\n").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'{');
    tokio::time::timeout(Duration::from_secs(5), said(&mut client)).await.unwrap();
    assert!((Duration::from_millis(400)..Duration::from_secs(3)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}
