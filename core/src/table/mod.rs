//! Stage 3, **what is fast**: the compiled, immutable table.

mod info;

pub use info::{
    Backend, BackendId, BackendProtocol, Endpoint, Endpoints, GatewayId, GatewayInfo, ListenerId, ListenerInfo, ListenerProtocol, MatchId,
    MatchInfo, PortId, PortInfo, RouteId, RouteInfo, RouteKind, RuleId, RuleInfo, Table,
};
