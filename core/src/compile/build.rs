//! From checked Gateways and routes to the table.

use std::collections::{BTreeMap, BTreeSet};

use super::alias;
use super::attach::{self, Attachment, Gateways};
use super::backend::View;
use super::findings::Findings;
use super::input::Key;
use super::mesh::FrontendKey;
use super::route::CheckedRoute;
use super::{session_names, shadow};
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::model::hostname::Hostname;
use crate::model::matching::{HttpMatch, Matcher};
use crate::options::{Options, RegexRank};
use crate::table::host_index::HostIndex;
use crate::table::precedence::{Rank, RouteRank};
use crate::table::route_index::{HttpRoutes, MatchData};
use crate::table::{
    Backend, FrontendId, FrontendInfo, GatewayId, GatewayInfo, Inner, ListenerId, ListenerInfo, MatchId, MatchInfo, PortId, PortInfo,
    RouteId, RouteInfo, RouteKind, RuleId, RuleInfo, ServedRoutes, Table,
};

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

/// Builds the table; consumes the rules.
pub(crate) fn table<'r>(
    gateways: &Gateways<'r>,
    routes: &mut [CheckedRoute<'r>],
    attachments: &[Vec<Attachment<'r>>],
    backends: Vec<Backend>,
    options: &Options,
    findings: &mut [Findings],
) -> Table {
    let mut inner = Inner { backends, choices: options.choices(), chosen: options.chosen(), ..Inner::default() };
    let listeners = add_gateways(gateways, &mut inner);
    let frontends = add_frontends(attachments, &mut inner);
    let mut of_listeners: Vec<Serving> = inner.listeners.iter().map(|_| Serving::default()).collect();
    let mut of_frontends: Vec<Serving> = inner.frontends.iter().map(|_| Serving::default()).collect();
    let mut owners = Vec::new();
    let anywhere = BTreeSet::from([None]);
    for (n, (route, attachments)) in routes.iter_mut().zip(attachments).enumerate() {
        let mut places: Vec<(Parent, View, &BTreeSet<Option<Hostname>>)> = Vec::new();
        for attachment in attachments {
            for (number, names) in &attachment.listeners {
                let key = attachment.gateway.map(|gateway| (gateway, *number));
                let Some(id) = key.and_then(|key| listeners.get(&key)) else { continue };
                let listener = key.and_then(|(gateway, number)| gateways.get(&gateway)?.listeners.get(number));
                let view = listener.map_or(View::Gateway, |listener| attach::view(route.kind, listener));
                places.push((Parent::Listener(*id), view, names));
            }
            for key in &attachment.frontends {
                let Some(id) = frontends.get(key) else { continue };
                // The Service is what counts, hostnames are not looked at ([A-23]).
                places.push((Parent::Service(*id), View::Mesh, &anywhere));
            }
        }
        if places.is_empty() {
            continue;
        }
        let added = add_route(route, &places.iter().map(|(_, view, _)| *view).collect(), options.regex_rank, &mut inner);
        owners.resize(inner.rules.len(), n);
        for (parent, view, names) in places {
            let serving = match parent {
                Parent::Listener(id) => usize::try_from(id.0).ok().and_then(|n| of_listeners.get_mut(n)),
                Parent::Service(id) => usize::try_from(id.0).ok().and_then(|n| of_frontends.get_mut(n)),
            };
            let (Some(serving), Some(added)) = (serving, added.get(&view)) else { continue };
            let rules = || added.rules.iter().map(|rule| (route.rank.clone(), *rule));
            for name in names {
                match route.kind {
                    RouteKind::Http | RouteKind::Grpc => serving.matches.entry(name.clone()).or_default().extend(&added.matches),
                    RouteKind::Tls => serving.tls.entry(name.clone()).or_default().extend(rules()),
                    RouteKind::Tcp | RouteKind::Udp => serving.streams.extend(rules()),
                }
            }
        }
    }
    alias::hide(&mut inner, &owners, findings);
    inner.routes_of_listeners = of_listeners.into_iter().map(|serving| served(serving, options.regex_rank, &inner)).collect();
    inner.routes_of_frontends = of_frontends.into_iter().map(|serving| served(serving, options.regex_rank, &inner)).collect();
    shadow::report(&inner, &owners, findings);
    session_names::report(&inner, &owners, findings);
    Table { inner: std::sync::Arc::new(inner) }
}

fn id(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Adds Gateways, their ports and accepted listeners; gives the ids of the listeners.
fn add_gateways<'r>(gateways: &Gateways<'r>, inner: &mut Inner) -> BTreeMap<(Key<'r>, usize), ListenerId> {
    let mut ids = BTreeMap::new();
    for (key, gateway) in gateways.iter().filter(|(_, gateway)| gateway.accepted()) {
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
                name: listener.resource.name.as_str().into(),
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
            ids.insert((*key, n), listener_id);
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
fn add_frontends<'r>(attachments: &[Vec<Attachment<'r>>], inner: &mut Inner) -> BTreeMap<FrontendKey<'r>, FrontendId> {
    let keys: BTreeSet<FrontendKey<'r>> = attachments.iter().flatten().flat_map(|attachment| &attachment.frontends).copied().collect();
    let mut ids = BTreeMap::new();
    for key in keys {
        let (namespace, name, port, consumer) = key;
        let frontend = FrontendId(id(inner.frontends.len()));
        let service = ObjectRef::new("", "Service", namespace, name);
        inner.frontends.push(FrontendInfo { id: frontend, service, port, consumer: consumer.map(Into::into) });
        ids.insert(key, frontend);
    }
    ids
}

/// Adds a route with its rules and matches, through each view that is needed.
fn add_route(route: &mut CheckedRoute<'_>, views: &BTreeSet<View>, regex_rank: RegexRank, inner: &mut Inner) -> BTreeMap<View, Added> {
    let route_id = RouteId(id(inner.routes.len()));
    inner.routes.push(RouteInfo { id: route_id, kind: route.kind, object: route.object.clone() });
    let mut all = BTreeMap::new();
    for view in views {
        let Some(rules) = route.rules.get_mut(view) else { continue };
        let added: &mut Added = all.entry(*view).or_default();
        for rule in std::mem::take(&mut rules.rules) {
            let rule_id = RuleId(id(inner.rules.len()));
            inner.rules.push(RuleInfo { id: rule_id, route: route_id, index: rule.index, name: rule.name });
            inner.rule_data.push(rule.data);
            added.rules.push(rule_id);
            for (n, matcher) in rule.matchers.into_iter().enumerate() {
                let index = id(n);
                let rank = match &matcher {
                    Matcher::Http(matcher) => Rank::http(matcher, regex_rank, route.rank.clone(), rule.index, index),
                    Matcher::Grpc(matcher) => Rank::grpc(matcher, route.rank.clone(), rule.index, index),
                };
                let match_id = MatchId(id(inner.matches.len()));
                inner.matches.push(MatchInfo { id: match_id, rule: rule_id, index });
                inner.match_data.push(MatchData { matcher, rank });
                added.matches.push(match_id);
            }
        }
    }
    all
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
