//! HTTPRoute ([V-20]).

use super::filter;
use super::format::{self, DURATION, FIELD_NAME, HOSTNAME, QUERY_VALUE, SECTION_NAME, SHORT_PATH};
use super::reference::{self, backend};
use super::report::{Path, Report};
use super::session;
use crate::model::time::parse_duration;
use crate::resource::http_route::{
    HeaderMatch, HttpMethod, HttpPathMatch, HttpRouteFilter, HttpRouteMatch, HttpRouteRetry, HttpRouteRule, HttpRouteSpec,
    HttpRouteTimeouts, PathMatchType, QueryParamMatch, ValueMatchType,
};

pub(super) fn route(report: &mut Report<'_>, spec: &HttpRouteSpec) {
    reference::parents(report, &spec.parent_refs);
    super::gateway::default_scope(report, &Path::SPEC.field("useDefaultGateways"), spec.use_default_gateways.as_ref());
    hostnames(report, &spec.hostnames);
    let Some(rules) = spec.rules.as_deref() else { return };
    let at = Path::SPEC.field("rules");
    report.items(&at, rules, 1, 16);
    // A rule without matches has one ([R-5]).
    total_matches(report, rules.iter().map(|rule| rule.matches.len().max(1)));
    names(report, rules.iter().map(|rule| rule.name.as_deref()));
    for (n, rule) in rules.iter().enumerate() {
        self::rule(report, &at.index(n), rule);
    }
}

/// `spec.hostnames` of an HTTPRoute or GRPCRoute.
pub(super) fn hostnames(report: &mut Report<'_>, list: &[String]) {
    let at = Path::SPEC.field("hostnames");
    report.items(&at, list, 0, 16);
    for (n, hostname) in list.iter().enumerate() {
        report.text(&at.index(n), hostname, &HOSTNAME);
    }
}

/// The rule says "less than 128" and allows 128.
pub(super) fn total_matches(report: &mut Report<'_>, counts: impl Iterator<Item = usize>) {
    let total = counts.fold(0_usize, usize::saturating_add);
    if total > 128 {
        let message = "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128";
        report.rejected_value(&Path::SPEC.field("rules"), message, total);
    }
}

/// Names of rules; only the experimental channel wants them unique ([R-4]).
pub(super) fn names<'r>(report: &mut Report<'_>, names: impl Iterator<Item = Option<&'r str>>) {
    let at = Path::SPEC.field("rules");
    let mut seen = std::collections::BTreeSet::new();
    for (n, name) in names.enumerate() {
        let Some(name) = name else { continue };
        let at = at.index(n);
        report.text(&at.field("name"), name, &SECTION_NAME);
        if !seen.insert(name) {
            report.rejected_by_experimental(&at.field("name"), "Rule name must be unique within the route", name);
        }
    }
}

fn rule(report: &mut Report<'_>, at: &Path<'_>, rule: &HttpRouteRule) {
    let matches = at.field("matches");
    report.items(&matches, &rule.matches, 0, 64);
    for (n, one) in rule.matches.iter().enumerate() {
        self::match_(report, &matches.index(n), one);
    }
    filter::http(report, &at.field("filters"), &rule.filters);
    let backends = at.field("backendRefs");
    report.items(&backends, &rule.backend_refs, 0, 16);
    for (n, reference) in rule.backend_refs.iter().enumerate() {
        let at = backends.index(n);
        backend!(report, &at, reference);
        reference::weight(report, &at, reference.weight);
        filter::http(report, &at.field("filters"), &reference.filters);
    }
    together(report, at, rule);
    if let Some(field) = &rule.timeouts {
        timeouts(report, &at.field("timeouts"), field);
    }
    if let Some(field) = &rule.retry {
        retry(report, &at.field("retry"), field);
    }
    if let Some(field) = &rule.session_persistence {
        session::session(report, &at.field("sessionPersistence"), field);
    }
}

