//! The canonical request target ([R-T1] to [R-T5], [R-P1] to [R-P12]).

use std::borrow::Cow;

use super::Refusal;
use crate::options::Profile;

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm<'a> {
    /// `/path?query`
    Origin(&'a [u8]),
    /// `scheme://authority/path?query`
    Absolute {
        /// Scheme as received.
        scheme: &'a str,
        /// Authority as received.
        authority: &'a [u8],
        /// Path and query; empty when the URI has neither.
        target: &'a [u8],
    },
    /// `*`, with OPTIONS only
    Asterisk,
}

/// A canonical path, and the query as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalTarget<'a> {
    /// The path: begins with `/`, ASCII.
    pub path: Cow<'a, str>,
    /// The query without `?`, ASCII.
    pub query: Option<&'a str>,
}

/// Octets of a request target at most ([R-T4]).
const LONGEST_TARGET: usize = 8192;

/// Refuses methods that are no token, and CONNECT ([R-T2], [R-T5]).
pub(crate) fn check_method(method: &str) -> Result<(), Refusal> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if method.is_empty() || !method.bytes().all(token) {
        return Err(Refusal::MethodSyntax);
    }
    match method {
        "CONNECT" => Err(Refusal::Connect),
        _ if method.len() > 32 => Err(Refusal::MethodTooLong),
        _ => Ok(()),
    }
}

/// Tells the forms of a target apart ([R-T1] to [R-T4]).
pub(crate) fn split_form<'a>(method: &str, target: &'a [u8]) -> Result<TargetForm<'a>, Refusal> {
    if target.len() > LONGEST_TARGET {
        return Err(Refusal::TargetTooLong);
    }
    match target {
        [b'/', ..] => return Ok(TargetForm::Origin(target)),
        b"*" if method == "OPTIONS" => return Ok(TargetForm::Asterisk),
        _ => {}
    }
    let end = target.iter().position(|b| *b == b':').ok_or(Refusal::TargetForm)?;
    let (scheme, rest) = target.split_at_checked(end).ok_or(Refusal::TargetForm)?;
    let scheme = std::str::from_utf8(scheme).map_err(|_| Refusal::TargetForm)?;
    let rest = rest.strip_prefix(b"://").ok_or(Refusal::TargetForm)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Refusal::TargetForm);
    }
    // A backslash ends an authority for some readers.
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).ok_or(Refusal::TargetForm)?;
    match target.first() {
        None | Some(b'/' | b'?') => Ok(TargetForm::Absolute { scheme, authority, target }),
        _ => Err(Refusal::TargetForm),
    }
}

/// Makes a target in origin form canonical, or refuses it. Allocates only if the path changes; a target
/// without path is `/`.
pub(crate) fn canonical_target(raw: &[u8], profile: Profile) -> Result<CanonicalTarget<'_>, Refusal> {
    let allowed = |b: &u8| b.is_ascii_graphic() && *b != b'#';
    if !raw.iter().all(allowed) {
        return Err(Refusal::TargetOctet);
    }
    let text = std::str::from_utf8(raw).map_err(|_| Refusal::TargetOctet)?;
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    Ok(CanonicalTarget { path: canonical_path(if path.is_empty() { "/" } else { path }, profile)?, query })
}

/// The canonical form of a configured path: the same function as for requests, without a query.
pub(crate) fn canonical_config_path(value: &str, profile: Profile) -> Result<Cow<'_, str>, Refusal> {
    if !value.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Err(Refusal::TargetOctet);
    }
    canonical_path(value, profile)
}

fn canonical_path(path: &str, profile: Profile) -> Result<Cow<'_, str>, Refusal> {
    let triplets = if triplets_are_canonical(path, profile)? { Cow::Borrowed(path) } else { Cow::Owned(normalise_triplets(path)) };
    let plan = inspect_segments(&triplets, profile)?;
    Ok(if plan { Cow::Owned(resolve_segments(&triplets, profile)?) } else { triplets })
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

