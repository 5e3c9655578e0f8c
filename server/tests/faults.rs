//! Faults, with the real program and under load: what goes wrong around the proxy costs no request that it could have
//! served.
//!
//! A run is short; with `GATEWRIGHT_FAULTS=full` it is as long and as large as the figures of the documentation.
#![cfg(unix)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::load::{Load, Protocol};
use common::pki;
use common::program::{Program, fds, resident};
use common::scripted::{Scripted, Then};
use common::{Live, fetch};
use gatewright_server::echo::{self, Name};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

/// As much as the documentation says, or a hundredth.
fn full(number: usize, short: usize) -> usize {
    if std::env::var("GATEWRIGHT_FAULTS").is_ok_and(|value| value == "full") { number } else { short }
}

/// So many clients, if this process may have as many file descriptors.
fn clients(number: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse::<usize>().ok());
    // Tests run beside each other.
    let most = files.map_or(number, |files| files.saturating_sub(400) / 4);
    if most < number {
        println!("{most} clients instead of {number}: the limit of open files is low");
    }
    number.min(most)
}

/// All requests to one backend, which is told the name of the table; so is the client.
fn table(name: &str) -> String {
    let set = format!("{{set: [{{name: x-table, value: {name}}}]}}");
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n  - filters:\n    - {{type: RequestHeaderModifier, requestHeaderModifier: {set}}}\n    - {{type: ResponseHeaderModifier, responseHeaderModifier: {set}}}\n    backendRefs: [{{name: {name}, port: 80}}]\n"
    )
}

/// Echoes by the names of tables, as arguments for `serve`.
async fn echoes(names: &[&str]) -> Vec<String> {
    let mut arguments = Vec::new();
    for name in names {
        let address = echo::start(Name { namespace: "default".into(), service: (*name).into() }, None).await.unwrap();
        arguments.extend(["--resolve".to_owned(), format!("default/{name}:80={address}")]);
    }
    arguments
}

fn write(folder: &Path, name: &str, text: &str) {
    // As editors and Kubernetes do it: the new file takes the place of the old one.
    let aside = folder.join(format!(".{name}.new"));
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, folder.join(name)).unwrap();
}

/// [R-C3], RLD-001, RLD-002: every answer is that of one table, the old or the new one, and every request is answered.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "gateway.yaml", GATEWAY);
    write(folder.path(), "routes.yaml", &table("a"));
    let program = Program::serve(&[folder.path()], &echoes(&["a", "b"]).await).await;
    let one_table = |answer: &common::Answer| {
        let (named, echo) = (answer.headers.get("x-table").and_then(|value| value.to_str().ok()), answer.echo());
        let echo = echo.ok_or("no echo")?;
        let told = echo.headers.iter().find(|(name, _)| name == "x-table").map(|(_, value)| value.as_str());
        let is_one = answer.status == 200 && named == Some(&echo.pod) && told == Some(&echo.pod);
        if is_one { Ok(()) } else { Err(format!("{} {named:?} {told:?} {}", answer.status, echo.pod)) }
    };
    let load = Load::start(program.address, &[(Protocol::Http1, 6), (Protocol::Http2, 2)], one_table);
    let (reloads, mut resident_before) = (full(2_000, 40), 0);
    for number in 0..reloads / 2 {
        let name = ["b", "a"][number % 2];
        write(folder.path(), "routes.yaml", &table(name));
        program.until(name).await;
        let whole = table("a");
        let broken = ["kind: {", &whole[..40], "apiVersion: [", ""][number % 4];
        write(folder.path(), if number % 4 == 3 { "gateway.yaml" } else { "routes.yaml" }, broken);
        // There is nothing to see of what is not taken; the program looks twice at what has changed.
        sleep(Duration::from_millis(150)).await;
        program.until(name).await;
        write(folder.path(), "gateway.yaml", GATEWAY);
        if number == 20 {
            resident_before = resident(program.id());
        }
    }
    let (answered, failures) = load.stop().await;
    assert_eq!(failures, [""; 0], "of {answered}");
    let grown = resident(program.id()).saturating_sub(resident_before);
    println!("{reloads} reloads, {answered} requests, {} failed, {grown} octets more", failures.len());
    assert!(answered > reloads as u64, "{answered}");
    assert!(reloads < 1_000 || grown < resident_before / 5, "{grown} octets more than {resident_before}");
}

