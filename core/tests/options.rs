//! Each option, by a decision that it changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use gatewright::options::{
    AliasHeaders, EscapedSlashes, HostnameFallback, HttpAndGrpc, ModifierConflicts, NameOrder, PathParameters, Preflights, Profile,
    RedirectPort, RegexMatch, RegexRank, RepeatedHeaders,
};
use gatewright::{Arrival, Authority, Compiled, Decision, MissingServices, Options, Pick, Request, apply, compile};
use http::HeaderMap;

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: gw}
spec:
  gatewayClassName: any
  listeners: [{name: http, port: 8080, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
";

/// Compiles routes, written as `KIND ns/name; rest of the spec`, under options.
fn compiled(routes: &[&str], set: impl Fn(&mut Options)) -> Compiled {
    let mut text = GATEWAY.to_owned();
    for route in routes {
        let (head, spec) = route.split_once(';').unwrap();
        let (kind, name) = head.split_once(' ').unwrap();
        let (namespace, name) = name.split_once('/').unwrap();
        text += &format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{parentRefs: [{{name: gw, namespace: gw}}], {spec}}}\n"
        );
    }
    let loaded = gatewright::load::load_text("t", &text);
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    set(&mut options);
    compile(&loaded.resources, &options)
}

/// The decision in one line.
fn decide(compiled: &Compiled, method: &str, url: &str, headers: &[(&str, &str)]) -> String {
    let (host, target) = url.split_at(url.find('/').unwrap_or(url.len()));
    let table = &compiled.table;
    let request = Request {
        arrival: Arrival::on(table.ports()[0].id),
        method,
        scheme: None,
        authority: Authority::Given(host.as_bytes()),
        target: target.as_bytes(),
        headers,
    };
    match table.decide(&request, Pick(0)) {
        Decision::Forward(d) => format!("{} {}", table.backend(d.backend).unwrap().object.name, d.target),
        Decision::Redirect(d) => format!("{} {}", d.status.as_u16(), d.location),
        Decision::Respond(d) => format!("{} {}", d.status.as_u16(), d.reason.as_str()),
        other => format!("{other:?}"),
    }
}

/// A rule: a match and the backend that it goes to.
fn rules(list: &[(&str, &str)]) -> String {
    let rule = |(match_, backend): &(&str, &str)| format!("{{matches: [{{{match_}}}], backendRefs: [{{name: {backend}, port: 80}}]}}");
    format!("HTTPRoute a/a; rules: [{}]", list.iter().map(rule).collect::<Vec<_>>().join(", "))
}

