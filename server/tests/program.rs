//! The program: exit codes, output, reloads under load, drain.

mod common;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::fetch;
use gatewright_server::echo::{self, Name};

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}\n";

fn route(backend: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n  - {{name: all, backendRefs: [{{name: {backend}, port: 80}}]}}\n"
    )
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.env("RUST_LOG", "info").stderr(Stdio::null());
    command
}

/// Runs the program with a text on standard input; gives exit code and output.
fn run(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = program().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn exit_codes_are_the_same_for_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("good.yaml", &format!("{GATEWAY}---\n{}", route("web").replace("name: all", "matches: [{path: {value: /web}}]")));
    let bad = write("bad.yaml", &format!("{GATEWAY}---\n{}", route("web").replace("gw}", "other}")));
    for format in ["text", "json"] {
        for (arguments, expected) in [
            (&["check", &good][..], 0),
            (&["check", &bad], 1),
            (&["check", "/nowhere.yaml"], 2),
            (&["decide", "-f", &good, "http://h/web"], 0),
            (&["decide", "-f", &good, "http://h/other"], 1),
            (&["decide", "-f", &good, "--gateway", "x/y", "http://h/web"], 2),
            (&["explain", "-f", &good, "http://h/web"], 0),
            (&["explain", "-f", &good, "http://h/other"], 1),
            (&["explain", "-f", "/nowhere.yaml", "http://h/other"], 2),
        ] {
            let arguments = [arguments, &["-o", format]].concat();
            let (code, output) = run(&arguments, "");
            assert_eq!(code, expected, "{arguments:?}: {output}");
            if format == "json" && !output.is_empty() {
                serde_json::from_str::<serde_json::Value>(&output).unwrap();
            }
        }
    }
    assert_eq!(run(&["decide"], "").0, 2);
    assert_eq!(run(&["nonsense"], "").0, 2);
    let (code, output) = run(&["check", "-"], &std::fs::read_to_string(&bad).unwrap());
    assert_eq!(code, 1);
    assert!(output.contains("-:10:16: warning[GW030]: HTTPRoute/default/r: spec.parentRefs[0]: no Gateway `default/other`"), "{output}");
}

#[test]
fn check_prints_every_condition() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.yaml");
    std::fs::write(&path, format!("{GATEWAY}---\n{}", route("web"))).unwrap();
    let (_, output) = run(&["check", "-o", "json", path.to_str().unwrap()], "");
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let listener = &json["status"]["gateways"][0]["status"]["listeners"][0];
    assert_eq!((&listener["name"], &listener["attachedRoutes"]), (&"http".into(), &1.into()));
    assert_eq!(listener["conditions"][2]["type"], "ResolvedRefs");
    let parent = &json["status"]["httpRoutes"][0]["status"]["parents"][0];
    assert_eq!((&parent["parentRef"]["kind"], &parent["conditions"][0]["reason"]), (&"Gateway".into(), &"Accepted".into()));
    assert_eq!((&json["diagnostics"][0]["code"], &json["diagnostics"][0]["severity"]), (&"GW023".into(), &"info".into()));
    assert_eq!(json["diagnostics"][0]["position"]["line"], 12);
}

#[test]
fn requests_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.yaml");
    std::fs::write(
        &path,
        format!("{GATEWAY}---\n{}", route("web").replace("name: all", "matches: [{path: {value: /web}, headers: [{name: x, value: y}]}]")),
    )
    .unwrap();
    let lines = [
        r#"{"gateway": "default/gw", "port": 80, "method": "POST", "authority": "h:80", "target": "/web?q", "headers": [["X", "y"]], "pick": 18446744073709551615}"#,
        r#"{"listener": "http", "target": "/web"}"#,
        "",
        r#"{"target": "/%zz", "authority": "h"}"#,
    ];
    let arguments = ["decide", "-f", path.to_str().unwrap(), "--requests", "-"];
    let (code, output) = run(&arguments, &lines.join("\n"));
    let answers: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(code, 1);
    assert_eq!(
        (&answers[0]["decision"], &answers[0]["target"], &answers[0]["backend"]["name"]),
        (&"forward".into(), &"/web?q".into(), &"web".into())
    );
    assert_eq!((&answers[1]["reason"], &answers[2]["reason"]), (&"NoRoute".into(), &"BrokenTriplet".into()));
    let (code, output) = run(&arguments, "{\"target\": 1}\n{\"target\": \"/web\"}\n");
    assert_eq!((code, output.lines().count()), (2, 2));
    assert!(output.starts_with("{\"error\":"), "{output}");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `serve` on a free port with two backends; waits until it answers.
