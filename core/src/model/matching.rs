//! Valid matches and the one place that says whether each of their conditions holds ([M-5] to [M-15], [G-1]).

use std::fmt;

use http::HeaderName;

use super::pattern::Pattern;
use crate::canonical::Fields;
use crate::options::{QueryDecoding, Reading, RepeatedHeaders, RepeatedQuery};
use crate::request::Headers;

static CONTENT_TYPE: HeaderName = http::header::CONTENT_TYPE;

/// A match on the path ([M-6], [M-7], [M-8]); texts are canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathMatch {
    Exact(Box<str>),
    /// Kept without its trailing slash: empty covers every path.
    Prefix(Box<str>),
    Regex(Pattern),
}

impl PathMatch {
    pub(crate) fn holds(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *path,
            // By whole segments: `/v2` is not a prefix of `/v2example`.
            Self::Prefix(prefix) => path.strip_prefix(&**prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Regex(pattern) => pattern.matches(path.bytes()),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "path Exact `{text}`"),
            Self::Prefix(prefix) => write!(f, "path PathPrefix `{}`", if prefix.is_empty() { "/" } else { prefix }),
            Self::Regex(pattern) => write!(f, "path RegularExpression `{}`", pattern.as_str()),
        }
    }
}

/// A match on a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValueMatch {
    Exact(Box<str>),
    Regex(Pattern),
}

impl ValueMatch {
    /// Whether the whole value matches; takes octets, so that decoding a value needs no buffer.
    fn holds(&self, value: impl Iterator<Item = u8>) -> bool {
        match self {
            Self::Exact(text) => value.eq(text.bytes()),
            Self::Regex(pattern) => pattern.matches(value),
        }
    }
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "= `{text}`"),
            Self::Regex(pattern) => write!(f, "~ `{}`", pattern.as_str()),
        }
    }
}

/// A match on a header field ([M-10], [M-11]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderMatch {
    pub(crate) name: HeaderName,
    pub(crate) value: ValueMatch,
    /// The name is an alias of another one and dropped, so that no request has it ([R-F4]).
    pub(crate) dropped: bool,
}

impl HeaderMatch {
    pub(crate) fn new(name: HeaderName, value: ValueMatch) -> Self {
        Self { name, value, dropped: false }
    }

    /// `Host` is the authority, whatever the version of HTTP carries it in (RFC 9110 section 7.2), and Cookie is one
    /// value, however HTTP/2 splits it ([R-F3]). Of any other repeated field each line is compared ([U-8]).
    pub(crate) fn holds<H: Headers + ?Sized>(&self, subject: &Subject<'_, H>) -> bool {
        if self.name == http::header::HOST {
            return subject.authority.is_some_and(|authority| self.value.holds(authority.bytes()));
        }
        if self.dropped {
            return false;
        }
        let mut lines = subject.fields.values(&self.name).map(<[u8]>::trim_ascii);
        if self.name == http::header::COOKIE {
            return lines.next().is_some() && self.value.holds(self.joined(subject, b"; "));
        }
        if lines.any(|line| self.value.holds(line.iter().copied())) {
            return true;
        }
        // One line joined is itself, which did not match.
        subject.reading.repeated_headers == RepeatedHeaders::AnyLineOrJoined
            && subject.fields.values(&self.name).nth(1).is_some()
            && [&b","[..], b", "].iter().any(|separator| self.value.holds(self.joined(subject, separator)))
    }

    /// The octets of all lines, joined (RFC 9110 section 5.3).
    fn joined<'s, H: Headers + ?Sized>(&'s self, subject: &Subject<'s, H>, separator: &'s [u8]) -> impl Iterator<Item = u8> {
        let lines = subject.fields.values(&self.name).map(<[u8]>::trim_ascii).enumerate();
        lines.flat_map(move |(n, line)| (if n == 0 { &[][..] } else { separator }).iter().chain(line).copied())
    }
}

impl fmt::Display for HeaderMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header `{}` {}", self.name, self.value)
    }
}

/// A match on a query parameter ([M-13] to [M-15]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryMatch {
    pub(crate) name: Box<str>,
    pub(crate) value: ValueMatch,
}

impl QueryMatch {
    /// Of several parameters of the name, the first, the last or any one counts ([U-9]); by default decoded
    /// ([U-10]).
    pub(crate) fn holds(&self, query: Option<&str>, reading: Reading) -> bool {
        query_holds(self.name.as_bytes(), query, reading, |value| match reading.query_decoding {
            QueryDecoding::Form => self.value.holds(form_decode(value)),
            QueryDecoding::Raw => self.value.holds(value.bytes()),
        })
    }

    /// The raw values of the parameters of this name.
    pub(crate) fn values<'q>(&self, query: Option<&'q str>, reading: Reading) -> impl Iterator<Item = &'q str> {
        query_values(self.name.as_bytes(), query, reading)
    }
}

