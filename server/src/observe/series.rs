//! Which series a request is counted in: found by the ids of the decision, so that labels are written once for each table
//! and not for each request.

use std::collections::HashSet;
use std::sync::Arc;

use gatewright::decision::Matched;
use gatewright::table::{BackendId, ListenerId, PortId, RouteId, RuleId};
use gatewright::{ObjectRef, Table};
use http::{Method, StatusCode};

use super::metrics::{BackendSeries, Counted, Metrics, lock};
use super::names::{Names, method_index, status_index};
use super::shards::Shards;
use crate::publish::PortKey;

/// The series of one table, by its ids.
#[derive(Debug, Default)]
pub struct Series {
    metrics: Arc<Metrics>,
    requests: Shards<Key, Counted>,
    backends: Shards<BackendId, BackendSeries>,
}

/// What tells series apart: ids, and words of which there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// `None` when the port is gone.
    port: Option<PortId>,
    listener: Option<ListenerId>,
    route: Option<RouteId>,
    rule: Option<RuleId>,
    backend: Option<BackendId>,
    method: u8,
    status: u16,
    reason: Option<&'static str>,
}

impl Key {
    pub(crate) fn new(
        port: Option<PortId>,
        matched: Option<Matched>,
        backend: Option<BackendId>,
        reason: Option<&'static str>,
        (method, status): (&Method, StatusCode),
    ) -> Self {
        Self {
            port,
            listener: matched.and_then(|matched| matched.parent.listener()),
            route: matched.map(|matched| matched.route),
            rule: matched.map(|matched| matched.rule),
            backend,
            method: method_index(method),
            status: status_index(status),
            reason,
        }
    }
}

impl Series {
    /// Series of a new table.
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), ..Self::default() }
    }

    /// The metrics that they are of.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Where a request is counted.
    pub(crate) fn request(&self, table: &Table, port: &PortKey, key: Key) -> Arc<Counted> {
        let make = |key: &Key| {
            let names = names(table, port, key);
            let answers = key.reason.map(|reason| self.metrics.answers(&names.gateway, reason));
            let place = self.metrics.place(names);
            Arc::new(Counted { requests: place.requests(key.method, key.status), place, answers })
        };
        // Ports that are gone have no ids to tell them apart.
        if key.port.is_none() { make(&key) } else { self.requests.get_or_make(key, make) }
    }

    /// Where what is sent to a backend is counted.
    pub(crate) fn backend(&self, table: &Table, id: BackendId) -> Arc<BackendSeries> {
        self.backends.get_or_make(id, |id| self.metrics.backend(&table.backend_report(*id).to_string()))
    }
}

fn names(table: &Table, port: &PortKey, key: &Key) -> Names {
    let listener = key.listener.and_then(|id| table.listener(id));
    let rule = key.rule.and_then(|id| table.rule(id));
    Names {
        gateway: format!("{}/{}", port.namespace, port.gateway),
        listener: listener.map(|listener| listener_name(&listener.owner, &listener.name)).unwrap_or_default(),
        route: key.route.and_then(|id| table.route(id)).map(|route| route.object.to_string()).unwrap_or_default(),
        rule: rule.map(|rule| rule_name(rule.name.as_deref(), rule.index)).unwrap_or_default(),
        backend: key.backend.map(|id| table.backend_report(id).to_string()).unwrap_or_default(),
    }
}

fn listener_name(owner: &ObjectRef, name: &str) -> String {
    if &*owner.kind == "ListenerSet" { format!("{}/{}/{name}", owner.namespace, owner.name) } else { name.to_owned() }
}

fn rule_name(name: Option<&str>, index: u32) -> String {
    name.map_or_else(|| index.to_string(), str::to_owned)
}

impl Metrics {
    /// Forgets the series whose names the table has no longer. Done when metrics are read, off the request path; what is not
    /// read is not worth the time.
    pub fn sweep(&self, table: &Table) {
        let gateways: HashSet<_> =
            table.gateways().iter().map(|gateway| format!("{}/{}", gateway.object.namespace, gateway.object.name)).collect();
        let listeners: HashSet<_> = table
            .listeners()
            .iter()
            .filter_map(|listener| {
                let gateway = &table.gateway(listener.gateway)?.object;
                Some((format!("{}/{}", gateway.namespace, gateway.name), listener_name(&listener.owner, &listener.name)))
            })
            .collect();
        let backends: HashSet<_> = table.backends().map(|backend| table.backend_report(backend.id).to_string()).collect();
        let mut rules = HashSet::new();
        for rule in table.rules() {
            if let Some(route) = table.route(rule.route) {
                rules.insert((route.object.to_string(), rule_name(rule.name.as_deref(), rule.index)));
            }
        }
        let lives = |names: &Names| {
            gateways.contains(&names.gateway)
                && (names.listener.is_empty() || listeners.contains(&(names.gateway.clone(), names.listener.clone())))
                && (names.route.is_empty() || rules.contains(&(names.route.clone(), names.rule.clone())))
                && (names.backend.is_empty() || backends.contains(&names.backend))
        };
        lock(&self.places).retain(|names, _| lives(names));
        lock(&self.answers).retain(|(gateway, _), _| gateways.contains(gateway));
        lock(&self.backends).retain(|name, _| backends.contains(name));
        lock(&self.ports).retain(|port, _| gateways.contains(&format!("{}/{}", port.namespace, port.gateway)));
    }
}
