//! From the rules of a route to valid rules ([S-20], [S-21]).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::backend::{BackendRefParts, Backends, Referrer, parts};
use super::filter::{self, Context, Level};
use super::findings::{BadRef, Findings, Invalid, Problem};
use super::policy::Use;
use super::{gate, matches, traffic};
use crate::decision::Timeouts;
use crate::diagnostic::Code;
use crate::model::filter::Filters;
use crate::model::matching::{HttpMatch, Matcher, PathMatch};
use crate::model::pattern::Patterns;
use crate::options::Options;
use crate::resource::grpc_route::GrpcRouteRule;
use crate::resource::http_route::{HttpRouteFilter, HttpRouteRetry, HttpRouteRule, HttpRouteTimeouts};
use crate::resource::l4_route::L4RouteRule;
use crate::resource::session;
use crate::table::rule::{More, RuleData, Shares};
use crate::table::{BackendId, RouteKind};

/// A rule of the table under construction.
#[derive(Debug)]
pub(crate) struct CheckedRule {
    /// Index in `spec.rules`.
    pub(crate) index: u32,
    pub(crate) name: Option<Box<str>>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) data: RuleData,
}

/// The rules of a route.
#[derive(Debug, Default)]
pub(crate) struct CheckedRules {
    /// Rules that match: valid ones, and invalid ones that fail closed.
    pub(crate) rules: Vec<CheckedRule>,
    /// Index and fault of the invalid ones.
    pub(crate) invalid: Vec<(usize, Invalid)>,
    /// Number of rules written.
    pub(crate) written: usize,
    /// References that do not resolve ([S-13]).
    pub(crate) refs: Vec<BadRef>,
    /// Backends that they refer to, as far as policies apply to them.
    pub(crate) uses: BTreeSet<Use>,
}

impl CheckedRules {
    /// Why no rule can be used, if so ([S-22]).
    pub(crate) fn unusable(&self, kind: RouteKind) -> Option<Problem> {
        let (_, first) = match self.invalid.first() {
            Some(first) if self.invalid.len() == self.written => first,
            // A GRPCRoute may be without rules ([U-27]).
            None if self.written == 0 && kind != RouteKind::Grpc => {
                return Some(("UnsupportedValue", "spec.rules must have at least one rule".to_owned()));
            }
            _ => return None,
        };
        Some((first.reason, format!("{}: {}", first.path, first.message)))
    }
}

/// What translating the rules of one route needs.
#[derive(Debug)]
pub(crate) struct RuleContext<'c, 'i> {
    pub(crate) backends: &'c mut Backends<'i>,
    pub(crate) patterns: &'c mut Patterns,
    pub(crate) findings: &'c mut Findings,
    pub(crate) from: Referrer<'c>,
    pub(crate) options: &'c Options,
}

/// The parts of a rule that both kinds of route have.
struct Parts<'a> {
    name: Option<&'a str>,
    filters: Cow<'a, [HttpRouteFilter]>,
    backends: Vec<(BackendRefParts<'a>, Option<i32>, Cow<'a, [HttpRouteFilter]>)>,
    session: Option<&'a session::SessionPersistence>,
    timeouts: Option<&'a HttpRouteTimeouts>,
    retry: Option<&'a HttpRouteRetry>,
}

/// The rules of an HTTPRoute; absent ones are one rule that matches everything ([R-5]).
pub(crate) fn http(rules: Option<&[HttpRouteRule]>, context: &mut RuleContext<'_, '_>) -> CheckedRules {
    let default = [HttpRouteRule::default()];
    let rules = rules.unwrap_or(&default);
    let mut checked = CheckedRules { written: rules.len(), ..CheckedRules::default() };
    for (n, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{n}]");
        let matchers = {
            let mut context = matches::Context { options: context.options, patterns: context.patterns, findings: context.findings };
            matches::http(&rule.matches, &path, &mut context)
        };
        let one_prefix = matches!(matchers.as_deref(), Ok([HttpMatch { path: PathMatch::Prefix(_), .. }]));
        let parts = Parts {
            name: rule.name.as_deref(),
            filters: Cow::Borrowed(&rule.filters),
            backends: rule.backend_refs.iter().map(|b| (parts!(b), b.weight, Cow::Borrowed(&*b.filters))).collect(),
            session: rule.session_persistence.as_ref(),
            timeouts: rule.timeouts.as_ref(),
            retry: rule.retry.as_ref(),
        };
        let supported = gate::http(rule, context.from.view, context.options.features, &path);
        let matchers = supported.and(matchers).map(|list| list.into_iter().map(Matcher::Http).collect());
        one_rule(n, matchers, &parts, one_prefix, &path, &mut checked, context);
    }
    checked
}

