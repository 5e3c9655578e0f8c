//! The routes of the input, of all kinds.

use super::backend::{Backends, Referrer, View};
use super::findings::Findings;
use super::listener::hostname_message;
use super::rule::{self, CheckedRules, RuleContext};
use crate::diagnostic::{Code, ObjectRef};
use crate::model::hostname::Hostname;
use crate::model::namespace_of;
use crate::model::pattern::Patterns;
use crate::model::time::parse_timestamp;
use crate::options::{NameOrder, Options};
use crate::resource::meta::{DefaultScope, ObjectMeta, ParentReference};
use crate::resource::{GATEWAY_GROUP, GrpcRoute, HttpRoute, Resources, TcpRoute, TlsRoute, UdpRoute};
use crate::table::RouteKind;
use crate::table::precedence::RouteRank;

/// A route, checked.
#[derive(Debug)]
pub(crate) struct CheckedRoute<'r> {
    pub(crate) kind: RouteKind,
    pub(crate) object: ObjectRef,
    pub(crate) namespace: &'r str,
    pub(crate) metadata: &'r ObjectMeta,
    pub(crate) parents: &'r [ParentReference],
    pub(crate) use_default_gateways: bool,
    pub(crate) hostnames: Vec<Option<Hostname>>,
    pub(crate) rank: RouteRank,
    source: Source<'r>,
}

/// A route as written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'r> {
    Http(&'r HttpRoute),
    Grpc(&'r GrpcRoute),
    Tls(&'r TlsRoute),
    Tcp(&'r TcpRoute),
    Udp(&'r UdpRoute),
}

impl Source<'_> {
    pub(crate) fn object_ref(&self) -> ObjectRef {
        let (kind, metadata) = match self {
            Self::Http(route) => (RouteKind::Http, &route.metadata),
            Self::Grpc(route) => (RouteKind::Grpc, &route.metadata),
            Self::Tls(route) => (RouteKind::Tls, &route.metadata),
            Self::Tcp(route) => (RouteKind::Tcp, &route.metadata),
            Self::Udp(route) => (RouteKind::Udp, &route.metadata),
        };
        ObjectRef::new(GATEWAY_GROUP, kind.as_str(), namespace_of(metadata), &metadata.name)
    }
}

/// What the kinds of routes have in common.
struct Head<'r> {
    kind: RouteKind,
    metadata: &'r ObjectMeta,
    parents: &'r [ParentReference],
    use_default_gateways: Option<&'r DefaultScope>,
    hostnames: &'r [String],
}

/// The routes of the input, ordered by kind, namespace and name.
pub(crate) fn all(resources: &Resources) -> impl Iterator<Item = Source<'_>> {
    let http = by_name(&resources.http_routes, |r| &r.metadata).into_iter().map(Source::Http);
    let grpc = by_name(&resources.grpc_routes, |r| &r.metadata).into_iter().map(Source::Grpc);
    let tls = by_name(&resources.tls_routes, |r| &r.metadata).into_iter().map(Source::Tls);
    let tcp = by_name(&resources.tcp_routes, |r| &r.metadata).into_iter().map(Source::Tcp);
    let udp = by_name(&resources.udp_routes, |r| &r.metadata).into_iter().map(Source::Udp);
    http.chain(grpc).chain(tls).chain(tcp).chain(udp)
}

/// By namespace and name: no result depends on the order of the input.
fn by_name<T>(list: &[T], metadata: impl Fn(&T) -> &ObjectMeta) -> Vec<&T> {
    let mut sorted: Vec<&T> = list.iter().collect();
    let compare = |a: &T, b: &T| {
        let (a, b) = (metadata(a), metadata(b));
        (namespace_of(a), &a.name).cmp(&(namespace_of(b), &b.name))
    };
    sorted.sort_by(|a, b| compare(a, b));
    sorted.dedup_by(|b, a| compare(a, b).is_eq());
    sorted
}

macro_rules! head {
    ($kind:expr, $route:expr, $hostnames:expr) => {
        Head {
            kind: $kind,
            metadata: &$route.metadata,
            parents: &$route.spec.parent_refs,
            use_default_gateways: $route.spec.use_default_gateways.as_ref(),
            hostnames: $hostnames,
        }
    };
}

/// Reads a route but for its rules.
pub(crate) fn check(source: Source<'_>, order: NameOrder) -> (CheckedRoute<'_>, Findings) {
    let head = match source {
        Source::Http(route) => head!(RouteKind::Http, route, &route.spec.hostnames),
        Source::Grpc(route) => head!(RouteKind::Grpc, route, &route.spec.hostnames),
        Source::Tls(route) => head!(RouteKind::Tls, route, &route.spec.hostnames),
        Source::Tcp(route) => head!(RouteKind::Tcp, route, &[]),
        Source::Udp(route) => head!(RouteKind::Udp, route, &[]),
    };
    let Head { kind, metadata, parents, .. } = head;
    let namespace = namespace_of(metadata);
    let object = ObjectRef::new(GATEWAY_GROUP, kind.as_str(), namespace, &metadata.name);
    let mut findings = Findings::new(object.clone());
    let hostnames = effective_hostnames(head.hostnames, &mut findings);
    let age = metadata.creation_timestamp.as_deref().map(|text| {
        parse_timestamp(text).unwrap_or_else(|| {
            let message = format!("`{}` is not a time, expected RFC 3339: the route counts as the youngest", text.escape_debug());
            findings.warning(Code::InvalidValue, "metadata.creationTimestamp", message);
            i64::MAX
        })
    });
    let rank = RouteRank::new(age.unwrap_or(i64::MAX), namespace, &metadata.name, order);
    let use_default_gateways = head.use_default_gateways == Some(&DefaultScope::All);
    (CheckedRoute { kind, object, namespace, metadata, parents, use_default_gateways, hostnames, rank, source }, findings)
}

/// Reads `spec.hostnames`: none means any; what is no hostname is ignored ([A-8]).
fn effective_hostnames(list: &[String], findings: &mut Findings) -> Vec<Option<Hostname>> {
    if list.is_empty() {
        return vec![None];
    }
    let mut valid = Vec::with_capacity(list.len());
    for (n, text) in list.iter().enumerate() {
        match Hostname::parse(text) {
            Ok(hostname) => valid.push(Some(hostname)),
            Err(error) => {
                let message = hostname_message(text, error);
                findings.error_with(Code::InvalidValue, format!("spec.hostnames[{n}]"), message, "the hostname is ignored");
            }
        }
    }
    valid
}

impl CheckedRoute<'_> {
    /// Reads the rules as they are through one kind of parent.
    pub(crate) fn check_rules(
        &self,
        view: View,
        backends: &mut Backends<'_>,
        patterns: &mut Patterns,
        findings: &mut Findings,
        options: &Options,
    ) -> CheckedRules {
        let from = Referrer { kind: self.kind, namespace: self.namespace, name: &self.metadata.name, view };
        let mut context = RuleContext { backends, patterns, findings, from, options };
        let mut rules = match self.source {
            Source::Http(route) => rule::http(route.spec.rules.as_deref(), &mut context),
            Source::Grpc(route) => rule::grpc(&route.spec.rules, &mut context),
            Source::Tls(route) => rule::streams(&route.spec.rules, &mut context),
            Source::Tcp(route) => rule::streams(&route.spec.rules, &mut context),
            Source::Udp(route) => rule::streams(&route.spec.rules, &mut context),
        };
        rules.uses = context.backends.take_uses();
        rules
    }
}
