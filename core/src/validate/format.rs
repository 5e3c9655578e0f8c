//! Formats of texts: their lengths, and their patterns as functions that read the text once.
//!
//! Patterns are searched for, not matched as a whole: where one is not anchored, neither is its function
//! (section 8.1 of the specification digest). A test compares every function with its expression.

use crate::model::time::parse_duration;

/// Bounds of a text. Lengths count characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) pattern: Option<&'static Pattern>,
    /// What is wanted, for a person.
    pub(super) meaning: Option<&'static str>,
}

/// A pattern as the API writes it, and the same as a function.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: &'static str,
    pub(super) holds: fn(&str) -> bool,
}

impl Text {
    const fn new(min: usize, max: usize, pattern: &'static Pattern, meaning: &'static str) -> Self {
        Self { min, max, pattern: Some(pattern), meaning: Some(meaning) }
    }

    /// Any text of this length.
    pub(super) const fn any(min: usize, max: usize) -> Self {
        Self { min, max, pattern: None, meaning: None }
    }
}

pub(super) const HOSTNAME: Text =
    Text::new(1, 253, &patterns::HOSTNAME, "a hostname: labels of lower-case letters, digits and inner hyphens, `*` only as the first");
pub(super) const PRECISE_HOSTNAME: Text =
    Text::new(1, 253, &patterns::SUBDOMAIN, "a hostname without wildcard: labels of lower-case letters, digits and inner hyphens");
pub(super) const SECTION_NAME: Text = Text::new(1, 253, &patterns::SUBDOMAIN, "a name of lower-case letters, digits, hyphens and dots");
pub(super) const NAMESPACE: Text = Text::new(1, 63, &patterns::LABEL, "a namespace: lower-case letters, digits and inner hyphens");
pub(super) const GROUP: Text = Text::new(0, 253, &patterns::GROUP, "an API group, empty for the core group");
pub(super) const KIND: Text = Text::new(1, 63, &patterns::KIND, "a kind: letters, digits and inner hyphens");
pub(super) const NAME: Text = Text::any(1, 253);
pub(super) const FIELD_NAME: Text = Text::new(1, 256, &patterns::FIELD_NAME, "a token of RFC 9110 section 5.6.2");
pub(super) const FIELD_VALUE: Text = Text::any(1, 4096);
pub(super) const QUERY_VALUE: Text = Text::any(1, 1024);
pub(super) const DURATION: Text =
    Text::new(0, usize::MAX, &patterns::DURATION, "one to four parts such as `1h30m` or `500ms`, whole numbers of h, m, s, ms");
pub(super) const PATH: Text = Text::new(0, 1024, &patterns::PATH, "a path in which other characters are written as %XX");
pub(super) const SHORT_PATH: Text = Text::any(0, 1024);
pub(super) const PROTOCOL: Text = Text::new(1, 255, &patterns::PROTOCOL, "HTTP, HTTPS, TLS, TCP, UDP, or `domain/protocol`");
pub(super) const ADDRESS_TYPE: Text = Text::new(1, 253, &patterns::ADDRESS_TYPE, "IPAddress, Hostname, NamedAddress, or `domain/type`");
pub(super) const ADDRESS: Text = Text::any(0, 253);
pub(super) const CONTROLLER: Text = Text::new(1, 253, &patterns::CONTROLLER, "`domain/path`");
pub(super) const DESCRIPTION: Text = Text::any(0, 64);
pub(super) const ORIGIN: Text =
    Text::new(1, 253, &patterns::ORIGIN, "`*` or `scheme://host[:port]` with http or https, `*` only as the first label");
pub(super) const WELL_KNOWN_CA: Text = Text::new(1, 253, &patterns::WELL_KNOWN_CA, "`System`, or `domain/name`");
pub(super) const URI: Text = Text::new(1, 253, &patterns::URI, "an absolute URI with authority, such as `spiffe://cluster.local/ns/a`");
pub(super) const LABEL_VALUE: Text = Text::new(0, 63, &patterns::LABEL_VALUE, "letters, digits and inner `-`, `_`, `.`");
pub(super) const ANNOTATION_VALUE: Text = Text::any(0, 4096);
pub(super) const SESSION_NAME: Text = Text::any(0, 128);
/// Of the release after v1.6.1 ([R-12]).
pub(super) const SESSION_TOKEN: Text = FIELD_NAME;
pub(super) const PORT_NAME: Text = Text::any(0, 63);

