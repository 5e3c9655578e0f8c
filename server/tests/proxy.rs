//! The proxy on real sockets.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Live, count, fetch, fetch_h2, fields};
use gatewright_server::command::demo::{MANIFESTS, TRY};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

fn route(rules: &str) -> String {
    let services = ["a", "b", "copy"]
        .map(|name| format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"));
    format!(
        "{GATEWAY}---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n{rules}\n{}",
        services.concat()
    )
}

/// A port that nobody listens on.
async fn closed_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Arguments of a line of curl: what is in quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// The lines that the demo prints do what it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_does_what_it_prints() {
    let live = Live::start(MANIFESTS, &[]).await;
    for (arguments, outcome) in TRY {
        let words = words(arguments);
        let (mut method, mut headers, mut url) = ("GET", Vec::new(), "");
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-H" => headers.push(rest.next().unwrap().split_once(": ").unwrap()),
                "-X" => method = rest.next().unwrap(),
                "-i" | "--path-as-is" => {}
                other => url = other,
            }
        }
        let target = url.strip_prefix("http://localhost:PORT").unwrap();
        let host = headers.iter().find(|(name, _)| *name == "Host").map_or("localhost:8080", |(_, value)| value);
        headers.retain(|(name, _)| *name != "Host");
        let mut pods = Vec::new();
        for _ in 0..200 {
            let answer = fetch(live.address(), method, host, target, &headers, b"").await.unwrap();
            let expected = outcome.split([' ', ':', ',']).next().unwrap();
            if let Ok(status) = expected.parse::<u16>() {
                assert_eq!(answer.status.as_u16(), status, "{arguments}");
                if let Some((_, location)) = outcome.split_once(" to ") {
                    let location = location.split(' ').next().unwrap().replace("PORT", "8080");
                    assert_eq!(answer.headers["location"], location);
                }
                break;
            }
            let echo = answer.echo().unwrap_or_else(|| panic!("{arguments}: {answer:?}"));
            if let Some((_, path)) = outcome.split_once("which gets /") {
                assert_eq!(echo.path, format!("/{}", path.split(' ').next().unwrap()));
            }
            if outcome.contains("the header x-shop") {
                assert_eq!(fields(&echo)["x-shop"], "demo");
            }
            pods.push(echo.pod);
            if !outcome.contains("requests") {
                assert_eq!(pods, [expected], "{arguments}");
                break;
            }
        }
        if outcome.contains("requests") {
            let counts = count(pods.into_iter());
            assert!(counts["web-v1"] > 150 && counts["web-v2"] > 3, "{counts:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_backends() {
    let rules = "
  - {matches: [{path: {value: /slow}}], timeouts: {request: 150ms}, backendRefs: [{name: a, port: 80}]}
  - {matches: [{path: {value: /attempt}}], timeouts: {backendRequest: 150ms}, backendRefs: [{name: a, port: 80}]}
  - {matches: [{path: {value: /down}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /again}}], retry: {attempts: 2, codes: [503], backoff: 1ms}, backendRefs: [{name: a, port: 80}]}
  - {matches: [{path: {value: /gone}}], backendRefs: [{name: nowhere, port: 80}]}
  - {matches: [{path: {value: /empty}}], backendRefs: [{name: copy, port: 80}]}";
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: copy-1, labels: {kubernetes.io/service-name: copy}}\naddressType: IPv4\nports: [{port: 80}]\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]\n";
    let mut live = Live::start(&(route(rules) + slice), &[("default/b:80", closed_port().await)]).await;
    let mut status = Vec::new();
    for target in ["/slow?delay=2000ms", "/slow", "/attempt?delay=2000ms", "/down", "/gone", "/empty", "/nothing"] {
        status.push(fetch(live.address(), "GET", "h", target, &[], b"").await.unwrap().status.as_u16());
    }
    assert_eq!(status, [504, 200, 504, 502, 500, 503, 404]);
    // A response that does not end in time is cut, not delivered as if it were whole.
    assert!(fetch(live.address(), "GET", "h", "/slow?drip=2000ms", &[], b"").await.is_err());
    while live.seen.try_recv().is_ok() {}
    let again = fetch(live.address(), "POST", "h", "/again/status/503", &[], b"body").await.unwrap();
    assert_eq!(again.status, StatusCode::SERVICE_UNAVAILABLE);
    let tries: Vec<_> = std::iter::from_fn(|| live.seen.try_recv().ok()).map(|echo| echo.body).collect();
    assert_eq!(tries, [4, 4, 4], "two retries, each with the body");
}

