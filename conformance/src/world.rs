//! Small nasty worlds: few hosts, segments and names, so that everything overlaps.

use gatewright::Resources;
use gatewright::resource::filter::RequestRedirect;
use gatewright::resource::gateway::{
    AllowedRoutes, FromNamespaces, Gateway, GatewaySpec, Listener, ListenerTls, ProtocolType, RouteNamespaces,
};
use gatewright::resource::grpc_route::{GrpcBackendRef, GrpcMethodMatch, GrpcRoute, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec};
use gatewright::resource::http_route::{
    HeaderMatch, HttpBackendRef, HttpMethod, HttpPathMatch, HttpRoute, HttpRouteFilter, HttpRouteFilterType, HttpRouteMatch, HttpRouteRule,
    HttpRouteSpec, PathMatchType, QueryParamMatch, ValueMatchType,
};
use gatewright::resource::kubernetes::{Secret, Service, ServicePort, ServiceSpec};
use gatewright::resource::meta::{ObjectMeta, ParentReference, SecretObjectReference};
use gatewright::resource::status::RouteGroupKind;

use crate::oracle::WorldRequest;

/// A repeatable source of choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.number() % n.max(1) as u64).unwrap_or(0)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.below(list.len())]
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }
}

const HOSTNAMES: [&str; 7] = ["a.com", "b.a.com", "*.a.com", "*.b.a.com", "*.com", "c.b.a.com", "xa.com"];
const HOSTS: [&str; 14] = [
    "a.com",
    "b.a.com",
    "c.b.a.com",
    "x.a.com",
    "x.b.a.com",
    "xa.com",
    "com",
    "y.com",
    "A.cOm",
    "b.A.com:8080",
    "10.0.0.1",
    "a.com.",
    "b.a.com.:80",
    "other.org",
];
const NAMESPACES: [&str; 3] = ["t", "t-a", "gw"];
const TIMES: [&str; 2] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
const REGEXES: [&str; 6] = ["/a.*", "/a|/ab", "/(a|b)/?", "(", "/[ab]+/b?", "/.*"];

/// A world: one Gateway, some routes.
pub fn resources(random: &mut Random) -> Resources {
    let mut resources = Resources::default();
    let listeners = (0..=random.below(4)).map(|n| listener(random, n)).collect();
    resources.gateways.push(Gateway {
        metadata: meta("gw", "gw"),
        spec: GatewaySpec { gateway_class_name: "any".into(), listeners, ..GatewaySpec::default() },
        status: None,
    });
    let pem = "-----BEGIN CERTIFICATE-----".to_owned();
    resources.secrets.push(Secret {
        metadata: meta("gw", "cert"),
        string_data: [("tls.crt".to_owned(), pem.clone()), ("tls.key".to_owned(), pem)].into(),
        ..Secret::default()
    });
    for namespace in NAMESPACES {
        for name in ["s1", "s2"] {
            let port = ServicePort { port: 80, ..ServicePort::default() };
            resources
                .services
                .push(Service { metadata: meta(namespace, name), spec: ServiceSpec { ports: vec![port], ..ServiceSpec::default() } });
        }
    }
    for n in 0..=random.below(4) {
        let route = http_route(random, n);
        resources.http_routes.push(route);
    }
    if random.one_in(3) {
        for n in 0..=random.below(2) {
            let route = grpc_route(random, n);
            resources.grpc_routes.push(route);
        }
    }
    resources
}

fn meta(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), name: name.to_owned(), ..ObjectMeta::default() }
}

fn listener(random: &mut Random, n: usize) -> Listener {
    let https = random.one_in(4);
    let namespaces = |random: &mut Random| {
        let from = if random.one_in(3) { FromNamespaces::Same } else { FromNamespaces::All };
        RouteNamespaces { from: Some(from), selector: None }
    };
    let kinds = |random: &mut Random| {
        let kind = if random.one_in(2) { "HTTPRoute" } else { "GRPCRoute" };
        if random.one_in(6) { vec![RouteGroupKind { group: None, kind: kind.to_owned() }] } else { Vec::new() }
    };
    Listener {
        name: format!("l{n}"),
        hostname: (!random.one_in(2)).then(|| (*random.of(&HOSTNAMES)).to_owned()),
        port: if https {
            443
        } else if random.one_in(5) {
            8080
        } else {
            80
        },
        protocol: if https { ProtocolType::Https } else { ProtocolType::Http },
        tls: https.then(|| ListenerTls {
            certificate_refs: vec![SecretObjectReference { name: "cert".into(), ..SecretObjectReference::default() }],
            ..ListenerTls::default()
        }),
        allowed_routes: (!random.one_in(5)).then(|| AllowedRoutes { namespaces: Some(namespaces(random)), kinds: kinds(random) }),
    }
}

fn route_meta(random: &mut Random, n: usize) -> ObjectMeta {
    let namespace = *random.of(&NAMESPACES);
    ObjectMeta {
        creation_timestamp: (!random.one_in(3)).then(|| (*random.of(&TIMES)).to_owned()),
        ..meta(namespace, &format!("{}{n}", random.of(&["a", "b"])))
    }
}

fn parents(random: &mut Random) -> Vec<ParentReference> {
    (0..=random.below(2))
        .map(|_| ParentReference {
            name: "gw".into(),
            namespace: Some("gw".into()),
            section_name: random.one_in(3).then(|| format!("l{}", random.below(5))),
            port: random.one_in(5).then(|| *random.of(&[80, 443, 8080])),
            ..ParentReference::default()
        })
        .collect()
}

fn hostnames(random: &mut Random) -> Vec<String> {
    random.some(3, |random| (*random.of(&HOSTNAMES)).to_owned())
}

