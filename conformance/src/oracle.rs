//! The oracle: attachment, matching and precedence written down once more, from the specification's text, as a
//! walk over everything. It shares no code with the table and is slow on purpose.

use gatewright::Resources;
use gatewright::resource::filter::RequestRedirect;
use gatewright::resource::gateway::{FromNamespaces, Gateway, Listener, ProtocolType};
use gatewright::resource::grpc_route::{GrpcRouteFilterType, GrpcRouteMatch};
use gatewright::resource::http_route::{HeaderMatch, HttpRouteFilterType, HttpRouteMatch, PathMatchType, QueryParamMatch, ValueMatchType};
use gatewright::resource::meta::{ObjectMeta, ParentReference};

/// A request of a small world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldRequest {
    /// Port of the one Gateway.
    pub port: i32,
    /// Server name, on a port with TLS.
    pub sni: Option<String>,
    /// Method.
    pub method: String,
    /// Host, perhaps with port.
    pub host: String,
    /// Canonical path.
    pub path: String,
    /// Query.
    pub query: Option<String>,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Randomness.
    pub pick: u64,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No listener for the host.
    NoListener,
    /// The listener of the handshake is not the one for the host.
    Misdirected,
    /// No match holds.
    NoRoute,
    /// A match won.
    Won {
        /// Listener, `Kind ns/name`, rule, match.
        place: (String, String, usize, usize),
        /// And then.
        then: Then,
    },
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// Forward to `ns/name`.
    Forward(String),
    /// Redirect.
    Redirect,
    /// 500.
    Error,
}

/// One match of one rule of one route, on one listener, under one hostname.
#[derive(Clone, Debug)]
struct Entry<'r> {
    hostname: Option<String>,
    kind: &'static str,
    namespace: String,
    name: &'r str,
    created: String,
    rule: usize,
    match_: usize,
    of: Of<'r>,
    then: &'r [Choice],
}

#[derive(Clone, Debug)]
enum Of<'r> {
    Http(HttpRouteMatch),
    Grpc(&'r GrpcRouteMatch),
}

/// What a rule does, before the pick.
#[derive(Clone, Debug)]
enum Choice {
    Redirect,
    Error,
    /// Weight and `ns/name`, if it exists.
    Backend(u64, Option<String>),
}

/// A route of either kind.
struct Route<'r> {
    kind: &'static str,
    meta: &'r ObjectMeta,
    parents: &'r [ParentReference],
    hostnames: &'r [String],
    /// Rules that take part: index, matches, choices.
    rules: Vec<(usize, Vec<Of<'r>>, Vec<Choice>)>,
}

/// What becomes of a request sent to the first Gateway of the resources.
pub fn answer(resources: &Resources, request: &WorldRequest) -> Outcome {
    let gateway = &resources.gateways[0];
    let listeners = accepted(gateway);
    let on_port: Vec<_> = listeners.iter().copied().filter(|l| l.port == request.port).collect();
    let host = canonical_host(&request.host);
    let Some(best) = most_specific(&on_port, host.as_deref()) else { return Outcome::NoListener };
    if best.protocol == ProtocolType::Https {
        let sni = request.sni.as_deref().and_then(canonical_host);
        if most_specific(&on_port, sni.as_deref()).map(|l| &l.name) != Some(&best.name) {
            return Outcome::Misdirected;
        }
    }
    let routes = routes(resources);
    let mut entries = entries(resources, gateway, best, &routes);
    entries.retain(|entry| covers(entry.hostname.as_deref(), host.as_deref()) && holds(&entry.of, request));
    entries.sort_by_key(order);
    let Some(first) = entries.first() else { return Outcome::NoRoute };
    let place = (best.name.clone(), format!("{} {}/{}", first.kind, first.namespace, first.name), first.rule, first.match_);
    Outcome::Won { place, then: choose(first.then, request.pick) }
}

/// Listeners with the same port and hostname exclude each other.
fn accepted(gateway: &Gateway) -> Vec<&Listener> {
    let all = &gateway.spec.listeners;
    let alone = |l: &&Listener| all.iter().filter(|other| other.port == l.port && other.hostname == l.hostname).count() == 1;
    all.iter().filter(alone).collect()
}

