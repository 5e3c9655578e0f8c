//! TLSRoute, TCPRoute and UDPRoute ([V-23]).

use super::format::{self, HOSTNAME};
use super::http_route::names;
use super::reference::{self, backend};
use super::report::{Path, Report};
use crate::resource::l4_route::{L4RouteRule, L4RouteSpec, TlsRouteSpec};

/// A TLSRoute; v1alpha2 allows what is no longer allowed ([R-2]).
pub(super) fn tls(report: &mut Report<'_>, spec: &TlsRouteSpec, v1alpha2: bool) {
    reference::parents(report, &spec.parent_refs);
    super::gateway::default_scope(report, &Path::SPEC.field("useDefaultGateways"), spec.use_default_gateways.as_ref());
    let at = Path::SPEC.field("hostnames");
    if spec.hostnames.is_empty() && !v1alpha2 {
        report.required(&at);
    }
    report.items(&at, &spec.hostnames, 0, 1024);
    for (n, hostname) in spec.hostnames.iter().enumerate() {
        let at = at.index(n);
        match fault(hostname).filter(|_| !v1alpha2) {
            Some(message) => report.rejected_value(&at, message, hostname),
            None => report.text(&at, hostname, &HOSTNAME),
        }
    }
    rules(report, &spec.rules, v1alpha2);
}

fn fault(hostname: &str) -> Option<&'static str> {
    let is_name = format::patterns::SUBDOMAIN.holds;
    if hostname.is_empty() {
        return None;
    }
    if hostname.parse::<std::net::IpAddr>().is_ok() {
        return Some("Hostnames cannot contain an IP");
    }
    if !hostname.contains('*') {
        return (!is_name(hostname)).then_some("Hostnames must be valid based on RFC-1123");
    }
    let wrong = !hostname.strip_prefix("*.").is_some_and(is_name);
    wrong.then_some("Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123")
}

/// A TCPRoute or UDPRoute.
pub(super) fn route(report: &mut Report<'_>, spec: &L4RouteSpec, v1alpha2: bool) {
    reference::parents(report, &spec.parent_refs);
    super::gateway::default_scope(report, &Path::SPEC.field("useDefaultGateways"), spec.use_default_gateways.as_ref());
    rules(report, &spec.rules, v1alpha2);
}

fn rules(report: &mut Report<'_>, list: &[L4RouteRule], v1alpha2: bool) {
    let at = Path::SPEC.field("rules");
    report.items(&at, list, 1, if v1alpha2 { 16 } else { 1 });
    names(report, list.iter().map(|rule| rule.name.as_deref()));
    for (n, rule) in list.iter().enumerate() {
        let at = at.index(n);
        let at = at.field("backendRefs");
        report.items(&at, &rule.backend_refs, 1, 16);
        for (n, reference) in rule.backend_refs.iter().enumerate() {
            let at = at.index(n);
            backend!(report, &at, reference);
            reference::weight(report, &at, reference.weight);
        }
    }
}
