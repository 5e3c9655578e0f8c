//! Fields of features that the embedding program does not carry out: a rule that has one is invalid, and never
//! served as if the field were not there ([S-21], [A-27]).

use super::backend::View;
use super::findings::Invalid;
use crate::diagnostic::Code;
use crate::features::{Feature, Features};
use crate::resource::filter::RequestRedirect;
use crate::resource::grpc_route::GrpcRouteRule;
use crate::resource::http_route::{HttpRouteFilter, HttpRouteFilterType, HttpRouteRule};

/// A field that is there, and the feature that it needs.
type Used = (bool, Feature, String);

/// Whether every field of a rule belongs to a feature that is carried out.
///
/// # Errors
///
/// The first field that does not.
pub(crate) fn http(rule: &HttpRouteRule, view: View, features: Features, path: &str) -> Result<(), Invalid> {
    let mut used: Vec<Used> = Vec::new();
    for (n, one) in rule.matches.iter().enumerate() {
        used.push((one.method.is_some(), Feature::HttpRouteMethodMatching, format!("{path}.matches[{n}].method")));
        used.push((!one.query_params.is_empty(), Feature::HttpRouteQueryParamMatching, format!("{path}.matches[{n}].queryParams")));
    }
    filters(&rule.filters, &format!("{path}.filters"), &mut used);
    for (n, backend) in rule.backend_refs.iter().enumerate() {
        let at = format!("{path}.backendRefs[{n}].filters");
        for (k, filter) in backend.filters.iter().enumerate() {
            let needed = match filter.type_ {
                HttpRouteFilterType::RequestHeaderModifier => Feature::HttpRouteBackendRequestHeaderModification,
                HttpRouteFilterType::RequestRedirect => Feature::HttpRouteBackendRequestRedirect,
                HttpRouteFilterType::UrlRewrite => Feature::HttpRouteBackendUrlRewrite,
                _ => continue,
            };
            used.push((true, needed, format!("{at}[{k}].type")));
        }
        filters(&backend.filters, &at, &mut used);
    }
    if let Some(timeouts) = &rule.timeouts {
        used.push((timeouts.request.is_some(), Feature::HttpRouteRequestTimeout, format!("{path}.timeouts.request")));
        used.push((timeouts.backend_request.is_some(), Feature::HttpRouteBackendTimeout, format!("{path}.timeouts.backendRequest")));
    }
    used.push((rule.retry.is_some(), Feature::HttpRouteRetry, format!("{path}.retry")));
    used.push((rule.session_persistence.is_some(), Feature::HttpRouteSessionPersistence, format!("{path}.sessionPersistence")));
    check(used, view, features)
}

/// The same for a rule of a GRPCRoute.
///
/// # Errors
///
/// The first field that does not.
pub(crate) fn grpc(rule: &GrpcRouteRule, view: View, features: Features, path: &str) -> Result<(), Invalid> {
    let used = (rule.session_persistence.is_some(), Feature::GrpcRouteSessionPersistence, format!("{path}.sessionPersistence"));
    check(vec![used], view, features)
}

fn filters(list: &[HttpRouteFilter], path: &str, used: &mut Vec<Used>) {
    let mut mirrors = 0_u8;
    for (n, filter) in list.iter().enumerate() {
        let at = format!("{path}[{n}]");
        match filter.type_ {
            HttpRouteFilterType::ResponseHeaderModifier => {
                used.push((true, Feature::HttpRouteResponseHeaderModification, format!("{at}.type")));
            }
            HttpRouteFilterType::RequestRedirect => {
                let Some(field) = &filter.request_redirect else { continue };
                redirect(field, &format!("{at}.requestRedirect"), used);
            }
            HttpRouteFilterType::UrlRewrite => {
                let Some(field) = &filter.url_rewrite else { continue };
                used.push((field.hostname.is_some(), Feature::HttpRouteHostRewrite, format!("{at}.urlRewrite.hostname")));
                used.push((field.path.is_some(), Feature::HttpRoutePathRewrite, format!("{at}.urlRewrite.path")));
            }
            HttpRouteFilterType::RequestMirror => {
                mirrors = mirrors.saturating_add(1);
                used.push((true, Feature::HttpRouteRequestMirror, format!("{at}.type")));
                used.push((mirrors > 1, Feature::HttpRouteRequestMultipleMirrors, format!("{at}.type")));
                let share = filter.request_mirror.as_ref().is_some_and(|mirror| mirror.percent.is_some() || mirror.fraction.is_some());
                used.push((share, Feature::HttpRouteRequestPercentageMirror, format!("{at}.requestMirror")));
            }
            HttpRouteFilterType::Cors => used.push((true, Feature::HttpRouteCors, format!("{at}.type"))),
            _ => {}
        }
    }
}

fn redirect(field: &RequestRedirect, path: &str, used: &mut Vec<Used>) {
    used.push((field.scheme.is_some(), Feature::HttpRouteSchemeRedirect, format!("{path}.scheme")));
    used.push((field.port.is_some(), Feature::HttpRoutePortRedirect, format!("{path}.port")));
    used.push((field.path.is_some(), Feature::HttpRoutePathRedirect, format!("{path}.path")));
    let of_status = match field.status_code {
        Some(303) => Feature::HttpRoute303RedirectStatusCode,
        Some(307) => Feature::HttpRoute307RedirectStatusCode,
        Some(308) => Feature::HttpRoute308RedirectStatusCode,
        _ => return,
    };
    used.push((true, of_status, format!("{path}.statusCode")));
}

/// The name of a feature in a mesh, where it has one of its own.
fn in_mesh(feature: Feature) -> Feature {
    match feature {
        Feature::HttpRouteQueryParamMatching => Feature::MeshHttpRouteQueryParamMatching,
        Feature::HttpRouteBackendRequestHeaderModification => Feature::MeshHttpRouteBackendRequestHeaderModification,
        Feature::HttpRoutePathRedirect => Feature::MeshHttpRouteRedirectPath,
        Feature::HttpRoutePortRedirect => Feature::MeshHttpRouteRedirectPort,
        Feature::HttpRoutePathRewrite => Feature::MeshHttpRouteRewritePath,
        Feature::HttpRouteSchemeRedirect => Feature::MeshHttpRouteSchemeRedirect,
        other => other,
    }
}

fn check(used: Vec<Used>, view: View, features: Features) -> Result<(), Invalid> {
    let needed = |feature| if view == View::Mesh { in_mesh(feature) } else { feature };
    let missing = used.into_iter().find(|(used, feature, _)| *used && !features.contains(needed(*feature)));
    missing.map_or(Ok(()), |(_, feature, path)| {
        Err(Invalid::value(Code::UnsupportedValue, path, format!("{} is not supported here", needed(feature))))
    })
}
