//! GRPCRoute ([V-22]).

use super::format::{self, FIELD_VALUE, SHORT_PATH};
use super::http_route::{header_names, hostnames, is_known, names, total_matches, value_type};
use super::reference::{self, backend};
use super::report::{Path, Report};
use super::{filter, session};
use crate::resource::grpc_route::{GrpcMethodMatch, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec};
use crate::resource::http_route::ValueMatchType;

pub(super) fn route(report: &mut Report<'_>, spec: &GrpcRouteSpec) {
    reference::parents(report, &spec.parent_refs);
    super::gateway::default_scope(report, &Path::SPEC.field("useDefaultGateways"), spec.use_default_gateways.as_ref());
    hostnames(report, &spec.hostnames);
    let at = Path::SPEC.field("rules");
    report.items(&at, &spec.rules, 0, 16);
    total_matches(report, spec.rules.iter().map(|rule| rule.matches.len()));
    names(report, spec.rules.iter().map(|rule| rule.name.as_deref()));
    for (n, rule) in spec.rules.iter().enumerate() {
        self::rule(report, &at.index(n), rule);
    }
}

fn rule(report: &mut Report<'_>, at: &Path<'_>, rule: &GrpcRouteRule) {
    let matches = at.field("matches");
    report.items(&matches, &rule.matches, 0, 64);
    for (n, one) in rule.matches.iter().enumerate() {
        match_(report, &matches.index(n), one);
    }
    filter::grpc(report, &at.field("filters"), &rule.filters);
    let backends = at.field("backendRefs");
    report.items(&backends, &rule.backend_refs, 0, 16);
    for (n, reference) in rule.backend_refs.iter().enumerate() {
        let at = backends.index(n);
        backend!(report, &at, reference);
        reference::weight(report, &at, reference.weight);
        filter::grpc(report, &at.field("filters"), &reference.filters);
    }
    if let Some(field) = &rule.session_persistence {
        session::session(report, &at.field("sessionPersistence"), field);
    }
}

fn match_(report: &mut Report<'_>, at: &Path<'_>, one: &GrpcRouteMatch) {
    let list = at.field("headers");
    header_names(report, &list, &one.headers);
    for (n, header) in one.headers.iter().enumerate().filter(|(_, header)| is_known(header.type_.as_ref())) {
        report.text(&list.index(n).field("value"), &header.value, &FIELD_VALUE);
    }
    if let Some(field) = &one.method {
        method(report, &at.field("method"), field);
    }
}

fn method(report: &mut Report<'_>, at: &Path<'_>, field: &GrpcMethodMatch) {
    value_type(report, &at.field("type"), field.type_.as_ref());
    if field.service.is_none() && field.method.is_none() {
        report.rejected(at, "One or both of 'service' or 'method' must be specified");
    }
    let is_exact = matches!(field.type_, None | Some(ValueMatchType::Exact));
    for (member, value, pattern) in [
        ("service", field.service.as_deref(), &format::patterns::GRPC_SERVICE),
        ("method", field.method.as_deref(), &format::patterns::GRPC_METHOD),
    ] {
        let Some(value) = value else { continue };
        let at = at.field(member);
        report.text(&at, value, &SHORT_PATH);
        if is_exact && !(pattern.holds)(value) {
            let message = format!("{member} must only contain valid characters (matching {})", pattern.text);
            report.rejected_value(&at, message, value);
        }
    }
}
