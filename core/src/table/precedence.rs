//! The one place that orders matches: what wins when several hold.
//!
//! The specification's list ([M-20]; HTTPRouteRule.matches, v1), after the hostname, which the host index
//! orders:
//!
//! > Exact path match; prefix path match with the largest number of characters; method match; largest number of
//! > header matches; largest number of query param matches. If ties still exist across multiple routes: the
//! > oldest route based on creation timestamp; the route appearing first in alphabetical order by
//! > "{namespace}/{name}". If ties still exist within an HTTPRoute: the first matching rule (in list order).
//!
//! and for GRPCRoute ([G-3]): characters in a matching service, in a matching method, number of header matches,
//! then the same ties. Regular expressions stand between exact and prefix matches, longer text first, unless the
//! option `regex_rank` puts them elsewhere ([U-7]).

use std::cmp::Reverse;
use std::sync::Arc;

use crate::model::matching::{GrpcMatch, HttpMatch, NameMatch, PathMatch};
use crate::options::{NameOrder, RegexRank};

/// Where a match stands among the matches of one hostname: the smaller wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    first: Reverse<Weight>,
    second: Reverse<Weight>,
    has_method: Reverse<bool>,
    headers: Reverse<usize>,
    queries: Reverse<usize>,
    age: i64,
    name: Arc<str>,
    rule: u32,
    match_: u32,
}

/// Kind of a text match, then its length, then whether it is a regular expression.
pub(crate) type Weight = (u8, usize, bool);

/// A step of the order, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criterion {
    PathType,
    PathLength,
    Service,
    GrpcMethod,
    Method,
    Headers,
    Queries,
    Age,
    Name,
    Rule,
    Match,
}

/// What a route brings to the order of its matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteRank {
    /// Seconds since 1970; a route without creation timestamp is younger than any ([R-10]).
    pub(crate) age: i64,
    /// The text that orders names ([U-12]): a route that comes or goes changes that of no other.
    pub(crate) name: Arc<str>,
}

impl RouteRank {
    /// Names are ordered by the text `namespace/name`, as the specification writes it, or by namespace and then name.
    pub(crate) fn new(age: i64, namespace: &str, name: &str, order: NameOrder) -> Self {
        let text = match order {
            // No API server lets such names in; here they must still tell routes apart.
            NameOrder::Joined if namespace.contains('/') || name.contains('/') => [namespace, "/", name, "\0", namespace].concat(),
            NameOrder::Joined => [namespace, "/", name].concat(),
            // Nothing comes before it, so that the shorter namespace comes first.
            NameOrder::Tuple => [namespace, "\0", name].concat(),
        };
        Self { age, name: text.into() }
    }
}

impl Rank {
    pub(crate) fn http(matcher: &HttpMatch, regex: RegexRank, route: RouteRank, rule: u32, match_: u32) -> Self {
        Self {
            first: Reverse(path_weight(&matcher.path, regex)),
            second: Reverse((0, 0, false)),
            has_method: Reverse(matcher.method.is_some()),
            headers: Reverse(matcher.headers.len()),
            queries: Reverse(matcher.queries.len()),
            age: route.age,
            name: route.name,
            rule,
            match_,
        }
    }

    pub(crate) fn grpc(matcher: &GrpcMatch, route: RouteRank, rule: u32, match_: u32) -> Self {
        Self {
            first: Reverse(name_weight(&matcher.service)),
            second: Reverse(name_weight(&matcher.method)),
            has_method: Reverse(false),
            headers: Reverse(matcher.headers.len()),
            queries: Reverse(0),
            age: route.age,
            name: route.name,
            rule,
            match_,
        }
    }

    /// The first criterion that tells two matches of the same kind of route apart.
    pub(crate) fn criterion(&self, other: &Self, grpc: bool) -> Criterion {
        let (Reverse((kind, len, _)), Reverse((other_kind, other_len, _))) = (self.first, other.first);
        let path = if kind == other_kind && len != other_len { Criterion::PathLength } else { Criterion::PathType };
        let steps = [
            (self.first != other.first, if grpc { Criterion::Service } else { path }),
            (self.second != other.second, Criterion::GrpcMethod),
            (self.has_method != other.has_method, Criterion::Method),
            (self.headers != other.headers, Criterion::Headers),
            (self.queries != other.queries, Criterion::Queries),
            (self.age != other.age, Criterion::Age),
            (self.name != other.name, Criterion::Name),
            (self.rule != other.rule, Criterion::Rule),
        ];
        steps.into_iter().find_map(|(differs, criterion)| differs.then_some(criterion)).unwrap_or(Criterion::Match)
    }
}

/// Exact first; then regular expressions and prefixes in the order that `regex` says. On one scale of lengths, an
/// expression comes before a prefix of its length.
pub(crate) fn path_weight(path: &PathMatch, regex: RegexRank) -> Weight {
    let kind = match (path, regex) {
        (PathMatch::Exact(_), _) => 4,
        (PathMatch::Regex(_), RegexRank::BetweenExactAndPrefix) => 3,
        (PathMatch::Regex(_), RegexRank::BeforeRoot) => 1,
        (PathMatch::Regex(_), RegexRank::AfterPrefix) => 0,
        (PathMatch::Prefix(prefix), RegexRank::BeforeRoot) if prefix.is_empty() => 0,
        (PathMatch::Regex(_) | PathMatch::Prefix(_), _) => 2,
    };
    let len = match path {
        PathMatch::Exact(text) | PathMatch::Prefix(text) => text.len(),
        PathMatch::Regex(pattern) => pattern.as_str().chars().count(),
    };
    (kind, len, matches!(path, PathMatch::Regex(_)))
}

