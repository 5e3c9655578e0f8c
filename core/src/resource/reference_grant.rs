//! ReferenceGrant.

use serde::{Deserialize, Serialize};

use super::meta::ObjectMeta;

/// Permits references from other namespaces into its own ([RG-2]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceGrant {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: ReferenceGrantSpec,
}

/// `spec` of a [`ReferenceGrant`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceGrantSpec {
    /// Who may refer, ORed.
    pub from: Vec<ReferenceGrantFrom>,
    /// To what, ORed.
    pub to: Vec<ReferenceGrantTo>,
}

/// One kind of referring object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceGrantFrom {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
}

/// One kind of target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceGrantTo {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