/// Lower case, no port, no trailing dot; none for an address.
fn canonical_host(host: &str) -> Option<String> {
    let host = host.split(':').next().unwrap_or_default().to_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
    (!host.chars().all(|c| c.is_ascii_digit() || c == '.')).then_some(host)
}

/// Whether a hostname (none is any) covers a host (none is an address).
fn covers(hostname: Option<&str>, host: Option<&str>) -> bool {
    let (Some(hostname), Some(host)) = (hostname, host) else { return hostname.is_none() };
    let (labels, of_host) = (hostname.split('.').collect::<Vec<_>>(), host.split('.').collect::<Vec<_>>());
    if labels[0] != "*" {
        return hostname == host;
    }
    of_host.len() >= labels.len() && of_host[of_host.len() + 1 - labels.len()..] == labels[1..]
}

/// Exact names before wildcards, then the longer, then any.
fn specificity(hostname: Option<&str>) -> (usize, usize) {
    match hostname {
        None => (0, 0),
        Some(name) if name.starts_with('*') => (0, name.len()),
        Some(name) => (name.len(), name.len()),
    }
}

fn most_specific<'r>(listeners: &[&'r Listener], host: Option<&str>) -> Option<&'r Listener> {
    let covering = listeners.iter().copied().filter(|l| covers(l.hostname.as_deref(), host));
    covering.max_by_key(|l| specificity(l.hostname.as_deref()))
}

/// The routes with the rules that take part.
fn routes(resources: &Resources) -> Vec<Route<'_>> {
    let mut all = Vec::new();
    for route in &resources.http_routes {
        let mut rules = Vec::new();
        for (n, rule) in route.spec.rules.as_deref().unwrap_or_default().iter().enumerate() {
            let matches = if rule.matches.is_empty() { vec![HttpRouteMatch::default()] } else { rule.matches.clone() };
            let sound = matches.iter().all(http_is_sound);
            let strange = rule.filters.iter().any(|f| matches!(f.type_, HttpRouteFilterType::Other(_)));
            let redirect = rule
                .filters
                .iter()
                .any(|f| f.type_ == HttpRouteFilterType::RequestRedirect && f.request_redirect == Some(RequestRedirect::default()));
            if !sound || (redirect && !strange && !rule.backend_refs.is_empty()) {
                continue;
            }
            let refs = rule.backend_refs.iter().map(|b| (b.weight, b.name.as_str()));
            let choices = if strange {
                vec![Choice::Error]
            } else if redirect {
                vec![Choice::Redirect]
            } else {
                backends(refs, resources, &route.metadata)
            };
            rules.push((n, matches.into_iter().map(Of::Http).collect(), choices));
        }
        all.push(Route {
            kind: "HTTPRoute",
            meta: &route.metadata,
            parents: &route.spec.parent_refs,
            hostnames: &route.spec.hostnames,
            rules,
        });
    }
    for route in &resources.grpc_routes {
        let mut rules = Vec::new();
        for (n, rule) in route.spec.rules.iter().enumerate() {
            const EVERY: &GrpcRouteMatch = &GrpcRouteMatch { method: None, headers: Vec::new() };
            let matches: Vec<&GrpcRouteMatch> = if rule.matches.is_empty() { vec![EVERY] } else { rule.matches.iter().collect() };
            if !matches.iter().all(|m| grpc_is_sound(m)) {
                continue;
            }
            let strange = rule.filters.iter().any(|f| matches!(f.type_, GrpcRouteFilterType::Other(_)));
            let refs = rule.backend_refs.iter().map(|b| (b.weight, b.name.as_str()));
            let choices = if strange { vec![Choice::Error] } else { backends(refs, resources, &route.metadata) };
            rules.push((n, matches.into_iter().map(Of::Grpc).collect(), choices));
        }
        all.push(Route {
            kind: "GRPCRoute",
            meta: &route.metadata,
            parents: &route.spec.parent_refs,
            hostnames: &route.spec.hostnames,
            rules,
        });
    }
    all
}

fn backends<'r>(refs: impl Iterator<Item = (Option<i32>, &'r str)>, resources: &Resources, meta: &ObjectMeta) -> Vec<Choice> {
    let namespace = meta.namespace.clone().unwrap_or_default();
    let exists =
        |name: &str| resources.services.iter().any(|s| s.metadata.name == name && s.metadata.namespace.as_deref() == Some(&namespace));
    refs.map(|(weight, name)| {
        Choice::Backend(u64::try_from(weight.unwrap_or(1)).unwrap_or(0), exists(name).then(|| format!("{namespace}/{name}")))
    })
    .collect()
}

