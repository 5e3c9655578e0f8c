//! Decisions on small manifests: the worked facts and tables of the specification.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use gatewright::{Arrival, Authority, Compiled, Decision, MissingServices, Options, Pick, Place, Request, compile};

fn compiled(routes: &str) -> Compiled {
    let gateway = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: alt, port: 8080, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}
";
    let text = format!("{gateway}{}", routes.replace("ROUTE", "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:"));
    let loaded = gatewright::load::load_text("t", &text);
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    compile(&loaded.resources, &options)
}

/// The decision in one line.
fn decide(compiled: &Compiled, port: u16, method: &str, url: &str, headers: &[(&str, &str)]) -> String {
    let (host, target) = url.split_at(url.find('/').unwrap_or(url.len()));
    let table = &compiled.table;
    let port = table.find_port(table.gateways()[0].id, port).unwrap();
    let arrival = Arrival { place: Place::Port(port.id), sni: Some(host), listener: None };
    let request =
        Request { arrival, method, scheme: None, authority: Authority::Given(host.as_bytes()), target: target.as_bytes(), headers };
    match table.decide(&request, Pick(0)) {
        Decision::Forward(d) => {
            format!("{} {}{}", table.backend(d.backend).unwrap().object.name, d.authority.unwrap_or_default(), d.target)
        }
        Decision::Redirect(d) => d.location.to_string(),
        Decision::Respond(d) => format!("{} {}", d.status.as_u16(), d.reason.as_str()),
        other => format!("{other:?}"),
    }
}

/// The table of [F-31], and what is derived from it.
#[test]
fn prefix_replacement() {
    for (path, prefix, replacement, expected) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo", "/foo", "/xyz/", "/xyz"),
        ("/bar", "/", "/xyz", "/xyz/bar"),
        ("/", "/", "/xyz", "/xyz/"),
        ("/foo/bar?q=/foo", "/foo", "xyz", "/xyz/bar?q=/foo"),
    ] {
        let compiled = compiled(&format!(
            "ROUTE {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n  - matches: [{{path: {{value: {prefix}}}}}]\n    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: \"{replacement}\"}}}}}}]\n    backendRefs: [{{name: b, port: 80}}]\n"
        ));
        assert_eq!(decide(&compiled, 80, "GET", &format!("h{path}"), &[]), format!("b h{expected}"), "{path} {prefix} {replacement}");
    }
}

/// The table of [F-23].
#[test]
fn redirect_port() {
    for (listener, scheme, port, expected) in [
        (80, "", "", "http://example.org"),
        (80, "", "80", "http://example.org"),
        (80, "", "8080", "http://example.org:8080"),
        (80, "https", "", "https://example.org"),
        (80, "https", "443", "https://example.org"),
        (80, "https", "8443", "https://example.org:8443"),
        (8080, "", "", "http://example.org:8080"),
        (8080, "", "80", "http://example.org"),
        (8080, "https", "", "https://example.org"),
        (443, "", "", "https://example.org"),
        (443, "", "443", "https://example.org"),
        (443, "", "8443", "https://example.org:8443"),
        (443, "http", "", "http://example.org"),
        (443, "http", "80", "http://example.org"),
        (443, "http", "8080", "http://example.org:8080"),
        (80, "", "443", "http://example.org:443"),
        (443, "", "80", "https://example.org:80"),
    ] {
        let field = |name: &str, value: &str| if value.is_empty() { String::new() } else { format!("{name}: {value}, ") };
        let redirect = format!("{{{}{}statusCode: 302}}", field("scheme", scheme), field("port", port));
        let compiled = compiled(&format!(
            "ROUTE {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {redirect}}}]}}]\n"
        ));
        assert_eq!(decide(&compiled, listener, "GET", "EXAMPLE.org/", &[]), format!("{expected}/"), "{listener} {scheme} {port}");
    }
}

