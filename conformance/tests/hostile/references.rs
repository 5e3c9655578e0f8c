//! Scenarios of references, tenants and listeners.

use std::fmt::Write as _;

use gatewright::compile;
use gatewright::load::load_text;
use gatewright::resource::Resources;

use super::Scenario;
use super::play::{Play, assuming, play, play_with, route};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("REF-011", revoked_grant),
    ("REF-012", half_granted),
    ("REF-014", certificates_of_others),
    ("REF-015", confused_deputy),
    ("REF-016", empty_grant_name),
    ("REF-017", grant_of_another_spelling),
    ("REF-019", two_kinds_one_host),
    ("REF-020", uninvited_listener_set),
    ("REF-025", backends_of_unknown_kinds),
    ("REF-026", chains_of_filters),
    ("ISO-014", two_routes_one_backend),
    ("TLS-027", one_host_two_policies),
    ("CFG-022", listeners_in_conflict),
    ("CFG-029", hostile_certificates),
    ("CORS-032", no_preflight),
];

const TO_DATA: &str = "rules: [{backendRefs: [{name: own, port: 80}, {name: theirs, namespace: data, port: 80}]}]";

fn grant(from_kind: &str, to: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {{name: g, namespace: data}}\n\
         spec: {{from: [{{group: gateway.networking.k8s.io, kind: {from_kind}, namespace: app}}], to: [{to}]}}\n"
    )
}

/// The same objects without the grant are the same table without its permission.
fn revoked_grant() {
    let text =
        route("rules: [{backendRefs: [{name: theirs, namespace: data, port: 80}]}]") + &grant("HTTPRoute", "{group: '', kind: Service}");
    assert_eq!(play(&text).get("a.com/"), "data/theirs /");
    let mut resources: Resources = load_text("scenario", &text).resources;
    resources.reference_grants.clear();
    let revoked = Play { loaded: load_text("scenario", ""), compiled: compile(&resources, &assuming()) };
    assert_eq!(revoked.get("a.com/"), "500 InvalidBackend");
    assert_eq!(revoked.route_condition("ResolvedRefs"), (false, "RefNotPermitted".to_owned()));
}

fn half_granted() {
    let refused = play(&route(TO_DATA));
    assert_eq!(refused.ask(80, 0, "GET", "a.com/", &[]), "app/own /");
    assert_eq!(refused.ask(80, u64::MAX, "GET", "a.com/", &[]), "500 InvalidBackend");
    let granted = play(&(route(TO_DATA) + &grant("HTTPRoute", "{group: '', kind: Service, name: theirs}")));
    assert_eq!(granted.ask(80, u64::MAX, "GET", "a.com/", &[]), "data/theirs /");
}

const PEM: &str = "{tls.crt: '-----BEGIN CERTIFICATE-----', tls.key: '-----BEGIN PRIVATE KEY-----'}";

fn certificates_of_others() {
    let listener = |reference: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw, namespace: infra}}\n\
             spec: {{gatewayClassName: any, listeners: [{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{reference}]}}}}]}}\n\
             ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: data}}\nstringData: {PEM}\n"
        )
    };
    let refused = play(&listener("{name: cert, namespace: data}"));
    let listener_status = &refused.compiled.status.gateways[0].status.listeners[0];
    let reason = |type_: &str| {
        let condition = listener_status.conditions.iter().find(|condition| condition.type_ == type_).expect("the condition");
        (condition.status.to_string(), condition.reason.clone())
    };
    assert_eq!(reason("ResolvedRefs"), ("False".to_owned(), "RefNotPermitted".to_owned()));
    assert_eq!(reason("Programmed").0, "False");
    let table = &refused.compiled.table;
    assert!(table.listeners().iter().all(|listener| !listener.programmed));
    assert!(table.listeners().iter().all(|listener| listener.tls.as_ref().is_none_or(|tls| tls.certificates.is_empty())));
}

