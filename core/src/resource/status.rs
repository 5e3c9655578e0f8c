//! `status` of the objects, one to one with the CRDs: what [`compile`](crate::compile) reports and a
//! controller writes back.

use serde::{Deserialize, Serialize};

use super::meta::ParentReference;
use super::open_enum::open_enum;

open_enum! {
    /// `status` of a [`Condition`].
    ConditionStatus {
        True = "True",
        False = "False",
        Unknown = "Unknown",
    }
}

/// A Kubernetes condition ([S-1]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Type, for instance `Accepted`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, one CamelCase word.
    pub reason: String,
    /// Why, for a person; names the field.
    pub message: String,
    /// Generation of the object the condition speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed; core has no clock, so it leaves this empty for the controller to fill.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_transition_time: String,
}

/// `status` of a GatewayClass or XMesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassStatus {
    /// Conditions ([S-7]).
    pub conditions: Vec<Condition>,
    /// Features of the implementation, sorted by name ([R-14]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_features: Vec<SupportedFeature>,
}

/// One entry of `supportedFeatures`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportedFeature {
    /// Name of the feature, for instance `HTTPRouteMethodMatching`.
    pub name: String,
}

/// `status` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Addresses in use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<GatewayStatusAddress>,
    /// Number of accepted ListenerSets ([L-19]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_listener_sets: Option<i32>,
    /// Conditions ([S-5]).
    pub conditions: Vec<Condition>,
    /// One entry per listener.
    pub listeners: Vec<ListenerStatus>,
}

/// One address of a [`GatewayStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatusAddress {
    /// Type, default `IPAddress`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// The address.
    pub value: String,
}

/// `status` of a ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSetStatus {
    /// Conditions ([L-18]).
    pub conditions: Vec<Condition>,
    /// One entry per listener.
    pub listeners: Vec<ListenerStatus>,
}

/// `status` of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerStatus {
    /// Name of the listener.
    pub name: String,
    /// Route kinds the listener serves ([L-8]).
    pub supported_kinds: Vec<RouteGroupKind>,
    /// Number of accepted routes ([L-27]).
    pub attached_routes: i32,
    /// Conditions ([S-3]).
    pub conditions: Vec<Condition>,
}

/// Group and kind of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteGroupKind {
    /// API group, default `gateway.networking.k8s.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind.
    pub kind: String,
}

/// `status` of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// One entry per parentRef that this implementation manages ([S-10]).
    #[serde(default)]
    pub parents: Vec<RouteParentStatus>,
}

/// `status` of a route towards one parent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteParentStatus {
    /// The parentRef as declared, with group and kind defaulted.
    pub parent_ref: ParentReference,
    /// The controller that wrote the entry.
    pub controller_name: String,
    /// Conditions ([S-9]).
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// `status` of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// One entry per Gateway that uses the target ([P-5]).
    #[serde(default)]
    pub ancestors: Vec<PolicyAncestorStatus>,
}

/// `status` of a policy towards one ancestor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestorStatus {
    /// The ancestor, usually a Gateway.
    pub ancestor_ref: ParentReference,
    /// The controller that wrote the entry.
    pub controller_name: String,
    /// Conditions.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