/// [F-24], [F-33], [U-23]: what a redirect does to path and query.
#[test]
fn redirect_path() {
    let route = |modifier: &str| {
        compiled(&format!(
            "ROUTE {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n  - matches: [{{path: {{value: /a}}}}]\n    filters: [{{type: RequestRedirect, requestRedirect: {{{modifier}}}}}]\n"
        ))
    };
    assert_eq!(decide(&route(""), 80, "GET", "h/a/b?x=1", &[]), "http://h/a/b?x=1");
    assert_eq!(decide(&route("path: {type: ReplaceFullPath, replaceFullPath: /z}"), 80, "GET", "h/a/b?x=1", &[]), "http://h/z?x=1");
    assert_eq!(decide(&route("path: {type: ReplaceFullPath, replaceFullPath: \"\"}"), 80, "GET", "h/a/b", &[]), "http://h/");
    assert_eq!(decide(&route("path: {type: ReplacePrefixMatch, replacePrefixMatch: /z}"), 80, "GET", "h/a/b?x=1", &[]), "http://h/z/b?x=1");
}

/// [S-20], [U-29]: an invalid rule makes way, one with a filter that may guard access does not.
#[test]
fn invalid_rules() {
    let compiled = compiled(
        "ROUTE {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - {backendRefs: [{name: all, port: 80}]}
  - {matches: [{path: {value: /regex, type: RegularExpression}, headers: [{name: x, type: Exists, value: x}]}], backendRefs: [{name: never, port: 80}]}
  - {matches: [{path: {value: /strange}}], filters: [{type: Strange}], backendRefs: [{name: never, port: 80}]}
  - {matches: [{path: {value: /auth}}], filters: [{type: ExternalAuth, externalAuth: {protocol: SMTP, backendRef: {name: a, port: 80}}}], backendRefs: [{name: never, port: 80}]}
  - {matches: [{path: {value: /extension}}], filters: [{type: ExtensionRef, extensionRef: {group: x.io, kind: Limit, name: l}}], backendRefs: [{name: never, port: 80}]}
  - {matches: [{path: {value: /both}}], filters: [{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}]}
  - {matches: [{path: {value: /late}}], timeouts: {request: 1s, backendRequest: 2s}, backendRefs: [{name: never, port: 80}]}
",
    );
    for (path, expected) in [
        ("/regex", "all h/regex"),
        ("/strange", "500 InvalidRule"),
        ("/auth/x", "500 InvalidRule"),
        ("/extension", "500 UnresolvedFilter"),
        ("/both", "all h/both"),
        ("/late", "all h/late"),
    ] {
        assert_eq!(decide(&compiled, 80, "GET", &format!("h{path}"), &[]), expected);
    }
    let conditions = &compiled.status.http_routes[0].status.parents[0].conditions;
    let told: Vec<_> = conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
    assert_eq!(told, ["Accepted=True Accepted", "ResolvedRefs=False InvalidKind", "PartiallyInvalid=True UnsupportedValue"]);
    assert!(
        conditions[2].message.starts_with("Dropped Rule 1 (spec.rules[1].matches[0].headers[0].type: type `Exists`"),
        "{}",
        conditions[2].message
    );
}

/// [F-41]: each mirror gets its share, independently of the other and of the backend that was chosen.
#[test]
fn mirrors_get_their_share() {
    let compiled = compiled(
        "ROUTE {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - filters:
    - {type: RequestMirror, requestMirror: {percent: 25, backendRef: {name: quarter, port: 80}}}
    - {type: RequestMirror, requestMirror: {fraction: {numerator: 1, denominator: 2}, backendRef: {name: half, port: 80}}}
    - {type: RequestMirror, requestMirror: {percent: 0, backendRef: {name: never, port: 80}}}
    backendRefs: [{name: a, port: 80}, {name: b, port: 80}]
",
    );
    let table = &compiled.table;
    let headers: [(&str, &str); 0] = [];
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for n in 0..10_000_u64 {
        let request = Request {
            arrival: Arrival::on(table.ports()[0].id),
            method: "GET",
            scheme: None,
            authority: Authority::Given(b"h"),
            target: b"/",
            headers: &headers,
        };
        let Decision::Forward(forward) = table.decide(&request, Pick(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))) else {
            panic!("not forwarded")
        };
        let name = |id| table.backend(id).unwrap().object.name.to_string();
        let chosen = name(forward.backend);
        for mirror in forward.mirrors.iter() {
            *counts.entry(format!("{} with {chosen}", name(mirror))).or_default() += 1;
        }
    }
    let expected = [("half with a", 2_500), ("half with b", 2_500), ("quarter with a", 1_250), ("quarter with b", 1_250)];
    assert_eq!(counts.len(), expected.len(), "{counts:?}");
    for (name, wanted) in expected {
        assert!(counts[name].abs_diff(wanted) < 150, "{name}: {counts:?}");
    }
}

