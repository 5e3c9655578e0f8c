//! Filters that may guard access: ExternalAuth and ExtensionRef. What cannot be resolved is never skipped ([E-7],
//! [F-60]).

use http::{HeaderMap, HeaderName};

use super::backend::{BackendRefParts, parts};
use super::filter::Context;
use super::findings::{BadRef, Invalid, RefProblem};
use super::matches::config_path;
use crate::apply::auth::frames;
use crate::diagnostic::{Code, ObjectRef};
use crate::features::Feature;
use crate::model::auth::{AuthProtocol, ExternalAuth};
use crate::resource::filter::{self as resource, ExternalAuthProtocol};
use crate::resource::meta::LocalObjectReference;
use crate::table::RouteKind;

/// The service of an ExternalAuth filter ([E-1]); `None` when its backend does not resolve.
///
/// # Errors
///
/// A value that cannot be honoured, or a feature that the embedding program does not carry out: the rule fails closed.
pub(crate) fn external(field: &resource::ExternalAuth, path: &str, context: &mut Context<'_, '_>) -> Result<Option<ExternalAuth>, Invalid> {
    let (protocol, of_protocol, speaks) = match &field.protocol {
        ExternalAuthProtocol::Http => (AuthProtocol::Http, Feature::HttpRouteExternalAuthHttp, RouteKind::Http),
        ExternalAuthProtocol::Grpc => (AuthProtocol::Grpc, Feature::HttpRouteExternalAuthGrpc, RouteKind::Grpc),
        ExternalAuthProtocol::Other(other) => {
            let message = format!("protocol `{other}` is not supported, expected HTTP or GRPC");
            return Err(Invalid::value(Code::UnsupportedValue, format!("{path}.protocol"), message));
        }
    };
    let max_body = field.forward_body.as_ref().and_then(|body| body.max_size).unwrap_or(0);
    let of_body = (max_body != 0).then_some(Feature::HttpRouteExternalAuthForwardBody);
    for feature in [Some(Feature::HttpRouteExternalAuth), Some(of_protocol), of_body].into_iter().flatten() {
        if !context.options.features.contains(feature) {
            let message = format!("{feature} is not supported here: the rule answers 500, never without the check");
            return Err(Invalid::value(Code::UnsupportedValue, path, message));
        }
    }
    let Ok(max_body) = u32::try_from(max_body) else {
        let message = format!("{max_body} is not a size from 0 to {}", u32::MAX);
        return Err(Invalid::value(Code::InvalidValue, format!("{path}.forwardBody.maxSize"), message));
    };
    let http = field.http.as_ref().filter(|_| protocol == AuthProtocol::Http);
    let grpc = field.grpc.as_ref().filter(|_| protocol == AuthProtocol::Grpc);
    let path_prefix = match http.and_then(|http| http.path.as_deref()).filter(|path| !path.is_empty()) {
        Some(prefix) => {
            let whole = if prefix.starts_with('/') { prefix.to_owned() } else { format!("/{prefix}") };
            let prefix = config_path(&whole, context.options, &format!("{path}.http.path"))?;
            prefix.strip_suffix('/').unwrap_or(&prefix).into()
        }
        None => Box::default(),
    };
    let (member, allowed) = match (http, grpc) {
        (Some(http), _) => ("http", http.allowed_request_headers.as_slice()),
        (_, Some(grpc)) => ("grpc", grpc.allowed_request_headers.as_slice()),
        _ => ("", &[][..]),
    };
    let request_headers = names(allowed, &format!("{path}.{member}.allowedHeaders"), context)?;
    let copied = http.map_or(&[][..], |http| http.allowed_response_headers.as_slice());
    let response_headers = names(copied, &format!("{path}.http.allowedResponseHeaders"), context)?;
    let at = format!("{path}.backendRef");
    match context.backends.resolve_as(context.from, speaks, parts!(field.backend_ref), &at, context.findings) {
        Ok(backend) => Ok(Some(ExternalAuth { protocol, backend, path_prefix, request_headers, response_headers, max_body })),
        Err(bad) => {
            bad.report(context.findings, "requests of the rule are answered with 500, never without the check");
            context.refs.push(bad);
            Ok(None)
        }
    }
}

/// A list of field names. Those that frame a message belong to each message alone; a list that names nothing else is
/// not the empty list, which means all fields or none ([E-3], [E-5]).
fn names(list: &[String], path: &str, context: &mut Context<'_, '_>) -> Result<Box<[HeaderName]>, Invalid> {
    let mut names = Vec::with_capacity(list.len());
    for (n, text) in list.iter().enumerate() {
        let at = format!("{path}[{n}]");
        let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
            let message = format!("`{}` is not a header field name (RFC 9110 section 5.1)", text.escape_debug());
            return Err(Invalid::value(Code::InvalidValue, at, message));
        };
        if frames(&name, &HeaderMap::new()) {
            context.findings.warning(
                Code::UnsupportedValue,
                at,
                format!("header `{name}` belongs to each message alone and is not copied"),
            );
        }
        names.push(name);
    }
    Ok(names.into())
}

/// The object of an ExtensionRef that the embedding program knows; `None` fails closed.
pub(crate) fn extension(reference: &LocalObjectReference, path: &str, context: &mut Context<'_, '_>) -> Option<ObjectRef> {
    let object = ObjectRef::new(&reference.group, &reference.kind, context.from.namespace, &reference.name);
    let known = &context.options.extensions;
    if let Some(extension) = known.get(&object) {
        for (name, port) in &extension.services {
            let service = BackendRefParts { group: None, kind: None, name, namespace: None, port: Some(i32::from(*port)) };
            if let Err(bad) = context.backends.resolve_as(context.from, RouteKind::Http, service, path, context.findings) {
                bad.report(context.findings, "the filter works without this backend");
            }
        }
        return Some(object);
    }
    let kind = if reference.group.is_empty() { reference.kind.clone() } else { format!("{}.{}", reference.kind, reference.group) };
    let (problem, message) = if known.keys().any(|one| one.group == object.group && one.kind == object.kind) {
        let message = format!("no extension `{}` of kind `{kind}` is known in namespace `{}`", object.name, object.namespace);
        (RefProblem::BackendNotFound, message)
    } else {
        let message = format!("no extension of kind `{kind}` is known, so the filter `{}` cannot be run", object.name);
        (RefProblem::InvalidKind, message)
    };
    let bad = BadRef { problem, path: path.to_owned(), message };
    bad.report(context.findings, "requests of the rule are answered with 500, never without the filter");
    context.refs.push(bad);
    None
}
