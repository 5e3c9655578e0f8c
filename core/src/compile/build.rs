//! From checked Gateways and routes to the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gateway::Gateways;
use super::kept::ListenerPlace;
use super::mesh::FrontendKey;
use super::rule::CheckedRule;
use crate::canonical::KnownFields;
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::model::hostname::Hostname;
use crate::model::matching::{HttpMatch, Matcher};
use crate::options::{Options, RegexRank};
use crate::table::host_index::HostIndex;
use crate::table::precedence::{Rank, RouteRank};
use crate::table::route_index::{HttpRoutes, MatchData};
use crate::table::{
    Backend, BackendId, FrontendId, FrontendInfo, GatewayId, GatewayInfo, Inner, ListenerId, ListenerInfo, MatchId, MatchInfo, PortId,
    PortInfo, RouteId, RouteInfo, RouteKind, RuleId, RuleInfo, ServedRoutes, Table,
};

/// The rules of a route through one view, and where they serve.
#[derive(Clone, Debug)]
pub(crate) struct ViewRules {
    pub(crate) rules: Vec<CheckedRule>,
    pub(crate) places: Vec<(Parent, BTreeSet<Option<Hostname>>)>,
}

/// A table that changes.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    inner: Inner,
    parts: Parts,
    regex_rank: RegexRank,
}

/// What a table is built from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    routes: BTreeMap<RouteId, Arc<Part>>,
    backends: Vec<Backend>,
}

#[derive(Debug)]
struct Part {
    kind: RouteKind,
    object: ObjectRef,
    rank: RouteRank,
    views: Vec<ViewRules>,
}

impl Draft {
    pub(crate) fn new(options: &Options) -> Self {
        let inner = Inner { choices: options.choices(), chosen: options.chosen(), ..Inner::default() };
        Self { inner, parts: Parts::default(), regex_rank: options.regex_rank }
    }

    pub(crate) fn of(table: &Table, options: &Options) -> Self {
        let old = &table.inner;
        let inner = Inner {
            gateways: old.gateways.clone(),
            ports: old.ports.clone(),
            listeners: old.listeners.clone(),
            frontends: old.frontends.clone(),
            hosts_of_ports: old.hosts_of_ports.clone(),
            known_fields: old.known_fields.clone(),
            choices: options.choices(),
            chosen: options.chosen(),
            ..Inner::default()
        };
        Self { inner, parts: old.parts.clone(), regex_rank: options.regex_rank }
    }

    pub(crate) fn set_known_fields(&mut self, known: KnownFields) {
        self.inner.known_fields = known;
    }

    pub(crate) fn set_backend(&mut self, backend: Backend) {
        let at = usize::try_from(backend.id.0).unwrap_or(usize::MAX);
        match self.parts.backends.get_mut(at) {
            Some(slot) => *slot = backend,
            None => self.parts.backends.push(backend),
        }
    }

    pub(crate) fn remove_backend(&mut self, _id: BackendId) {}

    pub(crate) fn add_route(&mut self, kind: RouteKind, object: ObjectRef, rank: RouteRank, views: Vec<ViewRules>) -> RouteId {
        let id = RouteId(self.parts.routes.last_key_value().map_or(0, |(id, _)| id.0.saturating_add(1)));
        self.parts.routes.insert(id, Arc::new(Part { kind, object, rank, views }));
        id
    }

    pub(crate) fn remove_route(&mut self, id: RouteId) {
        self.parts.routes.remove(&id);
    }

