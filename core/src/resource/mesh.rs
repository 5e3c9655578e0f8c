//! XMesh.

use serde::{Deserialize, Serialize};

use super::meta::{ObjectMeta, ObjectReference};
use super::status::GatewayClassStatus;

/// A mesh: names the controller that implements it ([S-8], experimental).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XMesh {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: XMeshSpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<GatewayClassStatus>,
}

/// `spec` of an [`XMesh`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XMeshSpec {
    /// Domain-prefixed path of the controller, immutable.
    pub controller_name: String,
    /// Controller-specific configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<ObjectReference>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