fn confused_deputy() {
    let external = "---\napiVersion: v1\nkind: Service\nmetadata: {name: own, namespace: app}\n\
                    spec: {type: ExternalName, externalName: metadata.internal, ports: [{port: 80}]}\n";
    let refused = play(&(route("rules: [{backendRefs: [{name: own, port: 80}]}]") + external));
    assert_eq!(refused.get("a.com/"), "500 InvalidBackend");
    let addresses =
        ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1"];
    for address in addresses {
        let mut slice = route("rules: [{backendRefs: [{name: own, port: 80}]}]");
        let _ = write!(
            slice,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: own, namespace: app}}\nspec: {{ports: [{{port: 80}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: own-1, namespace: app, labels: {{kubernetes.io/service-name: own}}}}\naddressType: IPv4\n\
             ports: [{{port: 8080}}]\nendpoints: [{{addresses: ['{address}']}}]\n"
        );
        assert_eq!(play(&slice).get("a.com/"), "503 NoEndpoints", "{address}");
        let fine = play(&slice.replace(address, "10.1.2.3"));
        assert_eq!(fine.get("a.com/"), "app/own /");
    }
}

fn empty_grant_name() {
    let refused = play(&(route(TO_DATA) + &grant("HTTPRoute", "{group: '', kind: Service, name: ''}")));
    assert_eq!(refused.ask(80, u64::MAX, "GET", "a.com/", &[]), "500 InvalidBackend");
}

fn grant_of_another_spelling() {
    for (from, to) in [("httproute", "Service"), ("HTTPRoutes", "Service"), ("HTTPRoute", "service")] {
        let refused = play(&(route(TO_DATA) + &grant(from, &format!("{{group: '', kind: {to}}}"))));
        assert_eq!(refused.ask(80, u64::MAX, "GET", "a.com/", &[]), "500 InvalidBackend", "{from} {to}");
    }
}

fn two_kinds_one_host() {
    let grpc = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\n\
                metadata: {name: calls, namespace: app, creationTimestamp: '2026-01-01T00:00:00Z'}\n\
                spec: {parentRefs: [{name: gw, namespace: infra}], hostnames: ['*.com'], rules: [{backendRefs: [{name: calls, port: 80}]}]}\n";
    let both = play(&(route("hostnames: [a.com], rules: [{backendRefs: [{name: own, port: 80}]}]") + grpc));
    // The older one is the GRPCRoute.
    assert_eq!(both.accepted(), (false, "Conflicted".to_owned()));
    assert_eq!(both.get("a.com/"), "404 NoRoute");
    assert_eq!(both.ask(80, 0, "POST", "a.com/S/M", &[("content-type", "application/grpc")]), "app/calls /S/M");
}

fn uninvited_listener_set() {
    let set = |namespace: &str, hostname: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {{name: set, namespace: {namespace}}}\n\
             spec: {{parentRef: {{name: gw, namespace: infra}}, listeners: [{{name: more, port: 80, protocol: HTTP{hostname}}}]}}\n\
             ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: intruder, namespace: {namespace}}}\n\
             spec: {{parentRefs: [{{kind: ListenerSet, name: set}}], rules: [{{matches: [{{path: {{value: /stolen}}}}], \
             backendRefs: [{{name: intruder, port: 80}}]}}]}}\n"
        )
    };
    let own = route("rules: [{backendRefs: [{name: own, port: 80}]}]");
    let uninvited = play(&(own.clone() + &set("tenant", ", hostname: b.com")));
    assert_eq!(uninvited.get("b.com/stolen"), "app/own /stolen");
    let not_accepted = |play: &Play| {
        let conditions = &play.compiled.status.listener_sets[0].status.conditions;
        conditions.iter().any(|condition| condition.type_ == "Accepted" && condition.status.to_string() == "False")
    };
    assert!(not_accepted(&uninvited));
    // Invited, but with a listener that the Gateway has already: the Gateway's wins and keeps its routes.
    let inviting = own.replace("gatewayClassName: any", "gatewayClassName: any\n  allowedListeners: {namespaces: {from: All}}");
    let conflicting = play(&(inviting.clone() + &set("tenant", "")));
    assert_eq!(conflicting.get("b.com/stolen"), "app/own /stolen");
    assert!(not_accepted(&conflicting));
    let welcome = play(&(inviting + &set("tenant", ", hostname: b.com")));
    assert_eq!(welcome.get("b.com/stolen"), "tenant/intruder /stolen");
}

