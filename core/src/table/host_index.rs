//! From a host to what is configured for it, the most specific first ([M-4], [L-21]).

use crate::model::hostname::Hostname;

/// Values by hostname: exact names, wildcards, and any host.
#[derive(Clone, Debug)]
pub(crate) struct HostIndex<T> {
    /// Sorted by name.
    exact: Box<[(Box<str>, T)]>,
    /// Sorted by suffix, which begins with a dot.
    wildcard: Box<[(Box<str>, T)]>,
    any: Option<T>,
}

impl<T> Default for HostIndex<T> {
    fn default() -> Self {
        Self { exact: Box::default(), wildcard: Box::default(), any: None }
    }
}

impl<T> HostIndex<T> {
    /// Builds the index; of several values for one hostname the first stays.
    pub(crate) fn new(entries: impl IntoIterator<Item = (Option<Hostname>, T)>) -> Self {
        let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), None);
        for (hostname, value) in entries {
            match hostname {
                Some(Hostname::Exact(name)) => exact.push((name, value)),
                Some(Hostname::Wildcard(suffix)) => wildcard.push((suffix, value)),
                None => any = any.or(Some(value)),
            }
        }
        let sorted = |mut list: Vec<(Box<str>, T)>| {
            list.sort_by(|(a, _), (b, _)| a.cmp(b));
            list.dedup_by(|(a, _), (b, _)| a == b);
            list.into_boxed_slice()
        };
        Self { exact: sorted(exact), wildcard: sorted(wildcard), any }
    }

    /// Whether nothing is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty() && self.any.is_none()
    }

    /// The values whose hostname covers `host`, the most specific first. `None` stands for an address or a
    /// request without host, which only entries for any host cover ([R-H5]).
    pub(crate) fn levels<'t>(&'t self, host: Option<&'t str>) -> impl Iterator<Item = &'t T> {
        self.named_levels(host).map(|(_, value)| value)
    }

    /// As [`levels`](Self::levels), each with the exact name or the suffix that covers the host; `*` is any.
    pub(crate) fn named_levels<'t>(&'t self, host: Option<&'t str>) -> impl Iterator<Item = (&'t str, &'t T)> {
        let exact = host.and_then(|host| find(&self.exact, host));
        let host = if self.wildcard.is_empty() { None } else { host };
        // Suffixes from long to short: one or more whole labels stand before each ([M-3]).
        let wildcards = host
            .filter(|host| !host.starts_with('.'))
            .into_iter()
            .flat_map(|host| host.match_indices('.').filter_map(|(at, _)| find(&self.wildcard, host.get(at..)?)));
        exact.into_iter().chain(wildcards).chain(self.any.iter().map(|value| ("*", value)))
    }

    /// Every entry with its hostname; `None` is any host. Exact names first, then wildcards.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<Hostname>, &T)> {
        let exact = self.exact.iter().map(|(name, value)| (Some(Hostname::Exact(name.clone())), value));
        let wildcard = self.wildcard.iter().map(|(suffix, value)| (Some(Hostname::Wildcard(suffix.clone())), value));
        exact.chain(wildcard).chain(self.any.iter().map(|value| (None, value)))
    }
}

fn find<'t, T>(list: &'t [(Box<str>, T)], key: &str) -> Option<(&'t str, &'t T)> {
    let at = list.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
    list.get(at).map(|(name, value)| (&**name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_first() {
        let names = ["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", "b.example.com", ""];
        let parse = |text: &str| (!text.is_empty()).then(|| Hostname::parse(text).unwrap());
        let index = HostIndex::new(names.map(|name| (parse(name), name)));
        for (host, expected) in [
            (Some("a.b.example.com"), &["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", ""][..]),
            (Some("b.example.com"), &["b.example.com", "*.example.com", "*.com", ""]),
            (Some("x.example.com"), &["*.example.com", "*.com", ""]),
            (Some("example.com"), &["*.com", ""]),
            (Some("com"), &[""]),
            (Some(".example.com"), &[""]),
            (Some("example.org"), &[""]),
            (None, &[""]),
        ] {
            assert_eq!(index.levels(host).copied().collect::<Vec<_>>(), expected, "{host:?}");
        }
    }
}
