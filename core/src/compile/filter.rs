//! From the filters of a rule or backendRef to valid filters ([F-1] to [F-44], [C-1]).

use std::fmt;

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::auth;
use super::backend::{BackendRefParts, Backends, Referrer, parts};
use super::findings::{BadRef, Findings, Invalid};
use super::matches::config_path;
use crate::canonical::parse_authority;
use crate::diagnostic::Code;
use crate::model::cors::{Cors, CorsList, OriginPattern};
use crate::model::filter::{Filters, HeaderModifier, Mirror, PathModifier, Redirect, Scheme, UrlRewrite};
use crate::model::hostname::Hostname;
use crate::options::{ModifierConflicts, Options};
use crate::resource::filter as resource;
use crate::resource::filter::{HeaderFilter, HttpPathModifierType, RedirectScheme};
use crate::resource::grpc_route::{GrpcRouteFilter, GrpcRouteFilterType};
use crate::resource::http_route::{HttpRouteFilter, HttpRouteFilterType};

/// Where a list of filters stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Rule,
    Backend,
}

/// What translating a list of filters needs and collects.
#[derive(Debug)]
pub(crate) struct Context<'c, 'i> {
    pub(crate) backends: &'c mut Backends<'i>,
    pub(crate) findings: &'c mut Findings,
    pub(crate) refs: &'c mut Vec<BadRef>,
    pub(crate) from: Referrer<'c>,
    pub(crate) options: &'c Options,
    /// Whether the rule has exactly one match, and that a PathPrefix ([F-32]).
    pub(crate) one_prefix: bool,
}

/// GRPCRoute filters are a subset of HTTPRoute filters ([G-14]).
pub(crate) fn of_grpc(filters: &[GrpcRouteFilter]) -> Vec<HttpRouteFilter> {
    let type_ = |type_: &GrpcRouteFilterType| match type_ {
        GrpcRouteFilterType::RequestHeaderModifier => HttpRouteFilterType::RequestHeaderModifier,
        GrpcRouteFilterType::ResponseHeaderModifier => HttpRouteFilterType::ResponseHeaderModifier,
        GrpcRouteFilterType::RequestMirror => HttpRouteFilterType::RequestMirror,
        GrpcRouteFilterType::ExtensionRef => HttpRouteFilterType::ExtensionRef,
        GrpcRouteFilterType::Other(other) => HttpRouteFilterType::Other(other.clone()),
    };
    filters
        .iter()
        .map(|f| HttpRouteFilter {
            type_: type_(&f.type_),
            request_header_modifier: f.request_header_modifier.clone(),
            response_header_modifier: f.response_header_modifier.clone(),
            request_mirror: f.request_mirror.clone(),
            extension_ref: f.extension_ref.clone(),
            ..HttpRouteFilter::default()
        })
        .collect()
}

/// Whether a list holds a filter that may guard access: a rule with one never makes way for a broader rule, it
/// answers 500 ([U-29], [F-60]).
pub(crate) fn guards(list: &[HttpRouteFilter]) -> bool {
    use HttpRouteFilterType::{ExtensionRef, ExternalAuth, Other};
    list.iter().any(|filter| matches!(filter.type_, ExternalAuth | ExtensionRef | Other(_)))
}

