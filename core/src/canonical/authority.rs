//! The canonical host of a request.

use super::Refusal;

/// What kind of name a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// A registered name.
    Name,
    /// An IPv4 or IPv6 literal: reaches listeners and routes without hostname only ([R-H5]).
    Address,
}

/// The authority of a request, read once ([R-H3], [R-H4]).
#[derive(Clone, Copy, Debug)]
pub struct RequestAuthority<'a> {
    /// As received: what is forwarded.
    pub received: &'a str,
    /// The host as received, without port; an IPv6 literal keeps its brackets.
    pub host_received: &'a str,
    /// The port, if given.
    pub port: Option<u16>,
    /// The host for comparison.
    pub host: Host,
}

/// A host in the form in which it is compared: lower case, no port, no trailing dot. At most 253 octets, kept
/// on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    bytes: [u8; 254],
    len: u8,
    kind: HostKind,
}

impl Host {
    /// The host as text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }

    /// What kind of name it is.
    pub fn kind(&self) -> HostKind {
        self.kind
    }
}

pub(crate) fn parse_authority(raw: &[u8]) -> Result<RequestAuthority<'_>, Refusal> {
    let received = std::str::from_utf8(raw).map_err(|_| Refusal::TargetForm)?;
    let host_received = received.split(':').next().unwrap_or("");
    let mut host = Host { bytes: [0; 254], len: 0, kind: HostKind::Name };
    for (to, from) in host.bytes.iter_mut().zip(host_received.bytes()) {
        *to = from.to_ascii_lowercase();
        host.len = host.len.saturating_add(1);
    }
    Ok(RequestAuthority { received, host_received, port: None, host })
}
