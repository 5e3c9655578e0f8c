//! What filters do to a request and its response ([F-10] to [F-44], [C-1] to [C-8]).

use gatewright::resource::filter::{Cors, HeaderFilter, HttpPathModifier, HttpPathModifierType, RedirectScheme, RequestRedirect};
use gatewright::resource::http_route::{HttpRouteFilter, HttpRouteFilterType};

use super::question::{Fields, WorldRequest};

/// The filter of a type that stands at most once.
pub(super) fn one(filters: &[HttpRouteFilter], type_: HttpRouteFilterType) -> Option<&HttpRouteFilter> {
    filters.iter().find(|filter| filter.type_ == type_)
}

pub(super) fn redirect(filters: &[HttpRouteFilter]) -> Option<&RequestRedirect> {
    one(filters, HttpRouteFilterType::RequestRedirect).and_then(|filter| filter.request_redirect.as_ref())
}

pub(super) fn cors(filters: &[HttpRouteFilter]) -> Option<&Cors> {
    one(filters, HttpRouteFilterType::Cors).and_then(|filter| filter.cors.as_ref())
}

/// Changes the fields of a request as the modifier of a list says. Host is rewritten elsewhere ([F-13]).
pub(super) fn modify_request(filters: &[HttpRouteFilter], fields: &mut Fields) {
    if let Some(filter) = one(filters, HttpRouteFilterType::RequestHeaderModifier) {
        modify(filter.request_header_modifier.as_ref(), fields);
    }
}

/// The same for a response.
pub(super) fn modify_response(filters: &[HttpRouteFilter], fields: &mut Fields) {
    if let Some(filter) = one(filters, HttpRouteFilterType::ResponseHeaderModifier) {
        modify(filter.response_header_modifier.as_ref(), fields);
    }
}

/// [F-10]; of the entries of one list that repeat a name the first counts ([F-11]).
fn modify(modifier: Option<&HeaderFilter>, fields: &mut Fields) {
    let Some(modifier) = modifier else { return };
    let mut seen = Vec::new();
    let mut first = |name: &str| {
        let name = name.to_lowercase();
        let new = name != "host" && !seen.contains(&name);
        seen.push(name.clone());
        new.then_some(name)
    };
    for header in &modifier.set {
        if let Some(name) = first(&header.name) {
            fields.insert(name, vec![header.value.clone()]);
        }
    }
    for header in &modifier.add {
        if let Some(name) = first(&header.name) {
            fields.entry(name).or_default().push(header.value.clone());
        }
    }
    for name in &modifier.remove {
        fields.remove(&name.to_lowercase());
    }
}

/// The host that a list of filters asks for: URLRewrite ([F-30]), else `set Host` ([F-13]).
pub(super) fn new_host(filters: &[HttpRouteFilter]) -> Option<String> {
    let rewrite = one(filters, HttpRouteFilterType::UrlRewrite).and_then(|f| f.url_rewrite.as_ref()?.hostname.clone());
    let modifier = one(filters, HttpRouteFilterType::RequestHeaderModifier).and_then(|f| f.request_header_modifier.as_ref());
    let set = modifier.and_then(|m| m.set.iter().find(|header| header.name.eq_ignore_ascii_case("host")));
    rewrite.or(set.map(|header| header.value.clone()))
}

/// The path modifier of the URLRewrite of a list.
pub(super) fn new_path(filters: &[HttpRouteFilter]) -> Option<&HttpPathModifier> {
    one(filters, HttpRouteFilterType::UrlRewrite).and_then(|f| f.url_rewrite.as_ref()?.path.as_ref())
}

/// The path after a modifier ([F-24], [F-31], [F-33]). The prefix is the matched one, without its slash.
pub(super) fn modified_path(path: &str, modifier: Option<&HttpPathModifier>, prefix: Option<&str>) -> String {
    let Some(modifier) = modifier else { return path.to_owned() };
    let absolute = |text: &str| if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    if modifier.type_ == HttpPathModifierType::ReplaceFullPath {
        return absolute(modifier.replace_full_path.as_deref().unwrap_or(""));
    }
    let rest = path.strip_prefix(prefix.unwrap_or("")).unwrap_or(path);
    let replacement = absolute(modifier.replace_prefix_match.as_deref().unwrap_or(""));
    let result = format!("{}{rest}", replacement.strip_suffix('/').unwrap_or(&replacement));
    if result.is_empty() { "/".to_owned() } else { result }
}

/// `Location` of a redirect on a listener of this scheme and port ([F-20] to [F-24], [R-M1]).
pub(super) fn location(redirect: &RequestRedirect, request: &WorldRequest, scheme: &str, port: i32, prefix: Option<&str>) -> String {
    let of_request = request.host.split(':').next().unwrap_or_default().to_lowercase();
    let of_request = of_request.strip_suffix('.').unwrap_or(&of_request);
    let host = redirect.hostname.as_deref().unwrap_or(of_request);
    let (final_scheme, default_port) = match &redirect.scheme {
        None => (scheme, port),
        Some(RedirectScheme::Https) => ("https", 443),
        Some(other) => (other.as_str(), 80),
    };
    let port = match (final_scheme, redirect.port.unwrap_or(default_port)) {
        ("http", 80) | ("https", 443) => String::new(),
        (_, port) => format!(":{port}"),
    };
    let path = modified_path(&request.path, redirect.path.as_ref(), prefix);
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{final_scheme}://{host}{port}{path}{query}")
}

