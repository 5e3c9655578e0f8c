//! Routes of every kind in one form.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use gatewright::Resources;
use gatewright::resource::grpc_route::{GrpcRouteFilter, GrpcRouteFilterType, GrpcRouteMatch, GrpcRouteRule};
use gatewright::resource::http_route::{HttpRouteFilter, HttpRouteFilterType, HttpRouteMatch, HttpRouteRule, HttpRouteTimeouts};
use gatewright::resource::l4_route::L4RouteRule;
use gatewright::resource::meta::{ObjectMeta, ParentReference};

use super::faults::{Fault, fault};
use super::matching::Match;
use super::references::{Ref, created, name_of, reference};

/// A route.
#[derive(Clone, Debug)]
pub(super) struct Route<'r> {
    pub(super) kind: &'static str,
    pub(super) namespace: &'r str,
    pub(super) name: &'r str,
    pub(super) created: String,
    pub(super) parents: &'r [ParentReference],
    pub(super) hostnames: &'r [String],
    pub(super) rules: Vec<Rule<'r>>,
}

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule<'r> {
    pub(super) matches: Vec<Match>,
    pub(super) filters: Vec<HttpRouteFilter>,
    pub(super) backends: Vec<BackendRef<'r>>,
    pub(super) timeouts: HttpRouteTimeouts,
    /// What is wrong with it.
    pub(super) fault: Option<Fault>,
}

/// A backendRef of a rule.
#[derive(Clone, Debug)]
pub(super) struct BackendRef<'r> {
    pub(super) to: Ref<'r>,
    pub(super) weight: i32,
    pub(super) filters: Vec<HttpRouteFilter>,
}

impl<'r> Route<'r> {
    fn new(
        kind: &'static str,
        meta: &'r ObjectMeta,
        parents: &'r [ParentReference],
        hostnames: &'r [String],
        rules: Vec<Rule<'r>>,
    ) -> Self {
        let (namespace, name) = name_of(meta);
        Self { kind, namespace, name, created: created(meta), parents, hostnames, rules }
    }

    /// As a decision names it.
    pub(super) fn text(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// Age and the text `namespace/name`, which break ties ([M-20] steps 8 and 9).
    pub(super) fn rank(&self) -> (String, String) {
        (self.created.clone(), format!("{}/{}", self.namespace, self.name))
    }

    /// Every reason why no rule can be carried out ([S-22]); empty if one can.
    pub(super) fn unusable(&self) -> BTreeSet<&'static str> {
        if self.rules.iter().any(|rule| rule.fault.is_none()) {
            return BTreeSet::new();
        }
        // No rule serves nothing for GRPCRoutes ([U-27]), and is one too few for all others ([R-6]).
        if self.rules.is_empty() && self.kind != "GRPCRoute" {
            return BTreeSet::from(["UnsupportedValue"]);
        }
        self.rules.iter().filter_map(|rule| rule.fault.as_ref()).flat_map(|fault| fault.reasons.iter().copied()).collect()
    }
}

/// All routes.
pub(super) fn all(resources: &Resources) -> Vec<Route<'_>> {
    /// What absent rules mean ([R-5]).
    static EVERYTHING: LazyLock<[HttpRouteRule; 1]> = LazyLock::new(Default::default);
    let mut all = Vec::new();
    for route in &resources.http_routes {
        let spec = &route.spec;
        let rules = spec.rules.as_deref().unwrap_or(&*EVERYTHING).iter().map(http_rule).collect();
        all.push(Route::new("HTTPRoute", &route.metadata, &spec.parent_refs, &spec.hostnames, rules));
    }
    for route in &resources.grpc_routes {
        let spec = &route.spec;
        let rules = spec.rules.iter().map(grpc_rule).collect();
        all.push(Route::new("GRPCRoute", &route.metadata, &spec.parent_refs, &spec.hostnames, rules));
    }
    for route in &resources.tls_routes {
        let spec = &route.spec;
        all.push(Route::new("TLSRoute", &route.metadata, &spec.parent_refs, &spec.hostnames, spec.rules.iter().map(stream_rule).collect()));
    }
    for route in &resources.tcp_routes {
        all.push(Route::new("TCPRoute", &route.metadata, &route.spec.parent_refs, &[], route.spec.rules.iter().map(stream_rule).collect()));
    }
    for route in &resources.udp_routes {
        all.push(Route::new("UDPRoute", &route.metadata, &route.spec.parent_refs, &[], route.spec.rules.iter().map(stream_rule).collect()));
    }
    all
}

/// The rule of a TLSRoute, TCPRoute or UDPRoute has neither matches nor filters.
fn stream_rule(rule: &L4RouteRule) -> Rule<'_> {
    let backends = rule.backend_refs.iter().map(|b| BackendRef { to: reference!(b), weight: b.weight.unwrap_or(1), filters: Vec::new() });
    Rule { matches: Vec::new(), filters: Vec::new(), backends: backends.collect(), timeouts: HttpRouteTimeouts::default(), fault: None }
}

fn http_rule(rule: &HttpRouteRule) -> Rule<'_> {
    let matches = if rule.matches.is_empty() { vec![HttpRouteMatch::default()] } else { rule.matches.clone() };
    let backends =
        rule.backend_refs.iter().map(|b| BackendRef { to: reference!(b), weight: b.weight.unwrap_or(1), filters: b.filters.clone() });
    judged(Rule {
        matches: matches.into_iter().map(Match::Http).collect(),
        filters: rule.filters.clone(),
        backends: backends.collect(),
        timeouts: rule.timeouts.clone().unwrap_or_default(),
        fault: None,
    })
}

fn grpc_rule(rule: &GrpcRouteRule) -> Rule<'_> {
    let matches = if rule.matches.is_empty() { vec![GrpcRouteMatch::default()] } else { rule.matches.clone() };
    let backends = rule.backend_refs.iter().map(|b| BackendRef {
        to: reference!(b),
        weight: b.weight.unwrap_or(1),
        filters: b.filters.iter().map(like_http).collect(),
    });
    judged(Rule {
        matches: matches.into_iter().map(Match::Grpc).collect(),
        filters: rule.filters.iter().map(like_http).collect(),
        backends: backends.collect(),
        timeouts: HttpRouteTimeouts::default(),
        fault: None,
    })
}

/// The filters of GRPCRoutes are some of those of HTTPRoutes ([G-14]).
fn like_http(filter: &GrpcRouteFilter) -> HttpRouteFilter {
    HttpRouteFilter {
        type_: match &filter.type_ {
            GrpcRouteFilterType::RequestHeaderModifier => HttpRouteFilterType::RequestHeaderModifier,
            GrpcRouteFilterType::ResponseHeaderModifier => HttpRouteFilterType::ResponseHeaderModifier,
            GrpcRouteFilterType::RequestMirror => HttpRouteFilterType::RequestMirror,
            GrpcRouteFilterType::ExtensionRef => HttpRouteFilterType::ExtensionRef,
            GrpcRouteFilterType::Other(other) => HttpRouteFilterType::Other(other.clone()),
        },
        request_header_modifier: filter.request_header_modifier.clone(),
        response_header_modifier: filter.response_header_modifier.clone(),
        request_mirror: filter.request_mirror.clone(),
        extension_ref: filter.extension_ref.clone(),
        ..HttpRouteFilter::default()
    }
}

fn judged(mut rule: Rule<'_>) -> Rule<'_> {
    rule.fault = fault(&rule);
    rule
}
