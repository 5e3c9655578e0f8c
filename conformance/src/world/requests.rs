//! Requests of the same few words, half of them near what some route asks for.

use gatewright::Resources;
use gatewright::resource::gateway::{Listener, ProtocolType};
use gatewright::resource::grpc_route::GrpcRouteMatch;
use gatewright::resource::http_route::{HttpRouteMatch, PathMatchType, ValueMatchType};

use super::routes::path;
use super::{NAMESPACES, Random};
use crate::oracle::{Place, WorldConnection, WorldRequest};

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

/// A request of the same few words.
pub fn request(random: &mut Random, resources: &Resources) -> WorldRequest {
    let aim = if random.one_in(5) { Aim::default() } else { aim(random, resources) };
    let (of_gateway, listener) = listener(random, resources, &aim, &[ProtocolType::Http, ProtocolType::Https]);
    let port = listener.map_or(80, |listener| listener.port);
    let host = host(random, [aim.hostname.as_deref(), listener.and_then(|listener| listener.hostname.as_deref())]);
    let place = match aim.service {
        Some(service) => Place::Service { client: random.text(&NAMESPACES), service, port: *random.of(&[80, 80, 80, 81, 82]) },
        None => Place::Port { gateway: of_gateway, port },
    };
    let mut request = WorldRequest {
        place,
        // Mostly the server name that a client of this host would send.
        sni: (port == 443)
            .then(|| if random.one_in(4) { random.text(&HOSTS) } else { host.split(':').next().unwrap_or_default().to_owned() }),
        method: random.text(&["GET", "GET", "POST", "OPTIONS"]),
        host,
        path: path(random),
        query: None,
        headers: random.some(3, |random| (random.text(&["x", "Y", "z"]), random.text(&["1", "2", "12", " 1\t"]))),
        pick: random.number(),
    };
    if random.one_in(6) {
        request.headers.push(("content-type".into(), random.text(&["application/grpc", "application/grpc+proto", "application/json"])));
    }
    if random.one_in(3) {
        origin(random, &mut request);
    }
    let mut query = random.some(3, |random| format!("{}={}", random.of(&["q", "Q", "r", "s"]), random.of(&["1", "2+3", "2%203", "2", ""])));
    match aim.wanted {
        Some(Wanted::Http(wanted)) => near(random, &wanted, &mut request, &mut query),
        Some(Wanted::Grpc(wanted)) => near_call(random, &wanted, &mut request),
        None => {}
    }
    request.query = (!query.is_empty()).then(|| query.join("&"));
    request
}

/// A connection or flow, mostly to a listener that is there.
pub fn connection(random: &mut Random, resources: &Resources) -> WorldConnection {
    let names: Vec<&str> = resources.tls_routes.iter().flat_map(|route| &route.spec.hostnames).map(String::as_str).collect();
    let hostname = if names.is_empty() { None } else { Some(random.text(&names)) };
    let protocols = [ProtocolType::Tls, ProtocolType::Tcp, ProtocolType::Udp, ProtocolType::Https];
    let (gateway, listener) = listener(random, resources, &Aim::default(), &protocols);
    let sni = host(random, [hostname.as_deref(), listener.and_then(|listener| listener.hostname.as_deref())]);
    WorldConnection {
        gateway,
        port: listener.map_or(443, |listener| listener.port),
        udp: listener.is_some_and(|listener| listener.protocol == ProtocolType::Udp),
        sni: if random.one_in(6) { None } else { sni.split(':').next().map(str::to_owned) },
        pick: random.number(),
    }
}

/// A Gateway, and mostly one of the listeners that it serves, those of ListenerSets too.
fn listener<'r>(
    random: &mut Random,
    resources: &'r Resources,
    aim: &Aim,
    protocols: &[ProtocolType],
) -> ((String, String), Option<&'r Listener>) {
    let of_aim = resources.gateways.iter().find(|g| aim.gateway.as_ref().is_some_and(|name| g.metadata.namespace.as_ref() == Some(name)));
    let gateway = of_aim.unwrap_or_else(|| random.of(&resources.gateways));
    let name = (gateway.metadata.namespace.clone().unwrap_or_default(), gateway.metadata.name.clone());
    let own = gateway.spec.listeners.iter().filter(|l| aim.section.as_ref().is_none_or(|name| l.name == *name));
    let of_sets = resources.listener_sets.iter().filter(|_| aim.section.is_none()).flat_map(|set| &set.spec.listeners);
    let wanted = |l: &&Listener| protocols.contains(&l.protocol);
    let mut all: Vec<&Listener> = own.chain(of_sets).collect();
    if all.iter().any(wanted) {
        all.retain(wanted);
    }
    (name, if random.one_in(20) { None } else { one(random, &all) })
}

/// A route that a request is aimed at.
#[derive(Default)]
struct Aim {
    /// Namespace of a Gateway that it names.
    gateway: Option<String>,
    section: Option<String>,
    /// Or a Service that it names.
    service: Option<(String, String)>,
    hostname: Option<String>,
    wanted: Option<Wanted>,
}

enum Wanted {
    Http(HttpRouteMatch),
    Grpc(GrpcRouteMatch),
}

