//! Reasons of routes where several things are wrong at once.
#![cfg(feature = "yaml")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use gatewright::resource::status::RouteStatus;
use gatewright::{Compiled, Options, compile};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: there}
spec: {ports: [{port: 80}]}
";

/// `KIND name: SPEC`, one route a line.
fn compiled(routes: &[(&str, &str, &str)]) -> Compiled {
    let mut text = GATEWAY.to_owned();
    for (kind, name, rules) in routes {
        text += &format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{parentRefs: [{{name: gw}}], rules: {rules}}}\n"
        );
    }
    let loaded = gatewright::load::load_text("t", &text);
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    compile(&loaded.resources, &Options::default())
}

/// Type, status and reason of every condition towards the first parent.
fn conditions(status: &RouteStatus) -> Vec<String> {
    status.parents.iter().flat_map(|p| &p.conditions).map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect()
}

/// [S-12], [S-13]: the references of a rule count, whatever else is wrong with it.
#[test]
fn references_of_invalid_rules_count() {
    let unknown = "{type: Strange}";
    let mirror = "{type: RequestMirror, requestMirror: {backendRef: {name: gone, port: 80}}}";
    for rules in [
        format!("[{{filters: [{unknown}], backendRefs: [{{name: gone, port: 80}}]}}]"),
        format!("[{{filters: [{unknown}, {mirror}], backendRefs: [{{name: there, port: 80}}]}}]"),
        format!("[{{backendRefs: [{{name: there, port: 80, filters: [{unknown}, {mirror}]}}]}}]"),
    ] {
        let compiled = compiled(&[("HTTPRoute", "a", &rules)]);
        let expected = ["Accepted=False UnsupportedValue", "ResolvedRefs=False BackendNotFound"];
        assert_eq!(conditions(&compiled.status.http_routes[0].status), expected, "{rules}");
    }
}

/// [F-44]: a redirect and a mirror exclude each other, also when the mirror is not resolved.
#[test]
fn redirects_and_mirrors() {
    for name in ["there", "gone"] {
        let mirror = format!("{{type: RequestMirror, requestMirror: {{backendRef: {{name: {name}, port: 80}}}}}}");
        let rules = format!("[{{filters: [{{type: RequestRedirect, requestRedirect: {{}}}}, {mirror}]}}]");
        let compiled = compiled(&[("HTTPRoute", "a", &rules)]);
        assert_eq!(conditions(&compiled.status.http_routes[0].status)[0], "Accepted=False IncompatibleFilters", "{name}");
    }
}

/// [G-12]: only a route of which something is left takes its hostnames from routes of the other kind.
#[test]
fn invalid_routes_take_no_hostname() {
    let dropped = "[{filters: [{type: RequestHeaderModifier}]}]";
    let closed = "[{filters: [{type: Strange}]}]";
    for (rules, expected) in [(dropped, "Accepted=True Accepted"), (closed, "Accepted=False Conflicted")] {
        let compiled = compiled(&[("HTTPRoute", "a", rules), ("GRPCRoute", "b", "[{backendRefs: [{name: there, port: 80}]}]")]);
        assert_eq!(conditions(&compiled.status.grpc_routes[0].status)[0], expected, "{rules}");
    }
}

/// [V-20] has no rule against a star beside other names in `exposeHeaders`.
#[test]
fn a_star_among_exposed_headers() {
    let rules = "[{filters: [{type: CORS, cors: {allowOrigins: ['*'], exposeHeaders: [x-a, '*']}}]}]";
    let compiled = compiled(&[("HTTPRoute", "a", rules)]);
    assert_eq!(conditions(&compiled.status.http_routes[0].status)[0], "Accepted=True Accepted");
}

/// a conflict leaves a listener its kinds, and its routes stay accepted and counted.
#[test]
fn conflicts_leave_the_kinds() {
    let text = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  listeners:
  - {name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}
  - {name: http, port: 443, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: a}
spec: {hostnames: [a.com], parentRefs: [{name: gw}], rules: [{backendRefs: []}]}
";
    let loaded = gatewright::load::load_text("t", text);
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    let status = compile(&loaded.resources, &Options::default()).status;
    let listener = &status.gateways[0].status.listeners[0];
    let kinds: Vec<&str> = listener.supported_kinds.iter().map(|kind| kind.kind.as_str()).collect();
    assert_eq!((kinds, listener.attached_routes), (vec!["TLSRoute"], 1));
    assert_eq!(conditions(&status.tls_routes[0].status)[0], "Accepted=True Accepted");
}