/// [U-11], [R-P6], [R-P8], [R-P9]
#[test]
fn paths() {
    let route = rules(&[("path: {value: /admin}", "guard"), ("path: {value: /%61b}", "ab"), ("path: {value: /}", "site")]);
    let strict = |_: &mut Options| {};
    let with = |profile: Profile| move |o: &mut Options| o.profile = profile;
    for (set, path, expected) in [
        (&strict as &dyn Fn(&mut Options), "//admin", "guard /admin"),
        (&with(Profile::Compatible), "//admin", "site //admin"),
        (&with(Profile::Raw), "//admin", "site //admin"),
        (&|o: &mut Options| o.merge_slashes = Some(false), "//admin", "site //admin"),
        (&|o: &mut Options| (o.profile, o.merge_slashes) = (Profile::Compatible, Some(true)), "//admin", "guard /admin"),
        (&strict, "/x/../admin/%2e/", "guard /admin/"),
        (&with(Profile::Compatible), "/x/../%61dmin", "guard /admin"),
        (&with(Profile::Raw), "/x/../admin", "site /x/../admin"),
        // Configured paths have the form that requests have.
        (&strict, "/ab", "ab /ab"),
        (&with(Profile::Raw), "/ab", "site /ab"),
        (&with(Profile::Raw), "/%61b", "ab /%61b"),
        (&strict, "/admin%2fx", "400 EncodedSlash"),
        (&with(Profile::Compatible), "/admin%2fx", "site /admin%2Fx"),
        (&with(Profile::Raw), "/admin%2fx", "site /admin%2fx"),
        (&|o: &mut Options| o.escaped_slashes = Some(EscapedSlashes::KeepUnchanged), "/admin%2fx", "site /admin%2Fx"),
        (&|o: &mut Options| o.escaped_slashes = Some(EscapedSlashes::UnescapeAndForward), "/admin%2fx", "guard /admin/x"),
        (&|o: &mut Options| o.escaped_slashes = Some(EscapedSlashes::UnescapeAndRedirect), "/admin%2fx?y", "307 /admin/x?y"),
        (&|o: &mut Options| o.escaped_slashes = Some(EscapedSlashes::UnescapeAndRedirect), "/admin/x", "guard /admin/x"),
        (
            &|o: &mut Options| (o.profile, o.escaped_slashes) = (Profile::Compatible, Some(EscapedSlashes::Reject)),
            "/a%2Fb",
            "400 EncodedSlash",
        ),
        (&strict, "/admin;x", "site /admin;x"),
        (&|o: &mut Options| o.path_parameters = PathParameters::MatchStripped, "/admin;x/y;z", "guard /admin;x/y;z"),
        (&|o: &mut Options| o.path_parameters = PathParameters::Reject, "/admin;x", "400 PathParameter"),
    ] {
        assert_eq!(decide(&compiled(&[&route], set), "GET", &format!("a.com{path}"), &[]), expected, "{path}");
    }
    let redirecting = compiled(&[&route], |o| {
        o.profile = Profile::Compatible;
        o.escaped_slashes = Some(EscapedSlashes::UnescapeAndRedirect);
    });
    // Never a reference to another host.
    assert_eq!(decide(&redirecting, "GET", "a.com/%2Fevil.org", &[]), "307 /.//evil.org");
    assert_eq!(decide(&redirecting, "POST", "a.com/a%2Fb", &[("content-type", "application/grpc")]), "400 EncodedSlash");
    let nothing =
        compiled(&[&rules(&[("path: {value: /admin}", "guard")])], |o| o.escaped_slashes = Some(EscapedSlashes::UnescapeAndRedirect));
    assert_eq!(decide(&nothing, "GET", "a.com/b%2Fc", &[]), "404 NoRoute");
}

/// [R-P9], [F-31]: a prefix is whole segments with their parameters.
#[test]
fn prefixes_with_parameters() {
    let rewrite = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]";
    let route =
        format!("HTTPRoute a/a; rules: [{{matches: [{{path: {{value: /a/b}}}}], {rewrite}, backendRefs: [{{name: s, port: 80}}]}}]");
    let table = compiled(&[&route], |o| o.path_parameters = PathParameters::MatchStripped);
    for (path, expected) in [("/a;x=1/b;y/c;z", "s /new/c;z"), ("/a;x/b", "s /new"), ("/a/b;x", "s /new"), ("/a/b/", "s /new/")] {
        assert_eq!(decide(&table, "GET", &format!("a.com{path}"), &[]), expected);
    }
    // What can never match is told.
    let never = compiled(&[&rules(&[("path: {value: /a;x}", "s")])], |o| o.path_parameters = PathParameters::MatchStripped);
    assert!(never.diagnostics.iter().any(|d| d.message.contains("do not see path parameters")), "{:#?}", never.diagnostics);
}