/// The patterns of the CRDs.
pub(super) mod patterns {
    use super::*;

    macro_rules! patterns {
        ($($name:ident = $text:expr, $holds:expr;)+) => {
            $(pub(in crate::validate) static $name: Pattern = Pattern { text: $text, holds: $holds };)+

            #[cfg(test)]
            pub(super) const ALL: &[&Pattern] = &[$(&$name),+];
        };
    }

    patterns! {
        HOSTNAME = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", hostname;
        SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", subdomain;
        LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", label;
        GROUP = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", |text| text.is_empty() || subdomain(text);
        KIND = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", kind;
        FIELD_NAME = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$", |text| !text.is_empty() && text.bytes().all(is_token);
        FIELD_VALUE = r"^[!-~]+([\t ]?[!-~]+)*$", field_value;
        DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$", |text| parse_duration(text).is_some();
        PATH = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$", path;
        GRPC_SERVICE = r"^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$", grpc_service;
        GRPC_METHOD = r"^[A-Za-z_][A-Za-z_0-9]*$", identifier;
        PROTOCOL = r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$", protocol;
        ADDRESS_TYPE = r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$", address_type;
        CONTROLLER = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$", controller;
        ORIGIN = r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)", origin;
        WELL_KNOWN_CA = r"^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$", well_known_ca;
        URI = r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?", uri;
        LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$", |text| text.is_empty() || qualified(text);
        LABEL_KEY = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$", label_key;
    }
}

/// Whether a text begins and ends with octets of the first kind and has the second kind, too, in between.
fn framed(text: &str, ends: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(ends) && bytes.last().copied().is_some_and(ends) && bytes.iter().all(|b| ends(*b) || inner(*b))
}

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

fn hyphen(b: u8) -> bool {
    b == b'-'
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn label(text: &str) -> bool {
    framed(text, lower, hyphen)
}

fn subdomain(text: &str) -> bool {
    text.split('.').all(label)
}

fn hostname(text: &str) -> bool {
    subdomain(text.strip_prefix("*.").unwrap_or(text))
}

fn kind(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && framed(text, alphanumeric, hyphen)
}

/// Visible characters with single spaces or tabs between them.
fn field_value(text: &str) -> bool {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let bytes = text.as_bytes();
    let single = bytes.windows(2).all(|pair| !pair.iter().all(blank));
    single
        && bytes.first().is_some_and(|b| !blank(b))
        && bytes.last().is_some_and(|b| !blank(b))
        && bytes.iter().all(|b| blank(b) || b.is_ascii_graphic())
}

/// Whether every gateway could send it as a field value (RFC 9110 section 5.5).
pub(super) fn is_sendable(text: &str) -> bool {
    http::HeaderValue::from_str(text).is_ok()
}

fn path(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let valid = match b {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|b| b.is_ascii_hexdigit())),
            _ => b.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@".contains(&b),
        };
        if !valid {
            return false;
        }
    }
    !text.is_empty()
}

fn identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn grpc_service(text: &str) -> bool {
    text.strip_prefix('.').unwrap_or(text).split('.').all(identifier)
}

/// The second alternative is not anchored at its front: a domain may follow anything.
fn protocol(text: &str) -> bool {
    let prefixed = || {
        let (domain, name) = text.rsplit_once('/')?;
        Some(domain.bytes().last().is_some_and(lower) && !name.is_empty() && name.bytes().all(alphanumeric))
    };
    framed(text, alphanumeric, hyphen) || prefixed().unwrap_or(false)
}

fn is_path_octet(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)
}

