//! Filters of routes: unions, header modifiers, path modifiers, CORS, mirrors, authorization ([V-20]).

use super::format::{self, FIELD_NAME, FIELD_VALUE, ORIGIN, PATH, PRECISE_HOSTNAME, SHORT_PATH};
use super::reference::{self, backend};
use super::report::{Path, Report};
use crate::resource::filter::{
    Cors, ExternalAuth, ExternalAuthProtocol, HeaderFilter, HttpPathModifier, HttpPathModifierType, RedirectScheme, RequestMirror,
    RequestRedirect, UrlRewrite,
};
use crate::resource::grpc_route::{GrpcRouteFilter, GrpcRouteFilterType};
use crate::resource::http_route::{HttpMethod, HttpRouteFilter, HttpRouteFilterType};
use crate::resource::meta::BackendObjectReference;

/// What to write instead of filters that other gateways have.
pub(crate) fn filter_help(found: &str) -> Option<&'static str> {
    match found {
        "RequestTimeout" | "Timeout" => Some("timeouts are not a filter: use `timeouts.request` of the rule"),
        "Retry" => Some("retries are not a filter: use `retry` of the rule"),
        _ => None,
    }
}

/// The filters of an HTTPRoute rule or backendRef.
pub(super) fn http(report: &mut Report<'_>, at: &Path<'_>, list: &[HttpRouteFilter]) {
    use HttpRouteFilterType::{
        Cors, ExtensionRef, ExternalAuth, RequestHeaderModifier, RequestMirror, RequestRedirect, ResponseHeaderModifier, UrlRewrite,
    };
    report.items(at, list, 0, 16);
    let has = |type_: &HttpRouteFilterType| list.iter().any(|filter| filter.type_ == *type_);
    if has(&RequestRedirect) && has(&UrlRewrite) {
        report.rejected(at, "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both");
    }
    let types: Vec<&str> = list.iter().map(|filter| filter.type_.as_str()).collect();
    once(report, at, &types, &["CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"]);
    for (n, filter) in list.iter().enumerate() {
        let at = at.index(n);
        let type_ = filter.type_.as_str();
        known_type(report, &at, type_, HttpRouteFilterType::KNOWN);
        union(
            report,
            &at,
            type_,
            &[
                ("cors", &Cors, filter.cors.is_some()),
                ("requestHeaderModifier", &RequestHeaderModifier, filter.request_header_modifier.is_some()),
                ("responseHeaderModifier", &ResponseHeaderModifier, filter.response_header_modifier.is_some()),
                ("requestMirror", &RequestMirror, filter.request_mirror.is_some()),
                ("requestRedirect", &RequestRedirect, filter.request_redirect.is_some()),
                ("urlRewrite", &UrlRewrite, filter.url_rewrite.is_some()),
                ("extensionRef", &ExtensionRef, filter.extension_ref.is_some()),
                ("externalAuth", &ExternalAuth, filter.external_auth.is_some()),
            ]
            .map(|(member, type_, is_set)| (member, type_.as_str(), is_set)),
        );
        if let Some(field) = &filter.cors {
            cors(report, &at.field("cors"), field);
        }
        modifiers(report, &at, filter.request_header_modifier.as_ref(), filter.response_header_modifier.as_ref());
        if let Some(field) = &filter.request_mirror {
            mirror(report, &at.field("requestMirror"), field);
        }
        if let Some(field) = &filter.request_redirect {
            redirect(report, &at.field("requestRedirect"), field);
        }
        if let Some(field) = &filter.url_rewrite {
            rewrite(report, &at.field("urlRewrite"), field);
        }
        if let Some(field) = &filter.extension_ref {
            reference::local(report, &at.field("extensionRef"), field);
        }
        if let Some(field) = &filter.external_auth {
            external_auth(report, &at.field("externalAuth"), field);
        }
    }
}

/// The filters of a GRPCRoute rule or backendRef.
pub(super) fn grpc(report: &mut Report<'_>, at: &Path<'_>, list: &[GrpcRouteFilter]) {
    use GrpcRouteFilterType::{ExtensionRef, RequestHeaderModifier, RequestMirror, ResponseHeaderModifier};
    report.items(at, list, 0, 16);
    let types: Vec<&str> = list.iter().map(|filter| filter.type_.as_str()).collect();
    once(report, at, &types, &["RequestHeaderModifier", "ResponseHeaderModifier"]);
    for (n, filter) in list.iter().enumerate() {
        let at = at.index(n);
        let type_ = filter.type_.as_str();
        known_type(report, &at, type_, GrpcRouteFilterType::KNOWN);
        union(
            report,
            &at,
            type_,
            &[
                ("requestHeaderModifier", &RequestHeaderModifier, filter.request_header_modifier.is_some()),
                ("responseHeaderModifier", &ResponseHeaderModifier, filter.response_header_modifier.is_some()),
                ("requestMirror", &RequestMirror, filter.request_mirror.is_some()),
                ("extensionRef", &ExtensionRef, filter.extension_ref.is_some()),
            ]
            .map(|(member, type_, is_set)| (member, type_.as_str(), is_set)),
        );
        modifiers(report, &at, filter.request_header_modifier.as_ref(), filter.response_header_modifier.as_ref());
        if let Some(field) = &filter.request_mirror {
            mirror(report, &at.field("requestMirror"), field);
        }
        if let Some(field) = &filter.extension_ref {
            reference::local(report, &at.field("extensionRef"), field);
        }
    }
}