/// Whether a query parameter has this value: [`QueryMatch::holds`] for an exact match.
pub(crate) fn query_is(name: &[u8], value: &[u8], query: Option<&str>, reading: Reading) -> bool {
    query_holds(name, query, reading, |found| match reading.query_decoding {
        QueryDecoding::Form => form_decode(found).eq(value.iter().copied()),
        QueryDecoding::Raw => found.as_bytes() == value,
    })
}

fn query_holds(name: &[u8], query: Option<&str>, reading: Reading, holds: impl Fn(&str) -> bool) -> bool {
    let mut values = query_values(name, query, reading);
    match reading.repeated_query {
        RepeatedQuery::First => values.next().is_some_and(holds),
        RepeatedQuery::Last => values.last().is_some_and(holds),
        RepeatedQuery::Any => values.any(holds),
    }
}

/// The raw values of the query parameters of a name.
pub(crate) fn query_values<'q>(name: &[u8], query: Option<&'q str>, reading: Reading) -> impl Iterator<Item = &'q str> {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .filter(move |(found, _)| match reading.query_decoding {
            QueryDecoding::Form => form_decode(found).eq(name.iter().copied()),
            QueryDecoding::Raw => found.as_bytes() == name,
        })
        .map(|(_, value)| value)
}

impl fmt::Display for QueryMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query parameter `{}` {}", self.name, self.value)
    }
}

/// The octets of a form-encoded text: `+` is a space, `%XX` an octet, a broken triplet itself ([M-15]).
pub(crate) fn form_decode(text: &str) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        match (first, tail) {
            (b'+', _) => Some(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    Some(high << 4 | low)
                }
                _ => Some(b'%'),
            },
            (octet, _) => Some(*octet),
        }
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A match of an HTTPRoute rule: all of its conditions must hold ([M-5]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpMatch {
    pub(crate) path: PathMatch,
    pub(crate) method: Option<Box<str>>,
    pub(crate) headers: Box<[HeaderMatch]>,
    pub(crate) queries: Box<[QueryMatch]>,
}

/// The part of a canonical request that matches look at.
pub(crate) struct Subject<'a, H: ?Sized> {
    /// As received.
    pub(crate) authority: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) fields: Fields<'a, H>,
    pub(crate) reading: Reading,
    /// The content type is gRPC's.
    pub(crate) grpc: bool,
}

/// The first condition of a match that does not hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failed<'m> {
    Path(&'m PathMatch),
    Method(&'m str),
    Header(&'m HeaderMatch),
    Query(&'m QueryMatch),
    GrpcService(&'m NameMatch),
    GrpcMethod(&'m NameMatch),
    /// The path is not `/service/method`.
    GrpcPath,
    /// The content type is not gRPC's.
    NotGrpc,
    /// The content type is gRPC's, and a GRPCRoute covers the host.
    Grpc,
}

impl HttpMatch {
    /// The first condition that fails, the path being known to hold.
    pub(crate) fn first_failure_after_path<'m, H: Headers + ?Sized>(&'m self, subject: &Subject<'_, H>) -> Option<Failed<'m>> {
        if let Some(method) = self.method.as_deref().filter(|method| *method != subject.method) {
            return Some(Failed::Method(method));
        }
        if let Some(header) = self.headers.iter().find(|header| !header.holds(subject)) {
            return Some(Failed::Header(header));
        }
        self.queries.iter().find(|query| !query.holds(subject.query, subject.reading)).map(Failed::Query)
    }

    /// The first condition that fails.
    pub(crate) fn first_failure<'m, H: Headers + ?Sized>(&'m self, subject: &Subject<'_, H>) -> Option<Failed<'m>> {
        if self.path.holds(subject.path) { self.first_failure_after_path(subject) } else { Some(Failed::Path(&self.path)) }
    }
}

impl fmt::Display for HttpMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)?;
        if let Some(method) = &self.method {
            write!(f, ", method {method}")?;
        }
        self.headers.iter().try_for_each(|header| write!(f, ", {header}"))?;
        self.queries.iter().try_for_each(|query| write!(f, ", {query}"))
    }
}

/// Whether the content type says gRPC: `application/grpc`, alone or with a suffix or parameters ([G-11]). Whoever sends it
/// understands a gRPC status; gRPC-Web is something else.
///
/// ```
/// use gatewright::apply::is_grpc;
///
/// assert!(is_grpc(&[("content-type", "application/grpc+proto")]));
/// assert!(!is_grpc(&[("content-type", "application/grpc-web")]));
/// ```
pub fn is_grpc<H: Headers + ?Sized>(headers: &H) -> bool {
    let Some(value) = headers.first(&CONTENT_TYPE) else { return false };
    let Some((start, rest)) = value.trim_ascii().split_at_checked("application/grpc".len()) else { return false };
    start.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// A match on a gRPC service or method name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameMatch {
    Any,
    Exact(Box<str>),
    Regex(Pattern),
}

impl NameMatch {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => **text == *name,
            Self::Regex(pattern) => pattern.matches(name.bytes()),
        }
    }
}