/// The octet that a `%` and what follows it stand for.
fn triplet(after_percent: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    match after_percent {
        [high, low, ..] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

/// Checks every octet and triplet ([R-P2] to [R-P6]) and says whether all triplets are in canonical form:
/// upper case, none of an unreserved character.
fn triplets_are_canonical(path: &str, profile: Profile) -> Result<bool, Refusal> {
    let mut canonical = true;
    // The octet of the triplet that ended right here: overlong UTF-8 shows in two triplets.
    let mut previous = None;
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'\\' | b'<' | b'>' | b'`' => return Err(Refusal::PathOctet),
            b'%' => {
                let octet = triplet(tail).ok_or(Refusal::BrokenTriplet)?;
                match (previous, octet) {
                    (_, 0x00..=0x1f | 0x7f) => return Err(Refusal::EncodedControl),
                    (_, 0xc0 | 0xc1) | (Some(0xe0), 0x80..=0x9f) | (Some(0xf0), 0x80..=0x8f) => return Err(Refusal::OverlongUtf8),
                    (_, b'/' | b'\\') if profile == Profile::Strict => return Err(Refusal::EncodedSlash),
                    _ => {}
                }
                let (digits, after) = tail.split_at_checked(2).ok_or(Refusal::BrokenTriplet)?;
                canonical &= !is_unreserved(octet) && !digits.iter().any(u8::is_ascii_lowercase);
                previous = Some(octet);
                rest = after;
            }
            _ => previous = None,
        }
    }
    Ok(canonical)
}

/// Decodes unreserved characters once and writes all other triplets in upper case ([R-P5]).
fn normalise_triplets(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match (triplet(after.as_bytes()), after.split_at_checked(2)) {
            (Some(octet), Some((_, tail))) if is_unreserved(octet) => {
                out.push(char::from(octet));
                rest = tail;
            }
            (_, Some((digits, tail))) => {
                out.push('%');
                out.extend(digits.chars().map(|c| c.to_ascii_uppercase()));
                rest = tail;
            }
            (_, None) => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Refuses segments that are read in several ways ([R-P8], [R-P9]) and says whether segments have to be
/// resolved.
fn inspect_segments(path: &str, profile: Profile) -> Result<bool, Refusal> {
    let (mut empty, mut dot, mut dot_dot) = (false, false, false);
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            // The last segment may be empty: a trailing slash.
            "" => empty |= segments.peek().is_some(),
            "." => dot = true,
            ".." => dot_dot = true,
            _ => {
                let after_dots = segment.strip_prefix("..").or_else(|| segment.strip_prefix('.'));
                if after_dots.is_some_and(|rest| rest.starts_with(';') || rest.starts_with("%3B")) {
                    return Err(Refusal::DotSegmentParameter);
                }
            }
        }
    }
    let strict = profile == Profile::Strict;
    if strict && empty && dot_dot {
        return Err(Refusal::EmptySegmentWithDotDot);
    }
    Ok(dot || dot_dot || (strict && empty))
}