fn name_weight(name: &NameMatch) -> Weight {
    match name {
        NameMatch::Exact(text) => (2, text.len(), false),
        NameMatch::Regex(pattern) => (1, pattern.as_str().chars().count(), true),
        NameMatch::Any => (0, 0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::matching::{HeaderMatch, QueryMatch, ValueMatch};
    use crate::model::pattern::Patterns;
    use crate::options::RegexMatch;

    fn http(path: PathMatch, method: bool, headers: usize, queries: usize) -> HttpMatch {
        let value = || ValueMatch::Exact("v".into());
        HttpMatch {
            path,
            method: method.then(|| "GET".into()),
            headers: (0..headers).map(|_| HeaderMatch::new(http::header::ACCEPT, value())).collect(),
            queries: (0..queries).map(|_| QueryMatch { name: "q".into(), value: value() }).collect(),
        }
    }

    fn regex(text: &str) -> PathMatch {
        PathMatch::Regex(Patterns::default().compile(text, RegexMatch::Full).unwrap())
    }

    /// One line per step of [M-20]: each entry beats the next one.
    #[test]
    fn the_specifications_list() {
        let young = RouteRank::new(2, "a", "a", NameOrder::Joined);
        let old = RouteRank::new(1, "a", "b", NameOrder::Joined);
        let later_name = RouteRank::new(2, "a", "c", NameOrder::Joined);
        let exact = || PathMatch::Exact("/a".into());
        let prefix = |text: &str| PathMatch::Prefix(text.into());
        let rank =
            |matcher: HttpMatch, route: &RouteRank, rule, match_| Rank::http(&matcher, RegexRank::default(), route.clone(), rule, match_);
        let (young, old, later_name) = (&young, &old, &later_name);
        let order = [
            rank(http(exact(), false, 0, 0), young, 9, 9),
            rank(http(regex("/a.*"), false, 0, 0), young, 9, 9),
            rank(http(regex("/a"), true, 9, 9), old, 0, 0),
            rank(http(prefix("/long"), false, 0, 0), young, 9, 9),
            rank(http(prefix("/l"), true, 0, 0), young, 9, 9),
            rank(http(prefix("/l"), false, 2, 0), young, 9, 9),
            rank(http(prefix("/l"), false, 1, 2), young, 9, 9),
            rank(http(prefix("/l"), false, 1, 1), old, 9, 9),
            rank(http(prefix("/l"), false, 1, 1), young, 9, 9),
            rank(http(prefix("/l"), false, 1, 1), later_name, 0, 9),
            rank(http(prefix("/l"), false, 1, 1), later_name, 1, 0),
            rank(http(prefix("/l"), false, 1, 1), later_name, 1, 1),
        ];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:#?}");
        let criteria: Vec<_> = order.windows(2).map(|pair| pair[0].criterion(&pair[1], false)).collect();
        use Criterion::*;
        assert_eq!(criteria, [PathType, PathLength, PathType, PathLength, Method, Headers, Queries, Age, Name, Rule, Match]);
    }

    /// [U-12]
    #[test]
    fn order_of_names() {
        let rank = |namespace, name, order| RouteRank::new(0, namespace, name, order);
        for (order, joined) in [(NameOrder::Joined, true), (NameOrder::Tuple, false)] {
            // `-` comes before `/`.
            assert_eq!(rank("a-b", "x", order) < rank("a", "x", order), joined);
            assert!(rank("a", "x", order) < rank("a", "xy", order));
            assert!(rank("a", "b/c", order) < rank("a/b", "c", order));
        }
    }

    /// [U-7]: each list is in order of precedence.
    #[test]
    fn regex_ranks() {
        let exact = || PathMatch::Exact("/".into());
        let prefix = |text: &str| PathMatch::Prefix(text.into());
        for (rank, order) in [
            (RegexRank::BetweenExactAndPrefix, [exact(), regex("/.*"), regex("/a"), prefix("/abc"), prefix("/a"), prefix("")]),
            (RegexRank::AfterPrefix, [exact(), prefix("/abc"), prefix("/a"), prefix(""), regex("/.*"), regex("/a")]),
            (RegexRank::BeforeRoot, [exact(), prefix("/abc"), prefix("/a"), regex("/.*"), regex("/a"), prefix("")]),
            (RegexRank::ByLength, [exact(), prefix("/abc"), regex("/.*"), regex("/a"), prefix("/a"), prefix("")]),
        ] {
            let weights: Vec<Weight> = order.iter().map(|path| path_weight(path, rank)).collect();
            assert!(weights.windows(2).all(|pair| pair[0] > pair[1]), "{rank}: {weights:?}");
        }
    }

    /// [G-3]: service characters, then method characters, then headers.
    #[test]
    fn grpc_order() {
        let route = RouteRank::new(0, "a", "a", NameOrder::Joined);
        let name = |text: &str| if text.is_empty() { NameMatch::Any } else { NameMatch::Exact(text.into()) };
        let rank = |service: &str, method: &str, headers: usize| {
            let headers = (0..headers).map(|_| HeaderMatch::new(http::header::ACCEPT, ValueMatch::Exact("v".into()))).collect();
            Rank::grpc(&GrpcMatch { service: name(service), method: name(method), headers }, route.clone(), 0, 0)
        };
        let order = [rank("a.B", "", 0), rank("a", "Ping", 0), rank("a", "P", 1), rank("a", "P", 0), rank("", "Ping", 9)];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