fn known_type(report: &mut Report<'_>, at: &Path<'_>, type_: &str, known: &[&str]) {
    let before = report.len();
    report.known(&at.field("type"), type_, known);
    report.help(before, filter_help(type_));
}

/// Filters that may stand once in a list.
fn once(report: &mut Report<'_>, at: &Path<'_>, types: &[&str], single: &[&str]) {
    for type_ in single {
        for (n, _) in types.iter().enumerate().filter(|(_, other)| *other == type_).skip(1) {
            report.rejected(&at.index(n).field("type"), format!("{type_} filter cannot be repeated"));
        }
    }
}

/// `type` names the one member that is set ([F-2]).
fn union(report: &mut Report<'_>, at: &Path<'_>, type_: &str, members: &[(&str, &str, bool)]) {
    for (member, of, is_set) in members {
        match (type_ == *of, is_set) {
            (true, false) => report.rejected(at, format!("filter.{member} must be specified for {of} filter.type")),
            (false, true) => report.rejected(&at.field(member), format!("filter.{member} must be nil if the filter.type is not {of}")),
            _ => {}
        }
    }
}

fn modifiers(report: &mut Report<'_>, at: &Path<'_>, request: Option<&HeaderFilter>, response: Option<&HeaderFilter>) {
    for (name, field) in [("requestHeaderModifier", request), ("responseHeaderModifier", response)] {
        let Some(field) = field else { continue };
        let at = at.field(name);
        for (name, list) in [("set", &field.set), ("add", &field.add)] {
            let at = at.field(name);
            report.items(&at, list, 0, 16);
            report.distinct(&at, list.iter().map(|header| header.name.as_str()));
            for (n, header) in list.iter().enumerate() {
                let at = at.index(n);
                report.text(&at.field("name"), &header.name, &FIELD_NAME);
                field_value(report, &at.field("value"), &header.value);
            }
        }
        // Names to remove have no pattern of their own.
        let at = at.field("remove");
        report.items(&at, &field.remove, 0, 16);
        report.distinct(&at, field.remove.iter().map(String::as_str));
    }
}

/// A field value: its pattern belongs to the experimental channel; octets that no message can carry are refused
/// in every channel.
pub(super) fn field_value(report: &mut Report<'_>, at: &Path<'_>, value: &str) {
    let before = report.len();
    report.text(at, value, &FIELD_VALUE);
    let pattern = &format::patterns::FIELD_VALUE;
    if report.len() > before || (pattern.holds)(value) {
        return;
    }
    let message = format!("should match '{}'", pattern.text);
    if format::is_sendable(value) {
        report.rejected_by_experimental(at, message, value);
    } else {
        report.rejected_value(at, message, value);
    }
}

fn mirror(report: &mut Report<'_>, at: &Path<'_>, field: &RequestMirror) {
    backend!(report, &at.field("backendRef"), &field.backend_ref);
    if let Some(percent) = field.percent {
        report.number(&at.field("percent"), percent, 0, 100);
    }
    if field.percent.is_some() && field.fraction.is_some() {
        report.rejected(at, "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter");
    }
    if let Some(fraction) = &field.fraction {
        let at = at.field("fraction");
        let denominator = fraction.denominator.unwrap_or(100);
        report.number(&at.field("numerator"), fraction.numerator, 0, i64::from(i32::MAX));
        report.number(&at.field("denominator"), denominator, 1, i64::from(i32::MAX));
        if fraction.numerator > denominator {
            let share = format!("{}/{denominator}", fraction.numerator);
            report.rejected_value(&at, "numerator must be less than or equal to denominator", share);
        }
    }
}

fn redirect(report: &mut Report<'_>, at: &Path<'_>, field: &RequestRedirect) {
    if let Some(scheme) = &field.scheme {
        report.known(&at.field("scheme"), scheme.as_str(), RedirectScheme::KNOWN);
    }
    report.optional(&at.field("hostname"), field.hostname.as_deref(), &PRECISE_HOSTNAME);
    report.port(&at.field("port"), field.port);
    if let Some(code) = field.status_code {
        let at = at.field("statusCode");
        report.known_or(&at, &code.to_string(), &["301", "302", "303", "307", "308"], || {
            "supported values: \"301\", \"302\", \"303\", \"307\", \"308\"".to_owned()
        });
    }
    if let Some(path) = &field.path {
        path_modifier(report, &at.field("path"), path);
    }
}

