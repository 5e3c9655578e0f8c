//! TLS from clients that name what is no host, show what is no certificate, or take their time ([R-L2] to [R-L6]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gatewright_server::proxy::{Limits, Settings};
use http::StatusCode;
use rcgen::{ExtendedKeyUsagePurpose, SanType, date_time_ymd};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Scenario;
use super::bounds::{Bystander, Memory, PATIENCE, ends, none_is_left_at};
use super::common::pki::{self, Signed};
use super::common::tls::{self, Client, connect, connect_with, hello};
use super::common::{self, Live, fetch_tls, fields};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("TLS-014", names_that_are_no_hosts),
    ("TLS-015", no_certificate),
    ("TLS-016", certificates_that_are_not_valid),
    ("TLS-017", nobody_vouches_for_the_unverified),
    ("TLS-019", another_authority_ends_sessions),
    ("TLS-020", names_with_a_nul),
    ("TLS-021", one_policy_in_any_case),
    ("TLS-022", a_hello_in_octets),
    ("TLS-024", no_early_data),
    ("TLS-025", keys_again_and_again),
    ("TLS-026", connections_that_say_nothing),
];

const H2: &[&[u8]] = &[b"h2"];

/// A Gateway with these HTTPS listeners of port 443, one of HTTP, and a route of every host.
fn gateway(listeners: &[(&str, &Signed)], tls: &str) -> String {
    let (mut of_gateway, mut secrets) = (String::new(), String::new());
    for (n, (hostname, signed)) in listeners.iter().enumerate() {
        of_gateway += &format!(
            "  - {{name: l{n}, port: 443, protocol: HTTPS, hostname: '{hostname}', tls: {{certificateRefs: [{{name: s{n}}}]}}}}\n"
        );
        secrets += &signed.secret(&format!("s{n}"));
    }
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\nspec:\n  gatewayClassName: any\n{tls}  listeners:\n{of_gateway}  - {{name: plain, port: 80, protocol: HTTP}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: gw}}], rules: [{{backendRefs: [{{name: a, port: 80}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: 80}}]}}\n{secrets}"
    )
}

/// The same, with clients validated by an authority.
fn validating(hostname: &str, mode: &str, authority: &Signed) -> String {
    let tls = format!(
        "  tls: {{frontend: {{default: {{validation: {{mode: {mode}, caCertificateRefs: [{{group: '', kind: ConfigMap, name: authority}}]}}}}}}}}\n"
    );
    gateway(&[(hostname, &pki::server(&[hostname]))], &tls) + &authority.config_map("authority")
}

fn client<'c>(sni: &'c str, certificate: Option<&'c Signed>) -> Client<'c> {
    Client { sni, certificate, ..Client::default() }
}

/// The status of a request with a certificate; `None` if there is no answer.
async fn status(live: &Live, client: Client<'_>) -> Option<StatusCode> {
    let (answer, _) = fetch_tls(live.port(443), client, "GET", "a.example.com", "/", &[]).await;
    answer.map(|answer| answer.status).ok()
}

/// Everything that the server says to these octets, until it closes.
async fn said(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    ends(stream).await
}

