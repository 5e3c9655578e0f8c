//! The admin port: metrics that say what happened, health, and questions about the table that serves.

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::{Answer, Live, fetch, fetch_h2};
use gatewright_server::observe::NAMES;
use gatewright_server::proxy::{Limits, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}, {name: raw, port: 5432, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gw, sectionName: http}]
  hostnames: [shop.example.com]
  rules:
  - {name: cart, matches: [{path: {value: /cart}}], backendRefs: [{name: cart, port: 80}]}
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}]
  - {matches: [{path: {value: /copied}}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}], backendRefs: [{name: cart, port: 80}]}
  - {matches: [{path: {value: /down}}], retry: {attempts: 2, codes: [503], backoff: 1ms}, backendRefs: [{name: down, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lost}
spec: {parentRefs: [{name: gw, sectionName: nowhere}], rules: [{backendRefs: [{name: cart, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: db}
spec: {parentRefs: [{name: gw, sectionName: raw}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: copy}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: down}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
";

const PLACE: &str = r#"gateway="default/gw",listener="http",route="HTTPRoute/default/shop",rule="cart",backend="default/cart:80""#;

async fn get(admin: SocketAddr, target: &str) -> Answer {
    fetch(admin, "GET", "admin", target, &[], b"").await.unwrap()
}

async fn json(admin: SocketAddr, target: &str) -> Value {
    let answer = get(admin, target).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &"application/json".parse().unwrap()));
    serde_json::from_slice(&answer.body).unwrap()
}

/// Every series with its value.
async fn metrics(admin: SocketAddr) -> BTreeMap<String, f64> {
    let answer = get(admin, "/metrics").await;
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.ends_with("# EOF\n"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The value of a series, once it is there: a request is counted when the server is done with its answer.
async fn until(admin: SocketAddr, series: &str, wanted: f64) {
    let mut found = None;
    for _ in 0..200 {
        found = metrics(admin).await.get(series).copied();
        if found == Some(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut like = metrics(admin).await;
    like.retain(|name, _| name.split('{').next() == series.split('{').next());
    panic!("{series} is {found:?} instead of {wanted}: {like:#?}");
}

async fn closed_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_happened() {
    let down = closed_port().await;
    let live = Live::start(MANIFESTS, &[("default/down:80", down)]).await;
    let (http, admin) = (live.port(80), live.admin().await);
    let shop = "shop.example.com";
    for _ in 0..3 {
        assert_eq!(fetch(http, "GET", shop, "/cart", &[], b"").await.unwrap().status, 200);
    }
    assert_eq!(fetch_h2(http, "POST", shop, "/cart/1", &[], b"text").await.unwrap().status, 200);
    assert_eq!(fetch(http, "GET", shop, "/cart/status/503", &[], b"").await.unwrap().status, 503);
    assert_eq!(fetch(http, "GET", shop, "/old", &[], b"").await.unwrap().status, 302);
    assert_eq!(fetch(http, "GET", shop, "/other", &[], b"").await.unwrap().status, 404);
    assert_eq!(fetch(http, "GET", shop, "/%zz", &[], b"").await.unwrap().status, 400);
    assert_eq!(fetch(http, "GET", shop, "/down", &[], b"").await.unwrap().status, 503);
    let mut stream = tokio::net::TcpStream::connect(http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\nHost: h\n\n").await.unwrap();
    let mut refused = String::new();
    stream.read_to_string(&mut refused).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert_eq!(fetch(http, "GET", shop, "/copied", &[], b"").await.unwrap().status, 200);
    let requests = |method: &str, status: u16| {
        format!(r#"gatewright_requests_total{{{PLACE},http_request_method="{method}",http_response_status_code="{status}"}}"#)
    };
    for (series, wanted) in [
        (requests("GET", 200), 3.0),
        (requests("POST", 200), 1.0),
        (requests("GET", 503), 1.0),
        (format!("http_server_request_duration_seconds_count{{{PLACE}}}"), 5.0),
        (format!(r#"http_server_request_duration_seconds_bucket{{le="+Inf",{PLACE}}}"#), 5.0),
        (r#"gatewright_answers_total{gateway="default/gw",reason="NoRoute"}"#.into(), 1.0),
        (r#"gatewright_answers_total{gateway="default/gw",reason="BrokenTriplet"}"#.into(), 1.0),
        (r#"gatewright_answers_total{gateway="default/gw",reason="Redirect"}"#.into(), 1.0),
        (r#"gatewright_answers_total{gateway="default/gw",reason="Malformed"}"#.into(), 1.0),
        (r#"gatewright_answers_total{gateway="default/gw",reason="BackendUnreachable"}"#.into(), 1.0),
        (r#"gatewright_upstream_attempts_total{backend="default/cart:80",outcome="response"}"#.into(), 6.0),
        (r#"gatewright_upstream_attempts_total{backend="default/down:80",outcome="error"}"#.into(), 3.0),
        (r#"gatewright_upstream_retries_total{backend="default/down:80"}"#.into(), 2.0),
        (r#"gatewright_upstream_requests_in_flight{backend="default/cart:80"}"#.into(), 0.0),
        (r#"gatewright_mirrors_total{backend="default/copy:80",outcome="sent"}"#.into(), 1.0),
        (r#"gatewright_upstream_connects_total{outcome="error"}"#.into(), 3.0),
        (r#"gatewright_upstream_connections{state="connecting"}"#.into(), 0.0),
        (r#"gatewright_connections_total{gateway="default/gw",port="80",transport="tcp",decision="http"}"#.into(), 11.0),
        (r#"gatewright_reloads_total{result="success"}"#.into(), 1.0),
        (r#"gatewright_reloads_total{result="rejected"}"#.into(), 0.0),
        ("gatewright_config_generation".into(), 1.0),
        ("gatewright_panics_total".into(), 0.0),
        (r#"gatewright_gateways{condition="Programmed",status="True"}"#.into(), 1.0),
        (r#"gatewright_gateways{condition="Programmed",status="False"}"#.into(), 0.0),
        (r#"gatewright_routes{kind="HTTPRoute",condition="Accepted",status="True"}"#.into(), 1.0),
        (r#"gatewright_routes{kind="HTTPRoute",condition="Accepted",status="False"}"#.into(), 1.0),
        (r#"gatewright_routes{kind="TCPRoute",condition="Accepted",status="True"}"#.into(), 1.0),
    ] {
        until(admin, &series, wanted).await;
    }
    let all = metrics(admin).await;
    assert!(all[r#"gatewright_upstream_connections{state="open"}"#] >= 1.0);
    assert!(all["process_start_time_seconds"] > 1.7e9 && all["gatewright_config_last_reload_timestamp_seconds"] > 1.7e9);
    if cfg!(target_os = "linux") {
        assert!(all["process_resident_memory_bytes"] > 1e6 && all["process_open_fds"] > 3.0);
    }
    let buckets: Vec<f64> = all.iter().filter(|(name, _)| name.contains("_bucket{") && name.contains("cart\"")).map(|(_, n)| *n).collect();
    assert!(buckets.len() == 18 && buckets.contains(&5.0), "{buckets:?}");
}

/// The list of names is what is written, and what the documentation and the alerts speak of.
#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented() {
    let live = Live::start(MANIFESTS, &[]).await;
    let admin = live.admin().await;
    let text = String::from_utf8(get(admin, "/metrics").await.body.to_vec()).unwrap();
    let mut written: Vec<String> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        written.push(if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    }
    if cfg!(target_os = "linux") {
        assert_eq!(written, NAMES);
    }
    let documentation = include_str!("../../docs/metrics.md");
    let tables = documentation.split("| Metric |").skip(1).filter_map(|table| table.split("\n\n").next());
    let rows = tables.flat_map(str::lines).filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut documented: Vec<_> = rows.map(|(name, _)| name).collect();
    documented.sort_unstable();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(documented, names);
    let alerts = include_str!("../../docs/alerts.yaml");
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let of_metrics = words.filter(|word| word.starts_with("gatewright_") || word.starts_with("http_server_"));
    let unknown: Vec<_> = of_metrics.filter(|word| !NAMES.contains(&word.trim_end_matches("_bucket"))).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

/// What clients send adds no series: no host, path, method, field or server name is a label.
#[tokio::test(flavor = "multi_thread")]
async fn requests_add_no_series() {
    let limits = Limits { requests_per_connection: usize::MAX, ..Limits::default() };
    let live = Live::start_with(MANIFESTS, &[], Settings { limits, ..Settings::default() }).await;
    let (http, admin) = (live.port(80), live.admin().await);
    let stream = tokio::net::TcpStream::connect(http).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut send = async |n: u32| {
        let (host, method) =
            (if n.is_multiple_of(2) { "shop.example.com".to_owned() } else { format!("h{n}.example.org") }, format!("M{n}"));
        let request = http::Request::builder().method(&*method).uri(format!("/cart/{n}?q={n}")).header("host", host);
        let request = request.header(format!("x-{n}"), n).header("user-agent", n).body(http_body_util::Empty::<bytes::Bytes>::new());
        sender.ready().await.unwrap();
        let response = sender.send_request(request.unwrap()).await.unwrap();
        Answer::read(response).await.unwrap();
    };
    for n in 0..2 {
        send(n).await;
    }
    let series =
        |method: &str| format!(r#"gatewright_requests_total{{{PLACE},http_request_method="{method}",http_response_status_code="200"}}"#);
    until(admin, &series("_OTHER"), 1.0).await;
    let before: Vec<_> = metrics(admin).await.into_keys().collect();
    for n in 2..2002 {
        send(n).await;
    }
    until(admin, &series("_OTHER"), 1001.0).await;
    assert_eq!(metrics(admin).await.into_keys().collect::<Vec<_>>(), before);
}

/// Counters go on over a reload, and series of what is gone vanish.
#[tokio::test(flavor = "multi_thread")]
async fn series_follow_the_table() {
    let mut live = Live::start(MANIFESTS, &[]).await;
    let (http, admin) = (live.port(80), live.admin().await);
    let cart = format!(r#"gatewright_requests_total{{{PLACE},http_request_method="GET",http_response_status_code="200"}}"#);
    fetch(http, "GET", "shop.example.com", "/cart", &[], b"").await.unwrap();
    until(admin, &cart, 1.0).await;
    live.publish(&MANIFESTS.replace("value: /old", "value: /older"));
    fetch(http, "GET", "shop.example.com", "/cart", &[], b"").await.unwrap();
    until(admin, &cart, 2.0).await;
    until(admin, "gatewright_config_generation", 2.0).await;
    live.publish(&MANIFESTS.replace("name: cart, matches", "name: basket, matches"));
    let gone = metrics(admin).await;
    assert!(!gone.keys().any(|name| name.contains("rule=\"cart\"")), "{gone:#?}");
}

/// A change that is not taken is told, with its reason; the table that serves stays.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_changes_are_told() {
    let mut live = Live::start(MANIFESTS, &[]).await;
    let admin = live.admin().await;
    let before = json(admin, "/debug/config").await;
    assert_eq!((&before["generation"], &before["behind"], &before["hash"]), (&1.into(), &false.into(), &"0000000000000001".into()));
    assert_eq!(before["counts"]["routes"], serde_json::json!({"HTTPRoute": 1, "TCPRoute": 1}));
    assert_eq!(before["ports"]["default/gw:80"], live.port(80).to_string());
    let lost = &before["notTrue"][0];
    assert_eq!(
        (&lost["object"]["name"], &lost["condition"], &lost["reason"]),
        (&"lost".into(), &"Accepted".into(), &"NoMatchingParent".into())
    );
    live.try_publish("kind: {").unwrap_err();
    let after = json(admin, "/debug/config").await;
    assert_eq!((&after["generation"], &after["behind"], &after["loadedAt"]), (&1.into(), &true.into(), &before["loadedAt"]));
    assert_eq!(after["lastRejected"]["reason"], "a manifest cannot be read");
    until(admin, r#"gatewright_reloads_total{result="rejected"}"#, 1.0).await;
    until(admin, "gatewright_config_last_change_rejected", 1.0).await;
    assert_eq!(get(admin, "/readyz").await.status, 200);
    live.publish(MANIFESTS);
    until(admin, "gatewright_config_last_change_rejected", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_is_the_command_for_the_live_table() {
    let live = Live::start(MANIFESTS, &[]).await;
    let admin = live.admin().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, MANIFESTS).unwrap();
    for (query, arguments) in [
        ("port=80&host=shop.example.com&path=/cart", &["http://shop.example.com/cart"][..]),
        ("gateway=default/gw&port=80&host=shop.example.com&path=%2Fold&method=PUT", &["-X", "PUT", "http://shop.example.com/old"]),
        (
            "port=80&host=shop.example.com&path=/x%27&header=X-%3Cscript%3E:+%22a%22",
            &["-H", "X-<script>: \"a\"", "http://shop.example.com/x'"],
        ),
        ("port=5432&connection=tcp", &["tcp://any:5432"]),
    ] {
        let query = if query.contains("port=80") { format!("{query}&scheme=http") } else { query.to_owned() };
        let answer = json(admin, &format!("/debug/explain?{query}")).await;
        let arguments = [&["explain", "-o", "json", "--missing-services", "infer", "-f", path.to_str().unwrap()], arguments].concat();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gatewright")).args(&arguments).output().unwrap();
        let expected: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(answer, expected, "{query}");
    }
    for query in ["port=x", "what=1", "port=81", "gateway=a/b", "connection=sctp", "header=x"] {
        let answer = get(admin, &format!("/debug/explain?{query}")).await;
        assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (400, &"application/json".parse().unwrap()), "{query}");
        assert!(serde_json::from_slice::<Value>(&answer.body).unwrap()["error"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_listed_in_order() {
    let live = Live::start(MANIFESTS, &[]).await;
    let admin = live.admin().await;
    let rows = json(admin, "/debug/routes").await;
    let seen: Vec<_> = rows.as_array().unwrap().iter().map(|row| format!("{}: {}", row["hostname"], row["action"])).collect();
    assert_eq!(seen.len(), 5, "{rows:#}");
    // The longer path comes first.
    assert_eq!(rows[0]["conditions"], "path PathPrefix `/copied`");
    assert_eq!((&rows[0]["gateway"], &rows[0]["listener"], &rows[0]["port"]), (&"default/gw".into(), &"http".into(), &80.into()));
    assert!(rows.to_string().contains(r#""action":"default/db:5432 (1)""#), "{rows:#}");
    for (query, count) in [("route=default/shop", 4), ("route=default/db", 1), ("gateway=a/b", 0), ("hostname=shop.example.com", 4)] {
        assert_eq!(json(admin, &format!("/debug/routes?{query}")).await.as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_get_and_only_known_paths() {
    let live = Live::start(MANIFESTS, &[]).await;
    let admin = live.admin().await;
    for (method, target, status) in [
        ("GET", "/healthz", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/debug/config", 405),
        ("GET", "/", 404),
        ("GET", "/debug", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/debug/config/../../metrics", 404),
    ] {
        let answer = fetch(admin, method, "admin", target, &[], b"").await.unwrap();
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(
            (&answer.headers["x-content-type-options"], &answer.headers["cache-control"]),
            (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
        );
        assert_eq!(answer.body.is_empty(), method == "HEAD");
    }
    // A name that is not one for Kubernetes, and would be markup in a page.
    let mut live = live;
    live.publish(&MANIFESTS.replace("name: shop", "name: 'x\"<script>alert(1)</script>'"));
    for target in ["/debug/routes", "/debug/config", "/debug/explain?port=80&host=shop.example.com&path=/cart"] {
        json(admin, target).await;
    }
    fetch(live.port(80), "GET", "shop.example.com", "/cart", &[], b"").await.unwrap();
    metrics(admin).await;
}

/// No listener of a Gateway leads to the admin port, whatever the host and path.
#[tokio::test(flavor = "multi_thread")]
async fn admin_is_out_of_reach_of_listeners() {
    let live = Live::start(MANIFESTS, &[]).await;
    let admin = live.admin().await;
    for host in ["localhost", "127.0.0.1", "127.0.0.1:9901", &admin.to_string(), "shop.example.com", "admin"] {
        for target in ["/metrics", "/healthz", "/readyz", "/debug/config", "/debug/routes", "/debug/explain"] {
            let answer = fetch(live.port(80), "GET", host, target, &[], b"").await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0), "{host} {target}");
        }
    }
    // Absolute form, the host of the admin port in it.
    let mut stream = tokio::net::TcpStream::connect(live.port(80)).await.unwrap();
    stream
        .write_all(format!("GET http://{admin}/metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 404"), "{text}");
}

/// A ClientHello without anything behind it is a handshake that failed.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_fail_are_counted() {
    let listener =
        "{name: raw, port: 5432, protocol: TCP}, {name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}";
    let certificate = common::pki::server(&["a.example.com"]).secret("cert");
    let live = Live::start(&(MANIFESTS.replace("{name: raw, port: 5432, protocol: TCP}", listener) + &certificate), &[]).await;
    let mut stream = tokio::net::TcpStream::connect(live.port(443)).await.unwrap();
    stream.write_all(&common::tls::hello("a.example.com")).await.unwrap();
    stream.shutdown().await.unwrap();
    let series = r#"gatewright_connections_total{gateway="default/gw",port="443",transport="tcp",decision="HandshakeFailed"}"#;
    until(live.admin().await, series, 1.0).await;
}
