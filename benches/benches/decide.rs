//! `decide` and `compile` by number of routes, beside the linear oracle on the same routes.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gatewright::resource::gateway::{AllowedRoutes, FromNamespaces, Gateway, GatewaySpec, Listener, ProtocolType, RouteNamespaces};
use gatewright::resource::http_route::{
    HeaderMatch, HttpBackendRef, HttpPathMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, PathMatchType,
};
use gatewright::resource::meta::{ObjectMeta, ParentReference};
use gatewright::{Arrival, Authority, MissingServices, Options, Pick, Request, Resources, compile};
use gatewright_conformance::oracle::{Oracle, Place, WorldRequest};
use http::{HeaderMap, HeaderValue};

/// Ten rules of a path each for every host; one in ten needs a header.
fn routes(count: usize) -> Resources {
    let mut resources = Resources::default();
    let meta = |name: String| ObjectMeta { name, namespace: Some("gw".into()), ..ObjectMeta::default() };
    let all = AllowedRoutes { namespaces: Some(RouteNamespaces { from: Some(FromNamespaces::All), selector: None }), kinds: Vec::new() };
    let listener =
        Listener { name: "http".into(), port: 80, protocol: ProtocolType::Http, allowed_routes: Some(all), ..Listener::default() };
    resources.gateways.push(Gateway {
        metadata: meta("gw".into()),
        spec: GatewaySpec { gateway_class_name: "any".into(), listeners: vec![listener], ..GatewaySpec::default() },
        status: None,
    });
    for host in 0..count.div_ceil(10) {
        let rule = |n: usize| HttpRouteRule {
            matches: vec![HttpRouteMatch {
                path: Some(HttpPathMatch { type_: Some(PathMatchType::PathPrefix), value: Some(format!("/api/v1/resource{n}")) }),
                headers: if n == 0 { vec![HeaderMatch { type_: None, name: "x-tenant".into(), value: "blue".into() }] } else { Vec::new() },
                ..HttpRouteMatch::default()
            }],
            backend_refs: vec![HttpBackendRef { name: format!("svc{n}"), port: Some(80), ..HttpBackendRef::default() }],
            ..HttpRouteRule::default()
        };
        resources.http_routes.push(HttpRoute {
            metadata: meta(format!("r{host}")),
            spec: HttpRouteSpec {
                parent_refs: vec![ParentReference { name: "gw".into(), ..ParentReference::default() }],
                hostnames: vec![format!("app{host}.example.com")],
                rules: Some((0..10).map(rule).collect()),
                ..HttpRouteSpec::default()
            },
            status: None,
        });
    }
    resources
}

fn benches(criterion: &mut Criterion) {
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    for count in [10, 1_000, 10_000] {
        let resources = routes(count);
        let table = compile(&resources, &options).table;
        let host = format!("App{}.example.com:8080", count / 20);
        let mut headers = HeaderMap::new();
        for name in ["accept", "user-agent", "x-request-id", "cookie"] {
            headers.insert(name, HeaderValue::from_static("some value of a header field"));
        }
        let port = table.ports()[0].id;
        let mut group = criterion.benchmark_group("decide");
        group.bench_function(BenchmarkId::new("table", count), |b| {
            b.iter(|| {
                let request = Request {
                    arrival: Arrival::on(port),
                    method: "GET",
                    scheme: None,
                    authority: Authority::Given(host.as_bytes()),
                    target: b"/api/v1/resource7/items/42?x=1",
                    headers: &headers,
                };
                std::hint::black_box(table.decide(&request, Pick(7)))
            });
        });
        if count <= 1_000 {
            let request = WorldRequest {
                place: Place::Port { gateway: ("gw".into(), "gw".into()), port: 80 },
                sni: None,
                method: "GET".into(),
                host: host.clone(),
                path: "/api/v1/resource7/items/42".into(),
                query: Some("x=1".into()),
                headers: Vec::new(),
                pick: 7,
            };
            let oracle = Oracle::new(&resources);
            group.bench_function(BenchmarkId::new("linear", count), |b| b.iter(|| oracle.answer(&request)));
        }
        group.finish();
        criterion.bench_function(&format!("compile/{count}"), |b| b.iter(|| compile(&resources, &options)));
    }
}

criterion_group!(all, benches);
criterion_main!(all);
