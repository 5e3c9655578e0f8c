//! A table that follows changes against one that is compiled from the changed objects.

use std::collections::BTreeMap;
use std::fmt;

use gatewright::explain::Explanation;
use gatewright::options::{AliasHeaders, HttpAndGrpc, NameOrder};
use gatewright::report::DecisionReport;
use gatewright::resource::http_route::{HeaderMatch, HttpRouteMatch};
use gatewright::resource::kubernetes::EndpointSlice;
use gatewright::resource::meta::{LocalObjectReference, ObjectMeta};
use gatewright::resource::policy::{XBackendTrafficPolicy, XBackendTrafficPolicySpec};
use gatewright::resource::session::SessionPersistence;
use gatewright::resource::{GATEWAY_X_GROUP, XBackend};
use gatewright::{Changes, Compiler, Diagnostic, MissingServices, Object, ObjectRef, Options, Pick, Resources, Status, Table, compile};

use super::table::{place, spelled, target, view};
use crate::world::{self, Random};

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Updates.
    pub updates: u64,
    /// Those that compiled everything again.
    pub whole: u64,
    /// Those that changed some status.
    pub telling: u64,
    /// Requests and connections.
    pub requests: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { updates, whole, telling, requests } = self;
        write!(f, "{updates} updates ({whole} of the whole, {telling} with new status) and {requests} requests compared, no difference")
    }
}

/// Follows random changes of random worlds.
///
/// # Errors
///
/// The first difference.
pub fn run(seed: u64, updates: u64) -> Result<Counts, String> {
    const PER_WORLD: u64 = 12;
    let mut random = Random(seed);
    let mut counts = Counts::default();
    while counts.updates < updates {
        let options = options(&mut random);
        let mut compiler = Compiler::new(seasoned(&mut random), options.clone());
        let mut status = compiler.status();
        for _ in 0..PER_WORLD {
            let changes = changes(&mut random, compiler.resources());
            let before = compiler.resources().clone();
            let told = format!("{changes:#?}");
            step(&mut compiler, changes, &mut status, &mut random, &mut counts)
                .map_err(|difference| format!("{difference}\noptions: {options:#?}\nbefore: {before:#?}\nchanges: {told}"))?;
        }
    }
    Ok(counts)
}

fn step(compiler: &mut Compiler, changes: Changes, status: &mut Status, random: &mut Random, counts: &mut Counts) -> Result<(), String> {
    let former = compiler.table().clone();
    // There must be somebody to ask, and something to ask for.
    let askable =
        |resources: &Resources| !(resources.gateways.is_empty() || resources.http_routes.is_empty() && resources.grpc_routes.is_empty());
    let some = |count: usize, resources: &Resources| if askable(resources) { count } else { 0 };
    let asked: Vec<_> = (0..some(2, compiler.resources())).map(|_| world::request(random, compiler.resources())).collect();
    let answers: Vec<_> = asked.iter().map(|request| answer(&former, request)).collect();
    let told_before = by_object(compiler.diagnostics());
    let update = compiler.update(changes);
    let fresh = compile(compiler.resources(), compiler.options());
    counts.updates += 1;
    counts.whole += u64::from(update.whole);
    counts.telling += u64::from(update.status != Status::default());
    status.follow(update.status, &update.gone);
    same("status", &compiler.status(), &fresh.status)?;
    same("status that was told", &*status, &fresh.status)?;
    same("diagnostics", &compiler.diagnostics(), &fresh.diagnostics)?;
    let (told, all) = (by_object(update.diagnostics), by_object(fresh.diagnostics));
    for (object, now) in &all {
        match told.get(object) {
            Some(told) => same("what was told of an object", told, now)?,
            None if told_before.get(object) != Some(now) => return Err(format!("not told: {now:#?}")),
            None => {}
        }
    }
    if let Some(object) = told.keys().find(|object| !all.contains_key(object)) {
        return Err(format!("told, and not so: {:#?}", told.get(object)));
    }
    for (request, before) in asked.iter().zip(answers) {
        if answer(&former, request) != before {
            return Err("a table that was taken before has changed".to_owned());
        }
    }
    for _ in 0..some(16, compiler.resources()) {
        let request = world::request(random, compiler.resources());
        same(&format!("{request:#?}"), &answer(&update.table, &request), &answer(&fresh.table, &request))?;
        counts.requests += 1;
    }
    for _ in 0..some(6, compiler.resources()) {
        let connection = world::connection(random, compiler.resources());
        let answer = |table: &Table| {
            let arrival = super::table::arrival(table, &connection)?;
            let decision = table.connection_report(&table.decide_connection(&arrival, Pick(connection.pick)));
            Some((decision, table.explain_connection(&arrival, Pick(connection.pick)).to_string()))
        };
        same(&format!("{connection:#?}"), &answer(&update.table), &answer(&fresh.table))?;
        counts.requests += 1;
    }
    Ok(())
}

fn by_object(list: Vec<Diagnostic>) -> BTreeMap<Option<ObjectRef>, Vec<Diagnostic>> {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for diagnostic in list {
        map.entry(diagnostic.object.clone()).or_default().push(diagnostic);
    }
    map
}

fn answer(table: &Table, request: &crate::oracle::WorldRequest) -> Option<(DecisionReport, Explanation)> {
    let target = target(&spelled(request), request);
    let view = view(request, place(table, &request.place)?, &target);
    Some((table.report(&table.decide(&view, Pick(request.pick))), table.explain(&view, Pick(request.pick))))
}

