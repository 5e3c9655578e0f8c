//! `/debug/config`: which manifests serve, and what became of the last change.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Admin;
use crate::observe::{NotTrue, Rejection, timestamp};
use crate::publish::Published;

/// Conditions that are shown at most.
const CONDITIONS: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    version: &'static str,
    /// Number of the table that serves: 1 is the first one.
    generation: u64,
    /// Of the names and contents of the manifests.
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded_at: Option<String>,
    draining: bool,
    /// Local address by `namespace/gateway:port`.
    ports: BTreeMap<String, String>,
    counts: Counts,
    /// What the manifests ask for and does not hold.
    not_true: Vec<NotTrue>,
    /// Whether the manifests have changed since, and the change was not taken.
    behind: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rejected: Option<Rejection>,
}

#[derive(Serialize)]
struct Counts {
    gateways: usize,
    listeners: usize,
    routes: BTreeMap<&'static str, usize>,
    rules: usize,
    matches: usize,
    backends: usize,
}

pub(super) fn page(admin: &Admin, published: &Published) -> Config {
    let (told, table) = (admin.history.tell(), &published.table);
    let mut routes = BTreeMap::new();
    table.routes().for_each(|route| *routes.entry(route.kind.as_str()).or_default() += 1);
    Config {
        version: env!("CARGO_PKG_VERSION"),
        generation: told.generation,
        hash: format!("{:016x}", told.hash),
        loaded_at: told.loaded.and_then(timestamp),
        draining: admin.draining.load(std::sync::atomic::Ordering::Relaxed),
        ports: admin.bound.borrow().iter().map(|(port, local)| (port.to_string(), local.to_string())).collect(),
        counts: Counts {
            gateways: table.gateways().len(),
            listeners: table.listeners().len(),
            routes,
            rules: table.rules().count(),
            matches: table.matches().count(),
            backends: table.backends().count(),
        },
        not_true: admin.history.not_true(CONDITIONS),
        behind: told.is_behind,
        last_rejected: told.rejection,
    }
}
