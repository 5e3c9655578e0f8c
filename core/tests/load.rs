//! Loading: places, traps, bounds, and one broken document that hides no other.

use gatewright::load::{Limits, Loader, load_text};
use gatewright::{Code, Severity};

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: good}\nspec: {parentRefs: [{name: gw}]}\n";

/// `line:column severity[code] path: message` of every finding.
fn findings(text: &str) -> Vec<String> {
    let line = |d: &gatewright::Diagnostic| {
        let at = d.position.as_ref().map(|p| format!("{}:{}", p.line, p.column)).unwrap_or_default();
        format!("{at} {}[{}] {}: {}", d.severity, d.code, d.path, d.message)
    };
    load_text("t", text).diagnostics.iter().map(line).collect()
}

#[test]
fn a_broken_document_hides_no_other() {
    for broken in [
        "a: [1\n",
        "a: b: c\n",
        "\ta: b\n",
        "a: 1\na: 2\n",
        "? [a]\n: b\n",
        "a: *nowhere\n",
        "just a text\n",
        "kind: HTTPRoute\n",
        "- 1\n",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: bad}\nspec: {rules: 7}\n",
        "apiVersion: gateway.networking.k8s.io/v9\nkind: HTTPRoute\nmetadata: {name: bad}\nspec: {}\n",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {}\nspec: {}\n",
    ] {
        let loaded = load_text("t", &format!("{ROUTE}---\n{broken}---\n{}", ROUTE.replace("good", "fine")));
        let names: Vec<_> = loaded.resources.http_routes.iter().map(|r| r.metadata.name.as_str()).collect();
        assert_eq!(names, ["fine", "good"], "{broken}");
        assert!(loaded.is_broken(), "{broken}");
        let error = loaded.diagnostics.iter().find(|d| d.severity == Severity::Error).unwrap();
        let line = error.position.as_ref().unwrap().line;
        assert!((5..=9).contains(&line), "{broken} is reported at line {line}: {error}");
    }
}

#[test]
fn findings_name_the_place() {
    let text = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: places
spec:
  parentRefs:
  - name: gw
    sectionname: http
  rules:
  - matches:
    - headers:
      - name: x
        value: yes
      - name: z
        value: 1.10
    backendRefs:
    - name: web
      port: eighty
";
    assert_eq!(
        findings(text),
        [
            "8:5 warning[GW003] spec.parentRefs[0].sectionname: the API has no such field: it is ignored",
            "13:16 error[GW010] spec.rules[0].matches[0].headers[0].value: `yes` without quotes is a boolean and the API server refuses the object; here it is read as a text",
            "15:16 error[GW010] spec.rules[0].matches[0].headers[1].value: `1.10` without quotes is a number and the API server refuses the object; here it is read as a text",
            "18:13 error[GW002] spec.rules[0].backendRefs[0].port: wrong type; the object is left out",
        ]
    );
    let found = load_text("t", text).diagnostics.pop().unwrap();
    assert_eq!((found.found.as_deref(), found.expected.as_deref()), (Some("string \"eighty\""), Some("i32")));
}

#[test]
fn compile_findings_can_be_located() {
    let text = "{\"apiVersion\": \"gateway.networking.k8s.io/v1\", \"kind\": \"HTTPRoute\", \"metadata\": {\"name\": \"json\"},\n \"spec\": {\"rules\": [\n  {\"matches\": [{\"path\": {\"value\": \"no-slash\"}}]}]}}";
    let loaded = load_text("r.json", text);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let mut found = gatewright::compile(&loaded.resources, &gatewright::Options::default()).diagnostics;
    found.iter_mut().for_each(|d| loaded.sources.locate(d));
    let error = found.iter().find(|d| d.code == Code::Rejected).unwrap();
    assert_eq!(error.position.as_ref().unwrap().to_string(), "r.json:3:35");
    assert_eq!(error.path, "spec.rules[0].matches[0].path.value");
}

