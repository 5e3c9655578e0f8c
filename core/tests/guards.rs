//! Filters that may guard access: ExternalAuth and ExtensionRef ([E-1] to [E-7], [F-60], [F-61]).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;

use gatewright::model::auth::AuthProtocol;
use gatewright::{
    Arrival, Changes, Compiled, Compiler, Decision, Extension, Feature, ObjectRef, Options, Pick, Request, Severity, Update, apply, compile,
};
use http::{HeaderMap, HeaderValue, StatusCode};

const BASE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: auth}
spec: {ports: [{port: 9000}]}
";

fn loaded(rules: &str) -> gatewright::load::Loaded {
    let route = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n  rules:\n";
    let loaded = gatewright::load::load_text("t", &format!("{BASE}{route}{rules}"));
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    loaded
}

fn compiled(rules: &str, options: &Options) -> Compiled {
    compile(&loaded(rules).resources, options)
}

/// Decides a request of the `http` crate.
fn with_decision<T>(
    compiled: &Compiled,
    request: http::request::Builder,
    then: impl FnOnce(&Decision<'_>, &http::request::Parts) -> T,
) -> T {
    let (parts, ()) = request.header("host", "app.example").body(()).unwrap().into_parts();
    let table = &compiled.table;
    let decision = table.decide(&Request::from_http(&parts, Arrival::on(table.ports()[0].id)), Pick(0));
    then(&decision, &parts)
}

fn reason(compiled: &Compiled, path: &str) -> String {
    with_decision(compiled, http::Request::get(path), |decision, _| match decision {
        Decision::Respond(d) => format!("{} {}", d.status.as_u16(), d.reason.as_str()),
        Decision::Forward(_) => "forward".to_owned(),
        other => format!("{other:?}"),
    })
}

fn conditions(compiled: &Compiled) -> String {
    let conditions = &compiled.status.http_routes[0].status.parents[0].conditions;
    conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect::<Vec<_>>().join(", ")
}

fn auth(more: &str) -> String {
    format!("{{type: ExternalAuth, externalAuth: {{protocol: HTTP, backendRef: {{name: auth, port: 9000}}{more}}}}}")
}

/// The whole way: what is asked, and what comes of a yes.
#[test]
fn a_request_is_checked_and_goes_on() {
    let filter =
        auth(", http: {path: /verify/, allowedHeaders: [x-tenant], allowedResponseHeaders: [x-user]}, forwardBody: {maxSize: 1024}");
    let rewrite = "{type: URLRewrite, urlRewrite: {hostname: inner, path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}}";
    let edit = "{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: x-user, value: via-gateway}]}}";
    let rules = format!(
        "  - {{matches: [{{path: {{value: /api}}}}], filters: [{filter}, {rewrite}, {edit}], backendRefs: [{{name: a, port: 80}}]}}"
    );
    let compiled = compiled(&rules, &Options::default());
    assert_eq!(conditions(&compiled), "Accepted=True Accepted, ResolvedRefs=True ResolvedRefs");
    let client = http::Request::post("/api/./x?q=1")
        .header("x-tenant", "t")
        .header("x-user", "root")
        .header("connection", "x-user-id")
        .header("cookie", "a=b");
    with_decision(&compiled, client, |decision, parts| {
        let Decision::Forward(forward) = decision else { panic!("{decision:?}") };
        let check = forward.auth.unwrap();
        let service = compiled.table.backend(check.service.backend()).unwrap();
        assert_eq!((&*service.object.name, service.port, check.service.max_body()), ("auth", 9000, 1024));
        let asked = apply::auth::request(&check, &forward.target, parts, 3);
        assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("POST", "/verify/api/x?q=1"));
        assert_eq!((asked.headers["host"].as_bytes(), asked.headers["x-tenant"].as_bytes()), (&b"app.example"[..], &b"t"[..]));
        assert!(!asked.headers.contains_key("cookie") && !asked.headers.contains_key("x-user"));
        // The answer, and the request that goes on.
        assert_eq!(apply::auth::Verdict::of_status(StatusCode::OK), apply::auth::Verdict::Allow);
        let mut answer = HeaderMap::new();
        answer.insert("x-user", HeaderValue::from_static("ann"));
        answer.insert("x-other", HeaderValue::from_static("1"));
        let mut outgoing = parts.clone();
        apply::forward_allowed(forward, &answer, &mut outgoing);
        assert_eq!((outgoing.uri.to_string().as_str(), outgoing.headers["host"].as_bytes()), ("/v2/x?q=1", &b"inner"[..]));
        assert_eq!(outgoing.headers.get_all("x-user").iter().collect::<Vec<_>>(), ["ann", "via-gateway"]);
        assert!(!outgoing.headers.contains_key("x-other"));
        // A service that says nothing of the user leaves none of the client's.
        let mut outgoing = parts.clone();
        apply::forward_allowed(forward, &HeaderMap::new(), &mut outgoing);
        assert_eq!(outgoing.headers.get_all("x-user").iter().collect::<Vec<_>>(), ["via-gateway"]);
        let report = serde_json::to_value(compiled.table.report(decision)).unwrap();
        assert_eq!(report["auth"]["backend"]["name"], "auth");
        assert_eq!(report["auth"]["pathPrefix"], "/verify");
    });
}

