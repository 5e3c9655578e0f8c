//! Stage 3, **what is fast**: the compiled, immutable table.

pub(crate) mod host_index;
mod info;
pub(crate) mod precedence;
pub(crate) mod route_index;
pub(crate) mod rule;

pub use info::{
    Backend, BackendId, BackendProtocol, Endpoint, Endpoints, GatewayId, GatewayInfo, ListenerId, ListenerInfo, ListenerProtocol, MatchId,
    MatchInfo, PortId, PortInfo, RouteId, RouteInfo, RouteKind, RuleId, RuleInfo, Table,
};
pub(crate) use info::{Inner, ListenerRoutes};
