//! One CEL rule each: an object that breaks it and nothing else, and its sound sibling.

use gatewright::{Code, Severity};
use serde_json::{Value, json};

use crate::crd::{schemas, walk};
use crate::{findings, rejections};

/// A rule of the API.
struct Rule {
    /// The API's sentence, literally.
    message: String,
    /// Kind, or kind and version, and the path of the value that carries the rule.
    homes: Vec<(&'static str, String)>,
    /// A value that breaks it.
    broken: Value,
    /// Where below the value it is reported.
    at: String,
    /// A value that keeps it.
    sound: Value,
}

fn rule(message: impl Into<String>, homes: &[(&'static str, String)], broken: Value, at: impl Into<String>, sound: Value) -> Rule {
    Rule { message: message.into(), homes: homes.to_vec(), broken, at: at.into(), sound }
}

/// The same path in several kinds.
fn at(kinds: &[&'static str], path: &str) -> Vec<(&'static str, String)> {
    kinds.iter().map(|kind| (*kind, path.to_owned())).collect()
}

/// A path below each list of filters of these kinds.
fn filters(kinds: &[&'static str], below: &str) -> Vec<(&'static str, String)> {
    ["spec.rules[].filters", "spec.rules[].backendRefs[].filters"].iter().flat_map(|list| at(kinds, &format!("{list}{below}"))).collect()
}

const HTTP: &[&str] = &["HTTPRoute"];
const HTTP_AND_GRPC: &[&str] = &["HTTPRoute", "GRPCRoute"];
const L4_V1ALPHA2: &[&str] = &["TLSRoute/v1alpha2", "TCPRoute/v1alpha2", "UDPRoute/v1alpha2"];
const ROUTES: &[&str] = &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"];
const LISTENERS: &[&str] = &["Gateway", "ListenerSet"];

fn rules() -> Vec<Rule> {
    [of_routes(), of_filters(), of_http_rules(), of_grpc(), of_gateways(), of_policies()].into_iter().flatten().collect()
}

fn of_routes() -> Vec<Rule> {
    let parents = at(ROUTES, "spec.parentRefs");
    let backend = json!({"name": "a", "port": 1});
    let matches = |per_rule: usize| {
        let rule = |n: usize| json!({"matches": vec![json!({"headers": [{"name": "a", "value": "b"}]}); n]});
        json!([rule(per_rule), rule(64), rule(1)])
    };
    let mut backends = at(ROUTES, "spec.rules[].backendRefs[]");
    backends.extend(filters(HTTP_AND_GRPC, "[].requestMirror.backendRef"));
    backends.extend(filters(HTTP, "[].externalAuth.backendRef"));
    let named = |names: [&str; 2]| json!(names.map(|name| json!({"name": name, "backendRefs": [backend]})));
    let hostnames = at(&["TLSRoute"], "spec.hostnames");
    let mut sessions = at(HTTP_AND_GRPC, "spec.rules[].sessionPersistence");
    sessions.extend(at(&["XBackendTrafficPolicy"], "spec.sessionPersistence"));
    vec![
        rule(
            "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
            &parents,
            json!([{"name": "a", "sectionName": "x"}, {"name": "a"}]),
            "[1]",
            json!([{"name": "a", "sectionName": "x"}, {"name": "b"}]),
        ),
        rule(
            "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
            &parents,
            json!([{"name": "a", "port": 80}, {"name": "a", "port": 80}]),
            "[1]",
            json!([{"name": "a", "port": 80}, {"name": "a", "port": 81}]),
        ),
        rule(
            "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128",
            &at(HTTP_AND_GRPC, "spec.rules"),
            matches(64),
            "",
            matches(63),
        ),
        rule(
            "Rule name must be unique within the route",
            &[at(HTTP_AND_GRPC, "spec.rules"), at(L4_V1ALPHA2, "spec.rules")].concat(),
            named(["a", "a"]),
            "[1].name",
            named(["a", "b"]),
        ),
        rule("Must have port for Service reference", &backends, json!({"name": "a"}), ".port", json!({"name": "a", "kind": "Other"})),
        rule("Hostnames cannot contain an IP", &hostnames, json!(["a.example", "1.2.3.4"]), "[1]", json!(["1.2.3.4.example"])),
        rule("Hostnames must be valid based on RFC-1123", &hostnames, json!(["A.example"]), "[0]", json!(["a.example"])),
        rule(
            "Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123",
            &hostnames,
            json!(["a.*.example"]),
            "[0]",
            json!(["*.a.example"]),
        ),
        rule(
            "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent",
            &sessions,
            json!({"cookieConfig": {"lifetimeType": "Permanent"}}),
            "",
            json!({"absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}}),
        ),
        rule(
            "cookieConfig can only be set with type Cookie",
            &sessions,
            json!({"type": "Header", "sessionName": "a", "cookieConfig": {}}),
            ".cookieConfig",
            json!({"sessionName": "a", "cookieConfig": {}}),
        ),
        // The shape after v1.6.1 ([R-12]).
        rule(
            "cookie must be nil if type is not Cookie",
            &sessions,
            json!({"type": "Header", "header": {"name": "a"}, "cookie": {"name": "a"}}),
            ".cookie",
            json!({"type": "Header", "header": {"name": "a"}}),
        ),
        rule(
            "header must be nil if type is not Header",
            &sessions,
            json!({"cookie": {"name": "a"}, "header": {"name": "a"}}),
            ".header",
            json!({"type": "Cookie", "cookie": {"name": "a"}}),
        ),
    ]
}

/// Members of the filter union, with their types and a valid value.
fn members() -> Vec<(&'static str, &'static str, Value)> {
    let modifier = json!({"set": [{"name": "a", "value": "b"}]});
    let backend = json!({"name": "a", "port": 80});
    vec![
        ("requestHeaderModifier", "RequestHeaderModifier", modifier.clone()),
        ("responseHeaderModifier", "ResponseHeaderModifier", modifier),
        ("requestMirror", "RequestMirror", json!({"backendRef": backend})),
        ("extensionRef", "ExtensionRef", json!({"group": "a.example", "kind": "B", "name": "c"})),
        ("requestRedirect", "RequestRedirect", json!({"scheme": "https"})),
        ("urlRewrite", "URLRewrite", json!({"hostname": "a.example"})),
        ("cors", "CORS", json!({"allowOrigins": ["*"]})),
        ("externalAuth", "ExternalAuth", json!({"protocol": "HTTP", "http": {}, "backendRef": backend})),
    ]
}

fn of_filters() -> Vec<Rule> {
    let members = members();
    let mut list = Vec::new();
    for (n, (member, type_, value)) in members.iter().enumerate() {
        let kinds = if n < 4 { HTTP_AND_GRPC } else { HTTP };
        let sound = json!({"type": type_, *member: value});
        let (other, other_type, other_value) = &members[usize::from(n == 0)];
        let both = json!({"type": other_type, *other: other_value, *member: value});
        list.push(rule(
            format!("filter.{member} must be nil if the filter.type is not {type_}"),
            &filters(kinds, "[]"),
            both,
            format!(".{member}"),
            sound.clone(),
        ));
        list.push(rule(
            format!("filter.{member} must be specified for {type_} filter.type"),
            &filters(kinds, "[]"),
            json!({"type": type_}),
            "",
            sound.clone(),
        ));
        if ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS"].contains(type_) {
            let kinds = if n < 2 { HTTP_AND_GRPC } else { HTTP };
            list.push(rule(
                format!("{type_} filter cannot be repeated"),
                &filters(kinds, ""),
                json!([sound, sound]),
                "[1].type",
                json!([sound]),
            ));
        }
    }
    let redirect = json!({"type": "RequestRedirect", "requestRedirect": {}});
    list.push(rule(
        "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
        &filters(HTTP, ""),
        json!([redirect, {"type": "URLRewrite", "urlRewrite": {}}]),
        "",
        json!([redirect]),
    ));
    for (field, type_, other, other_type) in [
        ("replaceFullPath", "ReplaceFullPath", "replacePrefixMatch", "ReplacePrefixMatch"),
        ("replacePrefixMatch", "ReplacePrefixMatch", "replaceFullPath", "ReplaceFullPath"),
    ] {
        let homes = [filters(HTTP, "[].requestRedirect.path"), filters(HTTP, "[].urlRewrite.path")].concat();
        let sound = json!({"type": type_, field: "/a"});
        list.push(rule(
            format!("{field} must be specified when type is set to '{type_}'"),
            &homes,
            json!({"type": type_}),
            "",
            sound.clone(),
        ));
        list.push(rule(
            format!("type must be '{type_}' when {field} is set"),
            &homes,
            json!({"type": other_type, other: "/a", field: "/b"}),
            format!(".{field}"),
            sound,
        ));
    }
    let backend = json!({"name": "a", "port": 80});
    list.push(rule(
        "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
        &filters(HTTP_AND_GRPC, "[].requestMirror"),
        json!({"backendRef": backend, "percent": 1, "fraction": {"numerator": 1}}),
        "",
        json!({"backendRef": backend, "percent": 1}),
    ));
    list.push(rule(
        "numerator must be less than or equal to denominator",
        &filters(HTTP_AND_GRPC, "[].requestMirror.fraction"),
        json!({"numerator": 101}),
        "",
        json!({"numerator": 100}),
    ));
    for (field, what, others, one) in [
        ("allowOrigins", "AllowOrigins", "origins", "https://a.example"),
        ("allowMethods", "AllowMethods", "methods", "GET"),
        ("allowHeaders", "AllowHeaders", "methods", "a"),
    ] {
        list.push(rule(
            format!("{what} cannot contain '*' alongside other {others}"),
            &filters(HTTP, &format!("[].cors.{field}")),
            json!(["*", one]),
            "",
            json!(["*"]),
        ));
    }
    for (field, protocol, other, other_protocol) in [("grpc", "GRPC", "http", "HTTP"), ("http", "HTTP", "grpc", "GRPC")] {
        let homes = filters(HTTP, "[].externalAuth");
        let sound = json!({"protocol": protocol, field: {}, "backendRef": backend});
        list.push(rule(
            format!("{field} must be specified when protocol is set to '{protocol}'"),
            &homes,
            json!({"protocol": protocol, "backendRef": backend}),
            "",
            sound.clone(),
        ));
        list.push(rule(
            format!("protocol must be '{protocol}' when {field} is set"),
            &homes,
            json!({"protocol": other_protocol, other: {}, field: {}, "backendRef": backend}),
            format!(".{field}"),
            sound,
        ));
    }
    list
}

fn of_http_rules() -> Vec<Rule> {
    let homes = at(HTTP, "spec.rules[]");
    let backend = json!({"name": "a", "port": 80});
    let mut list = vec![
        rule(
            "RequestRedirect filter must not be used together with backendRefs",
            &homes,
            json!({"filters": [{"type": "RequestRedirect", "requestRedirect": {}}], "backendRefs": [backend]}),
            ".filters",
            json!({"filters": [{"type": "RequestRedirect", "requestRedirect": {}}], "backendRefs": []}),
        ),
        rule(
            "backendRequest timeout cannot be longer than request timeout",
            &at(HTTP, "spec.rules[].timeouts"),
            json!({"request": "1m", "backendRequest": "61s"}),
            "",
            // Sums are compared, and zero is no timeout ([V-3]).
            json!({"request": "1m", "backendRequest": "60s"}),
        ),
    ];
    for (member, type_, within) in [("requestRedirect", "RequestRedirect", "when"), ("urlRewrite", "URLRewrite", "When")] {
        let filter = json!([{"type": type_, member: {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}}]);
        let exact = json!([{"path": {"type": "Exact", "value": "/a"}}]);
        let prefix = json!([{"path": {"value": "/a"}}]);
        let sentence = "filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified";
        list.push(rule(
            format!("When using {type_} {sentence}"),
            &homes,
            json!({"matches": exact, "filters": filter}),
            format!(".filters[0].{member}.path"),
            json!({"matches": prefix, "filters": filter}),
        ));
        let inner = json!([{"name": "a", "port": 80}, {"name": "b", "port": 80, "filters": filter}]);
        list.push(rule(
            format!("Within backendRefs, {within} using {type_} {sentence}"),
            &homes,
            json!({"matches": exact, "backendRefs": inner}),
            format!(".backendRefs[1].filters[0].{member}.path"),
            json!({"matches": prefix, "backendRefs": inner}),
        ));
    }
    let path = at(HTTP, "spec.rules[].matches[].path");
    let types = "when type one of ['Exact', 'PathPrefix']";
    let mut of_path = |message: String, value: &str| {
        let sound = json!({"type": "RegularExpression", "value": "/.*"});
        list.push(rule(message, &path, json!({"type": "Exact", "value": value}), ".value", sound));
    };
    of_path(format!("value must be an absolute path and start with '/' {types}"), "a");
    for part in ["//", "/./", "/../", "%2f", "%2F", "#"] {
        of_path(format!("must not contain '{part}' {types}"), &format!("/a{part}b"));
    }
    for end in ["/..", "/."] {
        of_path(format!("must not end with '{end}' {types}"), &format!("/a{end}"));
    }
    let characters = r"must only contain valid characters (matching ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$) for types ['Exact', 'PathPrefix']";
    of_path(characters.to_owned(), "/[]");
    list.push(rule(
        "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
        &path,
        json!({"type": "Glob"}),
        ".type",
        json!({"type": "Exact"}),
    ));
    list
}

fn of_grpc() -> Vec<Rule> {
    let method = at(&["GRPCRoute"], "spec.rules[].matches[].method");
    vec![
        rule("One or both of 'service' or 'method' must be specified", &method, json!({}), "", json!({"service": "a"})),
        rule(
            r"service must only contain valid characters (matching ^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$)",
            &method,
            json!({"service": "a/b"}),
            ".service",
            json!({"type": "RegularExpression", "service": "a/b"}),
        ),
        rule(
            "method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)",
            &method,
            json!({"service": ".a.B", "method": "a.b"}),
            ".method",
            json!({"service": ".a.B", "method": "_b"}),
        ),
    ]
}

fn of_gateways() -> Vec<Rule> {
    let listeners = at(LISTENERS, "spec.listeners");
    let addresses = at(&["Gateway"], "spec.addresses");
    let certificates = json!([{"name": "a"}]);
    let one = |protocol: &str, further: Value| {
        let mut listener = json!({"name": "a", "port": 80, "protocol": protocol});
        listener.as_object_mut().expect("an object").extend(further.as_object().expect("an object").clone());
        json!([listener])
    };
    let two = |other: Value| json!([{"name": "a", "port": 80, "protocol": "HTTP"}, other]);
    let address = |type_: &str, values: [&str; 2]| json!(values.map(|value| json!({"type": type_, "value": value})));
    let mut list = vec![
        rule(
            "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
            &listeners,
            one("UDP", json!({"tls": {"certificateRefs": certificates}})),
            "[0].tls",
            one("HTTPS", json!({"tls": {"certificateRefs": certificates}})),
        ),
        rule(
            "tls mode must be Terminate for protocol HTTPS",
            &listeners,
            one("HTTPS", json!({"tls": {"mode": "Passthrough"}})),
            "[0].tls.mode",
            one("TLS", json!({"tls": {"mode": "Passthrough"}})),
        ),
        rule("tls mode must be set for protocol TLS", &listeners, one("TLS", json!({})), "[0].tls.mode", one("HTTPS", json!({}))),
        rule(
            "hostname must not be specified for protocols ['TCP', 'UDP']",
            &listeners,
            one("TCP", json!({"hostname": "a.example"})),
            "[0].hostname",
            one("HTTP", json!({"hostname": "a.example"})),
        ),
        rule(
            "Listener name must be unique within the Gateway",
            &listeners,
            two(json!({"name": "a", "port": 81, "protocol": "HTTP"})),
            "[1].name",
            two(json!({"name": "b", "port": 81, "protocol": "HTTP"})),
        ),
        rule(
            "Combination of port, protocol and hostname must be unique for each listener",
            &listeners,
            two(json!({"name": "b", "port": 80, "protocol": "HTTP"})),
            "[1]",
            two(json!({"name": "b", "port": 80, "protocol": "HTTP", "hostname": "b"})),
        ),
        rule(
            "certificateRefs or options must be specified when mode is Terminate",
            &at(LISTENERS, "spec.listeners[].tls"),
            json!({}),
            "",
            json!({"options": {"a.example/b": "c"}}),
        ),
        rule(
            "Port for TLS configuration must be unique within the Gateway",
            &at(&["Gateway"], "spec.tls.frontend.perPort"),
            json!([{"port": 1, "tls": {}}, {"port": 1, "tls": {}}]),
            "[1].port",
            json!([{"port": 1, "tls": {}}, {"port": 2, "tls": {}}]),
        ),
        rule(
            "IPAddress values must be unique",
            &addresses,
            json!([{"value": "1.2.3.4"}, {"type": "IPAddress", "value": "1.2.3.4"}]),
            "[1].value",
            address("IPAddress", ["1.2.3.4", "::1"]),
        ),
        rule("Hostname values must be unique", &addresses, address("Hostname", ["a", "a"]), "[1].value", address("Hostname", ["a", "b"])),
        rule(
            r"Hostname value must be empty or contain only valid characters (matching ^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)",
            &at(&["Gateway"], "spec.addresses[]"),
            json!({"type": "Hostname", "value": "a.example:80"}),
            ".value",
            json!({"type": "a.example/b", "value": "anything goes"}),
        ),
        // A schema of alternatives, not a CEL rule.
        rule(ADDRESS, &at(&["Gateway"], "spec.addresses[]"), json!({"value": "1.1.1"}), ".value", json!({"type": "IPAddress"})),
    ];
    for (field, one, first) in [("labels", "label", "Label"), ("annotations", "annotation", "Annotation")] {
        let homes = at(&["Gateway"], &format!("spec.infrastructure.{field}"));
        let long = format!("{}/b", "a".repeat(253));
        list.push(rule(
            format!(
                "{first} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters."
            ),
            &homes,
            json!({"a b": "c"}),
            ".a b",
            json!({"a.example/b": "c"}),
        ));
        list.push(rule(
            format!("If specified, the {one} key's prefix must be a DNS subdomain not longer than 253 characters in total."),
            &homes,
            json!({long.as_str(): "c"}),
            format!(".{long}"),
            json!({}),
        ));
    }
    list
}

const ADDRESS: &str = "must be of type ipv4 or ipv6";

fn of_policies() -> Vec<Rule> {
    let targets = at(&["BackendTLSPolicy"], "spec.targetRefs");
    let target = |section: Option<&str>| {
        let mut target = json!({"group": "", "kind": "Service", "name": "a"});
        if let Some(section) = section {
            target["sectionName"] = json!(section);
        }
        target
    };
    let validations = [at(&["BackendTLSPolicy"], "spec.validation"), at(&["XBackend"], "spec.tls.validation")].concat();
    let names =
        [at(&["BackendTLSPolicy"], "spec.validation.subjectAltNames[]"), at(&["XBackend"], "spec.tls.validation.subjectAltNames[]")]
            .concat();
    let authorities = json!([{"group": "", "kind": "ConfigMap", "name": "a"}]);
    let system = json!({"hostname": "a.example", "wellKnownCACertificates": "System"});
    let mut list = vec![
        rule(
            "sectionName must be specified when targetRefs includes 2 or more references to the same target",
            &targets,
            json!([target(Some("x")), target(None)]),
            "[1]",
            json!([target(Some("x")), target(Some("y"))]),
        ),
        rule(
            "sectionName must be unique when targetRefs includes 2 or more references to the same target",
            &targets,
            json!([target(None), target(None)]),
            "[1]",
            json!([target(None)]),
        ),
        rule(
            "must not contain both CACertificateRefs and WellKnownCACertificates",
            &validations,
            json!({"hostname": "a.example", "wellKnownCACertificates": "System", "caCertificateRefs": authorities}),
            "",
            system.clone(),
        ),
        rule(
            "must specify either CACertificateRefs or WellKnownCACertificates",
            &validations,
            json!({"hostname": "a.example"}),
            "",
            json!({"hostname": "a.example", "caCertificateRefs": authorities}),
        ),
        rule(
            "interval cannot be greater than one hour or less than one second",
            &at(&["XBackendTrafficPolicy"], "spec.retryConstraint.budget.interval"),
            json!("999ms"),
            "",
            json!("60m"),
        ),
        rule(
            "interval cannot be greater than one hour",
            &at(&["XBackendTrafficPolicy"], "spec.retryConstraint.minRetryRate.interval"),
            json!("0s"),
            "",
            json!("1ms"),
        ),
        rule(
            "externalHostname must be set when type is ExternalHostname and must be unset otherwise",
            &at(&["XBackend"], "spec"),
            json!({"type": "ExternalHostname", "port": {"port": 80}}),
            ".externalHostname",
            json!({"type": "ExternalHostname", "port": {"port": 80}, "externalHostname": {"hostname": "a.example"}}),
        ),
        rule(
            "hostname must not be an IP address or end with .cluster.local",
            &at(&["XBackend"], "spec.externalHostname.hostname"),
            json!("a.svc.cluster.local"),
            "",
            json!("a.svc.cluster.local.example"),
        ),
        rule("Name must be a valid DNS label", &at(&["XBackend"], "spec.port.name"), json!("a.b"), "", json!("a-b")),
        rule(
            "clientCertificateRef must be set if and only if mode is ClientAndServer",
            &at(&["XBackend"], "spec.tls"),
            json!({"mode": "ServerOnly", "validation": system, "clientCertificateRef": {"name": "a"}}),
            ".clientCertificateRef",
            json!({"mode": "ClientAndServer", "validation": system, "clientCertificateRef": {"name": "a"}}),
        ),
    ];
    for (what, field, value, other) in [
        ("Hostname", "hostname", "a.example", json!({"type": "URI", "uri": "spiffe://a/b"})),
        ("URI", "uri", "spiffe://a/b", json!({"type": "Hostname", "hostname": "a.example"})),
    ] {
        let sound = json!({"type": what, field: value});
        list.push(rule(
            format!("SubjectAltName element must contain {what}, if Type is set to {what}"),
            &names,
            json!({"type": what}),
            "",
            sound.clone(),
        ));
        let mut both = other;
        both[field] = json!(value);
        list.push(rule(
            format!("SubjectAltName element must not contain {what}, if Type is not set to {what}"),
            &names,
            both,
            format!(".{field}"),
            sound,
        ));
    }
    list
}

/// A sound object with a value put at a path.
fn object(kind: &str, path: &str, value: Value) -> Value {
    let (kind, version) = kind.split_once('/').unwrap_or((kind, if kind.starts_with('X') { "v1alpha1" } else { "v1" }));
    let group = if kind.starts_with('X') { "gateway.networking.x-k8s.io" } else { "gateway.networking.k8s.io" };
    let backends = json!([{"backendRefs": [{"name": "a", "port": 80}]}]);
    let targets = json!([{"group": "", "kind": "Service", "name": "a"}]);
    let listeners = json!([{"name": "a", "port": 80, "protocol": "HTTP"}]);
    let spec = match kind {
        "Gateway" => json!({"gatewayClassName": "a", "listeners": listeners}),
        "ListenerSet" => json!({"parentRef": {"name": "a"}, "listeners": listeners}),
        "HTTPRoute" | "GRPCRoute" => json!({"rules": [{}]}),
        "TLSRoute" => json!({"hostnames": ["a.example"], "rules": backends}),
        "TCPRoute" | "UDPRoute" => json!({"rules": backends}),
        "BackendTLSPolicy" => json!({"targetRefs": targets, "validation": {"hostname": "a.example", "wellKnownCACertificates": "System"}}),
        "XBackendTrafficPolicy" => json!({"targetRefs": targets}),
        "XBackend" => json!({"type": "ExternalHostname", "externalHostname": {"hostname": "a.example"}, "port": {"port": 80}}),
        other => panic!("no sound {other}"),
    };
    let mut object = json!({"apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"name": "a"}, "spec": spec});
    let mut at = &mut object;
    let steps: Vec<&str> = path.split('.').collect();
    for (n, step) in steps.iter().enumerate() {
        let (name, is_item) = step.strip_suffix("[]").map_or((*step, false), |name| (name, true));
        at = &mut at[name];
        if is_item {
            if at.is_null() {
                *at = json!([null]);
            }
            at = &mut at[0];
        }
        let Some(next) = steps.get(n + 1) else { break };
        let next = next.trim_end_matches("[]");
        if at.is_null() {
            *at = match name {
                "backendRefs" => json!({"name": "a", "port": 80}),
                "filters" => {
                    let of = members().into_iter().find(|(member, _, _)| *member == next).expect("a member of the union");
                    json!({"type": of.1, of.0: of.2})
                }
                "frontend" => json!({"default": {}}),
                "tls" if kind == "XBackend" => json!({"mode": "ServerOnly"}),
                "validation" => json!({"hostname": "a.example", "wellKnownCACertificates": "System"}),
                _ => json!({}),
            };
        }
        if (name, next) == ("listeners", "tls") {
            at["protocol"] = json!("HTTPS");
        }
    }
    *at = value;
    object
}

#[test]
fn each_rule_alone() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for rule in rules() {
        for (kind, path) in &rule.homes {
            let found = findings(&object(kind, path, rule.broken.clone()));
            // What becomes of a listener is an outcome, and what is not supported is another fault.
            let other = [Code::Rejected, Code::Listener, Code::UnsupportedValue];
            let again = found.iter().filter(|finding| finding.severity == Severity::Error && !other.contains(&finding.code));
            wrong.extend(again.map(|finding| format!("{kind} {path}: `{}` is told again: {finding}", rule.message)));
            let told: Vec<_> = found.into_iter().filter(|finding| finding.code == Code::Rejected).collect();
            let wanted = format!("{}{}", path.replace("[]", "[0]"), rule.at);
            let told: Vec<_> = told.iter().map(|finding| (finding.path.as_str(), finding.message.as_str())).collect();
            if told != [(wanted.as_str(), rule.message.as_str())] {
                wrong.push(format!("{kind} {path}: {told:#?}, expected `{}` at {wanted}", rule.message));
            }
            let sound = rejections(&object(kind, path, rule.sound.clone()));
            if !sound.is_empty() {
                wrong.push(format!("{kind} {path}: sound for `{}`, but {sound:#?}", rule.message));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The table above has every CEL rule of the CRDs, at every place where it stands.
#[test]
fn every_rule_of_the_crds() {
    let rules = rules();
    let mut missing = Vec::new();
    let mut messages = std::collections::BTreeSet::new();
    for schema in schemas() {
        walk(&schema.root, &mut |path, of| {
            for cel in of["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = cel["message"].as_str().expect("a literal message");
                // It compares an object with its former self.
                if message == "Value is immutable" {
                    continue;
                }
                // What the standard channel says of parents is wider in the experimental one ([A-4]).
                let message = match message.strip_prefix("sectionName must be ") {
                    Some(rest) if path == "spec.parentRefs" => format!("sectionName or port must be {rest}"),
                    _ => message.to_owned(),
                };
                let is_home = |(kind, home): &(&str, String)| {
                    let (of, version) = kind.split_once('/').map_or((*kind, None), |(kind, version)| (kind, Some(version)));
                    of == schema.kind && home == path && version.is_none_or(|version| version == schema.version)
                };
                if !rules.iter().any(|rule| rule.message == message && rule.homes.iter().any(is_home)) {
                    missing.push(format!("{} {} {} {path}: {message}", schema.channel, schema.kind, schema.version));
                }
                messages.insert(message);
            }
            // Alternatives have no message; the one there is has a row of its own.
            for word in ["oneOf", "anyOf", "allOf", "not"] {
                let known = (schema.kind.as_str(), path, word) == ("Gateway", "spec.addresses[]", "oneOf");
                assert!(of[word].is_null() || known, "{} {path} has {word}", schema.kind);
            }
        });
    }
    assert!(missing.is_empty(), "{} missing:\n{}", missing.len(), missing.join("\n"));
    let beyond: Vec<_> = rules.iter().map(|rule| rule.message.as_str()).filter(|message| !messages.contains(*message)).collect();
    let wanted = ["cookie must be nil if type is not Cookie", "header must be nil if type is not Header", ADDRESS];
    assert!(messages.is_empty() || beyond == wanted, "rules that no CRD has: {beyond:#?}");
    println!("{} sentences", messages.len());
}
