//! TLSRoute, TCPRoute and UDPRoute.

use serde::{Deserialize, Serialize};

use super::meta::{BackendRef, DefaultScope, ObjectMeta, ParentReference};
use super::status::RouteStatus;

/// A TLSRoute: TLS connections by SNI ([T-1]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsRoute {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: TlsRouteSpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RouteStatus>,
}

/// `spec` of a [`TlsRoute`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsRouteSpec {
    /// Parents to attach to ([A-1]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub parent_refs: Vec<ParentReference>,
    /// Attach to default Gateways ([N-1], experimental).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_default_gateways: Option<DefaultScope>,
    /// Server names; required in v1, optional in v1alpha2.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub hostnames: Vec<String>,
    /// Exactly one rule in v1.
    pub rules: Vec<L4RouteRule>,
}

/// A TCPRoute: connections of a port ([T-6]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpRoute {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: L4RouteSpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RouteStatus>,
}

/// A UDPRoute: datagrams of a port ([T-6]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpRoute {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: L4RouteSpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RouteStatus>,
}

/// `spec` of a [`TcpRoute`] or [`UdpRoute`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L4RouteSpec {
    /// Parents to attach to ([A-1]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub parent_refs: Vec<ParentReference>,
    /// Attach to default Gateways ([N-1], experimental).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_default_gateways: Option<DefaultScope>,
    /// Exactly one rule in v1.
    pub rules: Vec<L4RouteRule>,
}

/// The rule of a TLSRoute, TCPRoute or UDPRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L4RouteRule {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Backends, chosen by weight per connection or flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub backend_refs: Vec<BackendRef>,
}