impl fmt::Display for NameMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Exact(text) => write!(f, "= `{text}`"),
            Self::Regex(pattern) => write!(f, "~ `{}`", pattern.as_str()),
        }
    }
}

/// A match of a GRPCRoute rule ([G-1], [G-2]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrpcMatch {
    pub(crate) service: NameMatch,
    pub(crate) method: NameMatch,
    pub(crate) headers: Box<[HeaderMatch]>,
}

impl GrpcMatch {
    /// The first condition that fails. Service and method are the path's two segments; a service holds no `/`.
    pub(crate) fn first_failure<'m, H: Headers + ?Sized>(&'m self, subject: &Subject<'_, H>) -> Option<Failed<'m>> {
        if !subject.grpc {
            return Some(Failed::NotGrpc);
        }
        if self.service != NameMatch::Any || self.method != NameMatch::Any {
            let names = subject.path.strip_prefix('/').and_then(|path| path.split_once('/'));
            let Some((service, method)) = names.filter(|(_, method)| !method.contains('/')) else { return Some(Failed::GrpcPath) };
            if !self.service.holds(service) {
                return Some(Failed::GrpcService(&self.service));
            }
            if !self.method.holds(method) {
                return Some(Failed::GrpcMethod(&self.method));
            }
        }
        self.headers.iter().find(|header| !header.holds(subject)).map(Failed::Header)
    }
}

impl fmt::Display for GrpcMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}, method {}", self.service, self.method)?;
        self.headers.iter().try_for_each(|header| write!(f, ", {header}"))
    }
}

/// A match of either kind of route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matcher {
    Http(HttpMatch),
    Grpc(GrpcMatch),
}

impl Matcher {
    /// The first condition that fails.
    pub(crate) fn first_failure<'m, H: Headers + ?Sized>(&'m self, subject: &Subject<'_, H>) -> Option<Failed<'m>> {
        match self {
            Self::Http(http) => http.first_failure(subject),
            Self::Grpc(grpc) => grpc.first_failure(subject),
        }
    }

    /// The conditions on header fields.
    pub(crate) fn headers(&self) -> &[HeaderMatch] {
        match self {
            Self::Http(http) => &http.headers,
            Self::Grpc(grpc) => &grpc.headers,
        }
    }

