//! Namespaces that `allowedRoutes` lets in ([L-15]).

use std::collections::BTreeMap;

use crate::resource::Namespace;
use crate::resource::gateway::{FromNamespaces, RouteNamespaces};
use crate::resource::meta::{LabelSelector, LabelSelectorOperator, LabelSelectorRequirement};

/// Labels of the namespaces of the input.
#[derive(Debug, Default)]
pub(crate) struct NamespaceLabels {
    labels: BTreeMap<Box<str>, BTreeMap<String, String>>,
}

impl NamespaceLabels {
    pub(crate) fn new(namespaces: &[Namespace]) -> Self {
        Self { labels: namespaces.iter().map(|n| (n.metadata.name.as_str().into(), n.metadata.labels.clone())).collect() }
    }

    /// The value of a label; every cluster sets `kubernetes.io/metadata.name`.
    fn label<'l>(&'l self, namespace: &'l str, key: &str) -> Option<&'l str> {
        if key == "kubernetes.io/metadata.name" {
            return Some(namespace);
        }
        self.labels.get(namespace)?.get(key).map(String::as_str)
    }

    fn selected(&self, namespace: &str, selector: &LabelSelector) -> bool {
        let requirement = |r: &LabelSelectorRequirement| {
            let label = self.label(namespace, &r.key);
            let listed = label.is_some_and(|value| r.values.iter().any(|v| v == value));
            match r.operator {
                LabelSelectorOperator::In => listed,
                LabelSelectorOperator::NotIn => !listed,
                LabelSelectorOperator::Exists => label.is_some(),
                LabelSelectorOperator::DoesNotExist => label.is_none(),
                LabelSelectorOperator::Other(_) => false,
            }
        };
        selector.match_labels.iter().all(|(key, value)| self.label(namespace, key) == Some(value))
            && selector.match_expressions.iter().all(requirement)
    }
}

/// A valid `allowedRoutes.namespaces`.
#[derive(Clone, Debug)]
pub(crate) enum AllowedNamespaces {
    All,
    Same,
    None,
    Selector(LabelSelector),
}

impl AllowedNamespaces {
    /// Reads the field.
    ///
    /// # Errors
    ///
    /// The offending text and the field below `namespaces`, for values this version does not know.
    pub(crate) fn parse(field: Option<&RouteNamespaces>) -> Result<Self, (&'static str, String)> {
        let Some(field) = field else { return Ok(Self::Same) };
        match &field.from {
            None | Some(FromNamespaces::Same) => Ok(Self::Same),
            Some(FromNamespaces::All) => Ok(Self::All),
            Some(FromNamespaces::None) => Ok(Self::None),
            Some(FromNamespaces::Other(text)) => Err((".from", text.to_string())),
            Some(FromNamespaces::Selector) => {
                // `Selector` without a selector selects nothing; an empty selector selects everything.
                let Some(selector) = &field.selector else { return Ok(Self::None) };
                for requirement in &selector.match_expressions {
                    if let LabelSelectorOperator::Other(text) = &requirement.operator {
                        return Err((".selector.matchExpressions[].operator", text.to_string()));
                    }
                }
                Ok(Self::Selector(selector.clone()))
            }
        }
    }

    /// Whether objects of `namespace` are let in by an object in `own`.
    pub(crate) fn allow(&self, own: &str, namespace: &str, labels: &NamespaceLabels) -> bool {
        match self {
            Self::All => true,
            Self::Same => own == namespace,
            Self::None => false,
            Self::Selector(selector) => labels.selected(namespace, selector),
        }
    }
}