fn value_is_sound(type_: Option<&ValueMatchType>, value: &str) -> bool {
    match type_ {
        None | Some(ValueMatchType::Exact) => true,
        Some(ValueMatchType::RegularExpression) => regex::bytes::Regex::new(value).is_ok(),
        Some(ValueMatchType::Other(_)) => false,
    }
}

fn http_is_sound(m: &HttpRouteMatch) -> bool {
    let path = m.path.as_ref().is_none_or(|path| match path.type_ {
        None | Some(PathMatchType::Exact | PathMatchType::PathPrefix) => true,
        Some(PathMatchType::RegularExpression) => regex::bytes::Regex::new(path.value.as_deref().unwrap_or("/")).is_ok(),
        Some(PathMatchType::Other(_)) => false,
    });
    // Entries that repeat a name are ignored before they are read.
    path && first_of_name(&m.headers).iter().all(|h| value_is_sound(h.type_.as_ref(), &h.value))
        && first_of_query(&m.query_params).iter().all(|q| value_is_sound(q.type_.as_ref(), &q.value))
}

fn grpc_is_sound(m: &GrpcRouteMatch) -> bool {
    let names = m.method.as_ref().is_none_or(|method| {
        [&method.service, &method.method].into_iter().flatten().all(|name| value_is_sound(method.type_.as_ref(), name))
            && (method.service.is_some() || method.method.is_some())
    });
    names && first_of_name(&m.headers).iter().all(|h| value_is_sound(h.type_.as_ref(), &h.value))
}

fn first_of_name(headers: &[HeaderMatch]) -> Vec<&HeaderMatch> {
    let mut kept: Vec<&HeaderMatch> = Vec::new();
    for header in headers {
        if !kept.iter().any(|k| k.name.eq_ignore_ascii_case(&header.name)) {
            kept.push(header);
        }
    }
    kept
}

fn first_of_query(queries: &[QueryParamMatch]) -> Vec<&QueryParamMatch> {
    let mut kept: Vec<&QueryParamMatch> = Vec::new();
    for query in queries {
        if !kept.iter().any(|k| k.name == query.name) {
            kept.push(query);
        }
    }
    kept
}

