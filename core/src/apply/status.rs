//! Writing status back: what [`compile`](crate::compile) computed is joined with what is stored ([S-1], [S-2],
//! [S-10], [P-5]). The time is an argument, as RFC 3339 text; a controller sends the result only if it differs.

use crate::resource::status::{
    Condition, GatewayClassStatus, GatewayStatus, ListenerSetStatus, ListenerStatus, PolicyAncestorStatus, PolicyStatus, RouteParentStatus,
    RouteStatus,
};

/// The types of conditions that this library writes; all others are somebody else's and stay.
const OWN: [&str; 8] = [
    "Accepted",
    "Programmed",
    "ResolvedRefs",
    "Conflicted",
    "OverlappingTLSConfig",
    "PartiallyInvalid",
    "InsecureFrontendValidationMode",
    "DefaultGateway",
];

/// Entries of a route's status at most.
const PARENTS: usize = 32;
/// Entries of a policy's status at most.
const ANCESTORS: usize = 16;

/// Joins the conditions of one list by type. `lastTransitionTime` changes only with the status; a stored condition
/// of a later generation stays, since it knows more; one that was only there to say that something was wrong goes
/// when it is no longer computed.
///
/// ```
/// use gatewright::apply::status;
/// use gatewright::resource::status::{Condition, ConditionStatus};
///
/// let computed = Condition { type_: "Accepted".into(), status: ConditionStatus::True, ..Condition::default() };
/// let first = status::conditions(&[], &[computed.clone()], "2026-01-01T00:00:00Z");
/// let second = status::conditions(&first, &[computed], "2026-01-02T00:00:00Z");
/// assert_eq!(first, second);
/// assert_eq!(second[0].last_transition_time, "2026-01-01T00:00:00Z");
/// ```
pub fn conditions(stored: &[Condition], computed: &[Condition], now: &str) -> Vec<Condition> {
    let find = |list: &[Condition], type_: &str| list.iter().find(|condition| condition.type_ == type_).cloned();
    let kept = stored.iter().filter_map(|old| match find(computed, &old.type_) {
        Some(new) => Some(condition(Some(old), new, now)),
        None if OWN.contains(&old.type_.as_str()) => None,
        None => Some(old.clone()),
    });
    let new = computed.iter().filter(|new| find(stored, &new.type_).is_none()).map(|new| condition(None, new.clone(), now));
    kept.chain(new).collect()
}

fn condition(old: Option<&Condition>, new: Condition, now: &str) -> Condition {
    match old {
        Some(old) if old.observed_generation > new.observed_generation => old.clone(),
        Some(old) if old.status == new.status && !old.last_transition_time.is_empty() => {
            Condition { last_transition_time: old.last_transition_time.clone(), ..new }
        }
        _ => Condition { last_transition_time: now.to_owned(), ..new },
    }
}

/// Joins the status of a GatewayClass or XMesh.
pub fn gateway_class(stored: &GatewayClassStatus, computed: &GatewayClassStatus, now: &str) -> GatewayClassStatus {
    GatewayClassStatus { conditions: conditions(&stored.conditions, &computed.conditions, now), ..computed.clone() }
}

/// Joins the status of a Gateway; listeners that are gone lose their entries.
pub fn gateway(stored: &GatewayStatus, computed: &GatewayStatus, now: &str) -> GatewayStatus {
    GatewayStatus {
        conditions: conditions(&stored.conditions, &computed.conditions, now),
        listeners: listeners(&stored.listeners, &computed.listeners, now),
        ..computed.clone()
    }
}

/// Joins the status of a ListenerSet; listeners that are gone lose their entries.
pub fn listener_set(stored: &ListenerSetStatus, computed: &ListenerSetStatus, now: &str) -> ListenerSetStatus {
    ListenerSetStatus {
        conditions: conditions(&stored.conditions, &computed.conditions, now),
        listeners: listeners(&stored.listeners, &computed.listeners, now),
    }
}

fn listeners(stored: &[ListenerStatus], computed: &[ListenerStatus], now: &str) -> Vec<ListenerStatus> {
    let one = |new: &ListenerStatus| {
        let old = stored.iter().find(|old| old.name == new.name).map_or(&[][..], |old| &old.conditions);
        ListenerStatus { conditions: conditions(old, &new.conditions, now), ..new.clone() }
    };
    computed.iter().map(one).collect()
}

/// Joins the status of a route: entries of other controllers stay, own ones for parents that are gone go, and there
/// are never more than 32 ([S-10]).
pub fn route(stored: &RouteStatus, computed: &RouteStatus, controller: &str, now: &str) -> RouteStatus {
    let foreign = stored.parents.iter().filter(|entry| entry.controller_name != controller).cloned();
    let own = computed.parents.iter().map(|new| {
        let old = stored.parents.iter().find(|old| old.controller_name == controller && old.parent_ref == new.parent_ref);
        let old = old.map_or(&[][..], |old| &old.conditions);
        RouteParentStatus { conditions: conditions(old, &new.conditions, now), ..new.clone() }
    });
    RouteStatus { parents: foreign.chain(own).take(PARENTS).collect() }
}

