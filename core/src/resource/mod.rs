//! Stage 1, **what users write**: serde structures one to one with the Gateway API v1.6.1 CRDs, of both
//! channels, and the Kubernetes objects that routing reads.
//!
//! Nothing here is checked beyond its shape: a resource may hold nonsense, and values this version does not
//! know survive in the `Other` variant of their enumeration. The next stage, [`model`](crate::model), is where
//! nonsense ends. Should you use this directly? Yes, if you build manifests in Rust or get them from an API
//! server as JSON; for YAML files use the loader behind the feature `yaml`.

mod open_enum;

pub mod backend;
pub mod filter;
pub mod gateway;
pub mod gateway_class;
pub mod grpc_route;
pub mod http_route;
pub mod kubernetes;
pub mod l4_route;
pub mod listener_set;
pub mod mesh;
pub mod meta;
pub mod policy;
pub mod reference_grant;
pub mod session;
pub mod status;

mod collection;

pub use backend::XBackend;
pub use collection::{Object, Resources};
pub use gateway::Gateway;
pub use gateway_class::GatewayClass;
pub use grpc_route::GrpcRoute;
pub use http_route::HttpRoute;
pub use kubernetes::{ConfigMap, EndpointSlice, Namespace, Secret, Service, ServiceImport};
pub use l4_route::{TcpRoute, TlsRoute, UdpRoute};
pub use listener_set::ListenerSet;
pub use mesh::XMesh;
pub use policy::{BackendTlsPolicy, XBackendTrafficPolicy};
pub use reference_grant::ReferenceGrant;

/// API group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// API group of the experimental kinds of the Gateway API.
pub const GATEWAY_X_GROUP: &str = "gateway.networking.x-k8s.io";

/// Reads `null` as the default value: YAML null means absent ([R-7]).
pub(crate) fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}
