//! What makes a rule invalid, and what becomes of it then ([S-20], [S-21], [U-29]).

use std::collections::BTreeSet;

use gatewright::resource::filter::{Cors, HeaderFilter, HttpPathModifier, HttpPathModifierType, RedirectScheme, RequestMirror};
use gatewright::resource::http_route::{HttpRouteFilter, HttpRouteFilterType};

use super::routes::Rule;

/// Why a rule is invalid.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Every reason that may be given.
    pub(super) reasons: BTreeSet<&'static str>,
    /// Whether the rule keeps its matches and answers 500, so that no broader rule answers for a filter that may
    /// guard access.
    pub(super) closed: bool,
}

const VALUE: &str = "UnsupportedValue";
const FILTERS: &str = "IncompatibleFilters";

/// Names that frame a message ([F-13]).
const FRAMING: [&str; 5] = ["connection", "transfer-encoding", "upgrade", "content-length", "te"];

pub(super) fn fault(rule: &Rule<'_>) -> Option<Fault> {
    let mut reasons = BTreeSet::new();
    let sound = rule.matches.iter().all(super::matching::Match::is_sound);
    if !sound {
        reasons.insert(VALUE);
    }
    // ReplacePrefixMatch needs to know its prefix ([F-32]).
    let one_prefix = rule.matches.len() == 1 && rule.matches[0].prefix().is_some();
    list(&rule.filters, true, one_prefix, &mut reasons);
    for backend in &rule.backends {
        list(&backend.filters, false, one_prefix, &mut reasons);
    }
    together(rule, &mut reasons);
    let times = [rule.timeouts.request.as_deref(), rule.timeouts.backend_request.as_deref()];
    let lengths = times.map(|text| text.map(milliseconds));
    if lengths.contains(&Some(None)) {
        reasons.insert(VALUE);
    }
    // [TO-4]; zero is no limit ([TO-3]).
    if let [Some(Some(request)), Some(Some(attempt))] = lengths
        && request > 0
        && attempt > request
    {
        reasons.insert(VALUE);
    }
    let everywhere = || rule.filters.iter().chain(rule.backends.iter().flat_map(|b| &b.filters));
    let may_guard = |f: &HttpRouteFilter| {
        matches!(f.type_, HttpRouteFilterType::ExternalAuth | HttpRouteFilterType::ExtensionRef | HttpRouteFilterType::Other(_))
    };
    (!reasons.is_empty()).then(|| Fault { reasons, closed: sound && everywhere().any(may_guard) })
}

/// A duration of [V-1].
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let expression = regex::Regex::new("^([0-9]{1,5}(h|m|s|ms)){1,4}$").ok()?;
    if !expression.is_match(text) {
        return None;
    }
    let (mut sum, mut digits, mut rest) = (0, 0, text);
    while let Some(first) = rest.chars().next() {
        rest = &rest[1..];
        match first {
            '0'..='9' => {
                digits = digits * 10 + u64::from(first) - u64::from('0');
                continue;
            }
            'h' => sum += digits * 3_600_000,
            's' => sum += digits * 1000,
            'm' if rest.starts_with('s') => {
                rest = &rest[1..];
                sum += digits;
            }
            _ => sum += digits * 60_000,
        }
        digits = 0;
    }
    Some(sum)
}

/// One list of filters.
fn list(filters: &[HttpRouteFilter], of_rule: bool, one_prefix: bool, reasons: &mut BTreeSet<&'static str>) {
    use HttpRouteFilterType::{
        Cors, ExtensionRef, ExternalAuth, Other, RequestHeaderModifier, RequestMirror, RequestRedirect, ResponseHeaderModifier, UrlRewrite,
    };
    for filter in filters {
        let again = filters.iter().filter(|other| other.type_ == filter.type_).count() > 1;
        if again && !matches!(filter.type_, RequestMirror | ExtensionRef) {
            // The API server's rule; no condition is named for it.
            reasons.extend([FILTERS, VALUE]);
        }
        let (path, valid) = match &filter.type_ {
            RequestHeaderModifier => (None, filter.request_header_modifier.as_ref().is_some_and(modifier_is_valid)),
            ResponseHeaderModifier => (None, filter.response_header_modifier.as_ref().is_some_and(modifier_is_valid)),
            RequestRedirect => filter.request_redirect.as_ref().map_or((None, false), |redirect| {
                let known = !matches!(redirect.scheme, Some(RedirectScheme::Other(_)));
                (redirect.path.as_ref(), known && [301, 302, 303, 307, 308].contains(&redirect.status_code.unwrap_or(302)))
            }),
            UrlRewrite => filter.url_rewrite.as_ref().map_or((None, false), |rewrite| (rewrite.path.as_ref(), true)),
            RequestMirror => (None, filter.request_mirror.as_ref().is_some_and(mirror_is_valid)),
            Cors => (None, of_rule && filter.cors.as_ref().is_some_and(cors_is_valid)),
            ExtensionRef => (None, filter.extension_ref.is_some()),
            ExternalAuth | Other(_) => (None, false),
        };
        if !valid || path.is_some_and(|path| !path_is_valid(path, one_prefix)) {
            reasons.insert(VALUE);
        }
    }
}

