//! Status of policies and XBackends: one entry for each Gateway, or Service of a mesh, that uses a target ([TP-7],
//! [P-5]).

use std::collections::{BTreeMap, BTreeSet};

use super::super::findings::condition;
use super::super::{ObjectStatus, Status};
use super::{Kind, Outcome, Policies, Policy, Target, Traffic, Use};
use crate::diagnostic::{Code, ObjectRef};
use crate::resource::meta::ParentReference;
use crate::resource::status::{Condition, PolicyAncestorStatus, PolicyStatus};

/// An ancestor, and the controller that serves it.
pub(crate) type Ancestor = (ObjectRef, Box<str>);

/// Entries at most ([P-5]).
const LIMIT: usize = 16;

/// What each ancestor uses.
type Uses<'u> = BTreeMap<&'u Ancestor, BTreeSet<&'u Use>>;

impl Policies<'_> {
    /// Fills the status of the policies. `uses` are the backends that the routes of each ancestor refer to, resolved
    /// or not; `port_name` knows the names of ports, `has_affinity` the Services whose clients the cluster itself keeps with
    /// one endpoint.
    pub(crate) fn report<'u>(
        &mut self,
        uses: impl IntoIterator<Item = (&'u Ancestor, &'u Use)>,
        port_name: impl Fn(&Use) -> Option<Box<str>>,
        has_affinity: impl Fn(&ObjectRef) -> bool,
        status: &mut Status,
    ) {
        let mut by_ancestor = Uses::new();
        for (ancestor, used) in uses {
            by_ancestor.entry(ancestor).or_default().insert(used);
        }
        status.backend_tls_policies = self.tls.report(&by_ancestor, &port_name, |_, _, _| false);
        // Only a mesh stands where the cluster's own affinity does ([SP-8]).
        let conflict = |traffic: &Traffic, ancestor: &ObjectRef, target: &ObjectRef| {
            &*ancestor.kind == "Service" && traffic.session.is_some() && has_affinity(target)
        };
        status.backend_traffic_policies = self.traffic.report(&by_ancestor, &port_name, conflict);
    }
}

impl<V> Kind<'_, V> {
    /// `conflict` says whether a policy cannot hold for a target below an ancestor.
    fn report(
        &mut self,
        uses: &Uses<'_>,
        port_name: &impl Fn(&Use) -> Option<Box<str>>,
        conflict: impl Fn(&V, &ObjectRef, &ObjectRef) -> bool,
    ) -> Vec<ObjectStatus<PolicyStatus>> {
        let mut all = Vec::new();
        for policy in &mut self.list {
            let mut ancestors = Vec::new();
            for ((object, controller), used) in uses {
                let touched: Vec<(&Target, &Outcome)> = policy.touched(used, port_name).collect();
                if touched.is_empty() {
                    continue;
                }
                let conflicting = policy.value.as_ref().ok().and_then(|value| {
                    let (target, _) = touched.iter().find(|(target, _)| conflict(value, object, &target.0))?;
                    Some(("Invalid", format!("sessionPersistence conflicts with `sessionAffinity` of {}", target.0)))
                });
                ancestors.push(PolicyAncestorStatus {
                    ancestor_ref: ancestor(object),
                    controller_name: controller.to_string(),
                    conditions: policy.conditions(&touched, conflicting),
                });
            }
            if ancestors.len() > LIMIT {
                let message = format!("{} Gateways use its targets, of which status has the first {LIMIT}", ancestors.len());
                policy.findings.info(Code::Limit, "", message);
                ancestors.truncate(LIMIT);
            }
            if !ancestors.is_empty() {
                all.push(ObjectStatus { object: policy.object.clone(), status: PolicyStatus { ancestors } });
            }
        }
        all.sort_by(|a, b| a.object.cmp(&b.object));
        all
    }
}

impl<V> Policy<'_, V> {
    /// The outcomes of the targetRefs that the backends in use belong to.
    fn touched<'p>(
        &'p self,
        used: &BTreeSet<&Use>,
        port_name: &impl Fn(&Use) -> Option<Box<str>>,
    ) -> impl Iterator<Item = (&'p Target, &'p Outcome)> {
        let is_used = |(object, section): &Target, outcome: &Outcome| {
            used.iter().filter(|one| one.object == *object).any(|one| match section {
                // A port that the target does not have, or that no TLS can be spoken to, is still asked of it by name ([TP-7]).
                Some(section) if !matches!(outcome, Outcome::Refused("TargetNotFound" | "Invalid", _)) => {
                    port_name(one).is_none_or(|name| name == *section)
                }
                _ => true,
            })
        };
        self.targets.iter().filter(move |(target, outcome)| is_used(target, outcome)).map(|(target, outcome)| (target, outcome))
    }

    /// `Accepted`, and for a kind with references `ResolvedRefs` ([TP-5], [P-5]). A policy is conflicted where it has
    /// lost every target that the ancestor uses ([TP-2]).
    fn conditions(&self, touched: &[(&Target, &Outcome)], conflicting: Option<(&'static str, String)>) -> Vec<Condition> {
        let generation = self.metadata.generation;
        let refused = match &self.value {
            Err((reason, message)) => Some((*reason, message.clone())),
            Ok(_) if conflicting.is_some() => conflicting,
            Ok(_) if touched.iter().any(|(_, outcome)| matches!(outcome, Outcome::Attached)) => None,
            Ok(_) => touched.iter().find_map(|(_, outcome)| match outcome {
                Outcome::Refused(reason, message) => Some((*reason, message.clone())),
                Outcome::Attached => None,
            }),
        };
        let of = |type_, result: Option<(&str, String)>, good| match result {
            Some((reason, message)) => condition(type_, false, reason, message, generation),
            None => condition(type_, true, good, "", generation),
        };
        let mut conditions = vec![of("Accepted", refused, "Accepted")];
        if let Some(resolved) = &self.resolved {
            conditions.push(of("ResolvedRefs", resolved.clone().err(), "ResolvedRefs"));
        }
        conditions
    }
}

/// An object as status names it.
pub(crate) fn ancestor(object: &ObjectRef) -> ParentReference {
    ParentReference {
        group: Some(object.group.to_string()),
        kind: Some(object.kind.to_string()),
        namespace: Some(object.namespace.to_string()),
        name: object.name.to_string(),
        ..ParentReference::default()
    }
}
