//! Listeners, ListenerSets, connections and Services as parents: who attaches where, and who serves what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use gatewright::resource::status::Condition;
use gatewright::{Arrival, Authority, Compiled, Decision, Feature, MissingServices, Options, Pick, Place, Request, compile};

/// Every document gets the Gateway API's version and what a route needs.
fn compiled_with(text: &str, change: impl FnOnce(&mut Options)) -> Compiled {
    let documents = text.split("---\n").map(str::trim).filter(|document| !document.is_empty());
    let text: String = documents.map(|document| format!("---\napiVersion: gateway.networking.k8s.io/v1\nkind: {document}\n")).collect();
    let text = text.replace("apiVersion: gateway.networking.k8s.io/v1\nkind: Service\n", "apiVersion: v1\nkind: Service\n");
    let loaded = gatewright::load::load_text("t", &text);
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    change(&mut options);
    compile(&loaded.resources, &options)
}

fn compiled(text: &str) -> Compiled {
    compiled_with(text, |_| {})
}

fn gateway(listeners: &str) -> String {
    format!("Gateway\nmetadata: {{name: gw}}\nspec: {{gatewayClassName: any, listeners: [{listeners}]}}\n")
}

fn reason(conditions: &[Condition], type_: &str) -> String {
    let condition = conditions.iter().find(|condition| condition.type_ == type_);
    condition.map_or_else(|| "-".to_owned(), |condition| condition.reason.clone())
}

fn listener_reasons(compiled: &Compiled, type_: &str) -> Vec<String> {
    compiled.status.gateways[0].status.listeners.iter().map(|listener| reason(&listener.conditions, type_)).collect()
}

/// The table of [L-3] inside of one Gateway: nobody wins ([L-4]).
#[test]
fn listeners_of_a_port() {
    let plain = |protocol: &str, host: &str| {
        let hostname = if host.is_empty() { String::new() } else { format!(", hostname: {host}") };
        format!("port: 443, protocol: {protocol}{hostname}")
    };
    let tls = |mode: &str, host: &str| {
        format!("port: 443, protocol: TLS, hostname: {host}, tls: {{mode: {mode}, certificateRefs: [{{name: c}}]}}")
    };
    for (one, other, expected) in [
        (plain("HTTP", "a.com"), plain("HTTP", "b.com"), "-"),
        (plain("HTTP", "a.com"), plain("HTTP", "a.com"), "HostnameConflict"),
        (plain("HTTP", ""), plain("HTTP", "a.com"), "-"),
        (plain("HTTPS", "a.com"), plain("HTTP", "b.com"), "ProtocolConflict"),
        (plain("HTTP", "a.com"), tls("Passthrough", "b.com"), "ProtocolConflict"),
        (plain("HTTPS", "a.com"), tls("Passthrough", "b.com"), "-"),
        (plain("HTTPS", "a.com"), tls("Passthrough", "a.com"), "HostnameConflict"),
        (tls("Passthrough", "a.com"), tls("Passthrough", "b.com"), "-"),
        (tls("Terminate", "a.com"), tls("Passthrough", "b.com"), "-"),
        (tls("Terminate", "a.com"), tls("Passthrough", "a.com"), "HostnameConflict"),
        (plain("TCP", ""), plain("HTTP", "a.com"), "ProtocolConflict"),
        (plain("TCP", ""), plain("TCP", ""), "ProtocolConflict"),
        (plain("UDP", ""), plain("UDP", ""), "ProtocolConflict"),
        (plain("UDP", ""), plain("TCP", ""), "-"),
        (plain("UDP", ""), plain("HTTP", "a.com"), "-"),
        (plain("HTTP", "A.com"), plain("HTTP", ""), "-"),
    ] {
        let both = compiled(&gateway(&format!("{{name: one, {one}}}, {{name: other, {other}}}")));
        assert_eq!(listener_reasons(&both, "Conflicted"), [expected; 2], "{one} and {other}");
        let swapped = compiled(&gateway(&format!("{{name: other, {other}}}, {{name: one, {one}}}")));
        assert_eq!(listener_reasons(&swapped, "Conflicted"), [expected; 2], "{other} and {one}");
    }
    // Without the feature two modes of TLS are one too many, and no route is taken.
    let both = gateway(&format!("{{name: one, {}}}, {{name: other, {}}}", tls("Terminate", "a.com"), tls("Passthrough", "b.com")));
    let both = compiled_with(&both, |options| options.features = options.features.without(Feature::TlsRouteModeMixed));
    assert_eq!(listener_reasons(&both, "Conflicted"), ["ProtocolConflict"; 2]);
    assert!(both.status.gateways[0].status.listeners.iter().all(|listener| listener.supported_kinds.is_empty()));
}