/// [R-F4]
#[test]
fn alias_headers() {
    let route = rules(&[("headers: [{name: X-Role, value: admin}]", "admin"), ("path: {value: /}", "site")]);
    let request = [("x_role", "admin"), ("X.ROLE", "admin"), ("x-other", "1"), ("x_other", "2"), ("x_forwarded_for", "evil")];
    for (choice, decision, forwarded) in [
        (AliasHeaders::Drop, "site /", &["x-other", "x_other"][..]),
        (AliasHeaders::Reject, "400 HeaderAlias", &[]),
        (AliasHeaders::Keep, "site /", &["x-other", "x.role", "x_forwarded_for", "x_other", "x_role"]),
    ] {
        let table = compiled(&[&route], |o| o.alias_headers = choice);
        assert_eq!(decide(&table, "GET", "a.com/", &request), decision, "{choice}");
        let names = forwarded_headers(&table, &request);
        assert_eq!(names.unwrap_or_default(), forwarded, "{choice}");
    }
    let plain = [("x-role", "admin"), ("x-forwarded-for", "1.2.3.4")];
    let table = compiled(&[&route], |o| o.alias_headers = AliasHeaders::Reject);
    assert_eq!(decide(&table, "GET", "a.com/", &plain), "admin /");
    // A route cannot make another route's alias a name of its own.
    let two = rules(&[
        ("headers: [{name: x-role, value: admin}]", "admin"),
        ("headers: [{name: x_role, value: admin}]", "other"),
        ("path: {value: /}", "site"),
    ]);
    let table = compiled(&[&two], |_| {});
    assert_eq!(decide(&table, "GET", "a.com/", &[("x_role", "admin")]), "site /");
    assert!(table.diagnostics.iter().any(|d| d.message.contains("alias of `x-role`")), "{:#?}", table.diagnostics);
    let table = compiled(&[&two], |o| o.alias_headers = AliasHeaders::Keep);
    assert_eq!(decide(&table, "GET", "a.com/", &[("x_role", "admin")]), "other /");
}

/// The names that a backend gets, if the request is forwarded.
fn forwarded_headers(compiled: &Compiled, headers: &[(&str, &str)]) -> Option<Vec<String>> {
    let mut parts = http::Request::get("/").body(()).unwrap().into_parts().0;
    for (name, value) in headers {
        parts.headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    parts.headers.insert("host", "a.com".parse().unwrap());
    let port = compiled.table.ports()[0].id;
    let seen = parts.clone();
    let Decision::Forward(forward) = compiled.table.decide(&Request::from_http(&seen, Arrival::on(port)), Pick(0)) else { return None };
    apply::forward(&forward, &mut parts);
    let mut names: Vec<String> = parts.headers.keys().map(ToString::to_string).filter(|name| name != "host").collect();
    names.sort();
    Some(names)
}

/// [R-F3], [R-F5], [R-F6]: what `Connection` names is neither matched nor forwarded; edits stay.
#[test]
fn fields_of_one_hop() {
    let edit = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-user, value: gateway}]}}]";
    let route = format!(
        "HTTPRoute a/a; rules: [{{matches: [{{headers: [{{name: x-a, value: '1'}}]}}], backendRefs: [{{name: a, port: 80}}]}}, \
         {{{edit}, backendRefs: [{{name: site, port: 80}}]}}]"
    );
    let table = compiled(&[&route], |_| {});
    assert_eq!(decide(&table, "GET", "a.com/", &[("x-a", "1")]), "a /");
    assert_eq!(decide(&table, "GET", "a.com/", &[("x-a", "1"), ("connection", "close, X-A")]), "site /");
    assert_eq!(decide(&table, "GET", "a.com/", &[("connection", "Authorization")]), "400 ConnectionNames");
    let request =
        [("connection", "x-user, x-a, close"), ("x-a", "1"), ("x-user", "evil"), ("te", "trailers"), ("upgrade", "h2c"), ("x-b", "1")];
    assert_eq!(forwarded_headers(&table, &request).unwrap(), ["te", "x-b", "x-user"]);
    let mut headers = HeaderMap::new();
    headers.append("cookie", "a=1".parse().unwrap());
    headers.append("cookie", "b=2".parse().unwrap());
    let mut parts = http::Request::get("/").header("host", "a.com").body(()).unwrap().into_parts().0;
    parts.headers.extend(headers);
    let seen = parts.clone();
    let decision = table.table.decide(&Request::from_http(&seen, Arrival::on(table.table.ports()[0].id)), Pick(0));
    let Decision::Forward(forward) = decision else { panic!("not forwarded") };
    apply::forward(&forward, &mut parts);
    assert_eq!(parts.headers["cookie"], "a=1; b=2");
    assert_eq!(parts.headers["x-user"], "gateway");
    assert!(forward.drops_trailer(b"X_User") && forward.drops_trailer(b"host") && !forward.drops_trailer(b"checksum"));
}

