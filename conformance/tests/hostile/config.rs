//! Scenarios of values: regular expressions, paths, filters, hostnames, numbers.

use super::Scenario;
use super::play::{Play, assuming, play, play_with, quoted, route};
use gatewright::options::RegexRank;

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("RX-022", || refused_pattern("(/a)\\1")),
    ("RX-024", || refused_pattern("/[")),
    ("RX-025", || refused_pattern("/(a{1000}){1000}")),
    ("RX-026", bounded_pattern),
    ("RX-027", flags_alone),
    ("CFG-009", paths),
    ("CFG-010", encoded_paths),
    ("CFG-011", replacements),
    ("CFG-012", header_modifiers),
    ("CFG-014", hostnames),
    ("CFG-015", redirect_hostnames),
    ("CFG-016", filters_that_do_not_go_together),
    ("CFG-017", weights),
    ("CFG-019", durations),
    ("CFG-020", shares_of_mirrors),
    ("CFG-021", origins),
    ("CFG-024", nested_prefixes),
    ("CFG-025", many_hostnames),
    ("CFG-026", many_regular_expressions),
];

const BACKEND: &str = "backendRefs: [{name: s, port: 80}]";

/// A rule is not accepted, and nothing is routed by it.
fn refused(played: &Play, what: &str) {
    let (accepted, reason) = played.accepted();
    assert!(!accepted && matches!(reason.as_str(), "UnsupportedValue" | "IncompatibleFilters"), "{what}: {accepted} {reason}");
    assert!(played.has_error(), "{what}");
    assert_eq!(played.get("a.com/"), "404 NoRoute", "{what}");
}

fn pattern(expression: &str) -> Play {
    play(&route(&format!("rules: [{{matches: [{{path: {{type: RegularExpression, value: {}}}}}], {BACKEND}}}]", quoted(expression))))
}

fn refused_pattern(expression: &str) {
    refused(&pattern(expression), expression);
}

/// The vector wants it refused, as a sign of bounded size (size_limit of the regex crate). It needs 600 states, far
/// below the limit of 1 MiB, and matching is one step per octet: it is accepted, and a larger one is refused
/// ([R-X2]).
fn bounded_pattern() {
    let accepted = pattern("/(a?){200}a{200}");
    let url = |n: usize| format!("a.com/{}", "a".repeat(n));
    assert_eq!(accepted.accepted(), (true, "Accepted".to_owned()));
    assert_eq!(accepted.get(&url(199)), "404 NoRoute");
    assert!(accepted.get(&url(200)).starts_with("app/s "));
    assert!(accepted.get(&url(400)).starts_with("app/s "));
    assert_eq!(accepted.get(&url(401)), "404 NoRoute");
    refused_pattern("/(a?){20000}a{20000}");
}

fn flags_alone() {
    let empty = pattern("(?i)");
    assert_eq!(empty.accepted(), (true, "Accepted".to_owned()));
    assert_eq!(empty.get("a.com/"), "404 NoRoute", "it matches the empty value, which no path is");
}

fn path(type_: &str, value: &str) -> Play {
    play(&route(&format!("rules: [{{matches: [{{path: {{type: {type_}, value: {}}}}}], {BACKEND}}}]", quoted(value))))
}

fn paths() {
    let long = format!("/{}", "a".repeat(1024));
    for value in ["admin", "/a//b", "/a/../b", "/a/./b", "/a%2fb", "/a#b", "/a/..", "/a b", "/a\nb", "/a%zz", &long] {
        for type_ in ["Exact", "PathPrefix"] {
            // What is too long is an error of the object, which is told; there is nothing wrong with serving it.
            let played = path(type_, value);
            if value == long { assert!(played.has_error(), "{type_} of 1025 characters") } else { refused(&played, value) }
        }
    }
}

