//! Policies behind ExtensionRef filters, on real sockets.

mod common;

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::retry::Retried;
use common::tokens::{Issuer, at, unsigned};
use common::{Live, fetch, fetch_h2, load};
use gatewright::Severity;
use gatewright_server::echo::{self, Name};
use gatewright_server::extensions::{Extensions, KeyFiles};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const GROUP: &str = "policy.gateway.networking.k8s.io";
const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

fn reference(kind: &str, name: &str) -> String {
    let group = if kind == "AuthFilter" { "gateway.networking.k8s.io" } else { GROUP };
    format!("{{type: ExtensionRef, extensionRef: {{group: {group}, kind: {kind}, name: {name}}}}}")
}

fn policy(kind: &str, name: &str, spec: &str) -> String {
    let group = if kind == "AuthFilter" { "gateway.networking.k8s.io" } else { GROUP };
    format!("---\napiVersion: {group}/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// A route with these rules, and the Services `a` and `pages`.
fn route(rules: &str) -> String {
    let services = ["a", "pages"]
        .map(|name| format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"));
    format!(
        "{GATEWAY}---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: gw}}], rules: [{rules}]}}\n{}",
        services.concat()
    )
}

/// One rule to `a` with filters.
fn guarded(filters: &str) -> String {
    route(&format!("{{filters: [{filters}], backendRefs: [{{name: a, port: 80}}]}}"))
}

const GRPC: [(&str, &str); 1] = [("content-type", "application/grpc")];

async fn status(address: SocketAddr, headers: &[(&str, &str)]) -> u16 {
    fetch(address, "GET", "h", "/", headers, b"").await.unwrap().status.as_u16()
}

/// [F-60]: what is not there, or is wrong, lets nobody through, whatever else the rule does.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_invalid_policies_fail_closed() {
    let limit = reference("RateLimitPolicy", "p");
    let to_a = "backendRefs: [{name: a, port: 80}]";
    let redirect = "{type: RequestRedirect, requestRedirect: {hostname: other.example}}";
    let wrong = policy("RateLimitPolicy", "p", "rates: [{limit: 0, duration: 1m}]");
    for (rule, more) in [
        (format!("{{filters: [{limit}], {to_a}}}"), String::new()),
        (format!("{{filters: [{limit}], {to_a}}}"), wrong.clone()),
        (format!("{{filters: [{limit}, {redirect}]}}"), wrong.clone()),
        (format!("{{backendRefs: [{{name: a, port: 80, filters: [{limit}]}}]}}"), wrong),
        (format!("{{filters: [{}], {to_a}}}", reference("SecurityPolicy", "p")), policy("SecurityPolicy", "p", "")),
    ] {
        let live = Live::start(&(route(&rule) + &more), &[]).await;
        assert_eq!(status(live.address(), &[]).await, 500, "{rule} {more}");
    }
}

/// What is wrong is told with its place.
#[test]
fn diagnostics_say_where() {
    for (kind, spec, expected) in [
        (
            "RateLimitPolicy",
            "rates: []",
            "live:5:15: error[GW002]: RateLimitPolicy/default/p: spec.rates: the list is empty, expected at least one entry",
        ),
        (
            "RateLimitPolicy",
            "rates: [{limit: 0, duration: 1m}]",
            "spec.rates[0].limit: wrong value (found integer `0`, expected a nonzero u32)",
        ),
        ("RateLimitPolicy", "rates: [{limit: 1, duration: 1d}]", "spec.rates[0].duration: `1d` is not a duration above zero"),
        (
            "RateLimitPolicy",
            "rates: [{limit: 1, duration: 1s, by: [{source: {type: Cookie}}]}]",
            "by[0].source: `Cookie` is not known, expected RemoteIP or Header",
        ),
        ("RateLimitPolicy", "rates: [{limit: 1, duration: 1s, by: [{source: {type: Header}}]}]", "by[0].source: type Header needs `name`"),
        ("HTTPRetryPolicy", "retryOn: [4xx]", "spec.retryOn[0]: `4xx` is not known, expected 5xx, gateway-error"),
        ("HTTPRetryPolicy", "retryOn: [5xx], numRetries: 99", "spec.numRetries: 99 is more than 10 retries"),
        (
            "HTTPRetryPolicy",
            "retryOn: [5xx], backoff: {baseInterval: 1s, maxInterval: 1ms}",
            "spec.backoff.maxInterval: the longest pause is shorter",
        ),
        (
            "ErrorPagePolicy",
            "errorPages: [{codes: [200], backendRef: {name: pages, port: 80}}]",
            "spec.errorPages[0].codes[0]: 200 is not the code of an error",
        ),
        (
            "ErrorPagePolicy",
            "errorPages: [{codes: [404], backendRef: {name: pages}}]",
            "spec.errorPages[0].backendRef: the required field `port` is missing",
        ),
        (
            "ErrorPagePolicy",
            "errorPages: [{codes: [404], backendRef: {name: pages, port: 80, path: x}}]",
            "backendRef.path: `x` is not a path",
        ),
        (
            "ErrorPagePolicy",
            "errorPages: [{codes: [404], backendRef: {name: pages, port: 80, namespace: other}}]",
            "backendRef.namespace: the backend must be in the namespace of the policy",
        ),
        ("AuthFilter", "type: Basic", "spec.type: `Basic` is not known, expected JWT"),
        (
            "AuthFilter",
            "type: JWT, jwt: {issuers: [{uri: i}], audiences: [a]}",
            "spec.jwt.issuers[0]: no keys: `jwks` is missing, and no `--jwks i=FILE` was given",
        ),
        (
            "AuthFilter",
            "type: JWT, jwt: {issuers: [{uri: i, jwks: {}}], audiences: [a]}",
            "issuers[0].jwks: expected one of secretRef, configMapRef and file",
        ),
        (
            "AuthFilter",
            "type: JWT, jwt: {issuers: [{uri: i, jwks: {secretRef: {name: s}}}], audiences: [a]}",
            "jwks.secretRef: no Secret `default/s` with the key `jwks.json` can be read",
        ),
        (
            "AuthFilter",
            "type: JWT, jwt: {issuers: [{uri: i, jwks: {file: /nowhere.json}}], audiences: [a]}",
            "jwks.file: `/nowhere.json` cannot be read",
        ),
        ("AuthFilter", "type: JWT, jwt: {issuers: [{uri: i}], audiences: []}", "spec.jwt.audiences: the list is empty"),
    ] {
        let loaded = load(&policy(kind, "p", spec));
        let (extensions, mut told) = Extensions::read(&loaded.kept, &loaded.resources, &KeyFiles::new(), &Extensions::default());
        assert!(extensions.known().is_empty(), "{spec}");
        assert_eq!(told.len(), 1, "{spec}: {told:?}");
        loaded.sources.locate(&mut told[0]);
        let text = told[0].to_string();
        assert!(text.contains(expected) && text.starts_with("live:5:"), "{spec}: {text}");
    }
    let other = load(
        &policy("RateLimitPolicy", "p", "rates: [{limit: 1, duration: 1s}], targetRef: {kind: HTTPRoute, name: r}, burst: 3")
            .replace("v1alpha1", "v1"),
    );
    let (_, told) = Extensions::read(&other.kept, &other.resources, &KeyFiles::new(), &Extensions::default());
    assert!(told[0].to_string().contains("apiVersion: this version of RateLimitPolicy is not accepted"), "{told:?}");
    let noted = load(&policy("RateLimitPolicy", "p", "rates: [{limit: 1, duration: 1s}], targetRef: {kind: HTTPRoute, name: r}, burst: 3"));
    let (extensions, told) = Extensions::read(&noted.kept, &noted.resources, &KeyFiles::new(), &Extensions::default());
    let told: Vec<_> = told.iter().map(|told| format!("{} {}", told.severity, told.path)).collect();
    assert_eq!((extensions.known().len(), told), (1, vec!["info spec.targetRef".to_owned(), "warning spec.burst".to_owned()]));
}

/// A file of the repository.
fn file(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the documentation shows is valid.
#[test]
fn the_documentation_is_valid() {
    let keys = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: auth-keys}\ndata: {jwks.json: 'KEYS'}\n";
    let keys = keys.replace("KEYS", &Issuer::new("i", "k").jwks());
    let text = file("docs/policies.md");
    let shown = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).filter(|shown| shown.starts_with("apiVersion"));
    let shown: Vec<_> = shown.collect();
    let loaded = load(&(shown.join("---\n") + &keys));
    let (extensions, told) = Extensions::read(&loaded.kept, &loaded.resources, &KeyFiles::new(), &Extensions::default());
    assert!(loaded.diagnostics.is_empty() && told.is_empty(), "{:?} {told:?}", loaded.diagnostics);
    assert_eq!((shown.len(), extensions.known().len()), (4, 4));
}

/// The examples do what their first lines say.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_served() {
    let with_gateway = |name: &str| file(&format!("examples/{name}")) + "---\n" + &file("examples/gateways/contour.yaml");
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), Issuer::new("https://auth.example.com", "k").jwks()).unwrap();
    let keys = KeyFiles::from([("https://auth.example.com".to_owned(), keys.path().to_owned())]);
    for name in
        ["extensions/authentication.yaml", "extensions/error-pages.yaml", "extensions/rate-limit.yaml", "timeouts/retry-policy.yaml"]
    {
        let loaded = load(&with_gateway(name));
        let (extensions, told) = Extensions::read(&loaded.kept, &loaded.resources, &keys, &Extensions::default());
        assert!(told.iter().all(|told| told.severity == Severity::Info), "{name}: {told:?}");
        assert_eq!(extensions.known().len(), 1, "{name}");
    }
    let backend = echo::start(Name { namespace: "default".into(), service: "api-service".into() }, None).await.unwrap();
    let live = Live::start(&with_gateway("extensions/rate-limit.yaml"), &[("default/api-service:8080", backend)]).await;
    let mut passed = 0;
    while fetch(live.address(), "GET", "api.example.com", "/api", &[], b"").await.unwrap().status == StatusCode::OK {
        passed += 1;
        assert!(passed < 2000, "no limit");
    }
    // New places come about while the test runs.
    assert!(passed >= 100, "{passed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits() {
    let filters = reference("RateLimitPolicy", "p");
    let limit = |limit: u32| {
        policy(
            "RateLimitPolicy",
            "p",
            &format!("rates: [{{limit: {limit}, duration: 1h, by: [{{source: {{type: Header, name: X-Key}}}}]}}]"),
        )
    };
    let mut live = Live::start(&(guarded(&filters) + &limit(2)), &[]).await;
    let (one, other) = ([("x-key", "one")], [("x-key", "other")]);
    assert_eq!([status(live.address(), &one).await, status(live.address(), &one).await], [200, 200]);
    let refused = fetch(live.address(), "GET", "h", "/", &one, b"").await.unwrap();
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait > 1000 && wait <= 1800, "{wait}");
    let grpc = fetch_h2(live.address(), "POST", "h", "/", &[one[0], GRPC[0]], b"").await.unwrap();
    assert_eq!((grpc.status.as_u16(), grpc.headers["grpc-status"].to_str().unwrap()), (200, "8"));
    assert_eq!(status(live.address(), &other).await, 200);
    assert_eq!(status(live.address(), &[]).await, 200);
    // A table with another route keeps the counts of a policy that is the same, and one with another policy does not.
    live.publish(
        &(guarded(&filters) + &limit(2) + "---\napiVersion: v1\nkind: Service\nmetadata: {name: new}\nspec: {ports: [{port: 80}]}\n"),
    );
    assert_eq!([status(live.address(), &one).await, status(live.address(), &other).await], [429, 200]);
    live.publish(&(guarded(&filters) + &limit(3)));
    assert_eq!(status(live.address(), &one).await, 200);
}