/// An endpoint that does not answer gets next to nothing while others do.
#[tokio::test(flavor = "multi_thread")]
async fn requests_go_where_less_is_to_do() {
    let stuck = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = gatewright_server::echo::Name { namespace: "default".into(), service: "good".into() };
    let good = gatewright_server::echo::start(name, None).await.unwrap();
    let both = [("default/a:80", stuck.local_addr().unwrap()), ("default/a:80", good)];
    let live = Live::start(&route("  - {timeouts: {request: 1s}, backendRefs: [{name: a, port: 80}]}"), &both).await;
    let address = live.address();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..40 {
        requests.spawn(async move { fetch(address, "GET", "h", "/", &[], b"").await.unwrap().status.as_u16() });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let statuses = requests.join_all().await;
    let lost = statuses.iter().filter(|status| **status == 504).count();
    assert!(lost <= 5 && statuses.len() == 40, "{statuses:?}");
}

/// A budget of one retry an hour: the second one is denied, whatever the rule allows ([BT-2], [RT-9]).
#[tokio::test(flavor = "multi_thread")]
async fn retries_have_a_budget() {
    let rules = "  - {retry: {attempts: 5, codes: [500], backoff: 1ms}, backendRefs: [{name: a, port: 80}]}\n";
    let policy = "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {name: few}\nspec:\n  targetRefs: [{group: \"\", kind: Service, name: a}]\n  retryConstraint: {budget: {percent: 0}, minRetryRate: {count: 1, interval: 1h}}\n";
    let mut live = Live::start(&(route(rules) + policy), &[]).await;
    for tries in [2, 1] {
        let answer = fetch(live.address(), "GET", "h", "/status/500", &[], b"").await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(std::iter::from_fn(|| live.seen.try_recv().ok()).count(), tries);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_one_hop_and_of_the_gateway() {
    let live = Live::start(&route("  - {backendRefs: [{name: a, port: 80}]}"), &[]).await;
    let sent = [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "gzip"),
        ("proxy-authorization", "x"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-echo-set-header", "connection:close, keep-alive:x, x-kept:1"),
    ];
    let answer = fetch(live.address(), "GET", "h.example:80", "/", &sent, b"").await.unwrap();
    let got = fields(&answer.echo().unwrap());
    for name in ["x-hop", "keep-alive", "te", "proxy-authorization", "forwarded", "connection"] {
        assert!(!got.contains_key(name), "{name}: {got:?}");
    }
    assert_eq!(
        (&got["x-forwarded-for"], &got["x-forwarded-host"], &got["x-forwarded-proto"]),
        (&"127.0.0.1".parse().unwrap(), &"h.example:80".parse().unwrap(), &"http".parse().unwrap())
    );
    assert_eq!(answer.headers["x-kept"], "1");
    assert!(!answer.headers.contains_key("keep-alive"));
    for bad in [("connection", "authorization"), ("connection", "Host")] {
        assert_eq!(fetch(live.address(), "GET", "h", "/", &[bad], b"").await.unwrap().status, StatusCode::BAD_REQUEST);
    }
}

/// What a bare hyper service lets through, in octets.
#[tokio::test(flavor = "multi_thread")]
async fn framing_and_hosts() {
    let mut live = Live::start(&route("  - {backendRefs: [{name: a, port: 80}]}"), &[]).await;
    for (raw, expected) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "200"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "400"),
        ("GET http://h/x HTTP/1.1\r\nHost: other\r\n\r\n", "200"),
        ("GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", "405"),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "400"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(live.address()).await.unwrap();
        stream.write_all(raw.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head[9..], expected.as_bytes(), "{raw}");
    }
    let hosts: Vec<_> = std::iter::from_fn(|| live.seen.try_recv().ok()).map(|echo| (echo.host, echo.path)).collect();
    assert_eq!(hosts, [("h".to_owned(), "/".to_owned()), ("h".to_owned(), "/x".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_and_grpc() {
    let grpc = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: g}\nspec:\n  parentRefs: [{name: gw}]\n  hostnames: [grpc.example]\n  rules:\n  - {matches: [{method: {service: a.B, method: C}}], backendRefs: [{name: b, port: 80}]}\n  - {matches: [{method: {service: down}}], backendRefs: [{name: copy, port: 80}]}\n";
    let mut http = route("  - {backendRefs: [{name: a, port: 80}]}")
        .replace("parentRefs: [{name: gw}]", "parentRefs: [{name: gw}]\n  hostnames: [web.example]");
    http.push_str(grpc);
    let live = Live::start(&http, &[("default/copy:80", closed_port().await)]).await;
    let answer = fetch_h2(live.address(), "GET", "web.example", "/x?y=1", &[], b"").await.unwrap();
    let echo = answer.echo().unwrap();
    assert_eq!(
        (echo.pod.as_str(), echo.host.as_str(), echo.path.as_str(), echo.proto.as_str()),
        ("a", "web.example", "/x?y=1", "HTTP/1.1")
    );
    let call = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = fetch_h2(live.address(), "POST", "grpc.example", "/a.B/C", &call, b"x").await.unwrap();
    let echo = answer.echo().unwrap();
    assert_eq!((echo.pod.as_str(), echo.host.as_str(), echo.proto.as_str()), ("b", "grpc.example", "HTTP/2.0"));
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    for (path, status) in [("/a.B/D", "12"), ("/down/x", "14")] {
        let answer = fetch_h2(live.address(), "POST", "grpc.example", path, &call, b"x").await.unwrap();
        assert_eq!((answer.status, &answer.headers["grpc-status"]), (StatusCode::OK, &status.parse().unwrap()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_get_a_copy_and_slow_nobody() {
    let rules = "  - {filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}, {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}}}], backendRefs: [{name: a, port: 80}]}";
    let mut live = Live::start(&route(rules), &[("default/b:80", closed_port().await)]).await;
    let answer = fetch(live.address(), "POST", "h", "/x", &[], b"12345").await.unwrap();
    assert_eq!(answer.pod(), "a");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let echo = tokio::time::timeout(Duration::from_secs(5), live.seen.recv()).await.unwrap().unwrap();
        seen.push((echo.pod, echo.path, echo.host, echo.body));
    }
    seen.sort();
    assert_eq!(seen, ["a", "copy"].map(|pod| (pod.to_owned(), "/x".to_owned(), "h".to_owned(), 5)));
}

/// The body is handed on while it comes.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_streamed() {
    // A backend that answers each line at once.
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let mut seen = Vec::new();
        while !seen.ends_with(b"one\r\n") {
            let n = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..n]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n").await.unwrap();
        while !seen.ends_with(b"0\r\n\r\n") {
            let n = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..n]);
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let live = Live::start(&route("  - {backendRefs: [{name: a, port: 80}]}"), &[("default/a:80", address)]).await;
    let mut stream = tokio::net::TcpStream::connect(live.address()).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let first = async {
        while !seen.windows(3).any(|w| w == b"ONE") {
            let n = stream.read(&mut buffer).await.unwrap();
            seen.extend_from_slice(&buffer[..n]);
        }
    };
    tokio::time::timeout(Duration::from_secs(5), first).await.expect("the first part comes before the request has ended");
    stream.write_all(b"0\r\n\r\n").await.unwrap();
}

/// An upgrade joins the two connections.
#[tokio::test(flavor = "multi_thread")]
async fn upgrades_are_tunnels() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(String::from_utf8_lossy(&buffer[..n]).to_lowercase().contains("upgrade: websocket"));
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
        let n = stream.read(&mut buffer).await.unwrap();
        stream.write_all(&buffer[..n]).await.unwrap();
    });
    let live = Live::start(&route("  - {backendRefs: [{name: a, port: 80}]}"), &[("default/a:80", address)]).await;
    let mut stream = tokio::net::TcpStream::connect(live.address()).await.unwrap();
    stream.write_all(b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..n].starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&buffer[..n]));
    stream.write_all(b"ping").await.unwrap();
    let n = stream.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..n], b"ping");
}
