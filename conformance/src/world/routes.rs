//! Routes of every kind.

use gatewright::Resources;
use gatewright::resource::grpc_route::{
    GrpcBackendRef, GrpcMethodMatch, GrpcRoute, GrpcRouteFilter, GrpcRouteFilterType, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec,
};
use gatewright::resource::http_route::{
    HeaderMatch, HttpBackendRef, HttpMethod, HttpPathMatch, HttpRoute, HttpRouteFilter, HttpRouteMatch, HttpRouteRule, HttpRouteSpec,
    HttpRouteTimeouts, PathMatchType, QueryParamMatch, ValueMatchType,
};
use gatewright::resource::l4_route::{L4RouteRule, L4RouteSpec, TcpRoute, TlsRoute, TlsRouteSpec, UdpRoute};
use gatewright::resource::meta::{BackendObjectReference, BackendRef, ObjectMeta, ParentReference};

use super::services::SERVICES;
use super::{HOSTNAMES, NAMESPACES, Random, aged, filters};

const REGEXES: [&str; 11] = ["/a.*", "/a|/ab", "/(a|b)/?", "/[ab]+/b?", "/.*", "/a.*", "/a|/ab", "/(a|b)/?", "/[ab]+/b?", "/.*", "("];

pub(super) fn add(random: &mut Random, resources: &mut Resources, many_streams: bool) {
    let sets = &set_names(resources);
    for n in 0..=random.below(4) {
        let route = http_route(random, n, sets);
        resources.http_routes.push(route);
    }
    if random.one_in(3) {
        for n in 0..=random.below(2) {
            let route = grpc_route(random, n, sets);
            resources.grpc_routes.push(route);
        }
    }
    if many_streams || random.one_in(8) {
        streams(random, resources);
    }
}

fn set_names(resources: &Resources) -> Vec<ObjectMeta> {
    resources.listener_sets.iter().map(|set| set.metadata.clone()).collect()
}

/// TLSRoutes, TCPRoutes and UDPRoutes.
fn streams(random: &mut Random, resources: &mut Resources) {
    let backend = |random: &mut Random| {
        let to = reference(random);
        let port = if random.one_in(8) { Some(53) } else { to.port };
        BackendRef { group: to.group, kind: to.kind, name: to.name, namespace: to.namespace, port, weight: weight(random) }
    };
    let sets = &set_names(resources);
    let rules = |random: &mut Random| {
        vec![L4RouteRule { name: None, backend_refs: if random.one_in(12) { Vec::new() } else { vec![backend(random), backend(random)] } }]
    };
    for n in 0..=random.below(3) {
        let metadata = route_meta(random, n);
        let hostnames = (0..=random.below(2)).map(|_| random.text(&HOSTNAMES)).collect();
        let spec =
            TlsRouteSpec { parent_refs: parents(random, &metadata, sets), hostnames, rules: rules(random), ..TlsRouteSpec::default() };
        resources.tls_routes.push(TlsRoute { metadata, spec, status: None });
    }
    for n in 0..=random.below(2) {
        let metadata = route_meta(random, n);
        let spec = L4RouteSpec { parent_refs: parents(random, &metadata, sets), rules: rules(random), ..L4RouteSpec::default() };
        resources.tcp_routes.push(TcpRoute { metadata, spec, status: None });
    }
    for n in 0..=random.below(2) {
        let metadata = route_meta(random, n);
        let mut parents = parents(random, &metadata, sets);
        parents.retain(|parent| parent.kind.as_deref() != Some("Service"));
        let mut rules = rules(random);
        rules[0].backend_refs.iter_mut().filter(|b| b.port == Some(80)).for_each(|b| b.port = Some(53));
        let spec = L4RouteSpec { parent_refs: parents, rules, ..L4RouteSpec::default() };
        resources.udp_routes.push(UdpRoute { metadata, spec, status: None });
    }
}

fn route_meta(random: &mut Random, n: usize) -> ObjectMeta {
    let (namespace, name) = (random.text(&NAMESPACES), format!("{}{n}", random.of(&["a", "b"])));
    aged(random, &namespace, &name)
}