/// A policy that comes, goes wrong or goes away counts for the next request, though nothing else has changed.
#[tokio::test(flavor = "multi_thread")]
async fn policies_change() {
    let text = |more: &str| guarded(&reference("RateLimitPolicy", "p")) + more;
    let good = policy("RateLimitPolicy", "p", "rates: [{limit: 100, duration: 1h}]");
    let mut live = Live::start(&text(""), &[]).await;
    let mut got = vec![status(live.address(), &[]).await];
    for more in [&good, &policy("RateLimitPolicy", "p", "rates: []"), &good, ""] {
        live.publish(&text(more));
        got.push(status(live.address(), &[]).await);
    }
    assert_eq!(got, [500, 200, 500, 200, 500]);
}

/// They stand before redirects, and before answers of rules without backend, and count for the chosen backend alone.
#[tokio::test(flavor = "multi_thread")]
async fn guards_stand_before_everything() {
    let once = policy("RateLimitPolicy", "p", "rates: [{limit: 1, duration: 1h}]");
    let filter = reference("RateLimitPolicy", "p");
    let cors = "{type: CORS, cors: {allowOrigins: ['https://app.example']}}";
    for (rule, first) in [
        (format!("{{filters: [{filter}, {{type: RequestRedirect, requestRedirect: {{hostname: o.example}}}}]}}"), 302),
        (format!("{{filters: [{filter}]}}"), 500),
        (format!("{{backendRefs: [{{name: a, port: 80, filters: [{filter}]}}]}}"), 200),
        (format!("{{filters: [{cors}, {filter}], backendRefs: [{{name: a, port: 80}}]}}"), 200),
    ] {
        let live = Live::start(&(route(&rule) + &once), &[]).await;
        let answer = || fetch(live.address(), "GET", "h", "/", &[("origin", "https://app.example")], b"");
        assert_eq!(answer().await.unwrap().status.as_u16(), first, "{rule}");
        let refused = answer().await.unwrap();
        assert_eq!(refused.status.as_u16(), 429, "{rule}");
        // [F-7]: a browser must be able to read the refusal.
        assert_eq!(refused.headers.contains_key("access-control-allow-origin"), rule.contains("CORS"), "{rule}");
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
        if rule.contains("CORS") {
            assert_eq!(fetch(live.address(), "OPTIONS", "h", "/", &preflight, b"").await.unwrap().status.as_u16(), 204);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries() {
    let backend = Retried::start(Name { namespace: "default".into(), service: "a".into() }).await.unwrap();
    let text = |spec: &str| guarded(&reference("HTTPRetryPolicy", "p")) + &policy("HTTPRetryPolicy", "p", spec);
    let fast = "backoff: {baseInterval: 1ms}";
    for (n, (spec, method, fails, expected, arrived)) in [
        ("retryOn: [5xx], numRetries: 3", "GET", "succeedAfter=3&responseCode=500", 200, 4),
        ("retryOn: [5xx], numRetries: 2", "GET", "succeedAfter=3&responseCode=500", 500, 3),
        ("retryOn: [gateway-error], numRetries: 2", "GET", "succeedAfter=1&responseCode=500", 500, 1),
        ("retryOn: ['503']", "POST", "succeedAfter=1&responseCode=503", 200, 2),
        ("retryOn: [503]", "GET", "succeedAfter=1&responseCode=503", 200, 2),
        ("retryOn: [5xx], numRetries: 3", "POST", "succeedAfter=1&responseCode=503", 503, 1),
        ("retryOn: [reset]", "GET", "succeedAfter=1", 200, 2),
        // RFC 9110 section 9.2.2: it may have been carried out.
        ("retryOn: [5xx, reset, connect-failure], numRetries: 3", "POST", "succeedAfter=1", 502, 1),
        ("retryOn: [connect-failure], numRetries: 3", "GET", "succeedAfter=1", 502, 1),
        ("retryOn: [retriable-4xx]", "GET", "succeedAfter=1&responseCode=409", 200, 2),
        ("retryOn: [5xx], numRetries: 0", "GET", "succeedAfter=1&responseCode=503", 503, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let live = Live::start(&text(&format!("{spec}, {fast}")), &[("default/a:80", backend.address)]).await;
        let target = format!("/retry?uuid={n}&{fails}");
        let answer = fetch(live.address(), method, "h", &target, &[], b"x").await.unwrap();
        assert_eq!((answer.status.as_u16(), backend.arrived(&target).await), (expected, arrived), "{spec} {method} {fails}");
    }
    // Without a connection nothing has happened yet: of two addresses the one that is there gets any request.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let both = [("default/a:80", closed), ("default/a:80", backend.address)];
    let live = Live::start(&text(&format!("retryOn: [connect-failure], numRetries: 10, {fast}")), &both).await;
    for n in 0..10 {
        assert_eq!(fetch(live.address(), "POST", "h", &format!("/{n}"), &[], b"x").await.unwrap().status, StatusCode::OK);
    }
}

/// The rule's own `retry` is what counts if both are there.
#[tokio::test(flavor = "multi_thread")]
async fn the_retries_of_the_rule_come_first() {
    let backend = Retried::start(Name { namespace: "default".into(), service: "a".into() }).await.unwrap();
    let filter = reference("HTTPRetryPolicy", "p");
    let rule = format!("{{filters: [{filter}], retry: {{attempts: 1, codes: [503], backoff: 1ms}}, backendRefs: [{{name: a, port: 80}}]}}");
    let text = route(&rule) + &policy("HTTPRetryPolicy", "p", "retryOn: [5xx], numRetries: 9");
    let live = Live::start(&text, &[("default/a:80", backend.address)]).await;
    let target = "/retry?uuid=own&succeedAfter=5&responseCode=503";
    assert_eq!(fetch(live.address(), "GET", "h", target, &[], b"").await.unwrap().status.as_u16(), 503);
    assert_eq!(backend.arrived(target).await, 2);
}

/// A backend of pages: `/page` has one, `/slow` never comes, all else is 404.
async fn pages() -> SocketAddr {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let (status, body) = if head.starts_with("GET /page ") { ("200 OK", "sorry") } else { ("404 Not Found", "no page") };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: text/html\r\nset-cookie: page=1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn error_pages() {
    let from = pages().await;
    let page = |codes: &str, path: &str| format!("{{codes: [{codes}], backendRef: {{name: pages, port: 80, path: {path}}}}}");
    let spec = format!("errorPages: [{}, {}]", page("404, 502", "/page"), page("503", "/none"));
    let text = guarded(&reference("ErrorPagePolicy", "p")) + &policy("ErrorPagePolicy", "p", &spec);
    let mut live = Live::start(&text, &[("default/pages:80", from)]).await;
    let get = |target: &'static str| fetch(live.address(), "GET", "h", target, &[("x-echo-set-header", "x-of:backend,etag:1")], b"");
    let answer = get("/status/404").await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"sorry"[..]));
    // Fields are those of the response, besides those of its body.
    assert_eq!((answer.headers["x-of"].to_str().unwrap(), answer.headers["content-type"].to_str().unwrap()), ("backend", "text/html"));
    assert!(!answer.headers.contains_key("etag") && !answer.headers.contains_key("set-cookie"), "{:?}", answer.headers);
    // Others, and those whose page is not to be had, stay as they are.
    assert_eq!(get("/").await.unwrap().pod(), "a");
    assert_eq!(get("/status/500").await.unwrap().pod(), "a");
    let without = get("/status/503").await.unwrap();
    assert_eq!((without.status.as_u16(), without.pod().as_str()), (503, "a"));
    let head = fetch(live.address(), "HEAD", "h", "/status/404", &[], b"").await.unwrap();
    assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
    let grpc = fetch_h2(live.address(), "POST", "h", "/status/404", &GRPC, b"").await.unwrap();
    assert_ne!(&grpc.body[..], b"sorry");
    // A Service that does not exist is told, and is no reason to refuse requests.
    live.publish(&text.replace("name: pages, port: 80, path", "name: missing, port: 80, path"));
    let answer = fetch(live.address(), "GET", "h", "/status/404", &[], b"").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.pod().as_str()), (404, "a"));
}

/// The gateway's own answers within the rule have pages as well.
#[tokio::test(flavor = "multi_thread")]
async fn error_pages_of_the_gateway() {
    let from = pages().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let filters = [reference("ErrorPagePolicy", "p"), reference("RateLimitPolicy", "l")].join(", ");
    let spec = "errorPages: [{codes: [502, 429], backendRef: {name: pages, port: 80, path: /page}}]";
    let text =
        guarded(&filters) + &policy("ErrorPagePolicy", "p", spec) + &policy("RateLimitPolicy", "l", "rates: [{limit: 1, duration: 1h}]");
    let live = Live::start(&text, &[("default/pages:80", from), ("default/a:80", closed)]).await;
    for expected in [502, 429] {
        let answer = fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (expected, &b"sorry"[..]));
        assert_eq!(answer.headers.contains_key("retry-after"), expected == 429);
    }
    // No endpoint, no backend, no weight: nothing is forwarded, and the filters are those of the rule all the same.
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a-1, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nendpoints: []\n";
    let spec = "errorPages: [{codes: [500, 503], backendRef: {name: pages, port: 80, path: /page}}]";
    let filter = reference("ErrorPagePolicy", "p");
    for (backends, expected) in [
        ("backendRefs: [{name: a, port: 80}]", 503),
        ("backendRefs: [{name: missing, port: 80}]", 500),
        ("backendRefs: [{name: a, port: 80, weight: 0}]", 500),
        ("backendRefs: []", 500),
    ] {
        let text = route(&format!("{{filters: [{filter}], {backends}}}")) + &policy("ErrorPagePolicy", "p", spec) + slice;
        let live = Live::start(&text, &[("default/pages:80", from)]).await;
        let answer = fetch(live.address(), "GET", "h", "/", &[], b"").await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (expected, &b"sorry"[..]), "{backends}");
    }
}

