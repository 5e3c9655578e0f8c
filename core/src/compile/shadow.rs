//! Tells authors of matches that an equal match hides ([U-40]), and of routes that an older one leaves without
//! traffic ([T-8]): the older wins, and nobody else would say so.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use crate::diagnostic::{Code, ObjectRef};
use crate::model::matching::Matcher;
use crate::table::{MatchId, RouteId, RuleId, Site, Table};

/// Writes the findings of these places; `owners` gives the position of each route.
pub(crate) fn report(table: &Table, sites: &[Site], owners: &BTreeMap<RouteId, usize>, findings: &mut [Findings]) {
    let mut told = BTreeSet::new();
    let mut hidden = BTreeSet::new();
    for site in sites {
        let mut winners: BTreeMap<String, MatchId> = BTreeMap::new();
        for id in table.matches_at(site) {
            let Some(matcher) = table.matcher(id) else { continue };
            let winner = *winners.entry(matcher.to_string()).or_insert(id);
            if winner != id && told.insert((winner, id)) {
                let host = site.hostname.as_ref().map_or("any host".to_owned(), |name| format!("host `{name}`"));
                shadowed(table, winner, id, &host, owners, findings);
            }
        }
        let rules = table.stream_rules_at(site);
        let Some((winner, losers)) = rules.split_first() else { continue };
        let name = site.hostname.as_ref().map(|name| format!("server name `{name}`"));
        for loser in losers.iter().filter(|loser| hidden.insert((*winner, **loser))) {
            superseded(table, *winner, *loser, name.as_deref(), owners, findings);
        }
    }
}

/// The route of a rule, and the index of the rule.
pub(crate) fn place(table: &Table, id: RuleId) -> Option<(&ObjectRef, u32)> {
    let rule = table.rule(id)?;
    Some((&table.route(rule.route)?.object, rule.index))
}

pub(crate) fn of_owner<'f>(
    table: &Table,
    rule: RuleId,
    owners: &BTreeMap<RouteId, usize>,
    findings: &'f mut [Findings],
) -> Option<&'f mut Findings> {
    findings.get_mut(*owners.get(&table.rule(rule)?.route)?)
}

fn shadowed(table: &Table, winner: MatchId, loser: MatchId, host: &str, owners: &BTreeMap<RouteId, usize>, findings: &mut [Findings]) {
    let (Some(won), Some(lost)) = (table.match_info(winner), table.match_info(loser)) else { return };
    let (Some((object, rule)), Some((_, own_rule)), Some(findings)) =
        (place(table, won.rule), place(table, lost.rule), of_owner(table, lost.rule, owners, findings))
    else {
        return;
    };
    let grpc = table.matcher(winner).is_some_and(|matcher| matches!(matcher, Matcher::Grpc(_)));
    let criterion = table.rank(winner).zip(table.rank(loser)).map(|(a, b)| crate::explain::criterion_name(a.criterion(&b, grpc)));
    let message = format!(
        "for {host} this match never wins: spec.rules[{rule}].matches[{}] of {object} is equal and comes first by {}",
        won.index,
        criterion.unwrap_or_default()
    );
    findings.warning(Code::Shadowed, format!("spec.rules[{own_rule}].matches[{}]", lost.index), message);
}

fn superseded(
    table: &Table,
    winner: RuleId,
    loser: RuleId,
    name: Option<&str>,
    owners: &BTreeMap<RouteId, usize>,
    findings: &mut [Findings],
) {
    let (Some((object, _)), Some(findings)) = (place(table, winner), of_owner(table, loser, owners, findings)) else { return };
    let what = name.map_or_else(|| "a listener".to_owned(), |name| format!("{name} of a listener"));
    findings.warning(Code::Shadowed, "", format!("{what} never sends traffic here: {object} is older and takes it all"));
}
