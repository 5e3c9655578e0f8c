//! Everything that a table, its status and its diagnostics are made from. The whole is all routes changed at once:
//! there is one way, for [`compile`](super::compile) and for updates.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::Hostnames;
use super::backend::{BackendStore, Backends, View};
use super::build::{self, Ids};
use super::draft::{Draft, ViewRules};
use super::findings::Findings;
use super::gateway::{self, Gateways};
use super::input::Input;
use super::kept::{KeptRoute, KeptRoutes, ListenerPlace, Rules};
use super::lookup::{ByName, Key, Lookup};
use super::meet::{Meetings, Spot};
use super::policy::{Policies, Reported, Situation};
use super::route::{self, Source};
use super::separate::{Separation, Specific};
use super::uses::Uses;
use super::xbackend::XBackends;
use super::{ObjectStatus, Status, alias, class, status};
use crate::canonical::KnownFields;
use crate::decision::Parent;
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::features::Feature;
use crate::model::pattern::Patterns;
use crate::options::AliasHeaders;
use crate::resource::backend::XBackendStatus;
use crate::resource::status::{GatewayStatus, ListenerSetStatus, PolicyStatus, RouteStatus};
use crate::table::{Parents, RouteKind, Table};
use crate::validate;

/// What a table is made from.
#[derive(Debug, Default)]
pub(crate) struct State {
    gateways: Gateways,
    policies: Policies,
    xbackends: XBackends,
    backends: BackendStore,
    patterns: Patterns,
    routes: KeptRoutes,
    /// The routes that refer to a Service or ServiceImport; marked if requests are mirrored there.
    referring: ByName<BTreeMap<u32, bool>>,
    separations: BTreeMap<ListenerPlace, Separation>,
    specific: Specific,
    names: alias::Names,
    known: KnownFields,
    meetings: Meetings,
    uses: Uses,
    /// Number of routes that each listener counts, by Gateway.
    attached: Vec<Vec<usize>>,
    ids: Ids,
    /// About objects that are no routes.
    findings: BTreeMap<ObjectRef, Vec<Diagnostic>>,
    status: KeptStatus,
    pub(crate) table: Table,
}

/// The status of objects that are no routes.
#[derive(Debug, Default)]
struct KeptStatus {
    /// Of classes and meshes only.
    of_classes: Status,
    gateways: BTreeMap<ObjectRef, GatewayStatus>,
    listener_sets: BTreeMap<ObjectRef, ListenerSetStatus>,
    tls_policies: BTreeMap<ObjectRef, PolicyStatus>,
    traffic_policies: BTreeMap<ObjectRef, PolicyStatus>,
    /// Policies with more ancestors than status takes.
    crowded: BTreeMap<ObjectRef, Diagnostic>,
    backends: BTreeMap<ObjectRef, XBackendStatus>,
}

/// A route that is new or changed, or gone.
#[derive(Clone, Debug)]
pub(crate) struct RouteChange<'r> {
    pub(crate) object: ObjectRef,
    pub(crate) source: Option<Source<'r>>,
}

/// The change reaches further than routes: everything has to be compiled again. Has the former status of the routes that
/// are out of the state already.
#[derive(Debug, Default)]
pub(crate) struct Beyond(BTreeMap<ObjectRef, Option<RouteStatus>>);

/// What a change has led to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The objects that were looked at again.
    pub(crate) looked_at: BTreeSet<ObjectRef>,
    /// Names of the backends of which some EndpointSlices were looked at.
    pub(crate) behind: BTreeSet<(Box<str>, Box<str>)>,
    /// New or other than before.
    pub(crate) status: Status,
    /// Without status now.
    pub(crate) gone: Vec<ObjectRef>,
}

/// A change on its way.
struct Work<'w, 'r> {
    lookup: &'w Lookup<'r>,
    /// Finds a route as it is written.
    source: &'w dyn Fn(&ObjectRef) -> Option<Source<'r>>,
    /// A new one is made when it is known what routes attach to.
    draft: Draft,
    whole: bool,
    fresh: BTreeMap<u32, (KeptRoute, Rules)>,
    marks: Marks,
}

/// What a change has touched.
#[derive(Debug, Default)]
struct Marks {
    /// The former status of routes that are looked at again.
    before: BTreeMap<ObjectRef, Option<RouteStatus>>,
    /// Routes that have something else to be told.
    met: BTreeSet<u32>,
    /// Gateways that count other routes.
    counting: BTreeSet<usize>,
    /// Listeners where hostnames are claimed by others.
    claiming: BTreeSet<ListenerPlace>,
    /// Objects that are in use by others.
    used: BTreeSet<ObjectRef>,
}