/// A client cannot have the service's word removed by naming it in `Connection`, nor write it under another spelling.
#[test]
fn a_client_cannot_speak_for_the_service() {
    let filter = auth(", http: {allowedResponseHeaders: [x-user]}");
    let compiled = compiled(&format!("  - {{filters: [{filter}], backendRefs: [{{name: a, port: 80}}]}}"), &Options::default());
    let client = http::Request::get("/").header("connection", "x-user").header("x_user", "root").header("x-user", "root");
    with_decision(&compiled, client, |decision, parts| {
        let Decision::Forward(forward) = decision else { panic!("{decision:?}") };
        let mut answer = HeaderMap::new();
        answer.insert("x-user", HeaderValue::from_static("ann"));
        let mut outgoing = parts.clone();
        apply::forward_allowed(forward, &answer, &mut outgoing);
        assert_eq!(outgoing.headers.get_all("x-user").iter().collect::<Vec<_>>(), ["ann"]);
        assert!(!outgoing.headers.contains_key("x_user"), "{:?}", outgoing.headers);
    });
}

/// [E-1], [E-7], [S-21]: what cannot be asked lets nobody through, and no broader rule answers.
#[test]
fn a_check_that_cannot_be_made() {
    let rules = |filter: &str| {
        format!(
            "  - {{matches: [{{path: {{value: /guarded}}}}], filters: [{filter}], backendRefs: [{{name: a, port: 80}}]}}\n  - {{backendRefs: [{{name: a, port: 80}}]}}"
        )
    };
    let unresolved = "Accepted=True Accepted, ResolvedRefs=False";
    for (filter, expected, status) in [
        (auth("").replace("name: auth", "name: gone"), "500 UnresolvedFilter", format!("{unresolved} BackendNotFound")),
        (auth("").replace("port: 9000", "port: 9000, namespace: other"), "500 UnresolvedFilter", format!("{unresolved} RefNotPermitted")),
        (auth("").replace("name: auth", "kind: Pod, name: auth"), "500 UnresolvedFilter", format!("{unresolved} InvalidKind")),
        (auth("").replace("HTTP", "SMTP"), "500 InvalidRule", String::new()),
        (auth(", http: {path: /a/../b}"), "500 InvalidRule", String::new()),
        (auth(", http: {allowedHeaders: [\"a b\"]}"), "500 InvalidRule", String::new()),
        (auth(", forwardBody: {maxSize: -1}"), "500 InvalidRule", String::new()),
        ("{type: ExternalAuth}".to_owned(), "500 InvalidRule", String::new()),
    ] {
        let compiled = compiled(&rules(&filter), &Options::default());
        assert_eq!(reason(&compiled, "/guarded/x"), expected, "{filter}");
        assert_eq!(reason(&compiled, "/open"), "forward", "{filter}");
        assert!(status.is_empty() || conditions(&compiled) == status, "{filter}: {}", conditions(&compiled));
    }
    for (missing, filter) in [
        (Feature::HttpRouteExternalAuth, auth("")),
        (Feature::HttpRouteExternalAuthHttp, auth("")),
        (Feature::HttpRouteExternalAuthGrpc, auth("").replace("HTTP", "GRPC")),
        (Feature::HttpRouteExternalAuthForwardBody, auth(", forwardBody: {maxSize: 1}")),
    ] {
        let mut options = Options::default();
        assert_eq!(reason(&compiled(&rules(&filter), &options), "/guarded"), "forward");
        options.features = options.features.without(missing);
        assert_eq!(reason(&compiled(&rules(&filter), &options), "/guarded"), "500 InvalidRule", "{missing}");
    }
    let of_backend = format!("  - {{backendRefs: [{{name: a, port: 80, filters: [{}]}}]}}", auth(""));
    assert_eq!(reason(&compiled(&of_backend, &Options::default()), "/"), "500 InvalidRule");
}

/// A GRPC service is talked to over HTTP/2, and a redirect waits for the check, too.
#[test]
fn grpc_services_and_redirects() {
    let redirect = "{type: RequestRedirect, requestRedirect: {hostname: secret.example}}";
    let rules = format!("  - {{filters: [{redirect}, {}]}}", auth(", grpc: {allowedHeaders: [cookie]}").replace("HTTP", "GRPC"));
    let compiled = compiled(&rules, &Options::default());
    with_decision(&compiled, http::Request::get("/a"), |decision, _| {
        let Decision::Redirect(redirect) = decision else { panic!("{decision:?}") };
        let service = redirect.auth.unwrap().service;
        assert_eq!((service.protocol(), service.request_headers().len()), (AuthProtocol::Grpc, 1));
        assert_eq!(compiled.table.backend(service.backend()).unwrap().protocol.as_str(), "h2c");
        assert_eq!(redirect.location.target().request_path(), "/a");
    });
}