/// [U-6]
#[test]
fn regular_expressions() {
    let route = rules(&[
        ("path: {type: RegularExpression, value: '/a|/b'}", "path"),
        ("path: {value: /h}, headers: [{name: x, type: RegularExpression, value: 'v[0-9]'}]", "header"),
        ("path: {value: /q}, queryParams: [{name: x, type: RegularExpression, value: 'v[0-9]'}]", "query"),
    ]);
    for (path_regex, value_regex, request, expected) in [
        (RegexMatch::Full, RegexMatch::Search, "/b", "path /b"),
        (RegexMatch::Full, RegexMatch::Search, "/bc", "404 NoRoute"),
        (RegexMatch::Prefix, RegexMatch::Full, "/bc", "path /bc"),
        (RegexMatch::Prefix, RegexMatch::Full, "/c/b", "404 NoRoute"),
        (RegexMatch::Search, RegexMatch::Full, "/c/b", "path /c/b"),
        (RegexMatch::Full, RegexMatch::Full, "/h", "404 NoRoute"),
        (RegexMatch::Full, RegexMatch::Search, "/h", "header /h"),
        (RegexMatch::Search, RegexMatch::Prefix, "/q?x=v1x", "query /q?x=v1x"),
        (RegexMatch::Search, RegexMatch::Full, "/q?x=v1x", "404 NoRoute"),
    ] {
        let table = compiled(&[&route], |o| (o.path_regex, o.value_regex) = (path_regex, value_regex));
        let found = decide(&table, "GET", &format!("a.com{request}"), &[("x", "xv1x")]);
        assert_eq!(found, expected, "{path_regex}, {value_regex}: {request}");
    }
}

/// [U-7]
#[test]
fn regex_rank() {
    let route = rules(&[
        ("path: {type: RegularExpression, value: '/a.+'}", "regex"),
        ("path: {value: /abc}", "prefix"),
        ("path: {value: /}", "root"),
        ("path: {type: Exact, value: /ax}", "exact"),
    ]);
    for (rank, expected) in [
        (RegexRank::BetweenExactAndPrefix, ["exact /ax", "regex /abc", "regex /ab"]),
        (RegexRank::AfterPrefix, ["exact /ax", "prefix /abc", "root /ab"]),
        (RegexRank::BeforeRoot, ["exact /ax", "prefix /abc", "regex /ab"]),
        (RegexRank::ByLength, ["exact /ax", "regex /abc", "regex /ab"]),
    ] {
        let table = compiled(&[&route], |o| o.regex_rank = rank);
        assert_eq!(["/ax", "/abc", "/ab"].map(|path| decide(&table, "GET", &format!("a.com{path}"), &[])), expected, "{rank}");
    }
}

/// [U-5]
#[test]
fn hostname_fallback() {
    let routes = [
        "HTTPRoute a/a; hostnames: [a.b.com], rules: [{matches: [{path: {value: /x}}], backendRefs: [{name: exact, port: 80}]}]",
        "HTTPRoute a/b; hostnames: ['*.b.com'], rules: [{backendRefs: [{name: wild, port: 80}]}]",
        "HTTPRoute a/c; rules: [{backendRefs: [{name: any, port: 80}]}]",
    ];
    for (fallback, expected) in [
        (HostnameFallback::Broader, ["exact /x", "wild /y", "wild /y", "any /y"]),
        (HostnameFallback::None, ["exact /x", "404 NoRoute", "wild /y", "any /y"]),
    ] {
        let table = compiled(&routes, |o| o.hostname_fallback = fallback);
        let found = ["a.b.com/x", "a.b.com/y", "c.b.com/y", "c.com/y"].map(|url| decide(&table, "GET", url, &[]));
        assert_eq!(found, expected, "{fallback}");
    }
    let table = compiled(&routes, |o| o.hostname_fallback = HostnameFallback::None).table;
    let request = Request {
        arrival: Arrival::on(table.ports()[0].id),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"a.b.com"),
        target: b"/y",
        headers: &HeaderMap::new(),
    };
    let explained = table.explain(&request, Pick(0)).to_string();
    assert!(explained.contains("holds, lost by a more specific hostname, which captures the request"), "{explained}");
}

