//! The canonical host of a request ([R-H3] to [R-H5]).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Refusal;
use crate::octets::{self, Flag, flag};

/// What kind of name a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// A registered name.
    Name,
    /// An IPv4 or IPv6 literal: reaches listeners and routes without hostname only ([R-H5]).
    Address,
}

/// The authority of a request, read once.
#[derive(Clone, Copy, Debug)]
pub struct RequestAuthority<'a> {
    /// As received: what is forwarded.
    pub received: &'a str,
    /// The host as received, without port; an IPv6 literal keeps its brackets.
    pub host_received: &'a str,
    /// The port, if given.
    pub port: Option<u16>,
    /// The host for comparison.
    pub host: Host<'a>,
}

/// A host without port and trailing dot. Case does not count in comparisons ([R-H4]).
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    text: &'a str,
    kind: HostKind,
}

/// Octets of a name (RFC 1035 section 2.3.4), without the trailing dot.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

impl<'a> Host<'a> {
    /// The host as received.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The host in lower case, the form in which it is compared.
    pub fn to_lowercase(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// What kind of name it is.
    pub fn kind(&self) -> HostKind {
        self.kind
    }
}

/// Reads `host[:port]`: what Host, `:authority` and the server name of TLS go through alike.
#[inline]
pub(crate) fn parse_authority(raw: &[u8]) -> Result<RequestAuthority<'_>, Refusal> {
    let refused = Refusal::AuthoritySyntax;
    let received = std::str::from_utf8(raw).map_err(|_| refused)?;
    let (host_received, port) = received.split_at_checked(raw.len().wrapping_sub(port_len(raw))).ok_or(refused)?;
    let port = match port.as_bytes() {
        // RFC 3986 section 3.2.3: an empty port is the default one.
        [] | [b':'] => None,
        [_, digits @ ..] if digits.len() <= 5 => Some(decimal(digits).ok_or(refused)?),
        _ => return Err(refused),
    };
    Ok(RequestAuthority { received, host_received, port, host: parse_host(host_received)? })
}

/// Octets of the port, with its colon. A colon that no digits follow to the end is none, and no name has one.
#[inline]
fn port_len(raw: &[u8]) -> usize {
    let digits = raw.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let before = raw.iter().rev().nth(digits);
    if before == Some(&b':') { digits.wrapping_add(1) } else { 0 }
}

/// A number of few digits.
#[inline]
fn decimal(digits: &[u8]) -> Option<u16> {
    let mut number = 0_u32;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        number = number.wrapping_mul(10).wrapping_add(u32::from(value));
        if value > 9 {
            return None;
        }
    }
    u16::try_from(number).ok()
}

#[inline]
fn parse_host(received: &str) -> Result<Host<'_>, Refusal> {
    let refused = Refusal::AuthoritySyntax;
    if received.as_bytes().first() == Some(&b'[') {
        let literal = received.get(1..).unwrap_or_default();
        let address = literal.strip_suffix(']').ok_or(refused)?;
        address.parse::<Ipv6Addr>().map_err(|_| refused)?;
        return Ok(Host { text: received, kind: HostKind::Address });
    }
    let name = match received.as_bytes() {
        [before @ .., b'.'] => received.get(..before.len()).unwrap_or_default(),
        _ => received,
    };
    if name.len() > LONGEST_NAME || !are_labels(name.as_bytes()) {
        return Err(refused);
    }
    // An address ends with a digit.
    let digit = name.as_bytes().last().is_some_and(u8::is_ascii_digit);
    let kind = if digit && name.parse::<Ipv4Addr>().is_ok() { HostKind::Address } else { HostKind::Name };
    Ok(Host { text: name, kind })
}

/// Labels between dots, each of one to 63 letters, digits, hyphens, or underscores, which DNS has and host names should
/// not.
#[inline]
fn are_labels(name: &[u8]) -> bool {
    let ends = [name.first(), name.last()].iter().all(|end| end.is_some_and(|b| *b != b'.'));
    let lengths = name.len() <= LONGEST_LABEL || name.split(|b| *b == b'.').all(|label| label.len() <= LONGEST_LABEL);
    ends && lengths && !octets::any(0, name, is_outside)
}

/// Octets that are not in names, and the second of two dots.
#[inline]
fn is_outside(before: u8, octet: u8) -> Flag {
    let letter = flag((octet | 0x20).wrapping_sub(b'a') < 26);
    let digit = flag(octet.wrapping_sub(b'0') < 10);
    let mark = flag(octet.wrapping_sub(b'-') < 2) | flag(octet == b'_') | flag(octet == b'~');
    !(letter | digit | mark) | (flag(before == b'.') & flag(octet == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (raw, host, port, kind) in [
            ("Example.COM", "example.com", None, HostKind::Name),
            ("example.com.", "example.com", None, HostKind::Name),
            ("example.com:8080", "example.com", Some(8080), HostKind::Name),
            ("a_b.example.com", "a_b.example.com", None, HostKind::Name),
            ("example.com:", "example.com", None, HostKind::Name),
            ("127.0.0.1:80", "127.0.0.1", Some(80), HostKind::Address),
            ("[::1]:443", "[::1]", Some(443), HostKind::Address),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None, HostKind::Name),
        ] {
            let read = parse_authority(raw.as_bytes()).unwrap();
            assert_eq!((&*read.host.to_lowercase(), read.port, read.host.kind(), read.received), (host, port, kind, raw));
        }
    }

    /// Every pair of octets, in words.
    #[test]
    fn octets_of_a_name() {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        for (a, b) in (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b))) {
            assert_eq!(are_labels(&[b'x', a, b, b'y']), inside(a) && inside(b) && (a, b) != (b'.', b'.'), "{a} {b}");
        }
    }

    /// [R-H3]
    #[test]
    fn refused() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "aa";
        for raw in [
            "",
            ".",
            "a..b",
            ".a",
            "user@example.com",
            "exa%6dple.com",
            "*.example.com",
            "a/b",
            "a,b",
            "a b",
            "a:b",
            "a:65536",
            "a:-1",
            "a:80:80",
            "[::1",
            "[::1]x",
            "[x]",
            "::1",
            "a\\b",
            "a\0b",
            &long_label,
            &long_name,
        ] {
            assert_eq!(parse_authority(raw.as_bytes()).map(|read| read.received), Err(Refusal::AuthoritySyntax), "{raw}");
        }
        assert!(parse_authority(b"b\xfccher.example").is_err());
        assert!(parse_authority("b\u{fc}cher.example".as_bytes()).is_err());
    }
}