/// Translates one list.
pub(crate) fn filters(
    list: &[HttpRouteFilter],
    level: Level,
    path: fmt::Arguments<'_>,
    context: &mut Context<'_, '_>,
) -> Result<Filters, Invalid> {
    if list.is_empty() {
        return Ok(Filters::default());
    }
    let mut valid = Filters::default();
    let mut mirrors = Vec::new();
    let mut extensions = Vec::new();
    let mut seen: Vec<&HttpRouteFilterType> = Vec::new();
    for (n, filter) in list.iter().enumerate() {
        let at = format!("{path}[{n}]");
        let repeatable = matches!(filter.type_, HttpRouteFilterType::RequestMirror | HttpRouteFilterType::ExtensionRef);
        if !repeatable && seen.contains(&&filter.type_) {
            let message = format!("{} filter cannot be repeated", filter.type_);
            return Err(Invalid::combination(format!("{at}.type"), message));
        }
        seen.push(&filter.type_);
        let member =
            |name: &str| Invalid::value(Code::InvalidValue, &at, format!("`{name}` must be specified for {} filter.type", filter.type_));
        match &filter.type_ {
            HttpRouteFilterType::RequestHeaderModifier => {
                let field = filter.request_header_modifier.as_ref().ok_or_else(|| member("requestHeaderModifier"))?;
                valid.request_headers = header_modifier(field, true, &format!("{at}.requestHeaderModifier"), context)?;
            }
            HttpRouteFilterType::ResponseHeaderModifier => {
                let field = filter.response_header_modifier.as_ref().ok_or_else(|| member("responseHeaderModifier"))?;
                valid.response_headers = header_modifier(field, false, &format!("{at}.responseHeaderModifier"), context)?;
            }
            HttpRouteFilterType::RequestRedirect => {
                let field = filter.request_redirect.as_ref().ok_or_else(|| member("requestRedirect"))?;
                valid.redirect = Some(redirect(field, &format!("{at}.requestRedirect"), context)?);
            }
            HttpRouteFilterType::UrlRewrite => {
                let field = filter.url_rewrite.as_ref().ok_or_else(|| member("urlRewrite"))?;
                let at = format!("{at}.urlRewrite");
                valid.rewrite = Some(UrlRewrite {
                    hostname: hostname(field.hostname.as_deref(), &format!("{at}.hostname"))?,
                    path: field.path.as_ref().map(|p| path_modifier(p, &format!("{at}.path"), context)).transpose()?,
                });
            }
            HttpRouteFilterType::RequestMirror => {
                let field = filter.request_mirror.as_ref().ok_or_else(|| member("requestMirror"))?;
                mirrors.extend(mirror(field, &format!("{at}.requestMirror"), context)?);
            }
            HttpRouteFilterType::Cors if level == Level::Rule => {
                let field = filter.cors.as_ref().ok_or_else(|| member("cors"))?;
                valid.cors = Some(cors(field, &format!("{at}.cors"))?);
            }
            HttpRouteFilterType::Cors => {
                let message = "a CORS filter on a backendRef is not supported: a preflight is answered before a backend is chosen";
                return Err(Invalid::value(Code::UnsupportedValue, format!("{at}.type"), message));
            }
            HttpRouteFilterType::ExternalAuth if level == Level::Rule => {
                let field = filter.external_auth.as_ref().ok_or_else(|| member("externalAuth"))?;
                match auth::external(field, &format!("{at}.externalAuth"), context)? {
                    Some(service) => valid.auth = Some(service),
                    // The check is never skipped ([E-7]).
                    None => valid.unresolved = true,
                }
            }
            HttpRouteFilterType::ExternalAuth => {
                let message = "an ExternalAuth filter on a backendRef is not supported: a request is checked before a backend is chosen";
                return Err(Invalid::value(Code::UnsupportedValue, format!("{at}.type"), message));
            }
            HttpRouteFilterType::ExtensionRef => {
                let Some(extension) = &filter.extension_ref else { return Err(member("extensionRef")) };
                match auth::extension(extension, &format!("{at}.extensionRef"), context) {
                    Some(known) => extensions.push(known),
                    None => valid.unresolved = true,
                }
            }
            HttpRouteFilterType::Other(other) => {
                return Err(unknown_type(other, &format!("{at}.type"), context.from.kind));
            }
        }
    }
    valid.mirrors = mirrors.into();
    valid.extensions = extensions.into();
    incompatible(&valid, list, path)?;
    Ok(valid)
}

/// Kinds of filters that other gateways have, and what to write instead.
fn unknown_type(found: &str, at: &str, kind: crate::table::RouteKind) -> Invalid {
    let known = match kind {
        crate::table::RouteKind::Http => HttpRouteFilterType::KNOWN,
        _ => GrpcRouteFilterType::KNOWN,
    };
    let help = crate::validate::filter_help(found).map(|help| format!("; {help}")).unwrap_or_default();
    let message = format!("filter type `{found}` is not part of the Gateway API, expected one of {}{help}", known.join(", "));
    Invalid::value(Code::UnsupportedValue, at, message)
}

