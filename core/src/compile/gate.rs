//! Fields of features that the embedding program does not carry out: a rule that has one is invalid, and never
//! served as if the field were not there ([S-21], [A-27]).

use std::fmt;

use super::backend::View;
use super::findings::Invalid;
use crate::diagnostic::Code;
use crate::features::{Feature, Features};
use crate::resource::filter::RequestRedirect;
use crate::resource::grpc_route::GrpcRouteRule;
use crate::resource::http_route::{HttpRouteFilter, HttpRouteFilterType, HttpRouteRule};

/// The first field that is there and needs a feature that is not.
struct Used {
    view: View,
    features: Features,
    missing: Option<(Feature, String)>,
}

impl Used {
    fn new(view: View, features: Features) -> Self {
        Self { view, features, missing: None }
    }

    /// A field, if it is there, needs a feature; its path is written only when it lacks it.
    fn need(&mut self, there: bool, feature: Feature, path: fmt::Arguments<'_>) {
        let feature = if self.view == View::Mesh { in_mesh(feature) } else { feature };
        if there && self.missing.is_none() && !self.features.contains(feature) {
            self.missing = Some((feature, path.to_string()));
        }
    }

    fn check(self) -> Result<(), Invalid> {
        self.missing
            .map_or(Ok(()), |(feature, path)| Err(Invalid::value(Code::UnsupportedValue, path, format!("{feature} is not supported here"))))
    }
}

/// Whether every field of a rule belongs to a feature that is carried out.
///
/// # Errors
///
/// The first field that does not.
pub(crate) fn http(rule: &HttpRouteRule, view: View, features: Features, path: &str) -> Result<(), Invalid> {
    let mut used = Used::new(view, features);
    for (n, one) in rule.matches.iter().enumerate() {
        used.need(one.method.is_some(), Feature::HttpRouteMethodMatching, format_args!("{path}.matches[{n}].method"));
        used.need(!one.query_params.is_empty(), Feature::HttpRouteQueryParamMatching, format_args!("{path}.matches[{n}].queryParams"));
    }
    filters(&rule.filters, format_args!("{path}.filters"), &mut used);
    for (n, backend) in rule.backend_refs.iter().enumerate() {
        if backend.filters.is_empty() {
            continue;
        }
        let at = format!("{path}.backendRefs[{n}].filters");
        for (k, filter) in backend.filters.iter().enumerate() {
            let needed = match filter.type_ {
                HttpRouteFilterType::RequestHeaderModifier => Feature::HttpRouteBackendRequestHeaderModification,
                HttpRouteFilterType::RequestRedirect => Feature::HttpRouteBackendRequestRedirect,
                HttpRouteFilterType::UrlRewrite => Feature::HttpRouteBackendUrlRewrite,
                _ => continue,
            };
            used.need(true, needed, format_args!("{at}[{k}].type"));
        }
        filters(&backend.filters, format_args!("{at}"), &mut used);
    }
    if let Some(timeouts) = &rule.timeouts {
        used.need(timeouts.request.is_some(), Feature::HttpRouteRequestTimeout, format_args!("{path}.timeouts.request"));
        used.need(timeouts.backend_request.is_some(), Feature::HttpRouteBackendTimeout, format_args!("{path}.timeouts.backendRequest"));
    }
    used.need(rule.retry.is_some(), Feature::HttpRouteRetry, format_args!("{path}.retry"));
    used.need(rule.session_persistence.is_some(), Feature::HttpRouteSessionPersistence, format_args!("{path}.sessionPersistence"));
    used.check()
}

/// The same for a rule of a GRPCRoute.
///
/// # Errors
///
/// The first field that does not.
pub(crate) fn grpc(rule: &GrpcRouteRule, view: View, features: Features, path: &str) -> Result<(), Invalid> {
    let mut used = Used::new(view, features);
    used.need(rule.session_persistence.is_some(), Feature::GrpcRouteSessionPersistence, format_args!("{path}.sessionPersistence"));
    used.check()
}

fn filters(list: &[HttpRouteFilter], path: fmt::Arguments<'_>, used: &mut Used) {
    let mut mirrors = 0_u8;
    for (n, filter) in list.iter().enumerate() {
        let at = format!("{path}[{n}]");
        match filter.type_ {
            HttpRouteFilterType::ResponseHeaderModifier => {
                used.need(true, Feature::HttpRouteResponseHeaderModification, format_args!("{at}.type"));
            }
            HttpRouteFilterType::RequestRedirect => {
                let Some(field) = &filter.request_redirect else { continue };
                redirect(field, &format!("{at}.requestRedirect"), used);
            }
            HttpRouteFilterType::UrlRewrite => {
                let Some(field) = &filter.url_rewrite else { continue };
                used.need(field.hostname.is_some(), Feature::HttpRouteHostRewrite, format_args!("{at}.urlRewrite.hostname"));
                used.need(field.path.is_some(), Feature::HttpRoutePathRewrite, format_args!("{at}.urlRewrite.path"));
            }
            HttpRouteFilterType::RequestMirror => {
                mirrors = mirrors.saturating_add(1);
                used.need(true, Feature::HttpRouteRequestMirror, format_args!("{at}.type"));
                used.need(mirrors > 1, Feature::HttpRouteRequestMultipleMirrors, format_args!("{at}.type"));
                let share = filter.request_mirror.as_ref().is_some_and(|mirror| mirror.percent.is_some() || mirror.fraction.is_some());
                used.need(share, Feature::HttpRouteRequestPercentageMirror, format_args!("{at}.requestMirror"));
            }
            HttpRouteFilterType::Cors => used.need(true, Feature::HttpRouteCors, format_args!("{at}.type")),
            _ => {}
        }
    }
}

fn redirect(field: &RequestRedirect, path: &str, used: &mut Used) {
    used.need(field.scheme.is_some(), Feature::HttpRouteSchemeRedirect, format_args!("{path}.scheme"));
    used.need(field.port.is_some(), Feature::HttpRoutePortRedirect, format_args!("{path}.port"));
    used.need(field.path.is_some(), Feature::HttpRoutePathRedirect, format_args!("{path}.path"));
    let of_status = match field.status_code {
        Some(303) => Feature::HttpRoute303RedirectStatusCode,
        Some(307) => Feature::HttpRoute307RedirectStatusCode,
        Some(308) => Feature::HttpRoute308RedirectStatusCode,
        _ => return,
    };
    used.need(true, of_status, format_args!("{path}.statusCode"));
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
