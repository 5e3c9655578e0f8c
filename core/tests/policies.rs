//! Policies on backends, XBackends and endpoints: what the table makes of them, and their status.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use gatewright::resource::status::{Condition, ConditionStatus};
use gatewright::table::{Backend, Endpoints, SubjectAltName, Trust};
use gatewright::{
    Arrival, Authority, Code, Compiled, Decision, EndpointAddresses, Feature, MissingServices, Options, Pick, Request, Severity, compile,
};

const BASE: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {ca.crt: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: empty}
data: {ca.crt: ""}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: https-1, port: 443}, {name: https-2, port: 8443}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: only-udp}
spec: {ports: [{name: dns, port: 53, protocol: UDP}]}
"#;

fn options() -> Options {
    let mut options = Options::default();
    options.missing_services = MissingServices::NotFound;
    options
}

fn compiled_with(text: &str, options: &Options) -> Compiled {
    let loaded = gatewright::load::load_text("t", &format!("{BASE}{text}"));
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    compile(&loaded.resources, options)
}

fn compiled(text: &str) -> Compiled {
    compiled_with(text, &options())
}

/// A route with one rule for each backendRef, matched by `/0`, `/1` and so on.
fn route(backends: &[&str]) -> String {
    let rules: Vec<String> =
        backends.iter().enumerate().map(|(n, b)| format!("  - {{matches: [{{path: {{value: /{n}}}}}], backendRefs: [{b}]}}\n")).collect();
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n{}",
        rules.concat()
    )
}

fn policy(name: &str, targets: &str, validation: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}, generation: 7}}\nspec:\n  targetRefs: [{targets}]\n  validation: {validation}\n"
    )
}

const WEB: &str = r#"{group: "", kind: Service, name: web}"#;
const GOOD: &str = r#"{hostname: a.example, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}"#;

/// The backend of rule `n`, or the reason why there is none.
fn backend(compiled: &Compiled, n: usize) -> Result<&Backend, &'static str> {
    let table = &compiled.table;
    let path = format!("/{n}");
    let request = Request {
        arrival: Arrival::on(table.ports()[0].id),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"h"),
        target: path.as_bytes(),
        headers: &[("a", "b")],
    };
    match table.decide(&request, Pick(0)) {
        Decision::Forward(forward) => Ok(table.backend(forward.backend).unwrap()),
        Decision::Respond(respond) => Err(respond.reason.as_str()),
        other => panic!("{other:?}"),
    }
}