fn backends_of_unknown_kinds() {
    for (reference, problem) in [
        ("{group: gateway.internal, kind: Internal, name: 'admin@internal'}", "InvalidKind"),
        ("{kind: Internal, name: api, port: 80}", "InvalidKind"),
        ("{group: traefik.io, kind: TraefikService, name: 'api@internal'}", "InvalidKind"),
        ("{group: '', kind: Pod, name: p, port: 80}", "InvalidKind"),
        ("{kind: service, name: own, port: 80}", "InvalidKind"),
    ] {
        let refused = play(&route(&format!("rules: [{{backendRefs: [{reference}]}}]")));
        assert_eq!(refused.route_condition("ResolvedRefs"), (false, problem.to_owned()), "{reference}");
        assert_eq!(refused.get("a.com/"), "500 InvalidBackend", "{reference}");
    }
    // A Service of such a name is a Service that does not exist, nothing else.
    let mut options = assuming();
    options.missing_services = gatewright::MissingServices::NotFound;
    let named = play_with(&route("rules: [{backendRefs: [{name: 'rest@internal', port: 80}]}]"), &options);
    assert_eq!(named.get("a.com/"), "500 InvalidBackend");
}

/// No filter object is followed anywhere: what cannot be run answers 500, for the rule and for a share.
fn chains_of_filters() {
    let filter = "filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: chain}}]";
    let of_rule = play(&route(&format!(
        "rules: [{{{filter}, backendRefs: [{{name: own, port: 80}}]}}, {{backendRefs: [{{name: other, port: 80}}]}}]"
    )));
    assert_eq!(of_rule.get("a.com/"), "500 UnresolvedFilter");
    let of_share = play(&route(&format!("rules: [{{backendRefs: [{{name: own, port: 80, {filter}}}, {{name: other, port: 80}}]}}]")));
    assert_eq!(of_share.get("a.com/"), "500 UnresolvedFilter");
    assert_eq!(of_share.ask(80, u64::MAX, "GET", "a.com/", &[]), "app/other /");
}

fn two_routes_one_backend() {
    let rule =
        |path: &str, rest: &str| format!("{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: shared, port: 80}}], {rest}}}");
    let spec = [
        rule("/a", "timeouts: {request: 1s}, retry: {attempts: 2, codes: [503]}, sessionPersistence: {sessionName: a}"),
        rule("/b", "timeouts: {request: 2s}"),
    ];
    let both = play(&route(&format!("rules: [{}]", spec.join(", "))));
    let table = &both.compiled.table;
    let forward = |path: &'static str| {
        let request = gatewright::Request {
            arrival: gatewright::Arrival::on(table.ports()[0].id),
            method: "GET",
            scheme: None,
            authority: gatewright::Authority::Given(b"a.com"),
            target: path.as_bytes(),
            headers: &http::HeaderMap::new(),
        };
        match table.decide(&request, gatewright::Pick(0)) {
            gatewright::Decision::Forward(d) => (
                d.backend,
                d.timeouts.request.map(|t| t.as_secs()),
                d.retry.map(gatewright::model::retry::Retry::attempts),
                d.session.is_some(),
            ),
            other => panic!("{other:?}"),
        }
    };
    let (backend, timeout, retries, session) = forward("/a");
    assert_eq!((timeout, retries, session), (Some(1), Some(2), true));
    assert_eq!(forward("/b"), (backend, Some(2), None, false));
}

