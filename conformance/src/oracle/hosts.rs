//! Hosts and hostnames ([A-7], [M-1] to [M-4]).

/// Lower case, no port, no trailing dot; none for an address.
pub(super) fn canonical(host: &str) -> Option<String> {
    let host = host.split(':').next().unwrap_or_default().to_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
    (!is_address(&host)).then_some(host)
}

pub(super) fn is_address(host: &str) -> bool {
    host.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Whether a hostname (none is any) covers a host (none is an address).
pub(super) fn covers(hostname: Option<&str>, host: Option<&str>) -> bool {
    let (Some(hostname), Some(host)) = (hostname, host) else { return hostname.is_none() };
    let (labels, of_host) = (hostname.split('.').collect::<Vec<_>>(), host.split('.').collect::<Vec<_>>());
    if labels[0] != "*" {
        return hostname == host;
    }
    of_host.len() >= labels.len() && of_host[of_host.len() + 1 - labels.len()..] == labels[1..]
}

/// Exact names before wildcards, then the longer, then any ([M-20] steps 1 and 2).
pub(super) fn specificity(hostname: Option<&str>) -> (usize, usize) {
    match hostname {
        None => (0, 0),
        Some(name) if name.starts_with('*') => (0, name.len()),
        Some(name) => (name.len(), name.len()),
    }
}

/// The more specific of two hostnames that overlap ([A-7]).
pub(super) fn intersect(a: Option<&str>, b: Option<&str>) -> Option<Option<String>> {
    let (Some(a), Some(b)) = (a, b) else { return Some(a.or(b).map(str::to_owned)) };
    // A wildcard covers another one if it covers a name below it.
    let below = |name: &str| name.replace('*', "x.x");
    let narrower = if covers(Some(a), Some(&below(b))) && specificity(Some(b)) >= specificity(Some(a)) {
        b
    } else if covers(Some(b), Some(&below(a))) {
        a
    } else {
        return None;
    };
    Some(Some(narrower.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of, read by the oracle.
    #[test]
    fn intersections() {
        for (a, b, expected) in [
            (Some("a.com"), Some("b.com"), None),
            (Some("*.example.com"), Some("foo.example.com"), Some(Some("foo.example.com"))),
            (Some("*.example.com"), Some("a.b.example.com"), Some(Some("a.b.example.com"))),
            (Some("*.example.com"), Some("example.com"), None),
            (Some("*.example.com"), Some("*.foo.example.com"), Some(Some("*.foo.example.com"))),
            (Some("*.foo.example.com"), Some("*.example.com"), Some(Some("*.foo.example.com"))),
            (Some("*.a.com"), Some("*.b.com"), None),
            (None, Some("*.x"), Some(Some("*.x"))),
            (None, None, Some(None)),
        ] {
            assert_eq!(intersect(a, b), expected.map(|name| name.map(str::to_owned)), "{a:?} {b:?}");
        }
    }

    #[test]
    fn one_form() {
        assert!(covers(Some("*.a.com"), Some("x.y.a.com")));
        assert!(!covers(Some("*.a.com"), Some("a.com")));
        assert!(covers(None, None));
        assert!(!covers(Some("a.com"), None));
        assert_eq!(canonical("A.com.:80").as_deref(), Some("a.com"));
        assert_eq!(canonical("10.0.0.1:80"), None);
    }
}