fn aim(random: &mut Random, resources: &Resources) -> Aim {
    let n = random.below(resources.http_routes.len() + resources.grpc_routes.len());
    let (meta, parents, hostnames, wanted) = if let Some(route) = resources.http_routes.get(n) {
        let matches: Vec<_> = route.spec.rules.iter().flatten().flat_map(|rule| rule.matches.iter().cloned()).collect();
        (&route.metadata, &route.spec.parent_refs, &route.spec.hostnames, one(random, &matches).map(Wanted::Http))
    } else {
        let route = &resources.grpc_routes[n - resources.http_routes.len()];
        let matches: Vec<_> = route.spec.rules.iter().flat_map(|rule| rule.matches.iter().cloned()).collect();
        let wanted = one(random, &matches).unwrap_or_default();
        (&route.metadata, &route.spec.parent_refs, &route.spec.hostnames, Some(Wanted::Grpc(wanted)))
    };
    let parent = one(random, parents).unwrap_or_default();
    let namespace = parent.namespace.or_else(|| meta.namespace.clone());
    let hostname = one(random, hostnames);
    match parent.kind.as_deref() {
        Some("Service") => Aim { service: Some((namespace.unwrap_or_default(), parent.name)), hostname, wanted, ..Aim::default() },
        Some("ListenerSet") => Aim { hostname, wanted, ..Aim::default() },
        _ => Aim { gateway: namespace, section: parent.section_name, hostname, wanted, ..Aim::default() },
    }
}

fn one<T: Clone>(random: &mut Random, list: &[T]) -> Option<T> {
    if list.is_empty() { None } else { Some(random.of(list).clone()) }
}

/// Mostly a host that a hostname covers: a listener's that is narrower than the route's, or the route's.
fn host(random: &mut Random, hostnames: [Option<&str>; 2]) -> String {
    let mut all: Vec<&str> = hostnames.into_iter().flatten().collect();
    all.sort_by_key(|name| (name.starts_with('*'), std::cmp::Reverse(name.len())));
    match all.first() {
        Some(name) if !random.one_in(4) => name.replace('*', &random.text(&["x", "b", "c.b"])),
        _ => random.text(&HOSTS),
    }
}

/// What a browser adds, for a preflight or an ordinary request.
fn origin(random: &mut Random, request: &mut WorldRequest) {
    let origins = [
        "https://a.com",
        "https://x.a.com",
        "https://b.x.a.com",
        "http://a.com:8080",
        "https://a.com:443",
        "https://.a.com",
        "https://xa.com",
        "null",
        "http://y",
    ];
    request.headers.push(("Origin".into(), random.text(&origins)));
    if random.one_in(3) {
        request.method = "OPTIONS".to_owned();
    }
    if !random.one_in(4) {
        request.headers.push(("Access-Control-Request-Method".into(), random.text(&["GET", "POST", "PUT", ""])));
    }
    if random.one_in(2) {
        request.headers.push(("Access-Control-Request-Headers".into(), random.text(&["x", "x, y", ""])));
    }
}

/// Makes a request that a match may hold for.
fn near(random: &mut Random, wanted: &HttpRouteMatch, request: &mut WorldRequest, query: &mut Vec<String>) {
    if let Some(path) = &wanted.path
        && (path.type_ != Some(PathMatchType::RegularExpression) || random.one_in(2))
    {
        request.path = match path.type_ {
            Some(PathMatchType::RegularExpression) => random.text(&["/a", "/ab", "/b/", "/ab/b"]),
            _ => path.value.clone().unwrap_or_else(|| "/".to_owned()),
        };
        if random.one_in(6) {
            let rest = self::path(random);
            request.path = format!("{}{rest}", request.path.trim_end_matches('/'));
        }
    }
    if let Some(method) = &wanted.method
        && request.method != "OPTIONS"
    {
        request.method = method.as_str().to_owned();
    }
    let value = |random: &mut Random, type_: Option<&ValueMatchType>, value: &str| match type_ {
        Some(ValueMatchType::RegularExpression) => random.text(&["1", "2", "12"]),
        _ => value.to_owned(),
    };
    for header in &wanted.headers {
        request.headers.push((header.name.clone(), value(random, header.type_.as_ref(), &header.value)));
    }
    for (n, parameter) in wanted.query_params.iter().enumerate() {
        query.insert(n, format!("{}={}", parameter.name, value(random, parameter.type_.as_ref(), &parameter.value).replace(' ', "+")));
    }
}

/// Makes a call that a match may hold for.
fn near_call(random: &mut Random, wanted: &GrpcRouteMatch, request: &mut WorldRequest) {
    let mut name = |name: Option<&String>| match name {
        Some(name) if !name.contains('[') => name.clone(),
        _ => random.text(&["a", "b", "ab"]),
    };
    let method = wanted.method.clone().unwrap_or_default();
    request.path = format!("/{}/{}", name(method.service.as_ref()), name(method.method.as_ref()));
    request.headers.retain(|(name, _)| name != "content-type");
    request.headers.push(("content-type".into(), "application/grpc".into()));
    request.headers.extend(wanted.headers.iter().map(|header| (header.name.clone(), random.text(&["1", "2", "12"]))));
}
