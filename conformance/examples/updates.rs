//! How long compiling and updating take: `cargo run --release -p gatewright-conformance --example updates`.
//!
//! 100,000 rules: 10,000 HTTPRoutes of ten rules, each with its own host, on one Gateway; 10,000 Services with
//! EndpointSlices. With an argument, that many routes; with a second one, they are spread over so many hosts.

use std::time::{Duration, Instant};

use gatewright::resource::kubernetes::{Endpoint, EndpointPort, EndpointSlice, Service, ServicePort};
use gatewright::{Changes, Compiler, Object, Options, Resources, compile};
use serde_json::{from_value, json};

const RULES: usize = 10;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let routes: usize = arguments.next().unwrap_or(10_000);
    let hosts: usize = arguments.next().unwrap_or(routes);
    let resources = resources(routes, hosts);
    let options = Options::default();
    let whole = best(3, || {
        let start = Instant::now();
        let compiled = compile(&resources, &options);
        let time = start.elapsed();
        assert_eq!(compiled.status.http_routes.len(), routes);
        time
    });
    println!("{:>9.1} ms  compile {} rules", millis(whole), routes * RULES);
    let start = Instant::now();
    let mut compiler = Compiler::new(resources, options);
    println!("{:>9.1} ms  Compiler::new", millis(start.elapsed()));
    let mut n = 0;
    let mut next = || {
        n = (n + 7919) % routes;
        n
    };
    let mut measure = |what: &str, change: &dyn Fn(usize, &Compiler) -> Changes| {
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let changes = change(next(), &compiler);
                let start = Instant::now();
                let update = compiler.update(changes);
                let time = start.elapsed();
                assert!(!update.whole);
                time
            })
            .collect();
        times.sort();
        println!("{:>9.1} µs  {what} (median; worst {:.1} µs)", micros(times[100]), micros(times[199]));
    };
    measure("one route changed", &|n, compiler| {
        let mut route = compiler.resources().http_routes[n].clone();
        route.metadata.generation = Some(route.metadata.generation.unwrap_or(1) + 1);
        route.spec.rules.iter_mut().flatten().take(1).for_each(|rule| rule.name = Some("new".to_owned()));
        applied(route)
    });
    measure("one Service changed", &|n, compiler| {
        let mut service = compiler.resources().services[n].clone();
        let port = ServicePort { name: Some(format!("p{}", service.spec.ports.len())), port: 1000, protocol: None, app_protocol: None };
        service.spec.ports.push(port);
        applied(service)
    });
    measure("one EndpointSlice changed", &|n, compiler| {
        let mut slice = compiler.resources().endpoint_slices[n].clone();
        let address = format!("10.9.{}.{}", n % 200, slice.endpoints.len() + 1);
        slice.endpoints.push(Endpoint { addresses: vec![address], ..Endpoint::default() });
        applied(slice)
    });
    measure("one route deleted", &|n, compiler| {
        let routes = &compiler.resources().http_routes;
        let route = Object::from(routes[n % routes.len()].clone());
        Changes { deleted: vec![route.object_ref()], ..Changes::default() }
    });
    measure("one route added", &|n, _| applied(route(routes + n, hosts)));
}

fn applied(object: impl Into<Object>) -> Changes {
    let mut changes = Changes::default();
    changes.applied.push(object.into());
    changes
}

fn best(times: usize, run: impl Fn() -> Duration) -> Duration {
    (0..times).map(|_| run()).min().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn resources(routes: usize, hosts: usize) -> Resources {
    let mut resources = Resources::default();
    let gateway = json!({
        "metadata": {"name": "gw", "namespace": "shop"},
        "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    });
    resources.gateways.push(from_value(gateway).expect("a Gateway"));
    for n in 0..routes {
        resources.http_routes.push(route(n, hosts));
        resources.services.push(service(n));
        resources.endpoint_slices.push(slice(n));
    }
    resources
}

fn route(n: usize, hosts: usize) -> gatewright::resource::HttpRoute {
    let rule = |k: usize| {
        json!({
            "matches": [{"path": {"type": "PathPrefix", "value": format!("/r{n}/v{k}")}, "headers": [{"name": "x-tenant", "value": format!("t{k}")}]}],
            "backendRefs": [{"name": format!("s{n}"), "port": 80}],
        })
    };
    from_value(json!({
        "metadata": {"name": format!("r{n}"), "namespace": "shop", "generation": 1},
        "spec": {
            "parentRefs": [{"name": "gw"}],
            "hostnames": [format!("h{}.example.com", n % hosts)],
            "rules": (0..RULES).map(rule).collect::<Vec<_>>(),
        },
    }))
    .expect("a route")
}

fn service(n: usize) -> Service {
    from_value(json!({
        "metadata": {"name": format!("s{n}"), "namespace": "shop"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    }))
    .expect("a Service")
}

fn slice(n: usize) -> EndpointSlice {
    let mut slice: EndpointSlice = from_value(json!({
        "metadata": {"name": format!("s{n}-a"), "namespace": "shop", "labels": {"kubernetes.io/service-name": format!("s{n}")}},
        "addressType": "IPv4",
    }))
    .expect("an EndpointSlice");
    slice.endpoints.push(Endpoint { addresses: vec![format!("10.0.{}.{}", n / 250 % 250, n % 250 + 1)], ..Endpoint::default() });
    slice.ports.push(EndpointPort { name: Some("http".to_owned()), port: Some(8080), ..EndpointPort::default() });
    slice
}