/// [F-60], [F-61], [F-3]: known extensions are handed over in order; any other fails its requests.
#[test]
fn extensions() {
    let reference = |kind: &str, name: &str| format!("{{type: ExtensionRef, extensionRef: {{group: x.io, kind: {kind}, name: {name}}}}}");
    let mut options = Options::default();
    options.extensions.extend(["b", "a"].map(|name| (ObjectRef::new("x.io", "Limit", "default", name), Extension::default())));
    let known = [reference("Limit", "b"), reference("Limit", "a")].join(", ");
    let rules = |filters: &str, of_backend: &str| {
        format!("  - {{filters: [{filters}], backendRefs: [{{name: a, port: 80, filters: [{of_backend}]}}]}}")
    };
    let both = compiled(&rules(&known, &reference("Limit", "b")), &options);
    assert_eq!(conditions(&both), "Accepted=True Accepted, ResolvedRefs=True ResolvedRefs");
    with_decision(&both, http::Request::get("/"), |decision, _| {
        let Decision::Forward(forward) = decision else { panic!("{decision:?}") };
        let names = |list: &[ObjectRef]| list.iter().map(|o| o.name.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!((names(forward.extensions.of_rule()), names(forward.extensions.of_backend())), ("b a".to_owned(), "b".to_owned()));
        assert_eq!(forward.extensions.iter().count(), 3);
    });
    for (filters, of_backend, problem) in [
        (reference("Limit", "c"), String::new(), "BackendNotFound"),
        (reference("Other", "a"), String::new(), "InvalidKind"),
        ([known.as_str(), &reference("Other", "a")].join(", "), String::new(), "InvalidKind"),
        (known.clone(), reference("Other", "a"), "InvalidKind"),
    ] {
        let compiled = compiled(&rules(&filters, &of_backend), &options);
        assert_eq!(reason(&compiled, "/"), "500 UnresolvedFilter", "{filters} {of_backend}");
        assert_eq!(conditions(&compiled), format!("Accepted=True Accepted, ResolvedRefs=False {problem}"));
    }
    // A rule without a backend to send to: an extension may answer, else it is 500. The service is asked about the request.
    for backends in ["", ", backendRefs: [{name: a, port: 80, weight: 0}]", ", backendRefs: [{name: missing, port: 80}]"] {
        let alone = compiled(&format!("  - {{filters: [{known}, {}]{backends}}}", auth("")), &options);
        with_decision(&alone, http::Request::get("/x"), |decision, _| {
            let Decision::Respond(respond) = decision else { panic!("{decision:?}") };
            assert_eq!((respond.status.as_u16(), respond.extensions.iter().count(), respond.auth.is_some()), (500, 2, true));
            assert_eq!(respond.target.as_ref().map(|target| target.request_path()), Some("/x"));
        });
    }
}

/// The services of an extension are backends of the table, and one that is not there is only told. Extensions that come
/// or go count without any other change.
#[test]
fn extensions_have_services_and_change() {
    let rules =
        "  - {filters: [{type: ExtensionRef, extensionRef: {group: x.io, kind: Pages, name: p}}], backendRefs: [{name: a, port: 80}]}";
    let one = |services: &[(&str, u16)]| {
        let mut extension = Extension::default();
        extension.services = services.iter().map(|(name, port)| (Box::from(*name), *port)).collect();
        BTreeMap::from([(ObjectRef::new("x.io", "Pages", "default", "p"), extension)])
    };
    let mut compiler = Compiler::new(loaded(rules).resources, Options::default());
    let mut update = |extensions| compiler.update(Changes { extensions: Some(extensions), ..Changes::default() });
    let served = |update: &Update| update.table.backends().map(|backend| backend.object.name.to_string()).collect::<Vec<_>>().join(" ");
    let known = update(one(&[("auth", 9000)]));
    assert_eq!((served(&known).as_str(), known.whole, errors(&known)), ("auth a", true, String::new()));
    assert!(!update(one(&[("auth", 9000)])).whole, "nothing has changed");
    let broken = update(one(&[("nowhere", 80)]));
    assert_eq!(served(&broken), "a");
    assert!(errors(&broken).contains("`default/nowhere` does not exist"), "{}", errors(&broken));
    let gone = update(BTreeMap::new());
    assert!(errors(&gone).contains("no extension of kind `Pages.x.io` is known"), "{}", errors(&gone));
}

fn errors(update: &Update) -> String {
    let errors = update.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|diagnostic| diagnostic.message.as_str()).collect::<Vec<_>>().join("\n")
}
