//! The names behind the ids of a decision, and what an embedder needs to serve a table.

use super::backend::Backend;
use super::host_index::HostIndex;
use super::ids::{BackendId, FrontendId, GatewayId, ListenerId, MatchId, PortId, RouteId, RuleId};
use super::parent::{ANY_PORT, FrontendInfo, GatewayInfo, ListenerInfo, PortInfo, PortProtocol};
use super::route_index::{HttpRoutes, MatchData};
use super::rule::RuleData;
use crate::canonical::KnownFields;
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::features::Feature;
use crate::options::{Choices, Chosen};

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
    /// Sorted by namespace and name of the Service, port, and consumer.
    pub(crate) frontends: Vec<FrontendInfo>,
    pub(crate) routes: Vec<RouteInfo>,
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) matches: Vec<MatchInfo>,
    pub(crate) backends: Vec<Backend>,
    /// What the table does, in the order of the ids: what stands above is what it is called.
    pub(crate) choices: Choices,
    /// The options that are not the default, for `explain`.
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) known_fields: KnownFields,
    pub(crate) hosts_of_ports: Vec<HostIndex<ListenerId>>,
    pub(crate) routes_of_listeners: Vec<ServedRoutes>,
    pub(crate) routes_of_frontends: Vec<ServedRoutes>,
    pub(crate) rule_data: Vec<RuleData>,
    pub(crate) match_data: Vec<MatchData>,
    pub(crate) parts: crate::compile::Parts,
}

/// The routes of one listener or frontend.
#[derive(Debug, Default)]
pub(crate) struct ServedRoutes {
    pub(crate) http: HostIndex<HttpRoutes>,
    /// GRPCRoute matches in order of precedence.
    pub(crate) grpc: HostIndex<Box<[MatchId]>>,
    /// Rules of TLSRoutes by server name; of several the first serves ([T-1]).
    pub(crate) tls: HostIndex<Box<[RuleId]>>,
    /// Rules of TCPRoutes or UDPRoutes; of several the first serves ([T-8]).
    pub(crate) streams: Box<[RuleId]>,
}

impl ServedRoutes {
    /// Whether the GRPCRoutes decide a request, and they alone: gRPC's content type, and one of them covers the host
    /// ([G-11]). Rules of the two kinds never mix ([G-12]).
    pub(crate) fn asks_grpc(&self, host: Option<&str>, grpc: bool) -> bool {
        grpc && self.grpc.levels(host).next().is_some()
    }
}

/// The kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RouteKind {
    /// HTTPRoute
    Http,
    /// GRPCRoute
    Grpc,
    /// TLSRoute
    Tls,
    /// TCPRoute
    Tcp,
    /// UDPRoute
    Udp,
}

impl RouteKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 5] = [Self::Http, Self::Grpc, Self::Tls, Self::Tcp, Self::Udp];

    /// The feature of the kind ([R-1]).
    pub(crate) const fn feature(self) -> Feature {
        match self {
            Self::Http => Feature::HttpRoute,
            Self::Grpc => Feature::GrpcRoute,
            Self::Tls => Feature::TlsRoute,
            Self::Tcp => Feature::TcpRoute,
            Self::Udp => Feature::UdpRoute,
        }
    }

    /// The kind as written in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
            Self::Tls => "TLSRoute",
            Self::Tcp => "TCPRoute",
            Self::Udp => "UDPRoute",
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
    /// The frontend behind an id.
    frontend, frontends: FrontendId => FrontendInfo;
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

    /// The port of this number of a Gateway that takes connections: HTTP, TLS or TCP.
    pub fn find_port(&self, gateway: GatewayId, number: u16) -> Option<&PortInfo> {
        self.inner.ports.iter().find(|p| p.gateway == gateway && p.number == number && p.protocol != PortProtocol::Udp)
    }

    /// The port of this number of a Gateway that takes UDP datagrams.
    pub fn find_udp_port(&self, gateway: GatewayId, number: u16) -> Option<&PortInfo> {
        self.inner.ports.iter().find(|p| p.gateway == gateway && p.number == number && p.protocol == PortProtocol::Udp)
    }

    /// The listener of this name that the Gateway itself has; those of ListenerSets have names of their own
    /// ([L-7]).
    pub fn find_listener(&self, gateway: GatewayId, name: &str) -> Option<&ListenerInfo> {
        self.inner.listeners.iter().find(|l| l.gateway == gateway && &*l.owner.kind == "Gateway" && &*l.name == name)
    }

    /// The listener of this name of a ListenerSet.
    pub fn find_set_listener(&self, namespace: &str, set: &str, name: &str) -> Option<&ListenerInfo> {
        let of_set = |o: &ObjectRef| &*o.kind == "ListenerSet" && &*o.namespace == namespace && &*o.name == set;
        self.inner.listeners.iter().find(|l| of_set(&l.owner) && &*l.name == name)
    }

    /// What a port of a Service is to the clients of a namespace: the consumer routes of their namespace, or else
    /// the producer routes of the Service ([A-21]). `None` when there is no route: the traffic passes through
    /// unmodified ([A-22]).
    pub fn find_frontend(&self, client_namespace: &str, namespace: &str, service: &str, port: u16) -> Option<&FrontendInfo> {
        let find = |port: u16, consumer: Option<&str>| {
            let key = (namespace, service, port, consumer);
            let at = self.inner.frontends.binary_search_by(|frontend| frontend.key().cmp(&key)).ok()?;
            self.inner.frontends.get(at)
        };
        let of = |consumer: Option<&str>| find(port, consumer).or_else(|| find(ANY_PORT, consumer));
        of(Some(client_namespace)).or_else(|| of(None))
    }

    /// What is served at a parent.
    pub(crate) fn served(&self, parent: Parent) -> Option<&ServedRoutes> {
        match parent {
            Parent::Listener(id) => self.inner.routes_of_listeners.get(usize::try_from(id.0).ok()?),
            Parent::Service(id) => self.inner.routes_of_frontends.get(usize::try_from(id.0).ok()?),
        }
    }
}
