//! Everything that a table, its status and its diagnostics are made from. The whole is all routes changed at once:
//! there is one way, for [`compile`](super::compile) and for updates.

mod tell;

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
use super::policy::Policies;
use super::route::{self, Source};
use super::separate::{Separation, Specific};
use super::uses::Uses;
use super::xbackend::XBackends;
use super::{Status, alias, class, status};
use crate::canonical::KnownFields;
use crate::decision::Parent;
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::model::pattern::Patterns;
use crate::options::AliasHeaders;
use crate::resource::backend::XBackendStatus;
use crate::resource::status::{GatewayStatus, ListenerSetStatus, PolicyStatus, RouteStatus};
use crate::table::{Parents, RouteKind, Table};

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