/// [U-26]: a preflight may be answered by a rule that only matches the method it asks about.
#[test]
fn preflights_and_methods() {
    let compiled = compiled(
        "ROUTE {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - {matches: [{method: PUT, path: {value: /cors}}], filters: [{type: CORS, cors: {allowOrigins: [\"*\"]}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{method: PUT, path: {value: /plain}}], backendRefs: [{name: b, port: 80}]}
",
    );
    let asks = [("origin", "https://a.example"), ("access-control-request-method", "PUT")];
    assert_eq!(decide(&compiled, 80, "OPTIONS", "h/cors", &asks), "204 CorsPreflight");
    assert_eq!(decide(&compiled, 80, "OPTIONS", "h/plain", &asks), "404 NoRoute");
    assert_eq!(decide(&compiled, 80, "OPTIONS", "h/cors", &asks[..1]), "404 NoRoute");
    assert_eq!(decide(&compiled, 80, "PUT", "h/cors", &[]), "b h/cors");
}

/// [U-40]: two equal matches are told, with winner and loser.
#[test]
fn shadowed_matches_are_told() {
    let compiled = compiled(
        "ROUTE {name: young, creationTimestamp: \"2026-01-02T00:00:00Z\"}
spec: {parentRefs: [{name: gw, sectionName: http}], rules: [{matches: [{path: {value: /a}}], backendRefs: [{name: young, port: 80}]}]}
ROUTE {name: zold, creationTimestamp: \"2026-01-01T00:00:00Z\"}
spec: {parentRefs: [{name: gw, sectionName: http}], rules: [{matches: [{path: {value: /a/}}], backendRefs: [{name: old, port: 80}]}]}
",
    );
    assert_eq!(decide(&compiled, 80, "GET", "h/a", &[]), "old h/a");
    let told: Vec<_> = compiled.diagnostics.iter().filter(|d| d.code == gatewright::Code::Shadowed).map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "warning[GW042]: HTTPRoute/default/young: spec.rules[0].matches[0]: for any host this match never wins: spec.rules[0].matches[0] of HTTPRoute/default/zold is equal and comes first by older route (creationTimestamp)"
        ]
    );
}

/// The same objects in another order give the same bytes.
#[test]
fn the_order_of_the_input_does_not_matter() {
    let text = include_str!("../../server/demo/quickstart.yaml");
    let loaded = gatewright::load::load_text("t", text);
    let mut reversed = loaded.resources.clone();
    reversed.http_routes.reverse();
    reversed.services.reverse();
    let one = compile(&loaded.resources, &Options::default());
    let other = compile(&reversed, &Options::default());
    assert_eq!(one.status, other.status);
    assert_eq!(one.diagnostics, other.diagnostics);
    assert_eq!(one.table.routing_rows(), other.table.routing_rows());
}

/// [M-21] and [M-22], by way of `explain`: who won, and by what.
#[test]
fn explanations() {
    let compiled = compiled(
        "ROUTE {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
  - {matches: [{path: {value: /path5}}], backendRefs: [{name: five, port: 80}]}
  - {matches: [{method: PATCH}], backendRefs: [{name: patch, port: 80}]}
  - {matches: [{headers: [{name: version, value: four}]}], backendRefs: [{name: four, port: 80}]}
",
    );
    let table = &compiled.table;
    let ask = |method: &str, target: &str, headers: &[(&str, &str)]| {
        let request = Request {
            arrival: Arrival::on(table.ports()[0].id),
            method,
            scheme: None,
            authority: Authority::Given(b"h"),
            target: target.as_bytes(),
            headers,
        };
        table.explain(&request, Pick(0))
    };
    let both = ask("PATCH", "/path5", &[("version", "four")]);
    assert_eq!(both.won_by.as_deref(), Some("longer path match"));
    let method = ask("PATCH", "/", &[("version", "four")]);
    assert_eq!(method.won_by.as_deref(), Some("method match"));
    let none = ask("GET", "/", &[("version", "five")]);
    assert_eq!(none.won_by, None);
    assert!(none.nearest.as_deref().unwrap().contains("failed on header `version` = `four`, found `five`"), "{none}");
    assert_eq!(none.candidates.len(), 3);
}
