//! Tells authors of matches that an equal match hides ([U-40]), and of routes that an older one leaves without
//! traffic ([T-8]): the older wins, and nobody else would say so.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;
use crate::diagnostic::{Code, ObjectRef};
use crate::model::matching::Matcher;
use crate::table::route_index::MatchData;
use crate::table::{Inner, MatchId, RuleId};

/// Writes the findings; `owners` gives the position of the route of each rule.
pub(crate) fn report(inner: &Inner, owners: &[usize], findings: &mut [Findings]) {
    let mut told = BTreeSet::new();
    let mut hidden = BTreeSet::new();
    for served in inner.routes_of_listeners.iter().chain(&inner.routes_of_frontends) {
        let http = served.http.iter().map(|(name, routes)| (name, routes.all().collect::<Vec<_>>()));
        let grpc = served.grpc.iter().map(|(name, ids)| (name, ids.to_vec()));
        for (hostname, ids) in http.chain(grpc) {
            let mut winners: BTreeMap<String, MatchId> = BTreeMap::new();
            for id in ids {
                let Some(data) = data(inner, id) else { continue };
                let winner = *winners.entry(data.matcher.to_string()).or_insert(id);
                if winner != id && told.insert((winner, id)) {
                    let host = hostname.as_ref().map_or("any host".to_owned(), |name| format!("host `{name}`"));
                    shadowed(inner, winner, id, &host, owners, findings);
                }
            }
        }
        let tls = served.tls.iter().map(|(name, rules)| (name.map(|name| format!("server name `{name}`")), &**rules));
        for (name, rules) in tls.chain([(None, &*served.streams)]) {
            let Some((winner, losers)) = rules.split_first() else { continue };
            for loser in losers.iter().filter(|loser| hidden.insert((*winner, **loser))) {
                superseded(inner, *winner, *loser, name.as_deref(), owners, findings);
            }
        }
    }
}

fn data(inner: &Inner, id: MatchId) -> Option<&MatchData> {
    inner.match_data.get(usize::try_from(id.0).ok()?)
}

/// The route of a rule, and the index of the rule.
pub(crate) fn place(inner: &Inner, id: RuleId) -> Option<(&ObjectRef, u32)> {
    let rule = inner.rules.get(usize::try_from(id.0).ok()?)?;
    let route = inner.routes.get(usize::try_from(rule.route.0).ok()?)?;
    Some((&route.object, rule.index))
}

pub(crate) fn of_owner<'f>(rule: RuleId, owners: &[usize], findings: &'f mut [Findings]) -> Option<&'f mut Findings> {
    usize::try_from(rule.0).ok().and_then(|n| owners.get(n)).and_then(|n| findings.get_mut(*n))
}

fn shadowed(inner: &Inner, winner: MatchId, loser: MatchId, host: &str, owners: &[usize], findings: &mut [Findings]) {
    let info = |id: MatchId| inner.matches.get(usize::try_from(id.0).ok()?);
    let (Some(won), Some(lost)) = (info(winner), info(loser)) else { return };
    let (Some((object, rule)), Some((_, own_rule)), Some(findings)) =
        (place(inner, won.rule), place(inner, lost.rule), of_owner(lost.rule, owners, findings))
    else {
        return;
    };
    let criterion = data(inner, winner).zip(data(inner, loser)).map(|(a, b)| {
        let grpc = matches!(a.matcher, Matcher::Grpc(_));
        crate::explain::criterion_name(a.rank.criterion(&b.rank, grpc))
    });
    let message = format!(
        "for {host} this match never wins: spec.rules[{rule}].matches[{}] of {object} is equal and comes first by {}",
        won.index,
        criterion.unwrap_or_default()
    );
    findings.warning(Code::Shadowed, format!("spec.rules[{own_rule}].matches[{}]", lost.index), message);
}

fn superseded(inner: &Inner, winner: RuleId, loser: RuleId, name: Option<&str>, owners: &[usize], findings: &mut [Findings]) {
    let (Some((object, _)), Some(findings)) = (place(inner, winner), of_owner(loser, owners, findings)) else { return };
    let what = name.map_or_else(|| "a listener".to_owned(), |name| format!("{name} of a listener"));
    findings.warning(Code::Shadowed, "", format!("{what} never sends traffic here: {object} is older and takes it all"));
}
