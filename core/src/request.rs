//! The borrowed view of a request that [`Table::decide`](crate::Table::decide) takes.

use http::{HeaderMap, HeaderName, Version, header, request::Parts};

use crate::table::{FrontendId, ListenerId, PortId};

/// A request, borrowed: nothing here is copied to decide it.
///
/// Give the target and the authority **as they came over the wire**: making them canonical is the table's
/// work, and a decoded path is a different request ([R-A1]).
#[derive(Debug)]
pub struct Request<'a, H: ?Sized = HeaderMap> {
    /// Where the request arrived.
    pub arrival: Arrival<'a>,
    /// The method, compared with case.
    pub method: &'a str,
    /// The scheme the client named, if it did; it must fit the listener ([R-T6]).
    pub scheme: Option<&'a str>,
    /// The authority: `:authority`, the authority of an absolute-form target, or `Host`.
    pub authority: Authority<'a>,
    /// The request target in origin form: path and query, octets as received.
    pub target: &'a [u8],
    /// The header fields.
    pub headers: &'a H,
}

impl<H: ?Sized> Clone for Request<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<H: ?Sized> Copy for Request<'_, H> {}

/// Where a request or connection arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// The port of a Gateway or of a Service.
    pub place: Place,
    /// The server name of the TLS handshake; chooses the listener of an HTTPS port ([L-23]).
    pub sni: Option<&'a str>,
    /// The listener the handshake chose, if the caller knows it: takes the place of `sni`.
    pub listener: Option<ListenerId>,
}

impl<'a> Arrival<'a> {
    /// What arrived on a port of a Gateway without TLS.
    pub const fn on(port: PortId) -> Self {
        Self { place: Place::Port(port), sni: None, listener: None }
    }

    /// What arrived on a port of a Gateway over TLS with this server name.
    pub const fn with_sni(port: PortId, sni: &'a str) -> Self {
        Self { place: Place::Port(port), sni: Some(sni), listener: None }
    }

    /// What a client of a mesh sends to a port of a Service.
    pub const fn at(frontend: FrontendId) -> Self {
        Self { place: Place::Service(frontend), sni: None, listener: None }
    }
}

/// The kinds of places where traffic arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The port of a Gateway ([L-20]), from [`Table::find_port`](crate::Table::find_port).
    Port(PortId),
    /// The port of a Service as the clients of a namespace see it ([A-20]), from
    /// [`Table::find_frontend`](crate::Table::find_frontend).
    Service(FrontendId),
}

/// The authority of a request, as the framing of its protocol gives it ([R-H1], [R-H2]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority<'a> {
    /// Exactly one, octets as received.
    Given(&'a [u8]),
    /// None, which only HTTP/1.0 may do: reaches listeners and routes without hostname only.
    Absent,
    /// None although the protocol asks for one: 400.
    Missing,
    /// Several `Host` fields, or a `Host` that differs from `:authority`: 400.
    Ambiguous,
}

impl<'a> Request<'a, HeaderMap> {
    /// The view of a request of the `http` crate, as hyper hands it to a service.
    ///
    /// Takes the authority from the target's authority (`:authority` of HTTP/2, absolute form of HTTP/1) or
    /// else from the one `Host` field, and refuses what [R-H1] and [R-H2] refuse.
    pub fn from_http(parts: &'a Parts, arrival: Arrival<'a>) -> Self {
        Self {
            arrival,
            method: parts.method.as_str(),
            scheme: parts.uri.scheme_str(),
            authority: authority_of(parts),
            target: target_of(parts),
            headers: &parts.headers,
        }
    }
}