/// The value of the first field of a name.
fn field<'r>(request: &'r WorldRequest, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The method a preflight asks for, if the request is one ([C-1]).
pub(super) fn preflight(request: &WorldRequest) -> Option<&str> {
    let asked = field(request, "access-control-request-method").filter(|method| !method.is_empty());
    (request.method == "OPTIONS" && field(request, "origin").is_some()).then_some(asked).flatten()
}

/// Whether an entry of `allowOrigins` is the origin's ([C-2]).
fn allows(entry: &str, origin: &str) -> bool {
    if entry == "*" {
        return true;
    }
    let parts = |text: &str| -> Option<(String, Vec<String>, String)> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = rest.split_once(':').unwrap_or((rest, if scheme == "https" { "443" } else { "80" }));
        Some((scheme.to_owned(), host.to_lowercase().split('.').map(str::to_owned).collect(), port.to_owned()))
    };
    let (Some(entry), Some(origin)) = (parts(entry), parts(origin)) else { return false };
    let hosts = match entry.1.split_first() {
        // One or more whole labels stand for the star ([R-M3]).
        Some((star, suffix)) if star == "*" => {
            origin.1.len() > suffix.len() && origin.1.ends_with(suffix) && !origin.1.contains(&String::new())
        }
        _ => entry.1 == origin.1,
    };
    (entry.0, entry.2) == (origin.0, origin.2) && hosts
}

/// Writes the fields of a CORS answer ([C-3] to [C-8]).
pub(super) fn answer_cors(cors: &Cors, request: &WorldRequest, fields: &mut Fields) {
    let Some(origin) = field(request, "origin") else { return };
    if !cors.allow_origins.iter().any(|entry| allows(entry, origin)) {
        return;
    }
    // The backend's own are replaced ([C-5]).
    fields.retain(|name, _| !name.starts_with("access-control-"));
    let mut set = |name: &str, value: String| drop(fields.insert(format!("access-control-{name}"), vec![value]));
    let mut depends_on = vec!["origin"];
    set("allow-origin", origin.to_owned());
    let credentials = cors.allow_credentials == Some(true);
    if credentials {
        set("allow-credentials", "true".to_owned());
    }
    // With credentials a star would be the name of a field ([C-6]); without it says all.
    let (stars, named): (Vec<String>, Vec<String>) = cors.expose_headers.iter().cloned().partition(|name| name == "*");
    match (stars.is_empty() || credentials, named.is_empty()) {
        (false, _) => set("expose-headers", "*".to_owned()),
        (true, false) => set("expose-headers", named.join(", ")),
        (true, true) => {}
    }
    if let Some(method) = preflight(request) {
        let headers = field(request, "access-control-request-headers").filter(|list| !list.is_empty());
        for (name, list, asked) in [("methods", &cors.allow_methods, Some(method)), ("headers", &cors.allow_headers, headers)] {
            if list.first().is_some_and(|entry| entry == "*") {
                depends_on.push(if name == "methods" { "access-control-request-method" } else { "access-control-request-headers" });
                if let Some(asked) = asked {
                    set(&format!("allow-{name}"), asked.to_owned());
                }
            } else if !list.is_empty() {
                set(&format!("allow-{name}"), list.join(", "));
            }
        }
        set("max-age", cors.max_age.unwrap_or(5).to_string());
    }
    let vary = fields.entry("vary".to_owned()).or_default();
    vary.extend(depends_on.into_iter().map(str::to_owned));
    vary.sort();
    vary.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of [F-31], read by the oracle.
    #[test]
    fn prefixes() {
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo", "/foo", "/xyz/", "/xyz"),
            ("/bar", "", "/xyz", "/xyz/bar"),
            ("/", "", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "xyz", "/xyz/bar"),
        ] {
            let modifier = HttpPathModifier {
                type_: HttpPathModifierType::ReplacePrefixMatch,
                replace_prefix_match: Some(replacement.to_owned()),
                ..HttpPathModifier::default()
            };
            assert_eq!(modified_path(path, Some(&modifier), Some(prefix)), expected, "{path} {prefix} {replacement}");
        }
    }

    /// The examples of [C-2].
    #[test]
    fn origins() {
        for (entry, origin, expected) in [
            ("*", "null", true),
            ("https://*.bar.com", "https://www.bar.com", true),
            ("https://*.bar.com", "https://xpto.www.bar.com", true),
            ("https://*.bar.com", "https://bar.com", false),
            ("https://*.bar.com", "https://foobar.com", false),
            ("https://*.bar.com", "http://www.bar.com", false),
            ("https://*.bar.com", "https://www.bar.com:8443", false),
            ("http://*", "http://a.b", true),
            ("http://*", "http://a.b:81", false),
            ("https://a.com", "https://A.com:443", true),
            ("https://*", "null", false),
        ] {
            assert_eq!(allows(entry, origin), expected, "{entry} {origin}");
        }
    }
}