/// Filters that must not stand together ([F-4], [F-44]).
fn incompatible(filters: &Filters, list: &[HttpRouteFilter], path: fmt::Arguments<'_>) -> Result<(), Invalid> {
    if filters.redirect.is_some() && filters.rewrite.is_some() {
        return Err(Invalid::combination(path.to_string(), "may specify either RequestRedirect or URLRewrite, but not both"));
    }
    // Also a mirror that is not resolved: a Service that comes into being must not make a rule invalid.
    if filters.redirect.is_some() && list.iter().any(|filter| filter.type_ == HttpRouteFilterType::RequestMirror) {
        return Err(Invalid::combination(
            path.to_string(),
            "RequestMirror and RequestRedirect must not stand together: no request is forwarded",
        ));
    }
    Ok(())
}

/// A rule and its backendRefs together ([F-4], [F-5]).
pub(crate) fn check_rule(rule: &Filters, backends: &[&Filters], path: fmt::Arguments<'_>) -> Result<(), Invalid> {
    if rule.redirect.is_some() && !backends.is_empty() {
        return Err(Invalid::combination(path.to_string(), "RequestRedirect filter must not be used together with backendRefs"));
    }
    let crossed =
        backends.iter().any(|b| (rule.rewrite.is_some() && b.redirect.is_some()) || (rule.redirect.is_some() && b.rewrite.is_some()));
    if crossed {
        return Err(Invalid::combination(
            path.to_string(),
            "URLRewrite and RequestRedirect must not stand in one rule, its backendRefs included",
        ));
    }
    Ok(())
}

/// Names that a modifier may not touch: the framing of the message is the gateway's ([U-17], [R-F9]).
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::TRAILER,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

fn header_modifier(field: &HeaderFilter, request: bool, path: &str, context: &mut Context<'_, '_>) -> Result<HeaderModifier, Invalid> {
    let (conflicts, findings) = (context.options.modifier_conflicts, &mut *context.findings);
    let mut host = None;
    let mut all: Vec<(HeaderName, &str)> = Vec::new();
    // One action per name: again in the same list is ignored, in another list is invalid ([F-11]).
    let mut claim = |name: &str, list: &'static str, at: &str, findings: &mut Findings| -> Result<Option<HeaderName>, Invalid> {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Invalid::value(Code::InvalidValue, at, format!("`{name}` is not a header field name (RFC 9110 section 5.1)")));
        };
        if FRAMING.contains(&name) {
            return Err(Invalid::value(
                Code::UnsupportedValue,
                at,
                format!("header `{name}` belongs to the framing of the message and cannot be modified"),
            ));
        }
        if all.contains(&(name.clone(), list)) {
            findings.warning(Code::InvalidValue, at, format!("header `{name}` is listed before in `{list}`: this entry is ignored"));
            return Ok(None);
        }
        if let Some((_, earlier)) = all.iter().find(|(other, _)| *other == name) {
            let message = format!("header `{name}` must have one action only, but stands in `{earlier}` and in `{list}`");
            // Carried out in the order of the fields ([U-16]).
            if conflicts == ModifierConflicts::Reject {
                return Err(Invalid::value(Code::InvalidCombination, at, message));
            }
            findings.warning(Code::InvalidCombination, at, format!("{message}: both are carried out"));
        }
        all.push((name.clone(), list));
        Ok(Some(name))
    };
    let value = |text: &str, at: &str| {
        HeaderValue::from_str(text.trim_matches([' ', '\t'])).map_err(|_| {
            Invalid::value(Code::InvalidValue, at, format!("`{}` is not a header field value (RFC 9110 section 5.5)", text.escape_debug()))
        })
    };
    let (mut set, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for (n, entry) in field.set.iter().enumerate() {
        let at = format!("{path}.set[{n}]");
        let Some(name) = claim(&entry.name, "set", &format!("{at}.name"), findings)? else { continue };
        if request && name == header::HOST {
            // As URLRewrite.hostname ([F-13], [U-17]).
            if parse_authority(entry.value.as_bytes()).is_err() {
                return Err(Invalid::value(
                    Code::InvalidValue,
                    format!("{at}.value"),
                    format!("`{}` is not a host", entry.value.escape_debug()),
                ));
            }
            findings.warning(
                Code::UnsupportedValue,
                format!("{at}.name"),
                "`set` of Host rewrites the authority; URLRewrite.hostname says it plainly",
            );
            host = Some(entry.value.as_str().into());
            continue;
        }
        set.push((name, value(&entry.value, &format!("{at}.value"))?));
    }
    for (n, entry) in field.add.iter().enumerate() {
        let at = format!("{path}.add[{n}]");
        let Some(name) = claim(&entry.name, "add", &format!("{at}.name"), findings)? else { continue };
        if name == header::HOST {
            return Err(Invalid::value(Code::UnsupportedValue, format!("{at}.name"), "Host cannot be added: a request has exactly one"));
        }
        add.push((name, value(&entry.value, &format!("{at}.value"))?));
    }
    for (n, name) in field.remove.iter().enumerate() {
        let at = format!("{path}.remove[{n}]");
        let Some(name) = claim(name, "remove", &at, findings)? else { continue };
        if name == header::HOST {
            return Err(Invalid::value(Code::UnsupportedValue, at, "Host cannot be removed: a request has exactly one"));
        }
        remove.push(name);
    }
    Ok(HeaderModifier { set: set.into(), add: add.into(), remove: remove.into(), host })
}

