//! HTTPRoutes and GRPCRoutes of the input, and their status ([S-9] to [S-13], [S-20]).

use std::collections::BTreeMap;

use super::attach::{self, Attachment};
use super::backend::{Backends, Referrer};
use super::findings::{Findings, condition};
use super::gateway::CheckedGateway;
use super::input::{Input, Key};
use super::rule::{self, CheckedRules, RuleContext};
use crate::diagnostic::{Code, ObjectRef};
use crate::model::hostname::Hostname;
use crate::model::namespace_of;
use crate::model::time::parse_timestamp;
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::{ObjectMeta, ParentReference};
use crate::resource::status::{RouteParentStatus, RouteStatus};
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
    let hostnames = attach::hostnames(hostnames, &mut findings);
    let age = metadata.creation_timestamp.as_deref().map(|text| {
        parse_timestamp(text).unwrap_or_else(|| {
            let message = format!("`{}` is not a time, expected RFC 3339: the route counts as the youngest", text.escape_debug());
            findings.warning(Code::InvalidValue, "metadata.creationTimestamp", message);
            i64::MAX
        })
    });
    let rank = RouteRank { age: age.unwrap_or(i64::MAX), name: 0 };
    let from = Referrer { kind, namespace };
    let rules = rules(&mut RuleContext { backends, findings: &mut findings, from, profile: input.options.profile });
    (CheckedRoute { kind, object, namespace, metadata, parents, hostnames, rank, rules }, findings)
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

impl<'r> CheckedRoute<'r> {
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

    /// `status`, one entry per parentRef that names a Gateway of this controller.
    pub(crate) fn status(&self, attachments: &[Attachment<'r>], gateways: &BTreeMap<Key<'r>, CheckedGateway<'r>>) -> RouteStatus {
        let generation = self.metadata.generation;
        let unusable = self.unusable();
        let parents = attachments.iter().map(|attachment| {
            let refused = attachment.refused.as_ref().or(unusable.as_ref());
            let accepted = match refused {
                Some((reason, message)) => condition("Accepted", false, reason, message.clone(), generation),
                None => condition("Accepted", true, "Accepted", "", generation),
            };
            let worst = self.rules.refs.iter().min_by_key(|bad| bad.problem);
            let resolved = match worst {
                Some(bad) => {
                    let all: Vec<_> = self.rules.refs.iter().map(|bad| format!("{}: {}", bad.path, bad.message)).collect();
                    condition("ResolvedRefs", false, bad.problem.reason(), all.join("; "), generation)
                }
                None => condition("ResolvedRefs", true, "ResolvedRefs", "", generation),
            };
            let mut conditions = vec![accepted, resolved];
            if refused.is_none() && !self.rules.invalid.is_empty() {
                let dropped: Vec<_> =
                    self.rules.invalid.iter().map(|(n, invalid)| format!("{n} ({}: {})", invalid.path, invalid.message)).collect();
                let message = format!("Dropped Rule {}", dropped.join(", "));
                conditions.push(condition("PartiallyInvalid", true, "UnsupportedValue", message, generation));
            }
            RouteParentStatus {
                parent_ref: ParentReference {
                    group: Some(attachment.parent.group.clone().unwrap_or_else(|| GATEWAY_GROUP.into())),
                    kind: Some(attachment.parent.kind.clone().unwrap_or_else(|| "Gateway".into())),
                    ..attachment.parent.clone()
                },
                controller_name: gateways.get(&attachment.gateway).map(|g| g.controller.to_owned()).unwrap_or_default(),
                conditions,
            }
        });
        RouteStatus { parents: parents.collect() }
    }
}