fn auth_filter(jwks: &str) -> String {
    policy(
        "AuthFilter",
        "p",
        &format!("type: JWT, jwt: {{issuers: [{{uri: 'https://auth.example.com'{jwks}}}], audiences: [api.example.com]}}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let (ours, other) = (Issuer::new("https://auth.example.com", "k1"), Issuer::new("https://auth.example.com", "k1"));
    let config_map = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: keys}}\ndata: {{jwks.json: '{}'}}\n", ours.jwks());
    let text = guarded(&reference("AuthFilter", "p")) + &auth_filter(", jwks: {configMapRef: {name: keys}}") + &config_map;
    let live = Live::start(&text, &[]).await;
    let asked = async |authorization: &[&str]| {
        let fields: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        let answer = fetch(live.address(), "GET", "h", "/", &fields, b"").await.unwrap();
        let challenge = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (answer.status.as_u16(), challenge.unwrap_or_default())
    };
    let bearer = |token: String| format!("Bearer {token}");
    let good = bearer(ours.token(&ours.claims(json!({}))));
    for accepted in [
        good.clone(),
        good.replace("Bearer", "bEARER"),
        bearer(ours.signed(&Header::new(Algorithm::ES256), &ours.claims(json!({})))),
        bearer(ours.token(&ours.claims(json!({"aud": ["x", "api.example.com"], "nbf": at(-5)})))),
        // Within the leeway.
        bearer(ours.token(&ours.claims(json!({"exp": at(-20), "nbf": at(20)})))),
    ] {
        assert_eq!(asked(&[&accepted]).await, (200, String::new()), "{accepted}");
    }
    let hmac = |secret: &[u8]| {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &ours.claims(json!({})), &EncodingKey::from_secret(secret)).unwrap()
    };
    let claims = |changes| bearer(ours.token(&ours.claims(changes)));
    for (refused, why) in [
        (claims(json!({"exp": at(-120)})), "expired"),
        (claims(json!({"exp": null})), "no exp"),
        (claims(json!({"exp": "soon"})), "exp is no time"),
        (claims(json!({"nbf": at(120)})), "not yet"),
        (claims(json!({"aud": "other"})), "other audience"),
        (claims(json!({"aud": null})), "no audience"),
        (claims(json!({"iss": "https://evil.example"})), "other issuer"),
        (claims(json!({"iss": null})), "no issuer"),
        (bearer(other.token(&other.claims(json!({})))), "other key"),
        (bearer(ours.signed(&Header { kid: Some("k2".into()), ..Header::new(Algorithm::ES256) }, &ours.claims(json!({})))), "other key id"),
        (
            bearer(ours.signed(&Header { crit: Some(vec!["x".into()]), ..Header::new(Algorithm::ES256) }, &ours.claims(json!({})))),
            "critical",
        ),
        (bearer(unsigned(&json!({"alg": "none"}), &ours.claims(json!({})), "")), "alg none"),
        (bearer(unsigned(&json!({"alg": "ES256"}), &ours.claims(json!({})), "")), "no signature"),
        (bearer(hmac(&ours.public())), "the public key as a secret"),
        (good.replace(".ey", ".eY"), "changed"),
        ("Bearer x".to_owned(), "no token at all"),
    ] {
        assert_eq!(asked(&[&refused]).await, (401, "Bearer error=\"invalid_token\"".to_owned()), "{why}");
    }
    assert_eq!(asked(&[&good, &good]).await.0, 401);
    for without in [&[][..], &["Basic YTpi"], &["Bearer"]] {
        assert_eq!(asked(without).await, (401, "Bearer".to_owned()));
    }
    let grpc = fetch_h2(live.address(), "POST", "h", "/", &GRPC, b"").await.unwrap();
    assert_eq!((grpc.status.as_u16(), grpc.headers["grpc-status"].to_str().unwrap()), (200, "16"));
}

