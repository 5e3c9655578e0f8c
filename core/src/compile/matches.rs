//! From the matches of a rule to valid matches ([M-5] to [M-15], [V-20], [V-22]).

use std::fmt;

use http::HeaderName;

use super::findings::{Findings, Invalid};
use crate::canonical::{Refusal, canonical_target};
use crate::diagnostic::Code;
use crate::model::matching::{GrpcMatch, HeaderMatch, HttpMatch, NameMatch, PathMatch, QueryMatch, ValueMatch};
use crate::model::pattern::{Pattern, Patterns};
use crate::options::{Options, RegexMatch};
use crate::resource::grpc_route::GrpcRouteMatch;
use crate::resource::http_route::{self, HttpMethod, HttpRouteMatch, PathMatchType, ValueMatchType};

/// What reading matches needs, and where it reports.
#[derive(Debug)]
pub(crate) struct Context<'c> {
    pub(crate) options: &'c Options,
    pub(crate) patterns: &'c mut Patterns,
    pub(crate) findings: &'c mut Findings,
}

/// The matches of an HTTPRoute rule; none means the prefix `/`.
pub(crate) fn http(list: &[HttpRouteMatch], path: &str, context: &mut Context<'_>) -> Result<Vec<HttpMatch>, Invalid> {
    let default = [HttpRouteMatch::default()];
    let list = if list.is_empty() { &default } else { list };
    list.iter().enumerate().map(|(n, m)| http_match(m, format_args!("{path}.matches[{n}]"), context)).collect()
}

fn http_match(m: &HttpRouteMatch, path: fmt::Arguments<'_>, context: &mut Context<'_>) -> Result<HttpMatch, Invalid> {
    Ok(HttpMatch {
        path: path_match(m.path.as_ref(), format_args!("{path}.path"), context)?,
        method: match &m.method {
            Some(HttpMethod::Other(other)) => {
                let message = format!("method `{other}` is not supported, expected one of {}", HttpMethod::KNOWN.join(", "));
                return Err(Invalid::value(Code::UnsupportedValue, format!("{path}.method"), message));
            }
            Some(HttpMethod::Connect) => {
                let message = "CONNECT is answered by the gateway with 405 and never reaches a rule";
                context.findings.warning(Code::UnsupportedValue, format!("{path}.method"), message);
                Some("CONNECT".into())
            }
            method => method.as_ref().map(|method| method.as_str().into()),
        },
        headers: headers(&m.headers, format_args!("{path}.headers"), context)?,
        queries: queries(&m.query_params, format_args!("{path}.queryParams"), context)?,
    })
}

fn path_match(
    field: Option<&http_route::HttpPathMatch>,
    path: fmt::Arguments<'_>,
    context: &mut Context<'_>,
) -> Result<PathMatch, Invalid> {
    let type_ = field.and_then(|f| f.type_.clone()).unwrap_or(PathMatchType::PathPrefix);
    let value = field.and_then(|f| f.value.as_deref()).unwrap_or("/");
    match type_ {
        PathMatchType::Exact => Ok(PathMatch::Exact(match_path(value, context.options, format_args!("{path}.value"))?.into())),
        PathMatchType::PathPrefix => {
            let canonical = match_path(value, context.options, format_args!("{path}.value"))?;
            Ok(PathMatch::Prefix(canonical.strip_suffix('/').unwrap_or(&canonical).into()))
        }
        PathMatchType::RegularExpression => {
            let (part, at) = (context.options.path_regex, format!("{path}.value"));
            if part != RegexMatch::Search && !value.starts_with(['/', '.', '^', '(', '[', '\\']) {
                let what = if part == RegexMatch::Full { "the whole path" } else { "the beginning of the path" };
                let message = format!("`{value}` must match {what}, which begins with `/`");
                context.findings.warning(Code::InvalidValue, at.clone(), message);
            }
            pattern(value, part, &at, context).map(PathMatch::Regex)
        }
        PathMatchType::Other(other) => Err(unsupported(&other, &format!("{path}.type"), PathMatchType::KNOWN)),
    }
}

