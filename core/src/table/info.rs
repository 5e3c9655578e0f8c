//! The names behind the ids of a decision, and what an embedder needs to serve a table.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use http::HeaderName;

use super::backend::Backend;
use super::chunked::Chunked;
use super::host_map::HostMap;
use super::ids::{BackendId, FrontendId, GatewayId, ListenerId, MatchId, PortId, RouteId, RuleId};
use super::parent::{ANY_PORT, FrontendInfo, GatewayInfo, ListenerInfo, PortInfo, PortProtocol};
use super::path_index;
use super::precedence::{Rank, RouteRank};
use super::rule::RuleData;
use crate::canonical::KnownFields;
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::features::Feature;
use crate::model::hostname::Hostname;
use crate::model::matching::Matcher;
use crate::options::{Choices, Chosen};

/// The compiled table: immutable, shared freely between threads, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(crate) inner: Arc<Inner>,
}

/// What a table is made of. A clone shares it all, and a change copies little of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inner {
    pub(crate) parents: Arc<Parents>,
    pub(crate) choices: Choices,
    /// The header fields that matches compare, by the number that the path index has for them.
    pub(crate) names: Arc<Vec<HeaderName>>,
    pub(crate) served_listeners: Vec<Arc<ServedRoutes>>,
    pub(crate) served_frontends: Vec<Arc<ServedRoutes>>,
    pub(crate) rule_data: Chunked<RuleData>,
    /// A bit for each backend: whether it is known to have no endpoint.
    pub(crate) without_endpoints: Vec<u64>,
    pub(crate) backends: Chunked<Option<Arc<Backend>>>,
    /// Whether some backend asks for sessions.
    pub(crate) backend_sessions: bool,
    pub(crate) routes: Chunked<Option<Arc<Route>>>,
    /// Where each rule stands: its route, and its place in there.
    pub(crate) rules: Chunked<Option<PartOf<RouteId>>>,
    /// Where each match stands: its rule, and its place in there.
    pub(crate) matches: Chunked<Option<PartOf<RuleId>>>,
    pub(crate) free: Free,
}

/// Where a part of something stands: what it is a part of, and its place in there. `None` of it takes no room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartOf<T> {
    whole: T,
    next_place: NonZeroU32,
}

impl<T> PartOf<T> {
    pub(crate) fn new(whole: T, place: u32) -> Option<Self> {
        Some(Self { whole, next_place: NonZeroU32::MIN.checked_add(place)? })
    }

    pub(crate) fn parts(self) -> (T, u32) {
        (self.whole, self.next_place.get().wrapping_sub(1))
    }
}

/// Ids that no object has any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Free {
    pub(crate) routes: FreeIds,
    pub(crate) rules: FreeIds,
    pub(crate) matches: FreeIds,
}

/// Ranges of free ids by their length: a changed object mostly has as many parts as before.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreeIds(BTreeMap<u32, Vec<u32>>);

impl FreeIds {
    pub(crate) fn give(&mut self, first: u32, len: u32) {
        if len > 0 {
            self.0.entry(len).or_default().push(first);
        }
    }

    /// The first of so many free ids in a row.
    pub(crate) fn take(&mut self, len: u32) -> Option<u32> {
        let list = self.0.get_mut(&len)?;
        let first = list.pop();
        if list.is_empty() {
            self.0.remove(&len);
        }
        first
    }
}

/// What routes attach to, and what holds for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parents {
    pub(crate) gateways: Vec<GatewayInfo>,
    pub(crate) ports: Vec<PortInfo>,
    pub(crate) listeners: Vec<ListenerInfo>,
    /// Sorted by namespace and name of the Service, port, and consumer.
    pub(crate) frontends: Vec<FrontendInfo>,
    /// The listeners of each port, by hostname.
    pub(crate) hosts_of_ports: Vec<HostMap>,
    /// The options that are not the default, for `explain`.
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) known_fields: KnownFields,
}

/// A route with its rules and their matches, through every view of it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) info: RouteInfo,
    pub(crate) rank: RouteRank,
    pub(crate) first_rule: u32,
    pub(crate) first_match: u32,
    pub(crate) matches: u32,
    pub(crate) rules: Box<[Rule]>,
    /// Where it is served.
    pub(crate) sites: Box<[Site]>,
}

/// A rule of a route.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) info: RuleInfo,
    pub(crate) matchers: Box<[Matcher]>,
}

/// A hostname of a parent: where matches meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) parent: Parent,
    /// `None` is any host.
    pub(crate) hostname: Option<Hostname>,
}

/// By parent; names, then wildcards, then any host.
impl Ord for Site {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |site: &Self| (site.parent, site.hostname.is_none());
        key(self).cmp(&key(other)).then_with(|| self.hostname.cmp(&other.hostname))
    }
}