/// [U-8]; [U-9] and [U-10] are tested where they are read.
#[test]
fn repeated_headers() {
    let route = rules(&[("headers: [{name: x, value: 'a,b'}]", "joined"), ("path: {value: /}", "site")]);
    for (choice, expected) in [(RepeatedHeaders::AnyLine, "site /"), (RepeatedHeaders::AnyLineOrJoined, "joined /")] {
        let table = compiled(&[&route], |o| o.repeated_headers = choice);
        assert_eq!(decide(&table, "GET", "a.com/", &[("x", "a"), ("X", "b")]), expected);
    }
}

/// [U-12]: `-` comes before `/`.
#[test]
fn name_order() {
    let routes = [
        "HTTPRoute a/x; rules: [{backendRefs: [{name: of-a, port: 80}]}]",
        "HTTPRoute a-b/x; rules: [{backendRefs: [{name: of-a-b, port: 80}]}]",
    ];
    for (order, expected) in [(NameOrder::Joined, "of-a-b /"), (NameOrder::Tuple, "of-a /")] {
        assert_eq!(decide(&compiled(&routes, |o| o.name_order = order), "GET", "a.com/", &[]), expected, "{order}");
    }
}

/// [U-13]: kinds are told apart by content type, and never mix rule by rule.
#[test]
fn http_and_grpc() {
    let routes = [
        "HTTPRoute a/a; hostnames: [a.com], rules: [{backendRefs: [{name: web, port: 80}]}]",
        "GRPCRoute a/b; hostnames: [a.com], rules: [{matches: [{method: {service: S}}], backendRefs: [{name: calls, port: 80}]}]",
    ];
    let grpc = [("content-type", "application/grpc")];
    let separate = compiled(&routes, |_| {});
    assert_eq!(separate.status.grpc_routes[0].status.parents[0].conditions[0].reason, "Conflicted");
    assert_eq!(decide(&separate, "POST", "a.com/S/M", &grpc), "web /S/M");
    let merged = compiled(&routes, |o| o.http_and_grpc = HttpAndGrpc::Merge);
    assert!(merged.status.grpc_routes[0].status.parents[0].conditions[0].reason != "Conflicted");
    assert_eq!(decide(&merged, "POST", "a.com/S/M", &grpc), "calls /S/M");
    assert_eq!(decide(&merged, "POST", "a.com/S/M", &[]), "web /S/M");
    // The HTTPRoute would match, but a call of gRPC is not its business.
    assert_eq!(decide(&merged, "POST", "a.com/T/M", &grpc), "404 NoRoute");
}

