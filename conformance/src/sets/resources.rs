//! The manifests of a set: one Gateway, HTTPRoutes or GRPCRoutes of at most 16 rules of one host each, and the Services
//! behind them.

use std::collections::HashMap;

use gatewright::decision::Matched;
use gatewright::resource::filter::{HeaderFilter, HttpHeader, HttpPathModifier, HttpPathModifierType, UrlRewrite};
use gatewright::resource::gateway::{AllowedRoutes, FromNamespaces, Gateway, GatewaySpec, Listener, ProtocolType, RouteNamespaces};
use gatewright::resource::grpc_route::{
    GrpcBackendRef, GrpcMethodMatch, GrpcRoute, GrpcRouteFilter, GrpcRouteFilterType, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec,
};
use gatewright::resource::http_route::{
    HeaderMatch, HttpBackendRef, HttpMethod, HttpPathMatch, HttpRoute, HttpRouteFilter, HttpRouteFilterType, HttpRouteMatch, HttpRouteRule,
    HttpRouteSpec, PathMatchType, QueryParamMatch,
};
use gatewright::resource::kubernetes::{Endpoint, EndpointPort, EndpointSlice, Service, ServicePort, ServiceSpec};
use gatewright::resource::meta::{ObjectMeta, ParentReference};
use gatewright::{Resources, Table};

use super::{RouteSet, SetPath, SetRule};
use crate::world::Random;

/// Rules of a route at most, by its CRD.
const RULES_PER_ROUTE: usize = 16;
const RULES_PER_SERVICE: usize = 10;
const GATEWAY: (&str, &str) = ("infra", "edge");
const NAMESPACE: &str = "apps";

impl RouteSet {
    /// One Gateway with one HTTP listener on port 80, the routes, and a Service with endpoints for about ten rules. A
    /// fifth of the rules has two backendRefs with weights, a fifth has a filter.
    pub fn resources(&self) -> Resources {
        let mut resources = Resources { gateways: vec![gateway()], ..Resources::default() };
        let services = self.rules.len().div_ceil(RULES_PER_SERVICE).max(2);
        for n in 0..services {
            let (service, slice) = service(n);
            resources.services.push(service);
            resources.endpoint_slices.push(slice);
        }
        let routes = self.routes();
        for (n, ids) in routes.iter().enumerate() {
            match self.rules[ids[0]].grpc {
                true => resources.grpc_routes.push(self.grpc_route(n, ids, services)),
                false => resources.http_routes.push(self.http_route(n, ids, services)),
            }
        }
        resources
    }

    /// The ids of the rules of each route. Routes have no time of creation, so that their names order them; of one
    /// host, the rule with the smaller id stands first.
    fn routes(&self) -> Vec<Vec<usize>> {
        let mut routes: Vec<Vec<usize>> = Vec::new();
        let mut last_of_host = HashMap::new();
        for (id, rule) in self.rules.iter().enumerate() {
            let host = (&rule.host, rule.grpc);
            let route = *last_of_host.entry(host).or_insert(usize::MAX);
            match routes.get_mut(route) {
                Some(ids) if ids.len() < RULES_PER_ROUTE => ids.push(id),
                _ => {
                    last_of_host.insert(host, routes.len());
                    routes.push(vec![id]);
                }
            }
        }
        routes
    }

    fn http_route(&self, number: usize, ids: &[usize], services: usize) -> HttpRoute {
        let rules = ids.iter().map(|id| http_rule(*id, &self.rules[*id], services)).collect();
        let hostnames = self.rules[ids[0]].host.iter().cloned().collect();
        let spec = HttpRouteSpec { parent_refs: vec![parent()], hostnames, rules: Some(rules), ..HttpRouteSpec::default() };
        HttpRoute { metadata: meta(NAMESPACE, format!("r{number:07}")), spec, status: None }
    }

    fn grpc_route(&self, number: usize, ids: &[usize], services: usize) -> GrpcRoute {
        let rules = ids.iter().map(|id| grpc_rule(*id, &self.rules[*id], services)).collect();
        let hostnames = self.rules[ids[0]].host.iter().cloned().collect();
        let spec = GrpcRouteSpec { parent_refs: vec![parent()], hostnames, rules, ..GrpcRouteSpec::default() };
        GrpcRoute { metadata: meta(NAMESPACE, format!("r{number:07}")), spec, status: None }
    }
}

