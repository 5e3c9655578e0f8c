//! Scenarios of texts: what is hostile before it is an object.

use gatewright::load::{Limits, Loader, load_text};
use gatewright::{Code, Options, compile};

use super::Scenario;
use super::play::{Play, play, quoted, route};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("CFG-001", billion_laughs),
    ("CFG-002", depth),
    ("CFG-004", duplicate_keys),
    ("CFG-005", words_that_are_no_text),
    ("CFG-006", encodings),
    ("CFG-007", unknown_fields),
    ("CFG-027", names),
];

/// A text is refused as a whole and hides no other document.
fn refused_document(broken: &str, codes: &[Code]) {
    let fine = route("rules: [{backendRefs: [{name: s, port: 80}]}]");
    let played = play(&format!("{broken}\n---\n{fine}"));
    assert!(played.loaded.is_broken());
    assert!(played.loaded.diagnostics.iter().any(|d| codes.contains(&d.code)), "{:?}", played.loaded.diagnostics);
    assert_eq!(played.get("a.com/"), "app/s /", "the other document serves");
}

fn billion_laughs() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..10 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb += &format!("a{n}: &a{n} [{aliases}]\n");
    }
    refused_document(&bomb, &[Code::Limit]);
    let mut limits = Limits::default();
    limits.nodes = 1000;
    let mut loader = Loader::with_limits(limits);
    loader.add_text("bomb", &bomb);
    assert!(loader.finish().is_broken());
}

fn depth() {
    for deep in ["[".repeat(100_000) + &"]".repeat(100_000), "{a: ".repeat(100_000) + &"}".repeat(100_000), "- ".repeat(100_000)] {
        // Here or in the parser, whose own bound may be reached first.
        refused_document(&deep, &[Code::Limit, Code::Syntax]);
    }
    // An unclosed one, too.
    let played = load_text("t", &"[".repeat(100_000));
    assert!(played.is_broken());
}

fn duplicate_keys() {
    let listener = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: twice}\nspec:\n  gatewayClassName: any\n  \
                    listeners: [{name: a, port: 80, protocol: HTTP, hostname: a.com, hostname: b.com}]\n";
    refused_document(listener, &[Code::Syntax]);
}

fn words_that_are_no_text() {
    let gateway = |hostname: &str, port: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw, namespace: infra}}\n\
             spec: {{gatewayClassName: any, listeners: [{{name: a, port: {port}, protocol: HTTP, hostname: {hostname}}}]}}\n"
        )
    };
    // A boolean to some readers: told, and never a listener of any host.
    for hostname in ["no", "yes", "on", "1.10", "0x10"] {
        let played = play(&gateway(hostname, "80"));
        assert!(played.has_error(), "{hostname}");
        assert_eq!(played.get("other.org/"), if played.compiled.table.ports().is_empty() { "no port" } else { "404 NoListener" });
    }
    for port in ["0o120", "8_0", "1e2", "'80'", "80.0", "0x50", "~"] {
        let played = play(&gateway("a.com", port));
        assert!(played.has_error(), "{port}");
        assert!(played.compiled.table.ports().iter().all(|port| port.number == 80), "{port}");
    }
    // Null is absent, which a path may be.
    let absent = play(&route("rules: [{matches: [{path: {value: ~}}], backendRefs: [{name: s, port: 80}]}]"));
    assert_eq!(absent.get("a.com/x"), "app/s /x");
}

fn encodings() {
    let text = route("rules: [{backendRefs: [{name: s, port: 80}]}]");
    let loaded = |bytes: &[u8]| {
        let mut loader = Loader::new();
        loader.add_bytes("t", bytes);
        loader.finish()
    };
    let get = |bytes: &[u8]| {
        let loaded = loaded(bytes);
        let mut options = Options::default();
        options.missing_services = gatewright::MissingServices::Assume;
        let compiled = compile(&loaded.resources, &options);
        Play { loaded, compiled }.get("a.com/")
    };
    assert_eq!(get(text.as_bytes()), "app/s /");
    assert_eq!(get(format!("\u{feff}{text}").as_bytes()), "app/s /");
    assert_eq!(get(text.replace('\n', "\r\n").as_bytes()), "app/s /");
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(loaded(&utf_16).is_broken());
    let with_bom: Vec<u8> = [&[0xff, 0xfe][..], &utf_16].concat();
    assert!(loaded(&with_bom).is_broken());
    for broken in [&b"a: \xff\xfe"[..], b"\xc0\xaf: 1", b"a: \xed\xa0\x80", b"a: b\0c: d\0", b"\ta: b", b"a:\tb: c"] {
        assert!(loaded(broken).is_broken(), "{broken:?}");
    }
}

fn unknown_fields() {
    let typo = play(&route("rules: [{matches: [{path: {vaule: /admin}}], backendRefs: [{name: s, port: 80}]}]"));
    let told = typo.loaded.diagnostics.iter().find(|d| d.code == Code::UnknownField).expect("a finding");
    assert_eq!(told.path, "spec.rules[0].matches[0].path.vaule");
    assert!(told.position.is_some());
}

/// Names end up in status, logs and metrics: whatever they hold, what is printed is one line without controls.
fn names() {
    for name in ["../x", "a\0b", "a\nb", "%2e%2e", "<script>", "a\u{1b}[31m", &"a".repeat(300)] {
        let text = route("rules: [{backendRefs: [{name: s, port: 80}]}]").replace("name: app, ", &format!("name: {}, ", quoted(name)));
        let played = play(&text);
        assert!(played.has_error(), "{}", name.escape_debug());
        for diagnostic in played.loaded.diagnostics.iter().chain(&played.compiled.diagnostics) {
            let line = diagnostic.to_string();
            assert!(!line.chars().any(char::is_control), "{}", line.escape_debug());
        }
    }
}