const SETS: &str = "
Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  allowedListeners: {namespaces: {from: All}}
  listeners: [{name: own, port: 80, protocol: HTTP, hostname: a.com}]
---
ListenerSet
metadata: {name: young, creationTimestamp: '2026-02-02T00:00:00Z'}
spec:
  parentRef: {name: gw}
  listeners:
  - {name: own, port: 80, protocol: HTTP, hostname: a.com}
  - {name: b, port: 80, protocol: HTTP, hostname: b.com}
---
ListenerSet
metadata: {name: old, namespace: tenant, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  parentRef: {name: gw, namespace: default}
  listeners: [{name: b, port: 80, protocol: HTTP, hostname: b.com}]
---
HTTPRoute
metadata: {name: r, namespace: tenant}
spec:
  parentRefs: [{kind: ListenerSet, name: old}, {name: gw, namespace: default, sectionName: b}]
  rules: [{backendRefs: [{name: s, port: 80}]}]
";

/// [L-5], [L-7], [L-18], [L-19], [L-39]: the older set keeps the listener, names are each object's own, and a
/// parentRef sees the listeners of its object only.
#[test]
fn listener_sets_are_merged_in_order() {
    let compiled = compiled(SETS);
    let sets = &compiled.status.listener_sets;
    let reasons = |n: usize| -> Vec<String> { sets[n].status.listeners.iter().map(|l| reason(&l.conditions, "Accepted")).collect() };
    assert_eq!((&*sets[0].object.name, reasons(0)), ("young", vec!["HostnameConflict".to_owned(), "HostnameConflict".to_owned()]));
    assert_eq!(reason(&sets[0].status.conditions, "Accepted"), "ListenersNotValid");
    assert_eq!((&*sets[1].object.name, reasons(1)), ("old", vec!["Accepted".to_owned()]));
    assert_eq!(sets[1].status.listeners[0].attached_routes, 1);
    let gateway = &compiled.status.gateways[0].status;
    assert_eq!((gateway.attached_listener_sets, gateway.listeners.len()), (Some(1), 1));
    let parents = &compiled.status.http_routes[0].status.parents;
    let accepted: Vec<_> = parents.iter().map(|parent| reason(&parent.conditions, "Accepted")).collect();
    assert_eq!(accepted, ["Accepted", "NoMatchingParent"]);
    let listener = compiled.table.find_set_listener("tenant", "old", "b").unwrap();
    assert_eq!(&*listener.owner.kind, "ListenerSet");
    assert!(compiled.table.find_listener(listener.gateway, "b").is_none());
}

/// [L-17]: without a word of the Gateway no set may attach.
#[test]
fn listener_sets_need_leave() {
    for (allowed, expected) in [
        ("", "NotAllowed"),
        (", allowedListeners: {namespaces: {}}", "NotAllowed"),
        (", allowedListeners: {namespaces: {from: Same}}", "Accepted"),
    ] {
        let text = format!(
            "{}---\nListenerSet\nmetadata: {{name: s}}\nspec: {{parentRef: {{name: gw}}, listeners: [{{name: l, port: 81, protocol: HTTP}}]}}\n",
            gateway("{name: own, port: 80, protocol: HTTP}").replace("]}", &format!("]{allowed}}}"))
        );
        let compiled = compiled(&text);
        assert_eq!(reason(&compiled.status.listener_sets[0].status.conditions, "Accepted"), expected, "{allowed}");
    }
}

const STREAMS: &str = "
Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  listeners:
  - {name: tcp, port: 53, protocol: TCP}
  - {name: udp, port: 53, protocol: UDP}
  - {name: pass, port: 443, protocol: TLS, hostname: '*.a.com', tls: {mode: Passthrough}}
  - {name: https, port: 443, protocol: HTTPS, hostname: web.a.com, tls: {certificateRefs: [{name: none}]}}
---
TCPRoute
metadata: {name: young, creationTimestamp: '2026-02-02T00:00:00Z'}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: young, port: 1}]}]}
---
TCPRoute
metadata: {name: old, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: old, port: 1, weight: 1}, {name: other, kind: Nonsense, port: 1, weight: 1}]}]}
---
UDPRoute
metadata: {name: dns}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: dns, port: 53}]}]}
---
TLSRoute
metadata: {name: wild}
spec: {parentRefs: [{name: gw}], hostnames: ['*.a.com'], rules: [{backendRefs: [{name: wild, port: 1}]}]}
---
TLSRoute
metadata: {name: exact}
spec: {parentRefs: [{name: gw}], hostnames: [x.a.com], rules: [{backendRefs: [{name: exact, port: 1}]}]}
";