/// Removes dot segments (RFC 3986 section 5.2.4) and, in the Strict profile, empty ones ([R-P7], [R-P8]).
fn resolve_segments(path: &str, profile: Profile) -> Result<String, Refusal> {
    let mut kept: Vec<&str> = Vec::new();
    let mut trailing_slash = false;
    for segment in path.split('/').skip(1) {
        trailing_slash = matches!(segment, "" | "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop().ok_or(Refusal::AboveRoot)?;
            }
            "" if profile == Profile::Strict => {}
            _ => kept.push(segment),
        }
    }
    // In the other profile a trailing empty segment was kept, and is the trailing slash.
    if profile != Profile::Strict && path.ends_with('/') {
        kept.pop();
    }
    let mut out = String::with_capacity(path.len());
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
    if trailing_slash || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(path: &str) -> Result<String, Refusal> {
        canonical_target(path.as_bytes(), Profile::Strict).map(|t| t.path.into_owned())
    }

    #[test]
    fn one_form_in_the_strict_profile() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/%61/%2e%2E/b", "/b"),
            ("/%7euser", "/~user"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%252e", "/a%252e"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/a|b\"[]^{}", "/a|b\"[]^{}"),
        ] {
            assert_eq!(strict(raw).as_deref(), Ok(expected), "{raw}");
            assert_eq!(strict(expected).as_deref(), Ok(expected), "{expected} again");
        }
    }

    #[test]
    fn refused_in_the_strict_profile() {
        for (raw, expected) in [
            ("/a b", Refusal::TargetOctet),
            ("/a#b", Refusal::TargetOctet),
            ("/a?b#c", Refusal::TargetOctet),
            ("/caf\u{e9}", Refusal::TargetOctet),
            ("/a\\b", Refusal::PathOctet),
            ("/a`b", Refusal::PathOctet),
            ("/a%", Refusal::BrokenTriplet),
            ("/a%2", Refusal::BrokenTriplet),
            ("/a%zz", Refusal::BrokenTriplet),
            ("/a%00", Refusal::EncodedControl),
            ("/a%0d%0a", Refusal::EncodedControl),
            ("/%c0%af", Refusal::OverlongUtf8),
            ("/%e0%80%af", Refusal::OverlongUtf8),
            ("/%f0%80%80%af", Refusal::OverlongUtf8),
            ("/a%2fb", Refusal::EncodedSlash),
            ("/a%5Cb", Refusal::EncodedSlash),
            ("/..", Refusal::AboveRoot),
            ("/a/../../b", Refusal::AboveRoot),
            ("/a//../b", Refusal::EmptySegmentWithDotDot),
            ("/a/..;/b", Refusal::DotSegmentParameter),
            ("/a/.%3bx/b", Refusal::DotSegmentParameter),
            ("/a/%2e%2e;/b", Refusal::DotSegmentParameter),
        ] {
            assert_eq!(strict(raw), Err(expected), "{raw}");
        }
    }

    /// [U-11]
    #[test]
    fn compatible_keeps_slashes() {
        for (raw, expected) in
            [("//a//b/", "//a//b/"), ("/a%2fb", "/a%2Fb"), ("/a//../b", "/a/b"), ("/a/./", "/a/"), ("/a//", "/a//"), ("/a/./b//", "/a/b//")]
        {
            let found = canonical_target(raw.as_bytes(), Profile::Compatible).map(|t| t.path.into_owned());
            assert_eq!(found.as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn canonical_targets_are_borrowed() {
        for raw in ["/", "/a/b/c?x=1&y=%20", "/.well-known/a", "/caf%C3%A9/", "/a;b"] {
            assert!(matches!(canonical_target(raw.as_bytes(), Profile::Strict).unwrap().path, Cow::Borrowed(_)), "{raw}");
        }
    }

    /// [R-P12] over every short path of a nasty alphabet.
    #[test]
    fn idempotent() {
        let pieces = ["/", ".", "..", "a", "%2e", "%2F", "%41", "%c3", ";", "%3B", "//"];
        let mut paths = vec![String::new()];
        for _ in 0..5 {
            paths = paths.iter().flat_map(|path| pieces.iter().map(move |piece| format!("{path}{piece}"))).collect();
            for path in &paths {
                let path = format!("/{path}");
                for profile in [Profile::Strict, Profile::Compatible] {
                    let Ok(once) = canonical_target(path.as_bytes(), profile) else { continue };
                    let twice = canonical_target(once.path.as_bytes(), profile).unwrap();
                    assert_eq!(once.path, twice.path, "{path}");
                    assert!(matches!(twice.path, Cow::Borrowed(_)), "{path}");
                }
            }
        }
    }

    #[test]
    fn forms() {
        let absolute = |scheme, authority: &'static str, target: &'static str| {
            Ok(TargetForm::Absolute { scheme, authority: authority.as_bytes(), target: target.as_bytes() })
        };
        for (method, target, expected) in [
            ("GET", "/a?b", Ok(TargetForm::Origin(b"/a?b"))),
            ("GET", "//host/a", Ok(TargetForm::Origin(b"//host/a"))),
            ("GET", "HTTP://h/a?b", absolute("HTTP", "h", "/a?b")),
            ("GET", "https://h", absolute("https", "h", "")),
            ("GET", "http://h?x", absolute("http", "h", "?x")),
            ("OPTIONS", "*", Ok(TargetForm::Asterisk)),
            ("GET", "*", Err(Refusal::TargetForm)),
            ("GET", "", Err(Refusal::TargetForm)),
            ("GET", "admin", Err(Refusal::TargetForm)),
            ("GET", "ftp://h/", Err(Refusal::TargetForm)),
            ("GET", "http:/h", Err(Refusal::TargetForm)),
            ("GET", "http://h\\@x/", Err(Refusal::TargetForm)),
        ] {
            assert_eq!(split_form(method, target.as_bytes()), expected, "{method} {target}");
        }
        assert_eq!(split_form("GET", &[b'/'; 8193]), Err(Refusal::TargetTooLong));
        assert_eq!(check_method("CONNECT"), Err(Refusal::Connect));
        assert_eq!(check_method("GE T"), Err(Refusal::MethodSyntax));
        assert_eq!(check_method(&"A".repeat(33)), Err(Refusal::MethodTooLong));
        assert_eq!(check_method("M-SEARCH"), Ok(()));
    }
}
