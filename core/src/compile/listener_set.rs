//! ListenerSets: which Gateway takes their listeners, and in what order ([L-5], [L-17], [L-18]).

use super::conflict;
use super::findings::{Findings, Problem, condition};
use super::input::Input;
use super::listener::{self, CheckedListener};
use super::tls::Owner;
use crate::diagnostic::{Code, ObjectRef};
use crate::model::namespace_of;
use crate::model::selector::AllowedNamespaces;
use crate::model::time::parse_timestamp;
use crate::resource::status::ListenerSetStatus;
use crate::resource::{GATEWAY_GROUP, Gateway, ListenerSet};

/// A ListenerSet of a Gateway of this controller.
#[derive(Debug)]
pub(crate) struct CheckedSet {
    pub(crate) object: ObjectRef,
    generation: Option<i64>,
    /// Why it adds no listener.
    refused: Option<Problem>,
    /// Its place among the sets of its Gateway.
    index: usize,
}

impl CheckedSet {
    /// Whether it adds listeners, at least one of them valid: unlike a Gateway's, a listener without a usable
    /// certificate does not count ([L-40]).
    pub(crate) fn accepted(&self, all: &[CheckedListener]) -> bool {
        self.refused.is_none() && self.listeners(all).any(|(_, listener)| listener.programmed())
    }

    /// Its listeners among those of its Gateway, with their places there.
    pub(crate) fn listeners<'g>(&self, all: &'g [CheckedListener]) -> impl Iterator<Item = (usize, &'g CheckedListener)> + use<'g> {
        let index = self.index;
        all.iter().enumerate().filter(move |(_, listener)| listener.set == Some(index))
    }

    /// `status`, with the number of attached routes of each listener of the Gateway.
    pub(crate) fn status(&self, all: &[CheckedListener], attached: &[usize]) -> ListenerSetStatus {
        let generation = self.generation;
        let both = |holds: bool, reasons: [&str; 2], message: &str| {
            ["Accepted", "Programmed"]
                .into_iter()
                .zip(reasons)
                .map(|(type_, reason)| condition(type_, holds, reason, message, generation))
                .collect::<Vec<_>>()
        };
        let invalid: Vec<&str> = self.listeners(all).filter(|(_, l)| !l.programmed()).map(|(_, l)| &*l.name).collect();
        let message = format!("spec.listeners: listeners that are not valid: {}", invalid.join(", "));
        let conditions = match &self.refused {
            Some((reason, message)) => both(false, [reason, reason], message),
            None if !self.accepted(all) => both(false, ["ListenersNotValid"; 2], &message),
            None if invalid.is_empty() => both(true, ["Accepted", "Programmed"], ""),
            None => both(true, ["ListenersNotValid", "Programmed"], &message),
        };
        let listeners = self.listeners(all).map(|(n, l)| l.status(attached.get(n).copied().unwrap_or(0), generation));
        ListenerSetStatus { conditions, listeners: listeners.collect() }
    }
}

/// Adds the listeners of every ListenerSet that names the Gateway: the oldest set first, then by the text
/// `namespace/name`; a listener that an earlier one excludes loses ([L-5]).
pub(crate) fn merge(
    (gateway, namespace): (&Gateway, &str),
    accepted: bool,
    all: &mut Vec<CheckedListener>,
    input: &Input<'_>,
    all_findings: &mut Vec<Findings>,
) -> Vec<CheckedSet> {
    let mut sets = Vec::new();
    let allowed = gateway.spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    // Without a word of the Gateway no set may attach ([L-17]).
    let allowed = match allowed {
        None => Ok(AllowedNamespaces::None),
        Some(field) if field.from.is_none() => Ok(AllowedNamespaces::None),
        field => AllowedNamespaces::parse(field),
    };
    for set in of_gateway(namespace, &gateway.metadata.name, input) {
        let key = (namespace_of(&set.metadata), set.metadata.name.as_str());
        let object = ObjectRef::new(GATEWAY_GROUP, "ListenerSet", key.0, key.1);
        let mut findings = Findings::new(object.clone());
        let let_in = allowed.as_ref().is_ok_and(|allowed| allowed.allow(namespace, key.0, &input.lookup.index.namespaces));
        let refused = if !accepted {
            Some(("ParentNotAccepted", "spec.parentRef: the Gateway is not accepted".to_owned()))
        } else if !let_in {
            Some(("NotAllowed", "spec.parentRef: the Gateway lets no ListenerSet of this namespace in (`allowedListeners`)".to_owned()))
        } else {
            None
        };
        let index = sets.len();
        match &refused {
            Some((_, message)) => findings.error(Code::NotAttached, "spec.parentRef", message.clone()),
            None => {
                let owner = Owner { kind: "ListenerSet", namespace: key.0 };
                let of = (gateway, namespace);
                let mut listeners = listener::check(&set.spec.listeners, owner, Some(index), of, input, &mut findings);
                let features = input.options.features;
                let lost = conflict::with_earlier(&listeners, all, features);
                let gone: Vec<bool> = lost.iter().map(Option::is_some).collect();
                let inner = conflict::within(&listeners, &gone, features);
                let conflicts = lost.into_iter().zip(inner).map(|(lost, inner)| lost.or(inner)).collect();
                conflict::exclude(&mut listeners, all, conflicts, features, &mut findings);
                all.append(&mut listeners);
            }
        }
        sets.push(CheckedSet { object, generation: set.metadata.generation, refused, index });
        all_findings.push(findings);
    }
    sets
}

/// The sets that name a Gateway, in order of precedence.
fn of_gateway<'r>(namespace: &str, name: &str, input: &Input<'r>) -> Vec<&'r ListenerSet> {
    let mut sets: Vec<&ListenerSet> = input.listener_sets.get(&(namespace, name)).cloned().unwrap_or_default();
    // Without a time of creation a set is the youngest, as a route is ([R-10]).
    sets.sort_by_cached_key(|set| {
        let age = set.metadata.creation_timestamp.as_deref().and_then(parse_timestamp).unwrap_or(i64::MAX);
        (age, format!("{}/{}", namespace_of(&set.metadata), set.metadata.name))
    });
    sets
}