fn encoded_paths() {
    // `%2e` is a dot: `a..` is a name like any other, `..` above the root is nothing that a request can be.
    assert_eq!(path("PathPrefix", "/a%2e%2e/b").get("a.com/a../b/c"), "app/s /a../b/c");
    refused(&path("PathPrefix", "/%2e%2e/b"), "/%2e%2e/b");
    assert_eq!(path("PathPrefix", "/a;b").get("a.com/a;b/c"), "app/s /a;b/c");
    assert_eq!(path("Exact", "/%61dmin").get("a.com/admin"), "app/s /admin");
    assert_eq!(path("Exact", "/%61dmin").get("a.com/adm%69n"), "app/s /admin");
}

fn replacements() {
    let replaced = |type_: &str, member: &str, value: &str| {
        let rewrite = format!("{{type: URLRewrite, urlRewrite: {{path: {{type: {type_}, {member}: {}}}}}}}", quoted(value));
        play(&route(&format!("rules: [{{filters: [{rewrite}], {BACKEND}}}]")))
    };
    for value in ["//evil", "/../x", "/a?b=c", "/a#b", "/a\r\nX: y", "\\evil", "/%2e%2e/x", "/a\\b"] {
        refused(&replaced("ReplacePrefixMatch", "replacePrefixMatch", value), value);
        refused(&replaced("ReplaceFullPath", "replaceFullPath", value), value);
    }
    // The vector wants `x` refused, the digest ([F-31]) gives it the slash that no path is without. So does this.
    assert_eq!(replaced("ReplacePrefixMatch", "replacePrefixMatch", "x").get("a.com/y"), "app/s /x/y");
}

fn header_modifiers() {
    let modified = |name: &str, value: &str| {
        let set = format!("{{set: [{{name: {}, value: {}}}]}}", quoted(name), quoted(value));
        play(&route(&format!("rules: [{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {set}}}], {BACKEND}}}]")))
    };
    for value in ["a\r\nSet-Cookie: x=1", "a\nb", "a\0b"] {
        refused(&modified("x", value), &value.escape_debug().to_string());
    }
    for name in [":path", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Keep-Alive", "x y", "x\r\ny", ""] {
        refused(&modified(name, "a"), &name.escape_debug().to_string());
    }
    // `set` of Host is a rewrite of the authority ([F-13], [U-17]): a valid one is carried out, with a warning.
    let host = modified("Host", "b.com");
    assert_eq!(host.get("a.com/"), "app/s /");
    assert!(host.compiled.diagnostics.iter().any(|d| d.message.contains("rewrites the authority")));
    refused(&modified("Host", "b.com/x"), "a host that is none");
}

fn hostnames() {
    let long = "a.".repeat(126) + "aa";
    assert_eq!(long.len(), 254);
    for name in
        ["*", "*.", "*.*.com", "foo.*.com", "*foo.com", "FOO.com", "1.2.3.4", "a_b.com", "a..b", &long, "xn--", "foo.com.", "foo.com:80"]
    {
        let played = play(&route(&format!("hostnames: [{}], rules: [{{{BACKEND}}}]", quoted(name))));
        refused(&played, name);
        assert_eq!(
            played.get(&format!("{}/", name.trim_end_matches('.'))).split(' ').next().map(|status| status.parse::<u16>().is_ok()),
            Some(true)
        );
    }
}

fn redirect_hostnames() {
    for name in ["evil.com/x", "evil.com:80@", "*.x.com", "a b", "1.2.3.4", "evil.com:80", ""] {
        let filter = format!("{{type: RequestRedirect, requestRedirect: {{hostname: {}}}}}", quoted(name));
        refused(&play(&route(&format!("rules: [{{filters: [{filter}]}}]"))), name);
    }
}