fn parents(random: &mut Random, own: &ObjectMeta, sets: &[ObjectMeta]) -> Vec<ParentReference> {
    let mut all: Vec<ParentReference> = Vec::new();
    for _ in 0..=random.below(2) {
        let namespace = match random.below(8) {
            0 => Some("t".into()),
            1 => None,
            _ => Some("gw".into()),
        };
        let parent = match random.below(12) {
            0..3 if sets.is_empty() => ParentReference { name: "gw".into(), namespace: Some("gw".into()), ..ParentReference::default() },
            0..3 => {
                let set = random.of(sets);
                ParentReference {
                    kind: Some("ListenerSet".into()),
                    namespace: set.namespace.clone().filter(|_| !random.one_in(8)),
                    name: set.name.clone(),
                    section_name: random.maybe(4, |random| format!("l{}", random.below(3))),
                    ..ParentReference::default()
                }
            }
            3 => ParentReference {
                group: Some(String::new()),
                kind: Some("Service".into()),
                namespace: random.maybe(2, |random| random.text(&NAMESPACES)),
                name: random.text(&["s1", "s2", "s1", "s2", "external"]),
                section_name: random.maybe(8, |random| random.text(&["web", "other"])),
                port: random.maybe(3, |random| *random.of(&[80, 81, 9])),
            },
            _ => ParentReference {
                name: if random.one_in(20) { "elsewhere".into() } else { "gw".into() },
                namespace,
                kind: random.maybe(4, |_| "Gateway".into()),
                section_name: random.maybe(5, |random| format!("l{}", random.below(4))),
                port: random.maybe(8, |random| *random.of(&[80, 443, 8080, 5432])),
                ..ParentReference::default()
            },
        };
        // No parent is named twice ([A-4]).
        let key = |p: &ParentReference| {
            let kind = p.kind.clone().unwrap_or_else(|| "Gateway".to_owned());
            (kind, p.namespace.clone().or(own.namespace.clone()), p.name.clone(), p.section_name.clone(), p.port)
        };
        if all.iter().all(|other| key(other) != key(&parent)) {
            all.push(parent);
        }
    }
    all
}

fn hostnames(random: &mut Random) -> Vec<String> {
    let mut list: Vec<String> = if random.one_in(3) { Vec::new() } else { random.some(3, |random| random.text(&HOSTNAMES)) };
    if random.one_in(30) {
        list.push("10.0.0.1".to_owned());
    }
    list
}

pub(super) fn path(random: &mut Random) -> String {
    let segments = random.some(3, |random| format!("/{}", random.of(&["a", "b", "ab"])));
    let slash = if segments.is_empty() || random.one_in(4) { "/" } else { "" };
    segments.concat() + slash
}

fn value_type(random: &mut Random) -> Option<ValueMatchType> {
    match random.below(24) {
        0 => random.maybe(2, |_| ValueMatchType::from("Exists")),
        1..4 => Some(ValueMatchType::RegularExpression),
        4..7 => Some(ValueMatchType::Exact),
        _ => None,
    }
}

fn header(random: &mut Random) -> HeaderMatch {
    HeaderMatch { type_: value_type(random), name: random.text(&["x", "X", "y"]), value: random.text(&["1", "2", "[12]", "1|12"]) }
}

fn path_match(random: &mut Random) -> HttpPathMatch {
    let type_ = match random.below(10) {
        0..4 => Some(PathMatchType::PathPrefix),
        4..6 => Some(PathMatchType::Exact),
        6 | 7 => Some(PathMatchType::RegularExpression),
        8 => random.maybe(12, |_| PathMatchType::from("Glob")),
        _ => None,
    };
    let value = if type_ == Some(PathMatchType::RegularExpression) { random.text(&REGEXES) } else { path(random) };
    HttpPathMatch { type_, value: if random.one_in(20) { None } else { Some(value) } }
}

fn http_match(random: &mut Random) -> HttpRouteMatch {
    HttpRouteMatch {
        path: if random.one_in(4) { None } else { Some(path_match(random)) },
        headers: if random.one_in(3) { random.some(2, header) } else { Vec::new() },
        query_params: if random.one_in(4) {
            random.some(2, |random| QueryParamMatch {
                type_: value_type(random),
                name: random.text(&["q", "Q", "r"]),
                value: random.text(&["1", "2 3", "[12]"]),
            })
        } else {
            Vec::new()
        },
        method: random.maybe(3, |random| {
            HttpMethod::from(*random.of(&["GET", "POST", "GET", "POST", "GET", "POST", "GET", "POST", "OPTIONS", "LINK"]))
        }),
    }
}

/// Mostly a Service of the same namespace that is there.
pub(super) fn reference(random: &mut Random) -> BackendObjectReference {
    BackendObjectReference {
        group: random.maybe(20, |random| random.text(&["", "example.com"])),
        kind: random.maybe(20, |random| random.text(&["Service", "Pod"])),
        name: random.text(&SERVICES),
        namespace: random.maybe(7, |random| random.text(&NAMESPACES)),
        port: match random.below(24) {
            0 => None,
            1 => Some(9),
            2 => Some(53),
            3 => Some(83),
            4 | 5 => Some(82),
            6..9 => Some(81),
            _ => Some(80),
        },
    }
}

