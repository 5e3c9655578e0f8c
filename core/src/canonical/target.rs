//! The canonical request target ([R-T1] to [R-T5], [R-P1] to [R-P12]).

use std::borrow::Cow;

use super::Refusal;
use crate::blob::zeros;
use crate::octets::{self, Flag, flag};
use crate::options::{EscapedSlashes, PathParameters, PathRules};

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

impl<'a> TargetForm<'a> {
    /// Tells which form a target has that came with this method.
    ///
    /// # Errors
    ///
    /// The refusal that a decision answers with.
    ///
    /// ```
    /// use gatewright::canonical::TargetForm;
    ///
    /// let form = TargetForm::of("GET", b"https://a.example/x?y").unwrap();
    /// assert_eq!(form, TargetForm::Absolute { scheme: "https", authority: b"a.example", target: b"/x?y" });
    /// ```
    pub fn of(method: &str, target: &'a [u8]) -> Result<Self, Refusal> {
        split_form(method, target)
    }
}

/// A canonical path, and the query as received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CanonicalTarget<'a> {
    /// The path to forward: begins with `/`, ASCII.
    pub path: Cow<'a, str>,
    /// The query without `?`, ASCII.
    pub query: Option<&'a str>,
    /// The path without its parameters, if it has any and matches do not see them: segment for segment the same
    /// as `path` ([R-P12]).
    pub stripped: Option<Box<str>>,
    /// The client is to be sent to this path, because it has written another one.
    pub redirect: bool,
}

impl CanonicalTarget<'_> {
    /// The path that matches see.
    pub fn matched_path(&self) -> &str {
        self.stripped.as_deref().unwrap_or(&self.path)
    }

    /// How many octets of `path` the first `len` octets of the path that matches see stand for: whole segments, with
    /// their parameters.
    pub(crate) fn forwarded_len(&self, len: usize) -> usize {
        let Some(prefix) = self.stripped.as_deref().and_then(|path| path.get(..len)) else { return len };
        let segments = prefix.bytes().filter(|b| *b == b'/').count();
        self.path.match_indices('/').nth(segments).map_or(self.path.len(), |(at, _)| at)
    }
}

/// Octets of a request target at most ([R-T4]).
const LONGEST_TARGET: usize = 8192;

/// Refuses methods that are no token, and CONNECT ([R-T2], [R-T5]).
#[inline]
pub(crate) fn check_method(method: &str) -> Result<(), Refusal> {
    // Most requests have one of these.
    if matches!(method, "GET" | "POST" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") {
        return Ok(());
    }
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
#[inline]
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

/// Makes a target in origin form canonical, or refuses it. Allocates only if the path changes or has parameters
/// to strip; a target without path is `/`.
#[inline]
pub(crate) fn canonical_target(raw: &[u8], rules: PathRules) -> Result<CanonicalTarget<'_>, Refusal> {
    let text = std::str::from_utf8(raw).map_err(|_| Refusal::TargetOctet)?;
    let end = find_octet(raw, b'?');
    let (before, after) = raw.split_at_checked(end).unwrap_or((raw, &[]));
    if is_canonical(before) && has_allowed_octets(after) {
        let (path, query) = text.split_at_checked(end).unwrap_or((text, ""));
        return Ok(CanonicalTarget { path: Cow::Borrowed(path), query: query.strip_prefix('?'), stripped: None, redirect: false });
    }
    if !has_allowed_octets(raw) {
        return Err(Refusal::TargetOctet);
    }
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    let seen = inspect_octets(path, rules)?;
    let decoded = if seen.rewrite { Cow::Owned(rewrite_triplets(path, rules)) } else { Cow::Borrowed(path) };
    let path = if inspect_segments(&decoded, rules)? { Cow::Owned(resolve_segments(&decoded, rules)?) } else { decoded };
    let stripped = (rules.path_parameters == PathParameters::MatchStripped).then(|| strip_parameters(&path)).transpose()?.flatten();
    let redirect = seen.slash && rules.escaped_slashes == EscapedSlashes::UnescapeAndRedirect;
    Ok(CanonicalTarget { path, query, stripped, redirect })
}

/// Octets that no target may have ([R-T3]).
#[inline]
fn is_refused(octet: u8) -> Flag {
    flag(octet.wrapping_sub(b'!') > b'~' - b'!') | flag(octet == b'#')
}