async fn serve(manifests: &[&Path]) -> (Running, SocketAddr) {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut command = program();
    command.stdout(Stdio::null()).arg("serve").args(manifests).args([
        "--bind",
        "127.0.0.1",
        "--drain-timeout",
        "10",
        "--port-map",
        &format!("80={}", free.port()),
    ]);
    for service in ["v1", "v2"] {
        let address = echo::start(Name { namespace: "default".into(), service: service.into() }, None).await.unwrap();
        command.args(["--resolve", &format!("default/{service}:80={address}")]);
    }
    let running = Running(command.spawn().unwrap());
    for _ in 0..200 {
        if fetch(free, "GET", "h", "/", &[], b"").await.is_ok() {
            return (running, free);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not answer");
}

async fn pod(address: SocketAddr) -> String {
    fetch(address, "GET", "h", "/", &[], b"").await.map(|answer| answer.pod()).unwrap_or_default()
}

/// Waits for a backend to answer.
async fn until(address: SocketAddr, wanted: &str) {
    for _ in 0..200 {
        if pod(address).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{wanted} does not answer");
}

/// Asks without a pause from several connections; counts answers and failures.
fn load(address: SocketAddr) -> (Arc<AtomicBool>, Arc<AtomicU32>, Vec<tokio::task::JoinHandle<Vec<String>>>) {
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients = (0..4).map(|_| {
        let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut failures = Vec::new();
            while !done.load(Ordering::Relaxed) {
                match fetch(address, "GET", "h", "/", &[], b"").await {
                    Ok(answer) if answer.status == 200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
                    Ok(answer) => failures.push(answer.status.to_string()),
                    Err(error) => failures.push(error),
                }
            }
            failures
        })
    });
    let clients = clients.collect();
    (done, answered, clients)
}

/// Changing, breaking, deleting and repairing manifests under load loses no request.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_lose_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, routes) = (folder.path().join("gateway.yaml"), folder.path().join("routes.yaml"));
    std::fs::write(&gateway, GATEWAY).unwrap();
    std::fs::write(&routes, route("v1")).unwrap();
    let (_running, address) = serve(&[&gateway, &routes]).await;
    until(address, "v1").await;
    let (done, answered, clients) = load(address);
    let pause = || tokio::time::sleep(Duration::from_millis(250));
    for round in 0..3 {
        let (backend, other) = if round % 2 == 0 { ("v2", "v1") } else { ("v1", "v2") };
        std::fs::write(&routes, route(backend)).unwrap();
        until(address, backend).await;
        // Broken, half written, deleted: the last good table stays.
        std::fs::write(&routes, "spec: [").unwrap();
        pause().await;
        assert_eq!(pod(address).await, backend);
        std::fs::write(&routes, route(other).split_at(60).0).unwrap();
        pause().await;
        assert_eq!(pod(address).await, backend);
        std::fs::remove_file(&routes).unwrap();
        pause().await;
        assert_eq!(pod(address).await, backend);
        std::fs::write(&routes, route(other)).unwrap();
        until(address, other).await;
        std::fs::remove_file(&gateway).unwrap();
        pause().await;
        std::fs::write(&gateway, GATEWAY).unwrap();
        pause().await;
        assert_eq!(pod(address).await, other);
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.await.unwrap(), Vec::<String>::new());
    }
    assert!(answered.load(Ordering::Relaxed) > 100);
}

/// A mounted ConfigMap changes by exchanging a link.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn config_map_links_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, backend) in [("..v1", "v1"), ("..v2", "v2")] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("all.yaml"), format!("{GATEWAY}---\n{}", route(backend))).unwrap();
    }
    std::os::unix::fs::symlink("..v1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/all.yaml", at("all.yaml")).unwrap();
    let (_running, address) = serve(&[folder.path()]).await;
    until(address, "v1").await;
    let (done, _, clients) = load(address);
    std::os::unix::fs::symlink("..v2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    until(address, "v2").await;
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.await.unwrap(), Vec::<String>::new());
    }
}

/// After SIGTERM open requests end, then the program does, with 0.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, format!("{GATEWAY}---\n{}", route("v1"))).unwrap();
    let (mut running, address) = serve(&[&path]).await;
    let open = tokio::spawn(async move { fetch(address, "GET", "h", "/?delay=1000ms", &[], b"").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap().success());
    assert_eq!(open.await.unwrap().unwrap().pod(), "v1");
    let code = tokio::task::spawn_blocking(move || running.0.wait().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(fetch(address, "GET", "h", "/", &[], b"").await.is_err());
}

/// A server that serves nothing does not pretend.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, GATEWAY).unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port_map = format!("80={}", taken.local_addr().unwrap().port());
    let arguments = ["serve", path.to_str().unwrap(), "--bind", "127.0.0.1", "--port-map", &port_map].map(str::to_owned);
    let code = tokio::task::spawn_blocking(move || program().args(arguments).status().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(2));
}
