//! Valid hostnames of listeners and routes ([A-7], [M-3]).

use std::fmt;

/// A hostname: one name, or all names below a suffix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hostname {
    /// One name, in lower case.
    Exact(Box<str>),
    /// `*.example.com`, kept as `.example.com`: one or more labels to the left of the suffix.
    Wildcard(Box<str>),
}

/// Why a text is not a hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostnameError {
    /// It breaks the pattern of the API.
    Pattern,
    /// It is an IP address, which the API forbids ([A-8]).
    Address,
}

impl Hostname {
    /// Reads a hostname.
    ///
    /// # Errors
    ///
    /// Texts that break the API's pattern: labels of lower-case letters, digits and inner hyphens, 253
    /// characters in all, `*` only as the first label; and IP addresses.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if text.len() > 253 || !name.split('.').all(is_label) {
            return Err(HostnameError::Pattern);
        }
        if name.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostnameError::Address);
        }
        Ok(if wildcard { Self::Wildcard([".", name].concat().into()) } else { Self::Exact(name.into()) })
    }

    /// Whether a host in the form for comparison (lower case, no port, no trailing dot) is covered. Never
    /// for an address: those reach entries without hostname only ([R-H5]).
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            // Something must stand before the suffix, and it must not begin with an empty label.
            Self::Wildcard(suffix) => host.strip_suffix(&**suffix).is_some_and(|label| !label.is_empty() && !label.starts_with('.')),
        }
    }

    /// The more specific of two hostnames that overlap: what a route on a listener serves ([A-7]).
    pub fn intersect<'h>(&'h self, other: &'h Self) -> Option<&'h Self> {
        match (self, other) {
            (Self::Exact(name), _) if other.matches(name) => Some(self),
            (_, Self::Exact(name)) if self.matches(name) => Some(other),
            (Self::Wildcard(a), Self::Wildcard(b)) if a.ends_with(&**b) => Some(self),
            (Self::Wildcard(a), Self::Wildcard(b)) if b.ends_with(&**a) => Some(other),
            _ => None,
        }
    }
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_label(label: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.iter().all(|b| alphanumeric(b) || *b == b'-') && bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric)
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// The intersection of a listener's and a route's hostname, where absent means any ([A-7]). The outer `None` is
/// no intersection.
pub(crate) fn intersect(listener: Option<&Hostname>, route: Option<&Hostname>) -> Option<Option<Hostname>> {
    match (listener, route) {
        (None, None) => Some(None),
        (Some(one), None) | (None, Some(one)) => Some(Some(one.clone())),
        (Some(a), Some(b)) => a.intersect(b).map(|h| Some(h.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<Hostname> {
        (!text.is_empty()).then(|| Hostname::parse(text).unwrap())
    }

    /// The table of.
    #[test]
    fn intersection() {
        for (listener, route, expected) in [
            ("", "", Some("")),
            ("", "x.com", Some("x.com")),
            ("", "*.x.com", Some("*.x.com")),
            ("x.com", "", Some("x.com")),
            ("a.com", "a.com", Some("a.com")),
            ("a.com", "b.com", None),
            ("*.example.com", "foo.example.com", Some("foo.example.com")),
            ("*.example.com", "a.b.example.com", Some("a.b.example.com")),
            ("*.example.com", "example.com", None),
            ("*.example.com", "fooexample.com", None),
            ("foo.example.com", "*.example.com", Some("foo.example.com")),
            ("*.example.com", "*.foo.example.com", Some("*.foo.example.com")),
            ("*.foo.example.com", "*.example.com", Some("*.foo.example.com")),
            ("*.com", "*.example.com", Some("*.example.com")),
            ("*.example.com", "*.example.com", Some("*.example.com")),
            ("*.a.com", "*.b.com", None),
            ("*.example.com", "*.badexample.com", None),
        ] {
            let found = intersect(host(listener).as_ref(), host(route).as_ref());
            assert_eq!(found, expected.map(host), "{listener} with {route}");
        }
    }

    /// [M-3]: one or more labels, never an empty one.
    #[test]
    fn wildcards() {
        let wildcard = host("*.example.com").unwrap();
        for (name, expected) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("aexample.com", false),
            ("example.com.evil", false),
        ] {
            assert_eq!(wildcard.matches(name), expected, "{name}");
        }
    }

    #[test]
    fn parse_refuses() {
        for text in ["", "*", "*.", "A.com", "a..b", "-a.com", "a-.com", "a.com.", "a_b.com", "a.*.com", "**.com", "a b"] {
            assert_eq!(Hostname::parse(text), Err(HostnameError::Pattern), "{text}");
        }
        assert_eq!(Hostname::parse("1.2.3.4"), Err(HostnameError::Address));
        assert_eq!(Hostname::parse(&"a.".repeat(127)), Err(HostnameError::Pattern));
    }
}
