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
mod tests;
