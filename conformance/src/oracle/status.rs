//! What status must say ([L-4] to [L-27], [S-9] to [S-22], [A-5]).

use gatewright::resource::http_route::HttpRouteFilterType;

use super::attach::Attachment;
use super::listeners::{Served, Set, Speaks, kinds, speaks};
use super::question::Facts;
use super::references::{From, follow, reference};
use super::routes::Route;
use super::{GROUP, Oracle, View};

/// `status` of a condition, and its reason where it says more.
fn condition(facts: &mut Facts, of: &str, type_: &str, holds: bool, reasons: &[&str]) {
    facts.insert(format!("{of} {type_}"), vec![if holds { "True" } else { "False" }.to_owned()]);
    if !reasons.is_empty() {
        facts.insert(format!("{of} {type_} reason"), reasons.iter().map(|reason| (*reason).to_owned()).collect());
    }
}

impl Oracle<'_> {
    /// Everything that the specification says of status.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        for (n, gateway) in self.gateways.iter().enumerate() {
            self.of_gateway(n, gateway, &mut facts);
        }
        for (n, route) in self.routes.iter().enumerate() {
            self.of_route(n, route, &mut facts);
        }
        facts
    }

    fn of_gateway(&self, n: usize, gateway: &View<'_>, facts: &mut Facts) {
        let name = format!("Gateway {}/{}", gateway.name.0, gateway.name.1);
        let own: Vec<&Served<'_>> = gateway.listeners.iter().filter(|l| l.owner.kind == "Gateway").collect();
        let accepted = own.iter().filter(|l| l.accepted()).count();
        let reason = if accepted > 0 && accepted == own.len() { "Accepted" } else { "ListenersNotValid" };
        condition(facts, &name, "Accepted", accepted > 0, &[reason]);
        let sets = gateway.sets.iter().filter(|set| self.of_set(gateway, set, facts)).count();
        facts.insert(format!("{name} attachedListenerSets"), vec![sets.to_string()]);
        for (k, served) in gateway.listeners.iter().enumerate() {
            self.of_listener(n, k, served, facts);
        }
    }

    /// Gives whether the set is accepted ([L-18], [L-19]).
    fn of_set(&self, gateway: &View<'_>, set: &Set<'_>, facts: &mut Facts) -> bool {
        let name = format!("ListenerSet {}/{}", set.owner.namespace, set.owner.name);
        let own: Vec<&Served<'_>> = gateway.listeners.iter().filter(|l| l.owner == set.owner).collect();
        // Unlike a Gateway's, a listener that cannot serve is not valid ([L-40]).
        let valid = own.iter().filter(|l| l.accepted() && l.can_serve).count();
        let refused: Vec<&str> = set.refused.iter().copied().collect();
        let reasons = match (refused.as_slice(), valid) {
            ([], 0) => vec!["ListenersNotValid"],
            ([], n) if n < own.len() => vec!["ListenersNotValid"],
            // What resolves in part is valid or not, nobody says.
            ([], _) if own.iter().any(|l| !l.bad_certificates.is_empty() || kinds(l.listener).1) => vec!["Accepted", "ListenersNotValid"],
            ([], _) => vec!["Accepted"],
            (reasons, _) => reasons.to_vec(),
        };
        let holds = refused.is_empty() && valid > 0;
        condition(facts, &name, "Accepted", holds, &reasons);
        condition(facts, &name, "Programmed", holds, if holds { &["Programmed"] } else { &reasons });
        holds
    }

    fn of_listener(&self, gateway: usize, n: usize, served: &Served<'_>, facts: &mut Facts) {
        let name = served.text();
        let conflicts: Vec<&str> = served.conflicts.iter().copied().collect();
        let accepted = match (conflicts.as_slice(), speaks(served.listener)) {
            ([], Speaks::Unknown) => vec!["UnsupportedProtocol"],
            ([], _) => vec!["Accepted"],
            (reasons, _) => reasons.to_vec(),
        };
        condition(facts, &name, "Accepted", served.accepted(), &accepted);
        condition(facts, &name, "Programmed", served.accepted() && served.can_serve, &conflicts);
        if conflicts.is_empty() {
            facts.insert(format!("{name} Conflicted"), vec!["absent".to_owned(), "False".to_owned()]);
        } else {
            condition(facts, &name, "Conflicted", true, &conflicts);
        }
        let (mut supported, bad_kinds) = kinds(served.listener);
        supported.sort_unstable();
        facts.insert(format!("{name} supportedKinds"), vec![supported.join(" ")]);
        // Of two things that are wrong either may be told.
        let mut unresolved: Vec<&str> = served.bad_certificates.iter().copied().collect();
        if bad_kinds && speaks(served.listener) != Speaks::Unknown {
            unresolved.push("InvalidRouteKinds");
        }
        if speaks(served.listener) != Speaks::Unknown {
            match unresolved.as_slice() {
                [] => condition(facts, &name, "ResolvedRefs", true, &["ResolvedRefs"]),
                reasons => condition(facts, &name, "ResolvedRefs", false, reasons),
            }
        }
        let attached = |route: &usize| {
            self.attachments
                .iter()
                .any(|a| a.route == *route && a.gateway == Some(gateway) && a.refused.is_empty() && a.listeners.contains_key(&n))
        };
        let count = (0..self.routes.len()).filter(attached).count();
        facts.insert(format!("{name} attachedRoutes"), vec![count.to_string()]);
    }

    fn of_route(&self, n: usize, route: &Route<'_>, facts: &mut Facts) {
        let name = route.text();
        let entries: Vec<_> = self.attachments.iter().filter(|a| a.route == n).collect();
        let echo = |a: &&Attachment| {
            let p = &route.parents[a.parent];
            format!(
                "{}/{} {}/{} {} {}",
                p.group.as_deref().unwrap_or(GROUP),
                p.kind.as_deref().unwrap_or("Gateway"),
                p.namespace.as_deref().unwrap_or(""),
                p.name,
                p.section_name.as_deref().unwrap_or(""),
                p.port.map(|port| port.to_string()).unwrap_or_default()
            )
        };
        // A route that names nothing of ours has no status of ours ([S-11], [A-12]).
        let parents = if entries.is_empty() { "absent".to_owned() } else { entries.iter().map(echo).collect::<Vec<_>>().join(", ") };
        facts.insert(format!("{name} parents"), vec![parents]);
        for (k, entry) in entries.iter().enumerate() {
            let refs = self.bad_references(route, &self.views(route, entry));
            let of = format!("{name} parent {k}");
            let refused: Vec<&str> = entry.refused.iter().copied().collect();
            condition(facts, &of, "Accepted", refused.is_empty(), if refused.is_empty() { &["Accepted"] } else { &refused });
            let holds = |reason: &Option<&str>| if reason.is_some() { "False" } else { "True" }.to_owned();
            facts.insert(format!("{of} ResolvedRefs"), refs.iter().map(holds).collect());
            let reason = |reason: &Option<&str>| reason.unwrap_or("ResolvedRefs").to_owned();
            facts.insert(format!("{of} ResolvedRefs reason"), refs.iter().map(reason).collect());
            let partly = refused.is_empty() && route.rules.iter().any(|rule| rule.fault.is_some());
            let partly = if partly { "True" } else { "absent" };
            facts.insert(format!("{of} PartiallyInvalid"), vec![partly.to_owned()]);
        }
    }

    /// How a route refers through one parent: as a mesh does, or as its listeners do ([T-2], [A-26]).
    fn views<'o>(&self, route: &'o Route<'_>, entry: &Attachment) -> Vec<From<'o>> {
        let from = From { kind: route.kind, namespace: route.namespace, mesh: entry.gateway.is_none(), passthrough: false };
        let Some(gateway) = entry.gateway else { return vec![from] };
        let passes = |n: &usize| speaks(self.gateways[gateway].listeners[*n].listener) == Speaks::Passthrough;
        let views: Vec<From<'_>> = entry.listeners.keys().map(|n| From { passthrough: passes(n), ..from }).collect();
        if views.is_empty() { vec![from] } else { views }
    }

    /// The reason of `ResolvedRefs=False`, the first in this order ([S-13]); none if all is resolved. Whether an
    /// extension of a rule that is invalid anyway counts is not said.
    fn bad_references(&self, route: &Route<'_>, views: &[From<'_>]) -> Vec<Option<&'static str>> {
        let (mut found, mut perhaps) = (Vec::new(), Vec::new());
        for (from, rule) in views.iter().flat_map(|from| route.rules.iter().map(move |rule| (*from, rule))) {
            let lists = std::iter::once(&rule.filters).chain(rule.backends.iter().map(|b| &b.filters));
            for filter in lists.flatten() {
                if let (HttpRouteFilterType::RequestMirror, Some(mirror)) = (&filter.type_, &filter.request_mirror) {
                    found.extend(follow(self.resources, from, reference!(mirror.backend_ref)).err());
                }
                // No extension is known ([F-60]).
                if filter.type_ == HttpRouteFilterType::ExtensionRef {
                    if rule.fault.is_some() { perhaps.push("InvalidKind") } else { found.push("InvalidKind") }
                }
            }
            found.extend(rule.backends.iter().filter_map(|b| follow(self.resources, from, b.to).err()));
        }
        let worst = |found: &[&str]| {
            ["RefNotPermitted", "InvalidKind", "BackendNotFound", "UnsupportedProtocol"].into_iter().find(|reason| found.contains(reason))
        };
        let mut right = vec![worst(&found), worst(&[found, perhaps].concat())];
        right.dedup();
        right
    }
}