impl State {
    /// Compiles everything.
    pub(crate) fn new(lookup: &Lookup<'_>) -> Self {
        let mut state = Self::without_routes(lookup);
        let routes = route::all(lookup.resources).map(|source| RouteChange { object: source.object_ref(), source: Some(source) });
        let draft = Draft::new(Parents::default(), lookup.options);
        // Nothing reaches further than everything.
        let _ = state.change(lookup, &|_| None, routes, draft, true);
        state
    }

    fn without_routes(lookup: &Lookup<'_>) -> Self {
        let input = Input::new(*lookup);
        let mut state = Self::default();
        let mut findings = Vec::new();
        class::check(&input, &mut state.status.of_classes, &mut findings);
        state.gateways = gateway::check(&input, &mut findings);
        state.policies = Policies::new(&input);
        state.xbackends = XBackends::new(&input);
        findings.extend(state.policies.findings());
        findings.extend(state.xbackends.findings());
        for Findings { object, mut list } in findings {
            state.findings.entry(object).or_default().append(&mut list);
        }
        state.attached = state.gateways.iter().map(|(_, gateway)| vec![0; gateway.listeners.len()]).collect();
        state
    }

    /// Whether every change needs everything to be compiled again: which regular expression finds no room depends on the
    /// order of all.
    pub(crate) fn is_crowded(&self) -> bool {
        self.patterns.is_full()
    }

    /// Whether a policy depends on a Service of a namespace, or on this one.
    pub(crate) fn policies_name(&self, namespace: &str, name: Option<&str>) -> bool {
        self.policies.name_service(namespace, name)
    }

    /// The routes that refer to a Service or ServiceImport; those only that mirror to it, if so asked.
    pub(crate) fn referring(&self, key: Key<'_>, mirroring: bool) -> impl Iterator<Item = &ObjectRef> {
        let routes = self.referring.get(key).into_iter().flatten().filter(move |(_, mirrors)| **mirrors || !mirroring);
        routes.filter_map(|(number, _)| self.routes.get(*number)).map(|route| &route.object)
    }

    /// The routes that refer to any Service of a namespace.
    pub(crate) fn referring_into(&self, namespace: &str) -> impl Iterator<Item = &ObjectRef> {
        let numbers = self.referring.of_namespace(namespace).into_iter().flatten().flat_map(|(_, routes)| routes.keys());
        numbers.filter_map(|number| self.routes.get(*number)).map(|route| &route.object)
    }

    /// Reads the endpoints of the backends of a name again; gives whether mirrors depend on it.
    pub(crate) fn refresh(&mut self, key: Key<'_>, lookup: &Lookup<'_>) -> bool {
        self.backends.refresh(key, lookup)
    }