fn rewrite(report: &mut Report<'_>, at: &Path<'_>, field: &UrlRewrite) {
    report.optional(&at.field("hostname"), field.hostname.as_deref(), &PRECISE_HOSTNAME);
    if let Some(path) = &field.path {
        path_modifier(report, &at.field("path"), path);
    }
}

fn path_modifier(report: &mut Report<'_>, at: &Path<'_>, field: &HttpPathModifier) {
    report.known(&at.field("type"), field.type_.as_str(), HttpPathModifierType::KNOWN);
    for (member, type_, value) in [
        ("replaceFullPath", HttpPathModifierType::ReplaceFullPath, &field.replace_full_path),
        ("replacePrefixMatch", HttpPathModifierType::ReplacePrefixMatch, &field.replace_prefix_match),
    ] {
        match value {
            None if field.type_ == type_ => report.rejected(at, format!("{member} must be specified when type is set to '{type_}'")),
            Some(_) if field.type_ != type_ => {
                report.rejected(&at.field(member), format!("type must be '{type_}' when {member} is set"));
            }
            _ => {}
        }
        report.optional(&at.field(member), value.as_deref(), &SHORT_PATH);
    }
}

fn cors(report: &mut Report<'_>, at: &Path<'_>, field: &Cors) {
    let lonely = |report: &mut Report<'_>, at: &Path<'_>, list: &[String], what: &str, others: &str| {
        if list.len() > 1 && list.iter().any(|entry| entry == "*") {
            report.rejected(at, format!("{what} cannot contain '*' alongside other {others}"));
        }
    };
    let texts = |report: &mut Report<'_>, at: &Path<'_>, list: &[String], most: usize| {
        report.items(at, list, 0, most);
        report.distinct(at, list.iter().map(String::as_str));
    };
    let origins = at.field("allowOrigins");
    texts(report, &origins, &field.allow_origins, 64);
    lonely(report, &origins, &field.allow_origins, "AllowOrigins", "origins");
    for (n, origin) in field.allow_origins.iter().enumerate() {
        report.text(&origins.index(n), origin, &ORIGIN);
    }
    let methods = at.field("allowMethods");
    texts(report, &methods, &field.allow_methods, 9);
    lonely(report, &methods, &field.allow_methods, "AllowMethods", "methods");
    let known: Vec<&str> = HttpMethod::KNOWN.iter().copied().chain(["*"]).collect();
    for (n, method) in field.allow_methods.iter().enumerate() {
        report.known(&methods.index(n), method, &known);
    }
    let headers = at.field("allowHeaders");
    // "methods" is literal.
    lonely(report, &headers, &field.allow_headers, "AllowHeaders", "methods");
    for (at, list) in [(headers, &field.allow_headers), (at.field("exposeHeaders"), &field.expose_headers)] {
        texts(report, &at, list, 64);
        for (n, name) in list.iter().enumerate() {
            report.text(&at.index(n), name, &FIELD_NAME);
        }
    }
    if let Some(seconds) = field.max_age {
        report.number(&at.field("maxAge"), seconds, 1, i64::from(i32::MAX));
    }
}

fn external_auth(report: &mut Report<'_>, at: &Path<'_>, field: &ExternalAuth) {
    let protocol = field.protocol.as_str();
    match protocol {
        "" => report.required(&at.field("protocol")),
        _ => report.known(&at.field("protocol"), protocol, ExternalAuthProtocol::KNOWN),
    }
    for (member, of, is_set) in [("grpc", "GRPC", field.grpc.is_some()), ("http", "HTTP", field.http.is_some())] {
        match (protocol == of, is_set) {
            (true, false) => report.rejected(at, format!("{member} must be specified when protocol is set to '{of}'")),
            (false, true) => report.rejected(&at.field(member), format!("protocol must be '{of}' when {member} is set")),
            _ => {}
        }
    }
    let backend = at.field("backendRef");
    if field.backend_ref == BackendObjectReference::default() {
        report.required(&backend);
    } else {
        backend!(report, &backend, &field.backend_ref);
    }
    let names = |report: &mut Report<'_>, at: &Path<'_>, list: &[String]| {
        report.items(at, list, 0, 64);
        report.distinct(at, list.iter().map(String::as_str));
    };
    if let Some(grpc) = &field.grpc {
        names(report, &at.field("grpc").field("allowedHeaders"), &grpc.allowed_request_headers);
    }
    if let Some(http) = &field.http {
        let at = at.field("http");
        report.optional(&at.field("path"), http.path.as_deref(), &PATH);
        names(report, &at.field("allowedHeaders"), &http.allowed_request_headers);
        names(report, &at.field("allowedResponseHeaders"), &http.allowed_response_headers);
    }
}
