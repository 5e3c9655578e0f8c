//! The names behind the ids of a decision, and what an embedder needs to serve a table.

use std::fmt;
use std::net::IpAddr;

use super::host_index::HostIndex;
use super::ids::{BackendId, GatewayId, ListenerId, MatchId, PortId, RouteId, RuleId};
use super::route_index::{HttpRoutes, MatchData};
use super::rule::RuleData;
use crate::diagnostic::ObjectRef;
use crate::model::filter::Scheme;
use crate::options::Profile;

/// The compiled table: immutable, shared freely between threads, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(crate) inner: std::sync::Arc<Inner>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) gateways: Vec<GatewayInfo>,
    pub(crate) ports: Vec<PortInfo>,
    pub(crate) listeners: Vec<ListenerInfo>,
    pub(crate) routes: Vec<RouteInfo>,
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) matches: Vec<MatchInfo>,
    pub(crate) backends: Vec<Backend>,
    /// What the table does, in the order of the ids: what stands above is what it is called.
    pub(crate) profile: Profile,
    pub(crate) hosts_of_ports: Vec<HostIndex<ListenerId>>,
    pub(crate) routes_of_listeners: Vec<ListenerRoutes>,
    pub(crate) rule_data: Vec<RuleData>,
    pub(crate) match_data: Vec<MatchData>,
}

/// The routes of one listener. No host is served by both kinds ([G-12]).
#[derive(Debug, Default)]
pub(crate) struct ListenerRoutes {
    pub(crate) http: HostIndex<HttpRoutes>,
    /// GRPCRoute matches in order of precedence.
    pub(crate) grpc: HostIndex<Box<[MatchId]>>,
}

/// A Gateway.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayInfo {
    /// Its id.
    pub id: GatewayId,
    /// Its name.
    pub object: ObjectRef,
    /// Its ports, ascending.
    pub ports: Vec<PortId>,
}

/// A port of a Gateway.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortInfo {
    /// Its id.
    pub id: PortId,
    /// The Gateway.
    pub gateway: GatewayId,
    /// The number.
    pub number: u16,
    /// What the port speaks.
    pub protocol: ListenerProtocol,
    /// Its accepted listeners.
    pub listeners: Vec<ListenerId>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenerProtocol {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
}

impl ListenerProtocol {
    /// The scheme of requests on such a listener.
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Http => Scheme::Http,
            Self::Https => Scheme::Https,
        }
    }
}

/// An accepted listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerInfo {
    /// Its id.
    pub id: ListenerId,
    /// The Gateway.
    pub gateway: GatewayId,
    /// Its name.
    pub name: Box<str>,
    /// The port it is on.
    pub port: PortId,
    /// Its hostname; `None` accepts any host.
    pub hostname: Option<Box<str>>,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Whether it can be served: false when a certificate is missing ([L-11]).
    pub programmed: bool,
}

/// The kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RouteKind {
    /// HTTPRoute
    Http,
    /// GRPCRoute
    Grpc,
}

impl RouteKind {
    /// The kind as written in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
        }
    }
}

/// A route.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteInfo {
    /// Its id.
    pub id: RouteId,
    /// Its kind.
    pub kind: RouteKind,
    /// Its name.
    pub object: ObjectRef,
}

/// A rule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleInfo {
    /// Its id.
    pub id: RuleId,
    /// Its route.
    pub route: RouteId,
    /// Its index in `spec.rules`.
    pub index: u32,
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
}

/// A match.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchInfo {
    /// Its id.
    pub id: MatchId,
    /// Its rule.
    pub rule: RuleId,
    /// Its index in `matches`; 0 for the match of a rule that has none.
    pub index: u32,
}

/// A resolved backendRef.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Its id.
    pub id: BackendId,
    /// The Service or ServiceImport.
    pub object: ObjectRef,
    /// The port of the Service.
    pub port: u16,
    /// What to speak to it ([B-11]).
    pub protocol: BackendProtocol,
    /// Where it is.
    pub endpoints: Endpoints,
}

/// What to speak to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendProtocol {
    /// HTTP/1.1; upgrades are allowed.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
}

impl BackendProtocol {
    /// A stable word for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
        }
    }
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// The input has no EndpointSlice of the Service: find it by its DNS name.
    Unknown,
    /// The ready endpoints of its EndpointSlices; never empty in a `Forward` ([B-8]).
    Known(Box<[Endpoint]>),
}

/// One ready endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

macro_rules! lookups {
    ($($(#[$meta:meta])* $one:ident, $many:ident: $id:ty => $info:ty;)+) => {
        impl Table {$(
            $(#[$meta])*
            ///
            /// `None` for an id of another table.
            pub fn $one(&self, id: $id) -> Option<&$info> {
                self.inner.$many.get(usize::try_from(id.0).ok()?)
            }

            #[doc = concat!("All of them, in the order of their ids; see [`", stringify!($one), "`](Self::", stringify!($one), ").")]
            pub fn $many(&self) -> &[$info] {
                &self.inner.$many
            }
        )+}
    };
}

lookups! {
    /// The Gateway behind an id.
    gateway, gateways: GatewayId => GatewayInfo;
    /// The port behind an id.
    port, ports: PortId => PortInfo;
    /// The listener behind an id.
    listener, listeners: ListenerId => ListenerInfo;
    /// The route behind an id.
    route, routes: RouteId => RouteInfo;
    /// The rule behind an id.
    rule, rules: RuleId => RuleInfo;
    /// The match behind an id.
    match_info, matches: MatchId => MatchInfo;
    /// The backend behind an id.
    backend, backends: BackendId => Backend;
}

impl Table {
    /// The Gateway of this namespace and name.
    pub fn find_gateway(&self, namespace: &str, name: &str) -> Option<&GatewayInfo> {
        self.inner.gateways.iter().find(|g| &*g.object.namespace == namespace && &*g.object.name == name)
    }

    /// The port of this number of a Gateway.
    pub fn find_port(&self, gateway: GatewayId, number: u16) -> Option<&PortInfo> {
        self.inner.ports.iter().find(|p| p.gateway == gateway && p.number == number)
    }

    /// The listener of this name of a Gateway.
    pub fn find_listener(&self, gateway: GatewayId, name: &str) -> Option<&ListenerInfo> {
        self.inner.listeners.iter().find(|l| l.gateway == gateway && &*l.name == name)
    }
}