    /// Takes changed routes, and backends that were refreshed, into the table.
    pub(crate) fn update<'r>(
        &mut self,
        lookup: &Lookup<'r>,
        source: &dyn Fn(&ObjectRef) -> Option<Source<'r>>,
        routes: impl IntoIterator<Item = RouteChange<'r>>,
    ) -> Result<Outcome, Beyond> {
        let draft = Draft::of(&self.table);
        self.change(lookup, source, routes, draft, false)
    }

    fn change<'r>(
        &mut self,
        lookup: &Lookup<'r>,
        source: &dyn Fn(&ObjectRef) -> Option<Source<'r>>,
        routes: impl IntoIterator<Item = RouteChange<'r>>,
        draft: Draft,
        whole: bool,
    ) -> Result<Outcome, Beyond> {
        let mut work = Work { lookup, source, draft, whole, fresh: BTreeMap::new(), marks: Marks::default() };
        for RouteChange { object, source } in routes {
            self.look_at(object, source, &mut work);
        }
        let turned = self.specific.settle();
        if whole {
            let (parents, ids) = build::parents(&self.gateways, self.specific.keys());
            (work.draft, self.ids) = (Draft::new(parents, lookup.options), ids);
        } else if turned || self.patterns.is_full() {
            return Err(Beyond(work.marks.before));
        }
        self.separate(&mut work);
        for (number, (route, rules)) in &mut work.fresh {
            self.settle(*number, route, rules, lookup);
            self.names.add(&route.names);
        }
        self.learn_names(&mut work)?;
        for backend in self.backends.take_changed() {
            work.draft.set_backend(backend);
        }
        for (number, (route, rules)) in std::mem::take(&mut work.fresh) {
            self.serve(number, route, rules, &mut work);
        }
        for id in self.backends.sweep() {
            work.draft.remove_backend(id);
        }
        self.patterns.forget_failures();
        let Work { draft, marks, .. } = work;
        self.table = draft.finish();
        Ok(self.outcome(marks, lookup, whole))
    }

    /// Looks at a route by itself.
    fn look_at<'r>(&mut self, object: ObjectRef, source: Option<Source<'r>>, work: &mut Work<'_, 'r>) {
        let known = self.routes.find(&object);
        if let Some(number) = known {
            self.retract(number, true, work);
        }
        let Some(source) = source else {
            self.routes.forget(&object);
            return;
        };
        let number = known.unwrap_or_else(|| self.routes.reserve(&object));
        let fresh = self.read(source, work.lookup);
        for place in &fresh.0.claims {
            let Some(hostnames) = fresh.0.hostnames(*place) else { continue };
            let separation = self.separations.entry(*place).or_default();
            work.marks.claiming.insert(*place);
            separation.enter(fresh.0.rank.clone(), fresh.0.kind, number, hostnames.clone());
        }
        for key in &fresh.0.frontends {
            self.specific.count(key, fresh.0.kind, true);
        }
        work.fresh.insert(number, fresh);
    }

    fn read(&mut self, source: Source<'_>, lookup: &Lookup<'_>) -> (KeptRoute, Rules) {
        let (policies, xbackends) = (&self.policies, &self.xbackends);
        let mut backends = Backends { lookup: *lookup, policies, xbackends, store: &mut self.backends, referred: Default::default() };
        KeptRoute::new(source, &self.gateways, lookup, &mut backends, &mut self.patterns)
    }

    /// Takes a route out of everything that counts it; `leaves` says whether it also gives up what it claims.
    fn retract(&mut self, number: u32, leaves: bool, work: &mut Work<'_, '_>) {
        let Some(route) = self.routes.take(number) else { return };
        if leaves {
            for place in &route.claims {
                work.marks.claiming.insert(*place);
                self.separations.get_mut(place).into_iter().for_each(|separation| separation.leave(number));
            }
            for key in &route.frontends {
                self.specific.count(key, route.kind, false);
            }
        }
        for (gateway, listener) in &route.counted {
            self.count((*gateway, *listener), false);
            work.marks.counting.insert(*gateway);
        }
        for (ancestor, used) in &route.uses {
            self.uses.remove(ancestor, used);
            work.marks.used.insert(used.object.clone());
        }
        for (key, _) in route.referred.services.iter() {
            let Some(routes) = self.referring.get_mut(key) else { continue };
            routes.remove(&number);
            if routes.is_empty() {
                self.referring.remove(key);
            }
        }
        route.referred.backends.iter().for_each(|id| self.backends.release(*id));
        self.names.remove(&route.names);
        self.meetings.leave(&route.stands, &mut work.marks.met);
        if let Some(id) = route.id {
            work.draft.remove_route(id);
        }
        work.marks.before.insert(route.object, route.status);
    }

    fn count(&mut self, (gateway, listener): ListenerPlace, enters: bool) {
        if let Some(count) = self.attached.get_mut(gateway).and_then(|counts| counts.get_mut(listener)) {
            *count = if enters { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
    }

    /// Decides who has which hostnames, and looks again at routes for which that changes something.
    fn separate(&mut self, work: &mut Work<'_, '_>) {
        let mut turned = BTreeSet::new();
        for place in std::mem::take(&mut work.marks.claiming) {
            turned.extend(self.separations.get_mut(&place).into_iter().flat_map(Separation::settle));
        }
        for number in turned {
            let Some(route) = self.routes.get(number).filter(|_| !work.fresh.contains_key(&number)) else { continue };
            let Some(source) = (work.source)(&route.object) else { continue };
            self.retract(number, false, work);
            let fresh = self.read(source, work.lookup);
            work.fresh.insert(number, fresh);
        }
    }

    /// Makes up the status of a route from what others leave to it.
    fn settle(&self, number: u32, route: &mut KeptRoute, rules: &Rules, lookup: &Lookup<'_>) {
        let findings = &mut route.findings;
        for attachment in &mut route.attachments {
            let (listeners, frontends) = (attachment.listeners.len(), attachment.frontends.len());
            let gateway = attachment.gateway.unwrap_or_default();
            attachment.listeners.retain(|listener, _| {
                let separation = self.separations.get(&(gateway, *listener)).filter(|_| route.claims.contains(&(gateway, *listener)));
                separation.is_none_or(|separation| separation.holds(number))
            });
            attachment.frontends.retain(|key| self.specific.serves(key, route.kind));
            let message = match () {
                () if listeners > 0 && attachment.listeners.is_empty() => {
                    "an older route of the other kind (HTTPRoute or GRPCRoute) serves these hostnames"
                }
                () if frontends > 0 && attachment.frontends.is_empty() => "a route of a more specific kind serves the Service",
                () => continue,
            };
            findings.error(crate::diagnostic::Code::NotAttached, attachment.path.clone(), message);
            attachment.refused = Some(("Conflicted", format!("{}: {message}", attachment.path)));
        }
        route.count(&self.gateways);
        route.learn_uses(&self.gateways);
        route.status = (!route.attachments.is_empty()).then(|| status::of_route(route, &self.gateways, lookup.options));
        let views: BTreeSet<View> = self.places(route).map(|(_, view, _)| view).collect();
        route.names = alias::of_rules(views.iter().filter_map(|view| rules.get(view)).flatten());
    }

    /// Where the table has the rules of a route, and through which view.
    fn places<'s>(&'s self, route: &'s KeptRoute) -> impl Iterator<Item = (Parent, View, Option<&'s Hostnames>)> {
        route.attachments.iter().flat_map(move |attachment| {
            let gateway = attachment.gateway.and_then(|place| Some((place, self.gateways.get(place)?)));
            let of_listeners = attachment.listeners.iter().filter_map(move |(listener, names)| {
                let (place, gateway) = gateway?;
                let id = self.ids.listener((place, *listener))?;
                let view = gateway.listeners.get(*listener).map_or(View::Gateway, |one| super::attach::view(route.kind, one));
                Some((Parent::Listener(id), view, Some(names)))
            });
            // The Service is what counts, hostnames are not looked at ([A-23]).
            let of_services = attachment.frontends.iter().filter_map(|key| self.ids.frontend(key));
            of_listeners.chain(of_services.map(|id| (Parent::Service(id), View::Mesh, None)))
        })
    }

    /// Learns the header names that the rules refer to.
    fn learn_names(&mut self, work: &mut Work<'_, '_>) -> Result<(), Beyond> {
        let known = match self.names.change() {
            Some(known) => known,
            None if work.whole => KnownFields::new([]),
            None => {
                self.names.settle();
                return Ok(());
            }
        };
        let keeps = work.lookup.options.alias_headers == AliasHeaders::Keep;
        if !work.whole && !keeps && self.names.turned(&self.known, &known) {
            return Err(Beyond(std::mem::take(&mut work.marks.before)));
        }
        self.names.settle();
        work.draft.set_known_fields(known.clone());
        self.known = known;
        Ok(())
    }

    /// Puts a route into the table, and counts it everywhere.
    fn serve(&mut self, number: u32, mut route: KeptRoute, mut rules: Rules, work: &mut Work<'_, '_>) {
        for place in &route.counted {
            self.count(*place, true);
            work.marks.counting.insert(place.0);
        }
        for (ancestor, used) in &route.uses {
            self.uses.add(ancestor, used);
            work.marks.used.insert(used.object.clone());
        }
        for (key, mirrors) in route.referred.services.iter() {
            self.referring.entry(key).insert(number, *mirrors);
        }
        route.referred.backends.iter().for_each(|id| self.backends.hold(*id));
        let mut views: BTreeMap<View, Vec<(Parent, Hostnames)>> = BTreeMap::new();
        for (parent, view, names) in self.places(&route) {
            views.entry(view).or_default().push((parent, names.cloned().unwrap_or_else(|| BTreeSet::from([None]))));
        }
        let mut view_rules = Vec::with_capacity(views.len());
        for (view, places) in views {
            let Some(mut rules) = rules.remove(&view) else { continue };
            if work.lookup.options.alias_headers != AliasHeaders::Keep {
                alias::hide(&mut rules, &self.known, &mut route.findings);
            }
            stand(&mut route, number, view, &places, &rules);
            view_rules.push(ViewRules { rules, places });
        }
        self.meetings.enter(&mut route.stands, &mut work.marks.met);
        if !view_rules.is_empty() {
            route.id = Some(work.draft.add_route(route.kind, route.object.clone(), route.rank.clone(), view_rules));
        }
        work.marks.before.entry(route.object.clone()).or_insert(None);
        self.routes.put(number, route);
    }

    /// What a change has led to.
    fn outcome(&mut self, marks: Marks, lookup: &Lookup<'_>, whole: bool) -> Outcome {
        let noted = self.backends.take_noted();
        let mut outcome = Outcome { looked_at: noted.slices, behind: noted.behind, ..Outcome::default() };
        // Whoever compiles everything asks for everything.
        let routes = if whole { BTreeMap::new() } else { marks.before };
        for (object, before) in routes {
            let route = self.routes.find(&object).and_then(|number| self.routes.get(number));
            let now = route.and_then(|route| route.status.as_ref());
            match now {
                Some(now) if before.as_ref() != Some(now) => {
                    let entry = ObjectStatus { object: object.clone(), status: now.clone() };
                    if let Some(list) = outcome.status.routes_mut(route.map(|route| route.kind)) {
                        list.push(entry);
                    }
                }
                None if before.is_some() => outcome.gone.push(object.clone()),
                _ => {}
            }
            outcome.looked_at.insert(object);
        }
        outcome.looked_at.extend(marks.met.iter().filter_map(|number| self.routes.get(*number)).map(|route| route.object.clone()));
        let with_sets = lookup.options.features.contains(Feature::ListenerSet);
        for (place, gateway) in self.gateways.iter().filter(|(place, _)| whole || marks.counting.contains(place)) {
            let counts = self.attached.get(place).map_or(&[][..], Vec::as_slice);
            let now = gateway.status(counts, with_sets);
            replace(&mut self.status.gateways, &gateway.object, Some(now), &mut outcome.status.gateways, &mut outcome.gone);
            for set in &gateway.sets {
                let now = set.status(&gateway.listeners, counts);
                replace(&mut self.status.listener_sets, &set.object, Some(now), &mut outcome.status.listener_sets, &mut outcome.gone);
            }
        }
        outcome.status.listener_sets.sort_by(|a, b| a.object.cmp(&b.object));
        let situation = Situation {
            uses: &self.uses,
            gateways: &self.gateways,
            controller: class::controller(lookup.options),
            port_name: &|used| lookup.port_name(used),
            has_affinity: &|object| lookup.has_affinity(object),
        };
        let named = (!whole).then_some(&marks.used);
        let of_kinds = [
            (self.policies.report_tls(named, &situation), &mut self.status.tls_policies, &mut outcome.status.backend_tls_policies),
            (
                self.policies.report_traffic(named, &situation),
                &mut self.status.traffic_policies,
                &mut outcome.status.backend_traffic_policies,
            ),
        ];
        for (reported, kept, changed) in of_kinds {
            for (object, now, crowded) in reported as Vec<Reported> {
                replace(kept, &object, now, changed, &mut outcome.gone);
                match crowded {
                    Some(diagnostic) => self.status.crowded.insert(object.clone(), diagnostic),
                    None => self.status.crowded.remove(&object),
                };
                outcome.looked_at.insert(object);
            }
            changed.sort_by(|a, b| a.object.cmp(&b.object));
        }
        for (object, now) in self.xbackends.report(named, &situation) {
            replace(&mut self.status.backends, &object, now, &mut outcome.status.backends, &mut outcome.gone);
            outcome.looked_at.insert(object);
        }
        outcome
    }

    /// The status of every object.
    pub(crate) fn status(&self) -> Status {
        let mut status = self.status.whole();
        for route in self.routes.iter() {
            let entry = route.status.clone().map(|status| ObjectStatus { object: route.object.clone(), status });
            if let Some(list) = status.routes_mut(Some(route.kind)) {
                list.extend(entry);
            }
        }
        status
    }

    /// The status of every object before a change that reaches further than routes.
    pub(crate) fn status_before(&self, Beyond(before): Beyond) -> Status {
        let mut status = self.status();
        for (object, before) in before {
            let Some(before) = before else { continue };
            let kind = RouteKind::ALL.into_iter().find(|kind| kind.as_str() == &*object.kind);
            let entry = ObjectStatus { object, status: before };
            if let Some(list) = status.routes_mut(kind) {
                list.push(entry);
            }
        }
        status.sort();
        status
    }

    /// All findings. `rejected` are those of the API server.
    pub(crate) fn diagnostics(&self, rejected: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let of_others = self.findings.values().flatten();
        let mut found: Vec<Diagnostic> = of_others.chain(self.status.crowded.values()).chain(self.backends.findings()).cloned().collect();
        for route in self.routes.iter() {
            self.of_route(route, &mut found);
        }
        sorted(validate::tell_once(found, rejected))
    }

    /// The findings about some objects; `behind` names the Services whose EndpointSlices are among them.
    pub(crate) fn diagnostics_of(
        &self,
        objects: &BTreeSet<ObjectRef>,
        behind: &BTreeSet<(Box<str>, Box<str>)>,
        rejected: Vec<Diagnostic>,
    ) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for object in objects {
            if let Some(route) = self.routes.find(object).and_then(|number| self.routes.get(number)) {
                self.of_route(route, &mut found);
            }
            found.extend(self.status.crowded.get(object).into_iter().chain(self.findings.get(object).into_iter().flatten()).cloned());
        }
        let of_slices = behind.iter().flat_map(|(namespace, name)| self.backends.findings_of((namespace, name)));
        found.extend(of_slices.filter(|one| one.object.as_ref().is_some_and(|object| objects.contains(object))).cloned());
        sorted(validate::tell_once(found, rejected))
    }

    fn of_route(&self, route: &KeptRoute, found: &mut Vec<Diagnostic>) {
        let mut findings = Findings::new(route.object.clone());
        self.meetings.tell(&route.stands, |number| self.routes.get(number).map(|route| &route.object), &mut findings);
        found.extend(route.findings.list.iter().cloned());
        found.append(&mut findings.list);
    }
}

