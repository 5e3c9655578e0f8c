//! What the API server would reject: every bound of the CRDs' schemas and every one of their CEL rules, checked on
//! the resources as they were written, with the path of the field and the API's own sentence ([V-27]).
//!
//! Objects that come from an API server have passed this already; manifests in files have not. A rejected object
//! is reported, and its sound parts keep working: stage 2 leaves out what is invalid. Defaults are applied first,
//! as admission does ([R-5]). Where the channels differ, what one of them accepts is no error: what only the
//! experimental channel rejects is a warning ([R-4]).
//!
//! Not checked: `status`, which is no user's to write, and rules that compare an object with its former self
//! ("Value is immutable" of `controllerName`).

mod filter;
mod format;
mod gateway;
mod grpc_route;
mod http_route;
mod l4_route;
mod metadata;
mod once;
mod policy;
mod reference;
mod report;
mod session;

use self::report::{Path, Report};
use crate::diagnostic::Diagnostic;
use crate::resource::meta::ObjectMeta;
use crate::resource::reference_grant::ReferenceGrantSpec;
use crate::resource::{GATEWAY_GROUP, GATEWAY_X_GROUP, Resources};

pub(crate) use filter::filter_help;
pub(crate) use http_route::match_help;
pub(crate) use once::tell_once;

/// Checks every object of the Gateway API.
pub(crate) fn validate(resources: &Resources) -> Vec<Diagnostic> {
    let mut list = Vec::new();
    let mut one = |group, kind, metadata, check: &dyn Fn(&mut Report<'_>)| {
        let mut report = Report::new(group, kind, metadata, &mut list);
        metadata::check(&mut report, metadata);
        check(&mut report);
    };
    macro_rules! each {
        ($objects:ident, $group:expr, $kind:literal, $check:expr) => {
            for object in &resources.$objects {
                one($group, $kind, &object.metadata, &|report| $check(report, &object.spec));
            }
        };
    }
    for class in &resources.gateway_classes {
        let spec = &class.spec;
        one(GATEWAY_GROUP, "GatewayClass", &class.metadata, &|report| {
            gateway::class(report, &spec.controller_name, spec.parameters_ref.as_ref(), spec.description.as_deref());
        });
    }
    for mesh in &resources.meshes {
        let spec = &mesh.spec;
        one(GATEWAY_X_GROUP, "XMesh", &mesh.metadata, &|report| {
            gateway::class(report, &spec.controller_name, spec.parameters_ref.as_ref(), spec.description.as_deref());
        });
    }
    each!(gateways, GATEWAY_GROUP, "Gateway", gateway::gateway);
    each!(listener_sets, GATEWAY_GROUP, "ListenerSet", gateway::listener_set);
    each!(http_routes, GATEWAY_GROUP, "HTTPRoute", http_route::route);
    each!(grpc_routes, GATEWAY_GROUP, "GRPCRoute", grpc_route::route);
    let v1alpha2 = |kind, metadata: &ObjectMeta| resources.is_version(GATEWAY_GROUP, kind, metadata, "v1alpha2");
    for route in &resources.tls_routes {
        let old = v1alpha2("TLSRoute", &route.metadata);
        one(GATEWAY_GROUP, "TLSRoute", &route.metadata, &|report| l4_route::tls(report, &route.spec, old));
    }
    for route in &resources.tcp_routes {
        let old = v1alpha2("TCPRoute", &route.metadata);
        one(GATEWAY_GROUP, "TCPRoute", &route.metadata, &|report| l4_route::route(report, &route.spec, old));
    }
    for route in &resources.udp_routes {
        let old = v1alpha2("UDPRoute", &route.metadata);
        one(GATEWAY_GROUP, "UDPRoute", &route.metadata, &|report| l4_route::route(report, &route.spec, old));
    }
    each!(reference_grants, GATEWAY_GROUP, "ReferenceGrant", grant);
    each!(backend_tls_policies, GATEWAY_GROUP, "BackendTLSPolicy", policy::backend_tls);
    each!(backend_traffic_policies, GATEWAY_X_GROUP, "XBackendTrafficPolicy", policy::backend_traffic);
    each!(backends, GATEWAY_X_GROUP, "XBackend", policy::backend);
    list
}

fn grant(report: &mut Report<'_>, spec: &ReferenceGrantSpec) {
    let at = Path::SPEC.field("from");
    report.items(&at, &spec.from, 1, 16);
    for (n, from) in spec.from.iter().enumerate() {
        let at = at.index(n);
        report.text(&at.field("group"), &from.group, &format::GROUP);
        report.text(&at.field("kind"), &from.kind, &format::KIND);
        report.text(&at.field("namespace"), &from.namespace, &format::NAMESPACE);
    }
    let at = Path::SPEC.field("to");
    report.items(&at, &spec.to, 1, 16);
    for (n, to) in spec.to.iter().enumerate() {
        let at = at.index(n);
        report.text(&at.field("group"), &to.group, &format::GROUP);
        report.text(&at.field("kind"), &to.kind, &format::KIND);
        report.optional(&at.field("name"), to.name.as_deref(), &format::NAME);
    }
}