/// The rules of a GRPCRoute.
pub(crate) fn grpc(rules: &[GrpcRouteRule], context: &mut RuleContext<'_, '_>) -> CheckedRules {
    let mut checked = CheckedRules { written: rules.len(), ..CheckedRules::default() };
    for (n, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{n}]");
        let matchers = {
            let mut context = matches::Context { options: context.options, patterns: context.patterns, findings: context.findings };
            matches::grpc(&rule.matches, &path, &mut context)
        };
        let parts = Parts {
            name: rule.name.as_deref(),
            filters: filter::of_grpc(&rule.filters).into(),
            backends: rule.backend_refs.iter().map(|b| (parts!(b), b.weight, filter::of_grpc(&b.filters).into())).collect(),
            session: rule.session_persistence.as_ref(),
            timeouts: None,
            retry: None,
        };
        let supported = gate::grpc(rule, context.from.view, context.options.features, &path);
        let matchers = supported.and(matchers).map(|list| list.into_iter().map(Matcher::Grpc).collect());
        one_rule(n, matchers, &parts, false, &path, &mut checked, context);
    }
    checked
}

/// The rule of a TLSRoute, TCPRoute or UDPRoute: there is exactly one, and further ones of older versions are
/// left out ([T-1], [T-6], [R-2]).
pub(crate) fn streams(rules: &[L4RouteRule], context: &mut RuleContext<'_, '_>) -> CheckedRules {
    let mut checked = CheckedRules { written: rules.len(), ..CheckedRules::default() };
    for (n, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{n}]");
        let parts = Parts {
            name: rule.name.as_deref(),
            filters: Cow::default(),
            backends: rule.backend_refs.iter().map(|b| (parts!(b), b.weight, Cow::default())).collect(),
            session: None,
            timeouts: None,
            retry: None,
        };
        let matchers = if n == 0 {
            Ok(Vec::new())
        } else {
            Err(Invalid::value(Code::UnsupportedValue, &path, format!("a {} has exactly one rule", context.from.kind.as_str())))
        };
        one_rule(n, matchers, &parts, false, &path, &mut checked, context);
    }
    checked
}

/// Translates one rule and decides what becomes of an invalid one: it is left out, unless it has a filter that
/// may guard access; then it keeps its matches and answers 500 ([U-29]).
fn one_rule(
    n: usize,
    matchers: Result<Vec<Matcher>, Invalid>,
    parts: &Parts<'_>,
    one_prefix: bool,
    path: &str,
    checked: &mut CheckedRules,
    context: &mut RuleContext<'_, '_>,
) {
    let before = checked.refs.len();
    let data = rule_data(parts, one_prefix, path, &mut checked.refs, context);
    if data.is_err() {
        // The first fault ends the translation, but every reference counts ([S-12], [S-13]).
        checked.refs.truncate(before);
        references(parts, path, &mut checked.refs, context);
    }
    let guarded = filter::guards(&parts.filters) || parts.backends.iter().any(|(_, _, filters)| filter::guards(filters));
    let (index, name) = (u32::try_from(n).unwrap_or(u32::MAX), parts.name.map(Into::into));
    let invalid = match (matchers, data) {
        (Ok(matchers), Ok(data)) => return checked.rules.push(CheckedRule { index, name, matchers, data }),
        (Ok(matchers), Err(invalid)) if guarded => {
            context.findings.error(invalid.code, invalid.path.clone(), invalid.message.clone());
            context.findings.warning(Code::FailClosed, path, "the rule keeps its matches and answers 500");
            checked.rules.push(CheckedRule { index, name, matchers, data: RuleData::closed() });
            invalid
        }
        (Err(invalid), _) | (_, Err(invalid)) => {
            context.findings.error(invalid.code, invalid.path.clone(), invalid.message.clone());
            context.findings.warning(Code::RuleDropped, path, "the rule is left out");
            invalid
        }
    };
    checked.invalid.push((n, invalid));
}