/// What filters, backends and matches of one rule ask of each other.
fn together(report: &mut Report<'_>, at: &Path<'_>, rule: &HttpRouteRule) {
    if !rule.backend_refs.is_empty() && rule.filters.iter().any(|filter| filter.request_redirect.is_some()) {
        report.rejected(&at.field("filters"), "RequestRedirect filter must not be used together with backendRefs");
    }
    // Absent matches are one match on the prefix `/` ([R-5]).
    let one_prefix = match rule.matches.as_slice() {
        [] => true,
        [one] => one.path.as_ref().is_none_or(|path| matches!(path.type_, None | Some(PathMatchType::PathPrefix))),
        _ => false,
    };
    if one_prefix {
        return;
    }
    let filters = at.field("filters");
    for (member, type_) in [("requestRedirect", "RequestRedirect"), ("urlRewrite", "URLRewrite")] {
        // The API counts: it speaks up for exactly one such filter, and exactly one such backend.
        if let Some(n) = the_only(&rule.filters, |filter| replaces_prefix(filter, member)) {
            let message = format!("When using {type_} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified");
            report.rejected(&filters.index(n).field(member).field("path"), message);
        }
    }
    let backends = at.field("backendRefs");
    // The capital letter is literal.
    for (member, sentence) in [("requestRedirect", "when using RequestRedirect"), ("urlRewrite", "When using URLRewrite")] {
        let replaces = |list: &[HttpRouteFilter]| the_only(list, |filter| replaces_prefix(filter, member));
        let Some(backend) = the_only(&rule.backend_refs, |backend| replaces(&backend.filters).is_some()) else { continue };
        let Some(n) = rule.backend_refs.get(backend).and_then(|backend| replaces(&backend.filters)) else { continue };
        let message =
            format!("Within backendRefs, {sentence} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified");
        report.rejected(&backends.index(backend).field("filters").index(n).field(member).field("path"), message);
    }
}

/// Index of the entry a condition holds for, if it holds for exactly one.
fn the_only<T>(list: &[T], holds: impl Fn(&T) -> bool) -> Option<usize> {
    let mut found = list.iter().enumerate().filter(|(_, entry)| holds(entry)).map(|(n, _)| n);
    found.next().filter(|_| found.next().is_none())
}

fn replaces_prefix(filter: &HttpRouteFilter, member: &str) -> bool {
    use crate::resource::filter::HttpPathModifierType::ReplacePrefixMatch;
    let path = match member {
        "requestRedirect" => filter.request_redirect.as_ref().and_then(|field| field.path.as_ref()),
        _ => filter.url_rewrite.as_ref().and_then(|field| field.path.as_ref()),
    };
    path.is_some_and(|path| path.type_ == ReplacePrefixMatch && path.replace_prefix_match.is_some())
}

fn match_(report: &mut Report<'_>, at: &Path<'_>, one: &HttpRouteMatch) {
    if let Some(path) = &one.path {
        path_match(report, &at.field("path"), path);
    }
    let list = at.field("headers");
    header_names(report, &list, &one.headers);
    for (n, header) in one.headers.iter().enumerate().filter(|(_, header)| is_known(header.type_.as_ref())) {
        filter::field_value(report, &list.index(n).field("value"), &header.value);
    }
    queries(report, &at.field("queryParams"), &one.query_params);
    if let Some(method) = &one.method {
        report.known(&at.field("method"), method.as_str(), HttpMethod::KNOWN);
    }
}

/// A path ([M-19]); type and value have defaults of their own.
fn path_match(report: &mut Report<'_>, at: &Path<'_>, field: &HttpPathMatch) {
    let type_ = field.type_.as_ref().map_or("PathPrefix", PathMatchType::as_str);
    report.known_or(&at.field("type"), type_, PathMatchType::KNOWN, || {
        "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']".to_owned()
    });
    let value = field.value.as_deref().unwrap_or("/");
    let at = at.field("value");
    report.text(&at, value, &SHORT_PATH);
    if !["Exact", "PathPrefix"].contains(&type_) {
        return;
    }
    if let Some(fault) = path_fault(value) {
        report.rejected_value(&at, fault, value);
    }
}