impl PartialOrd for Site {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The routes of one listener or frontend.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServedRoutes {
    /// HTTPRoute matches: a path index for each hostname.
    pub(crate) http: HostMap,
    /// GRPCRoute matches, in the same form.
    pub(crate) grpc: HostMap,
    /// Rules of TLSRoutes by server name; of several the first serves ([T-1]).
    pub(crate) tls: HostMap,
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
#[derive(Clone, Copy, Debug)]
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
                self.inner.parents.$many.get(usize::try_from(id.0).ok()?)
            }

            #[doc = concat!("All of them, in the order of their ids; see [`", stringify!($one), "`](Self::", stringify!($one), ").")]
            pub fn $many(&self) -> &[$info] {
                &self.inner.parents.$many
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
}

impl Table {
    /// The route behind an id.
    ///
    /// `None` for an id of another table.
    pub fn route(&self, id: RouteId) -> Option<&RouteInfo> {
        Some(&self.stored(id)?.info)
    }

    /// Every route, in the order of their ids.
    pub fn routes(&self) -> impl Iterator<Item = &RouteInfo> {
        self.inner.routes.iter().flatten().map(|route| &route.info)
    }

    /// The rule behind an id.
    ///
    /// `None` for an id of another table.
    pub fn rule(&self, id: RuleId) -> Option<&RuleInfo> {
        Some(&self.stored_rule(id)?.info)
    }

    /// Every rule, route by route.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.inner.routes.iter().flatten().flat_map(|route| route.rules.iter().map(|rule| &rule.info))
    }

    /// The match behind an id.
    ///
    /// `None` for an id of another table.
    pub fn match_info(&self, id: MatchId) -> Option<MatchInfo> {
        let (rule, index) = self.inner.matches.get(id.0).copied().flatten()?.parts();
        Some(MatchInfo { id, rule, index })
    }

    /// Every match, in the order of their ids.
    pub fn matches(&self) -> impl Iterator<Item = MatchInfo> {
        let info = |(n, place): (usize, &Option<PartOf<RuleId>>)| {
            let (rule, index) = (*place)?.parts();
            Some(MatchInfo { id: MatchId(u32::try_from(n).ok()?), rule, index })
        };
        self.inner.matches.iter().enumerate().filter_map(info)
    }

    /// The backend behind an id.
    ///
    /// `None` for an id of another table.
    pub fn backend(&self, id: BackendId) -> Option<&Backend> {
        self.inner.backends.get(id.0)?.as_deref()
    }

    /// Every backend, in the order of their ids.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.inner.backends.iter().flatten().map(|backend| &**backend)
    }

    pub(crate) fn stored(&self, id: RouteId) -> Option<&Route> {
        self.inner.routes.get(id.0)?.as_deref()
    }

    fn stored_rule(&self, id: RuleId) -> Option<&Rule> {
        let (route, place) = self.inner.rules.get(id.0).copied().flatten()?.parts();
        self.stored(route)?.rules.get(usize::try_from(place).ok()?)
    }

    #[inline]
    pub(crate) fn rule_data(&self, id: RuleId) -> Option<&RuleData> {
        self.inner.rule_data.get(id.0)
    }

    /// The conditions of a match.
    pub(crate) fn matcher(&self, id: MatchId) -> Option<&Matcher> {
        let info = self.match_info(id)?;
        self.stored_rule(info.rule)?.matchers.get(usize::try_from(info.index).ok()?)
    }

    /// Where a match stands in the order of precedence.
    pub(crate) fn rank(&self, id: MatchId) -> Option<Rank> {
        self.inner.rank(id)
    }

    /// Whether a backend is known to have no endpoint ([B-8]).
    #[inline]
    pub(crate) fn has_no_endpoint(&self, id: BackendId) -> bool {
        let word = usize::try_from(id.0 / 64).ok().and_then(|n| self.inner.without_endpoints.get(n));
        word.is_some_and(|word| word.wrapping_shr(id.0 % 64) & 1 == 1)
    }
}

impl Inner {
    #[inline]
    pub(crate) fn served(&self, parent: Parent) -> Option<&ServedRoutes> {
        let (list, id) = match parent {
            Parent::Listener(id) => (&self.served_listeners, id.0),
            Parent::Service(id) => (&self.served_frontends, id.0),
        };
        list.get(usize::try_from(id).ok()?).map(|served| &**served)
    }

    pub(crate) fn rank(&self, id: MatchId) -> Option<Rank> {
        let (rule, index) = self.matches.get(id.0).copied().flatten()?.parts();
        let (route, place) = self.rules.get(rule.0).copied().flatten()?.parts();
        let route = self.routes.get(route.0)?.as_deref()?;
        let rule = route.rules.get(usize::try_from(place).ok()?)?;
        Some(match rule.matchers.get(usize::try_from(index).ok()?)? {
            Matcher::Http(matcher) => Rank::http(matcher, self.choices.regex_rank, route.rank.clone(), rule.info.index, index),
            Matcher::Grpc(matcher) => Rank::grpc(matcher, route.rank.clone(), rule.info.index, index),
        })
    }
}