/// Keys come from a Secret, a ConfigMap, or a file that the policy or the command line names.
#[tokio::test(flavor = "multi_thread")]
async fn where_keys_come_from() {
    let ours = Issuer::new("https://auth.example.com", "k1");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ours.jwks()).unwrap();
    let encoded = STANDARD.encode(ours.jwks());
    let object = |kind: &str, member: &str, value: &str| {
        format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: keys}}\n{member}: {{set: '{value}'}}\n")
    };
    for (jwks, more) in [
        ("secretRef: {name: keys, key: set}".to_owned(), object("Secret", "data", &encoded)),
        ("secretRef: {name: keys, key: set}".to_owned(), object("Secret", "stringData", &ours.jwks())),
        ("configMapRef: {name: keys, key: set}".to_owned(), object("ConfigMap", "data", &ours.jwks())),
        ("configMapRef: {name: keys, key: set}".to_owned(), object("ConfigMap", "binaryData", &encoded)),
        (format!("file: '{}'", file.path().display()), String::new()),
    ] {
        let text = guarded(&reference("AuthFilter", "p")) + &auth_filter(&format!(", jwks: {{{jwks}}}")) + &more;
        let live = Live::start(&text, &[]).await;
        let token = format!("Bearer {}", ours.token(&ours.claims(json!({}))));
        let of_other = format!("Bearer {}", Issuer::new(ours.uri, "k1").token(&ours.claims(json!({}))));
        assert_eq!(status(live.address(), &[("authorization", &token)]).await, 200, "{jwks}");
        assert_eq!(status(live.address(), &[("authorization", &of_other)]).await, 401, "{jwks}");
    }
    let loaded = load(&auth_filter(""));
    let read = |files: &[(&str, &std::path::Path)]| {
        let keys = files.iter().map(|(issuer, file)| ((*issuer).to_owned(), file.to_path_buf())).collect();
        Extensions::read(&loaded.kept, &loaded.resources, &keys, &Extensions::default()).0.known().len()
    };
    assert_eq!(read(&[("https://auth.example.com", file.path())]), 1);
    assert_eq!(read(&[("https://other.example.com", file.path())]), 0);
    std::fs::write(file.path(), "{\"keys\": []}").unwrap();
    assert_eq!(read(&[("https://auth.example.com", file.path())]), 0, "no key is no permission");
}