/// RLD-005: a word of SIGTERM costs no request: neither those in flight nor those on their way.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}", table("a")));
    let mut program = Program::serve(&[folder.path()], &echoes(&["a"]).await).await;
    let address = program.address;
    let load = Load::start(address, &[(Protocol::Http1, 12), (Protocol::Http2, 4)], common::load::is_ok);
    let slow: Vec<_> = (0..full(1_000, 100)).map(|_| tokio::spawn(fetch_slow(address))).collect();
    let mut idle = Vec::new();
    for _ in 0..clients(full(1_000, 100)) {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    sleep(Duration::from_millis(800)).await;
    program.terminate();
    for slow in slow {
        assert_eq!(slow.await.unwrap(), Ok(StatusCode::OK));
    }
    assert_eq!(program.ended().await, Some(0));
    let (answered, failures) = load.stop().await;
    assert_eq!(failures, [""; 0], "of {answered}");
    println!("SIGTERM among {answered} requests: {} failed", failures.len());
}

async fn fetch_slow(address: SocketAddr) -> Result<StatusCode, String> {
    fetch(address, "GET", "h", "/?delay=2s", &[], b"").await.map(|answer| answer.status)
}

/// RLD-006: a second process takes over on the same port.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}", table("a")));
    let arguments = [echoes(&["a"]).await, vec!["--share-ports".to_owned()]].concat();
    let mut program = Program::serve(&[folder.path()], &arguments).await;
    let load = Load::start(program.address, &[(Protocol::Once, 4), (Protocol::Http1, 2)], common::load::is_ok);
    for _ in 0..full(20, 3) {
        let next = Program::serve_at(program.address, &[folder.path()], &arguments).await;
        program.terminate();
        assert_eq!(program.ended().await, Some(0));
        program = next;
    }
    let (answered, failures) = load.stop().await;
    assert_eq!(failures, [""; 0], "of {answered}");
    println!("handed over among {answered} requests: {} failed", failures.len());
}

/// RLD-004: nothing has to be repaired after SIGKILL.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}", table("a")));
    let arguments = echoes(&["a"]).await;
    let mut program = Program::serve(&[folder.path()], &arguments).await;
    for _ in 0..full(100, 3) {
        write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}# {:?}\n", table("a"), std::time::Instant::now()));
        program.kill();
        program = Program::serve_at(program.address, &[folder.path()], &arguments).await;
    }
}

/// A backend that dies, and one that comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}", table("a")));
    // A process of its own that answers everything with a redirect.
    let redirects = tempfile::tempdir().unwrap();
    let elsewhere = table("a").replace("    backendRefs: [{name: a, port: 80}]\n", "")
        + "    - {type: RequestRedirect, requestRedirect: {hostname: other.example, statusCode: 302}}\n";
    write(redirects.path(), "all.yaml", &format!("{GATEWAY}---\n{elsewhere}"));
    let mut backend = Program::serve(&[redirects.path()], &[]).await;
    let address = backend.address;
    let program = Program::serve(&[folder.path()], &["--resolve".to_owned(), format!("default/a:80={address}")]).await;
    for _ in 0..full(20, 2) {
        let ask = || async { fetch(program.address, "GET", "h", "/", &[], b"").await.unwrap().status.as_u16() };
        assert_eq!(ask().await, 302);
        backend.kill();
        assert_eq!(ask().await, 502);
        backend = Program::serve_at(address, &[redirects.path()], &[]).await;
        assert_eq!(ask().await, 302);
    }
}

/// [R-S8], [TO-2]: what a backend breaks off is no whole answer, and one that is silent does not hold a client for ever.
#[tokio::test(flavor = "multi_thread")]
async fn backends_that_break_off() {
    let route = table("a").replace("  - filters:", "  - timeouts: {backendRequest: 500ms}\n    filters:");
    let manifests = format!("{GATEWAY}---\n{route}");
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for (answer, then, expected) in [
        (half, Then::Resets, None),
        (half, Then::Closes, None),
        (half, Then::Stays, None),
        (chunk, Then::Closes, None),
        ("", Then::Resets, Some(502)),
        ("", Then::Closes, Some(502)),
        ("HTTP/1.1 200", Then::Closes, Some(502)),
        ("", Then::Stays, Some(504)),
    ] {
        let backend = Scripted::start(answer, then).await;
        let live = Live::start(&manifests, &[("default/a:80", backend.address)]).await;
        for h2 in [false, true] {
            let answered = match h2 {
                false => fetch(live.address(), "GET", "h", "/", &[], b"").await,
                true => common::fetch_h2(live.address(), "GET", "h", "/", &[], b"").await,
            };
            assert_eq!(answered.as_ref().ok().map(|answer| answer.status.as_u16()), expected, "{answer:?}: {answered:?}");
        }
    }
    // Refused, and nobody there who could refuse.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let live = Live::start(&manifests, &[("default/a:80", closed)]).await;
    assert_eq!(fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap().status, 502);
}

