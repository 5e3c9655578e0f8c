//! What a table is made of, as plain data.

use gatewright::decision::Decision;
use gatewright::table::{Endpoints, ListenerId, ListenerProtocol, PortProtocol, Table};
use serde_json::{Value, json};

use crate::tables::Held;

/// One of the lists of a table; `None` for a name that there is none of.
pub(crate) fn show(held: &Held, what: &str) -> Option<Value> {
    let table = &held.table;
    Some(match what {
        "gateways" => gateways(table),
        "listeners" => table.listeners().iter().map(|listener| json!(listener_of(table, listener.id))).collect(),
        "routes" => table.routes().map(|route| json!(route.object)).collect(),
        "backends" => table.backends().map(|listed| backend(table, listed.id.index())).collect(),
        "status" => json!(held.status),
        "diagnostics" => {
            let each = |found: &gatewright::Diagnostic| {
                let mut value = json!(found);
                if let Value::Object(members) = &mut value {
                    members.insert("text".to_owned(), found.to_string().into());
                }
                value
            };
            held.diagnostics.iter().map(each).collect()
        }
        "routing" => json!(table.routing()),
        "counts" => json!({
            "gateways": table.gateways().len(), "listeners": table.listeners().len(), "routes": table.routes().count(),
            "rules": table.rules().count(), "matches": table.matches().count(), "backends": table.backends().count(),
        }),
        _ => return None,
    })
}

/// A decision with names, and beside it what numbers of the hot path stand for.
pub(crate) fn decision(table: &Table, decision: &Decision<'_>) -> Value {
    let mut value = json!({ "report": table.report(decision) });
    if let (Decision::Forward(forward), Value::Object(members)) = (decision, &mut value) {
        members.insert("backend".to_owned(), forward.backend.index().into());
        members.insert("path".to_owned(), forward.target.path().into());
        members.insert("query".to_owned(), forward.target.query().into());
        let ids = |mirrors: &gatewright::decision::Mirrors<'_>| mirrors.iter().map(|id| id.index()).collect::<Vec<_>>();
        members.insert("mirrors".to_owned(), json!(ids(&forward.mirrors)));
        let endpoint = forward.session.and_then(|session| session.endpoint());
        members.insert("endpoint".to_owned(), json!(endpoint.map(ToString::to_string)));
    }
    value
}

/// A backend with its endpoints.
pub(crate) fn backend(table: &Table, id: u32) -> Value {
    let Some(found) = table.backends().find(|backend| backend.id.index() == id) else { return Value::Null };
    let mut value = json!(table.backend_report(found.id));
    if let Value::Object(members) = &mut value {
        members.insert("id".to_owned(), id.into());
        if let Endpoints::Known(known) = &found.endpoints {
            let endpoints: Vec<_> = known.iter().map(|at| json!({ "address": at.address.to_string(), "port": at.port })).collect();
            members.insert("endpoints".to_owned(), endpoints.into());
        }
    }
    value
}

fn gateways(table: &Table) -> Value {
    let port = |id| {
        let port = table.port(id)?;
        let protocol = match port.protocol {
            PortProtocol::Http => "http",
            PortProtocol::Tls => "tls",
            PortProtocol::Tcp => "tcp",
            _ => "udp",
        };
        let listeners: Vec<_> = port.listeners.iter().filter_map(|id| listener_of(table, *id)).collect();
        Some(json!({ "number": port.number, "protocol": protocol, "listeners": listeners }))
    };
    let gateway = |gateway: &gatewright::table::GatewayInfo| {
        let name = format!("{}/{}", gateway.object.namespace, gateway.object.name);
        json!({ "name": name, "object": gateway.object, "ports": gateway.ports.iter().filter_map(|id| port(*id)).collect::<Vec<_>>() })
    };
    table.gateways().iter().map(gateway).collect()
}

fn listener_of(table: &Table, id: ListenerId) -> Option<Value> {
    let listener = table.listener(id)?;
    let protocol = match listener.protocol {
        ListenerProtocol::Http => "http",
        ListenerProtocol::Https => "https",
        ListenerProtocol::TlsTerminate => "tlsTerminate",
        ListenerProtocol::TlsPassthrough => "tlsPassthrough",
        ListenerProtocol::Tcp => "tcp",
        _ => "udp",
    };
    let gateway = table.gateway(listener.gateway)?;
    let mut value = json!({
        "name": listener.name,
        "gateway": format!("{}/{}", gateway.object.namespace, gateway.object.name),
        "port": table.port(listener.port)?.number,
        "protocol": protocol,
        "programmed": listener.programmed,
    });
    if let Value::Object(members) = &mut value {
        if &*listener.owner.kind == "ListenerSet" {
            members.insert("listenerSet".to_owned(), format!("{}/{}", listener.owner.namespace, listener.owner.name).into());
        }
        if let Some(hostname) = &listener.hostname {
            members.insert("hostname".to_owned(), json!(hostname));
        }
    }
    Some(value)
}