/// Keys that are exchanged count at once, also those of a file that no manifest has in it.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged() {
    let (old, new) = (Issuer::new("https://auth.example.com", "old"), Issuer::new("https://auth.example.com", "new"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), old.jwks()).unwrap();
    let text = guarded(&reference("AuthFilter", "p")) + &auth_filter(&format!(", jwks: {{file: '{}'}}", file.path().display()));
    let mut live = Live::start(&text, &[]).await;
    let tokens = [&old, &new].map(|issuer| format!("Bearer {}", issuer.token(&issuer.claims(json!({})))));
    let statuses =
        async |address| [status(address, &[("authorization", &tokens[0])]).await, status(address, &[("authorization", &tokens[1])]).await];
    assert_eq!(statuses(live.address()).await, [200, 401]);
    std::fs::write(file.path(), new.jwks()).unwrap();
    live.publish_again(&text);
    assert_eq!(statuses(live.address()).await, [401, 200]);
}

/// The order is the one written: who has no token uses up nobody's limit, or the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn policies_run_in_order() {
    let ours = Issuer::new("https://auth.example.com", "k1");
    let config_map = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: keys}}\ndata: {{jwks.json: '{}'}}\n", ours.jwks());
    let more = auth_filter(", jwks: {configMapRef: {name: keys}}")
        + &policy("RateLimitPolicy", "p", "rates: [{limit: 1, duration: 1h}]")
        + &config_map;
    let (auth, limit) = (reference("AuthFilter", "p"), reference("RateLimitPolicy", "p"));
    let token = format!("Bearer {}", ours.token(&ours.claims(json!({}))));
    for (filters, expected) in [([&auth, &limit], [401, 200, 401, 429]), ([&limit, &auth], [401, 429, 429, 429])] {
        let live = Live::start(&(guarded(&filters.map(String::as_str).join(", ")) + &more), &[]).await;
        let mut got = Vec::new();
        for n in 0..4 {
            let fields = [("authorization", token.as_str())];
            got.push(status(live.address(), if n % 2 == 0 { &[] } else { &fields }).await);
        }
        assert_eq!(got, expected);
    }
}