impl<'a> Authority<'a> {
    /// `:authority`, or the authority of an absolute-form target, reconciled with the values of the `Host` fields:
    /// several of them are ambiguous, and in HTTP/2 and later both must agree (RFC 9113 section 8.3.1), while in HTTP/1
    /// the target's replaces `Host` (RFC 9112 section 3.2.2).
    ///
    /// ```
    /// use gatewright::Authority;
    /// use http::Version;
    ///
    /// let of = |target: Option<&'static str>, hosts: &[&'static str], version| {
    ///     Authority::reconcile(target.map(str::as_bytes), hosts.iter().map(|host| host.as_bytes()), version)
    /// };
    /// assert_eq!(of(None, &["a.example"], Version::HTTP_11), Authority::Given(b"a.example"));
    /// assert_eq!(of(Some("b.example"), &["a.example"], Version::HTTP_11), Authority::Given(b"b.example"));
    /// assert_eq!(of(Some("b.example"), &["a.example"], Version::HTTP_2), Authority::Ambiguous);
    /// assert_eq!(of(None, &["a.example", "a.example"], Version::HTTP_11), Authority::Ambiguous);
    /// assert_eq!(of(None, &[], Version::HTTP_11), Authority::Missing);
    /// assert_eq!(of(None, &[], Version::HTTP_10), Authority::Absent);
    /// ```
    pub fn reconcile(target: Option<&'a [u8]>, hosts: impl IntoIterator<Item = &'a [u8]>, version: Version) -> Self {
        let mut hosts = hosts.into_iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Self::Ambiguous;
        }
        match (target, host) {
            (Some(authority), Some(host)) if version >= Version::HTTP_2 && !authority.eq_ignore_ascii_case(host) => Self::Ambiguous,
            (Some(authority), _) => Self::Given(authority),
            (None, Some(host)) => Self::Given(host),
            (None, None) if version <= Version::HTTP_10 => Self::Absent,
            (None, None) => Self::Missing,
        }
    }
}

fn authority_of(parts: &Parts) -> Authority<'_> {
    let hosts = parts.headers.get_all(header::HOST).iter().map(http::HeaderValue::as_bytes);
    Authority::reconcile(parts.uri.authority().map(|authority| authority.as_str().as_bytes()), hosts, parts.version)
}

/// Path and query; an absolute-form target without path is `/` (RFC 9112 3.2.1).
fn target_of(parts: &Parts) -> &[u8] {
    match parts.uri.path_and_query() {
        Some(target) => target.as_str().as_bytes(),
        None => b"",
    }
}

/// Access to the header fields of a request: the one thing that differs between HTTP libraries.
///
/// Implemented for [`HeaderMap`] and for slices of name and value pairs.
pub trait Headers {
    /// The values of every field line with this name, in order; names are compared without case.
    fn values<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]>;

    /// The name of every field line, in any order; a name may come more than once.
    fn names(&self) -> impl Iterator<Item = &[u8]>;

    /// Name and value of every field line; those of one name in order.
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])>;

    /// The value of the first field line with this name, if there is one.
    fn first<'h>(&'h self, name: &'h HeaderName) -> Option<&'h [u8]> {
        self.values(name).next()
    }
}

impl Headers for HeaderMap {
    fn values<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.get_all(name).iter().map(http::HeaderValue::as_bytes)
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.keys().map(|name| name.as_str().as_bytes())
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
    }

    fn first<'h>(&'h self, name: &'h HeaderName) -> Option<&'h [u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn values<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.iter().filter(move |(n, _)| n.as_ref().eq_ignore_ascii_case(name.as_str().as_bytes())).map(|(_, v)| v.as_ref())
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|(name, _)| name.as_ref())
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const LEN: usize> Headers for [(N, V); LEN] {
    fn values<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.as_slice().values(name)
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.as_slice().names()
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.as_slice().fields()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn values<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.as_slice().values(name)
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.as_slice().names()
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.as_slice().fields()
    }
}

/// The randomness of one request, given by the caller: a random number for an even spread, or a hash of a key
/// for a sticky one ([B-1]). Every choice of the decision follows from it, so a decision can be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pick(pub u64);

impl Pick {
    /// Maps the pick to `0..total`, evenly: `pick / 2^64` of the way. 0 when `total` is 0.
    pub fn below(self, total: u64) -> u64 {
        let product = u128::from(self.0).saturating_mul(u128::from(total));
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// An independent pick for the `n`th further choice of the same request (splitmix64).
    #[must_use]
    pub fn derive(self, n: u64) -> Self {
        let mut z = self.0.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(z ^ (z >> 31))
    }
}