fn same<T: fmt::Debug + PartialEq>(what: &str, updated: &T, compiled: &T) -> Result<(), String> {
    if updated == compiled { Ok(()) } else { Err(format!("{what} differs\nupdated: {updated:#?}\ncompiled: {compiled:#?}")) }
}

fn options(random: &mut Random) -> Options {
    let mut options = Options::default();
    options.missing_services =
        [MissingServices::NotFound, MissingServices::Infer, MissingServices::Infer, MissingServices::Assume][random.below(4)];
    if random.one_in(4) {
        options.http_and_grpc = HttpAndGrpc::Merge;
    }
    if random.one_in(4) {
        options.name_order = NameOrder::Tuple;
    }
    if random.one_in(4) {
        options.alias_headers = AliasHeaders::Keep;
    }
    options
}

/// A world with what needs to be remembered between updates: sessions, aliases of header names, policies on traffic.
fn seasoned(random: &mut Random) -> Resources {
    let mut resources = world::resources(random);
    for rule in resources.http_routes.iter_mut().filter_map(|route| route.spec.rules.as_mut()).flatten() {
        if random.one_in(6) {
            let session_name = Some(["s", "t"][random.below(2)].to_owned());
            rule.session_persistence = Some(SessionPersistence { session_name, ..SessionPersistence::default() });
        }
        if random.one_in(12) {
            let name = ["x-a", "x_a", "y"][random.below(3)].to_owned();
            let headers = vec![HeaderMatch { name, value: "1".to_owned(), type_: None }];
            rule.matches.push(HttpRouteMatch { headers, ..HttpRouteMatch::default() });
        }
        for backend in rule.backend_refs.iter_mut().filter(|_| random.one_in(12)) {
            (backend.group, backend.kind, backend.port) = (Some(GATEWAY_X_GROUP.to_owned()), Some("XBackend".to_owned()), None);
        }
    }
    for namespace in ["t", "t-a", "gw"] {
        let metadata = |name: &str| ObjectMeta { namespace: Some(namespace.to_owned()), name: name.to_owned(), ..ObjectMeta::default() };
        if random.one_in(8) {
            let (group, kind) = if random.one_in(4) { (GATEWAY_X_GROUP, "XBackend") } else { ("", "Service") };
            let name = ["s1", "s2"][random.below(2)].to_owned();
            let target = LocalObjectReference { group: group.to_owned(), kind: kind.to_owned(), name };
            let session_persistence = Some(SessionPersistence::default());
            let spec = XBackendTrafficPolicySpec { target_refs: vec![target], session_persistence, ..XBackendTrafficPolicySpec::default() };
            let metadata = metadata(["p", "q"][random.below(2)]);
            resources.backend_traffic_policies.push(XBackendTrafficPolicy { metadata, spec, status: None });
        }
        if random.one_in(4) {
            let mut backend = XBackend { metadata: metadata("s1"), ..XBackend::default() };
            backend.spec.external_hostname = Some(Default::default());
            backend.spec.external_hostname.iter_mut().for_each(|host| host.hostname = "example.org".to_owned());
            backend.spec.port.port = 443;
            resources.backends.push(backend);
        }
    }
    resources.services.iter_mut().filter(|_| random.one_in(10)).for_each(|service| {
        service.spec.session_affinity = Some("ClientIP".to_owned());
    });
    resources
}

/// Some objects of another world, and some that go; mostly routes and what is behind them.
fn changes(random: &mut Random, resources: &Resources) -> Changes {
    let small = !random.one_in(5);
    let ordinary = |object: &Object| matches!(&*object.object_ref().kind, kind if kind.ends_with("Route") || kind == "Service" || kind == "EndpointSlice");
    let mut changes = Changes::default();
    if random.one_in(40) {
        return Changes::between(resources, seasoned(random));
    }
    let most = 1 + random.below(3);
    let mut other: Vec<Object> = seasoned(random).into_objects().filter(|object| !small || ordinary(object)).collect();
    random.shuffle(&mut other);
    for object in other.into_iter().take(random.below(most + 1)) {
        // Sometimes the former object with another name, or age, or endpoints.
        changes.applied.push(object);
    }
    let mut all: Vec<Object> = resources.clone().into_objects().filter(|object| !small || ordinary(object)).collect();
    random.shuffle(&mut all);
    for object in all.into_iter().take(random.below(most + 1)) {
        match object {
            Object::EndpointSlice(slice) if random.one_in(2) => changes.applied.push(emptied(random, slice).into()),
            Object::HttpRoute(mut route) if random.one_in(3) => {
                route.spec.hostnames.reverse();
                route.metadata.creation_timestamp = None;
                route.metadata.generation = Some(2);
                changes.applied.push(route.into());
            }
            Object::Service(mut service) if random.one_in(2) => {
                service.spec.ports.pop();
                changes.applied.push(service.into());
            }
            other => changes.deleted.push(other.object_ref()),
        }
    }
    changes
}

fn emptied(random: &mut Random, mut slice: EndpointSlice) -> EndpointSlice {
    match random.below(3) {
        0 => slice.endpoints.clear(),
        1 => slice.metadata.labels.clear(),
        _ => slice.endpoints.iter_mut().for_each(|endpoint| endpoint.addresses = vec!["127.0.0.1".to_owned()]),
    }
    slice
}