fn parent() -> ParentReference {
    let (namespace, name) = GATEWAY;
    ParentReference { name: name.to_owned(), namespace: Some(namespace.to_owned()), ..ParentReference::default() }
}

/// From the rules of a table back to those of the set it was made of.
#[derive(Debug)]
pub struct RuleIds {
    ids: Vec<usize>,
}

impl RuleIds {
    /// Reads the names of the table's routes.
    ///
    /// # Panics
    ///
    /// When the table was not made of the set's resources, or does not have all of its rules.
    pub fn new(set: &RouteSet, table: &Table) -> Self {
        let routes = set.routes();
        let id = |rule: &gatewright::table::RuleInfo| {
            let name = &table.route(rule.route)?.object.name;
            routes.get(name.strip_prefix('r')?.parse::<usize>().ok()?)?.get(usize::try_from(rule.index).ok()?).copied()
        };
        let ids: Vec<usize> = table.rules().iter().map(|rule| id(rule).expect("a rule of the set")).collect();
        assert_eq!(ids.len(), set.rules.len(), "every rule of the set is valid");
        Self { ids }
    }

    /// The id of the rule that matched: its place in [`RouteSet::rules`].
    pub fn rule_of(&self, matched: Matched) -> usize {
        self.ids[matched.rule.index() as usize]
    }
}

