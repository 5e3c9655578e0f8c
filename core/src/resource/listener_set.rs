//! ListenerSet.

use serde::{Deserialize, Serialize};

use super::gateway::Listener;
use super::meta::{ObjectMeta, ParentReference};
use super::status::ListenerSetStatus;

/// Further listeners for a Gateway, in a namespace of their own ([L-5]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSet {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: ListenerSetSpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ListenerSetStatus>,
}

/// `spec` of a [`ListenerSet`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerSetSpec {
    /// The Gateway; a parentRef of a ListenerSet has neither sectionName nor port.
    pub parent_ref: ParentReference,
    /// Listeners, 1 to 64.
    pub listeners: Vec<Listener>,
}
