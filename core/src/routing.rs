//! The whole table in the order in which it decides, with names instead of ids.

use serde::Serialize;

use crate::decision::Matched;
use crate::report::MatchReport;
use crate::table::{RuleId, Site, Table};

/// A match of the table, or a rule for connections, at one hostname of one parent; and what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RoutingRow {
    /// Its place in the manifests.
    #[serde(flatten)]
    pub place: MatchReport,
    /// Port of the Gateway; 0 in a mesh.
    pub port: u16,
    /// The hostname it is found under; `*` is any.
    pub hostname: String,
    /// Its conditions; empty for connections.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conditions: String,
    /// What is done: backends with their weights, a redirect, or 500.
    pub action: String,
}

impl Table {
    /// Every match of the table in the order of its parents, hostnames and precedence.
    pub fn routing(&self) -> Vec<RoutingRow> {
        let mut rows = Vec::new();
        for site in self.sites() {
            for id in self.matches_at(&site) {
                let Some(rule) = self.match_info(id).map(|info| info.rule) else { continue };
                let Some(route) = self.rule(rule).map(|rule| rule.route) else { continue };
                let place = self.match_report(Matched { parent: site.parent, route, rule, match_: id });
                let conditions = self.matcher(id).map(ToString::to_string).unwrap_or_default();
                rows.push(self.row(&site, place, conditions, rule));
            }
            for id in self.rules_at(&site) {
                let Some(rule) = self.rule(id) else { continue };
                let place = MatchReport {
                    route: self.route(rule.route).map(|route| route.object.clone()).unwrap_or_default(),
                    rule: rule.index,
                    rule_name: rule.name.as_deref().map(str::to_owned),
                    ..self.parent_report(site.parent)
                };
                rows.push(self.row(&site, place, String::new(), id));
            }
        }
        rows
    }

    /// The same as rows for a person, without a mesh: listener and hostname, conditions, rule, and what is done.
    pub fn routing_rows(&self) -> Vec<[String; 4]> {
        let gateways = self.routing().into_iter().filter(|row| !row.place.listener.is_empty());
        let text = |row: RoutingRow| {
            let RoutingRow { place, port, hostname, conditions, action } = row;
            let rule = match &place.rule_name {
                Some(name) => format!("{} rule `{name}`", place.route),
                None => format!("{} rule {}", place.route, place.rule),
            };
            [format!("{}:{port} {hostname}", place.listener), conditions, rule, action]
        };
        gateways.map(text).collect()
    }

    fn row(&self, site: &Site, place: MatchReport, conditions: String, rule: RuleId) -> RoutingRow {
        let listener = site.parent.listener().and_then(|id| self.listener(id));
        RoutingRow {
            place,
            port: listener.and_then(|listener| self.port(listener.port)).map_or(0, |port| port.number),
            hostname: site.hostname.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string),
            conditions,
            action: self.action(rule),
        }
    }

    /// What a rule does, in short.
    fn action(&self, rule: RuleId) -> String {
        let Some(data) = self.rule_data(rule) else { return String::new() };
        if data.fail_closed() {
            return "500".to_owned();
        }
        if let Some(redirect) = &data.filters.redirect {
            return format!("redirect {}", redirect.status.as_u16());
        }
        let shares = data.shares.iter().map(|(weight, share)| match share.backend {
            Some(backend) => format!("{} ({weight})", self.backend_report(backend)),
            None => format!("500 ({weight})"),
        });
        let shares: Vec<_> = shares.collect();
        if shares.is_empty() { "500".to_owned() } else { shares.join(", ") }
    }
}
