//! Whether a match holds ([M-5] to [M-15], [G-1]), and which one wins ([M-20], [G-3]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gatewright::resource::grpc_route::GrpcRouteMatch;
use gatewright::resource::http_route::{HeaderMatch, HttpMethod, HttpRouteMatch, PathMatchType, QueryParamMatch, ValueMatchType};
use regex::bytes::Regex;

use super::hosts::specificity;
use super::question::WorldRequest;

/// A match of either kind of route.
#[derive(Clone, Debug)]
pub(super) enum Match {
    Http(HttpRouteMatch),
    Grpc(GrpcRouteMatch),
}

/// A compiled expression; worlds use few of them, again and again.
fn regex(pattern: &str) -> Option<Rc<Regex>> {
    thread_local!(static KNOWN: RefCell<BTreeMap<String, Option<Rc<Regex>>>> = const { RefCell::new(BTreeMap::new()) });
    KNOWN.with_borrow_mut(|known| {
        let compile = || Regex::new(pattern).is_ok().then(|| Regex::new(&format!("^(?:{pattern})$")).ok().map(Rc::new)).flatten();
        known.entry(pattern.to_owned()).or_insert_with(compile).clone()
    })
}

fn full_match(pattern: &str, text: &str) -> bool {
    regex(pattern).is_some_and(|regex| regex.is_match(text.as_bytes()))
}

fn value_is_sound(type_: Option<&ValueMatchType>, value: &str) -> bool {
    match type_ {
        None | Some(ValueMatchType::Exact) => true,
        Some(ValueMatchType::RegularExpression) => regex(value).is_some(),
        Some(ValueMatchType::Other(_)) => false,
    }
}

impl Match {
    /// Whether this implementation can carry the match out ([S-21]).
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Http(m) => {
                let path = m.path.as_ref().is_none_or(|path| match path.type_ {
                    None | Some(PathMatchType::Exact | PathMatchType::PathPrefix) => true,
                    Some(PathMatchType::RegularExpression) => regex(path.value.as_deref().unwrap_or("/")).is_some(),
                    Some(PathMatchType::Other(_)) => false,
                });
                // Entries that repeat a name are ignored before they are read.
                path && !matches!(m.method, Some(HttpMethod::Other(_)))
                    && first_of_name(&m.headers).iter().all(|h| value_is_sound(h.type_.as_ref(), &h.value))
                    && first_of_query(&m.query_params).iter().all(|q| value_is_sound(q.type_.as_ref(), &q.value))
            }
            Self::Grpc(m) => {
                let names = m.method.as_ref().is_none_or(|method| {
                    [&method.service, &method.method].into_iter().flatten().all(|name| value_is_sound(method.type_.as_ref(), name))
                        && (method.service.is_some() || method.method.is_some())
                });
                names && first_of_name(&m.headers).iter().all(|h| value_is_sound(h.type_.as_ref(), &h.value))
            }
        }
    }

    /// The prefix of a PathPrefix match without the slash that does not count ([M-7]); none for other matches.
    pub(super) fn prefix(&self) -> Option<&str> {
        let Self::Http(m) = self else { return None };
        let Some(path) = &m.path else { return Some("") };
        let value = path.value.as_deref().unwrap_or("/");
        matches!(path.type_, None | Some(PathMatchType::PathPrefix)).then(|| value.strip_suffix('/').unwrap_or(value))
    }

    /// Whether the match holds for a request of this method.
    pub(super) fn holds(&self, request: &WorldRequest, method: &str) -> bool {
        let header = |h: &&HeaderMatch| {
            let lines = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&h.name));
            lines.into_iter().any(|(_, value)| value_holds(h.type_.as_ref(), &h.value, value.trim_matches([' ', '\t'])))
        };
        match self {
            Self::Http(m) => {
                let path = m.path.as_ref().is_none_or(|path| {
                    let value = path.value.as_deref().unwrap_or("/");
                    match path.type_ {
                        Some(PathMatchType::Exact) => request.path == value,
                        Some(PathMatchType::RegularExpression) => full_match(value, &request.path),
                        _ => {
                            let segments = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
                            segments(&request.path).starts_with(&segments(value.strip_suffix('/').unwrap_or(value)))
                        }
                    }
                });
                path && m.method.as_ref().is_none_or(|wanted| wanted.as_str() == method)
                    && first_of_name(&m.headers).iter().all(header)
                    && first_of_query(&m.query_params).iter().all(|q| query_holds(q, request.query.as_deref()))
            }
            Self::Grpc(m) => {
                let name = m.method.as_ref().is_none_or(|method| {
                    let parts: Vec<&str> = request.path.split('/').collect();
                    let [_, service, name] = parts[..] else { return false };
                    method.service.as_deref().is_none_or(|wanted| value_holds(method.type_.as_ref(), wanted, service))
                        && method.method.as_deref().is_none_or(|wanted| value_holds(method.type_.as_ref(), wanted, name))
                });
                is_grpc(request) && name && first_of_name(&m.headers).iter().all(header)
            }
        }
    }
}