impl Table {
    /// The Gateway of this namespace and name.
    pub fn find_gateway(&self, namespace: &str, name: &str) -> Option<&GatewayInfo> {
        self.inner.parents.gateways.iter().find(|g| &*g.object.namespace == namespace && &*g.object.name == name)
    }

    /// The port of this number of a Gateway that takes connections: HTTP, TLS or TCP.
    pub fn find_port(&self, gateway: GatewayId, number: u16) -> Option<&PortInfo> {
        self.inner.parents.ports.iter().find(|p| p.gateway == gateway && p.number == number && p.protocol != PortProtocol::Udp)
    }

    /// The port of this number of a Gateway that takes UDP datagrams.
    pub fn find_udp_port(&self, gateway: GatewayId, number: u16) -> Option<&PortInfo> {
        self.inner.parents.ports.iter().find(|p| p.gateway == gateway && p.number == number && p.protocol == PortProtocol::Udp)
    }

    /// The listener of this name that the Gateway itself has; those of ListenerSets have names of their own
    /// ([L-7]).
    pub fn find_listener(&self, gateway: GatewayId, name: &str) -> Option<&ListenerInfo> {
        self.inner.parents.listeners.iter().find(|l| l.gateway == gateway && &*l.owner.kind == "Gateway" && &*l.name == name)
    }

    /// The listener of this name of a ListenerSet.
    pub fn find_set_listener(&self, namespace: &str, set: &str, name: &str) -> Option<&ListenerInfo> {
        let of_set = |o: &ObjectRef| &*o.kind == "ListenerSet" && &*o.namespace == namespace && &*o.name == set;
        self.inner.parents.listeners.iter().find(|l| of_set(&l.owner) && &*l.name == name)
    }

    /// What a port of a Service is to the clients of a namespace: the consumer routes of their namespace, or else
    /// the producer routes of the Service ([A-21]). `None` when there is no route: the traffic passes through
    /// unmodified ([A-22]).
    pub fn find_frontend(&self, client_namespace: &str, namespace: &str, service: &str, port: u16) -> Option<&FrontendInfo> {
        let find = |port: u16, consumer: Option<&str>| {
            let key = (namespace, service, port, consumer);
            let at = self.inner.parents.frontends.binary_search_by(|frontend| frontend.key().cmp(&key)).ok()?;
            self.inner.parents.frontends.get(at)
        };
        let of = |consumer: Option<&str>| find(port, consumer).or_else(|| find(ANY_PORT, consumer));
        of(Some(client_namespace)).or_else(|| of(None))
    }

    /// What is served at a parent.
    #[inline]
    pub(crate) fn served(&self, parent: Parent) -> Option<&ServedRoutes> {
        self.inner.served(parent)
    }

    /// The matches that meet at a place, in order of precedence: those of HTTPRoutes, then those of GRPCRoutes.
    pub(crate) fn matches_at(&self, site: &Site) -> Vec<MatchId> {
        let Some(served) = self.served(site.parent) else { return Vec::new() };
        let of = |map: &HostMap| map.get(site.hostname.as_ref()).map(|index| path_index::all(index).collect::<Vec<_>>());
        [of(&served.http), of(&served.grpc)].into_iter().flatten().flatten().collect()
    }

    /// The rules for connections at a place, in order of precedence: those of TLSRoutes, or of TCPRoutes and UDPRoutes.
    pub(crate) fn rules_at(&self, site: &Site) -> Vec<RuleId> {
        let Some(served) = self.served(site.parent) else { return Vec::new() };
        let tls = served.tls.get(site.hostname.as_ref()).map(|list| path_index::rules(list).collect::<Vec<_>>());
        let streams = if site.hostname.is_none() { &served.streams[..] } else { &[] };
        tls.into_iter().flatten().chain(streams.iter().copied()).collect()
    }

    /// Every place where something is served, in order.
    pub(crate) fn sites(&self) -> BTreeSet<Site> {
        let listeners = self.inner.parents.listeners.iter().map(|listener| Parent::Listener(listener.id));
        let parents = listeners.chain(self.inner.parents.frontends.iter().map(|frontend| Parent::Service(frontend.id)));
        let mut sites = BTreeSet::new();
        for (parent, served) in parents.filter_map(|parent| Some((parent, self.served(parent)?))) {
            let names = served.http.iter().chain(served.grpc.iter()).chain(served.tls.iter()).map(|(hostname, _)| hostname);
            sites.extend(names.map(|hostname| Site { parent, hostname }));
            if !served.streams.is_empty() {
                sites.insert(Site { parent, hostname: None });
            }
        }
        sites
    }
}