fn meta(namespace: &str, name: String) -> ObjectMeta {
    ObjectMeta { name, namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

fn gateway() -> Gateway {
    let all = RouteNamespaces { from: Some(FromNamespaces::All), selector: None };
    let listener = Listener {
        name: "http".to_owned(),
        port: 80,
        protocol: ProtocolType::Http,
        allowed_routes: Some(AllowedRoutes { namespaces: Some(all), kinds: Vec::new() }),
        ..Listener::default()
    };
    let (namespace, name) = GATEWAY;
    Gateway {
        metadata: meta(namespace, name.to_owned()),
        spec: GatewaySpec { gateway_class_name: "gatewright".to_owned(), listeners: vec![listener], ..GatewaySpec::default() },
        status: None,
    }
}

fn service_name(n: usize) -> String {
    format!("svc-{n}")
}

/// A Service with two or three endpoints.
fn service(n: usize) -> (Service, EndpointSlice) {
    let name = service_name(n);
    let port = ServicePort { name: Some("http".to_owned()), port: 80, ..ServicePort::default() };
    let service = Service { metadata: meta(NAMESPACE, name.clone()), spec: ServiceSpec { ports: vec![port], ..ServiceSpec::default() } };
    let mut metadata = meta(NAMESPACE, format!("{name}-0"));
    metadata.labels.insert("kubernetes.io/service-name".to_owned(), name);
    let endpoint = |host: usize| Endpoint {
        addresses: vec![format!("10.{}.{}.{}", n / (1 << 14) % 256, n / (1 << 6) % 256, n % (1 << 6) * 4 + host)],
        ..Endpoint::default()
    };
    let slice = EndpointSlice {
        metadata,
        address_type: "IPv4".to_owned(),
        endpoints: (0..2 + n % 2).map(endpoint).collect(),
        ports: vec![EndpointPort { name: Some("http".to_owned()), port: Some(8080), ..EndpointPort::default() }],
    };
    (service, slice)
}

fn http_rule(id: usize, rule: &SetRule, services: usize) -> HttpRouteRule {
    // By the id alone, so that the same rule has the same filters in every set.
    let mut random = Random(id as u64);
    let filters = random.one_in(5).then(|| filter(random.below(20), &rule.path)).into_iter().collect();
    let of = id / RULES_PER_SERVICE % services;
    let backend = |n: usize, weight| HttpBackendRef { name: service_name(n), port: Some(80), weight, ..HttpBackendRef::default() };
    let backend_refs = match random.one_in(5) {
        true => vec![backend(of, Some(90)), backend((of + 1) % services, Some(10))],
        false => vec![backend(of, None)],
    };
    HttpRouteRule { matches: vec![matches(rule)], filters, backend_refs, ..HttpRouteRule::default() }
}

/// The same rule for calls: a filter is one that a GRPCRoute may have.
fn grpc_rule(id: usize, rule: &SetRule, services: usize) -> GrpcRouteRule {
    let http = http_rule(id, &SetRule { path: SetPath::Exact("/".to_owned()), ..rule.clone() }, services);
    let filter = |filter: HttpRouteFilter| GrpcRouteFilter {
        type_: GrpcRouteFilterType::from(filter.type_.as_str()),
        request_header_modifier: filter.request_header_modifier,
        response_header_modifier: filter.response_header_modifier,
        ..GrpcRouteFilter::default()
    };
    let backend = |to: HttpBackendRef| GrpcBackendRef { name: to.name, port: to.port, weight: to.weight, ..GrpcBackendRef::default() };
    let (SetPath::Exact(path) | SetPath::Prefix(path) | SetPath::Regex(path)) = &rule.path;
    let mut names = path.split('/').skip(1).map(str::to_owned).filter(|name| !name.is_empty());
    let method = GrpcMethodMatch { type_: None, service: names.next(), method: names.next() };
    let headers = http.matches.into_iter().flat_map(|one| one.headers).collect();
    GrpcRouteRule {
        matches: vec![GrpcRouteMatch { method: method.service.is_some().then_some(method), headers }],
        filters: http.filters.into_iter().map(filter).collect(),
        backend_refs: http.backend_refs.into_iter().map(backend).collect(),
        ..GrpcRouteRule::default()
    }
}

fn matches(rule: &SetRule) -> HttpRouteMatch {
    let (type_, value) = match &rule.path {
        SetPath::Exact(text) => (PathMatchType::Exact, text),
        SetPath::Prefix(text) => (PathMatchType::PathPrefix, text),
        SetPath::Regex(text) => (PathMatchType::RegularExpression, text),
    };
    let header = |(name, value): &(String, String)| HeaderMatch { type_: None, name: name.clone(), value: value.clone() };
    let query = |(name, value): &(String, String)| QueryParamMatch { type_: None, name: name.clone(), value: value.clone() };
    HttpRouteMatch {
        path: Some(HttpPathMatch { type_: Some(type_), value: Some(value.clone()) }),
        headers: rule.headers.iter().map(header).collect(),
        query_params: rule.queries.iter().map(query).collect(),
        method: rule.method.as_deref().map(HttpMethod::from),
    }
}

/// One of 20 filters; none of them answers the request. Only a prefix can be replaced, other paths get a header field
/// instead.
fn filter(n: usize, path: &SetPath) -> HttpRouteFilter {
    let field = |name: &str| HttpHeader { name: name.to_owned(), value: format!("value-{n}") };
    let edit = |side: &str| HeaderFilter {
        set: vec![field(&format!("x-{side}-set"))],
        add: if n.is_multiple_of(2) { vec![field(&format!("x-{side}-add"))] } else { Vec::new() },
        remove: if n.is_multiple_of(4) { vec![format!("x-{side}-remove")] } else { Vec::new() },
    };
    match (n % 3, path) {
        (0, _) => HttpRouteFilter {
            type_: HttpRouteFilterType::ResponseHeaderModifier,
            response_header_modifier: Some(edit("response")),
            ..HttpRouteFilter::default()
        },
        (1, SetPath::Prefix(_)) => {
            let path = HttpPathModifier {
                type_: HttpPathModifierType::ReplacePrefixMatch,
                replace_prefix_match: Some(format!("/internal-{n}")),
                ..HttpPathModifier::default()
            };
            HttpRouteFilter {
                type_: HttpRouteFilterType::UrlRewrite,
                url_rewrite: Some(UrlRewrite { path: Some(path), ..UrlRewrite::default() }),
                ..HttpRouteFilter::default()
            }
        }
        _ => HttpRouteFilter {
            type_: HttpRouteFilterType::RequestHeaderModifier,
            request_header_modifier: Some(edit("request")),
            ..HttpRouteFilter::default()
        },
    }
}