/// [G-11]
pub(super) fn is_grpc(request: &WorldRequest) -> bool {
    let content_type = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    content_type.is_some_and(|(_, value)| value == "application/grpc" || value.starts_with("application/grpc+"))
}

fn first_of_name(headers: &[HeaderMatch]) -> Vec<&HeaderMatch> {
    let mut kept: Vec<&HeaderMatch> = Vec::new();
    for header in headers {
        if !kept.iter().any(|k| k.name.eq_ignore_ascii_case(&header.name)) {
            kept.push(header);
        }
    }
    kept
}

fn first_of_query(queries: &[QueryParamMatch]) -> Vec<&QueryParamMatch> {
    let mut kept: Vec<&QueryParamMatch> = Vec::new();
    for query in queries {
        if !kept.iter().any(|k| k.name == query.name) {
            kept.push(query);
        }
    }
    kept
}

fn value_holds(type_: Option<&ValueMatchType>, wanted: &str, found: &str) -> bool {
    if type_ == Some(&ValueMatchType::RegularExpression) { full_match(wanted, found) } else { wanted == found }
}

/// The first parameter of the name counts; names and values are decoded.
fn query_holds(wanted: &QueryParamMatch, query: Option<&str>) -> bool {
    let decode = |text: &str| text.replace('+', " ").replace("%20", " ");
    let pairs = query.unwrap_or_default().split('&').map(|p| p.split_once('=').unwrap_or((p, "")));
    let first = pairs.into_iter().find(|(name, _)| decode(name) == wanted.name);
    first.is_some_and(|(_, value)| value_holds(wanted.type_.as_ref(), &wanted.value, &decode(value)))
}

/// The place of a match in the order of a listener; smaller comes first.
pub(super) fn order(hostname: Option<&str>, of: &Match, created: &str, joined_name: &str, rule: usize, match_: usize) -> impl Ord + use<> {
    let less = |n: usize| -i64::try_from(n).unwrap_or(0);
    let keys = match of {
        Match::Http(m) => {
            let value = m.path.as_ref().and_then(|p| p.value.as_deref()).unwrap_or("/");
            let path = match m.path.as_ref().and_then(|p| p.type_.clone()) {
                Some(PathMatchType::Exact) => vec![0, 0],
                Some(PathMatchType::RegularExpression) => vec![1, less(value.len())],
                _ => vec![2, less(value.strip_suffix('/').unwrap_or(value).len())],
            };
            let counts =
                [i64::from(m.method.is_none()), less(first_of_name(&m.headers).len()), less(first_of_query(&m.query_params).len())];
            [path, counts.to_vec()].concat()
        }
        Match::Grpc(m) => {
            let regex = m.method.as_ref().is_some_and(|method| method.type_ == Some(ValueMatchType::RegularExpression));
            let part = |name: Option<&String>| match name {
                None => vec![2, 0],
                Some(name) => vec![i64::from(regex), less(name.len())],
            };
            let method = m.method.as_ref();
            [
                part(method.and_then(|m| m.service.as_ref())),
                part(method.and_then(|m| m.method.as_ref())),
                vec![less(first_of_name(&m.headers).len())],
            ]
            .concat()
        }
    };
    let hostname = std::cmp::Reverse(specificity(hostname));
    (hostname, keys, created.to_owned(), joined_name.to_owned(), rule, match_)
}
