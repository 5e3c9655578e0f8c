//! What is kept of a route when its rules are in the table: what status, diagnostics and other routes ask of it.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;

use super::attach::{self, Attachment};
use super::backend::{Backends, Referred, View};
use super::findings::Findings;
use super::gateway::Gateways;
use super::lookup::Lookup;
use super::meet::Stands;
use super::mesh::FrontendKey;
use super::policy::Use;
use super::route::{self, Source};
use super::rule::{CheckedRule, CheckedRules};
use super::uses::Ancestor;
use crate::diagnostic::ObjectRef;
use crate::model::pattern::Patterns;
use crate::options::HttpAndGrpc;
use crate::resource::status::RouteStatus;
use crate::table::precedence::RouteRank;
use crate::table::{RouteId, RouteKind};

/// The place of a listener: that of its Gateway, and its own there.
pub(crate) type ListenerPlace = (usize, usize);

/// A route.
#[derive(Debug)]
pub(crate) struct KeptRoute {
    pub(crate) kind: RouteKind,
    pub(crate) object: ObjectRef,
    pub(crate) generation: Option<i64>,
    pub(crate) rank: RouteRank,
    pub(crate) attachments: Vec<Attachment>,
    /// Through each kind of parent that it has; without the rules that are in the table.
    pub(crate) rules: BTreeMap<View, CheckedRules>,
    pub(crate) findings: Findings,
    pub(crate) referred: Referred,
    /// The ports of Services that it has as parents, whether or not another kind of route serves them.
    pub(crate) frontends: BTreeSet<FrontendKey>,
    /// Where it claims hostnames.
    pub(crate) claims: BTreeSet<ListenerPlace>,
    /// The listeners that count it.
    pub(crate) counted: BTreeSet<ListenerPlace>,
    pub(crate) uses: BTreeSet<(Ancestor, Use)>,
    /// Header names of its rules in the table.
    pub(crate) names: Box<[HeaderName]>,
    pub(crate) stands: Stands,
    /// In the table, if any of its rules is.
    pub(crate) id: Option<RouteId>,
    pub(crate) status: Option<RouteStatus>,
}

/// Rules on their way to the table, through each kind of parent.
pub(crate) type Rules = BTreeMap<View, Vec<CheckedRule>>;

impl KeptRoute {
    /// Looks at a route by itself: before it is known what other routes leave to it.
    pub(crate) fn new(
        source: Source<'_>,
        gateways: &Gateways,
        lookup: &Lookup<'_>,
        backends: &mut Backends<'_>,
        patterns: &mut Patterns,
    ) -> (Self, Rules) {
        let (route, mut findings) = route::check(source, lookup.options.name_order);
        let attachments = attach::attach(&route, gateways, lookup, &mut findings);
        let mut views: BTreeSet<View> = attachments.iter().flat_map(|one| one.views(route.kind, gateways)).collect();
        if views.is_empty() {
            views.insert(View::Gateway);
        }
        let (mut rules, mut taken) = (BTreeMap::new(), Rules::new());
        let mut nothing = false;
        for view in views {
            let mut checked = route.check_rules(view, backends, patterns, &mut findings, lookup.options);
            nothing |= view == View::Gateway && checked.rules.is_empty() && checked.unusable(route.kind).is_some();
            taken.insert(view, std::mem::take(&mut checked.rules));
            rules.insert(view, checked);
        }
        let mut referred = std::mem::take(&mut backends.referred);
        attach::services(&route).for_each(|key| referred.refer(key));
        // A route of which nothing is left is not accepted anyway and takes no hostname away.
        let excludes = matches!(route.kind, RouteKind::Http | RouteKind::Grpc) && !nothing;
        let mut claims = BTreeSet::new();
        if excludes && lookup.options.http_and_grpc == HttpAndGrpc::Separate {
            claims.extend(attachments.iter().flat_map(Attachment::places));
        }
        let frontends = attachments.iter().flat_map(|attachment| attachment.frontends.iter().cloned()).collect();
        let kept = Self {
            kind: route.kind,
            object: route.object,
            generation: route.metadata.generation,
            rank: route.rank,
            attachments,
            rules,
            findings,
            referred,
            frontends,
            claims,
            counted: BTreeSet::new(),
            uses: BTreeSet::new(),
            names: Box::default(),
            stands: Stands::default(),
            id: None,
            status: None,
        };
        (kept, taken)
    }