/// Learns where others can meet the rules of a route.
fn stand(route: &mut KeptRoute, number: u32, view: View, places: &[(Parent, Hostnames)], rules: &[super::rule::CheckedRule]) {
    let KeptRoute { kind, object, rank, stands, .. } = route;
    for (parent, names) in places {
        let parent = match parent {
            Parent::Listener(id) => (false, id.0),
            Parent::Service(id) => (true, id.0),
        };
        names.iter().for_each(|name| stands.at(Spot::new(parent, *kind, name.clone()), view));
    }
    for rule in rules {
        match kind {
            RouteKind::Http | RouteKind::Grpc => {
                for (n, matcher) in rule.matchers.iter().enumerate() {
                    stands.matcher(matcher, rank, rule.index, u32::try_from(n).unwrap_or(u32::MAX), (number, view));
                }
                if let Some(session) = rule.data.session() {
                    stands.session(session, object, rule.index, (number, view));
                }
            }
            RouteKind::Tls | RouteKind::Tcp | RouteKind::Udp => stands.all(rank, rule.index, (number, view)),
        }
    }
}

/// A fault stands before what follows from it.
fn sorted(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    list.sort_by(|a, b| (&a.object, &a.path, a.severity, a.code, &a.message).cmp(&(&b.object, &b.path, b.severity, b.code, &b.message)));
    list.dedup();
    list
}

