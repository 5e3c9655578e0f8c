//! ExternalAuth filters on real sockets ([E-1] to [E-7]).

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::auth::{Service, find, member, number, option, texts};
use common::backends::inside_tls;
use common::pki::{authority, server_of};
use common::{Answer, Live, fetch, fetch_h2, fields};
use http::{Response, StatusCode};

/// A Gateway, a route with these rules, and the Services `a` and `auth`, the latter with this `appProtocol`.
fn route(rules: &str, app_protocol: &str) -> String {
    let service = |name: &str, port: &str| {
        format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n")
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\nspec: {{gatewayClassName: any, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: gw}}], rules: [{rules}]}}\n{}{}",
        service("a", "80"),
        service("auth", &format!("9000{app_protocol}"))
    )
}

fn filter(protocol: &str, more: &str) -> String {
    format!("{{type: ExternalAuth, externalAuth: {{protocol: {protocol}, backendRef: {{name: auth, port: 9000}}{more}}}}}")
}

/// One rule to `a` behind the filter.
fn guarded(protocol: &str, more: &str) -> String {
    route(&format!("{{filters: [{}], backendRefs: [{{name: a, port: 80}}]}}", filter(protocol, more)), "")
}

async fn live(text: &str, auth: SocketAddr) -> Live {
    Live::start(text, &[("default/auth:9000", auth)]).await
}

async fn get(live: &Live, headers: &[(&str, &str)]) -> Answer {
    fetch(live.address(), "GET", "app.example", "/x?q=1", headers, b"").await.unwrap()
}

fn ok() -> Response<&'static str> {
    Response::new("")
}

/// [E-2], [E-5]: what the service is asked, and what its fields become; a client does not speak in its name.
#[tokio::test(flavor = "multi_thread")]
async fn http_allows() {
    let service = Service::http(|_| Response::builder().header("x-user", "ann").header("x-more", "1").body("").unwrap()).await;
    let more = ", http: {path: /check, allowedHeaders: [x-asked], allowedResponseHeaders: [x-user, x-role]}";
    let live = live(&guarded("HTTP", more), service.address).await;
    let sent = [("authorization", "Basic YTpi"), ("x-asked", "1"), ("x-other", "2"), ("x-user", "root"), ("x-role", "admin")];
    let answer = fetch(live.address(), "PUT", "app.example", "/a/../x?q=1", &sent, b"body").await.unwrap();
    let asked = service.last();
    assert_eq!((asked.head.method.as_str(), asked.head.uri.to_string().as_str()), ("PUT", "/check/x?q=1"));
    assert_eq!(
        (asked.field("host"), asked.field("authorization"), asked.field("x-asked")),
        (vec!["app.example"], vec!["Basic YTpi"], vec!["1"])
    );
    assert_eq!((asked.field("content-length"), asked.field("x-other"), asked.body.len()), (vec!["0"], vec![], 0));
    let echo = answer.echo().unwrap();
    let got = fields(&echo);
    assert_eq!((got.get_all("x-user").iter().count(), got["x-user"].to_str().unwrap(), echo.body), (1, "ann", 4));
    assert!(!got.contains_key("x-role") && !got.contains_key("x-more"), "{got:?}");
    // No list means all fields.
    let live = self::live(&guarded("HTTP", ""), service.address).await;
    let got = fields(&get(&live, &sent).await.echo().unwrap());
    assert_eq!(
        (got["x-user"].to_str().unwrap(), got["x-more"].to_str().unwrap(), got["host"].to_str().unwrap()),
        ("ann", "1", "app.example")
    );
}