/// [T-1], [T-3], [T-6], [T-7], [T-8], [L-23]: the oldest route serves a port, the most specific one a server
/// name, and an invalid reference keeps its share.
#[test]
fn connections() {
    let compiled = compiled(STREAMS);
    let table = &compiled.table;
    let gateway = table.gateways()[0].id;
    let (tcp, udp, tls) =
        (table.find_port(gateway, 53).unwrap().id, table.find_udp_port(gateway, 53).unwrap().id, table.find_port(gateway, 443).unwrap().id);
    for (port, sni, pick, expected) in [
        (tcp, None, 0, "forward to default/old:1 (TCPRoute/default/old)"),
        (tcp, None, u64::MAX, "reject: the chosen backendRef is invalid (TCPRoute/default/old)"),
        (udp, None, 0, "forward to default/dns:53 (UDPRoute/default/dns)"),
        (tls, Some("X.a.com"), 0, "forward to default/exact:1, TLS passthrough (TLSRoute/default/exact)"),
        (tls, Some("y.x.a.com"), 0, "forward to default/wild:1, TLS passthrough (TLSRoute/default/wild)"),
        (tls, Some("a.com"), 0, "reject: no listener of the port accepts this server name"),
        (tls, Some("web.a.com"), 0, "reject: the listener cannot be served"),
        (tls, None, 0, "reject: no listener of the port accepts this server name"),
        (tls, Some("x.a.com:443"), 0, "reject: the server name is not a host name"),
        (tls, Some("x y"), 0, "reject: the server name is not a host name"),
    ] {
        let arrival = Arrival { place: Place::Port(port), sni, listener: None };
        let decision = table.decide_connection(&arrival, Pick(pick));
        assert_eq!(table.connection_report(&decision).to_string(), expected, "{sni:?}");
        let explained = table.explain_connection(&arrival, Pick(pick));
        assert_eq!(explained.decision, table.connection_report(&decision));
        assert!(!explained.to_string().is_empty());
    }
    let explained = table.explain_connection(&Arrival::on(tcp), Pick(0));
    let candidates: Vec<_> = explained.candidates.iter().map(|candidate| (&*candidate.route.name, candidate.won)).collect();
    assert_eq!(candidates, [("old", true), ("young", false)]);
    // The one that lost is told, and counted ([L-27]).
    assert!(compiled.diagnostics.iter().any(|d| d.message.contains("never sends traffic here: TCPRoute/default/old is older")));
    assert_eq!(compiled.status.gateways[0].status.listeners[0].attached_routes, 2);
    // HTTP is asked by request: a port of streams has none to decide.
    let request = Request {
        arrival: Arrival::on(tcp),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"a.com"),
        target: b"/",
        headers: &[("", "")][..0],
    };
    assert!(matches!(table.decide(&request, Pick(0)), Decision::Respond(respond) if respond.reason.as_str() == "NoListener"));
}

