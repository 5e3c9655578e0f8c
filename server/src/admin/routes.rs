//! `/debug/routes`: the table in the order in which it decides.

use gatewright::report::RoutingRow;

use super::pairs;
use crate::publish::Published;

/// Every match, or those of one `gateway` (`namespace/name`), `route` (`namespace/name`) or `hostname`.
pub(super) fn page(published: &Published, query: &str) -> Result<Vec<RoutingRow>, String> {
    let mut rows = published.table.routing();
    for (name, value) in pairs(query) {
        match &*name {
            "gateway" => rows.retain(|row| row.place.gateway == value),
            "route" => rows.retain(|row| format!("{}/{}", row.place.route.namespace, row.place.route.name) == value),
            "hostname" => rows.retain(|row| row.hostname == value),
            _ => return Err(format!("`{name}` is not one of gateway, route, hostname")),
        }
    }
    Ok(rows)
}