#[test]
fn lists_json_and_many_documents() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- apiVersion: gateway.networking.k8s.io/v1\n  kind: HTTPRouteList\n  items:\n  - {apiVersion: gateway.networking.k8s.io/v1beta1, kind: HTTPRoute, metadata: {name: b}, spec: {}}\n";
    let loaded = load_text("t", &format!("# comment\n---\n{list}...\n---\n\n---\nnull\n--- # more\n{ROUTE}"));
    assert_eq!((loaded.resources.services.len(), loaded.resources.http_routes.len()), (1, 2));
    assert_eq!(loaded.diagnostics.len(), 1, "an old version is told: {:?}", loaded.diagnostics);
}

#[test]
fn traps() {
    // Aliases, merge keys, null as absent, a byte order mark, carriage returns, other kinds.
    let text = "\u{feff}apiVersion: gateway.networking.k8s.io/v1\r\nkind: HTTPRoute\r\nmetadata: {name: traps, labels: null}\r\nspec:\r\n  hostnames: ~\r\n  parentRefs:\r\n  - &p {name: gw}\r\n  - {<<: *p, sectionName: http}\r\n  rules:\r\n";
    let loaded = load_text("t", text);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let parents = &loaded.resources.http_routes[0].spec.parent_refs;
    assert_eq!((parents.len(), parents[1].name.as_str(), parents[1].section_name.as_deref()), (2, "gw", Some("http")));
    let other = load_text("t", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n");
    assert_eq!((other.skipped.len(), other.diagnostics[0].severity), (1, Severity::Info));
    let twice = load_text("t", &format!("{ROUTE}---\n{ROUTE}"));
    assert_eq!(twice.diagnostics[0].code, Code::DuplicateObject);
    let mut loader = Loader::new();
    loader.add_bytes("b", b"a: \xff\n");
    assert_eq!(loader.finish().diagnostics[0].code, Code::Syntax);
}

/// The parser says what it stumbled over; it has the words only with a feature of its own.
#[test]
fn broken_syntax_is_named() {
    for text in ["kind: [", "kind: {a: 1", "kind: 'x", "a: b: c"] {
        let found = load_text("t", text).diagnostics;
        assert!(found.len() == 1 && found[0].code == Code::Syntax, "{text}: {found:?}");
        assert!(found[0].message.strip_suffix("; this document is left out").is_some_and(|why| why.len() > 10), "{text}: {found:?}");
    }
}

#[test]
fn hostile_input_is_bounded() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..20 {
        bomb += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    let deep = "[".repeat(100_000);
    let block: String = (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let giant = format!("a: {}", "x".repeat(4 << 20));
    for (name, text) in [("aliases", &bomb), ("flow", &deep), ("block", &block), ("scalar", &giant)] {
        let found = load_text(name, text).diagnostics;
        assert!(found.iter().all(|d| matches!(d.code, Code::Limit | Code::Syntax)) && !found.is_empty(), "{name}: {found:?}");
    }
    let mut limits = Limits::default();
    (limits.bytes, limits.documents) = (100, 2);
    let mut loader = Loader::with_limits(limits.clone());
    loader.add_text("many", "a: 1\n---\nb: 1\n---\nc: 1\n");
    loader.add_text("large", &"x".repeat(100));
    let found = loader.finish().diagnostics;
    assert_eq!(found.iter().filter(|d| d.code == Code::Limit).count(), 2, "{found:?}");
}

/// Ten thousand mutations of a sound text: no panic, and what stands before the damage still loads.
#[test]
fn mutations() {
    let mut seed = 1_u64;
    let mut random = move |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % n
    };
    let tail = format!("---\n{}", ROUTE.replace("good", "mutant"));
    for _ in 0..10_000 {
        let mut bytes = tail.clone().into_bytes();
        for _ in 0..=random(3) {
            let at = 4 + random(bytes.len() - 4);
            match random(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = b"\t{}[]:,&*!|>'\"%@`#-? \n~\\0"[random(25)],
                _ => bytes.insert(at, b"\t{}[]:,&*!|>'\"%@`#-? \n~\\0"[random(25)]),
            }
        }
        let text = format!("{ROUTE}{}", String::from_utf8_lossy(&bytes));
        let loaded = load_text("t", &text);
        assert!(loaded.resources.http_routes.iter().any(|r| r.metadata.name == "good"), "{text}");
    }
}

/// The rows of: what is written, what it is read as, and what is said of it.
#[test]
fn old_versions_are_read_and_told() {
    const G: &str = "gateway.networking.k8s.io";
    const X: &str = "gateway.networking.x-k8s.io";
    let listeners = "listeners: [{name: a, port: 80, protocol: HTTP}]";
    let parent = "parentRef: {name: a}";
    let rules = "rules: [{backendRefs: [{name: a, port: 80}]}]";
    let grant = "from: [{group: '', kind: A, namespace: a}], to: [{group: '', kind: Service}]";
    let targets = "targetRefs: [{group: '', kind: Service, name: a}]";
    let validation = "validation: {hostname: a.example, wellKnownCACertificates: System}";
    let old = |version: &str, kind: &str, newest: &str| Some(format!("`{version}` is an old version of {kind}, read as `{newest}`"));
    let renamed = |kind: &str, to: &str, group: &str| Some(format!("{kind} is an old name: the object is read as {to} of `{group}`"));
    for (group, version, kind, spec, read_as, told) in [
        (G, "v1beta1", "GatewayClass", "controllerName: a.example/b", "GatewayClass", old("v1beta1", "GatewayClass", "v1")),
        (G, "v1beta1", "Gateway", &format!("gatewayClassName: a, {listeners}"), "Gateway", old("v1beta1", "Gateway", "v1")),
        (G, "v1beta1", "HTTPRoute", "hostnames: [a.example]", "HTTPRoute", old("v1beta1", "HTTPRoute", "v1")),
        // The version in which ReferenceGrants are stored still.
        (G, "v1beta1", "ReferenceGrant", grant, "ReferenceGrant", None),
        (G, "v1alpha2", "ReferenceGrant", grant, "ReferenceGrant", old("v1alpha2", "ReferenceGrant", "v1")),
        (G, "v1alpha3", "TLSRoute", &format!("hostnames: [a.example], {rules}"), "TLSRoute", old("v1alpha3", "TLSRoute", "v1")),
        (G, "v1alpha2", "TLSRoute", rules, "TLSRoute", old("v1alpha2", "TLSRoute", "v1")),
        (G, "v1alpha2", "TCPRoute", rules, "TCPRoute", old("v1alpha2", "TCPRoute", "v1")),
        (G, "v1alpha2", "UDPRoute", rules, "UDPRoute", old("v1alpha2", "UDPRoute", "v1")),
        (G, "v1alpha2", "GRPCRoute", "hostnames: [a.example]", "GRPCRoute", old("v1alpha2", "GRPCRoute", "v1")),
        (
            G,
            "v1alpha3",
            "BackendTLSPolicy",
            &format!("{targets}, {validation}"),
            "BackendTLSPolicy",
            old("v1alpha3", "BackendTLSPolicy", "v1"),
        ),
        (X, "v1alpha1", "XListenerSet", &format!("{parent}, {listeners}"), "ListenerSet", renamed("XListenerSet", "ListenerSet", G)),
        (G, "v1alpha2", "BackendLBPolicy", targets, "XBackendTrafficPolicy", renamed("BackendLBPolicy", "XBackendTrafficPolicy", X)),
        (G, "v1alpha2", "ReferencePolicy", grant, "ReferenceGrant", renamed("ReferencePolicy", "ReferenceGrant", G)),
    ] {
        let text = format!("apiVersion: {group}/{version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{{spec}}}\n");
        let loaded = load_text("t", &text);
        assert_eq!(loaded.resources.len(), 1, "{text}{:#?}", loaded.diagnostics);
        let warnings: Vec<_> = loaded.diagnostics.iter().map(|d| (d.severity, d.code, d.message.clone())).collect();
        assert_eq!(warnings, told.into_iter().map(|told| (Severity::Warning, Code::Version, told)).collect::<Vec<_>>(), "{text}");
        // And it is sound: nothing of it is refused.
        let refused = gatewright::compile(&loaded.resources, &gatewright::Options::default()).diagnostics;
        let refused: Vec<_> = refused.iter().filter(|d| d.code == Code::Rejected).collect();
        assert!(refused.is_empty(), "{text}{refused:#?}");
        let objects = serde_json::to_value(&loaded.resources).expect("JSON");
        let list = serde_json::to_value(read_as).expect("JSON");
        let field = match list.as_str().unwrap_or_default() {
            "GatewayClass" => "gatewayClasses",
            "Gateway" => "gateways",
            "HTTPRoute" => "httpRoutes",
            "GRPCRoute" => "grpcRoutes",
            "TLSRoute" => "tlsRoutes",
            "TCPRoute" => "tcpRoutes",
            "UDPRoute" => "udpRoutes",
            "ReferenceGrant" => "referenceGrants",
            "ListenerSet" => "listenerSets",
            "BackendTLSPolicy" => "backendTlsPolicies",
            "XBackendTrafficPolicy" => "backendTrafficPolicies",
            other => panic!("{other}"),
        };
        assert!(objects[field].is_array(), "{text} is read as {objects}");
    }
}

/// Its fields are not those of v1: TLS towards backends is not guessed.
#[test]
fn the_first_backend_tls_policy_is_refused() {
    let text = "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: BackendTLSPolicy\nmetadata: {name: a}\nspec: {targetRef: {group: '', kind: Service, name: a}, tls: {hostname: a.example}}\n";
    let loaded = load_text("t", text);
    assert!(loaded.resources.is_empty() && loaded.is_broken());
    assert_eq!(
        loaded.diagnostics[0].to_string(),
        "t:1:1: error[GW005]: BackendTLSPolicy/default/a: apiVersion: version `v1alpha2` of BackendTLSPolicy is not accepted, expected v1, \
         v1alpha3; the object is left out; its fields are not those of v1, and TLS is not guessed: write `spec.targetRefs` and `spec.validation`"
    );
    // Nor in a later version with the earlier fields.
    let text = text.replace("v1alpha2", "v1alpha3");
    assert!(load_text("t", &text).resources.is_empty());
}

/// v1alpha2 allows what v1 does not ([R-2], [V-23]).
#[test]
fn rules_of_a_version() {
    let rule = "{backendRefs: [{name: a, port: 80}]}";
    let refused = |version: &str, spec: &str| -> Vec<String> {
        let text = format!("apiVersion: gateway.networking.k8s.io/{version}\nkind: TLSRoute\nmetadata: {{name: a}}\nspec: {{{spec}}}\n");
        let loaded = load_text("t", &text);
        let found = gatewright::compile(&loaded.resources, &gatewright::Options::default()).diagnostics;
        found.iter().filter(|d| d.code == Code::Rejected).map(|d| format!("{}: {}", d.path, d.message)).collect()
    };
    let two = format!("rules: [{rule}, {rule}]");
    assert_eq!(refused("v1alpha2", &two), [""; 0]);
    for version in ["v1", "v1alpha3"] {
        assert_eq!(refused(version, &two), ["spec.hostnames: Required value", "spec.rules: must have at most 1 items"], "{version}");
    }
    let seventeen = format!("rules: [{}]", [rule; 17].join(", "));
    assert_eq!(refused("v1alpha2", &seventeen), ["spec.rules: must have at most 16 items"]);
    // The last object of a name counts, and its version with it.
    let text = |version: &str| {
        format!("---\napiVersion: gateway.networking.k8s.io/{version}\nkind: TLSRoute\nmetadata: {{name: a}}\nspec: {{{two}}}\n")
    };
    for (first, second, wanted) in [("v1alpha2", "v1", 2), ("v1", "v1alpha2", 0)] {
        let loaded = load_text("t", &(text(first) + &text(second)));
        let found = gatewright::compile(&loaded.resources, &gatewright::Options::default()).diagnostics;
        assert_eq!(found.iter().filter(|d| d.code == Code::Rejected).count(), wanted, "{first} then {second}");
    }
}

/// Some documents write the core group as `core` ([R-8]).
#[test]
fn group_core_is_the_core_group() {
    let text = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, labels: {group: core}}
spec:
  parentRefs: [{group: core, kind: Service, name: a}]
  rules: [{backendRefs: [{group: core, name: core, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: a}
spec:
  gatewayClassName: core
  infrastructure: {labels: {group: core, a.group: core}}
  listeners: [{name: core, port: 80, protocol: HTTP, tls: {options: {group: core}}}]
";
    let loaded = load_text("t", text);
    let route = &loaded.resources.http_routes[0];
    assert_eq!(route.spec.parent_refs[0].group.as_deref(), Some(""));
    let backend = &route.spec.rules.as_ref().unwrap()[0].backend_refs[0];
    assert_eq!((backend.group.as_deref(), backend.name.as_str()), (Some(""), "core"));
    let gateway = &loaded.resources.gateways[0].spec;
    assert!(gateway.infrastructure.as_ref().unwrap().labels.values().all(|value| value == "core"));
    assert_eq!((gateway.gateway_class_name.as_str(), gateway.listeners[0].name.as_str()), ("core", "core"));
    let told: Vec<_> = findings(text).into_iter().filter(|finding| finding.contains("core")).collect();
    let message = "group `core` means the core group, which is written as an empty text";
    assert_eq!(
        told,
        [
            format!("5:24 warning[GW010] spec.parentRefs[0].group: {message}"),
            format!("6:34 warning[GW010] spec.rules[0].backendRefs[0].group: {message}"),
        ]
    );
}

/// Objects of an extension are kept for the program that reads them, with the place of whatever is wrong.
#[test]
fn kept_kinds() {
    #[derive(Debug, serde::Deserialize)]
    struct Pages {
        spec: Spec,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Spec {
        pages: Vec<Page>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(try_from = "u32")]
    struct Page(u32);
    impl TryFrom<u32> for Page {
        type Error = String;
        fn try_from(code: u32) -> Result<Self, String> {
            if code < 600 { Ok(Self(code)) } else { Err("too large".into()) }
        }
    }
    let mut loader = Loader::new().keep(&[("x.io", "Pages")]);
    let object = |name: &str, spec: &str| format!("apiVersion: x.io/v1\nkind: Pages\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n");
    let list = format!("kind: List\napiVersion: v1\nitems:\n- {}", object("c", "pages: []").replace('\n', "\n  "));
    loader.add_text("p", &[object("a", "pages: [404]\n  more: 1"), object("b", "pages:\n  - 1\n  - 999"), list].join("---\n"));
    let loaded = loader.finish();
    assert!(loaded.diagnostics.is_empty() && loaded.skipped.is_empty(), "{:?}", loaded.diagnostics);
    let read = |n: usize| loaded.kept[n].read::<Pages>();
    assert_eq!((loaded.kept[0].object().to_string(), loaded.kept[0].version()), ("Pages/default/a".to_owned(), "v1"));
    let (pages, told) = read(0).unwrap();
    assert_eq!((pages.spec.pages[0].0, told.len()), (404, 1));
    assert_eq!(told[0].to_string(), "p:6:3: warning[GW003]: Pages/default/a: spec.more: the kind has no such field: it is ignored");
    assert_eq!(read(1).unwrap_err().to_string(), "p:14:5: error[GW002]: Pages/default/b: spec.pages[1]: too large");
    assert!(read(2).unwrap().0.spec.pages.is_empty());
    let mut loader = Loader::new().keep(&[("x.io", "Pages")]);
    loader.add_text("p", &[object("a", "pages: []"), object("a", "pages: [1]"), object("''", "pages: []")].join("---\n"));
    let loaded = loader.finish();
    assert_eq!(loaded.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::DuplicateObject, Code::Schema]);
    assert_eq!((loaded.kept.len(), loaded.kept[0].read::<Pages>().unwrap().0.spec.pages.len()), (1, 1));
}