/// [L-24]: the server name chooses among HTTPS and TLS listeners, the host is compared with HTTPS listeners only.
#[test]
fn hosts_of_a_tls_port() {
    let https = |name: &str, host: &str| {
        format!("{{name: {name}, port: 443, protocol: HTTPS, hostname: '{host}', tls: {{certificateRefs: [{{name: c}}]}}}}")
    };
    let listeners = [
        https("wild", "*.a.com"),
        https("other", "b.com"),
        "{name: raw, port: 443, protocol: TLS, hostname: raw.a.com, tls: {mode: Passthrough}}".to_owned(),
        "{name: alone, port: 443, protocol: TLS, hostname: raw.org, tls: {mode: Passthrough}}".to_owned(),
    ];
    let route = "---\nHTTPRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: s, port: 80}]}]}\n";
    let compiled = compiled(&format!("{}{route}", gateway(&listeners.join(", "))));
    let table = &compiled.table;
    let port = table.find_port(table.gateways()[0].id, 443).unwrap().id;
    for (sni, host, expected) in [
        ("x.a.com", "x.a.com", "Forward"),
        // Its own listener passes through, but of the HTTPS ones the wildcard's is the best for it.
        ("x.a.com", "raw.a.com", "Forward"),
        ("x.a.com", "b.com", "Misdirected"),
        ("b.com", "raw.a.com", "Misdirected"),
        ("x.a.com", "raw.org", "NoListener"),
        // Whoever passes through has no requests here.
        ("raw.a.com", "raw.a.com", "Misdirected"),
        ("raw.org", "raw.org", "NoListener"),
    ] {
        let headers: &[(&str, &str)] = &[];
        let request = Request {
            arrival: Arrival::with_sni(port, sni),
            method: "GET",
            scheme: None,
            authority: Authority::Given(host.as_bytes()),
            target: b"/",
            headers,
        };
        let found = match table.decide(&request, Pick(0)) {
            Decision::Forward(_) => "Forward",
            Decision::Respond(respond) => respond.reason.as_str(),
            _ => "else",
        };
        assert_eq!(found, expected, "{sni} {host}");
    }
}

const MESH: &str = "
Service
metadata: {name: echo, namespace: shop}
spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}, {name: alt, port: 8080}]}
---
Service
metadata: {name: headless, namespace: shop}
spec: {clusterIP: None, ports: [{port: 80}]}
---
Service
metadata: {name: v2, namespace: shop}
spec: {clusterIP: 10.0.0.2, ports: [{port: 80}]}
---
HTTPRoute
metadata: {name: producer, namespace: shop}
spec:
  hostnames: [ignored.example.com]
  parentRefs: [{group: '', kind: Service, name: echo, port: 80}]
  rules: [{matches: [{path: {value: /a}}], backendRefs: [{name: v2, port: 80}]}]
---
HTTPRoute
metadata: {name: consumer, namespace: client}
spec:
  parentRefs: [{group: '', kind: Service, name: echo, namespace: shop}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /z}}}]}]
---
TCPRoute
metadata: {name: stream, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: echo}, {group: '', kind: Service, name: headless}]
  rules: [{backendRefs: [{name: v2, port: 80}]}]
";