fn weight(random: &mut Random) -> Option<i32> {
    random.maybe(2, |random| *random.of(&[0, 1, 1, 2, 3]))
}

fn http_backend(random: &mut Random) -> HttpBackendRef {
    let to = reference(random);
    HttpBackendRef {
        group: to.group,
        kind: to.kind,
        name: to.name,
        namespace: to.namespace,
        port: to.port,
        weight: weight(random),
        filters: if random.one_in(4) { filters::of_backend(random) } else { Vec::new() },
    }
}

fn timeouts(random: &mut Random) -> HttpRouteTimeouts {
    let length =
        |random: &mut Random| random.maybe(2, |random| random.text(&["0s", "1s", "500ms", "1m1s", "60s", "1h", "0h0m", "10s", "soon"]));
    HttpRouteTimeouts { request: length(random), backend_request: length(random) }
}

fn http_rule(random: &mut Random) -> HttpRouteRule {
    let matches = random.some(2, http_match);
    let filters = if random.one_in(2) { filters::of_rule(random) } else { Vec::new() };
    let redirects = filters.iter().any(|f| f.request_redirect.is_some());
    HttpRouteRule {
        // Rules that rewrite mostly have the one match that this needs.
        matches: if !filters.is_empty() && random.one_in(2) { matches.into_iter().take(1).collect() } else { matches },
        filters,
        backend_refs: match redirects {
            true if !random.one_in(12) => Vec::new(),
            _ if random.one_in(12) => Vec::new(),
            _ => (0..=random.below(3)).map(|_| http_backend(random)).collect(),
        },
        timeouts: random.maybe(6, timeouts),
        ..HttpRouteRule::default()
    }
}

fn http_route(random: &mut Random, n: usize, sets: &[ObjectMeta]) -> HttpRoute {
    let metadata = route_meta(random, n);
    let rules = (0..=random.below(3)).map(|_| http_rule(random)).collect();
    HttpRoute {
        spec: HttpRouteSpec {
            parent_refs: parents(random, &metadata, sets),
            hostnames: hostnames(random),
            rules: if random.one_in(40) { None } else { Some(rules) },
            ..HttpRouteSpec::default()
        },
        metadata,
        status: None,
    }
}

fn grpc_match(random: &mut Random) -> GrpcRouteMatch {
    let name = |random: &mut Random| if random.one_in(3) { None } else { Some(random.text(&["a", "b", "ab", "[ab]+"])) };
    GrpcRouteMatch {
        method: if random.one_in(4) {
            None
        } else {
            Some(GrpcMethodMatch { type_: value_type(random), service: name(random), method: name(random) })
        },
        headers: if random.one_in(3) { random.some(2, header) } else { Vec::new() },
    }
}

/// The filters that GRPCRoutes have, too.
fn for_grpc(filters: Vec<HttpRouteFilter>) -> Vec<GrpcRouteFilter> {
    let convert = |f: HttpRouteFilter| {
        let type_ = GrpcRouteFilterType::from(f.type_.as_str());
        let known = !matches!(type_, GrpcRouteFilterType::Other(_)) || f.type_.as_str() == "Strange";
        known.then_some(GrpcRouteFilter {
            type_,
            request_header_modifier: f.request_header_modifier,
            response_header_modifier: f.response_header_modifier,
            request_mirror: f.request_mirror,
            extension_ref: f.extension_ref,
        })
    };
    filters.into_iter().filter_map(convert).collect()
}

fn grpc_rule(random: &mut Random) -> GrpcRouteRule {
    let backend = |random: &mut Random| {
        let to = reference(random);
        GrpcBackendRef {
            group: to.group,
            kind: to.kind,
            name: to.name,
            namespace: to.namespace,
            port: to.port,
            weight: weight(random),
            filters: if random.one_in(4) { for_grpc(filters::of_backend(random)) } else { Vec::new() },
        }
    };
    GrpcRouteRule {
        matches: random.some(2, grpc_match),
        filters: if random.one_in(3) { for_grpc(filters::of_rule(random)) } else { Vec::new() },
        backend_refs: random.some(3, backend),
        ..GrpcRouteRule::default()
    }
}

fn grpc_route(random: &mut Random, n: usize, sets: &[ObjectMeta]) -> GrpcRoute {
    let metadata = route_meta(random, n);
    let rules = random.some(3, grpc_rule);
    GrpcRoute {
        spec: GrpcRouteSpec {
            parent_refs: parents(random, &metadata, sets),
            hostnames: hostnames(random),
            rules,
            ..GrpcRouteSpec::default()
        },
        metadata,
        status: None,
    }
}