fn path(random: &mut Random) -> String {
    let segments = random.some(3, |random| format!("/{}", random.of(&["a", "b", "ab"])));
    let slash = if segments.is_empty() || random.one_in(4) { "/" } else { "" };
    segments.concat() + slash
}

fn value_type(random: &mut Random) -> Option<ValueMatchType> {
    match random.below(12) {
        0 => Some(ValueMatchType::from("Exists")),
        1 | 2 => Some(ValueMatchType::RegularExpression),
        3 => Some(ValueMatchType::Exact),
        _ => None,
    }
}

fn header(random: &mut Random) -> HeaderMatch {
    HeaderMatch {
        type_: value_type(random),
        name: (*random.of(&["x", "X", "y"])).to_owned(),
        value: (*random.of(&["1", "2", "[12]", "1|12"])).to_owned(),
    }
}

fn http_route(random: &mut Random, n: usize) -> HttpRoute {
    let rule = |random: &mut Random| HttpRouteRule {
        matches: random.some(2, |random| HttpRouteMatch {
            path: (!random.one_in(4)).then(|| {
                let type_ = match random.below(10) {
                    0..4 => Some(PathMatchType::PathPrefix),
                    4..6 => Some(PathMatchType::Exact),
                    6 | 7 => Some(PathMatchType::RegularExpression),
                    8 => random.one_in(6).then(|| PathMatchType::from("Glob")),
                    _ => None,
                };
                let value = if type_ == Some(PathMatchType::RegularExpression) { (*random.of(&REGEXES)).to_owned() } else { path(random) };
                HttpPathMatch { type_, value: Some(value) }
            }),
            headers: if random.one_in(3) { random.some(2, header) } else { Vec::new() },
            query_params: if random.one_in(4) {
                random.some(2, |random| QueryParamMatch {
                    type_: value_type(random),
                    name: (*random.of(&["q", "Q", "r"])).to_owned(),
                    value: (*random.of(&["1", "2 3", "[12]"])).to_owned(),
                })
            } else {
                Vec::new()
            },
            method: random.one_in(3).then(|| random.of(&[HttpMethod::Get, HttpMethod::Post]).clone()),
        }),
        filters: match random.below(16) {
            0 => vec![HttpRouteFilter {
                type_: HttpRouteFilterType::RequestRedirect,
                request_redirect: Some(RequestRedirect::default()),
                ..HttpRouteFilter::default()
            }],
            1 => vec![HttpRouteFilter { type_: HttpRouteFilterType::from("Strange"), ..HttpRouteFilter::default() }],
            _ => Vec::new(),
        },
        backend_refs: random.some(4, |random| HttpBackendRef {
            name: (*random.of(&["s1", "s2", "s1", "s2", "gone"])).to_owned(),
            port: Some(80),
            weight: random.one_in(2).then(|| i32::try_from(random.below(3)).unwrap_or(0)),
            ..HttpBackendRef::default()
        }),
        ..HttpRouteRule::default()
    };
    let rules = (0..=random.below(3)).map(|_| rule(random)).collect();
    HttpRoute {
        metadata: route_meta(random, n),
        spec: HttpRouteSpec { parent_refs: parents(random), hostnames: hostnames(random), rules: Some(rules), ..HttpRouteSpec::default() },
        status: None,
    }
}

fn grpc_route(random: &mut Random, n: usize) -> GrpcRoute {
    let rule = |random: &mut Random| GrpcRouteRule {
        matches: random.some(2, |random| GrpcRouteMatch {
            method: (!random.one_in(4)).then(|| {
                let name = |random: &mut Random| (!random.one_in(3)).then(|| (*random.of(&["a", "b", "ab", "[ab]+"])).to_owned());
                GrpcMethodMatch { type_: value_type(random), service: name(random), method: name(random) }
            }),
            headers: if random.one_in(3) { random.some(2, header) } else { Vec::new() },
        }),
        backend_refs: vec![GrpcBackendRef {
            name: (*random.of(&["s1", "s2", "s1", "s2", "gone"])).to_owned(),
            port: Some(80),
            ..GrpcBackendRef::default()
        }],
        ..GrpcRouteRule::default()
    };
    let rules = (0..=random.below(2)).map(|_| rule(random)).collect();
    GrpcRoute {
        metadata: route_meta(random, n),
        spec: GrpcRouteSpec { parent_refs: parents(random), hostnames: hostnames(random), rules, ..GrpcRouteSpec::default() },
        status: None,
    }
}

/// A request of the same few words.
pub fn request(random: &mut Random, resources: &Resources) -> WorldRequest {
    // Mostly a port that is there.
    let listeners = &resources.gateways[0].spec.listeners;
    let port = if random.one_in(20) { 80 } else { random.of(listeners).port };
    let host = (*random.of(&HOSTS)).to_owned();
    let mut headers = random.some(3, |random| ((*random.of(&["x", "Y", "z"])).to_owned(), (*random.of(&["1", "2", "12"])).to_owned()));
    if random.one_in(3) {
        headers.push(("content-type".into(), "application/grpc".into()));
    }
    let query = random.some(3, |random| format!("{}={}", random.of(&["q", "Q", "r", "s"]), random.of(&["1", "2+3", "2%203", "2", ""])));
    WorldRequest {
        port,
        // Mostly the server name that a client of this host would send.
        sni: (port == 443).then(|| {
            if random.one_in(4) { (*random.of(&HOSTS)).to_owned() } else { host.split(':').next().unwrap_or_default().to_owned() }
        }),
        method: (*random.of(&["GET", "GET", "POST", "OPTIONS"])).to_owned(),
        host,
        path: path(random),
        query: (!query.is_empty()).then(|| query.join("&")),
        headers,
        pick: random.number(),
    }
}
