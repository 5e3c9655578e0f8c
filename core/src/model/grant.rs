//! ReferenceGrants: who may refer into which namespace ([RG-2]).

use crate::resource::ReferenceGrant;

/// All grants of the input.
#[derive(Debug)]
pub(crate) struct Grants<'r> {
    grants: Vec<(&'r str, &'r ReferenceGrant)>,
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

impl<'r> Grants<'r> {
    pub(crate) fn new(grants: &'r [ReferenceGrant]) -> Self {
        Self { grants: grants.iter().map(|g| (super::namespace_of(&g.metadata), g)).collect() }
    }

    /// Whether the reference stays in its namespace or a grant permits it. The one place that decides it, for
    /// every kind of reference ([R-K2]).
    pub(crate) fn permit(&self, r: &Reference<'_>) -> bool {
        r.from_namespace == r.to_namespace
            || self.grants.iter().any(|(namespace, grant)| {
                let from = |f: &crate::resource::reference_grant::ReferenceGrantFrom| {
                    f.group == r.from_group && f.kind == r.from_kind && f.namespace == r.from_namespace
                };
                let to = |t: &crate::resource::reference_grant::ReferenceGrantTo| {
                    // An empty name is no wildcard: the API server refuses it, and a permission is not guessed.
                    t.group == r.to_group && t.kind == r.to_kind && t.name.as_deref().is_none_or(|name| name == r.to_name)
                };
                *namespace == r.to_namespace && grant.spec.from.iter().any(from) && grant.spec.to.iter().any(to)
            })
    }
}