/// Every entry that could serve on a listener: attachment ([A-2], [A-5], [A-7]).
fn entries<'r>(resources: &Resources, gateway: &Gateway, listener: &Listener, routes: &'r [Route<'r>]) -> Vec<Entry<'r>> {
    let _ = resources;
    // Who is attached, the oldest first: routes of the other kind must not share hostnames with them ([G-12]).
    let mut attached: Vec<(&Route<'_>, Vec<Option<String>>)> = Vec::new();
    let mut by_age: Vec<&'r Route<'r>> = routes.iter().collect();
    by_age.sort_by_key(|route| (created(route.meta), format!("{}/{}", route.meta.namespace.clone().unwrap_or_default(), route.meta.name)));
    let mut entries = Vec::new();
    for route in by_age {
        let Some(names) = attaches(gateway, listener, route) else { continue };
        let clash = |(other, theirs): &(&Route<'_>, Vec<Option<String>>)| {
            other.kind != route.kind && theirs.iter().any(|a| names.iter().any(|b| intersect(a.as_deref(), b.as_deref()).is_some()))
        };
        if attached.iter().any(clash) {
            continue;
        }
        attached.push((route, names.clone()));
        for hostname in names {
            for (rule, matches, then) in &route.rules {
                for (match_, of) in matches.iter().enumerate() {
                    entries.push(Entry {
                        hostname: hostname.clone(),
                        kind: route.kind,
                        namespace: route.meta.namespace.clone().unwrap_or_default(),
                        name: &route.meta.name,
                        created: created(route.meta),
                        rule: *rule,
                        match_,
                        of: of.clone(),
                        then,
                    });
                }
            }
        }
    }
    entries
}

/// Routes without a time are the youngest.
fn created(meta: &ObjectMeta) -> String {
    meta.creation_timestamp.clone().unwrap_or_else(|| "9".to_owned())
}

/// The hostnames under which a route serves on a listener, if it attaches there.
fn attaches(gateway: &Gateway, listener: &Listener, route: &Route<'_>) -> Option<Vec<Option<String>>> {
    let own = gateway.metadata.namespace.as_deref();
    let namespace = route.meta.namespace.as_deref();
    let named = route.parents.iter().any(|p| {
        p.name == gateway.metadata.name
            && p.namespace.as_deref().or(namespace) == own
            && p.section_name.as_deref().is_none_or(|name| name == listener.name)
            && p.port.is_none_or(|port| port == listener.port)
    });
    let allowed = listener.allowed_routes.as_ref();
    let from = allowed.and_then(|a| a.namespaces.as_ref()).and_then(|n| n.from.clone()).unwrap_or(FromNamespaces::Same);
    let from = match from {
        FromNamespaces::All => true,
        FromNamespaces::Same => namespace == own,
        _ => false,
    };
    let kind = allowed.is_none_or(|a| a.kinds.is_empty() || a.kinds.iter().any(|k| k.kind == route.kind));
    if !named || !from || !kind {
        return None;
    }
    let mut names: Vec<Option<String>> = if route.hostnames.is_empty() {
        vec![listener.hostname.clone()]
    } else {
        route.hostnames.iter().filter_map(|name| intersect(listener.hostname.as_deref(), Some(name))).collect()
    };
    names.sort();
    names.dedup();
    (!names.is_empty()).then_some(names)
}

/// The more specific of two hostnames that overlap ([A-7]).
fn intersect(a: Option<&str>, b: Option<&str>) -> Option<Option<String>> {
    let (Some(a), Some(b)) = (a, b) else { return Some(a.or(b).map(str::to_owned)) };
    // A wildcard covers another one if it covers a name below it.
    let below = |name: &str| name.replace('*', "x.x");
    let narrower = if covers(Some(a), Some(&below(b))) && specificity(Some(b)) >= specificity(Some(a)) {
        b
    } else if covers(Some(b), Some(&below(a))) {
        a
    } else {
        return None;
    };
    Some(Some(narrower.to_owned()))
}

fn holds(of: &Of<'_>, request: &WorldRequest) -> bool {
    let header = |h: &&HeaderMatch| {
        request.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(&h.name) && value_holds(h.type_.as_ref(), &h.value, value))
    };
    match of {
        Of::Http(m) => {
            let path = m.path.as_ref().is_none_or(|path| {
                let value = path.value.as_deref().unwrap_or("/");
                match path.type_ {
                    Some(PathMatchType::Exact) => request.path == value,
                    Some(PathMatchType::RegularExpression) => full_match(value, &request.path),
                    _ => {
                        let segments = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
                        segments(&request.path).starts_with(&segments(value.strip_suffix('/').unwrap_or(value)))
                    }
                }
            });
            path && m.method.as_ref().is_none_or(|method| method.as_str() == request.method)
                && first_of_name(&m.headers).iter().all(header)
                && first_of_query(&m.query_params).iter().all(|q| query_holds(q, request.query.as_deref()))
        }
        Of::Grpc(m) => {
            let grpc = request.headers.iter().any(|(name, value)| name == "content-type" && value == "application/grpc");
            let name = m.method.as_ref().is_none_or(|method| {
                let parts: Vec<&str> = request.path.split('/').collect();
                let [_, service, name] = parts[..] else { return false };
                method.service.as_deref().is_none_or(|wanted| value_holds(method.type_.as_ref(), wanted, service))
                    && method.method.as_deref().is_none_or(|wanted| value_holds(method.type_.as_ref(), wanted, name))
            });
            grpc && name && first_of_name(&m.headers).iter().all(header)
        }
    }
}

fn value_holds(type_: Option<&ValueMatchType>, wanted: &str, found: &str) -> bool {
    if type_ == Some(&ValueMatchType::RegularExpression) { full_match(wanted, found) } else { wanted == found }
}

fn full_match(pattern: &str, text: &str) -> bool {
    regex::bytes::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text.as_bytes()))
}

