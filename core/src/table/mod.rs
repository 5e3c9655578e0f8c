//! Stage 3, **what is fast**: the compiled, immutable table.

pub(crate) mod host_index;
mod ids;
mod info;
pub(crate) mod precedence;
pub(crate) mod route_index;
pub(crate) mod rule;

pub use ids::{BackendId, GatewayId, ListenerId, MatchId, PortId, RouteId, RuleId};
pub use info::{
    Backend, BackendProtocol, Endpoint, Endpoints, GatewayInfo, ListenerInfo, ListenerProtocol, MatchInfo, PortInfo, RouteInfo, RouteKind,
    RuleInfo, Table,
};
pub(crate) use info::{Inner, ListenerRoutes};
