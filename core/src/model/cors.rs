//! Valid CORS filters ([C-1]) and the comparison of origins ([C-2]).

use http::{HeaderName, HeaderValue, header};

/// A valid CORS filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cors {
    pub(crate) origins: Box<[OriginPattern]>,
    pub(crate) credentials: bool,
    pub(crate) methods: CorsList,
    pub(crate) headers: CorsList,
    pub(crate) expose: CorsList,
    pub(crate) max_age: u32,
}

impl Cors {
    /// Whether a request's `Origin` is allowed ([C-2]).
    pub(crate) fn allowed_origin(&self, origin: &[u8]) -> bool {
        let origin = std::str::from_utf8(origin).ok().filter(|text| text.bytes().all(|b| b.is_ascii_graphic() && b != b'*'));
        origin.is_some_and(|origin| self.origins.iter().any(|pattern| pattern.matches(origin)))
    }
}

/// An entry of `allowOrigins`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OriginPattern {
    /// `*`
    Any,
    /// `scheme://host[:port]`
    Origin { https: bool, host: OriginHost, port: u16 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OriginHost {
    Any,
    /// In lower case.
    Exact(Box<str>),
    /// `*.suffix`, kept with its dot, in lower case.
    Suffix(Box<str>),
}

impl OriginPattern {
    /// Reads an entry; `None` for what is no origin.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (https, host, port) = split_origin(text)?;
        let host = match host.strip_prefix('*') {
            Some("") => OriginHost::Any,
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*') => {
                OriginHost::Suffix(suffix.to_ascii_lowercase().into())
            }
            Some(_) => return None,
            None if host.contains('*') => return None,
            None => OriginHost::Exact(host.to_ascii_lowercase().into()),
        };
        Some(Self::Origin { https, host, port })
    }

    fn matches(&self, origin: &str) -> bool {
        let Self::Origin { https, host, port } = self else { return true };
        let Some((of_https, of_host, of_port)) = split_origin(origin) else { return false };
        let same_host = match host {
            OriginHost::Any => true,
            OriginHost::Exact(name) => name.eq_ignore_ascii_case(of_host),
            // One or more whole labels stand for the star.
            OriginHost::Suffix(suffix) => of_host
                .len()
                .checked_sub(suffix.len())
                .and_then(|at| of_host.split_at_checked(at))
                .is_some_and(|(labels, end)| !labels.is_empty() && !labels.starts_with('.') && end.eq_ignore_ascii_case(suffix)),
        };
        *https == of_https && *port == of_port && same_host
    }
}

/// Whether it is https, the host, and the port with its default (RFC 6454 section 4).
fn split_origin(text: &str) -> Option<(bool, &str, u16)> {
    let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    // A colon inside of brackets belongs to an IPv6 address.
    let colon = rest.rfind(':').filter(|at| rest.rfind(']').is_none_or(|bracket| bracket < *at));
    let (host, port) = match colon.and_then(|at| Some((rest.get(..at)?, rest.get(at.checked_add(1)?..)?))) {
        Some((host, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => (host, digits.parse().ok()?),
        Some(_) => return None,
        None => (rest, if https { 443 } else { 80 }),
    };
    let valid = !host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', ',', ' ', '%']);
    valid.then_some((https, host, port))
}

/// A list of names that may be `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum CorsList {
    #[default]
    Absent,
    Any,
    /// Already joined by `, `.
    List(HeaderValue),
}

/// The fields of a CORS answer, which replace the backend's own ([C-5]).
pub(crate) const CORS_FIELDS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of [C-2].
    #[test]
    fn origins() {
        for (pattern, origin, expected) in [
            ("*", "https://anything.example:1", true),
            ("*", "null", true),
            ("https://www.foo.com", "https://www.foo.com", true),
            ("https://www.foo.com", "https://WWW.foo.com:443", true),
            ("https://www.foo.com", "http://www.foo.com", false),
            ("https://www.foo.com", "https://www.foo.com.evil.com", false),
            ("https://*.bar.com", "https://www.bar.com", true),
            ("https://*.bar.com", "https://xpto.www.bar.com", true),
            ("https://*.bar.com", "https://bar.com", false),
            ("https://*.bar.com", "https://foobar.com", false),
            ("https://*.bar.com", "https://.bar.com", false),
            ("https://*.bar.com", "http://www.bar.com", false),
            ("https://*.bar.com", "https://www.bar.com:8443", false),
            ("http://*", "http://a.b", true),
            ("http://*", "http://a.b:81", false),
            ("http://app.dev:3000", "http://app.dev:3000", true),
            ("http://app.dev:3000", "http://app.dev", false),
            ("https://*", "null", false),
            ("https://*.bar.com", "https://*.bar.com", false),
        ] {
            let cors = Cors { origins: [OriginPattern::parse(pattern).unwrap()].into(), ..Cors::default() };
            assert_eq!(cors.allowed_origin(origin.as_bytes()), expected, "{pattern} with {origin}");
        }
        for text in
            ["", "ftp://a", "a.com", "https://", "https://a*b.com", "https://a.com/x", "https://u@a.com", "https://a.com:x", "https://*x"]
        {
            assert_eq!(OriginPattern::parse(text), None, "{text}");
        }
        assert!(!Cors::default().allowed_origin(b"https://a.com"));
    }
}
