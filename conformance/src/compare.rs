//! The table against the oracle.

use std::collections::BTreeMap;

use gatewright::explain::Verdict;
use gatewright::{Arrival, Authority, Decision, Options, Pick, Place, Request, Resources, Table, compile};

use crate::oracle::{self, Outcome, Then, WorldRequest};
use crate::world::{self, Random};

/// What the table says.
pub fn decided(table: &Table, request: &WorldRequest) -> Outcome {
    let port = table.find_gateway("gw", "gw").and_then(|g| table.find_port(g.id, u16::try_from(request.port).unwrap_or(0)));
    let Some(port) = port else { return Outcome::NoListener };
    let path = spell(&request.path, request.pick);
    let target = match &request.query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let arrival = Arrival { place: Place::Port(port.id), sni: request.sni.as_deref(), listener: None };
    let view = Request {
        arrival,
        method: &request.method,
        scheme: None,
        authority: Authority::Given(request.host.as_bytes()),
        target: target.as_bytes(),
        headers: &request.headers,
    };
    let decision = table.decide(&view, Pick(request.pick));
    let place = decision.matched().map(|matched| {
        let names = table.match_report(matched);
        let route = format!("{} {}/{}", names.route.kind, names.route.namespace, names.route.name);
        (names.listener, route, names.rule as usize, names.match_ as usize)
    });
    // A match is told by its place; that of an explanation must be the same.
    let explained = table.explain(&view, Pick(request.pick));
    assert_eq!(explained.decision, table.report(&decision), "explain and decide differ");
    // The order that explain shows is the order that decided.
    let first = explained.candidates.iter().find(|candidate| !matches!(candidate.verdict, Verdict::Failed { .. }));
    assert!(first.is_none_or(|first| first.verdict == Verdict::Won), "{explained}");
    match (place, decision) {
        (Some(place), Decision::Forward(forward)) => {
            let backend = table.backend(forward.backend).map(|b| format!("{}/{}", b.object.namespace, b.object.name));
            Outcome::Won { place, then: Then::Forward(backend.unwrap_or_default()) }
        }
        (Some(place), Decision::Redirect(_)) => Outcome::Won { place, then: Then::Redirect },
        (Some(place), _) => Outcome::Won { place, then: Then::Error },
        (None, Decision::Respond(respond)) => match respond.reason.as_str() {
            "NoListener" => Outcome::NoListener,
            "Misdirected" => Outcome::Misdirected,
            "NoRoute" => Outcome::NoRoute,
            other => panic!("unexpected {other} for {request:?}"),
        },
        (None, other) => panic!("{other:?}"),
    }
}

/// Another spelling of a canonical path, for some requests: the oracle never sees it ([R-P5], [R-P7], [R-P8]).
fn spell(path: &str, pick: u64) -> String {
    match pick % 16 {
        0 => path.replace('a', "%61"),
        1 => format!("/.{path}"),
        2 => path.replace('/', "//"),
        3 => format!("/x/%2e.{path}"),
        4 => path.replace("/b", "/./b"),
        _ => path.to_owned(),
    }
}

/// A difference, as small as it could be made.
#[derive(Debug)]
pub struct Difference {
    /// The world.
    pub resources: Resources,
    /// The request.
    pub request: WorldRequest,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = &self.resources;
        let mut manifests = Vec::new();
        let group = "gateway.networking.k8s.io/v1";
        all.gateways.iter().for_each(|o| manifests.push(manifest(group, "Gateway", o)));
        all.http_routes.iter().for_each(|o| manifests.push(manifest(group, "HTTPRoute", o)));
        all.grpc_routes.iter().for_each(|o| manifests.push(manifest(group, "GRPCRoute", o)));
        all.services.iter().for_each(|o| manifests.push(manifest("v1", "Service", o)));
        all.secrets.iter().for_each(|o| manifests.push(manifest("v1", "Secret", o)));
        let manifest = manifests.join("---\n");
        let table = compile(&self.resources, &Options::default()).table;
        writeln!(f, "{manifest}\nrequest: {:#?}", self.request)?;
        writeln!(f, "oracle: {:?}", oracle::answer(&self.resources, &self.request))?;
        writeln!(f, "table:  {:?}", decided(&table, &self.request))
    }
}