fn names_that_are_no_hosts() {
    common::run(async {
        let own = pki::server(&["secure.example.com"]);
        let live = Live::start(&gateway(&[("secure.example.com", &own), ("*.example.com", &own)], ""), &[]).await;
        let address = live.port(443);
        // Names of the same length are put in place of one that is a host.
        for name in ["127.0.0.1", "secure.example.com\0.evil.net", "secure.example.com\0", "10.1", "*.example.com", "a\0b.example.com"] {
            let stand_in = "x".repeat(name.len());
            let mut octets = hello(&stand_in);
            let at = octets.windows(name.len()).position(|part| part == stand_in.as_bytes()).unwrap();
            octets[at..at + name.len()].copy_from_slice(name.as_bytes());
            assert_eq!(said(address, &octets).await, b"", "{name:?}");
        }
        assert_eq!(status(&live, client("secure.example.com", None)).await, Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(status(&live, client("a.example.com", None)).await, Some(StatusCode::OK));
    });
}

fn no_certificate() {
    common::run(async {
        let authority = pki::authority("one");
        let mut live = Live::start(&validating("a.example.com", "AllowValidOnly", &authority), &[]).await;
        assert_eq!(status(&live, client("a.example.com", None)).await, None);
        assert!(live.seen.try_recv().is_err(), "a request was read");
        let valid = pki::client(&authority);
        assert_eq!(status(&live, client("a.example.com", Some(&valid))).await, Some(StatusCode::OK));
    });
}

fn certificates_that_are_not_valid() {
    common::run(async {
        let (authority, unknown) = (pki::authority("one"), pki::authority("one"));
        let mut live = Live::start(&validating("a.example.com", "AllowValidOnly", &authority), &[]).await;
        let invalid = [
            ("of an unknown authority", pki::client(&unknown)),
            ("expired", pki::client_but(&authority, |params| params.not_after = date_time_ymd(2020, 1, 1))),
            ("not yet valid", pki::client_but(&authority, |params| params.not_before = date_time_ymd(4000, 1, 1))),
            ("a server's", pki::client_but(&authority, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
            ("at the end of twenty", pki::client_below(&authority, 20)),
        ];
        for (what, certificate) in &invalid {
            assert_eq!(status(&live, client("a.example.com", Some(certificate))).await, None, "{what}");
        }
        assert!(live.seen.try_recv().is_err(), "a request was read");
        // Its own, and one with a few between.
        for depth in [0, 2] {
            let valid = pki::client_below(&authority, depth);
            assert_eq!(status(&live, client("a.example.com", Some(&valid))).await, Some(StatusCode::OK), "{depth}");
        }
    });
}

fn nobody_vouches_for_the_unverified() {
    common::run(async {
        let (authority, unknown) = (pki::authority("one"), pki::authority("two"));
        let live = Live::start(&validating("a.example.com", "AllowInsecureFallback", &authority), &[]).await;
        let (invalid, valid) = (pki::client(&unknown), pki::client(&authority));
        for certificate in [None, Some(&invalid), Some(&valid)] {
            let spoofed = [
                ("x-forwarded-client-cert", "By=spoofed"),
                ("X_Forwarded_Client_Cert", "By=spoofed"),
                ("x-forwarded-client-cert-chain", "By=spoofed"),
            ];
            let (answer, _) = fetch_tls(live.port(443), client("a.example.com", certificate), "GET", "a.example.com", "/", &spoofed).await;
            let echo = answer.unwrap().echo().unwrap();
            assert!(fields(&echo).values().all(|value| value != "By=spoofed"), "{echo:?}");
        }
    });
}

/// How a handshake went, and whether a request after it is answered.
async fn visit(address: SocketAddr, config: &Arc<rustls::ClientConfig>) -> (Option<HandshakeKind>, bool) {
    let Ok(mut stream) = connect_with(address, Arc::clone(config), "a.example.com").await else { return (None, false) };
    let mut said = Vec::new();
    let request = b"GET / HTTP/1.1\r\nhost: a.example.com\r\nconnection: close\r\n\r\n";
    let _ = stream.write_all(request).await;
    let _ = stream.read_to_end(&mut said).await;
    (stream.get_ref().1.handshake_kind(), said.starts_with(b"HTTP/1.1 200"))
}

fn another_authority_ends_sessions() {
    common::run(async {
        let (old, new) = (pki::authority("one"), pki::authority("two"));
        let mut live = Live::start(&validating("a.example.com", "AllowValidOnly", &old), &[]).await;
        let certificate = pki::client(&old);
        let (config, _) = tls::config(Client { alpn: &[b"http/1.1"], ..client("a.example.com", Some(&certificate)) });
        let address = live.port(443);
        assert_eq!(visit(address, &config).await, (Some(HandshakeKind::Full), true));
        assert_eq!(visit(address, &config).await, (Some(HandshakeKind::Resumed), true));
        live.publish(&validating("a.example.com", "AllowValidOnly", &new));
        let (kind, answered) = visit(address, &config).await;
        assert!(kind != Some(HandshakeKind::Resumed) && !answered, "{kind:?} {answered}");
    });
}

/// What a name says behind a NUL is not what it says before.
fn names_with_a_nul() {
    common::run(async {
        let authority = pki::authority("one");
        let mut live = Live::start(&validating("a.example.com", "AllowValidOnly", &authority), &[]).await;
        let named = |name: &str| {
            let name = SanType::DnsName(name.try_into().unwrap());
            pki::client_but(&authority, |params| params.subject_alt_names = vec![name])
        };
        let (nul, good) = (named("admin.internal\0.evil.net"), named("admin.internal"));
        assert_eq!(status(&live, client("a.example.com", Some(&nul))).await, None);
        assert!(live.seen.try_recv().is_err(), "a request was read");
        assert_eq!(status(&live, client("a.example.com", Some(&good))).await, Some(StatusCode::OK));
    });
}

fn one_policy_in_any_case() {
    common::run(async {
        let authority = pki::authority("one");
        let live = Live::start(&validating("*.example.com", "AllowValidOnly", &authority), &[]).await;
        let valid = pki::client(&authority);
        for sni in ["a.example.com", "A.eXample.COM", "A.EXAMPLE.COM"] {
            for alpn in [H2, &[b"http/1.1"], &[]] {
                let with = |certificate| Client { alpn, ..client(sni, certificate) };
                assert_eq!(status(&live, with(None)).await, None, "{sni}");
                assert_eq!(status(&live, with(Some(&valid))).await, Some(StatusCode::OK), "{sni}");
            }
        }
    });
}

/// The ClientHello in records of one octet (RFC 8446 section 5.1).
fn in_records(octets: &[u8]) -> Vec<Vec<u8>> {
    let (head, message) = octets.split_at(5);
    message.iter().map(|octet| [&head[..3], &[0, 1, *octet]].concat()).collect()
}

fn a_hello_in_octets() {
    common::run(async {
        let (wide, exact) = (pki::server(&["*.example.com"]), pki::server(&["a.example.com"]));
        let settings = Settings { limits: Limits { head: Duration::from_secs(2), ..Limits::default() }, ..Settings::default() };
        let live = Live::start_with(&gateway(&[("*.example.com", &wide), ("a.example.com", &exact)], ""), &[], settings).await;
        let (address, octets) = (live.port(443), hello("a.example.com"));
        let segments: Vec<Vec<u8>> = octets.iter().map(|octet| vec![*octet]).collect();
        for pieces in [segments, in_records(&octets)] {
            // Slowly: one deadline for all of it, and not a word before.
            let (reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
            let drips = pieces.clone();
            let drips = tokio::spawn(async move {
                for piece in drips {
                    if writing.write_all(&piece).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                std::future::pending::<()>().await;
            });
            let mut reading = reading;
            let mut said = Vec::new();
            let read = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut said)).await;
            let _ = read.expect("the connection is still open");
            assert_eq!(said, b"");
            drips.abort();
            // In time: the name is read as a whole, and leads to the listener that it would lead to otherwise.
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(&piece).await.unwrap();
            }
            assert_eq!(tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap(), 22, "a handshake record");
        }
        none_is_left_at(address.port()).await;
    });
}

fn no_early_data() {
    common::run(async {
        let own = pki::server(&["a.example.com"]);
        let mut live = Live::start(&gateway(&[("a.example.com", &own)], ""), &[]).await;
        let address = live.port(443);
        let (config, _) = tls::config(client("a.example.com", None));
        let mut config = Arc::unwrap_or_clone(config);
        config.enable_early_data = true;
        let config = Arc::new(config);
        assert_eq!(visit(address, &config).await, (Some(HandshakeKind::Full), true));
        while live.seen.try_recv().is_ok() {}
        // The session is there to be resumed, but its ticket allows no early data.
        let name = rustls::pki_types::ServerName::try_from("a.example.com").unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        assert!(connection.early_data().is_none(), "the ticket allows early data");
        assert_eq!(visit(address, &config).await, (Some(HandshakeKind::Resumed), true));
    });
}

fn keys_again_and_again() {
    common::run(async {
        let own = pki::server(&["a.example.com"]);
        let live = Live::start(&gateway(&[("a.example.com", &own)], ""), &[]).await;
        let memory = Memory::now();
        let mut stream = connect(live.port(443), client("a.example.com", None)).await.map_err(|(error, _)| error).unwrap().stream;
        for _ in 0..10_000 {
            let (_, tls) = stream.get_mut();
            if tls.refresh_traffic_keys().is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        // No request has come, and this is not the deadline for one: the server has heard enough.
        let early = Duration::from_secs(8);
        let _ = tokio::time::timeout(early, stream.read_to_end(&mut Vec::new())).await.expect("the connection is still open");
        memory.has_not_grown();
    });
}

/// Fewer than the vector has, and with less time.
fn connections_that_say_nothing() {
    common::run(async {
        let own = pki::server(&["a.example.com"]);
        let settings = Settings { limits: Limits { head: Duration::from_secs(2), ..Limits::default() }, ..Settings::default() };
        let live = Live::start_with(&gateway(&[("a.example.com", &own)], ""), &[], settings).await;
        let (address, plain) = (live.port(443), live.port(80));
        let (memory, bystander) = (Memory::now(), Bystander::of(plain, "a.example.com"));
        let mut silent = Vec::new();
        for _ in 0..1000 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(status(&live, client("a.example.com", None)).await, Some(StatusCode::OK));
        for stream in silent {
            assert_eq!(ends(stream).await, b"");
        }
        none_is_left_at(address.port()).await;
        memory.has_not_grown();
        bystander.must_be_served(plain, "a.example.com").await;
    });
}
