//! The routes of the input, of all kinds.

use std::collections::BTreeMap;

use super::backend::{Backends, Referrer, View};
use super::findings::{Findings, Problem};
use super::input::Input;
use super::listener::hostname_message;
use super::rule::{self, CheckedRules, RuleContext};
use crate::diagnostic::{Code, ObjectRef};
use crate::model::hostname::Hostname;
use crate::model::namespace_of;
use crate::model::pattern::Patterns;
use crate::model::time::parse_timestamp;
use crate::options::NameOrder;
use crate::resource::meta::{DefaultScope, ObjectMeta, ParentReference};
use crate::resource::{GATEWAY_GROUP, GrpcRoute, HttpRoute, TcpRoute, TlsRoute, UdpRoute};
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
    /// Its rules, through each kind of parent that it has.
    pub(crate) rules: BTreeMap<View, CheckedRules>,
    source: Source<'r>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'r> {
    Http(&'r HttpRoute),
    Grpc(&'r GrpcRoute),
    Tls(&'r TlsRoute),
    Tcp(&'r TcpRoute),
    Udp(&'r UdpRoute),
}

/// What the kinds of routes have in common.
struct Head<'r> {
    kind: RouteKind,
    metadata: &'r ObjectMeta,
    parents: &'r [ParentReference],
    use_default_gateways: Option<&'r DefaultScope>,
    hostnames: &'r [String],
}

/// Reads every route but for its rules. The lists run in parallel, ordered by kind, namespace and name.
pub(crate) fn check<'r>(input: &Input<'r>) -> (Vec<CheckedRoute<'r>>, Vec<Findings>) {
    let mut sources = Vec::new();
    sources.extend(by_name(&input.resources.http_routes, |r| &r.metadata).into_iter().map(Source::Http));
    sources.extend(by_name(&input.resources.grpc_routes, |r| &r.metadata).into_iter().map(Source::Grpc));
    sources.extend(by_name(&input.resources.tls_routes, |r| &r.metadata).into_iter().map(Source::Tls));
    sources.extend(by_name(&input.resources.tcp_routes, |r| &r.metadata).into_iter().map(Source::Tcp));
    sources.extend(by_name(&input.resources.udp_routes, |r| &r.metadata).into_iter().map(Source::Udp));
    sources.into_iter().map(|source| one(source, input.options.name_order)).unzip()
}

/// By namespace and name: no result depends on the order of the input.
fn by_name<T>(list: &[T], metadata: impl Fn(&T) -> &ObjectMeta) -> Vec<&T> {
    let mut sorted: Vec<&T> = list.iter().collect();
    let key = |object: &&T| {
        let meta = metadata(object);
        (namespace_of(meta).to_owned(), meta.name.clone())
    };
    sorted.sort_by_cached_key(key);
    sorted.dedup_by(|b, a| key(a) == key(b));
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

fn one(source: Source<'_>, order: NameOrder) -> (CheckedRoute<'_>, Findings) {
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
    let rules = BTreeMap::new();
    (CheckedRoute { kind, object, namespace, metadata, parents, use_default_gateways, hostnames, rank, rules, source }, findings)
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
        &mut self,
        view: View,
        backends: &mut Backends<'_, '_>,
        patterns: &mut Patterns,
        findings: &mut Findings,
        input: &Input<'_>,
    ) {
        let from = Referrer { kind: self.kind, namespace: self.namespace, name: &self.metadata.name, view };
        let mut context = RuleContext { backends, patterns, findings, from, options: input.options };
        let mut rules = match self.source {
            Source::Http(route) => rule::http(route.spec.rules.as_deref(), &mut context),
            Source::Grpc(route) => rule::grpc(&route.spec.rules, &mut context),
            Source::Tls(route) => rule::streams(&route.spec.rules, &mut context),
            Source::Tcp(route) => rule::streams(&route.spec.rules, &mut context),
            Source::Udp(route) => rule::streams(&route.spec.rules, &mut context),
        };
        rules.uses = context.backends.take_uses();
        self.rules.insert(view, rules);
    }

    /// Why no rule can be used through a kind of parent, if so ([S-22]).
    pub(crate) fn unusable(&self, view: View) -> Option<Problem> {
        let rules = self.rules.get(&view)?;
        let (_, first) = match rules.invalid.first() {
            Some(first) if rules.invalid.len() == rules.written => first,
            // A GRPCRoute may be without rules ([U-27]).
            None if rules.written == 0 && self.kind != RouteKind::Grpc => {
                return Some(("UnsupportedValue", "spec.rules must have at least one rule".to_owned()));
            }
            _ => return None,
        };
        Some((first.reason, format!("{}: {}", first.path, first.message)))
    }
}
