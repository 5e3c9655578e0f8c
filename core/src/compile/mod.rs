//! From resources to a table, status and diagnostics: stage 1 to stage 3 by way of stage 2.
//!
//! Nothing here fails. What is invalid is left out or answers as the specification says, and is reported twice:
//! as a condition for controllers and as a diagnostic for people.

mod address;
mod alias;
mod attach;
mod auth;
mod backend;
mod build;
mod changes;
mod class;
mod conflict;
mod draft;
mod endpoint;
mod filter;
mod findings;
mod gate;
mod gateway;
mod input;
mod kept;
mod listener;
mod listener_set;
mod live;
mod lookup;
mod matches;
mod meet;
mod mesh;
mod policy;
mod route;
mod rule;
mod separate;
mod state;
mod status;
mod store;
mod tls;
mod traffic;
mod uses;
mod xbackend;

pub use self::changes::Changes;
pub use self::live::{Compiler, Update};
use self::lookup::{Index, Lookup};
use self::state::State;
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::options::Options;
use crate::resource::Resources;
use crate::resource::backend::XBackendStatus;
use crate::resource::status::{GatewayClassStatus, GatewayStatus, ListenerSetStatus, PolicyStatus, RouteStatus};
use crate::table::Table;
use crate::validate;

/// What [`compile`] gives.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Compiled {
    /// The table.
    pub table: Table,
    /// Status of every object this controller manages.
    pub status: Status,
    /// Findings for people.
    pub diagnostics: Vec<Diagnostic>,
}

/// Status of the objects, each list sorted by namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Status {
    /// GatewayClasses of this controller.
    pub gateway_classes: Vec<ObjectStatus<GatewayClassStatus>>,
    /// Gateways of this controller.
    pub gateways: Vec<ObjectStatus<GatewayStatus>>,
    /// HTTPRoutes that name a parent of this controller.
    pub http_routes: Vec<ObjectStatus<RouteStatus>>,
    /// ListenerSets of Gateways of this controller.
    pub listener_sets: Vec<ObjectStatus<ListenerSetStatus>>,
    /// GRPCRoutes that name a parent of this controller.
    pub grpc_routes: Vec<ObjectStatus<RouteStatus>>,
    /// TLSRoutes that name a parent of this controller.
    pub tls_routes: Vec<ObjectStatus<RouteStatus>>,
    /// TCPRoutes that name a parent of this controller.
    pub tcp_routes: Vec<ObjectStatus<RouteStatus>>,
    /// UDPRoutes that name a parent of this controller.
    pub udp_routes: Vec<ObjectStatus<RouteStatus>>,
    /// BackendTLSPolicies whose targets Gateways of this controller use.
    pub backend_tls_policies: Vec<ObjectStatus<PolicyStatus>>,
    /// XBackendTrafficPolicies whose targets Gateways of this controller use.
    pub backend_traffic_policies: Vec<ObjectStatus<PolicyStatus>>,
    /// XBackends that Gateways of this controller use.
    pub backends: Vec<ObjectStatus<XBackendStatus>>,
    /// XMeshes of this controller.
    pub meshes: Vec<ObjectStatus<GatewayClassStatus>>,
}

/// Status of one object.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ObjectStatus<S> {
    /// The object.
    pub object: ObjectRef,
    /// Its status.
    pub status: S,
}

/// Compiles resources into a table. Never fails on bad manifests: what is invalid is left out, reported, and
/// answered as the specification says. The same objects in any order give the same result.
///
/// ```
/// use gatewright::{Arrival, Authority, Decision, Options, Pick, Request, Resources, compile};
///
/// let compiled = compile(&Resources::default(), &Options::default());
/// assert!(compiled.table.gateways().is_empty());
/// ```
pub fn compile(resources: &Resources, options: &Options) -> Compiled {
    let index = Index::new(resources);
    let state = State::new(&Lookup { resources, options, index: &index });
    let (status, diagnostics) = (state.status(), state.diagnostics(validate::validate(resources)));
    Compiled { table: state.table, status, diagnostics }
}
