//! What the API server would reject is reported, with the API's own sentence and the path of the field: a table of
//! objects that break one CEL rule each, and every bound of the CRDs' schemas.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that reads files"
)]

mod bounds;
mod crd;
mod defaults;
mod rules;

use gatewright::load::load_text;
use gatewright::{Code, Diagnostic, MissingServices, Options, compile};
use serde_json::Value;

/// Every finding about an object: of the loader, and of compiling.
fn findings(object: &Value) -> Vec<Diagnostic> {
    let loaded = load_text("object", &object.to_string());
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    let compiled = compile(&loaded.resources, &options);
    loaded.diagnostics.into_iter().chain(compiled.diagnostics).collect()
}

/// The findings that the API server would reject the object.
fn rejections(object: &Value) -> Vec<Diagnostic> {
    findings(object).into_iter().filter(|finding| finding.code == Code::Rejected).collect()
}

/// The status of the answer to a request for a path, or 200 for one that is forwarded.
fn answer(table: &gatewright::Table, target: &str) -> u16 {
    let request = gatewright::Request {
        arrival: gatewright::Arrival::on(table.ports()[0].id),
        method: "GET",
        scheme: None,
        authority: gatewright::Authority::Given(b"a.example"),
        target: target.as_bytes(),
        headers: &http::HeaderMap::new(),
    };
    match table.decide(&request, gatewright::Pick(0)) {
        gatewright::Decision::Respond(respond) => respond.status.as_u16(),
        _ => 200,
    }
}

/// What would be rejected as a whole is reported, and what is sound of it works; a check that cannot be read is
/// never left out.
#[test]
fn sound_parts_keep_working() {
    let text = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: a}
spec:
  gatewayClassName: a
  listeners: [{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a}
spec:
  parentRefs: [{name: a}]
  hostnames: [a.example, A.example]
  rules:
  - {matches: [{path: {value: /sound}}], backendRefs: [{name: a, port: 80}]}
  - {matches: [{path: {value: /bad, type: Glob}}], backendRefs: [{name: a, port: 80}]}
  - {matches: [{path: {value: /no-port}}], backendRefs: [{name: a}]}
  - {matches: [{path: {value: /sound/guarded}}], filters: [{type: ExternalAuth, externalAuth: {}}], backendRefs: [{name: a, port: 80}]}
";
    let loaded = load_text("t", text);
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    let compiled = compile(&loaded.resources, &options);
    let told: Vec<_> = compiled.diagnostics.iter().filter(|d| d.severity != gatewright::Severity::Info).map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "error[GW014]: Gateway/default/a: spec.listeners[1].name: Listener name must be unique within the Gateway (found `a`)",
            "warning[GW012]: Gateway/default/a: spec.listeners[1].name: the listener is left out",
            r"error[GW014]: HTTPRoute/default/a: spec.hostnames[1]: should match '^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$' (found `A.example`, expected a hostname: labels of lower-case letters, digits and inner hyphens, `*` only as the first)",
            "warning[GW010]: HTTPRoute/default/a: spec.hostnames[1]: the hostname is ignored",
            "warning[GW040]: HTTPRoute/default/a: spec.rules[1]: the rule is left out",
            "error[GW014]: HTTPRoute/default/a: spec.rules[1].matches[0].path.type: type must be one of ['Exact', 'PathPrefix', 'RegularExpression'] (found `Glob`)",
            "error[GW014]: HTTPRoute/default/a: spec.rules[2].backendRefs[0].port: Must have port for Service reference",
            "warning[GW021]: HTTPRoute/default/a: spec.rules[2].backendRefs[0].port: its share of the requests is answered with 500",
            "warning[GW041]: HTTPRoute/default/a: spec.rules[3]: the rule keeps its matches and answers 500",
            "error[GW014]: HTTPRoute/default/a: spec.rules[3].filters[0].externalAuth.backendRef: Required value",
            "error[GW014]: HTTPRoute/default/a: spec.rules[3].filters[0].externalAuth.protocol: Required value",
        ]
    );
    let wanted = [("/sound", 200), ("/bad", 404), ("/no-port", 500), ("/sound/guarded", 500)];
    assert_eq!(wanted.map(|(target, _)| (target, answer(&compiled.table, target))), wanted);
}

/// Empty, absent and null ([R-6], [R-7]): what is said of each, with the paths of what would be rejected.
#[test]
fn empty_absent_and_null() {
    for (kind, spec, wanted) in [
        ("HTTPRoute", "{}", &[][..]),
        ("HTTPRoute", "{rules: null, hostnames: null, parentRefs: null}", &[]),
        ("HTTPRoute", "{rules: []}", &["spec.rules"]),
        ("HTTPRoute", "{hostnames: [], rules: [{matches: [], filters: [], backendRefs: []}]}", &[]),
        ("HTTPRoute", "{rules: [{matches: null, backendRefs: null, timeouts: null}]}", &[]),
        // Each default by itself ([R-5]).
        ("HTTPRoute", "{rules: [{matches: [{path: {type: Exact}}, {path: {value: /a}}, {path: {}}]}]}", &[]),
        ("GRPCRoute", "{rules: []}", &[]),
        ("GRPCRoute", "{rules: [{matches: [{}]}]}", &[]),
        ("HTTPRoute", "{parentRefs: [{name: a, group: ''}]}", &[]),
        ("HTTPRoute", "{parentRefs: [{name: a, namespace: null, sectionName: null, port: null}]}", &[]),
        (
            "HTTPRoute",
            "{parentRefs: [{name: a, namespace: '', sectionName: ''}]}",
            &["spec.parentRefs[0].namespace", "spec.parentRefs[0].sectionName"],
        ),
    ] {
        let text = format!("apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n");
        let loaded = load_text("t", &text);
        assert!(loaded.diagnostics.is_empty(), "{text}{:#?}", loaded.diagnostics);
        let compiled = compile(&loaded.resources, &Options::default());
        let rejected: Vec<_> = compiled.diagnostics.iter().filter(|d| d.code == Code::Rejected).map(|d| d.path.as_str()).collect();
        assert_eq!(rejected, wanted, "{text}");
    }
}