    /// The hostnames that it has at a listener.
    pub(crate) fn hostnames(&self, (gateway, listener): ListenerPlace) -> Option<&attach::Hostnames> {
        let of_gateway = self.attachments.iter().filter(|attachment| attachment.gateway == Some(gateway));
        of_gateway.filter_map(|attachment| attachment.listeners.get(&listener)).next()
    }

    /// Whether a parent can use any of its rules.
    fn usable(&self, attachment: &Attachment, gateways: &Gateways) -> bool {
        let views = attachment.views(self.kind, gateways);
        !views.iter().filter_map(|view| self.rules.get(view)).any(|rules| rules.unusable(self.kind).is_some())
    }

    /// Learns the listeners that count it; a route that names a listener twice counts once ([L-27]).
    pub(crate) fn count(&mut self, gateways: &Gateways) {
        let usable = self.attachments.iter().filter(|attachment| self.usable(attachment, gateways));
        self.counted = usable.flat_map(Attachment::places).collect();
    }

    /// Learns which ancestors use what through it.
    pub(crate) fn learn_uses(&mut self, gateways: &Gateways) {
        let mut uses = BTreeSet::new();
        if self.rules.values().all(|rules| rules.uses.is_empty()) {
            return;
        }
        for attachment in self.attachments.iter().filter(|attachment| attachment.refused.is_none()) {
            let views = attachment.views(self.kind, gateways);
            let usable = views.iter().filter_map(|view| self.rules.get(view)).filter(|rules| rules.unusable(self.kind).is_none());
            let used: Vec<&Use> = usable.flat_map(|rules| &rules.uses).collect();
            let ancestors: Vec<Ancestor> = match attachment.gateway {
                Some(place) => vec![Ancestor::Gateway(place)],
                None => {
                    let services = attachment.frontends.iter().map(|key| ObjectRef::new("", "Service", &key.namespace, &key.name));
                    services.map(Ancestor::Service).collect()
                }
            };
            uses.extend(ancestors.iter().flat_map(|ancestor| used.iter().map(|used| (ancestor.clone(), (*used).clone()))));
        }
        self.uses = uses;
    }
}

/// The routes, each with a number that stays its own.
#[derive(Debug, Default)]
pub(crate) struct KeptRoutes {
    slots: Vec<Option<KeptRoute>>,
    by_name: BTreeMap<ObjectRef, u32>,
    free: Vec<u32>,
}

impl KeptRoutes {
    pub(crate) fn find(&self, object: &ObjectRef) -> Option<u32> {
        self.by_name.get(object).copied()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&KeptRoute> {
        self.slots.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// A number for a new route.
    pub(crate) fn reserve(&mut self, object: &ObjectRef) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            self.slots.push(None);
            next
        });
        self.by_name.insert(object.clone(), number);
        number
    }

    pub(crate) fn put(&mut self, number: u32, route: KeptRoute) {
        if let Some(slot) = usize::try_from(number).ok().and_then(|at| self.slots.get_mut(at)) {
            *slot = Some(route);
        }
    }

    pub(crate) fn take(&mut self, number: u32) -> Option<KeptRoute> {
        self.slots.get_mut(usize::try_from(number).ok()?)?.take()
    }

    /// A number is free again.
    pub(crate) fn forget(&mut self, object: &ObjectRef) {
        self.free.extend(self.by_name.remove(object));
    }

    /// All routes, by kind, namespace and name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeptRoute> {
        self.by_name.values().filter_map(|number| self.get(*number))
    }
}
