//! Tells authors of sessions of one name that meet on one host ([SP-4]): tokens are good for one rule only, so each
//! rule would take the other's for none and write its own over it.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use super::shadow::{of_owner, place};
use crate::diagnostic::Code;
use crate::model::session::SessionCarrier;
use crate::table::{Inner, MatchId, RuleId};

/// Writes the findings; `owners` gives the position of the route of each rule.
pub(crate) fn report(inner: &Inner, owners: &[usize], findings: &mut [Findings]) {
    let mut told = BTreeSet::new();
    for served in inner.routes_of_listeners.iter().chain(&inner.routes_of_frontends) {
        let http = served.http.iter().map(|(name, routes)| (name, routes.all().collect::<Vec<_>>()));
        let grpc = served.grpc.iter().map(|(name, ids)| (name, ids.to_vec()));
        for (hostname, ids) in http.chain(grpc) {
            let mut first: BTreeMap<(SessionCarrier, &str), RuleId> = BTreeMap::new();
            // In the order of the manifests, whichever comes first in precedence.
            let rules: BTreeSet<RuleId> = ids.into_iter().filter_map(|id| rule_of(inner, id)).collect();
            for rule in rules {
                let data = usize::try_from(rule.0).ok().and_then(|n| inner.rule_data.get(n));
                let Some(session) = data.and_then(|data| data.session.as_ref()) else { continue };
                let other = *first.entry((session.carrier(), session.key())).or_insert(rule);
                if other == rule || !told.insert(rule) {
                    continue;
                }
                let (Some((object, index)), Some((_, own)), Some(findings)) =
                    (place(inner, other), place(inner, rule), of_owner(rule, owners, findings))
                else {
                    continue;
                };
                let host = hostname.as_ref().map_or("any host".to_owned(), |name| format!("host `{name}`"));
                let message = format!(
                    "session name `{}` is also that of spec.rules[{index}] of {object} for {host}: a client that uses both loses its session each time",
                    session.name()
                );
                findings.warning(Code::SessionName, format!("spec.rules[{own}].sessionPersistence"), message);
            }
        }
    }
}

fn rule_of(inner: &Inner, id: MatchId) -> Option<RuleId> {
    inner.matches.get(usize::try_from(id.0).ok()?).map(|info| info.rule)
}
