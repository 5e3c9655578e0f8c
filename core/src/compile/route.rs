//! HTTPRoutes and GRPCRoutes of the input.

use super::backend::{Backends, Referrer, View};
use super::findings::Findings;
use super::input::Input;
use super::listener::hostname_message;
use super::rule::{self, CheckedRules, RuleContext};
use crate::diagnostic::{Code, ObjectRef};
use crate::model::hostname::Hostname;
use crate::model::namespace_of;
use crate::model::time::parse_timestamp;
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::{ObjectMeta, ParentReference};
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
    pub(crate) hostnames: Vec<Option<Hostname>>,
    pub(crate) rank: RouteRank,
    pub(crate) rules: CheckedRules,
}

/// Checks every route. The lists run in parallel, ordered by kind, namespace and name.
pub(crate) fn check<'r>(input: &Input<'r>, backends: &mut Backends<'_, 'r>) -> (Vec<CheckedRoute<'r>>, Vec<Findings>) {
    let mut routes = Vec::new();
    for route in by_name(&input.resources.http_routes, |r| &r.metadata) {
        let spec = &route.spec;
        let rules = |context: &mut RuleContext<'_, '_, '_>| rule::http(spec.rules.as_deref(), context);
        routes.push(one(RouteKind::Http, &route.metadata, &spec.parent_refs, &spec.hostnames, input, backends, rules));
    }
    for route in by_name(&input.resources.grpc_routes, |r| &r.metadata) {
        let spec = &route.spec;
        let rules = |context: &mut RuleContext<'_, '_, '_>| rule::grpc(&spec.rules, context);
        routes.push(one(RouteKind::Grpc, &route.metadata, &spec.parent_refs, &spec.hostnames, input, backends, rules));
    }
    let (mut routes, findings): (Vec<_>, Vec<_>) = routes.into_iter().unzip();
    rank_names(&mut routes);
    (routes, findings)
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

fn one<'r>(
    kind: RouteKind,
    metadata: &'r ObjectMeta,
    parents: &'r [ParentReference],
    hostnames: &[String],
    input: &Input<'r>,
    backends: &mut Backends<'_, 'r>,
    rules: impl FnOnce(&mut RuleContext<'_, '_, '_>) -> CheckedRules,
) -> (CheckedRoute<'r>, Findings) {
    let namespace = namespace_of(metadata);
    let object = ObjectRef::new(GATEWAY_GROUP, kind.as_str(), namespace, &metadata.name);
    let mut findings = Findings::new(object.clone());
    let hostnames = effective_hostnames(hostnames, &mut findings);
    let age = metadata.creation_timestamp.as_deref().map(|text| {
        parse_timestamp(text).unwrap_or_else(|| {
            let message = format!("`{}` is not a time, expected RFC 3339: the route counts as the youngest", text.escape_debug());
            findings.warning(Code::InvalidValue, "metadata.creationTimestamp", message);
            i64::MAX
        })
    });
    let rank = RouteRank { age: age.unwrap_or(i64::MAX), name: 0 };
    let from = Referrer { kind, namespace, name: &metadata.name, view: View::Gateway };
    let rules = rules(&mut RuleContext { backends, findings: &mut findings, from, profile: input.options.profile });
    (CheckedRoute { kind, object, namespace, metadata, parents, hostnames, rank, rules }, findings)
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
            Err(error) => findings.error(Code::InvalidValue, format!("spec.hostnames[{n}]"), hostname_message(text, error)),
        }
    }
    valid
}

/// Orders the routes by the text `namespace/name`, as the specification writes it ([U-12]).
fn rank_names(routes: &mut [CheckedRoute<'_>]) {
    let mut order: Vec<(String, usize)> =
        routes.iter().enumerate().map(|(n, route)| (format!("{}/{}", route.namespace, route.metadata.name), n)).collect();
    order.sort();
    for (place, (_, n)) in order.iter().enumerate() {
        if let Some(route) = routes.get_mut(*n) {
            route.rank.name = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }
}

impl CheckedRoute<'_> {
    /// Why no rule can be used, if so ([S-22]).
    pub(crate) fn unusable(&self) -> Option<(&'static str, String)> {
        let (_, first) = match self.rules.invalid.first() {
            Some(first) if self.rules.invalid.len() == self.rules.written => first,
            None if self.rules.written == 0 && self.kind == RouteKind::Http => {
                return Some(("UnsupportedValue", "spec.rules must have at least one rule".to_owned()));
            }
            _ => return None,
        };
        Some((first.reason, format!("{}: {}", first.path, first.message)))
    }
}