/// Joins the status of a policy: entries of other controllers stay, own ones for ancestors that are gone go, and
/// there are never more than 16 ([P-5]).
pub fn policy(stored: &PolicyStatus, computed: &PolicyStatus, controller: &str, now: &str) -> PolicyStatus {
    let foreign = stored.ancestors.iter().filter(|entry| entry.controller_name != controller).cloned();
    let own = computed.ancestors.iter().map(|new| {
        let old = stored.ancestors.iter().find(|old| old.controller_name == controller && old.ancestor_ref == new.ancestor_ref);
        let old = old.map_or(&[][..], |old| &old.conditions);
        PolicyAncestorStatus { conditions: conditions(old, &new.conditions, now), ..new.clone() }
    });
    PolicyStatus { ancestors: foreign.chain(own).take(ANCESTORS).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::meta::ParentReference;
    use crate::resource::status::ConditionStatus;

    fn one(type_: &str, holds: bool, generation: i64, time: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: if holds { ConditionStatus::True } else { ConditionStatus::False },
            observed_generation: Some(generation),
            last_transition_time: time.into(),
            ..Condition::default()
        }
    }

    /// [S-1], [S-2]
    #[test]
    fn conditions_by_type() {
        let stored = [
            one("Accepted", true, 1, "t1"),
            one("ResolvedRefs", true, 1, "t1"),
            one("PartiallyInvalid", true, 1, "t1"),
            one("example.com/Ready", true, 1, "t1"),
            one("Programmed", true, 9, "t9"),
        ];
        let computed = [
            one("Accepted", true, 2, ""),
            one("ResolvedRefs", false, 2, ""),
            one("Programmed", false, 2, ""),
            one("Conflicted", true, 2, ""),
        ];
        let joined = conditions(&stored, &computed, "now");
        assert_eq!(
            joined,
            [
                one("Accepted", true, 2, "t1"),
                one("ResolvedRefs", false, 2, "now"),
                one("example.com/Ready", true, 1, "t1"),
                one("Programmed", true, 9, "t9"),
                one("Conflicted", true, 2, "now"),
            ]
        );
        assert_eq!(conditions(&joined, &joined, "later"), joined);
    }

    /// [S-10], [P-5]
    #[test]
    fn entries_by_controller() {
        let entry = |name: &str, controller: &str, generation: i64, time: &str| RouteParentStatus {
            parent_ref: ParentReference { name: name.into(), ..ParentReference::default() },
            controller_name: controller.into(),
            conditions: vec![one("Accepted", true, generation, time)],
        };
        let stored =
            RouteStatus { parents: vec![entry("gone", "us", 1, "t1"), entry("kept", "us", 1, "t1"), entry("kept", "them", 1, "t1")] };
        let computed = RouteStatus { parents: vec![entry("kept", "us", 2, ""), entry("new", "us", 2, "")] };
        let joined = route(&stored, &computed, "us", "now");
        assert_eq!(joined.parents, [entry("kept", "them", 1, "t1"), entry("kept", "us", 2, "t1"), entry("new", "us", 2, "now")]);
        let many = RouteStatus { parents: (0..40).map(|n| entry(&n.to_string(), "us", 1, "")).collect() };
        assert_eq!(route(&stored, &many, "us", "now").parents.len(), 32);

        let ancestor = |name: &str, controller: &str| PolicyAncestorStatus {
            ancestor_ref: ParentReference { name: name.into(), ..ParentReference::default() },
            controller_name: controller.into(),
            conditions: vec![one("Accepted", true, 1, "now")],
        };
        let stored = PolicyStatus { ancestors: vec![ancestor("gone", "us"), ancestor("theirs", "them")] };
        let many = PolicyStatus { ancestors: (0..20).map(|n| ancestor(&n.to_string(), "us")).collect() };
        let joined = policy(&stored, &many, "us", "now").ancestors;
        assert_eq!((joined.len(), &*joined[0].ancestor_ref.name), (16, "theirs"));
    }

    /// Listeners are told apart by name.
    #[test]
    fn listeners_by_name() {
        let listener = |name: &str, time: &str| ListenerStatus {
            name: name.into(),
            conditions: vec![one("Accepted", true, 1, time)],
            ..ListenerStatus::default()
        };
        let stored = GatewayStatus { listeners: vec![listener("gone", "t1"), listener("kept", "t1")], ..GatewayStatus::default() };
        let computed = GatewayStatus { listeners: vec![listener("new", ""), listener("kept", "")], ..GatewayStatus::default() };
        assert_eq!(gateway(&stored, &computed, "now").listeners, [listener("new", "now"), listener("kept", "t1")]);
    }
}