/// [E-4]
#[tokio::test(flavor = "multi_thread")]
async fn http_denies() {
    let service = Service::http(|asked| {
        let status: u16 = asked.head.uri.path().rsplit('/').next().unwrap().parse().unwrap();
        Response::builder().status(status).header("www-authenticate", "Basic").header("location", "/login").body("who are you").unwrap()
    })
    .await;
    let live = live(&guarded("HTTP", ""), service.address).await;
    for (told, expected, body) in [
        ("401", 401, "who are you"),
        ("403", 403, "who are you"),
        ("302", 302, "who are you"),
        ("201", 403, ""),
        ("500", 500, ""),
        ("503", 500, ""),
    ] {
        let answer = fetch(live.address(), "GET", "h", &format!("/{told}"), &[], b"").await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (expected, body.as_bytes()), "{told}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), !body.is_empty(), "{told}");
        let grpc = fetch_h2(live.address(), "POST", "h", &format!("/{told}"), &[("content-type", "application/grpc")], b"").await.unwrap();
        let status = grpc.headers["grpc-status"].to_str().unwrap();
        let wanted = if expected == 401 {
            "16"
        } else if expected == 500 {
            "14"
        } else {
            "7"
        };
        assert_eq!((grpc.status.as_u16(), status, grpc.body.len()), (200, wanted, 0), "{told}");
    }
}

/// [E-7]: a service that cannot be asked lets nobody through, and a redirect or an answer of the gateway not out either.
#[tokio::test(flavor = "multi_thread")]
async fn fails_closed() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let redirect = "{type: RequestRedirect, requestRedirect: {hostname: secret.example}}";
    for protocol in ["HTTP", "GRPC"] {
        let filter = filter(protocol, "");
        for rule in [
            format!("{{filters: [{filter}], backendRefs: [{{name: a, port: 80}}]}}"),
            format!("{{filters: [{filter}, {redirect}]}}"),
            format!("{{filters: [{filter}]}}"),
            format!("{{filters: [{}], backendRefs: [{{name: a, port: 80}}]}}", filter.replace("name: auth", "name: nobody")),
        ] {
            let live = live(&route(&rule, ""), closed).await;
            let answer = get(&live, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.headers.get("location")), (500, None), "{rule}");
        }
    }
    // One that never answers: the rule's own timeout is shorter than ours.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rule = format!("{{filters: [{}], timeouts: {{request: 200ms}}, backendRefs: [{{name: a, port: 80}}]}}", filter("HTTP", ""));
    let live = live(&route(&rule, ""), silent.local_addr().unwrap()).await;
    let answer = tokio::time::timeout(Duration::from_secs(4), get(&live, &[])).await.expect("the timeout of the rule");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

/// A redirect, and the answer of a rule without backends, come after the service has said yes; its no comes instead.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_gateway_are_guarded() {
    let service = Service::http(|asked| {
        let status = if asked.field("authorization").is_empty() { 401 } else { 200 };
        Response::builder().status(status).body("").unwrap()
    })
    .await;
    let cors = "{type: CORS, cors: {allowOrigins: ['https://app.example']}}";
    for (rule, expected) in [
        (format!("{{filters: [{}, {{type: RequestRedirect, requestRedirect: {{hostname: o.example}}}}]}}", filter("HTTP", "")), 302),
        (format!("{{filters: [{cors}, {}]}}", filter("HTTP", "")), 500),
    ] {
        let live = live(&route(&rule, ""), service.address).await;
        let denied = get(&live, &[("origin", "https://app.example")]).await;
        assert_eq!(denied.status.as_u16(), 401, "{rule}");
        assert_eq!(denied.headers.contains_key("access-control-allow-origin"), rule.contains("CORS"));
        assert_eq!(get(&live, &[("authorization", "x")]).await.status.as_u16(), expected, "{rule}");
        assert_eq!(service.last().head.uri.to_string(), "/x?q=1");
        let before = service.asked().len();
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
        let answer = fetch(live.address(), "OPTIONS", "h", "/", &preflight, b"").await.unwrap();
        // [C-9]: a preflight carries no credentials, so nobody is asked.
        if rule.contains("CORS") {
            assert_eq!((answer.status.as_u16(), service.asked().len()), (204, before));
        }
    }
}

/// [E-6]
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_forwarded() {
    let service = Service::http(|_| ok()).await;
    let live = live(&guarded("HTTP", ", forwardBody: {maxSize: 10}"), service.address).await;
    for (body, expected) in [(&b""[..], 200), (b"0123456789", 200), (b"0123456789a", 413)] {
        let before = service.asked().len();
        let answer = fetch(live.address(), "POST", "h", "/", &[], body).await.unwrap();
        assert_eq!(answer.status.as_u16(), expected, "{body:?}");
        if expected == 200 {
            assert_eq!((&service.last().body[..], answer.echo().unwrap().body), (body, body.len()));
        } else {
            assert_eq!(service.asked().len(), before, "nobody is asked about a part");
        }
    }
    // One whose length nobody tells.
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (size, expected) in [(9, "HTTP/1.1 200"), (11, "HTTP/1.1 413")] {
        let mut stream = tokio::net::TcpStream::connect(live.address()).await.unwrap();
        let chunk = format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size));
        stream
            .write_all(format!("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunk}").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{size}: {answer}");
    }
}