fn one_host_two_policies() {
    let gateway = |first: &str, second: &str| {
        let listener = |name: &str, hostname: &str| {
            format!("{{name: {name}, port: 443, protocol: HTTPS, hostname: {hostname}, tls: {{certificateRefs: [{{name: cert}}]}}}}")
        };
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw, namespace: infra}}\n\
             spec: {{gatewayClassName: any, listeners: [{}, {}, {}]}}\n---\napiVersion: v1\nkind: Secret\n\
             metadata: {{name: cert, namespace: infra}}\nstringData: {PEM}\n",
            listener("one", first),
            listener("two", second),
            listener("fine", "fine.org")
        )
    };
    let both = play(&gateway("a.example.com", "a.example.com"));
    let names: Vec<_> = both.compiled.table.listeners().iter().map(|listener| listener.name.to_string()).collect();
    assert_eq!(names, ["fine"], "none of the two is there");
    assert_eq!(both.ask(443, 0, "GET", "a.example.com/", &[]), "404 NoListener");
    // No hostname has another case: that listener is not there, and the wildcard has its own host only.
    let cased = play(&gateway("'*.example.com'", "A.example.com"));
    assert!(cased.has_error());
    let names: Vec<_> = cased.compiled.table.listeners().iter().map(|listener| listener.name.to_string()).collect();
    assert!(!names.contains(&"two".to_owned()), "{names:?}");
}

fn listeners_in_conflict() {
    let listeners = |list: &[String]| {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw, namespace: infra}}\n\
             spec: {{gatewayClassName: any, listeners: [{}]}}\n",
            list.join(", ")
        );
        let played = play(&text);
        played.compiled.table.listeners().iter().map(|listener| listener.name.to_string()).collect::<Vec<_>>()
    };
    let many: Vec<String> = (0..64).map(|n| format!("{{name: l{n}, port: 80, protocol: HTTP, hostname: h{n}.com}}")).collect();
    assert_eq!(listeners(&many).len(), 64);
    let text = |name: &str, port: u16, protocol: &str| format!("{{name: {name}, port: {port}, protocol: {protocol}}}");
    assert_eq!(listeners(&[text("a", 80, "HTTP"), text("b", 80, "HTTP"), text("c", 81, "HTTP")]), ["c"]);
    assert_eq!(listeners(&[text("a", 80, "HTTP"), text("b", 80, "TCP"), text("c", 81, "HTTP")]), ["c"]);
}

/// What a certificate says is for the program that shows it; what is none is found here, and other listeners serve.
fn hostile_certificates() {
    for data in [
        "{tls.crt: 'no certificate', tls.key: 'no key'}".to_owned(),
        format!("{{tls.crt: '{}', tls.key: x}}", "A".repeat(1 << 20)),
        "{tls.crt: ''}".to_owned(),
        "{}".to_owned(),
    ] {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw, namespace: infra}}\n\
             spec: {{gatewayClassName: any, listeners: [{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: cert}}]}}}}, \
             {{name: http, port: 80, protocol: HTTP}}]}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: infra}}\n\
             stringData: {data}\n"
        );
        let played = play(&text);
        let programmed: Vec<_> = played.compiled.table.listeners().iter().map(|l| (l.name.to_string(), l.programmed)).collect();
        let of = |name: &str| programmed.iter().find(|(listener, _)| listener == name).is_some_and(|(_, programmed)| *programmed);
        assert!(of("http") && !of("https"), "{programmed:?}");
    }
}

/// Only OPTIONS with Origin and a requested method is a preflight.
fn no_preflight() {
    let cors = "filters: [{type: CORS, cors: {allowOrigins: ['https://www.foo.com'], allowCredentials: true}}]";
    let played = play(&route(&format!("rules: [{{{cors}, backendRefs: [{{name: own, port: 80}}]}}]")));
    let origin = ("origin", "https://www.foo.com");
    assert_eq!(played.ask(80, 0, "OPTIONS", "a.com/cred", &[origin]), "app/own /cred");
    assert_eq!(played.ask(80, 0, "OPTIONS", "a.com/cred", &[origin, ("access-control-request-method", "GET")]), "204 CorsPreflight");
}
