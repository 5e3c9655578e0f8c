//! The canonical host of a request ([R-H3] to [R-H5]).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Refusal;

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

/// A host in the form in which it is compared: lower case, no port, no trailing dot.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    text: Text<'a>,
    kind: HostKind,
}

/// Borrowed if it came in that form, else kept on the stack: reading a host never allocates.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be the allocation that this avoids")]
enum Text<'a> {
    Received(&'a str),
    Lowered { bytes: [u8; LONGEST_NAME], len: usize },
}

/// Octets of a name (RFC 1035 section 2.3.4), without the trailing dot.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

impl Host<'_> {
    /// The host as text.
    pub fn as_str(&self) -> &str {
        match &self.text {
            Text::Received(text) => text,
            Text::Lowered { bytes, len } => bytes.get(..*len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or(""),
        }
    }

    /// What kind of name it is.
    pub fn kind(&self) -> HostKind {
        self.kind
    }
}

/// Reads `host[:port]`: what Host, `:authority` and the server name of TLS go through alike.
pub(crate) fn parse_authority(raw: &[u8]) -> Result<RequestAuthority<'_>, Refusal> {
    let refused = Refusal::AuthoritySyntax;
    let received = std::str::from_utf8(raw).ok().filter(|text| text.is_ascii()).ok_or(refused)?;
    let (host_received, port) = match received.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']').and_then(|at| at.checked_add(2)).ok_or(refused)?;
            received.split_at_checked(end).ok_or(refused)?
        }
        None => received.find(':').and_then(|at| received.split_at_checked(at)).unwrap_or((received, "")),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        // RFC 3986 section 3.2.3: an empty port is the default one.
        Some("") => None,
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().map_err(|_| refused)?),
        _ => return Err(refused),
    };
    Ok(RequestAuthority { received, host_received, port, host: parse_host(host_received)? })
}

fn parse_host(received: &str) -> Result<Host<'_>, Refusal> {
    let refused = Refusal::AuthoritySyntax;
    if let Some(literal) = received.strip_prefix('[') {
        let address = literal.strip_suffix(']').ok_or(refused)?;
        address.parse::<Ipv6Addr>().map_err(|_| refused)?;
        return Ok(Host { text: Text::Received(received), kind: HostKind::Address });
    }
    let name = received.strip_suffix('.').unwrap_or(received);
    if name.len() > LONGEST_NAME || !name.split('.').all(is_label) {
        return Err(refused);
    }
    let kind = if name.parse::<Ipv4Addr>().is_ok() { HostKind::Address } else { HostKind::Name };
    if !name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Host { text: Text::Received(name), kind });
    }
    let mut bytes = [0; LONGEST_NAME];
    bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from.to_ascii_lowercase());
    Ok(Host { text: Text::Lowered { bytes, len: name.len() }, kind })
}

/// One to 63 letters, digits, hyphens, or underscores, which DNS has and host names should not.
fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~'))
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
            assert_eq!((read.host.as_str(), read.port, read.host.kind(), read.received), (host, port, kind, raw));
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