fn filters_that_do_not_go_together() {
    let redirect = "{type: RequestRedirect, requestRedirect: {scheme: https}}";
    let rewrite = "{type: URLRewrite, urlRewrite: {hostname: b.com}}";
    let prefix = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}";
    for rule in [
        format!("filters: [{redirect}], {BACKEND}"),
        format!("filters: [{redirect}, {rewrite}]"),
        format!("matches: [{{path: {{type: Exact, value: /}}}}], filters: [{prefix}], {BACKEND}"),
        format!("matches: [{{path: {{value: /}}}}, {{path: {{value: /b}}}}], filters: [{prefix}], {BACKEND}"),
    ] {
        refused(&play(&route(&format!("rules: [{{{rule}}}]"))), &rule);
    }
}

fn weights() {
    let of = |list: &[&str]| {
        let refs: Vec<String> = list.iter().enumerate().map(|(n, weight)| format!("{{name: s{n}, port: 80, weight: {weight}}}")).collect();
        play(&route(&format!("rules: [{{backendRefs: [{}]}}]", refs.join(", "))))
    };
    assert_eq!(of(&["0"]).get("a.com/"), "500 ZeroWeights");
    assert_eq!(of(&["0", "1000000"]).get("a.com/"), "app/s1 /");
    refused(&of(&["-1"]), "-1");
    refused(&of(&["1000001"]), "1000001");
    // The sum is far beyond 32 bits of nothing: the last share is where it should be.
    let many = of(&["1000000"; 16]);
    assert_eq!(many.ask(80, u64::MAX, "GET", "a.com/", &[]), "app/s15 /");
    assert_eq!(many.ask(80, u64::MAX / 16 * 8 + u64::MAX / 32, "GET", "a.com/", &[]), "app/s8 /");
}

fn durations() {
    let of = |text: &str| play(&route(&format!("rules: [{{{BACKEND}, timeouts: {{request: {}}}}}]", quoted(text))));
    for (text, milliseconds) in [("0s", None), ("1ms", Some(1)), ("99999h", Some(359_996_400_000)), ("1h1m1s1ms", Some(3_661_001))] {
        let played = of(text);
        let table = &played.compiled.table;
        let request = gatewright::Request {
            arrival: gatewright::Arrival::on(table.ports()[0].id),
            method: "GET",
            scheme: None,
            authority: gatewright::Authority::Given(b"a.com"),
            target: b"/",
            headers: &http::HeaderMap::new(),
        };
        let gatewright::Decision::Forward(forward) = table.decide(&request, gatewright::Pick(0)) else { panic!("{text} is not accepted") };
        assert_eq!(forward.timeouts.request.map(|timeout| timeout.as_millis()), milliseconds, "{text}");
    }
    for text in ["1.5s", "-1s", "1d", "", "s", "1", "100000h", "1h1h1h1h1h", "1 s", "\u{661}s"] {
        refused(&of(text), text);
    }
}

fn shares_of_mirrors() {
    let of = |share: &str| {
        let filter = format!("{{type: RequestMirror, requestMirror: {{backendRef: {{name: m, port: 80}}, {share}}}}}");
        play(&route(&format!("rules: [{{filters: [{filter}], {BACKEND}}}]")))
    };
    for share in [
        "percent: 101",
        "percent: -1",
        "fraction: {numerator: 2, denominator: 1}",
        "fraction: {numerator: 1, denominator: 0}",
        "percent: 1, fraction: {numerator: 1}",
    ] {
        refused(&of(share), share);
    }
    for share in ["percent: 0", "percent: 100", "fraction: {numerator: 0, denominator: 1}", "fraction: {numerator: 1, denominator: 3}"] {
        assert_eq!(of(share).get("a.com/"), "app/s /", "{share}");
    }
}

fn origins() {
    let of = |origin: &str, credentials: bool| {
        let filter = format!("{{type: CORS, cors: {{allowOrigins: [{}], allowCredentials: {credentials}}}}}", quoted(origin));
        play(&route(&format!("rules: [{{filters: [{filter}], {BACKEND}}}]")))
    };
    for origin in ["https://*", "*", "https://*.com", "https://a.com:8443"] {
        assert_eq!(of(origin, true).get("a.com/"), "app/s /", "{origin}");
    }
    for origin in
        ["https://a.*.com", "https://a.com/", "https://*a.com", "a.com", "https://a.com, https://b.com", "ftp://a.com", "null", ""]
    {
        refused(&of(origin, true), origin);
    }
}

