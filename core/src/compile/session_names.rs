//! Tells authors of sessions of one name that meet on one host ([SP-4]): tokens are good for one rule only, so each
//! rule would take the other's for none and write its own over it.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use super::shadow::{of_owner, place};
use crate::diagnostic::Code;
use crate::model::session::SessionCarrier;
use crate::table::{RouteId, RuleId, Site, Table};

/// Writes the findings of these places; `owners` gives the position of each route.
pub(crate) fn report(table: &Table, sites: &[Site], owners: &BTreeMap<RouteId, usize>, findings: &mut [Findings]) {
    let mut told = BTreeSet::new();
    for site in sites {
        let mut first: BTreeMap<(SessionCarrier, &str), RuleId> = BTreeMap::new();
        // In the order of the manifests, whichever comes first in precedence.
        let rules: BTreeSet<RuleId> = table.matches_at(site).into_iter().filter_map(|id| Some(table.match_info(id)?.rule)).collect();
        for rule in rules {
            let Some(session) = table.rule_data(rule).and_then(|data| data.session()) else { continue };
            let other = *first.entry((session.carrier(), session.key())).or_insert(rule);
            if other == rule || !told.insert(rule) {
                continue;
            }
            let (Some((object, index)), Some((_, own)), Some(findings)) =
                (place(table, other), place(table, rule), of_owner(table, rule, owners, findings))
            else {
                continue;
            };
            let host = site.hostname.as_ref().map_or("any host".to_owned(), |name| format!("host `{name}`"));
            let message = format!(
                "session name `{}` is also that of spec.rules[{index}] of {object} for {host}: a client that uses both loses its session each time",
                session.name()
            );
            findings.warning(Code::SessionName, format!("spec.rules[{own}].sessionPersistence"), message);
        }
    }
}