/// A path that requests are compared with.
fn match_path(value: &str, options: &Options, at: fmt::Arguments<'_>) -> Result<String, Invalid> {
    let (path, has_parameters) = canonical_path(value, options, at)?;
    if has_parameters {
        let message = format!("path `{value}` can never match: matches do not see path parameters (`path_parameters=match-stripped`)");
        return Err(Invalid::value(Code::InvalidValue, at.to_string(), message));
    }
    Ok(path)
}

/// A path that requests are given, in canonical form.
pub(crate) fn config_path(value: &str, options: &Options, at: &str) -> Result<String, Invalid> {
    canonical_path(value, options, format_args!("{at}")).map(|(path, _)| path)
}

/// A path of the configuration in the canonical form of requests ([R-P11]), and whether it has parameters that
/// matches do not see. The API server refuses what no canonical path can be ([M-19], [V-20]).
fn canonical_path(value: &str, options: &Options, at: fmt::Arguments<'_>) -> Result<(String, bool), Invalid> {
    let refuse = |why: &str| Err(Invalid::value(Code::InvalidValue, at.to_string(), format!("path `{}` {why}", value.escape_debug())));
    if !value.starts_with('/') {
        return refuse("must be an absolute path that starts with `/`");
    }
    for part in ["//", "/./", "/../", "%2f", "%2F", "#", "?"] {
        if value.contains(part) {
            return refuse(&format!("must not contain `{part}`"));
        }
    }
    if value.ends_with("/.") || value.ends_with("/..") {
        return refuse("must not end with `/.` or `/..`");
    }
    match canonical_target(value.as_bytes(), options.path_rules()) {
        Ok(target) => Ok((target.path.into_owned(), target.stripped.is_some())),
        Err(Refusal::TargetOctet) => refuse("has a control character, a space or an octet outside of ASCII"),
        Err(refusal) => refuse(&format!("can never match: {refusal}")),
    }
}

fn unsupported(found: &str, at: &str, known: &[&str]) -> Invalid {
    let help = crate::validate::match_help(found).map(|help| format!("; {help}")).unwrap_or_default();
    Invalid::value(Code::UnsupportedValue, at, format!("type `{found}` is not supported, expected one of {}{help}", known.join(", ")))
}

fn pattern(text: &str, part: RegexMatch, at: &str, context: &mut Context<'_>) -> Result<Pattern, Invalid> {
    context
        .patterns
        .compile(text, part)
        .map_err(|error| Invalid::value(Code::InvalidValue, at, format!("regular expression `{}` is not usable: {error}", shortened(text))))
}

/// A hostile expression need not be repeated in full.
fn shortened(text: &str) -> String {
    let cut = text.char_indices().nth(200).map(|(at, _)| at).and_then(|at| text.get(..at));
    cut.map_or_else(|| text.escape_debug().to_string(), |start| format!("{}...", start.escape_debug()))
}

fn value_match(
    type_: Option<&ValueMatchType>,
    value: &str,
    at: impl Fn() -> String,
    context: &mut Context<'_>,
) -> Result<ValueMatch, Invalid> {
    match type_ {
        None | Some(ValueMatchType::Exact) => Ok(ValueMatch::Exact(value.into())),
        Some(ValueMatchType::RegularExpression) => {
            pattern(value, context.options.value_regex, &format!("{}.value", at()), context).map(ValueMatch::Regex)
        }
        Some(ValueMatchType::Other(other)) => Err(unsupported(other, &format!("{}.type", at()), ValueMatchType::KNOWN)),
    }
}

