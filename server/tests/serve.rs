//! The program as operators run it: its admin port, its access log, and how it drains.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::fetch;
use gatewright_server::echo::{self, Name};
use serde_json::Value;

const MANIFESTS: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
";

struct Running {
    child: Ended,
    /// Where it listens, as its log says.
    http: SocketAddr,
    admin: Option<SocketAddr>,
}

/// Is ended, whatever becomes of the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program, and reads its log until it listens.
async fn serve(manifests: &Path, arguments: &[&str]) -> Running {
    let backend = echo::start(Name { namespace: "default".into(), service: "web".into() }, None).await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.env("RUST_LOG", "info").env("NO_COLOR", "1").arg("serve").arg(manifests);
    command.args(["--bind", "127.0.0.1", "--port-map", "80=0", "--drain-timeout", "20", "--resolve", &format!("default/web:80={backend}")]);
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut http, mut admin) = (None, None);
    while http.is_none() {
        let line = log.next().unwrap().unwrap();
        let local = || line.split("local=").nth(1).map(|address| address.split(' ').next().unwrap().parse().unwrap());
        if line.contains("listening") {
            http = local();
        } else if line.contains("admin local") {
            admin = local();
        }
    }
    // What is not read would block the program one day.
    std::thread::spawn(move || log.for_each(drop));
    Running { child: Ended(child), http: http.unwrap(), admin }
}

fn manifests() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, MANIFESTS).unwrap();
    (folder, path)
}

async fn status(address: SocketAddr, target: &str) -> u16 {
    fetch(address, "GET", "admin", target, &[], b"").await.map_or(0, |answer| answer.status.as_u16())
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// While open requests end, the admin port says that no new ones should come; the last lines of the log are written.
#[tokio::test(flavor = "multi_thread")]
async fn draining_is_told_before_it_is_over() {
    let (_folder, path) = manifests();
    let mut running = serve(&path, &["--admin", "127.0.0.1:0"]).await;
    let (http, admin) = (running.http, running.admin.unwrap());
    assert_eq!((status(admin, "/healthz").await, status(admin, "/readyz").await), (200, 200));
    let open = tokio::spawn(async move { fetch(http, "GET", "h", "/last?delay=2s", &[], b"").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    signal(&running.child.0, "-TERM");
    for _ in 0..100 {
        if status(admin, "/readyz").await == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((status(admin, "/healthz").await, status(admin, "/readyz").await), (200, 503));
    assert!(!open.is_finished());
    assert_eq!(open.await.unwrap().unwrap().pod(), "web");
    let mut text = String::new();
    running.child.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(running.child.0.wait().unwrap().code(), Some(0));
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&line["path"], &line["route"]), (&"/last".into(), &"HTTPRoute/default/r".into()));
}

/// With a delay, load balancers have time to look elsewhere: until then everything is served as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_delay_before_draining() {
    let (_folder, path) = manifests();
    let mut running = serve(&path, &["--admin", "127.0.0.1:0", "--drain-delay", "2"]).await;
    let (http, admin) = (running.http, running.admin.unwrap());
    signal(&running.child.0, "-TERM");
    for _ in 0..100 {
        if status(admin, "/readyz").await == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status(admin, "/readyz").await, 503);
    let answer = fetch(http, "GET", "h", "/", &[], b"").await.unwrap();
    assert_eq!((answer.pod(), answer.headers.get("connection")), ("web".to_owned(), None));
    assert_eq!(running.child.0.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_admin_port_and_the_log() {
    let (_folder, path) = manifests();
    let mut running = serve(&path, &["--admin", "off", "--access-log", "off", "--trust-request-id"]).await;
    assert_eq!(running.admin, None);
    let answer = fetch(running.http, "GET", "h", "/", &[("x-request-id", "mine")], b"").await.unwrap();
    assert_eq!(answer.headers["x-request-id"], "mine");
    signal(&running.child.0, "-TERM");
    let mut text = String::new();
    running.child.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "");

    // A port that was asked for must open.
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.arg("serve").arg(&path).args([
        "--bind",
        "127.0.0.1",
        "--port-map",
        "80=0",
        "--admin",
        &taken.local_addr().unwrap().to_string(),
    ]);
    let mut running = Ended(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut code = None;
    for _ in 0..600 {
        code = running.0.try_wait().unwrap();
        if code.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(code.and_then(|code| code.code()), Some(2));
    let mut text = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("the admin port"), "{text}");
}

/// SIGHUP does not end the program: it looks at its manifests.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_manifests() {
    let (_folder, path) = manifests();
    let running = serve(&path, &["--admin", "127.0.0.1:0"]).await;
    let admin = running.admin.unwrap();
    std::fs::write(
        &path,
        MANIFESTS.replace("backendRefs: [{name: web, port: 80}]", "filters: [{type: RequestRedirect, requestRedirect: {hostname: other}}]"),
    )
    .unwrap();
    signal(&running.child.0, "-HUP");
    let mut generation = Value::Null;
    for _ in 0..200 {
        let config = fetch(admin, "GET", "admin", "/debug/config", &[], b"").await.unwrap();
        generation = serde_json::from_slice::<Value>(&config.body).unwrap()["generation"].clone();
        if generation == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(generation, 2);
    assert_eq!(fetch(running.http, "GET", "h", "/", &[], b"").await.unwrap().status, 302);
}