/// [E-1]: TLS and `appProtocol` of the service apply.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_spoken_to_as_it_wants() {
    let service = Service::http(|_| ok()).await;
    let rule = format!("{{filters: [{}], backendRefs: [{{name: a, port: 80}}]}}", filter("HTTP", ""));
    let live = live(&route(&rule, ", appProtocol: kubernetes.io/h2c"), service.address).await;
    assert_eq!(get(&live, &[]).await.status, StatusCode::OK);
    assert_eq!(service.last().head.version, http::Version::HTTP_2);
    let (ours, other) = (authority("ours"), authority("other"));
    let address = inside_tls(&server_of(&ours, &["auth.internal"], &[]), service.address).await.unwrap();
    for (trusted, expected) in [(&ours, 200), (&other, 500)] {
        let policy = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: p}\nspec:\n  targetRefs: [{group: '', kind: Service, name: auth}]\n  validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}], hostname: auth.internal}\n";
        let live = self::live(&(route(&rule, "") + policy + &trusted.config_map("ca")), address).await;
        assert_eq!(get(&live, &[]).await.status.as_u16(), expected);
    }
}

/// `Status` with code 0, which is written as nothing.
fn yes() -> Vec<u8> {
    member(1, [])
}

/// [E-3]: what a service is told over gRPC.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_asks() {
    let service = Service::grpc(yes(), "0").await;
    let live = live(&guarded("GRPC", ", forwardBody: {maxSize: 100}"), service.address).await;
    let sent = [("x-one", "1"), ("x-one", "2"), ("authorization", "Basic YTpi"), ("content-type", "text/plain")];
    let answer = fetch(live.address(), "PUT", "App.example:80", "/a/../x?q=1", &sent, b"body").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.echo().unwrap().body), (200, 4));
    let asked = service.last();
    assert_eq!((asked.head.method.as_str(), asked.head.uri.path()), ("POST", "/envoy.service.auth.v3.Authorization/Check"));
    assert_eq!((asked.field("content-type"), asked.field("te")), (vec!["application/grpc"], vec!["trailers"]));
    let message = &asked.body[5..];
    assert_eq!(u32::from_be_bytes(asked.body[1..5].try_into().unwrap()) as usize, message.len());
    // attributes (1), request (4), http (2).
    let http = |number: u8| texts(message, &[1, 4, 2, number]);
    assert_eq!(
        [http(2), http(4), http(5), http(6), http(10), http(11)].concat(),
        ["PUT", "/x?q=1", "App.example:80", "http", "HTTP/1.1", "body"]
    );
    // attributes, source (1), address (1), socket address (1), address (2).
    assert_eq!(texts(message, &[1, 1, 1, 1, 2]), ["127.0.0.1"]);
    let names = texts(message, &[1, 4, 2, 3, 1]);
    let values = texts(message, &[1, 4, 2, 3, 2]);
    let value = |name: &str| names.iter().position(|one| one == name).map(|at| values[at].as_str());
    assert_eq!(
        (value("x-one"), value("authorization"), value("host"), value("content-length")),
        (Some("1,2"), Some("Basic YTpi"), None, None)
    );
    // A list is all that is told; a body that is no text is told as octets (12).
    let live = self::live(&guarded("GRPC", ", forwardBody: {maxSize: 100}, grpc: {allowedHeaders: [x-one]}"), service.address).await;
    fetch(live.address(), "POST", "h", "/", &sent, b"\xff\x00").await.unwrap();
    let message = service.last().body;
    assert_eq!(texts(&message[5..], &[1, 4, 2, 3, 1]), ["x-one"]);
    assert_eq!(find(&message[5..], &[1, 4, 2, 12]), [b"\xff\x00"]);
}