/// to: producer routes for all, consumer routes for their namespace, the most specific kind for a
/// port, hostnames for nobody.
#[test]
fn services_as_parents() {
    let compiled = compiled(MESH);
    let table = &compiled.table;
    let decide = |client: &str, port: u16, target: &str| -> String {
        let Some(frontend) = table.find_frontend(client, "shop", "echo", port) else { return "passes through".to_owned() };
        let headers: &[(&str, &str)] = &[];
        let request = Request {
            arrival: Arrival::at(frontend.id),
            method: "GET",
            scheme: None,
            authority: Authority::Given(b"whatever:1"),
            target: target.as_bytes(),
            headers,
        };
        assert_eq!(table.explain(&request, Pick(0)).decision, table.report(&table.decide(&request, Pick(0))));
        table.report(&table.decide(&request, Pick(0))).to_string()
    };
    assert_eq!(decide("other", 80, "/a"), "forward to shop/v2:80, whatever:1/a (HTTPRoute/shop/producer rule 0)");
    assert_eq!(decide("other", 80, "/b"), "respond 404: no route matches");
    assert_eq!(decide("client", 80, "/a"), "redirect 302 to http://whatever/z (HTTPRoute/client/consumer rule 0)");
    assert_eq!(decide("client", 8080, "/a"), "redirect 302 to http://whatever:8080/z (HTTPRoute/client/consumer rule 0)");
    assert!(table.find_frontend("other", "shop", "v2", 80).is_none());
    // The producer serves port 80 by HTTP, so that the stream is left with port 8080.
    let stream = table.find_frontend("other", "shop", "echo", 8080).unwrap();
    let report = table.connection_report(&table.decide_connection(&Arrival::at(stream.id), Pick(0)));
    assert_eq!(report.to_string(), "forward to shop/v2:80 (TCPRoute/shop/stream)");
    let parents = &compiled.status.tcp_routes[0].status.parents;
    let accepted: Vec<_> = parents.iter().map(|parent| reason(&parent.conditions, "Accepted")).collect();
    assert_eq!(accepted, ["Accepted", "UnsupportedValue"]);
}

/// A Service that is only assumed to exist has every port, as far as a route does not name one.
#[test]
fn assumed_services_as_parents() {
    let text = "
HTTPRoute
metadata: {name: any, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /any}}}]}]
---
HTTPRoute
metadata: {name: one, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 81}]
  rules: [{backendRefs: [{name: cart-v1, port: 80}]}]
";
    let compiled = compiled(text);
    let table = &compiled.table;
    let decide = |port: u16| {
        let frontend = table.find_frontend("client", "shop", "cart", port).unwrap();
        let headers: &[(&str, &str)] = &[];
        let arrival = Arrival::at(frontend.id);
        let authority = Authority::Given(b"cart");
        let request = Request { arrival, method: "GET", scheme: None, authority, target: b"/", headers };
        table.report(&table.decide(&request, Pick(0))).to_string()
    };
    assert_eq!(decide(80), "redirect 302 to http://cart/any (HTTPRoute/shop/any rule 0)");
    assert_eq!(decide(8080), "redirect 302 to http://cart/any (HTTPRoute/shop/any rule 0)");
    assert_eq!(decide(81), "forward to shop/cart-v1:80, cart/ (HTTPRoute/shop/one rule 0)");
    assert!(table.find_frontend("client", "shop", "other", 80).is_none());
    // For a controller what is not there does not exist, and gets no word.
    let strict = compiled_with(text, |options| options.missing_services = MissingServices::NotFound);
    assert!(strict.table.frontends().is_empty() && strict.status.http_routes.is_empty());
}

