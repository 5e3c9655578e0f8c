//! From checked Gateways and routes to the table.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::Attachment;
use super::findings::Findings;
use super::gateway::CheckedGateway;
use super::input::Key;
use super::route::CheckedRoute;
use crate::diagnostic::Code;
use crate::model::hostname::Hostname;
use crate::model::matching::{HttpMatch, Matcher};
use crate::options::Profile;
use crate::table::host_index::HostIndex;
use crate::table::precedence::Rank;
use crate::table::route_index::{HttpRoutes, MatchData};
use crate::table::{
    Backend, GatewayId, GatewayInfo, Inner, ListenerId, ListenerInfo, MatchId, MatchInfo, PortId, PortInfo, RouteId, RouteInfo, RuleId,
    RuleInfo, ServedRoutes, Table,
};

/// Matches by listener and hostname.
type Served = BTreeMap<ListenerId, BTreeMap<Option<Hostname>, BTreeSet<MatchId>>>;

/// Builds the table; consumes the rules.
pub(crate) fn table<'r>(
    gateways: &BTreeMap<Key<'r>, CheckedGateway<'r>>,
    routes: &mut [CheckedRoute<'r>],
    attachments: &[Vec<Attachment<'r>>],
    backends: Vec<Backend>,
    profile: Profile,
    findings: &mut [Findings],
) -> Table {
    let mut inner = Inner { backends, profile, ..Inner::default() };
    let listeners = add_gateways(gateways, &mut inner);
    let mut served = Served::new();
    let mut owners = Vec::new();
    for (n, (route, attachments)) in routes.iter_mut().zip(attachments).enumerate() {
        let places = attachments.iter().flat_map(|a| a.listeners.iter().map(|(listener, names)| (a.gateway, *listener, names)));
        let places: Vec<_> = places.filter_map(|(gateway, listener, names)| Some((*listeners.get(&(gateway, listener))?, names))).collect();
        if places.is_empty() {
            continue;
        }
        let ids = add_route(route, &mut inner);
        owners.resize(inner.matches.len(), n);
        for (listener, names) in places {
            for name in names {
                served.entry(listener).or_default().entry(name.clone()).or_default().extend(&ids);
            }
        }
    }
    inner.routes_of_listeners = (0..inner.listeners.len())
        .map(|n| served.remove(&ListenerId(id(n))).map(|hosts| listener_routes(hosts, &inner)).unwrap_or_default())
        .collect();
    report_shadowed(&inner, &owners, findings);
    Table { inner: std::sync::Arc::new(inner) }
}

fn id(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Adds Gateways, their ports and accepted listeners; gives the ids of the listeners.
fn add_gateways<'r>(gateways: &BTreeMap<Key<'r>, CheckedGateway<'r>>, inner: &mut Inner) -> BTreeMap<(Key<'r>, usize), ListenerId> {
    let mut ids = BTreeMap::new();
    for (key, gateway) in gateways.iter().filter(|(_, gateway)| gateway.accepted()) {
        let gateway_id = GatewayId(id(inner.gateways.len()));
        let mut ports: BTreeMap<u16, PortId> = BTreeMap::new();
        let mut hosts: BTreeMap<PortId, Vec<(Option<Hostname>, ListenerId)>> = BTreeMap::new();
        let accepted = gateway.listeners.iter().enumerate().filter(|(_, listener)| listener.accepted());
        let mut accepted: Vec<_> = accepted.collect();
        // Ports ascending; the sort keeps the order of listeners on one port.
        accepted.sort_by_key(|(_, listener)| listener.port);
        for (n, listener) in accepted {
            let Some(protocol) = listener.protocol else { continue };
            let listener_id = ListenerId(id(inner.listeners.len()));
            let port = *ports.entry(listener.port).or_insert_with(|| {
                let port = PortId(id(inner.ports.len()));
                inner.ports.push(PortInfo {
                    id: port,
                    gateway: gateway_id,
                    number: listener.port,
                    protocol: protocol.of_port(),
                    listeners: Vec::new(),
                });
                port
            });
            inner.listeners.push(ListenerInfo {
                id: listener_id,
                gateway: gateway_id,
                owner: gateway.object.clone(),
                name: listener.resource.name.as_str().into(),
                port,
                hostname: listener.hostname.as_ref().map(|name| name.to_string().into()),
                protocol,
                programmed: listener.unprogrammed.is_none(),
                tls: None,
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
            backend_client_certificate: None,
        });
    }
    ids
}

/// Adds a route with its rules and matches; gives the ids of its matches.
fn add_route(route: &mut CheckedRoute<'_>, inner: &mut Inner) -> Vec<MatchId> {
    let route_id = RouteId(id(inner.routes.len()));
    inner.routes.push(RouteInfo { id: route_id, kind: route.kind, object: route.object.clone() });
    let mut ids = Vec::new();
    for rule in std::mem::take(&mut route.rules.rules) {
        let rule_id = RuleId(id(inner.rules.len()));
        inner.rules.push(RuleInfo { id: rule_id, route: route_id, index: rule.index, name: rule.name });
        inner.rule_data.push(rule.data);
        for (n, matcher) in rule.matchers.into_iter().enumerate() {
            let index = id(n);
            let rank = match &matcher {
                Matcher::Http(matcher) => Rank::http(matcher, route.rank, rule.index, index),
                Matcher::Grpc(matcher) => Rank::grpc(matcher, route.rank, rule.index, index),
            };
            let match_id = MatchId(id(inner.matches.len()));
            inner.matches.push(MatchInfo { id: match_id, rule: rule_id, index });
            inner.match_data.push(MatchData { matcher, rank });
            ids.push(match_id);
        }
    }
    ids
}

fn data(inner: &Inner, id: MatchId) -> Option<&MatchData> {
    inner.match_data.get(usize::try_from(id.0).ok()?)
}

/// Orders and indexes the matches of one listener.
fn listener_routes(hosts: BTreeMap<Option<Hostname>, BTreeSet<MatchId>>, inner: &Inner) -> ServedRoutes {
    let (mut http, mut grpc) = (Vec::new(), Vec::new());
    for (hostname, ids) in hosts {
        let mut ordered: Vec<(MatchId, &MatchData)> = ids.into_iter().filter_map(|id| Some((id, data(inner, id)?))).collect();
        ordered.sort_by_key(|(_, data)| data.rank);
        let of_http: Vec<(MatchId, &HttpMatch)> = ordered.iter().filter_map(|(id, data)| Some((*id, data.http()?))).collect();
        let of_grpc: Box<[MatchId]> =
            ordered.iter().filter(|(_, data)| matches!(data.matcher, Matcher::Grpc(_))).map(|(id, _)| *id).collect();
        if !of_http.is_empty() {
            http.push((hostname.clone(), HttpRoutes::new(&of_http)));
        }
        if !of_grpc.is_empty() {
            grpc.push((hostname, of_grpc));
        }
    }
    ServedRoutes { http: HostIndex::new(http), grpc: HostIndex::new(grpc), ..ServedRoutes::default() }
}

/// Tells authors of matches that an equal match hides ([U-40]): the older wins, and nobody else would say so.
fn report_shadowed(inner: &Inner, owners: &[usize], findings: &mut [Findings]) {
    let mut told = BTreeSet::new();
    for routes in &inner.routes_of_listeners {
        let http = routes.http.iter().map(|(name, routes)| (name, routes.all().collect::<Vec<_>>()));
        let grpc = routes.grpc.iter().map(|(name, ids)| (name, ids.to_vec()));
        for (hostname, ids) in http.chain(grpc) {
            let mut winners: BTreeMap<String, MatchId> = BTreeMap::new();
            for id in ids {
                let Some(data) = data(inner, id) else { continue };
                let winner = *winners.entry(data.matcher.to_string()).or_insert(id);
                if winner != id && told.insert((winner, id)) {
                    let host = hostname.as_ref().map_or("any host".to_owned(), |name| format!("host `{name}`"));
                    shadowed(inner, winner, id, &host, owners, findings);
                }
            }
        }
    }
}

fn shadowed(inner: &Inner, winner: MatchId, loser: MatchId, host: &str, owners: &[usize], findings: &mut [Findings]) {
    let place = |id: MatchId| {
        let info = inner.matches.get(usize::try_from(id.0).ok()?)?;
        let rule = inner.rules.get(usize::try_from(info.rule.0).ok()?)?;
        let route = inner.routes.get(usize::try_from(rule.route.0).ok()?)?;
        Some((&route.object, rule.index, info.index))
    };
    let owner = usize::try_from(loser.0).ok().and_then(|n| owners.get(n)).and_then(|n| findings.get_mut(*n));
    let (Some((object, rule, match_)), Some((_, own_rule, own_match)), Some(findings)) = (place(winner), place(loser), owner) else {
        return;
    };
    let winner_data = data(inner, winner);
    let criterion = winner_data.zip(data(inner, loser)).map(|(a, b)| {
        let grpc = matches!(a.matcher, Matcher::Grpc(_));
        crate::explain::criterion_name(a.rank.criterion(&b.rank, grpc))
    });
    let message = format!(
        "for {host} this match never wins: spec.rules[{rule}].matches[{match_}] of {object} is equal and comes first by {}",
        criterion.unwrap_or_default()
    );
    findings.warning(Code::Shadowed, format!("spec.rules[{own_rule}].matches[{own_match}]"), message);
}