fn http_route(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: app}}\n\
         spec: {{parentRefs: [{{name: gw, namespace: infra}}], {spec}}}\n"
    )
}

/// Prefixes that all match: were compiling quadratic, this would take minutes.
fn nested_prefixes() {
    let prefix = |depth: usize| "/a".repeat(depth % 512 + 1);
    let routes: Vec<String> = (0..10_000)
        .map(|n| {
            http_route(
                &format!("r{n}"),
                &format!("hostnames: [h{}.com], rules: [{{matches: [{{path: {{value: {}}}}}], {BACKEND}}}]", n / 512, prefix(n)),
            )
        })
        .collect();
    let played = play(&(super::play::GATEWAY.to_owned() + &routes.concat()));
    assert_eq!(played.compiled.table.routes().count(), 10_000);
    assert_eq!(played.get(&format!("h0.com{}", "/a".repeat(600))), format!("app/s {}", "/a".repeat(600)));
    assert_eq!(played.get("h19.com/b"), "404 NoRoute");
}

/// There is no hash to collide in: names are compared.
fn many_hostnames() {
    let routes: Vec<String> = (0..4096)
        .map(|n| {
            let names: Vec<String> = (0..16).map(|k| format!("h{}.example.com", n * 16 + k)).collect();
            http_route(
                &format!("r{n}"),
                &format!("hostnames: [{}], rules: [{{backendRefs: [{{name: s{n}, port: 80}}]}}]", names.join(", ")),
            )
        })
        .collect();
    let played = play(&(super::play::GATEWAY.to_owned() + &routes.concat()));
    for n in [0, 1, 99, 100, 101, 255, 256, 65_535] {
        assert_eq!(played.get(&format!("h{n}.example.com/")), format!("app/s{} /", n / 16));
    }
    assert_eq!(played.get("h65536.example.com/"), "404 NoRoute");
}

/// The maximum of the API is 128 matches in a route: what is beyond is told. Equal expressions are compiled once.
fn many_regular_expressions() {
    let conditions: Vec<String> = (0..16).map(|n| format!("{{type: RegularExpression, name: x-{n}, value: 'v{n}[0-9]*|w.*'}}")).collect();
    let match_ = |n: usize| {
        format!("{{path: {{type: RegularExpression, value: '/r{n}/[a-z]+'}}, headers: [{0}], queryParams: [{0}]}}", conditions.join(", "))
    };
    let rule = |rule: usize| format!("{{matches: [{}], {BACKEND}}}", (0..64).map(|n| match_(rule * 64 + n)).collect::<Vec<_>>().join(", "));
    let rules = |count: usize| (0..count).map(rule).collect::<Vec<_>>().join(", ");
    let mut options = assuming();
    options.regex_rank = RegexRank::AfterPrefix;
    let played = play_with(&route(&format!("rules: [{}]", rules(2))), &options);
    let headers: Vec<(String, String)> = (0..16).map(|n| (format!("x-{n}"), format!("v{n}7"))).collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let query: Vec<String> = (0..16).map(|n| format!("x-{n}=w{n}")).collect();
    let query = query.join("&");
    assert_eq!(played.ask(80, 0, "GET", &format!("a.com/r127/abc?{query}"), &headers), format!("app/s /r127/abc?{query}"));
    assert_eq!(played.ask(80, 0, "GET", &format!("a.com/r128/abc?{query}"), &headers), "404 NoRoute");
    let beyond = play(&route(&format!("rules: [{}]", rules(16))));
    assert!(beyond.has_error(), "1024 matches are more than the API takes");
}