fn has(filters: &[HttpRouteFilter], type_: HttpRouteFilterType) -> bool {
    filters.iter().any(|filter| filter.type_ == type_)
}

/// Filters and backends that must not stand together.
fn together(rule: &Rule<'_>, reasons: &mut BTreeSet<&'static str>) {
    use HttpRouteFilterType::{RequestMirror, RequestRedirect, UrlRewrite};
    let lists = || std::iter::once(&rule.filters).chain(rule.backends.iter().map(|b| &b.filters));
    // [F-4], [F-44]: in one list, and a rewrite and a redirect also across the lists of a rule and one backendRef.
    let pairs = lists().any(|list| has(list, RequestRedirect) && (has(list, UrlRewrite) || has(list, RequestMirror)));
    let crossed = rule.backends.iter().any(|backend| {
        (has(&rule.filters, UrlRewrite) && has(&backend.filters, RequestRedirect))
            || (has(&rule.filters, RequestRedirect) && has(&backend.filters, UrlRewrite))
    });
    if pairs || crossed {
        reasons.insert(FILTERS);
    }
    // [F-5]; no condition is named for it.
    if has(&rule.filters, RequestRedirect) && !rule.backends.is_empty() {
        reasons.extend([FILTERS, VALUE]);
    }
}

/// One action for each name ([F-11]); neither Host ([F-13]) nor what frames the message.
fn modifier_is_valid(modifier: &HeaderFilter) -> bool {
    let set = modifier.set.iter().map(|h| ("set", h.name.to_lowercase()));
    let add = modifier.add.iter().map(|h| ("add", h.name.to_lowercase()));
    let remove = modifier.remove.iter().map(|name| ("remove", name.to_lowercase()));
    let all: Vec<(&str, String)> = set.chain(add).chain(remove).collect();
    all.iter().all(|(action, name)| {
        let twice = all.iter().any(|(other, same)| other != action && same == name);
        !twice && !FRAMING.contains(&name.as_str()) && (name != "host" || *action == "set")
    })
}

fn path_is_valid(path: &HttpPathModifier, one_prefix: bool) -> bool {
    match path.type_ {
        HttpPathModifierType::ReplaceFullPath => path.replace_full_path.is_some(),
        HttpPathModifierType::ReplacePrefixMatch => path.replace_prefix_match.is_some() && one_prefix,
        HttpPathModifierType::Other(_) => false,
    }
}

/// [F-41]
fn mirror_is_valid(mirror: &RequestMirror) -> bool {
    let (numerator, denominator) = share(mirror);
    !(mirror.percent.is_some() && mirror.fraction.is_some()) && (0..=denominator).contains(&numerator)
}

/// Numerator and denominator of a mirror.
pub(super) fn share(mirror: &RequestMirror) -> (i32, i32) {
    match (mirror.percent, &mirror.fraction) {
        (Some(percent), _) => (percent, 100),
        (None, Some(fraction)) => (fraction.numerator, fraction.denominator.unwrap_or(100)),
        (None, None) => (1, 1),
    }
}

/// `*` stands alone ([C-2]).
fn cors_is_valid(cors: &Cors) -> bool {
    [&cors.allow_origins, &cors.allow_methods, &cors.allow_headers]
        .into_iter()
        .all(|list| list.len() < 2 || !list.iter().any(|entry| entry == "*"))
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations() {
        for (text, expected) in
            [("0h", Some(0)), ("1h30m10s5ms", Some(5_410_005)), ("100ms200ms300ms", Some(600)), ("1", None), ("1d", None), ("-15m", None)]
        {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