/// The first parameter of the name counts; names and values are decoded.
fn query_holds(wanted: &QueryParamMatch, query: Option<&str>) -> bool {
    let decode = |text: &str| text.replace('+', " ").replace("%20", " ");
    let pairs = query.unwrap_or_default().split('&').map(|p| p.split_once('=').unwrap_or((p, "")));
    let first = pairs.into_iter().find(|(name, _)| decode(name) == wanted.name);
    first.is_some_and(|(_, value)| value_holds(wanted.type_.as_ref(), &wanted.value, &decode(value)))
}

/// The list of [M-20], and of [G-3]; smaller comes first.
fn order(entry: &Entry<'_>) -> impl Ord + use<> {
    let less = |n: usize| -i64::try_from(n).unwrap_or(0);
    let keys = match &entry.of {
        Of::Http(m) => {
            let value = m.path.as_ref().and_then(|p| p.value.as_deref()).unwrap_or("/");
            let path = match m.path.as_ref().and_then(|p| p.type_.clone()) {
                Some(PathMatchType::Exact) => vec![0, 0],
                Some(PathMatchType::RegularExpression) => vec![1, less(value.len())],
                _ => vec![2, less(value.strip_suffix('/').unwrap_or(value).len())],
            };
            let counts =
                [i64::from(m.method.is_none()), less(first_of_name(&m.headers).len()), less(first_of_query(&m.query_params).len())];
            [path, counts.to_vec()].concat()
        }
        Of::Grpc(m) => {
            let regex = m.method.as_ref().is_some_and(|method| method.type_ == Some(ValueMatchType::RegularExpression));
            let part = |name: Option<&String>| match name {
                None => vec![2, 0],
                Some(name) => vec![i64::from(regex), less(name.len())],
            };
            let method = m.method.as_ref();
            [
                part(method.and_then(|m| m.service.as_ref())),
                part(method.and_then(|m| m.method.as_ref())),
                vec![less(first_of_name(&m.headers).len())],
            ]
            .concat()
        }
    };
    let hostname = std::cmp::Reverse(specificity(entry.hostname.as_deref()));
    (hostname, keys, entry.created.clone(), format!("{}/{}", entry.namespace, entry.name), entry.rule, entry.match_)
}

/// Weights as shares of their sum ([B-1]).
fn choose(choices: &[Choice], pick: u64) -> Then {
    let weight = |c: &Choice| if let Choice::Backend(weight, _) = c { *weight } else { 0 };
    match choices.first() {
        None | Some(Choice::Error) => return Then::Error,
        Some(Choice::Redirect) => return Then::Redirect,
        Some(Choice::Backend(..)) => {}
    }
    let total: u64 = choices.iter().map(weight).sum();
    let drawn = (u128::from(pick) * u128::from(total)) >> 64;
    let mut seen = 0_u128;
    for choice in choices {
        seen += u128::from(weight(choice));
        if let (true, Choice::Backend(_, backend)) = (drawn < seen, choice) {
            return backend.clone().map_or(Then::Error, Then::Forward);
        }
    }
    Then::Error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of, read by the oracle.
    #[test]
    fn intersections() {
        for (a, b, expected) in [
            (Some("a.com"), Some("b.com"), None),
            (Some("*.example.com"), Some("foo.example.com"), Some(Some("foo.example.com"))),
            (Some("*.example.com"), Some("a.b.example.com"), Some(Some("a.b.example.com"))),
            (Some("*.example.com"), Some("example.com"), None),
            (Some("*.example.com"), Some("*.foo.example.com"), Some(Some("*.foo.example.com"))),
            (Some("*.foo.example.com"), Some("*.example.com"), Some(Some("*.foo.example.com"))),
            (Some("*.a.com"), Some("*.b.com"), None),
            (None, Some("*.x"), Some(Some("*.x"))),
            (None, None, Some(None)),
        ] {
            assert_eq!(intersect(a, b), expected.map(|name| name.map(str::to_owned)), "{a:?} {b:?}");
        }
    }

    #[test]
    fn hosts() {
        assert!(covers(Some("*.a.com"), Some("x.y.a.com")));
        assert!(!covers(Some("*.a.com"), Some("a.com")));
        assert!(covers(None, None));
        assert!(!covers(Some("a.com"), None));
        assert_eq!(canonical_host("A.com.:80").as_deref(), Some("a.com"));
        assert_eq!(canonical_host("10.0.0.1:80"), None);
    }
}