/// Octets that may make a path other than canonical: those of triplets and parameters, those that no path may have, and
/// a slash or dot that stands behind a slash.
#[inline]
fn is_special(before: u8, octet: u8) -> Flag {
    let angle = flag(octet | 2 == b'>');
    let single = flag(octet == b'%') | flag(octet == b';') | angle | flag(octet == b'\\') | flag(octet == b'`');
    single | (flag(before == b'/') & flag(octet | 1 == b'/'))
}

/// Whether every octet may stand in a target ([R-T3]).
#[inline]
fn has_allowed_octets(raw: &[u8]) -> bool {
    !octets::any(0, raw, |_, octet| is_refused(octet))
}

/// Whether a path is canonical under every choice of rules, as far as can be told from single octets and pairs of them:
/// no triplet, no parameter, no octet that is refused, no empty segment but the last, no segment that begins with a dot.
#[inline]
fn is_canonical(path: &[u8]) -> bool {
    !path.is_empty() && !octets::any(0, path, |before, octet| is_refused(octet) | is_special(before, octet))
}

/// The place of the first such octet, or the end.
#[inline]
fn find_octet(bytes: &[u8], octet: u8) -> usize {
    let pattern = u64::from_le_bytes([octet; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let found = zeros(u64::from_le_bytes(*word) ^ pattern);
        if found != 0 {
            let within = usize::try_from(found.trailing_zeros() / 8).unwrap_or(0);
            return n.wrapping_mul(8).wrapping_add(within);
        }
    }
    let within = rest.iter().position(|b| *b == octet).unwrap_or(rest.len());
    words.len().wrapping_mul(8).wrapping_add(within)
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

/// Whether an encoded slash is decoded.
fn unescapes(rules: PathRules) -> bool {
    matches!(rules.escaped_slashes, EscapedSlashes::UnescapeAndForward | EscapedSlashes::UnescapeAndRedirect)
}

/// What [`inspect_octets`] found.
struct Seen {
    /// Some triplet is not in canonical form.
    rewrite: bool,
    /// There is an encoded slash.
    slash: bool,
}

/// Checks every octet and triplet ([R-P2] to [R-P6], [R-P9]). In canonical form triplets are in upper case, and
/// none stands for an unreserved character.
fn inspect_octets(path: &str, rules: PathRules) -> Result<Seen, Refusal> {
    let mut seen = Seen { rewrite: false, slash: false };
    let no_parameters = rules.path_parameters == PathParameters::Reject;
    // The octet of the triplet that ended right here: overlong UTF-8 shows in two triplets.
    let mut previous = None;
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'\\' | b'<' | b'>' | b'`' => return Err(Refusal::PathOctet),
            b';' if no_parameters => return Err(Refusal::PathParameter),
            b'%' => {
                let octet = triplet(tail).ok_or(Refusal::BrokenTriplet)?;
                match (previous, octet) {
                    (_, 0x00..=0x1f | 0x7f) => return Err(Refusal::EncodedControl),
                    (_, 0xc0 | 0xc1) | (Some(0xe0), 0x80..=0x9f) | (Some(0xf0), 0x80..=0x8f) => return Err(Refusal::OverlongUtf8),
                    (_, b'/') if rules.escaped_slashes == EscapedSlashes::Reject => return Err(Refusal::EncodedSlash),
                    // Decoded it would be an octet that no path may hold.
                    (_, b'\\') if rules.escaped_slashes != EscapedSlashes::KeepUnchanged => return Err(Refusal::EncodedBackslash),
                    (_, b';') if no_parameters => return Err(Refusal::PathParameter),
                    _ => {}
                }
                let (digits, after) = tail.split_at_checked(2).ok_or(Refusal::BrokenTriplet)?;
                seen.rewrite |= rules.normalise && (is_unreserved(octet) || digits.iter().any(u8::is_ascii_lowercase));
                seen.rewrite |= octet == b'/' && unescapes(rules);
                seen.slash |= octet == b'/';
                previous = Some(octet);
                rest = after;
            }
            _ => previous = None,
        }
    }
    Ok(seen)
}

