//! Stage 3, **what is fast**: the compiled, immutable table.

mod backend;
mod choose;
mod chunked;
pub(crate) mod hash;
pub(crate) mod host_map;
mod ids;
mod info;
mod parent;
pub(crate) mod path_index;
pub(crate) mod precedence;
mod reads;
pub(crate) mod rule;
pub(crate) mod slots;

pub use backend::{Backend, BackendProtocol, BackendTls, Endpoint, Endpoints, SubjectAltName, Trust};
pub use choose::NoPort;
pub use ids::{BackendId, FrontendId, GatewayId, ListenerId, MatchId, PortId, RouteId, RuleId};
pub(crate) use info::{Inner, Parents, PartOf, Route, Rule, ServedRoutes, Site};
pub use info::{MatchInfo, RouteInfo, RouteKind, RuleInfo, Table};
pub(crate) use parent::ANY_PORT;
pub use parent::{ClientValidation, FrontendInfo, GatewayInfo, ListenerInfo, ListenerProtocol, ListenerTls, PortInfo, PortProtocol};