/// [U-16], [F-11]
#[test]
fn modifier_conflicts() {
    let modifier = "requestHeaderModifier: {set: [{name: x, value: '1'}], add: [{name: X, value: '2'}], remove: [y]}";
    let route =
        format!("HTTPRoute a/a; rules: [{{filters: [{{type: RequestHeaderModifier, {modifier}}}], backendRefs: [{{name: s, port: 80}}]}}]");
    assert_eq!(decide(&compiled(&[&route], |_| {}), "GET", "a.com/", &[]), "404 NoRoute");
    let table = compiled(&[&route], |o| o.modifier_conflicts = ModifierConflicts::SetAddRemove);
    assert_eq!(decide(&table, "GET", "a.com/", &[]), "s /");
    let seen = http::Request::get("/").header("host", "a.com").header("x", "0").body(()).unwrap().into_parts().0;
    let Decision::Forward(forward) = table.table.decide(&Request::from_http(&seen, Arrival::on(table.table.ports()[0].id)), Pick(0)) else {
        panic!("not forwarded")
    };
    let mut headers = seen.headers.clone();
    apply::request_headers(&forward.request_headers, &mut headers);
    assert_eq!(headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
}

/// [U-26]
#[test]
fn preflights() {
    let cors = "filters: [{type: CORS, cors: {allowOrigins: ['*']}}], backendRefs: [{name: s, port: 80}]";
    let route = format!("HTTPRoute a/a; rules: [{{matches: [{{method: PUT}}], {cors}}}]");
    let headers = [("origin", "https://b.com"), ("access-control-request-method", "PUT")];
    for (choice, expected) in [(Preflights::ByRequestedMethod, "204 CorsPreflight"), (Preflights::AsMatched, "404 NoRoute")] {
        let table = compiled(&[&route], |o| o.preflights = choice);
        assert_eq!(decide(&table, "OPTIONS", "a.com/", &headers), expected, "{choice}");
    }
}

/// [U-35]
#[test]
fn redirect_port() {
    let route = "HTTPRoute a/a; rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: b.com}}]}]";
    let secure = "HTTPRoute a/b; hostnames: [s.com], rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]";
    for (choice, expected) in [
        (RedirectPort::Listener, ["302 http://b.com:8080/", "302 http://b.com:8080/", "302 https://s.com/"]),
        (RedirectPort::Host, ["302 http://b.com:30080/", "302 http://b.com/", "302 https://s.com/"]),
    ] {
        let table = compiled(&[route, secure], |o| o.redirect_port = choice);
        assert_eq!(["a.com:30080/", "a.com/", "s.com:30080/"].map(|url| decide(&table, "GET", url, &[])), expected, "{choice}");
    }
}

/// What is not the default is part of an explanation, and what is dropped.
#[test]
fn explanations_tell_the_options() {
    let route = rules(&[("headers: [{name: x-a, value: '1'}]", "s")]);
    let explain = |set: &dyn Fn(&mut Options)| {
        let compiled = compiled(&[&route], set);
        let request = Request {
            arrival: Arrival::on(compiled.table.ports()[0].id),
            method: "GET",
            scheme: None,
            authority: Authority::Given(b"a.com"),
            target: b"/",
            headers: &[("x_a", "1"), ("connection", "keep-alive, x-b"), ("x-b", "1")],
        };
        compiled.table.explain(&request, Pick(0))
    };
    let plain = explain(&|_| {});
    assert!(plain.options.is_empty() && !plain.to_string().contains("options"));
    assert_eq!(plain.dropped_headers, ["x-b", "x_a"]);
    let chosen = explain(&|o| (o.profile, o.alias_headers) = (Profile::Raw, AliasHeaders::Keep));
    assert!(chosen.to_string().contains("options: profile=raw, alias_headers=keep\n"), "{chosen}");
    assert_eq!(chosen.dropped_headers, ["x-b"]);
}

/// [R-X2]
#[test]
fn regular_expressions_are_bounded() {
    for (expression, word) in [("/(a{1000}){1000}", "limit"), ("(/a)\\1", "backreferences"), ("/[", "unclosed"), ("/(?=a)", "look-around")]
    {
        let route = rules(&[(&format!("path: {{type: RegularExpression, value: '{expression}'}}"), "s")]);
        let compiled = compiled(&[&route], |_| {});
        let condition = &compiled.status.http_routes[0].status.parents[0].conditions[0];
        assert_eq!(condition.reason, "UnsupportedValue", "{expression}");
        assert!(condition.message.contains(word), "{expression}: {}", condition.message);
        assert_eq!(decide(&compiled, "GET", "a.com/a", &[]), "404 NoRoute");
    }
}