/// An object as one would apply it.
fn manifest(api_version: &str, kind: &str, object: &impl serde::Serialize) -> String {
    let text = serde_saphyr::to_string(object).unwrap_or_else(|error| error.to_string());
    format!("apiVersion: {api_version}\nkind: {kind}\n{text}")
}

fn differs(resources: &Resources, request: &WorldRequest) -> bool {
    let table = compile(resources, &Options::default()).table;
    decided(&table, request) != oracle::answer(resources, request)
}

/// Compares at least this many requests; counts the outcomes.
///
/// # Errors
///
/// The first difference, made small.
pub fn run(seed: u64, requests: u64) -> Result<BTreeMap<&'static str, u64>, Box<Difference>> {
    const PER_WORLD: u64 = 40;
    let mut random = Random(seed);
    let mut counts = BTreeMap::new();
    let mut done = 0;
    while done < requests {
        let resources = world::resources(&mut random);
        let table = compile(&resources, &Options::default()).table;
        for _ in 0..PER_WORLD {
            let request = world::request(&mut random, &resources);
            let expected = oracle::answer(&resources, &request);
            if decided(&table, &request) != expected {
                return Err(Box::new(shrink(Difference { resources, request })));
            }
            let name = match expected {
                Outcome::NoListener => "no listener",
                Outcome::Misdirected => "misdirected",
                Outcome::NoRoute => "no route",
                Outcome::Won { then: Then::Forward(_), .. } => "forwarded",
                Outcome::Won { then: Then::Redirect, .. } => "redirected",
                Outcome::Won { then: Then::Error, .. } => "answered with 500",
            };
            *counts.entry(name).or_default() += 1;
            done += 1;
        }
    }
    Ok(counts)
}

/// Takes away what can be taken away while the difference stays.
fn shrink(mut difference: Difference) -> Difference {
    loop {
        let smaller = candidates(&difference)
            .into_iter()
            .find(|d| !d.resources.gateways[0].spec.listeners.is_empty() && differs(&d.resources, &d.request));
        match smaller {
            Some(smaller) => difference = smaller,
            None => return difference,
        }
    }
}

/// Each is the difference with one thing less.
fn candidates(of: &Difference) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Resources, &mut WorldRequest)| {
        let (mut resources, mut request) = (of.resources.clone(), of.request.clone());
        change(&mut resources, &mut request);
        if resources != of.resources || request != of.request {
            all.push(Difference { resources, request });
        }
    };
    with(&|_, q| q.query = None);
    with(&|_, q| q.headers.clear());
    for n in 0..of.resources.gateways[0].spec.listeners.len() {
        with(&|r, _| drop(r.gateways[0].spec.listeners.remove(n)));
    }
    for n in 0..of.resources.grpc_routes.len() {
        with(&|r, _| drop(r.grpc_routes.remove(n)));
    }
    for n in 0..of.resources.http_routes.len() {
        with(&|r, _| drop(r.http_routes.remove(n)));
        with(&|r, _| r.http_routes[n].spec.hostnames.truncate(1));
        with(&|r, _| r.http_routes[n].spec.parent_refs.truncate(1));
        with(&|r, _| r.http_routes[n].metadata.creation_timestamp = None);
        for k in 0..of.resources.http_routes[n].spec.rules.as_ref().map_or(0, Vec::len) {
            let rule = move |r: &mut Resources, change: &dyn Fn(&mut gatewright::resource::http_route::HttpRouteRule)| {
                if let Some(rule) = r.http_routes[n].spec.rules.as_mut().and_then(|rules| rules.get_mut(k)) {
                    change(rule);
                }
            };
            with(&|r, _| drop(r.http_routes[n].spec.rules.as_mut().map(|rules| rules.remove(k))));
            with(&|r, _| rule(r, &|rule| rule.matches.truncate(1)));
            with(&|r, _| rule(r, &|rule| rule.backend_refs.truncate(1)));
            with(&|r, _| rule(r, &|rule| rule.filters.clear()));
            with(&|r, _| rule(r, &|rule| rule.matches.iter_mut().for_each(|m| m.headers.clear())));
            with(&|r, _| rule(r, &|rule| rule.matches.iter_mut().for_each(|m| m.query_params.clear())));
        }
    }
    all
}
