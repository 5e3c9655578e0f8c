//! `gatewright decide` and `explain` about connections and meshes, and `check` on every kind of object.

use std::io::Write as _;
use std::process::{Command, Stdio};

const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - {name: tls, port: 443, protocol: TLS, hostname: '*.example.com', tls: {mode: Passthrough}}
  - {name: dns, port: 53, protocol: UDP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec: {parentRef: {name: gw}, listeners: [{name: db, port: 5432, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: secure}
spec: {parentRefs: [{name: gw}], hostnames: [a.example.com], rules: [{backendRefs: [{name: secure, port: 443}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: dns}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: dns, port: 53}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db}
spec: {parentRefs: [{kind: ListenerSet, name: more}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mesh, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 8080}]
  rules: [{matches: [{path: {value: /v1}}], backendRefs: [{name: cart-v1, port: 8080}]}]
";

/// Exit code and standard output of the program with the manifests in a file and a text on standard input.
fn run(arguments: &[&str], input: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, MANIFESTS).unwrap();
    let arguments = arguments.iter().map(|argument| argument.replace("FILE", file.to_str().unwrap()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn connections_and_meshes() {
    for (arguments, code, expected) in [
        (&["tls://a.example.com"][..], 0, "forward to default/secure:443, TLS passthrough (TLSRoute/default/secure)"),
        (&["tls://b.example.com:443"], 1, "reject: no route matches"),
        (&["--sni", "b.example.org", "tls://a.example.com"], 1, "reject: no listener of the port accepts this server name"),
        (&["udp://any:53"], 0, "forward to default/dns:53 (UDPRoute/default/dns)"),
        (&["tcp://any:5432"], 0, "forward to default/db:5432 (TCPRoute/default/db)"),
        (&["--client", "shop", "http://cart:8080/v1/x"], 0, "forward to shop/cart-v1:8080, cart:8080/v1/x (HTTPRoute/shop/mesh rule 0)"),
        (&["--client", "other", "http://cart.shop:8080/v2"], 1, "respond 404: no route matches"),
        (
            &["--client", "other", "http://cart.shop/v1"],
            0,
            "no route has this port of the Service as parent: the traffic passes through unmodified",
        ),
    ] {
        let (decided, line) = run(&[&["decide", "-f", "FILE"], arguments].concat(), "");
        assert_eq!((decided, line.trim()), (code, expected), "{arguments:?}");
        let (explained, text) = run(&[&["explain", "-f", "FILE"], arguments].concat(), "");
        assert_eq!(explained, code, "{arguments:?}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        let (_, json) = run(&[&["explain", "-o", "json", "-f", "FILE"], arguments].concat(), "");
        serde_json::from_str::<serde_json::Value>(&json).unwrap();
    }
    assert_eq!(run(&["decide", "-f", "FILE", "ftp://a"], "").0, 2);
}

#[test]
fn lines_of_questions() {
    let input = r#"{"connection": "tls", "sni": "a.example.com"}
{"connection": "udp", "port": 53}
{"client": "shop", "service": "shop/cart", "port": 8080, "target": "/v1", "authority": "cart"}
{"client": "shop", "service": "shop/cart", "port": 1, "target": "/v1"}
{"client": "shop", "target": "/v1"}
{"connection": "tls", "target": "/"}
"#;
    let (code, output) = run(&["decide", "-f", "FILE", "--requests", "-"], input);
    assert_eq!(code, 2);
    let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decisions: Vec<_> = lines.iter().map(|line| line["decision"].as_str().unwrap_or("error")).collect();
    assert_eq!(decisions, ["forward", "forward", "forward", "passThrough", "error", "error"]);
    assert_eq!(lines[0]["tls"], "passthrough");
    assert_eq!(lines[2]["service"], "shop/cart:8080");
}

/// [R-K3]: endpoints on the gateway's own machine need a word on the command line.
#[test]
fn local_endpoints_need_leave() {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: db-1, labels: {kubernetes.io/service-name: db}}\naddressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]\nports: [{port: 5432}]\n";
    let (code, text) = run(&["check", "FILE", "-"], slice);
    assert!(code == 1 && text.contains("GW025"), "{text}");
    let (code, text) = run(&["check", "--allow-local-endpoints", "FILE", "-"], slice);
    assert!(code == 0 && !text.contains("GW025"), "{text}");
}

/// Every object that has a status is printed with it.
#[test]
fn check_knows_every_kind() {
    let (code, text) = run(&["check", "FILE"], "");
    assert_eq!(code, 0, "{text}");
    for line in [
        "Gateway/default/gw: Accepted, Programmed, ResolvedRefs",
        "  listener tls for TLSRoute: Accepted, Programmed, ResolvedRefs, 1 attached routes",
        "ListenerSet/default/more: Accepted, Programmed",
        "  listener db for TCPRoute: Accepted, Programmed, ResolvedRefs, 1 attached routes",
        "TLSRoute/default/secure",
        "  parent ListenerSet more: Accepted, ResolvedRefs",
        "  parent Service cart port 8080: Accepted, ResolvedRefs",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

/// What `serve` runs is known to the other commands, too ([F-60]).
#[test]
fn policies_are_known() {
    let filter = |kind: &str, group: &str| format!("{{type: ExtensionRef, extensionRef: {{group: {group}, kind: {kind}, name: p}}}}");
    let text = |limit: u32| {
        let (limits, tokens) =
            (filter("RateLimitPolicy", "policy.gateway.networking.k8s.io"), filter("AuthFilter", "gateway.networking.k8s.io"));
        format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: only, namespace: p}}
spec: {{gatewayClassName: any, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r, namespace: p}}
spec: {{parentRefs: [{{name: only}}], rules: [{{filters: [{limits}, {tokens}], backendRefs: [{{name: web, port: 80}}]}}]}}
---
apiVersion: policy.gateway.networking.k8s.io/v1alpha1
kind: RateLimitPolicy
metadata: {{name: p, namespace: p}}
spec: {{rates: [{{limit: {limit}, duration: 1m}}]}}
---
apiVersion: gateway.networking.k8s.io/v1alpha1
kind: AuthFilter
metadata: {{name: p, namespace: p}}
spec: {{type: JWT, jwt: {{issuers: [{{uri: 'https://auth.example.com'}}], audiences: [a]}}}}
"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#).unwrap();
    let keys = format!("https://auth.example.com={}", file.display());
    let (code, told) = run(&["check", "--jwks", &keys, "-"], &text(1));
    assert_eq!(code, 0, "{told}");
    let (_, told) = run(&["check", "-"], &text(1));
    assert!(told.contains("spec.jwt.issuers[0]: no keys"), "{told}");
    let (code, told) = run(&["check", "--jwks", &keys, "-"], &text(0));
    let wanted = ":14:24: error[GW002]: RateLimitPolicy/p/p: spec.rates[0].limit: wrong value";
    assert!(code == 1 && told.contains(wanted), "{told}");
    for (limit, decision) in [(1, "forward"), (0, "respond")] {
        let (_, told) = run(&["decide", "-o", "json", "--jwks", &keys, "-f", "-", "http://h/"], &text(limit));
        let report: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(report["decision"], decision, "{told}");
        assert!(decision != "forward" || report["extensions"].as_array().unwrap().len() == 2, "{told}");
    }
}