/// Certificates change under load: each handshake is whole, with the old certificate or the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = GATEWAY.replace(
        "{name: http, port: 80, protocol: HTTP}",
        "{name: https, port: 80, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}",
    );
    write(folder.path(), "gateway.yaml", &format!("{gateway}---\n{}", table("a")));
    let certificates = Arc::new([pki::server(&["a.example.com"]), pki::server(&["a.example.com"])]);
    write(folder.path(), "secret.yaml", &certificates[0].secret("cert"));
    let program = Program::serve_tls(&[folder.path()], &echoes(&["a"]).await).await;
    let (load, seen) = Load::handshakes(program.address, "a.example.com", 4);
    let replaced = full(200, 10);
    for number in 1..=replaced {
        let certificate = &certificates[number % 2];
        write(folder.path(), "secret.yaml", &certificate.secret("cert"));
        let shown = || seen.lock().unwrap().last().is_some_and(|shown| *shown == certificate.der());
        timeout(Duration::from_secs(20), async {
            while !shown() {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the new certificate is shown");
    }
    let (answered, failures) = load.stop().await;
    assert_eq!(failures, [""; 0], "of {answered}");
    let others = seen.lock().unwrap().iter().filter(|shown| certificates.iter().all(|known| known.der() != **shown)).count();
    assert_eq!(others, 0);
    println!("{replaced} certificates among {answered} handshakes: {} failed", failures.len());
}

/// LIM-006, LIM-010, TLS-026: clients that keep silent, are slow or come and go take nothing from others, and leave nothing.
#[tokio::test(flavor = "multi_thread")]
async fn idle_and_slow_clients() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}", table("a")));
    let program = Program::serve(&[folder.path()], &echoes(&["a"]).await).await;
    let load = Load::start(program.address, &[(Protocol::Http1, 2), (Protocol::Once, 2)], common::load::is_ok);
    sleep(Duration::from_millis(300)).await;
    let (before, number) = (fds(program.id()), clients(full(5_000, 1_000)));
    let mut clients = Vec::new();
    for client in 0..number {
        let mut stream = TcpStream::connect(program.address).await.unwrap();
        match client % 4 {
            0 => {}
            1 => stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX: ").await.unwrap(),
            2 => stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap(),
            _ => stream.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx").await.unwrap(),
        }
        clients.push(stream);
    }
    let most = resident(program.id());
    // A head takes ten seconds at most, and a body may pause for thirty.
    for (number, mut client) in clients.into_iter().enumerate().filter(|(number, _)| number % 4 != 3) {
        let wait = if number == 0 { 20 } else { 5 };
        let ended = timeout(Duration::from_secs(wait), client.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "connection {number} is still open");
    }
    // Those that come and go: closed, reset, half closed.
    for client in 0..full(10_000, 1_000) {
        let mut stream = TcpStream::connect(program.address).await.unwrap();
        match client % 3 {
            0 => drop(stream),
            1 => stream.set_zero_linger().unwrap(),
            _ => stream.shutdown().await.unwrap(),
        }
    }
    timeout(Duration::from_secs(20), async {
        while fds(program.id()) > before + 20 {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{before} file descriptors have become {}", fds(program.id())));
    let (answered, failures) = load.stop().await;
    assert_eq!(failures, [""; 0], "of {answered}");
    println!("{number} idle and slow connections beside {answered} requests: {} failed, {} KiB resident", failures.len(), most / 1024);
}

/// A flood of datagrams from more clients than may have flows, and of connections: what is there is served, nothing grows beyond
/// its bound, and all of it passes.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_datagrams_and_connections() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = GATEWAY.replace("listeners: [", "listeners: [{name: udp, port: 80, protocol: UDP}, ");
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: UDPRoute\nmetadata: {name: u}\nspec: {parentRefs: [{name: gw, sectionName: udp}], rules: [{backendRefs: [{name: udp, port: 80}]}]}\n";
    write(
        folder.path(),
        "all.yaml",
        &format!(
            "{gateway}---\n{route}---\n{}",
            table("a").replace("parentRefs: [{name: gw}]", "parentRefs: [{name: gw, sectionName: http}]")
        ),
    );
    // Nobody answers datagrams, so each flow lasts as long as it may.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let more = [
        "--resolve".to_owned(),
        format!("default/udp:80={}", silent.local_addr().unwrap()),
        "--udp-idle-timeout".to_owned(),
        "1".to_owned(),
    ];
    let program = Program::serve(&[folder.path()], &[echoes(&["a"]).await, more.to_vec()].concat()).await;
    let load = Load::start(program.address, &[(Protocol::Http1, 2)], common::load::is_ok);
    sleep(Duration::from_millis(200)).await;
    let before = fds(program.id());
    let clients = clients(full(5_000, 800));
    let mut sockets = Vec::new();
    for _ in 0..clients {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for _ in 0..10 {
            let _ = socket.send_to(b"flood", program.address).await;
        }
        sockets.push(socket);
        drop(TcpStream::connect(program.address).await);
    }
    let most = fds(program.id());
    assert!(most > before + 50, "datagrams have flows: {before} {most}");
    assert!(most <= before + 4096 + 200, "{before} {most}");
    drop(sockets);
    timeout(Duration::from_secs(30), async {
        while fds(program.id()) > before + 20 {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{before} file descriptors have become {}", fds(program.id())));
    let (answered, failures) = load.stop().await;
    assert_eq!(failures, [""; 0], "of {answered}");
    println!("{clients} clients of UDP beside {answered} requests: {} failed, {most} file descriptors at most", failures.len());
}

/// LIM-011: without file descriptors nothing new is accepted, what is there is served, and it passes.
#[tokio::test(flavor = "multi_thread")]
async fn no_file_descriptors_left() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.yaml", &format!("{GATEWAY}---\n{}", table("a")));
    let program = Program::serve_with_files(100, &[folder.path()], &echoes(&["a"]).await).await;
    let stream = TcpStream::connect(program.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, http_body_util::Full<bytes::Bytes>>(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async || {
        let request = http::Request::get("/").header("host", "h").body(Default::default()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        common::Answer::read(response).await.unwrap().status
    };
    assert_eq!(ask().await, 200);
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(TcpStream::connect(program.address).await.unwrap());
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(ask().await, 200, "a connection that is there is served");
    drop(clients);
    program.until("a").await;
}

/// RLD-007: what decides while tables change decides by the old one or by the new one.
#[test]
fn tables_change_while_threads_decide() {
    use gatewright::{Arrival, Authority, Decision, MissingServices, Options, Pick, Request, compile};
    let mut options = Options::default();
    options.missing_services = MissingServices::Infer;
    let tables = ["a", "b"].map(|name| {
        let loaded = gatewright::load::load_text("t", &format!("{GATEWAY}---\n{}", table(name)));
        compile(&loaded.resources, &options).table
    });
    let current = arc_swap::ArcSwap::from_pointee(tables[0].clone());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut decided = 0_u64;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let table = current.load();
                        let headers: [(&str, &str); 0] = [];
                        let request = Request {
                            arrival: Arrival::on(table.ports()[0].id),
                            method: "GET",
                            scheme: None,
                            authority: Authority::Given(b"h"),
                            target: b"/",
                            headers: &headers,
                        };
                        let decision = table.decide(&request, Pick(decided));
                        let Decision::Forward(forward) = &decision else { panic!("{decision:?}") };
                        let backend = table.backend(forward.backend).unwrap();
                        let set = forward.request_headers.modifiers().next().unwrap();
                        assert!(format!("{set:?}").contains(&format!("{:?}", &*backend.object.name)), "{set:?} {backend:?}");
                        decided += 1;
                    }
                    decided
                })
            })
            .collect();
        for number in 0..full(100_000, 2_000) {
            current.store(Arc::new(tables[number % 2].clone()));
            std::thread::yield_now();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let decided: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(decided > 0);
    });
}