fn hostname(text: Option<&str>, at: &str) -> Result<Option<Box<str>>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    match Hostname::parse(text) {
        Ok(Hostname::Exact(name)) => Ok(Some(name)),
        _ => Err(Invalid::value(
            Code::InvalidValue,
            at,
            format!("`{text}` is not a precise hostname: lower-case labels, no wildcard, no address"),
        )),
    }
}

fn redirect(field: &resource::RequestRedirect, path: &str, context: &Context<'_, '_>) -> Result<Redirect, Invalid> {
    let scheme = match &field.scheme {
        None => None,
        Some(RedirectScheme::Http) => Some(Scheme::Http),
        Some(RedirectScheme::Https) => Some(Scheme::Https),
        Some(RedirectScheme::Other(other)) => {
            let message = format!("scheme `{other}` is not supported, expected http or https");
            return Err(Invalid::value(Code::UnsupportedValue, format!("{path}.scheme"), message));
        }
    };
    let code = field.status_code.unwrap_or(302);
    let status = u16::try_from(code)
        .ok()
        .filter(|code| matches!(code, 301 | 302 | 303 | 307 | 308))
        .and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status else {
        let message = format!("status code {code} is not supported, expected 301, 302, 303, 307 or 308");
        return Err(Invalid::value(Code::UnsupportedValue, format!("{path}.statusCode"), message));
    };
    let port = field.port.map(|port| {
        let valid = u16::try_from(port).ok().filter(|port| *port > 0);
        valid.ok_or_else(|| Invalid::value(Code::InvalidValue, format!("{path}.port"), format!("port {port} is not from 1 to 65535")))
    });
    Ok(Redirect {
        scheme,
        hostname: hostname(field.hostname.as_deref(), &format!("{path}.hostname"))?,
        path: field.path.as_ref().map(|p| path_modifier(p, &format!("{path}.path"), context)).transpose()?,
        port: port.transpose()?,
        status,
    })
}

fn path_modifier(field: &resource::HttpPathModifier, path: &str, context: &Context<'_, '_>) -> Result<PathModifier, Invalid> {
    let member = |name: &str| Invalid::value(Code::InvalidValue, path, format!("`{name}` must be specified when type is {}", field.type_));
    match &field.type_ {
        HttpPathModifierType::ReplaceFullPath => {
            let value = field.replace_full_path.as_deref().ok_or_else(|| member("replaceFullPath"))?;
            replacement(value, context.options, &format!("{path}.replaceFullPath")).map(|path| PathModifier::Full(path.into()))
        }
        HttpPathModifierType::ReplacePrefixMatch => {
            let value = field.replace_prefix_match.as_deref().ok_or_else(|| member("replacePrefixMatch"))?;
            if !context.one_prefix {
                let message = "ReplacePrefixMatch needs a rule with exactly one match, of path type PathPrefix";
                return Err(Invalid::value(Code::InvalidCombination, path, message));
            }
            let path = replacement(value, context.options, &format!("{path}.replacePrefixMatch"))?;
            Ok(PathModifier::Prefix(path.strip_suffix('/').unwrap_or(&path).into()))
        }
        HttpPathModifierType::Other(other) => {
            let message = format!("type `{other}` is not supported, expected one of {}", HttpPathModifierType::KNOWN.join(", "));
            Err(Invalid::value(Code::UnsupportedValue, format!("{path}.type"), message))
        }
    }
}