/// [L-27]: a route counts once however often it names a listener, also without a backend that is there, but not
/// when no rule of it can be used.
#[test]
fn attached_routes_are_accepted_ones() {
    let route = |name: &str, parents: &str, rule: &str| {
        format!("---\nHTTPRoute\nmetadata: {{name: {name}}}\nspec: {{parentRefs: [{parents}], rules: [{{{rule}}}]}}\n")
    };
    let text = [
        gateway("{name: l, port: 80, protocol: HTTP}"),
        route("twice", "{name: gw}, {name: gw, sectionName: l}", "backendRefs: [{name: s, port: 80}]"),
        route("nowhere", "{name: gw}", "backendRefs: [{kind: Nonsense, name: s, port: 80}]"),
        route("invalid", "{name: gw}", "matches: [{path: {type: RegularExpression, value: '('}}]"),
        route("elsewhere", "{name: gw, sectionName: other}", "backendRefs: [{name: s, port: 80}]"),
    ]
    .concat();
    let compiled = compiled(&text);
    assert_eq!(compiled.status.gateways[0].status.listeners[0].attached_routes, 2);
    let accepted: Vec<_> =
        compiled.status.http_routes.iter().map(|route| reason(&route.status.parents[0].conditions, "Accepted")).collect();
    assert_eq!(accepted, ["NoMatchingParent", "UnsupportedValue", "Accepted", "Accepted"]);
}

/// [N-1]: a route attaches to every default Gateway that it does not name.
#[test]
fn default_gateways() {
    let text = format!(
        "{}---\nHTTPRoute\nmetadata: {{name: r}}\nspec: {{useDefaultGateways: All, rules: [{{backendRefs: [{{name: s, port: 80}}]}}]}}\n",
        gateway("{name: l, port: 80, protocol: HTTP}").replace("]}", "], defaultScope: All}")
    );
    let compiled = compiled(&text);
    let parents = &compiled.status.http_routes[0].status.parents;
    assert_eq!((parents.len(), &*parents[0].parent_ref.name), (1, "gw"));
    assert_eq!(reason(&parents[0].conditions, "Accepted"), "Accepted");
    assert_eq!(reason(&compiled.status.gateways[0].status.conditions, "DefaultGateway"), "DefaultGateway");
    assert_eq!(compiled.status.gateways[0].status.listeners[0].attached_routes, 1);
}

/// [S-21]: what the embedding program does not carry out is told, never ignored.
#[test]
fn features_that_are_missing() {
    let rule = |text: &str| {
        format!(
            "{}---\nHTTPRoute\nmetadata: {{name: r}}\nspec: {{parentRefs: [{{name: gw}}], rules: [{{{text}, backendRefs: [{{name: s, port: 80}}]}}]}}\n",
            gateway("{name: l, port: 80, protocol: HTTP}")
        )
    };
    for (feature, text, path) in [
        (Feature::HttpRouteMethodMatching, "matches: [{method: GET}]", "spec.rules[0].matches[0].method"),
        (Feature::HttpRouteQueryParamMatching, "matches: [{queryParams: [{name: a, value: b}]}]", "spec.rules[0].matches[0].queryParams"),
        (Feature::HttpRouteRequestTimeout, "timeouts: {request: 1s}", "spec.rules[0].timeouts.request"),
        (Feature::HttpRouteRetry, "retry: {codes: [500]}", "spec.rules[0].retry"),
        (Feature::HttpRouteCors, "filters: [{type: CORS, cors: {allowOrigins: ['*']}}]", "spec.rules[0].filters[0].type"),
        (
            Feature::HttpRouteHostRewrite,
            "filters: [{type: URLRewrite, urlRewrite: {hostname: a.com}}]",
            "spec.rules[0].filters[0].urlRewrite.hostname",
        ),
        (Feature::HttpRouteSessionPersistence, "sessionPersistence: {sessionName: a}", "spec.rules[0].sessionPersistence"),
    ] {
        let with = compiled(&rule(text));
        assert_eq!(reason(&with.status.http_routes[0].status.parents[0].conditions, "Accepted"), "Accepted", "{text}");
        let without = compiled_with(&rule(text), |options| options.features = options.features.without(feature));
        let conditions = &without.status.http_routes[0].status.parents[0].conditions;
        assert_eq!(reason(conditions, "Accepted"), "UnsupportedValue", "{text}");
        assert!(conditions[0].message.starts_with(&format!("{path}: {feature} is not supported")), "{}", conditions[0].message);
    }
}