    /// The conditions on header fields, to be changed.
    pub(crate) fn headers_mut(&mut self) -> &mut [HeaderMatch] {
        match self {
            Self::Http(http) => &mut http.headers,
            Self::Grpc(grpc) => &mut grpc.headers,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => http.fmt(f),
            Self::Grpc(grpc) => grpc.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(method: &'a str, path: &'a str, headers: &'a [(&'a str, &'a str)]) -> Subject<'a, [(&'a str, &'a str)]> {
        let fields = Fields::read(headers).unwrap();
        Subject { authority: Some("b"), method, path, query: None, fields, reading: Reading::default(), grpc: is_grpc(headers) }
    }

    /// The table of [M-7].
    #[test]
    fn path_prefix_is_by_segment() {
        for (prefix, path, expected) in [
            ("/v2", "/v2", true),
            ("/v2", "/v2/", true),
            ("/v2", "/v2/example", true),
            ("/v2", "/v2example", false),
            ("/v2", "/V2", false),
            ("/v2", "/foo/v2", false),
            ("/match", "/match/any", true),
            ("/match", "/matching", false),
            ("", "/", true),
            ("", "/x", true),
        ] {
            assert_eq!(PathMatch::Prefix(prefix.into()).holds(path), expected, "{prefix} on {path}");
        }
    }

    /// [M-13], [M-14], [M-15]
    #[test]
    fn query_parameters() {
        let of = |name: &str, value: &str| QueryMatch { name: name.into(), value: ValueMatch::Exact(value.into()) };
        for (name, value, query, expected) in [
            ("animal", "whale", "animal=whale", true),
            ("animal", "whale", "ANIMAL=whale", false),
            ("animal", "whale", "animal=whaledolphin", false),
            ("a", "1", "a=1&a=2", true),
            ("a", "2", "a=1&a=2", false),
            ("q", "a b", "q=a+b", true),
            ("q", "a b", "q=a%20b", true),
            ("q", "a%20b", "q=a%20b", false),
            ("q", "100%", "q=100%", true),
            ("q", "%zz", "q=%zz", true),
            ("a=b", "c", "a%3Db=c", true),
            ("a", "b=c", "a=b=c", true),
            ("a", "1", "&&a=1", true),
            ("a", "1", "b=1", false),
        ] {
            assert_eq!(of(name, value).holds(Some(query), Reading::default()), expected, "{name}={value} in {query}");
        }
        assert!(!of("a", "1").holds(None, Reading::default()));
        let in_reading = |name: &str, value: &str, query: &str, repeated_query, query_decoding| {
            of(name, value).holds(Some(query), Reading { repeated_query, query_decoding, ..Reading::default() })
        };
        // [U-9]
        for (value, first, last, any) in
            [("1", true, false, true), ("2", false, false, true), ("3", false, true, true), ("4", false, false, false)]
        {
            for (repeated, expected) in [(RepeatedQuery::First, first), (RepeatedQuery::Last, last), (RepeatedQuery::Any, any)] {
                assert_eq!(in_reading("a", value, "a=1&b=4&a=2&a=3", repeated, QueryDecoding::Form), expected, "{value}, {repeated}");
            }
        }
        // [U-10]
        for (name, value, query, form, raw) in [
            ("q", "a b", "q=a+b", true, false),
            ("q", "a+b", "q=a+b", false, true),
            ("q", "%61", "q=%61", false, true),
            ("%71", "1", "%71=1", false, true),
        ] {
            assert_eq!(in_reading(name, value, query, RepeatedQuery::First, QueryDecoding::Form), form, "{query}");
            assert_eq!(in_reading(name, value, query, RepeatedQuery::First, QueryDecoding::Raw), raw, "{query}");
        }
    }

    /// [M-10], [M-11]
    #[test]
    fn header_lines() {
        let header = |name: &'static str, value: &str| HeaderMatch::new(HeaderName::from_static(name), ValueMatch::Exact(value.into()));
        let holds = |header: &HeaderMatch, headers: &[(&str, &str)]| header.holds(&subject("GET", "/", headers));
        let x = header("x", "b");
        assert!(holds(&x, &[("X", "a"), ("x", " b ")]));
        assert!(!holds(&x, &[("X", "a,b")]));
        assert!(!holds(&x, &[("X", "B")]));
        assert!(holds(&header("host", "b"), &[]));
        // [R-F5]
        assert!(!holds(&x, &[("x", "b"), ("connection", "X")]));
        // [R-F3]
        let crumbs = [("cookie", "a=1"), ("Cookie", "b=2")];
        assert!(holds(&header("cookie", "a=1; b=2"), &crumbs));
        assert!(!holds(&header("cookie", "a=1"), &crumbs));
        assert!(holds(&header("cookie", "a=1"), &crumbs[..1]));
        assert!(!holds(&header("cookie", ""), &[]));
        // [R-F4]
        assert!(!holds(&HeaderMatch { dropped: true, ..x }, &[("x", "b")]));
    }

    /// [U-8]
    #[test]
    fn joined_header_lines() {
        let twice = [("x", "a"), ("y", "z"), ("x", "b, c")];
        for (value, any_line, or_joined) in [
            ("a", true, true),
            ("b, c", true, true),
            ("a,b, c", false, true),
            ("a, b, c", false, true),
            ("a,b,c", false, false),
            ("b", false, false),
        ] {
            let header = HeaderMatch::new(HeaderName::from_static("x"), ValueMatch::Exact(value.into()));
            for (repeated_headers, expected) in [(RepeatedHeaders::AnyLine, any_line), (RepeatedHeaders::AnyLineOrJoined, or_joined)] {
                let reading = Reading { repeated_headers, ..Reading::default() };
                assert_eq!(header.holds(&Subject { reading, ..subject("GET", "/", &twice) }), expected, "{value}, {repeated_headers}");
            }
        }
    }

    /// The table of [G-1].
    #[test]
    fn grpc_names() {
        let name = |text: &str| if text.is_empty() { NameMatch::Any } else { NameMatch::Exact(text.into()) };
        for (service, method, path, expected) in [
            ("a.B", "M", "/a.B/M", true),
            ("a.B", "M", "/a.B/m", false),
            ("a.B", "", "/a.B/Any", true),
            ("a.B", "", "/a.B/Any/more", false),
            ("", "M", "/x/M", true),
            ("", "M", "/M", false),
            ("", "", "/anything/at/all", true),
        ] {
            let matcher = GrpcMatch { service: name(service), method: name(method), headers: [].into() };
            let call = subject("POST", path, &[("content-type", "application/grpc+proto")]);
            assert_eq!(matcher.first_failure(&call).is_none(), expected, "{service}/{method} on {path}");
            let other = subject("POST", path, &[("content-type", "application/grpc-web")]);
            assert!(matches!(matcher.first_failure(&other), Some(Failed::NotGrpc)));
        }
    }
}