/// Decodes unreserved characters once and writes all other triplets in upper case ([R-P5]); decodes `%2F` where
/// that is asked for ([R-P6]).
fn rewrite_triplets(path: &str, rules: PathRules) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let decoded = |octet| (rules.normalise && is_unreserved(octet)) || (octet == b'/' && unescapes(rules));
        match (triplet(after.as_bytes()), after.split_at_checked(2)) {
            (Some(octet), Some((_, tail))) if decoded(octet) => {
                out.push(char::from(octet));
                rest = tail;
            }
            (_, Some((digits, tail))) => {
                out.push('%');
                out.extend(digits.chars().map(|c| if rules.normalise { c.to_ascii_uppercase() } else { c }));
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
fn inspect_segments(path: &str, rules: PathRules) -> Result<bool, Refusal> {
    let (mut empty, mut dot, mut dot_dot) = (false, false, false);
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            // The last segment may be empty: a trailing slash.
            "" => empty |= segments.peek().is_some(),
            "." => dot = true,
            ".." => dot_dot = true,
            // What begins with neither cannot be dots: most segments are told at their first octet.
            _ if rules.normalise && segment.starts_with(['.', '%']) && is_dots(parameter(segment).0) => {
                return Err(Refusal::DotSegmentParameter);
            }
            _ => {}
        }
    }
    if rules.refuse_ambiguous && empty && dot_dot {
        return Err(Refusal::EmptySegmentWithDotDot);
    }
    Ok((rules.normalise && (dot || dot_dot)) || (rules.merge_slashes && empty))
}

/// A segment, split at its first `;`, raw or encoded.
fn parameter(segment: &str) -> (&str, &str) {
    let octets = segment.as_bytes();
    let begins = |at: &usize| matches!(octets.get(*at..), Some([b';', ..] | [b'%', b'3', b'B' | b'b', ..]));
    (0..octets.len()).find(begins).and_then(|at| segment.split_at_checked(at)).unwrap_or((segment, ""))
}

/// `.` or `..`, dots encoded or not.
fn is_dots(name: &str) -> bool {
    let after_dot = |text: &[u8]| match text {
        [b'.', ..] => Some(1),
        [b'%', b'2', b'e' | b'E', ..] => Some(3),
        _ => None,
    };
    let name = name.as_bytes();
    let Some(rest) = after_dot(name).and_then(|at| name.get(at..)) else { return false };
    rest.is_empty() || after_dot(rest) == Some(rest.len())
}