fn show(conditions: &[Condition]) -> String {
    let one = |c: &Condition| {
        assert!(c.status == ConditionStatus::True || !c.message.is_empty(), "{c:?}");
        if c.status == ConditionStatus::True { c.type_.clone() } else { format!("{}={}", c.type_, c.reason) }
    };
    conditions.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// `ancestor: conditions` of a BackendTLSPolicy.
fn status(compiled: &Compiled, name: &str) -> Vec<String> {
    let all = compiled.status.backend_tls_policies.iter().chain(&compiled.status.backend_traffic_policies);
    let of_policy = all.filter(|p| &*p.object.name == name).flat_map(|p| &p.status.ancestors);
    of_policy.map(|a| format!("{}: {}", a.ancestor_ref.name, show(&a.conditions))).collect()
}

fn resolved_refs(compiled: &Compiled) -> String {
    show(&compiled.status.http_routes[0].status.parents[0].conditions)
}

/// [TP-1], [TP-3], [TP-4], [TP-7]
#[test]
fn a_policy_gives_its_backend_tls() {
    let names = r#"{hostname: a.example, wellKnownCACertificates: System, subjectAltNames: [{type: Hostname, hostname: "*.b.example"}, {type: URI, uri: "spiffe://c/d"}]}"#;
    let compiled = compiled(
        &(route(&["{name: web, port: 443}", "{name: plain, port: 80}"])
            + &policy("p", WEB, GOOD)
            + &policy("q", r#"{group: "", kind: Service, name: plain}"#, names)
            + &policy("unused", r#"{group: "", kind: Service, name: web, sectionName: https-2}"#, GOOD)),
    );
    let tls = backend(&compiled, 0).unwrap().tls.as_ref().unwrap();
    assert_eq!((&*tls.hostname, tls.subject_alt_names.len(), tls.client_certificate.is_none()), ("a.example", 0, true));
    let Trust::Bundles(bundles) = &tls.trust else { panic!("{tls:?}") };
    assert_eq!(bundles.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ConfigMap/default/ca"]);
    let tls = backend(&compiled, 1).unwrap().tls.as_ref().unwrap();
    let expected = [SubjectAltName::Hostname("*.b.example".into()), SubjectAltName::Uri("spiffe://c/d".into())];
    assert_eq!((&tls.trust, &*tls.subject_alt_names), (&Trust::System, &expected[..]));
    for name in ["p", "q"] {
        assert_eq!(status(&compiled, name), ["gw: Accepted ResolvedRefs"], "{name}");
    }
    assert_eq!(status(&compiled, "unused"), Vec::<String>::new());
    assert_eq!(resolved_refs(&compiled), "Accepted ResolvedRefs");
    let one = &compiled.status.backend_tls_policies[0].status.ancestors[0];
    assert_eq!((one.conditions[0].observed_generation, one.ancestor_ref.namespace.as_deref()), (Some(7), Some("default")));
}

/// [TP-2]: the port before the whole Service, the older before the newer, then by name.
#[test]
fn one_policy_wins_each_target() {
    let named = |hostname: &str| GOOD.replace("a.example", hostname);
    let of_port = r#"{group: "", kind: Service, name: web, sectionName: https-1}"#;
    let older = |text: String| text.replace("generation: 7", "creationTimestamp: \"2020-01-01T00:00:00Z\"");
    let compiled = compiled(
        &(route(&["{name: web, port: 443}", "{name: web, port: 8443}"])
            + &policy("a-whole", WEB, &named("whole.example"))
            + &policy("b-whole", WEB, &named("later.example"))
            + &policy("a-port", of_port, &named("young.example"))
            + &older(policy("z-port", of_port, &named("port.example")))
            + &policy("c-both", &format!("{of_port}, {{group: \"\", kind: Service, name: plain}}"), &named("c.example"))),
    );
    assert_eq!(&*backend(&compiled, 0).unwrap().tls.as_ref().unwrap().hostname, "port.example");
    assert_eq!(&*backend(&compiled, 1).unwrap().tls.as_ref().unwrap().hostname, "whole.example");
    for (name, expected) in [
        ("a-whole", "gw: Accepted ResolvedRefs"),
        ("b-whole", "gw: Accepted=Conflicted ResolvedRefs"),
        ("a-port", "gw: Accepted=Conflicted ResolvedRefs"),
        ("z-port", "gw: Accepted ResolvedRefs"),
        // It has lost the only target that the Gateway uses.
        ("c-both", "gw: Accepted=Conflicted ResolvedRefs"),
    ] {
        assert_eq!(status(&compiled, name), [expected], "{name}");
    }
}

/// [TP-4] to [TP-7], [P-2]: what cannot be honoured is never sent in the clear.
#[test]
fn a_policy_that_cannot_be_honoured() {
    let refs = |list: &str| format!("{{hostname: a.example, caCertificateRefs: [{list}]}}");
    let (ca, gone, empty) = (
        r#"{group: "", kind: ConfigMap, name: ca}"#,
        r#"{group: "", kind: ConfigMap, name: gone}"#,
        r#"{group: "", kind: ConfigMap, name: empty}"#,
    );
    let secret = r#"{group: "", kind: Secret, name: ca}"#;
    let sans = |list: &str| format!("{{hostname: a.example, wellKnownCACertificates: System, subjectAltNames: [{list}]}}");
    for (validation, good, expected) in [
        (refs(&[ca, gone].join(", ")), true, "gw: Accepted ResolvedRefs=InvalidCACertificateRef"),
        (refs(&[secret, ca].join(", ")), true, "gw: Accepted ResolvedRefs=InvalidKind"),
        (refs(gone), false, "gw: Accepted=NoValidCACertificate ResolvedRefs=InvalidCACertificateRef"),
        (refs(empty), false, "gw: Accepted=NoValidCACertificate ResolvedRefs=InvalidCACertificateRef"),
        (refs(secret), false, "gw: Accepted=NoValidCACertificate ResolvedRefs=InvalidKind"),
        ("{hostname: a.example, wellKnownCACertificates: example.com/mine}".to_owned(), false, "gw: Accepted=Invalid ResolvedRefs"),
        ("{hostname: a.example}".to_owned(), false, "gw: Accepted=Invalid ResolvedRefs"),
        (GOOD.replace("a.example,", "a.example, wellKnownCACertificates: System,"), false, "gw: Accepted=Invalid ResolvedRefs"),
        (GOOD.replace("a.example", "\"*.example\""), false, "gw: Accepted=Invalid ResolvedRefs"),
        (GOOD.replace("a.example", "10.0.0.1"), false, "gw: Accepted=Invalid ResolvedRefs"),
        (sans("{type: Hostname}"), false, "gw: Accepted=Invalid ResolvedRefs"),
        (sans("{type: URI, uri: nonsense}"), false, "gw: Accepted=Invalid ResolvedRefs"),
        (sans("{type: URI, hostname: b.example, uri: \"spiffe://c/d\"}"), false, "gw: Accepted=Invalid ResolvedRefs"),
        (sans("{type: Email, hostname: b.example}"), false, "gw: Accepted=Invalid ResolvedRefs"),
    ] {
        let compiled = compiled(&(route(&["{name: web, port: 443}"]) + &policy("p", WEB, &validation)));
        assert_eq!(status(&compiled, "p"), [expected], "{validation}");
        match backend(&compiled, 0) {
            Ok(backend) => assert!(good && backend.tls.is_some(), "{validation}: {backend:?}"),
            Err(reason) => assert!(!good && reason == "InvalidBackend", "{validation}: {reason}"),
        }
        assert_eq!(resolved_refs(&compiled), if good { "Accepted ResolvedRefs" } else { "Accepted ResolvedRefs=UnsupportedProtocol" });
    }
    // Targets that are not there, and targets that speak no TLS.
    for (target, backends, expected) in [
        (
            r#"{group: "", kind: Service, name: web, sectionName: nope}"#,
            "{name: web, port: 443}",
            "gw: Accepted=TargetNotFound ResolvedRefs",
        ),
        (r#"{group: "", kind: Service, name: web, sectionName: dns}"#, "{name: web, port: 443}", "gw: Accepted=Invalid ResolvedRefs"),
    ] {
        let compiled = compiled(&(route(&[backends]) + &policy("p", target, GOOD)));
        assert_eq!(status(&compiled, "p").join(""), expected, "{target}");
        assert!(backend(&compiled, 0).unwrap().tls.is_none(), "a policy never widens to the whole object: {target}");
    }
    // Without the feature nothing is sent at all.
    let mut without = options();
    without.features = without.features.without(Feature::BackendTlsPolicy);
    let compiled = compiled_with(&(route(&["{name: web, port: 443}"]) + &policy("p", WEB, GOOD)), &without);
    assert_eq!(backend(&compiled, 0), Err("InvalidBackend"));
}

/// [TP-7]: a policy for UDP ports only.
#[test]
fn udp_only_targets() {
    let target = r#"{group: "", kind: Service, name: only-udp}"#;
    let compiled = compiled(&policy("p", target, GOOD));
    let told = compiled.diagnostics.iter().find(|d| d.code == Code::PolicyTarget).unwrap();
    assert!(told.message.contains("UDP ports only"), "{told}");
}

/// [B-11], [P-8]: a protocol over TLS needs a policy, and a policy decides.
#[test]
fn app_protocols() {
    let service = |protocol: &str| {
        format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {{ports: [{{port: 80, appProtocol: {protocol}}}]}}\n")
    };
    let for_s = policy("p", r#"{group: "", kind: Service, name: s}"#, GOOD);
    for (protocol, plain, with_policy) in [
        ("http", Ok("http1"), Ok("http1")),
        ("https", Err("InvalidBackend"), Ok("http1")),
        ("HTTPS", Err("InvalidBackend"), Ok("http1")),
        ("kubernetes.io/ws", Ok("http1"), Ok("http1")),
        ("kubernetes.io/wss", Err("InvalidBackend"), Ok("http1")),
        ("kubernetes.io/h2c", Ok("h2c"), Ok("h2c")),
        ("mysql", Err("InvalidBackend"), Err("InvalidBackend")),
    ] {
        for (policy, expected) in [("", plain), (for_s.as_str(), with_policy)] {
            let compiled = compiled(&(service(protocol) + &route(&["{name: s, port: 80}"]) + policy));
            let got = backend(&compiled, 0).map(|backend| {
                assert_eq!(backend.tls.is_some(), !policy.is_empty());
                backend.protocol.as_str()
            });
            assert_eq!(got, expected, "{protocol} {policy}");
        }
    }
    let mut without = options();
    without.features = without.features.without(Feature::HttpRouteBackendProtocolH2c).without(Feature::HttpRouteBackendProtocolWebSocket);
    for protocol in ["kubernetes.io/h2c", "kubernetes.io/ws"] {
        let compiled = compiled_with(&(service(protocol) + &route(&["{name: s, port: 80}"])), &without);
        assert_eq!(backend(&compiled, 0), Err("InvalidBackend"), "{protocol}");
    }
}

/// A Service that is assumed to exist: its ports have names that nobody knows.
#[test]
fn policies_for_assumed_services() {
    let mut assume = options();
    assume.missing_services = MissingServices::Assume;
    let target = r#"{group: "", kind: Service, name: far"#;
    let routes = route(&["{name: far, port: 443}"]);
    let compiled = compiled_with(&(routes.clone() + &policy("p", &format!("{target}}}"), GOOD)), &assume);
    assert!(backend(&compiled, 0).unwrap().tls.is_some());
    let compiled = compiled_with(&(routes + &policy("p", &format!("{target}, sectionName: x}}"), GOOD)), &assume);
    assert_eq!(backend(&compiled, 0), Err("InvalidBackend"));
}

fn traffic(name: &str, target: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {{name: {name}}}\nspec: {{targetRefs: [{target}], {spec}}}\n"
    )
}

/// [BT-1], [BT-2]
#[test]
fn traffic_policies() {
    let routes = route(&["{name: web, port: 443}", "{name: plain, port: 80}"]);
    let compiled = compiled(
        &(routes
            + &traffic("a", WEB, "retryConstraint: {budget: {percent: 5}}, sessionPersistence: {sessionName: sid}")
            + &traffic("b", WEB, "retryConstraint: {}")
            + &traffic("c", r#"{group: "", kind: Service, name: plain}"#, "retryConstraint: {minRetryRate: {count: 3, interval: 2h}}")
            + &traffic("d", r#"{group: "", kind: Pod, name: plain}"#, "retryConstraint: {}")),
    );
    let web = backend(&compiled, 0).unwrap();
    let budget = web.retry_budget.as_ref().unwrap();
    assert_eq!((budget.percent(), budget.interval().as_secs(), budget.min_count(), budget.min_interval().as_secs()), (5, 10, 10, 1));
    assert_eq!(web.session.as_ref().unwrap().name(), "sid");
    let plain = backend(&compiled, 1).unwrap();
    assert!(plain.retry_budget.is_none() && plain.session.is_none());
    assert_eq!(status(&compiled, "a"), ["gw: Accepted"]);
    assert_eq!(status(&compiled, "b"), ["gw: Accepted=Conflicted"]);
    assert_eq!(status(&compiled, "c"), ["gw: Accepted=Invalid"]);
    assert_eq!(status(&compiled, "d"), Vec::<String>::new());
}

fn xbackend(spec: &str) -> String {
    format!("---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\nmetadata: {{name: out}}\nspec: {{{spec}}}\n")
}

const OUT: &str = "{group: gateway.networking.x-k8s.io, kind: XBackend, name: out}";

/// [XB-1] to [XB-3]
#[test]
fn xbackends() {
    let external = "type: ExternalHostname, externalHostname: {hostname: api.example.com}, port: {port: 443}";
    let good = "validation: {hostname: api.example.com, wellKnownCACertificates: System}";
    let outcome = |spec: &str, reference: &str| {
        let compiled = compiled(&(xbackend(spec) + &route(&[reference])));
        let accepted = compiled.status.backends.iter().map(|b| show(&b.status.parents[0].conditions)).collect::<String>();
        let got = backend(&compiled, 0).map(|b| {
            let Endpoints::External(host) = &b.endpoints else { panic!("{b:?}") };
            format!("{host}:{} {} {}", b.port, b.protocol.as_str(), b.tls.is_some())
        });
        (got.unwrap_or_else(|_| resolved_refs(&compiled)), accepted)
    };
    for (spec, expected, accepted) in [
        (external.to_owned(), "api.example.com:443 http1 false", "Accepted"),
        (format!("{external}, protocol: HTTP2, tls: {{mode: ServerOnly, {good}}}"), "api.example.com:443 h2c true", "Accepted"),
        (format!("{external}, tls: {{mode: None}}"), "api.example.com:443 http1 false", "Accepted"),
        (format!("{external}, protocol: TCP"), "Accepted ResolvedRefs=UnsupportedProtocol", "Accepted"),
        (format!("{external}, protocol: SMTP"), "Accepted ResolvedRefs=UnsupportedProtocol", "Accepted"),
        (format!("{external}, tls: {{mode: ServerOnly}}"), "Accepted ResolvedRefs=UnsupportedProtocol", "Accepted=Invalid"),
        (format!("{external}, tls: {{mode: Sometimes, {good}}}"), "Accepted ResolvedRefs=UnsupportedProtocol", "Accepted=Invalid"),
        (format!("{external}, tls: {{mode: ClientAndServer, {good}}}"), "Accepted ResolvedRefs=UnsupportedProtocol", "Accepted=Invalid"),
        (
            format!("{external}, tls: {{mode: ClientAndServer, {good}, clientCertificateRef: {{name: gone}}}}"),
            "Accepted ResolvedRefs=UnsupportedProtocol",
            "Accepted=Invalid",
        ),
        (external.replace("ExternalHostname,", "Other,"), "Accepted ResolvedRefs=InvalidKind", "Accepted=Invalid"),
        (external.replace("api.example.com", "x.default.svc.cluster.local"), "Accepted ResolvedRefs=BackendNotFound", "Accepted=Invalid"),
        (external.replace("api.example.com", "10.0.0.1"), "Accepted ResolvedRefs=BackendNotFound", "Accepted=Invalid"),
        (external.replace("api.example.com", "localhost"), "Accepted ResolvedRefs=BackendNotFound", "Accepted=Invalid"),
    ] {
        assert_eq!(outcome(&spec, OUT), (expected.to_owned(), accepted.to_owned()), "{spec}");
    }
    let reference = |more: &str| OUT.replace("name: out", &format!("name: out, {more}"));
    assert_eq!(outcome(external, &reference("port: 443")).0, "api.example.com:443 http1 false");
    assert_eq!(outcome(external, &reference("port: 80")).0, "Accepted ResolvedRefs=BackendNotFound");
    assert_eq!(outcome(external, &reference("namespace: other")).0, "Accepted ResolvedRefs=RefNotPermitted");
    assert_eq!(outcome(external, &OUT.replace("name: out", "name: gone")).0, "Accepted ResolvedRefs=BackendNotFound");
    // No grant leads to an XBackend of another namespace.
    let far = xbackend(external).replace("name: out}", "name: out, namespace: other}");
    let grant = "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: other}\nspec:\n  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]\n  to: [{group: gateway.networking.x-k8s.io, kind: XBackend}]\n";
    let compiled_far = compiled(&(far + grant + &route(&[&reference("namespace: other")])));
    assert_eq!(resolved_refs(&compiled_far), "Accepted ResolvedRefs=RefNotPermitted");
    // The TLS of an XBackend is its own: a policy does not touch it.
    let target = "{group: gateway.networking.x-k8s.io, kind: XBackend, name: out}";
    let compiled = compiled(&(xbackend(external) + &route(&[OUT]) + &policy("p", target, GOOD)));
    assert!(backend(&compiled, 0).unwrap().tls.is_none());
    assert_eq!(status(&compiled, "p"), ["gw: Accepted=Invalid ResolvedRefs"]);
}

fn slice(endpoints: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nports: [{{name: https-2, port: 2}}, {{name: https-1, port: 1, protocol: UDP}}, {{name: https-1, port: 8443}}]\nendpoints: [{endpoints}]\n"
    )
}

/// [B-8], [B-10], [R-K3]
#[test]
fn endpoints() {
    let get = |list: &str, options: &Options| {
        let compiled = compiled_with(&(route(&["{name: web, port: 443}"]) + &slice(list)), options);
        let refused = compiled.diagnostics.iter().filter(|d| d.code == Code::Endpoint && d.severity == Severity::Warning).count();
        let got = backend(&compiled, 0).map(|b| match &b.endpoints {
            Endpoints::Known(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        });
        (got.unwrap_or_else(str::to_owned), refused)
    };
    let health = |address: &str, conditions: &str| format!("{{addresses: [{address}], conditions: {{{conditions}}}}}");
    let out = health("10.0.0.9", "ready: false");
    let ending = health("10.0.0.8", "ready: false, serving: true, terminating: true");
    let ready = health("10.0.0.1", "ready: true");
    for (list, expected) in [
        ([health("10.0.0.2", ""), ready.clone(), out.clone()].join(","), "10.0.0.1:8443 10.0.0.2:8443"),
        ([ending.clone(), ready.clone()].join(","), "10.0.0.1:8443"),
        ([ending, out.clone()].join(","), "10.0.0.8:8443"),
        (out, "NoEndpoints"),
    ] {
        assert_eq!(get(&list, &options()), (expected.to_owned(), 0), "{list}");
    }
    let local = [health("127.0.0.1", ""), health("169.254.169.254", ""), ready].join(",");
    assert_eq!(get(&local, &options()), ("10.0.0.1:8443".to_owned(), 2));
    assert_eq!(get(&health("127.0.0.1", ""), &options()), ("NoEndpoints".to_owned(), 1));
    let mut any = options();
    any.endpoint_addresses = EndpointAddresses::Any;
    assert_eq!(get(&health("127.0.0.1", ""), &any), ("127.0.0.1:8443".to_owned(), 0));
    let mut own = options();
    own.addresses = Some(vec![gatewright::resource::status::GatewayStatusAddress { type_: None, value: "10.0.0.1".to_owned() }]);
    assert_eq!(get(&health("10.0.0.1", ""), &own), ("NoEndpoints".to_owned(), 1));
}

/// [SP-8]: in a mesh, sessions of a policy and the cluster's own affinity do not go together.
#[test]
fn sessions_and_affinity_in_a_mesh() {
    let of_service = |affinity: &str| {
        let service = format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: back}}\nspec: {{sessionAffinity: {affinity}, ports: [{{port: 80}}]}}\n"
        );
        let parent = "---\napiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";
        let both =
            route(&["{name: back, port: 80}"]).replace("[{name: gw}]", "[{name: gw}, {group: \"\", kind: Service, name: front, port: 80}]");
        let target = "{group: \"\", kind: Service, name: back}";
        let policy = traffic("p", target, "sessionPersistence: {}, retryConstraint: {}");
        let compiled = compiled(&(service + parent + &both + &policy));
        let table = &compiled.table;
        let frontend = table.find_frontend("default", "default", "front", 80).unwrap();
        let request = Request {
            arrival: Arrival::at(frontend.id),
            method: "GET",
            scheme: None,
            authority: Authority::Given(b"h"),
            target: b"/0",
            headers: &[("a", "b")],
        };
        let Decision::Forward(forward) = table.decide(&request, Pick(0)) else { panic!("not forwarded") };
        let in_mesh = table.backend(forward.backend).unwrap();
        let at_gateway = backend(&compiled, 0).unwrap();
        (status(&compiled, "p").join(", "), in_mesh.session.is_some(), in_mesh.retry_budget.is_some(), at_gateway.session.is_some())
    };
    assert_eq!(of_service("ClientIP"), ("front: Accepted=Invalid, gw: Accepted".to_owned(), false, false, true));
    assert_eq!(of_service("None"), ("front: Accepted, gw: Accepted".to_owned(), true, true, true));
}

/// [T-2], [T-6], [TP-1]: a policy does not touch TLS that is forwarded as it is, nor TCP; each transport has its port.
#[test]
fn streams() {
    let gateway = "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: l4}
spec:
  gatewayClassName: any
  listeners:
  - {name: pass, port: 443, protocol: TLS, tls: {mode: Passthrough}}
  - {name: tcp, port: 5432, protocol: TCP}
  - {name: udp, port: 53, protocol: UDP}
";
    let stream = |kind: &str, hostnames: &str, port: u16| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {}}}\nspec: {{parentRefs: [{{name: l4}}], {hostnames}rules: [{{backendRefs: [{{name: web, port: {port}}}]}}]}}\n",
            kind.to_lowercase()
        )
    };
    let with = |udp: u16, tcp: u16| {
        compiled(
            &(gateway.to_owned()
                + &stream("TLSRoute", "hostnames: [a.example], ", 443)
                + &stream("TCPRoute", "", tcp)
                + &stream("UDPRoute", "", udp)
                + &policy("p", WEB, GOOD)),
        )
    };
    let good = with(53, 443);
    let all: Vec<_> = good.table.backends().map(|b| (b.port, b.protocol.as_str(), b.tls.is_some())).collect();
    assert_eq!(all, [(443, "tcp", false), (53, "udp", false)]);
    assert_eq!(status(&good, "p"), Vec::<String>::new());
    let bad = with(443, 53);
    let reason =
        |status: &[gatewright::ObjectStatus<gatewright::resource::status::RouteStatus>]| show(&status[0].status.parents[0].conditions);
    assert_eq!(reason(&bad.status.udp_routes), "Accepted ResolvedRefs=BackendNotFound");
    assert_eq!(reason(&bad.status.tcp_routes), "Accepted ResolvedRefs=BackendNotFound");
}