    pub(crate) fn finish(self) -> Table {
        let Self { mut inner, parts, regex_rank } = self;
        inner.backends = parts.backends.clone();
        let mut of_listeners: Vec<Serving> = inner.listeners.iter().map(|_| Serving::default()).collect();
        let mut of_frontends: Vec<Serving> = inner.frontends.iter().map(|_| Serving::default()).collect();
        for part in parts.routes.values() {
            let route_id = RouteId(id(inner.routes.len()));
            inner.routes.push(RouteInfo { id: route_id, kind: part.kind, object: part.object.clone() });
            for view in &part.views {
                let added = add_rules(part, &view.rules, route_id, regex_rank, &mut inner);
                for (parent, names) in &view.places {
                    let serving = match parent {
                        Parent::Listener(id) => usize::try_from(id.0).ok().and_then(|n| of_listeners.get_mut(n)),
                        Parent::Service(id) => usize::try_from(id.0).ok().and_then(|n| of_frontends.get_mut(n)),
                    };
                    let Some(serving) = serving else { continue };
                    let rules = || added.rules.iter().map(|rule| (part.rank.clone(), *rule));
                    for name in names {
                        match part.kind {
                            RouteKind::Http | RouteKind::Grpc => serving.matches.entry(name.clone()).or_default().extend(&added.matches),
                            RouteKind::Tls => serving.tls.entry(name.clone()).or_default().extend(rules()),
                            RouteKind::Tcp | RouteKind::Udp => serving.streams.extend(rules()),
                        }
                    }
                }
            }
        }
        inner.routes_of_listeners = of_listeners.into_iter().map(|serving| served(serving, regex_rank, &inner)).collect();
        inner.routes_of_frontends = of_frontends.into_iter().map(|serving| served(serving, regex_rank, &inner)).collect();
        inner.parts = parts;
        Table { inner: Arc::new(inner) }
    }
}

/// The ids of what routes attach to.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    listeners: BTreeMap<ListenerPlace, ListenerId>,
    frontends: BTreeMap<FrontendKey, FrontendId>,
}

impl Ids {
    pub(crate) fn listener(&self, place: ListenerPlace) -> Option<ListenerId> {
        self.listeners.get(&place).copied()
    }

    pub(crate) fn frontend(&self, key: &FrontendKey) -> Option<FrontendId> {
        self.frontends.get(key).copied()
    }
}

/// Adds what routes attach to.
pub(crate) fn parents<'k>(gateways: &Gateways, frontends: impl Iterator<Item = &'k FrontendKey>, draft: &mut Draft) -> Ids {
    Ids { listeners: add_gateways(gateways, &mut draft.inner), frontends: add_frontends(frontends, &mut draft.inner) }
}

/// What one listener or frontend serves, by hostname.
#[derive(Debug, Default)]
struct Serving {
    matches: BTreeMap<Option<Hostname>, BTreeSet<MatchId>>,
    tls: BTreeMap<Option<Hostname>, BTreeSet<(RouteRank, RuleId)>>,
    streams: BTreeSet<(RouteRank, RuleId)>,
}

/// The ids of the rules of a route through one view, and of their matches.
#[derive(Clone, Debug, Default)]
struct Added {
    rules: Vec<RuleId>,
    matches: Vec<MatchId>,
}

fn id(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Adds Gateways, their ports and accepted listeners; gives the ids of the listeners.
fn add_gateways(gateways: &Gateways, inner: &mut Inner) -> BTreeMap<ListenerPlace, ListenerId> {
    let mut ids = BTreeMap::new();
    for (place, gateway) in gateways.iter().filter(|(_, gateway)| gateway.accepted()) {
        let gateway_id = GatewayId(id(inner.gateways.len()));
        let mut ports: BTreeMap<_, PortId> = BTreeMap::new();
        let mut hosts: BTreeMap<PortId, Vec<(Option<Hostname>, ListenerId)>> = BTreeMap::new();
        let accepted = gateway.listeners.iter().enumerate().filter(|(_, listener)| listener.accepted());
        let mut accepted: Vec<_> = accepted.filter_map(|(n, listener)| Some((n, listener, listener.protocol?))).collect();
        // Ports ascending; the sort keeps the order of listeners on one port. UDP has ports of its own.
        accepted.sort_by_key(|(_, listener, protocol)| (listener.port, protocol.of_port()));
        for (n, listener, protocol) in accepted {
            let listener_id = ListenerId(id(inner.listeners.len()));
            let port = *ports.entry((listener.port, protocol.of_port())).or_insert_with(|| {
                let port = PortId(id(inner.ports.len()));
                let (number, protocol) = (listener.port, protocol.of_port());
                inner.ports.push(PortInfo { id: port, gateway: gateway_id, number, protocol, listeners: Vec::new() });
                port
            });
            let set = listener.set.and_then(|set| gateway.sets.get(set));
            inner.listeners.push(ListenerInfo {
                id: listener_id,
                gateway: gateway_id,
                owner: set.map_or(&gateway.object, |set| &set.object).clone(),
                name: listener.name.clone(),
                port,
                hostname: listener.hostname.as_ref().map(|name| name.to_string().into()),
                protocol,
                programmed: listener.unprogrammed.is_none(),
                tls: listener.tls(),
            });
            if let Some(port) = inner.ports.last_mut() {
                port.listeners.push(listener_id);
            }
            hosts.entry(port).or_default().push((listener.hostname.clone(), listener_id));
            ids.insert((place, n), listener_id);
        }
        inner.hosts_of_ports.extend(hosts.into_values().map(HostIndex::new));
        inner.gateways.push(GatewayInfo {
            id: gateway_id,
            object: gateway.object.clone(),
            ports: ports.into_values().collect(),
            backend_client_certificate: gateway.client_certificate.clone(),
        });
    }
    ids
}

/// Adds the ports of Services that routes have as parents; gives their ids.
fn add_frontends<'k>(keys: impl Iterator<Item = &'k FrontendKey>, inner: &mut Inner) -> BTreeMap<FrontendKey, FrontendId> {
    let mut ids = BTreeMap::new();
    for key in keys {
        let frontend = FrontendId(id(inner.frontends.len()));
        let service = ObjectRef::new("", "Service", &key.namespace, &key.name);
        inner.frontends.push(FrontendInfo { id: frontend, service, port: key.port, consumer: key.consumer.clone() });
        ids.insert(key.clone(), frontend);
    }
    ids
}

