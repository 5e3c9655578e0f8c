//! ReferenceGrants: who may refer into which namespace ([RG-2]).

use std::collections::BTreeMap;

use crate::resource::ReferenceGrant;
use crate::resource::reference_grant::{ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo};

/// All grants of the input, by namespace.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    by_namespace: BTreeMap<Box<str>, Vec<ReferenceGrantSpec>>,
}

/// One reference from an object to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) from_group: &'a str,
    pub(crate) from_kind: &'a str,
    pub(crate) from_namespace: &'a str,
    pub(crate) to_group: &'a str,
    pub(crate) to_kind: &'a str,
    pub(crate) to_namespace: &'a str,
    pub(crate) to_name: &'a str,
}

impl Grants {
    pub(crate) fn new(grants: &[ReferenceGrant]) -> Self {
        let mut by_namespace = BTreeMap::<Box<str>, Vec<_>>::new();
        for grant in grants {
            by_namespace.entry(super::namespace_of(&grant.metadata).into()).or_default().push(grant.spec.clone());
        }
        Self { by_namespace }
    }

    /// Whether the reference stays in its namespace or a grant permits it. The one place that decides it, for
    /// every kind of reference ([R-K2]).
    pub(crate) fn permit(&self, r: &Reference<'_>) -> bool {
        let from = |f: &ReferenceGrantFrom| f.group == r.from_group && f.kind == r.from_kind && f.namespace == r.from_namespace;
        let to = |t: &ReferenceGrantTo| {
            // An empty name is no wildcard: the API server refuses it, and a permission is not guessed.
            t.group == r.to_group && t.kind == r.to_kind && t.name.as_deref().is_none_or(|name| name == r.to_name)
        };
        let permits = |grant: &ReferenceGrantSpec| grant.from.iter().any(from) && grant.to.iter().any(to);
        r.from_namespace == r.to_namespace || self.by_namespace.get(r.to_namespace).is_some_and(|grants| grants.iter().any(permits))
    }
}