/// The references of a rule that do not resolve, whatever else is wrong with it.
fn references(parts: &Parts<'_>, path: &str, refs: &mut Vec<BadRef>, context: &mut RuleContext<'_, '_>) {
    let mut resolve = |to: BackendRefParts<'_>, at: &str, consequence: &str| {
        if let Err(bad) = context.backends.resolve(context.from, to, at, context.findings) {
            bad.report(context.findings, consequence);
            refs.push(bad);
        }
    };
    let mut mirrors = |list: &[HttpRouteFilter], at: &str| {
        for (n, mirror) in list.iter().enumerate().filter_map(|(n, filter)| Some((n, filter.request_mirror.as_ref()?))) {
            resolve(parts!(mirror.backend_ref), &format!("{at}.filters[{n}].requestMirror.backendRef"), "nothing is mirrored there");
        }
    };
    mirrors(&parts.filters, path);
    for (n, (_, _, filters)) in parts.backends.iter().enumerate() {
        mirrors(filters, &format!("{path}.backendRefs[{n}]"));
    }
    for (n, (reference, _, _)) in parts.backends.iter().enumerate() {
        resolve(*reference, &format!("{path}.backendRefs[{n}]"), "its share of the requests is answered with 500");
    }
}

fn rule_data(
    parts: &Parts<'_>,
    one_prefix: bool,
    path: &str,
    refs: &mut Vec<BadRef>,
    context: &mut RuleContext<'_, '_>,
) -> Result<RuleData, Invalid> {
    let mut filters =
        Context { backends: context.backends, findings: context.findings, refs, from: context.from, options: context.options, one_prefix };
    let of_rule = filter::filters(&parts.filters, Level::Rule, format_args!("{path}.filters"), &mut filters)?;
    let mut shares: Vec<(u32, Option<BackendId>, Filters)> = Vec::with_capacity(parts.backends.len());
    for (n, (reference, weight, list)) in parts.backends.iter().enumerate() {
        let at = format!("{path}.backendRefs[{n}]");
        let weight = weight.unwrap_or(1);
        let Some(weight) = u32::try_from(weight).ok().filter(|weight| *weight <= 1_000_000) else {
            return Err(Invalid::value(Code::InvalidValue, format!("{at}.weight"), format!("weight {weight} is not from 0 to 1000000")));
        };
        let of_backend = filter::filters(list, Level::Backend, format_args!("{at}.filters"), &mut filters)?;
        let backend = match filters.backends.resolve(filters.from, *reference, &at, filters.findings) {
            Ok(backend) => Some(backend),
            Err(bad) => {
                bad.report(filters.findings, "its share of the requests is answered with 500");
                filters.refs.push(bad);
                None
            }
        };
        shares.push((weight, backend, of_backend));
    }
    let of_backends: Vec<&Filters> = shares.iter().map(|(_, _, filters)| filters).collect();
    filter::check_rule(&of_rule, &of_backends, format_args!("{path}.filters"))?;
    let session = parts.session.map(|field| {
        let index = path.to_owned();
        let owner = [context.from.kind.as_str(), context.from.namespace, context.from.name, parts.name.unwrap_or(&index)];
        traffic::session(field, &format!("{path}.sessionPersistence"), &owner, context.findings)
    });
    let session = session.transpose()?;
    let more = More {
        timeouts: match parts.timeouts {
            None => Timeouts::default(),
            written => traffic::timeouts(written, &format!("{path}.timeouts"))?,
        },
        retry: parts.retry.map(|retry| traffic::retry(retry, &format!("{path}.retry"))).transpose()?,
        session,
        fail_closed: false,
    };
    Ok(RuleData::new(of_rule, Shares::new(shares), more))
}