/// Removes dot segments (RFC 3986 section 5.2.4) and empty ones, where that is asked for ([R-P7], [R-P8]).
fn resolve_segments(path: &str, rules: PathRules) -> Result<String, Refusal> {
    let mut kept: Vec<&str> = Vec::new();
    let mut trailing_slash = false;
    for segment in path.split('/').skip(1) {
        trailing_slash = segment.is_empty() || (rules.normalise && matches!(segment, "." | ".."));
        match segment {
            "." if rules.normalise => {}
            ".." if rules.normalise => {
                kept.pop().ok_or(Refusal::AboveRoot)?;
            }
            "" if rules.merge_slashes => {}
            _ => kept.push(segment),
        }
    }
    // Where empty segments are kept, the last one is the trailing slash.
    if !rules.merge_slashes && path.ends_with('/') {
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

/// The path without the parameters of its segments; `None` if it has none. Refuses what readers take in several
/// ways: a dot segment or an empty one with parameters, and an encoded `;` that may be one or not ([R-P9]).
fn strip_parameters(path: &str) -> Result<Option<Box<str>>, Refusal> {
    let any = path.contains(';');
    let mut out = String::with_capacity(if any { path.len() } else { 0 });
    for segment in path.split('/').skip(1) {
        let (name, parameters) = parameter(segment);
        if !parameters.is_empty() {
            if is_dots(name) {
                return Err(Refusal::DotSegmentParameter);
            }
            if name.is_empty() || !parameters.starts_with(';') {
                return Err(Refusal::PathParameter);
            }
        }
        if any {
            out.push('/');
            out.push_str(name);
        }
    }
    Ok(any.then(|| out.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Options, Profile};

    const STRICT: PathRules = PathRules {
        normalise: true,
        refuse_ambiguous: true,
        merge_slashes: true,
        escaped_slashes: EscapedSlashes::Reject,
        path_parameters: PathParameters::Opaque,
    };
    const COMPATIBLE: PathRules =
        PathRules { refuse_ambiguous: false, merge_slashes: false, escaped_slashes: EscapedSlashes::KeepUnchanged, ..STRICT };
    const RAW: PathRules = PathRules { normalise: false, ..COMPATIBLE };

    fn canonical(path: &str, rules: PathRules) -> Result<String, Refusal> {
        canonical_target(path.as_bytes(), rules).map(|t| t.path.into_owned())
    }

    fn strict(path: &str) -> Result<String, Refusal> {
        canonical(path, STRICT)
    }

    /// Every combination of the knobs.
    fn every_rule() -> Vec<PathRules> {
        let mut all = Vec::new();
        for profile in Profile::ALL {
            for merge in [None, Some(true), Some(false)] {
                for escaped in EscapedSlashes::ALL {
                    for parameters in PathParameters::ALL {
                        let mut options = Options::default();
                        (options.profile, options.merge_slashes) = (*profile, merge);
                        (options.escaped_slashes, options.path_parameters) = (Some(*escaped), *parameters);
                        all.push(options.path_rules());
                    }
                }
            }
        }
        all
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
            ("/a%5Cb", Refusal::EncodedBackslash),
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

    /// Every pair of octets, in words.
    #[test]
    fn octets_of_a_canonical_path() {
        let refused = |b: u8| !b.is_ascii_graphic() || b == b'#';
        let special = |b: u8| b"%;\\<>`".contains(&b);
        for (a, b) in (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b))) {
            let (path, query) = ([b'/', b'x', a, b, b'y'], [a, b]);
            let pair = a == b'/' && matches!(b, b'/' | b'.');
            assert_eq!(is_canonical(&path), ![a, b].into_iter().any(|b| refused(b) || special(b)) && !pair, "{a} {b}");
            assert_eq!(has_allowed_octets(&query), !refused(a) && !refused(b), "{a} {b}");
        }
    }

    /// [U-11]
    #[test]
    fn compatible_keeps_slashes() {
        for (raw, expected) in
            [("//a//b/", "//a//b/"), ("/a%2fb", "/a%2Fb"), ("/a//../b", "/a/b"), ("/a/./", "/a/"), ("/a//", "/a//"), ("/a/./b//", "/a/b//")]
        {
            assert_eq!(canonical(raw, COMPATIBLE).as_deref(), Ok(expected), "{raw}");
        }
    }

    /// [U-11]: what is received is matched and forwarded, but for octets that no path may hold.
    #[test]
    fn raw_changes_nothing() {
        for raw in ["/a/../b", "/%61//%2e%2e/./", "/a%2fb%5c", "/..", "/..;/a", "//a/", "/a;x"] {
            assert_eq!(canonical(raw, RAW).as_deref(), Ok(raw));
        }
        for (raw, expected) in [("/a b", Refusal::TargetOctet), ("/a`", Refusal::PathOctet), ("/a%0d", Refusal::EncodedControl)] {
            assert_eq!(canonical(raw, RAW), Err(expected), "{raw}");
        }
        assert_eq!(canonical("/a//../%61", PathRules { merge_slashes: true, ..RAW }).as_deref(), Ok("/a/../%61"));
    }

    /// [R-P8]
    #[test]
    fn merging_is_a_choice_of_its_own() {
        assert_eq!(canonical("//a//./b//", PathRules { merge_slashes: false, ..STRICT }).as_deref(), Ok("//a//b//"));
        assert_eq!(canonical("//a//./b//", PathRules { merge_slashes: true, ..COMPATIBLE }).as_deref(), Ok("/a/b/"));
        // An empty segment beside `..` stays refused in the profile Strict, and is nothing where it is merged.
        assert_eq!(canonical("/a//../b", PathRules { merge_slashes: false, ..STRICT }), Err(Refusal::EmptySegmentWithDotDot));
        assert_eq!(canonical("/a//../b", PathRules { merge_slashes: true, ..COMPATIBLE }).as_deref(), Ok("/b"));
    }

    /// [R-P6]
    #[test]
    fn escaped_slashes() {
        for (choice, raw, expected, redirect) in [
            (EscapedSlashes::KeepUnchanged, "/a%2fb%5c", Ok("/a%2Fb%5C"), false),
            (EscapedSlashes::KeepUnchanged, "/a%2f../b", Ok("/a%2F../b"), false),
            (EscapedSlashes::UnescapeAndForward, "/a%2Fb", Ok("/a/b"), false),
            (EscapedSlashes::UnescapeAndForward, "/a%2f..%2fb", Ok("/b"), false),
            (EscapedSlashes::UnescapeAndForward, "/a%2F%2fb", Ok("/a/b"), false),
            (EscapedSlashes::UnescapeAndForward, "/a%252Fb", Ok("/a%252Fb"), false),
            (EscapedSlashes::UnescapeAndForward, "/a%5Cb", Err(Refusal::EncodedBackslash), false),
            (EscapedSlashes::UnescapeAndForward, "/..%2f..%2f", Err(Refusal::AboveRoot), false),
            (EscapedSlashes::UnescapeAndRedirect, "/a%2Fb", Ok("/a/b"), true),
            (EscapedSlashes::UnescapeAndRedirect, "/a/b", Ok("/a/b"), false),
            (EscapedSlashes::UnescapeAndRedirect, "/a%5Cb", Err(Refusal::EncodedBackslash), false),
        ] {
            let rules = PathRules { escaped_slashes: choice, ..STRICT };
            let found = canonical_target(raw.as_bytes(), rules);
            let found = found.as_ref().map(|target| (&*target.path, target.redirect)).map_err(|refusal| *refusal);
            assert_eq!(found, expected.map(|path| (path, redirect)), "{choice} {raw}");
        }
        assert_eq!(
            canonical("/%61%2Fb", PathRules { escaped_slashes: EscapedSlashes::UnescapeAndForward, ..RAW }).as_deref(),
            Ok("/%61/b")
        );
    }

    /// [R-P9]
    #[test]
    fn path_parameters() {
        let rules = PathRules { path_parameters: PathParameters::MatchStripped, ..STRICT };
        for (raw, expected) in [
            ("/a;x=1/b;y", Ok(Some("/a/b"))),
            ("/a/b", Ok(None)),
            ("/a;/", Ok(Some("/a/"))),
            ("/a;x=1%3B2/b", Ok(Some("/a/b"))),
            ("/a%3Bx/b", Err(Refusal::PathParameter)),
            ("/;x/b", Err(Refusal::PathParameter)),
            ("/..;/b", Err(Refusal::DotSegmentParameter)),
        ] {
            let found = canonical_target(raw.as_bytes(), rules);
            let found = found.as_ref().map(|target| target.stripped.as_deref()).map_err(|refusal| *refusal);
            assert_eq!(found, expected, "{raw}");
        }
        let target = canonical_target(b"/a;x=1/b;y/c", rules).unwrap();
        assert_eq!((&*target.path, target.matched_path()), ("/a;x=1/b;y/c", "/a/b/c"));
        for (matched, forwarded) in [("", ""), ("/a", "/a;x=1"), ("/a/b", "/a;x=1/b;y"), ("/a/b/c", "/a;x=1/b;y/c")] {
            assert_eq!(target.forwarded_len(matched.len()), forwarded.len());
        }
        assert_eq!(canonical("/%2e%2e;x/b", PathRules { normalise: false, ..rules }), Err(Refusal::DotSegmentParameter));
        for raw in ["/a;x", "/a%3bx"] {
            assert_eq!(canonical(raw, PathRules { path_parameters: PathParameters::Reject, ..STRICT }), Err(Refusal::PathParameter));
        }
    }

    #[test]
    fn canonical_targets_are_borrowed() {
        for raw in ["/", "/a/b/c?x=1&y=%20", "/.well-known/a", "/caf%C3%A9/", "/a;b"] {
            assert!(matches!(canonical_target(raw.as_bytes(), STRICT).unwrap().path, Cow::Borrowed(_)), "{raw}");
        }
    }

    /// [R-P12] over every short path of a nasty alphabet, for every combination of the knobs.
    #[test]
    fn idempotent() {
        let pieces = ["/", ".", "..", "a", "%2e", "%2F", "%41", ";", "%3b", "//"];
        let rules = every_rule();
        let mut paths = vec![String::new()];
        for _ in 0..4 {
            paths = paths.iter().flat_map(|path| pieces.iter().map(move |piece| format!("{path}{piece}"))).collect();
            for path in &paths {
                let path = format!("/{path}");
                for rules in &rules {
                    let Ok(once) = canonical_target(path.as_bytes(), *rules) else { continue };
                    let twice = canonical_target(once.path.as_bytes(), *rules).unwrap();
                    assert_eq!((&once.path, &once.stripped), (&twice.path, &twice.stripped), "{path} {rules:?}");
                    assert!(matches!(twice.path, Cow::Borrowed(_)) && !twice.redirect, "{path} {rules:?}");
                    let segments = |path: &str| path.split('/').count();
                    assert_eq!(segments(&once.path), segments(once.matched_path()), "{path} {rules:?}");
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
