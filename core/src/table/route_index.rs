//! The matches of one hostname, indexed by path.

use super::ids::MatchId;
use super::precedence::Rank;
use crate::model::matching::{HttpMatch, Matcher, PathMatch};
use crate::model::pattern::Pattern;
use crate::options::RegexRank;

/// A match of the table.
#[derive(Debug)]
pub(crate) struct MatchData {
    pub(crate) matcher: Matcher,
    pub(crate) rank: Rank,
}

impl MatchData {
    pub(crate) fn http(&self) -> Option<&HttpMatch> {
        match &self.matcher {
            Matcher::Http(matcher) => Some(matcher),
            Matcher::Grpc(_) => None,
        }
    }
}

/// Matches that share a path, in order of precedence.
type Group = Box<[MatchId]>;

/// The HTTPRoute matches of one hostname, in groups that stand in the order of precedence.
#[derive(Debug, Default)]
pub(crate) struct HttpRoutes {
    /// Sorted by path.
    exact: Box<[(Box<str>, Group)]>,
    /// Regular expressions in order of precedence, each with the length of the longest prefix that it comes before:
    /// descending. `None` comes after every prefix.
    regex: Box<[(Option<usize>, MatchId)]>,
    /// Sorted by prefix, which has no trailing slash.
    prefix: Box<[(Box<str>, Group)]>,
}

impl HttpRoutes {
    /// Indexes matches, given in order of precedence.
    pub(crate) fn new(ordered: &[(MatchId, &HttpMatch)], rank: RegexRank) -> Self {
        let mut exact = std::collections::BTreeMap::<&str, Vec<MatchId>>::new();
        let mut prefix = std::collections::BTreeMap::<&str, Vec<MatchId>>::new();
        let mut regex = Vec::new();
        for (id, matcher) in ordered {
            match &matcher.path {
                PathMatch::Exact(path) => exact.entry(path).or_default().push(*id),
                PathMatch::Prefix(path) => prefix.entry(path).or_default().push(*id),
                PathMatch::Regex(pattern) => regex.push((comes_before(pattern, rank), *id)),
            }
        }
        let boxed =
            |map: std::collections::BTreeMap<&str, Vec<MatchId>>| map.into_iter().map(|(path, ids)| (path.into(), ids.into())).collect();
        Self { exact: boxed(exact), regex: regex.into(), prefix: boxed(prefix) }
    }

    /// The matches whose path may hold, in order of precedence, and whether the path is known to hold.
    pub(crate) fn candidates<'t>(&'t self, path: &'t str) -> impl Iterator<Item = (MatchId, bool)> + 't {
        let known = |group: &'t [MatchId]| group.iter().map(|id| (*id, true));
        let exact = find(&self.exact, path).into_iter().flat_map(known);
        let mut regex = &*self.regex;
        // Takes the expressions that come before a prefix of this length.
        let mut before = move |len: Option<usize>| {
            let (taken, rest) = regex.split_at_checked(regex.partition_point(|(bound, _)| *bound >= len)).unwrap_or((regex, &[]));
            regex = rest;
            taken.iter().map(|(_, id)| (*id, false))
        };
        // The end of the list stands for "after every prefix".
        let lists = prefixes(path).map(Some).chain([None]);
        exact.chain(lists.flat_map(move |prefix| {
            let group = prefix.and_then(|prefix| find(&self.prefix, prefix));
            // Without a prefix of that length there is nothing to come before.
            let taken = (group.is_some() || prefix.is_none()).then(|| before(prefix.map(str::len)));
            taken.into_iter().flatten().chain(group.into_iter().flat_map(known))
        }))
    }

    /// Every match.
    pub(crate) fn all(&self) -> impl Iterator<Item = MatchId> + '_ {
        let of = |list: &'_ [(Box<str>, Group)]| list.iter().flat_map(|(_, group)| group.iter().copied()).collect::<Vec<_>>();
        of(&self.exact).into_iter().chain(self.regex.iter().map(|(_, id)| *id)).chain(of(&self.prefix))
    }
}

/// The length of the longest prefix that a regular expression comes before ([U-7]).
fn comes_before(pattern: &Pattern, rank: RegexRank) -> Option<usize> {
    match rank {
        RegexRank::BetweenExactAndPrefix => Some(usize::MAX),
        RegexRank::AfterPrefix => None,
        RegexRank::BeforeRoot => Some(0),
        RegexRank::ByLength => Some(pattern.as_str().chars().count()),
    }
}

/// The prefixes of whole segments of a path, longest first: for `/a/b` these are `/a/b`, `/a` and the empty one.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let whole = (!path.ends_with('/')).then_some(path);
    whole.into_iter().chain(path.rmatch_indices('/').filter_map(|(at, _)| path.get(..at)))
}

fn find<'t>(list: &'t [(Box<str>, Group)], key: &str) -> Option<&'t [MatchId]> {
    let at = list.binary_search_by(|(path, _)| (**path).cmp(key)).ok()?;
    list.get(at).map(|(_, group)| &**group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pattern::Patterns;
    use crate::options::RegexMatch;
    use crate::table::precedence::path_weight;

    #[test]
    fn prefixes_are_whole_segments() {
        for (path, expected) in
            [("/a/b", &["/a/b", "/a", ""][..]), ("/a/", &["/a", ""]), ("/", &[""]), ("/a//b", &["/a//b", "/a/", "/a", ""])]
        {
            assert_eq!(prefixes(path).collect::<Vec<_>>(), expected, "{path}");
        }
    }

    /// [U-7]: the index gives the order of `precedence`, whatever it is.
    #[test]
    fn the_order_is_that_of_precedence() {
        let mut patterns = Patterns::default();
        let mut paths: Vec<PathMatch> = ["/a", "/.*", "/a/b.*", "/a.......", "/[ab]/?b?"]
            .map(|text| PathMatch::Regex(patterns.compile(text, RegexMatch::Full).unwrap()))
            .into();
        paths.extend(["", "/a", "/a/b", "/a/b/ccc", "/b"].map(|text| PathMatch::Prefix(text.into())));
        paths.extend(["/a", "/a/b"].map(|text| PathMatch::Exact(text.into())));
        let matcher = |path: &PathMatch| HttpMatch { path: path.clone(), method: None, headers: [].into(), queries: [].into() };
        let matchers: Vec<HttpMatch> = paths.iter().map(matcher).collect();
        for rank in RegexRank::ALL {
            let mut ordered: Vec<(MatchId, &HttpMatch)> =
                matchers.iter().enumerate().map(|(n, m)| (MatchId(u32::try_from(n).unwrap()), m)).collect();
            ordered.sort_by_key(|(_, matcher)| std::cmp::Reverse(path_weight(&matcher.path, *rank)));
            let index = HttpRoutes::new(&ordered, *rank);
            for path in ["/a", "/a/b", "/a/b/ccc", "/a/b/c", "/b/b", "/", "/c"] {
                let holds = |id: &MatchId| matchers[id.0 as usize].path.holds(path);
                let expected: Vec<MatchId> = ordered.iter().map(|(id, _)| *id).filter(holds).collect();
                let found: Vec<MatchId> = index.candidates(path).filter(|(id, known)| *known || holds(id)).map(|(id, _)| id).collect();
                assert_eq!(found, expected, "{rank} {path}");
            }
        }
    }
}
