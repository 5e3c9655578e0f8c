//! From checked Gateways, and Services of a mesh, to what the routes of a table attach to.

use std::collections::BTreeMap;

use super::gateway::Gateways;
use super::kept::ListenerPlace;
use super::mesh::FrontendKey;
use crate::diagnostic::ObjectRef;
use crate::model::hostname::Hostname;
use crate::table::host_map::HostMap;
use crate::table::{FrontendId, FrontendInfo, GatewayId, GatewayInfo, ListenerId, ListenerInfo, Parents, PortId, PortInfo};

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

/// What routes attach to, and the ids of it.
pub(crate) fn parents<'k>(gateways: &Gateways, frontends: impl Iterator<Item = &'k FrontendKey>) -> (Parents, Ids) {
    let mut parents = Parents::default();
    let listeners = add_gateways(gateways, &mut parents);
    let frontends = add_frontends(frontends, &mut parents);
    (parents, Ids { listeners, frontends })
}

fn id(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Adds Gateways, their ports and accepted listeners; gives the ids of the listeners.
fn add_gateways(gateways: &Gateways, parents: &mut Parents) -> BTreeMap<ListenerPlace, ListenerId> {
    let mut ids = BTreeMap::new();
    for (place, gateway) in gateways.iter().filter(|(_, gateway)| gateway.accepted()) {
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
                name: listener.name.clone(),
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
            ids.insert((place, n), listener_id);
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
fn add_frontends<'k>(keys: impl Iterator<Item = &'k FrontendKey>, parents: &mut Parents) -> BTreeMap<FrontendKey, FrontendId> {
    let mut ids = BTreeMap::new();
    for key in keys {
        let frontend = FrontendId(id(parents.frontends.len()));
        let service = ObjectRef::new("", "Service", &key.namespace, &key.name);
        parents.frontends.push(FrontendInfo { id: frontend, service, port: key.port, consumer: key.consumer.clone() });
        ids.insert(key.clone(), frontend);
    }
    ids
}