fn headers(list: &[http_route::HeaderMatch], path: fmt::Arguments<'_>, context: &mut Context<'_>) -> Result<Box<[HeaderMatch]>, Invalid> {
    let mut valid: Vec<HeaderMatch> = Vec::with_capacity(list.len());
    for (n, header) in list.iter().enumerate() {
        let at = || format!("{path}[{n}]");
        let Ok(name) = HeaderName::from_bytes(header.name.as_bytes()) else {
            let message = format!("`{}` is not a header field name (RFC 9110 section 5.1)", header.name);
            return Err(Invalid::value(Code::InvalidValue, format!("{}.name", at()), message));
        };
        if valid.iter().any(|earlier| earlier.name == name) {
            // Only the first counts ([M-10]).
            context.findings.warning(
                Code::InvalidValue,
                format!("{}.name", at()),
                format!("header `{name}` is listed before: this entry is ignored"),
            );
            continue;
        }
        let value = value_match(header.type_.as_ref(), &header.value, at, context)?;
        if header.value.is_empty() {
            return Err(Invalid::value(Code::InvalidValue, format!("{}.value", at()), "the value must not be empty"));
        }
        valid.push(HeaderMatch::new(name, value));
    }
    Ok(valid.into())
}

fn queries(
    list: &[http_route::QueryParamMatch],
    path: fmt::Arguments<'_>,
    context: &mut Context<'_>,
) -> Result<Box<[QueryMatch]>, Invalid> {
    let mut valid: Vec<QueryMatch> = Vec::with_capacity(list.len());
    for (n, query) in list.iter().enumerate() {
        let at = || format!("{path}[{n}]");
        if valid.iter().any(|earlier| *earlier.name == *query.name) {
            let message = format!("query parameter `{}` is listed before: this entry is ignored", query.name);
            context.findings.warning(Code::InvalidValue, format!("{}.name", at()), message);
            continue;
        }
        let value = value_match(query.type_.as_ref(), &query.value, at, context)?;
        if query.name.is_empty() || query.value.is_empty() {
            return Err(Invalid::value(Code::InvalidValue, at(), "name and value must not be empty"));
        }
        valid.push(QueryMatch { name: query.name.as_str().into(), value });
    }
    Ok(valid.into())
}

/// The matches of a GRPCRoute rule; none matches every call.
pub(crate) fn grpc(list: &[GrpcRouteMatch], path: &str, context: &mut Context<'_>) -> Result<Vec<GrpcMatch>, Invalid> {
    let default = [GrpcRouteMatch::default()];
    let list = if list.is_empty() { &default } else { list };
    list.iter().enumerate().map(|(n, m)| grpc_match(m, &format!("{path}.matches[{n}]"), context)).collect()
}

fn grpc_match(m: &GrpcRouteMatch, path: &str, context: &mut Context<'_>) -> Result<GrpcMatch, Invalid> {
    let headers = headers(&m.headers, format_args!("{path}.headers"), context)?;
    let Some(field) = &m.method else { return Ok(GrpcMatch { service: NameMatch::Any, method: NameMatch::Any, headers }) };
    let present = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    let (service, method) = (present(&field.service), present(&field.method));
    if service.is_none() && method.is_none() {
        return Err(Invalid::value(Code::InvalidValue, format!("{path}.method"), "one or both of `service` or `method` must be specified"));
    }
    let mut name = |text: Option<String>, member: &str| -> Result<NameMatch, Invalid> {
        let at = format!("{path}.method.{member}");
        match (text, &field.type_) {
            (None, _) => Ok(NameMatch::Any),
            (Some(text), None | Some(ValueMatchType::Exact)) => {
                if text.contains('/') || !text.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(Invalid::value(
                        Code::InvalidValue,
                        at,
                        format!("`{text}` must only contain valid characters of a gRPC name"),
                    ));
                }
                Ok(NameMatch::Exact(text.into()))
            }
            (Some(text), Some(ValueMatchType::RegularExpression)) => {
                pattern(&text, context.options.path_regex, &at, context).map(NameMatch::Regex)
            }
            (Some(_), Some(ValueMatchType::Other(other))) => Err(unsupported(other, &format!("{path}.method.type"), ValueMatchType::KNOWN)),
        }
    };
    Ok(GrpcMatch { service: name(service, "service")?, method: name(method, "method")?, headers })
}