/// A replacement in canonical form; one without leading `/` gets it ([F-31], [F-33]).
fn replacement(value: &str, options: &Options, at: &str) -> Result<String, Invalid> {
    if value.starts_with('/') { config_path(value, options, at) } else { config_path(&format!("/{value}"), options, at) }
}

fn mirror(field: &resource::RequestMirror, path: &str, context: &mut Context<'_, '_>) -> Result<Option<Mirror>, Invalid> {
    let share = |numerator: i32, denominator: i32| {
        let pair = u32::try_from(numerator).ok().zip(u32::try_from(denominator).ok());
        pair.filter(|(n, d)| *d > 0 && n <= d)
            .ok_or_else(|| Invalid::value(Code::InvalidValue, path, format!("{numerator} of {denominator} is not a share from 0 to 1")))
    };
    let (numerator, denominator) = match (field.percent, &field.fraction) {
        (Some(_), Some(_)) => {
            return Err(Invalid::value(Code::InvalidCombination, path, "only one of `percent` or `fraction` may be specified"));
        }
        (Some(percent), None) => share(percent, 100)?,
        (None, Some(fraction)) => share(fraction.numerator, fraction.denominator.unwrap_or(100))?,
        (None, None) => (1, 1),
    };
    let to: BackendRefParts<'_> = parts!(field.backend_ref);
    match context.backends.resolve(context.from, to, &format!("{path}.backendRef"), context.findings) {
        Ok(backend) if !context.backends.takes_mirror(backend) => Ok(None),
        Ok(backend) => Ok(Some(Mirror { backend, numerator, denominator })),
        // The mirror is dropped, the request is not ([F-42]).
        Err(bad) => {
            bad.report(context.findings, "nothing is mirrored there");
            context.refs.push(bad);
            Ok(None)
        }
    }
}

fn cors(field: &resource::Cors, path: &str) -> Result<Cors, Invalid> {
    let invalid = |member: &str, message: String| Invalid::value(Code::InvalidValue, format!("{path}.{member}"), message);
    let origins = field.allow_origins.iter().enumerate().map(|(n, text)| {
        OriginPattern::parse(text).ok_or_else(|| {
            invalid(
                &format!("allowOrigins[{n}]"),
                format!("`{text}` is not an origin, expected `*` or `scheme://host[:port]` with http or https"),
            )
        })
    });
    let origins = origins.collect::<Result<Vec<_>, _>>()?;
    let lonely = |list: &[String], member: &str| match list {
        [_, _, ..] if list.iter().any(|text| text == "*") => {
            Err(invalid(member, format!("{member} cannot contain `*` alongside other entries")))
        }
        _ => Ok(()),
    };
    lonely(&field.allow_origins, "allowOrigins")?;
    let names = |list: &[String], member: &str| -> Result<CorsList, Invalid> {
        lonely(list, member)?;
        match list {
            [] => Ok(CorsList::Absent),
            [star] if star == "*" => Ok(CorsList::Any),
            _ => {
                if let Some(bad) = list.iter().find(|text| HeaderName::from_bytes(text.as_bytes()).is_err()) {
                    return Err(invalid(member, format!("`{}` is not a name (RFC 9110 section 5.6.2)", bad.escape_debug())));
                }
                HeaderValue::from_str(&list.join(", ")).map(CorsList::List).map_err(|_| invalid(member, "not a list of names".to_owned()))
            }
        }
    };
    // A star may stand beside other names here (the API server allows it): it says all, but with credentials it would be
    // a field of that name, and the other names are left ([C-6]).
    let credentials = field.allow_credentials.unwrap_or(false);
    let (stars, named): (Vec<String>, Vec<String>) = field.expose_headers.iter().cloned().partition(|name| name == "*");
    let by_name = stars.is_empty() || (credentials && !named.is_empty());
    let expose = if by_name { names(&named, "exposeHeaders")? } else { CorsList::Any };
    let max_age = field.max_age.unwrap_or(5);
    Ok(Cors {
        origins: origins.into(),
        credentials,
        methods: names(&field.allow_methods, "allowMethods")?,
        headers: names(&field.allow_headers, "allowHeaders")?,
        expose,
        max_age: u32::try_from(max_age)
            .ok()
            .filter(|age| *age > 0)
            .ok_or_else(|| invalid("maxAge", format!("{max_age} seconds is less than 1")))?,
    })
}
