//! The matches of one hostname, indexed by path.

use super::ids::MatchId;
use super::precedence::Rank;
use crate::model::matching::{HttpMatch, Matcher, PathMatch};

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

/// The HTTPRoute matches of one hostname. The groups stand in the order of precedence: an exact path beats a
/// regular expression, which beats a prefix, and a longer prefix beats a shorter one.
#[derive(Debug, Default)]
pub(crate) struct HttpRoutes {
    /// Sorted by path.
    exact: Box<[(Box<str>, Group)]>,
    /// In order of precedence.
    regex: Group,
    /// Sorted by prefix, which has no trailing slash.
    prefix: Box<[(Box<str>, Group)]>,
}

impl HttpRoutes {
    /// Indexes matches, given in order of precedence.
    pub(crate) fn new(ordered: &[(MatchId, &HttpMatch)]) -> Self {
        let mut exact = std::collections::BTreeMap::<&str, Vec<MatchId>>::new();
        let mut prefix = std::collections::BTreeMap::<&str, Vec<MatchId>>::new();
        let mut regex = Vec::new();
        for (id, matcher) in ordered {
            match &matcher.path {
                PathMatch::Exact(path) => exact.entry(path).or_default().push(*id),
                PathMatch::Prefix(path) => prefix.entry(path).or_default().push(*id),
                PathMatch::Regex(_) => regex.push(*id),
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
        let regex = self.regex.iter().map(|id| (*id, false));
        exact.chain(regex).chain(prefixes(path).filter_map(|prefix| find(&self.prefix, prefix)).flat_map(known))
    }

    /// Every match.
    pub(crate) fn all(&self) -> impl Iterator<Item = MatchId> + '_ {
        let of = |list: &'_ [(Box<str>, Group)]| list.iter().flat_map(|(_, group)| group.iter().copied()).collect::<Vec<_>>();
        of(&self.exact).into_iter().chain(self.regex.iter().copied()).chain(of(&self.prefix))
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

    #[test]
    fn prefixes_are_whole_segments() {
        for (path, expected) in
            [("/a/b", &["/a/b", "/a", ""][..]), ("/a/", &["/a", ""]), ("/", &[""]), ("/a//b", &["/a//b", "/a/", "/a", ""])]
        {
            assert_eq!(prefixes(path).collect::<Vec<_>>(), expected, "{path}");
        }
    }
}