impl KeptStatus {
    /// But for routes.
    fn whole(&self) -> Status {
        Status {
            gateways: list(&self.gateways),
            listener_sets: list(&self.listener_sets),
            backend_tls_policies: list(&self.tls_policies),
            backend_traffic_policies: list(&self.traffic_policies),
            backends: list(&self.backends),
            ..self.of_classes.clone()
        }
    }
}

fn list<S: Clone>(kept: &BTreeMap<ObjectRef, S>) -> Vec<ObjectStatus<S>> {
    kept.iter().map(|(object, status)| ObjectStatus { object: object.clone(), status: status.clone() }).collect()
}

/// Keeps the status of an object; tells if it is new, another, or gone.
fn replace<S: Clone + PartialEq>(
    kept: &mut BTreeMap<ObjectRef, S>,
    object: &ObjectRef,
    now: Option<S>,
    changed: &mut Vec<ObjectStatus<S>>,
    gone: &mut Vec<ObjectRef>,
) {
    match now {
        Some(now) if kept.get(object) != Some(&now) => {
            changed.push(ObjectStatus { object: object.clone(), status: now.clone() });
            kept.insert(object.clone(), now);
        }
        None if kept.remove(object).is_some() => gone.push(object.clone()),
        _ => {}
    }
}

impl Status {
    fn routes_mut(&mut self, kind: Option<RouteKind>) -> Option<&mut Vec<ObjectStatus<RouteStatus>>> {
        Some(match kind? {
            RouteKind::Http => &mut self.http_routes,
            RouteKind::Grpc => &mut self.grpc_routes,
            RouteKind::Tls => &mut self.tls_routes,
            RouteKind::Tcp => &mut self.tcp_routes,
            RouteKind::Udp => &mut self.udp_routes,
        })
    }
}
