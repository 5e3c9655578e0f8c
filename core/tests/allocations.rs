//! `decide` does not allocate for a canonical request, whatever the table holds.

use gatewright::{Arrival, Authority, Decision, Options, Pick, Request, compile};
use http::{HeaderMap, HeaderValue};

const MANIFESTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  listeners:
  - {name: any, port: 80, protocol: HTTP}
  - {name: wild, port: 80, protocol: HTTP, hostname: "*.example.com"}
  - {name: grpc, port: 80, protocol: HTTP, hostname: grpc.example.org}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mixed}
spec:
  parentRefs: [{name: gw}]
  hostnames: ["*.example.com", app.example.com, other.org]
  rules:
  - matches:
    - path: {type: RegularExpression, value: "/items/[0-9]+(/[a-z]*)?"}
      headers: [{name: x-kind, type: RegularExpression, value: "a|ab"}]
    backendRefs: [{name: a, port: 80, weight: 3}, {name: b, port: 80, weight: 1}]
  - matches:
    - path: {type: PathPrefix, value: /search}
      queryParams: [{name: q, value: "a b"}, {name: page, type: RegularExpression, value: "[0-9]+"}]
      method: GET
    filters:
    - {type: URLRewrite, urlRewrite: {hostname: search.internal, path: {type: ReplacePrefixMatch, replacePrefixMatch: /find}}}
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}], add: [{name: x-b, value: c}], remove: [x-c]}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: mirror, port: 80}, percent: 50}}
    - {type: CORS, cors: {allowOrigins: ["https://*.example.com"], allowMethods: ["*"]}}
    timeouts: {request: 10s, backendRequest: 2s}
    retry: {codes: [503], attempts: 2}
    sessionPersistence: {sessionName: sid}
    backendRefs:
    - name: search
      port: 80
      filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-d, value: e}]}}]
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
  - matches: [{path: {value: /deep/er/path}}, {path: {type: Exact, value: /exact}}]
    backendRefs: [{name: deep, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: gw, sectionName: grpc}]
  hostnames: [grpc.example.org]
  rules:
  - matches: [{method: {service: pkg.Users, method: Get}, headers: [{name: x-user, value: "1"}]}]
    backendRefs: [{name: users, port: 80}]
"#;

#[test]
fn deciding_does_not_allocate() {
    let mut options = Options::default();
    options.missing_services = gatewright::MissingServices::Assume;
    let loaded = gatewright::load::load_text("mixed", MANIFESTS);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let table = compile(&loaded.resources, &options).table;
    let port = table.ports()[0].id;
    let mut headers = HeaderMap::new();
    headers.insert("x-kind", HeaderValue::from_static("ab"));
    headers.insert("x-user", HeaderValue::from_static("1"));
    headers.insert("origin", HeaderValue::from_static("https://app.example.com"));
    let mut grpc = headers.clone();
    grpc.insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut of_one_hop = headers.clone();
    of_one_hop.insert("connection", HeaderValue::from_static("close, x-user"));
    of_one_hop.insert("x_kind", HeaderValue::from_static("ab"));
    let mut seen = [0_u32; 3];
    for (method, host, target, headers) in [
        ("GET", "app.example.com", "/items/42/abc", &headers),
        ("GET", "app.example.com", "/items/42/abc", &of_one_hop),
        ("GET", "APP.Example.com:8080", "/search/x?q=a+b&page=7", &headers),
        ("GET", "x.y.example.com.", "/old/page?keep=1", &headers),
        ("POST", "other.org", "/deep/er/path/and/more?x=%20", &headers),
        ("OPTIONS", "app.example.com", "/exact", &headers),
        ("GET", "app.example.com", "/nothing/here", &headers),
        ("GET", "unknown.example.net", "/", &headers),
        ("GET", "10.0.0.1", "/", &headers),
        ("GET", "app.example.com", "/a%2fb", &headers),
        ("BREW", "app.example.com", "/.well-known/%C3%A9", &headers),
        ("POST", "grpc.example.org", "/pkg.Users/Get", &grpc),
        ("POST", "grpc.example.org", "/pkg.Users/Put", &grpc),
    ] {
        for pick in [0, u64::MAX / 2, u64::MAX] {
            let request = Request {
                arrival: Arrival::on(port),
                method,
                scheme: Some("http"),
                authority: Authority::Given(host.as_bytes()),
                target: target.as_bytes(),
                headers,
            };
            let mut decided = None;
            let counted = allocation_counter::measure(|| {
                let decision = table.decide(&request, Pick(pick));
                if let Decision::Forward(forward) = &decision {
                    std::hint::black_box((forward.mirrors.iter().count(), forward.dropped(headers).count()));
                }
                decided = Some(decision);
            });
            let decision = decided.unwrap();
            assert_eq!(counted.count_total, 0, "{method} {host}{target} gave {decision:?}");
            seen[match decision {
                Decision::Forward(_) => 0,
                Decision::Redirect(_) => 1,
                _ => 2,
            }] += 1;
        }
    }
    assert!(seen.iter().all(|n| *n > 0), "the requests reach every kind of decision: {seen:?}");
    // The counter counts: a target that has to be rewritten costs one.
    let request = Request {
        arrival: Arrival::on(port),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"app.example.com"),
        target: b"/a/../exact",
        headers: &headers,
    };
    let counted = allocation_counter::measure(|| assert!(matches!(table.decide(&request, Pick(0)), Decision::Forward(_))));
    assert!(counted.count_total > 0);
}

