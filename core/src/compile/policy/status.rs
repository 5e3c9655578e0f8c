//! Status of policies and XBackends: one entry for each Gateway, or Service of a mesh, that uses a target ([TP-7],
//! [P-5]).

use std::collections::{BTreeMap, BTreeSet};

use super::super::findings::condition;
use super::super::gateway::Gateways;
use super::super::uses::{Ancestor, Uses};
use super::{Kind, Outcome, Policies, Policy, Target, Traffic, Use};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::resource::meta::ParentReference;
use crate::resource::status::{Condition, PolicyAncestorStatus, PolicyStatus};

/// Entries at most ([P-5]).
const LIMIT: usize = 16;

/// What the status of policies depends on.
pub(crate) struct Situation<'s> {
    /// The backends that the routes of each ancestor refer to, resolved or not.
    pub(crate) uses: &'s Uses,
    pub(crate) gateways: &'s Gateways,
    /// The controller of a mesh.
    pub(crate) controller: &'s str,
    /// Knows the names of ports.
    pub(crate) port_name: &'s dyn Fn(&Use) -> Option<Box<str>>,
    /// Knows the Services whose clients the cluster itself keeps with one endpoint.
    pub(crate) has_affinity: &'s dyn Fn(&ObjectRef) -> bool,
}

/// The status of one policy, if any ancestor uses its targets; and what there is to say about it.
pub(crate) type Reported = (ObjectRef, Option<PolicyStatus>, Option<Diagnostic>);

impl Policies {
    /// The status of the BackendTLSPolicies that name one of these objects, or of all.
    pub(crate) fn report_tls(&self, named: Option<&BTreeSet<ObjectRef>>, situation: &Situation<'_>) -> Vec<Reported> {
        self.tls.report(named, situation, |_, _, _| false)
    }

    /// The same for XBackendTrafficPolicies.
    pub(crate) fn report_traffic(&self, named: Option<&BTreeSet<ObjectRef>>, situation: &Situation<'_>) -> Vec<Reported> {
        // Only a mesh stands where the cluster's own affinity does ([SP-8]).
        let conflict = |traffic: &Traffic, ancestor: &Ancestor, target: &ObjectRef| {
            matches!(ancestor, Ancestor::Service(_)) && traffic.session.is_some() && (situation.has_affinity)(target)
        };
        self.traffic.report(named, situation, conflict)
    }
}

impl<V> Kind<V> {
    fn report(
        &self,
        named: Option<&BTreeSet<ObjectRef>>,
        situation: &Situation<'_>,
        conflict: impl Fn(&V, &Ancestor, &ObjectRef) -> bool,
    ) -> Vec<Reported> {
        match named {
            None => self.list.iter().map(|policy| policy.report(situation, &conflict)).collect(),
            Some(objects) => {
                let places: BTreeSet<usize> = objects.iter().filter_map(|object| self.naming.get(object)).flatten().copied().collect();
                places.into_iter().filter_map(|n| self.list.get(n)).map(|policy| policy.report(situation, &conflict)).collect()
            }
        }
    }
}

impl<V> Policy<V> {
    /// `conflict` says whether the policy cannot hold for a target below an ancestor.
    fn report(&self, situation: &Situation<'_>, conflict: impl Fn(&V, &Ancestor, &ObjectRef) -> bool) -> Reported {
        let mut uses = BTreeMap::<&Ancestor, BTreeSet<Use>>::new();
        let objects: BTreeSet<&ObjectRef> = self.targets.iter().map(|((object, _), _)| object).collect();
        for object in objects {
            for (ancestor, port) in situation.uses.of(object) {
                uses.entry(ancestor).or_default().insert(Use { object: object.clone(), port });
            }
        }
        let mut ancestors = Vec::new();
        for (ancestor, used) in uses {
            let touched: Vec<(&Target, &Outcome)> = self.touched(&used, situation.port_name).collect();
            let Some((object, controller)) = ancestor.names(situation.gateways, situation.controller) else { continue };
            if touched.is_empty() {
                continue;
            }
            let conflicting = self.value.as_ref().ok().and_then(|value| {
                let (target, _) = touched.iter().find(|(target, _)| conflict(value, ancestor, &target.0))?;
                Some(("Invalid", format!("sessionPersistence conflicts with `sessionAffinity` of {}", target.0)))
            });
            ancestors.push(PolicyAncestorStatus {
                ancestor_ref: self::ancestor(object),
                controller_name: controller.to_owned(),
                conditions: self.conditions(&touched, conflicting),
            });
        }
        let too_many = (ancestors.len() > LIMIT).then(|| {
            let message = format!("{} Gateways use its targets, of which status has the first {LIMIT}", ancestors.len());
            Diagnostic::new(Severity::Info, Code::Limit, Some(self.object.clone()), "", message)
        });
        ancestors.truncate(LIMIT);
        (self.object.clone(), (!ancestors.is_empty()).then_some(PolicyStatus { ancestors }), too_many)
    }

    /// The outcomes of the targetRefs that the backends in use belong to.
    fn touched<'p>(
        &'p self,
        used: &BTreeSet<Use>,
        port_name: &dyn Fn(&Use) -> Option<Box<str>>,
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
        let generation = self.generation;
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