/// Fields of an answer over gRPC: set, appended, taken out; and fields for the response.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_allows() {
    let append = member(2, number(1, 1));
    let allowed = [
        member(2, option("x-user", "ann", &[])),
        member(2, option("x-list", "3", &append)),
        member(2, option("x-absent", "new", &number(3, 1))),
        member(2, option("x-there", "new", &number(3, 1))),
        member(2, option("host", "evil.example", &[])),
        member(5, "x-secret"),
        member(5, "host"),
        member(6, option("x-of-auth", "1", &[])),
    ];
    let service = Service::grpc([yes(), member(3, allowed.concat())].concat(), "0").await;
    let live = live(&guarded("GRPC", ""), service.address).await;
    let sent = [
        ("x-user", "root"),
        ("x-list", "1"),
        ("x-list", "2"),
        ("x-there", "old"),
        ("x-secret", "s"),
        ("x_user", "root"),
        ("x_secret", "s"),
    ];
    let answer = get(&live, &sent).await;
    assert_eq!(answer.headers["x-of-auth"].to_str().unwrap(), "1");
    let got = fields(&answer.echo().unwrap());
    let all = |name: &str| got.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(
        [all("x-user"), all("x-list"), all("x-absent"), all("x-there")],
        [vec!["ann"], vec!["1", "2", "3"], vec!["new"], vec!["old"]]
    );
    assert_eq!((all("host"), all("x-secret")), (vec!["app.example"], vec![]));
    // [R-F4]: nor in another spelling.
    assert_eq!([all("x_user"), all("x_secret")], [Vec::<&str>::new(), Vec::new()]);
}

/// What is no clear yes over gRPC.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_denies() {
    let no = member(1, number(1, 7));
    let denied =
        |status: u16| member(2, [member(1, number(1, status)), member(2, option("x-why", "token", &[])), member(3, "no way")].concat());
    for (message, call, expected, body) in [
        ([no.clone(), denied(401)].concat(), "0", 401, "no way"),
        ([no.clone(), denied(503)].concat(), "0", 503, "no way"),
        // A denial never looks like a success.
        ([no.clone(), denied(200)].concat(), "0", 403, "no way"),
        (no.clone(), "0", 403, ""),
        ([yes(), denied(401)].concat(), "0", 401, "no way"),
        (Vec::new(), "0", 500, ""),
        (yes(), "14", 500, ""),
        (vec![0xff, 0xff], "0", 500, ""),
    ] {
        let service = Service::grpc(message.clone(), call).await;
        let live = live(&guarded("GRPC", ""), service.address).await;
        let answer = get(&live, &[]).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (expected, body.as_bytes()), "{message:?} {call}");
        assert_eq!(answer.headers.contains_key("x-why"), !body.is_empty());
    }
    // A service that does not speak gRPC.
    let http = Service::http(|_| ok()).await;
    assert_eq!(get(&live(&guarded("GRPC", ""), http.address).await, &[]).await.status.as_u16(), 500);
}

/// The service is asked before the policies of the rule.
#[tokio::test(flavor = "multi_thread")]
async fn before_policies() {
    let service = Service::http(|asked| {
        Response::builder().status(if asked.field("authorization").is_empty() { 401 } else { 200 }).body("").unwrap()
    })
    .await;
    let limit = "{type: ExtensionRef, extensionRef: {group: policy.gateway.networking.k8s.io, kind: RateLimitPolicy, name: p}}";
    let rule = format!("{{filters: [{limit}, {}], backendRefs: [{{name: a, port: 80}}]}}", filter("HTTP", ""));
    let policy = "---\napiVersion: policy.gateway.networking.k8s.io/v1alpha1\nkind: RateLimitPolicy\nmetadata: {name: p}\nspec: {rates: [{limit: 1, duration: 1h}]}\n";
    let live = live(&(route(&rule, "") + policy), service.address).await;
    let mut got = Vec::new();
    for headers in [&[][..], &[], &[("authorization", "x")], &[("authorization", "x")]] {
        got.push(get(&live, headers).await.status.as_u16());
    }
    assert_eq!(got, [401, 401, 200, 429]);
}