/// The same for connections, and for finding a Service of a mesh.
#[test]
fn deciding_a_connection_does_not_allocate() {
    let text = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  listeners:
  - {name: pass, port: 443, protocol: TLS, hostname: "*.example.com", tls: {mode: Passthrough}}
  - {name: tcp, port: 5432, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: tls}
spec:
  parentRefs: [{name: gw}]
  hostnames: ["*.example.com", a.example.com]
  rules: [{backendRefs: [{name: a, port: 443}, {name: b, port: 443}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec: {parentRefs: [{name: gw}, {group: "", kind: Service, name: db, port: 5432}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
"#;
    let mut options = Options::default();
    options.missing_services = gatewright::MissingServices::Assume;
    let loaded = gatewright::load::load_text("streams", text);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let table = compile(&loaded.resources, &options).table;
    let mut forwarded = 0;
    let mut count = |arrival: Arrival<'_>| {
        let mut decided = None;
        let counted = allocation_counter::measure(|| decided = Some(table.decide_connection(&arrival, Pick(u64::MAX))));
        assert_eq!(counted.count_total, 0, "{arrival:?} gave {decided:?}");
        forwarded += u32::from(matches!(decided, Some(gatewright::ConnectionDecision::Forward(_))));
    };
    let ports = table.ports();
    for sni in ["a.example.com", "A.B.Example.com", "example.org", "", "a b"] {
        count(Arrival::with_sni(ports[0].id, sni));
    }
    count(Arrival::on(ports[0].id));
    count(Arrival::on(ports[1].id));
    let mut frontend = None;
    let counted = allocation_counter::measure(|| frontend = table.find_frontend("client", "default", "db", 5432).map(|found| found.id));
    assert_eq!(counted.count_total, 0);
    count(Arrival::at(frontend.unwrap()));
    assert_eq!(forwarded, 4);
}

/// A request with a token of a session is opened, checked and pinned without allocation, too.
#[cfg(feature = "session")]
#[test]
fn sessions_do_not_allocate() {
    use gatewright::session::{SessionKey, SessionKeys, Sessions};
    let mut options = Options::default();
    options.missing_services = gatewright::MissingServices::Assume;
    let loaded = gatewright::load::load_text("mixed", MANIFESTS);
    let table = compile(&loaded.resources, &options).table;
    let keys = SessionKeys::new(SessionKey::new(1, &[7; 32]), []);
    let sessions = Sessions { keys: &keys, now: 1 };
    let headers = HeaderMap::new();
    let request = |headers| Request {
        arrival: Arrival::on(table.ports()[0].id),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"app.example.com"),
        target: b"/search?q=a+b&page=7",
        headers,
    };
    let first = request(&headers);
    let Decision::Forward(forward) = table.decide_with_sessions(&first, Pick(0), &sessions) else { panic!("not forwarded") };
    let (_, value) = table.session_field(&forward, None, &sessions).unwrap();
    let cookie = value.to_str().unwrap().split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_str(cookie).unwrap());
    let again = request(&headers);
    let counted = allocation_counter::measure(|| match table.decide_with_sessions(&again, Pick(0), &sessions) {
        Decision::Forward(forward) => assert!(forward.session.unwrap().is_established()),
        other => panic!("{other:?}"),
    });
    assert_eq!(counted.count_total, 0);
}
