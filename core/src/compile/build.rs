//! From checked Gateways and routes to the table.

use std::collections::{BTreeMap, BTreeSet};

use super::alias;
use super::attach::{self, Attachment, Gateways};
use super::backend::View;
use super::draft::{Draft, ViewRules};
use super::findings::Findings;
use super::input::Key;
use super::mesh::FrontendKey;
use super::route::CheckedRoute;
use super::{session_names, shadow};
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::model::hostname::Hostname;
use crate::options::Options;
use crate::table::host_map::HostMap;
use crate::table::{
    Backend, FrontendId, FrontendInfo, GatewayId, GatewayInfo, ListenerId, ListenerInfo, Parents, PortId, PortInfo, RouteId, Table,
};

/// Builds the table; consumes the rules.
pub(crate) fn table<'r>(
    gateways: &Gateways<'r>,
    routes: &mut [CheckedRoute<'r>],
    attachments: &[Vec<Attachment<'r>>],
    backends: Vec<Backend>,
    options: &Options,
    findings: &mut [Findings],
) -> Table {
    let mut parents = Parents::default();
    let listeners = add_gateways(gateways, &mut parents);
    let frontends = add_frontends(attachments, &mut parents);
    let mut all_views = Vec::with_capacity(routes.len());
    for (route, attachments) in routes.iter_mut().zip(attachments) {
        all_views.push(views(route, attachments, gateways, &listeners, &frontends));
    }
    let known = alias::hide(&mut all_views, options, findings);
    let mut draft = Draft::new(parents, options);
    draft.set_known_fields(known);
    backends.into_iter().for_each(|backend| draft.set_backend(backend));
    let mut owners = BTreeMap::<RouteId, usize>::new();
    for (n, (route, views)) in routes.iter().zip(all_views).enumerate() {
        if !views.is_empty() {
            owners.insert(draft.add_route(route.kind, route.object.clone(), route.rank.clone(), views), n);
        }
    }
    let (table, sites) = draft.finish();
    shadow::report(&table, &sites, &owners, findings);
    session_names::report(&table, &sites, &owners, findings);
    table
}

/// The rules of a route through each view that has a place to serve at; takes them out of the route.
fn views<'r>(
    route: &mut CheckedRoute<'r>,
    attachments: &[Attachment<'r>],
    gateways: &Gateways<'r>,
    listeners: &BTreeMap<(Key<'r>, usize), ListenerId>,
    frontends: &BTreeMap<FrontendKey<'r>, FrontendId>,
) -> Vec<ViewRules> {
    let mut places: BTreeMap<View, Vec<(Parent, BTreeSet<Option<Hostname>>)>> = BTreeMap::new();
    for attachment in attachments {
        for (number, names) in &attachment.listeners {
            let key = attachment.gateway.map(|gateway| (gateway, *number));
            let Some(id) = key.and_then(|key| listeners.get(&key)) else { continue };
            let listener = key.and_then(|(gateway, number)| gateways.get(&gateway)?.listeners.get(number));
            let view = listener.map_or(View::Gateway, |listener| attach::view(route.kind, listener));
            places.entry(view).or_default().push((Parent::Listener(*id), names.clone()));
        }
        for key in &attachment.frontends {
            let Some(id) = frontends.get(key) else { continue };
            // The Service is what counts, hostnames are not looked at ([A-23]).
            places.entry(View::Mesh).or_default().push((Parent::Service(*id), BTreeSet::from([None])));
        }
    }
    let rules = |(view, places)| ViewRules {
        rules: route.rules.get_mut(&view).map(|rules| std::mem::take(&mut rules.rules)).unwrap_or_default(),
        places,
    };
    places.into_iter().map(rules).collect()
}

fn id(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Adds Gateways, their ports and accepted listeners; gives the ids of the listeners.
fn add_gateways<'r>(gateways: &Gateways<'r>, parents: &mut Parents) -> BTreeMap<(Key<'r>, usize), ListenerId> {
    let mut ids = BTreeMap::new();
    for (key, gateway) in gateways.iter().filter(|(_, gateway)| gateway.accepted()) {
        let gateway_id = GatewayId(id(parents.gateways.len()));
        let mut ports: BTreeMap<_, PortId> = BTreeMap::new();
        let mut hosts: BTreeMap<PortId, BTreeMap<Option<Hostname>, Vec<u8>>> = BTreeMap::new();
        let accepted = gateway.listeners.iter().enumerate().filter(|(_, listener)| listener.accepted());
        let mut accepted: Vec<_> = accepted.filter_map(|(n, listener)| Some((n, listener, listener.protocol?))).collect();
        // Ports ascending; the sort keeps the order of listeners on one port. UDP has ports of its own.
        accepted.sort_by_key(|(_, listener, protocol)| (listener.port, protocol.of_port()));
        for (n, listener, protocol) in accepted {
            let listener_id = ListenerId(id(parents.listeners.len()));
            let port = *ports.entry((listener.port, protocol.of_port())).or_insert_with(|| {
                let port = PortId(id(parents.ports.len()));
                let (number, protocol) = (listener.port, protocol.of_port());
                parents.ports.push(PortInfo { id: port, gateway: gateway_id, number, protocol, listeners: Vec::new() });
                port
            });
            let set = listener.set.and_then(|set| gateway.sets.get(set));
            parents.listeners.push(ListenerInfo {
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
            if let Some(port) = parents.ports.last_mut() {
                port.listeners.push(listener_id);
            }
            let of_port = hosts.entry(port).or_default().entry(listener.hostname.clone());
            of_port.or_insert_with(|| listener_id.0.to_le_bytes().to_vec());
            ids.insert((*key, n), listener_id);
        }
        parents.hosts_of_ports.extend(hosts.into_values().map(HostMap::new));
        parents.gateways.push(GatewayInfo {
            id: gateway_id,
            object: gateway.object.clone(),
            ports: ports.into_values().collect(),
            backend_client_certificate: gateway.client_certificate.clone(),
        });
    }
    ids
}

/// Adds the ports of Services that routes have as parents; gives their ids.
fn add_frontends<'r>(attachments: &[Vec<Attachment<'r>>], parents: &mut Parents) -> BTreeMap<FrontendKey<'r>, FrontendId> {
    let keys: BTreeSet<FrontendKey<'r>> = attachments.iter().flatten().flat_map(|attachment| &attachment.frontends).copied().collect();
    let mut ids = BTreeMap::new();
    for key in keys {
        let (namespace, name, port, consumer) = key;
        let frontend = FrontendId(id(parents.frontends.len()));
        let service = ObjectRef::new("", "Service", namespace, name);
        parents.frontends.push(FrontendInfo { id: frontend, service, port, consumer: consumer.map(Into::into) });
        ids.insert(key, frontend);
    }
    ids
}