/// The first rule of the API that a path to compare with breaks.
fn path_fault(value: &str) -> Option<String> {
    if !value.starts_with('/') {
        return Some("value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']".to_owned());
    }
    if let Some(part) = ["//", "/./", "/../", "%2f", "%2F", "#"].into_iter().find(|part| value.contains(part)) {
        return Some(format!("must not contain '{part}' when type one of ['Exact', 'PathPrefix']"));
    }
    if let Some(end) = ["/..", "/."].into_iter().find(|end| value.ends_with(end)) {
        return Some(format!("must not end with '{end}' when type one of ['Exact', 'PathPrefix']"));
    }
    let pattern = &format::patterns::PATH;
    (!(pattern.holds)(value))
        .then(|| format!("must only contain valid characters (matching {}) for types ['Exact', 'PathPrefix']", pattern.text))
}

/// Header matches but for their values, whose pattern differs between HTTPRoute and GRPCRoute.
pub(super) fn header_names(report: &mut Report<'_>, at: &Path<'_>, list: &[HeaderMatch]) {
    report.items(at, list, 0, 16);
    report.distinct(at, list.iter().map(|header| header.name.as_str()));
    for (n, header) in list.iter().enumerate() {
        let at = at.index(n);
        report.text(&at.field("name"), &header.name, &FIELD_NAME);
        value_type(report, &at.field("type"), header.type_.as_ref());
    }
}

fn queries(report: &mut Report<'_>, at: &Path<'_>, list: &[QueryParamMatch]) {
    report.items(at, list, 0, 16);
    report.distinct(at, list.iter().map(|query| query.name.as_str()));
    for (n, query) in list.iter().enumerate() {
        let at = at.index(n);
        report.text(&at.field("name"), &query.name, &FIELD_NAME);
        value_type(report, &at.field("type"), query.type_.as_ref());
        if is_known(query.type_.as_ref()) {
            report.text(&at.field("value"), &query.value, &QUERY_VALUE);
        }
    }
}

/// What to write instead of types of matches that other gateways have.
pub(crate) fn match_help(found: &str) -> Option<&'static str> {
    matches!(found, "Exists" | "Present").then_some("the API has no match on presence: use RegularExpression with `.*`")
}

pub(super) fn value_type(report: &mut Report<'_>, at: &Path<'_>, type_: Option<&ValueMatchType>) {
    let Some(type_) = type_ else { return };
    let before = report.len();
    report.known(at, type_.as_str(), ValueMatchType::KNOWN);
    report.help(before, match_help(type_.as_str()));
}

/// Whether a value is wanted: other products have types that need none, and then the type is the one fault.
pub(super) fn is_known(type_: Option<&ValueMatchType>) -> bool {
    !matches!(type_, Some(ValueMatchType::Other(_)))
}

fn timeouts(report: &mut Report<'_>, at: &Path<'_>, field: &HttpRouteTimeouts) {
    report.optional(&at.field("request"), field.request.as_deref(), &DURATION);
    report.optional(&at.field("backendRequest"), field.backend_request.as_deref(), &DURATION);
    // The sums are compared ([V-3]); no request timeout is longer than any other.
    let request = field.request.as_deref().and_then(parse_duration).filter(|time| !time.is_zero());
    let attempt = field.backend_request.as_deref().and_then(parse_duration);
    if attempt.zip(request).is_some_and(|(attempt, request)| attempt > request) {
        report.rejected(at, "backendRequest timeout cannot be longer than request timeout");
    }
}

fn retry(report: &mut Report<'_>, at: &Path<'_>, field: &HttpRouteRetry) {
    if let Some(attempts) = field.attempts {
        report.number(&at.field("attempts"), attempts, 1, i64::from(i32::MAX));
    }
    report.optional(&at.field("backoff"), field.backoff.as_deref(), &DURATION);
    let at = at.field("codes");
    report.distinct(&at, field.codes.iter());
    for (n, code) in field.codes.iter().enumerate() {
        report.number(&at.index(n), *code, 400, 599);
    }
}