/// Of the four alternatives only the first is anchored at its front, and only the last at its end.
fn address_type(text: &str) -> bool {
    if text.starts_with("Hostname") || text.contains("IPAddress") || text.contains("NamedAddress") {
        return true;
    }
    // A lower-case letter or digit, `/`, and path characters up to the end.
    let bytes = text.as_bytes();
    let start = bytes.len().saturating_sub(bytes.iter().rev().take_while(|b| is_path_octet(**b)).count());
    bytes.windows(2).enumerate().any(|(n, pair)| {
        let path = n.saturating_add(2);
        matches!(pair, [before, b'/'] if lower(*before)) && path >= start && path < bytes.len()
    })
}

fn controller(text: &str) -> bool {
    text.split_once('/').is_some_and(|(domain, path)| subdomain(domain) && !path.is_empty() && path.bytes().all(is_path_octet))
}

fn origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (host == "*" || host.strip_prefix("*.").unwrap_or(host).split('.').all(is_label))
        && port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Letters and digits with `-`, `_` and `.` in between.
fn qualified(text: &str) -> bool {
    framed(text, alphanumeric, |b| matches!(b, b'-' | b'_' | b'.'))
}

fn label_key(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    domain.is_none_or(subdomain) && name.len() <= 63 && qualified(name)
}

fn well_known_ca(text: &str) -> bool {
    text == "System" || (text.contains('/') && label_key(text))
}

/// The end is not anchored: a scheme and `//` are enough.
fn uri(text: &str) -> bool {
    let Some(at) = text.find([':', '/', '?', '#']) else { return false };
    at > 0 && text.get(at..).is_some_and(|rest| rest.starts_with("://"))
}

#[cfg(test)]
mod tests {
    use regex_automata::dfa::{Automaton, dense};
    use regex_automata::util::syntax;
    use regex_automata::{Input, nfa::thompson};

    use super::*;

    /// Every function says what its expression says, on texts made of the pieces that matter to it.
    #[test]
    fn functions_are_their_expressions() {
        const PIECES: &[&str] = &[
            "a",
            "Z",
            "0",
            "-",
            "_",
            ".",
            "..",
            "*",
            "*.",
            "/",
            "//",
            ":",
            "://",
            "http",
            "https",
            "System",
            "Hostname",
            "IPAddress",
            "NamedAddress",
            "x/y",
            " ",
            "  ",
            "\t",
            "\n",
            "\u{e9}",
            "%",
            "%2",
            "%2f",
            "%zz",
            "h",
            "m",
            "ms",
            "s",
            "1",
            "12345",
            "123456",
            "#",
            "?",
            "[",
            "!",
            "~",
            "\u{7f}",
            "`",
            "\"",
            "a.b",
            "a-",
            "-a",
            "A.b",
            "8080",
            "99999",
            "example.com",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ];
        let mut state = 7_u64;
        let mut next = move |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % bound as u64).unwrap()
        };
        for pattern in patterns::ALL {
            let dfa = dense::Builder::new()
                .syntax(syntax::Config::new().unicode(false).utf8(false))
                .thompson(thompson::Config::new().utf8(false))
                .build(pattern.text)
                .unwrap();
            let expression = |text: &str| dfa.try_search_fwd(&Input::new(text)).unwrap().is_some();
            let (mut held, mut failed) = (0, 0);
            let mut compare = |text: &str| {
                let wanted = expression(text);
                assert_eq!((pattern.holds)(text), wanted, "`{}` on `{}`", pattern.text, text.escape_debug());
                if wanted { held += 1 } else { failed += 1 }
            };
            compare("");
            for one in PIECES {
                compare(one);
                for two in PIECES {
                    compare(&format!("{one}{two}"));
                    compare(&format!("{one}/{two}"));
                    compare(&format!("https://{one}{two}"));
                    compare(&format!("http://a{one}:{two}"));
                    for three in ["a", "aa", "/", "."] {
                        compare(&format!("{one}{two}{three}"));
                        compare(&format!("{one}/{two}{three}"));
                    }
                }
            }
            for _ in 0..5_000 {
                let text: String = (0..next(9)).map(|_| PIECES[next(PIECES.len())]).collect();
                compare(&text);
            }
            assert!(held > 20 && failed > 20, "`{}` held {held} times and failed {failed} times", pattern.text);
        }
    }
}