/// Adds rules with their matches.
fn add_rules(part: &Part, rules: &[CheckedRule], route: RouteId, regex_rank: RegexRank, inner: &mut Inner) -> Added {
    let mut added = Added::default();
    for rule in rules.iter().cloned() {
        let rule_id = RuleId(id(inner.rules.len()));
        inner.rules.push(RuleInfo { id: rule_id, route, index: rule.index, name: rule.name });
        inner.rule_data.push(rule.data);
        added.rules.push(rule_id);
        for (n, matcher) in rule.matchers.into_iter().enumerate() {
            let index = id(n);
            let rank = match &matcher {
                Matcher::Http(matcher) => Rank::http(matcher, regex_rank, part.rank.clone(), rule.index, index),
                Matcher::Grpc(matcher) => Rank::grpc(matcher, part.rank.clone(), rule.index, index),
            };
            let match_id = MatchId(id(inner.matches.len()));
            inner.matches.push(MatchInfo { id: match_id, rule: rule_id, index });
            inner.match_data.push(MatchData { matcher, rank });
            added.matches.push(match_id);
        }
    }
    added
}

/// Orders and indexes what one listener or frontend serves.
fn served(serving: Serving, regex_rank: RegexRank, inner: &Inner) -> ServedRoutes {
    let (mut http, mut grpc) = (Vec::new(), Vec::new());
    for (hostname, ids) in serving.matches {
        let mut ordered: Vec<(MatchId, &MatchData)> =
            ids.into_iter().filter_map(|id| Some((id, inner.match_data.get(usize::try_from(id.0).ok()?)?))).collect();
        ordered.sort_by(|(_, a), (_, b)| a.rank.cmp(&b.rank));
        let of_http: Vec<(MatchId, &HttpMatch)> = ordered.iter().filter_map(|(id, data)| Some((*id, data.http()?))).collect();
        let of_grpc: Box<[MatchId]> =
            ordered.iter().filter(|(_, data)| matches!(data.matcher, Matcher::Grpc(_))).map(|(id, _)| *id).collect();
        if !of_http.is_empty() {
            http.push((hostname.clone(), HttpRoutes::new(&of_http, regex_rank)));
        }
        if !of_grpc.is_empty() {
            grpc.push((hostname, of_grpc));
        }
    }
    let rules = |set: BTreeSet<(RouteRank, RuleId)>| -> Box<[RuleId]> { set.into_iter().map(|(_, rule)| rule).collect() };
    ServedRoutes {
        http: HostIndex::new(http),
        grpc: HostIndex::new(grpc),
        tls: HostIndex::new(serving.tls.into_iter().map(|(name, set)| (name, rules(set)))),
        streams: rules(serving.streams),
    }
}
