//! Sealing and opening tokens: AES-256-GCM-SIV (RFC 8452) over the chosen backendRef and endpoint.
//!
//! The nonce is the time of issue, which repeats within a second; this cipher is made for that: two equal messages
//! then look equal, and nothing else is lost. Scope, key id and time of issue are authenticated.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use aes_gcm_siv::{AeadInOut as _, Aes256GcmSiv, KeyInit as _};

use http::{HeaderName, HeaderValue, header};

use super::{Owner, Pinned, Scope, set_cookie};
use crate::decision::{Decision, Forward};
use crate::diagnostic::ObjectRef;
use crate::model::filter::Scheme;
use crate::model::session::{SessionCarrier, SessionPersistence};
use crate::request::{Headers, Pick, Request};
use crate::table::{Backend, Endpoint, Endpoints, Table};

const VERSION: u8 = 1;
/// Version, key id and time of issue.
const HEAD: usize = 10;
const TAG: usize = 16;
/// Octets of a message: two names of Kubernetes fit.
const MESSAGE: usize = 512;
const TOKEN: usize = HEAD + MESSAGE + TAG;
const SCOPE: usize = 1024;

/// A secret that seals tokens, with the id that tokens name it by.
#[derive(Clone)]
pub struct SessionKey {
    id: u8,
    cipher: Aes256GcmSiv,
}

impl SessionKey {
    /// A key from 32 random octets. Every instance of a gateway needs the same ones.
    pub fn new(id: u8, secret: &[u8; 32]) -> Self {
        Self { id, cipher: Aes256GcmSiv::new(secret.into()) }
    }
}

/// The secret is never shown.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys of a gateway: one seals, all open, so that keys can change while sessions live.
#[derive(Clone, Debug)]
pub struct SessionKeys {
    current: SessionKey,
    older: Box<[SessionKey]>,
}

/// Keys and the time of a request: what varies is an argument.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'k> {
    /// The keys.
    pub keys: &'k SessionKeys,
    /// Seconds since 1970.
    pub now: u64,
}

/// What a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Place of the backendRef in its rule: told apart when a rule lists a backend twice ([U-45]).
    pub share: u16,
    /// The backend.
    pub backend: &'a Backend,
    /// The endpoint; `None` when the table does not know the backend's endpoints.
    pub endpoint: Option<&'a Endpoint>,
}

impl SessionKeys {
    /// `current` seals new tokens; tokens of `older` keys still open.
    pub fn new(current: SessionKey, older: impl IntoIterator<Item = SessionKey>) -> Self {
        Self { current, older: older.into_iter().collect() }
    }

    /// A token for `target`, good in `scope` only. `None` when names are longer than Kubernetes allows.
    pub fn seal(&self, scope: &Scope<'_>, target: &Target<'_>, issued_at: u64) -> Option<String> {
        let mut token = Octets::<TOKEN>::new();
        token.push(&[VERSION, self.current.id])?;
        token.push(&issued_at.to_be_bytes())?;
        let context = context(scope, self.current.id)?;
        write_target(&mut token, target.share, target.backend)?;
        write_endpoint(&mut token, target.endpoint)?;
        let message = token.filled_mut().get_mut(HEAD..)?;
        let tag = self.current.cipher.encrypt_inout_detached(&nonce(issued_at).into(), context.filled(), message.into()).ok()?;
        token.push(&tag)?;
        Some(base64url(token.filled()))
    }

    /// Opens a token: `None` for one that was made up, altered, sealed for another scope or with a key that is gone,
    /// or that is as old as `max_age` ([SP-5]). Does not allocate.
    pub fn open(&self, scope: &Scope<'_>, token: &[u8], max_age: Option<Duration>, now: u64) -> Option<Claim> {
        let mut octets = from_base64url(token)?;
        let (head, message) = octets.filled_mut().split_at_mut_checked(HEAD)?;
        let (version, id) = (*head.first()?, *head.get(1)?);
        let issued_at = u64::from_be_bytes(head.get(2..)?.try_into().ok()?);
        let age = Duration::from_secs(now.saturating_sub(issued_at));
        if version != VERSION || max_age.is_some_and(|max_age| age >= max_age) {
            return None;
        }
        let (message, tag) = message.split_at_mut_checked(message.len().checked_sub(TAG)?)?;
        let tag: [u8; TAG] = (&*tag).try_into().ok()?;
        let context = context(scope, id)?;
        let end = HEAD.checked_add(message.len())?;
        let opened = std::iter::once(&self.current).chain(&self.older).filter(|key| key.id == id).any(|key| {
            key.cipher.decrypt_inout_detached(&nonce(issued_at).into(), context.filled(), (&mut *message).into(), &tag.into()).is_ok()
        });
        octets.len = end;
        opened.then_some(Claim { octets })
    }
}

impl Sessions<'_> {
    pub(crate) fn claim(&self, scope: &Scope<'_>, session: &SessionPersistence, token: &[u8]) -> Option<Claim> {
        self.keys.open(scope, token, session.absolute_timeout(), self.now)
    }
}

impl Table {
    /// [`decide`](Self::decide), and a request with a token that holds stays with the endpoint of its session. The
    /// same promises hold: no failure, no panic, no allocation for canonical requests.
    pub fn decide_with_sessions<'a, H: Headers + ?Sized>(
        &'a self,
        request: &Request<'a, H>,
        pick: Pick,
        sessions: &Sessions<'_>,
    ) -> Decision<'a> {
        self.decide_by(request, pick, Some(sessions))
    }

    /// The field to add to the response of a forwarded request: `Set-Cookie`, or the session's header field.
    /// `endpoint` is the one that answered; `None` for a backend whose endpoints the table does not know.
    ///
    /// `None` when there is nothing to tell: the rule has no session, or the client's token still names this endpoint.
    /// After a retry at another endpoint the client gets a new token ([SP-9]).
    pub fn session_field(
        &self,
        forward: &Forward<'_>,
        endpoint: Option<&Endpoint>,
        sessions: &Sessions<'_>,
    ) -> Option<(HeaderName, HeaderValue)> {
        let session = forward.session.as_ref()?;
        if session.is_established() && session.endpoint() == endpoint {
            return None;
        }
        let backend = self.backend(forward.backend)?;
        let scope = self.session_scope(forward.matched, session.of_backend.then_some(backend))?;
        let target = Target { share: session.share, backend, endpoint };
        let token = sessions.keys.seal(&scope, &target, sessions.now)?;
        let persistence = session.persistence();
        match persistence.carrier() {
            SessionCarrier::Cookie => {
                let secure = self.origin(forward.matched.parent).0 == Scheme::Https;
                Some((header::SET_COOKIE, set_cookie(persistence, &token, secure)?))
            }
            SessionCarrier::Header => Some((persistence.field().clone(), HeaderValue::try_from(token).ok()?)),
        }
    }
}

/// A token that holds.
#[derive(Debug)]
pub struct Claim {
    octets: Octets<TOKEN>,
}

impl Claim {
    fn message(&self) -> &[u8] {
        self.octets.filled().get(HEAD..).unwrap_or_default()
    }

    /// Place of the backendRef in its rule, when the token was sealed.
    pub(crate) fn share(&self) -> Option<u16> {
        self.message().first_chunk().copied().map(u16::from_be_bytes)
    }

    /// The endpoint the token names, if it is a present endpoint of this backend.
    pub(crate) fn find<'b>(&self, backend: &'b Backend) -> Option<Pinned<'b>> {
        let mut expected = Octets::<MESSAGE>::new();
        write_target(&mut expected, self.share()?, backend)?;
        let endpoint = self.message().strip_prefix(expected.filled())?;
        match &backend.endpoints {
            Endpoints::Known(list) => {
                let endpoint = read_endpoint(endpoint)?;
                let found = list.binary_search(&endpoint).ok().and_then(|n| list.get(n))?;
                Some(Pinned { endpoint: Some(found) })
            }
            _ if endpoint.is_empty() => Some(Pinned { endpoint: None }),
            _ => None,
        }
    }
}

fn nonce(issued_at: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(issued_at.to_be_bytes()).for_each(|(to, from)| *to = from);
    nonce
}

/// What is authenticated beside the message. Every text carries its length: no two scopes are written alike ([R-K1]).
fn context(scope: &Scope<'_>, key: u8) -> Option<Octets<SCOPE>> {
    let mut context = Octets::new();
    context.push(&[VERSION, key])?;
    context.object(scope.parent)?;
    match scope.owner {
        Owner::Rule(route, rule) => {
            context.object(route)?;
            match &rule.name {
                Some(name) => {
                    context.push(b"n")?;
                    context.text(name)?;
                }
                None => {
                    context.push(b"i")?;
                    context.push(&rule.index.to_be_bytes())?;
                }
            }
        }
        Owner::Backend(object, port) => {
            context.object(object)?;
            context.push(b"b")?;
            context.push(&port.to_be_bytes())?;
        }
    }
    Some(context)
}

fn write_target<const N: usize>(octets: &mut Octets<N>, share: u16, backend: &Backend) -> Option<()> {
    octets.push(&share.to_be_bytes())?;
    octets.object(&backend.object)?;
    octets.push(&backend.port.to_be_bytes())
}

fn write_endpoint<const N: usize>(octets: &mut Octets<N>, endpoint: Option<&Endpoint>) -> Option<()> {
    let Some(endpoint) = endpoint else { return Some(()) };
    octets.push(&endpoint.port.to_be_bytes())?;
    match endpoint.address {
        IpAddr::V4(address) => octets.push(&address.octets()),
        IpAddr::V6(address) => octets.push(&address.octets()),
    }
}

fn read_endpoint(octets: &[u8]) -> Option<Endpoint> {
    let (port, address) = octets.split_first_chunk()?;
    let address = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    Some(Endpoint { address, port: u16::from_be_bytes(*port) })
}

/// A few octets on the stack.
#[derive(Debug)]
struct Octets<const N: usize> {
    octets: [u8; N],
    len: usize,
}

impl<const N: usize> Octets<N> {
    fn new() -> Self {
        Self { octets: [0; N], len: 0 }
    }

    fn filled(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn filled_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(..self.len).unwrap_or_default()
    }

    fn push(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.len.checked_add(octets.len())?;
        self.octets.get_mut(self.len..end)?.copy_from_slice(octets);
        self.len = end;
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.push(&u16::try_from(text.len()).ok()?.to_be_bytes())?;
        self.push(text.as_bytes())
    }

    fn object(&mut self, object: &ObjectRef) -> Option<()> {
        [&object.group, &object.kind, &object.namespace, &object.name].into_iter().try_for_each(|text| self.text(text))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 section 5, without padding: every character may stand in a cookie.
fn base64url(octets: &[u8]) -> String {
    let sextet = |bits: u32, shift: u32| ALPHABET.get((bits >> shift & 63) as usize).map_or('A', |c| char::from(*c));
    let mut text = String::with_capacity(octets.len().saturating_mul(4).div_ceil(3));
    for chunk in octets.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        text.extend([18, 12, 6, 0].into_iter().take(chunk.len().saturating_add(1)).map(|shift| sextet(bits, shift)));
    }
    text
}

fn from_base64url(text: &[u8]) -> Option<Octets<TOKEN>> {
    let mut octets = Octets::new();
    for chunk in text.chunks(4) {
        let mut bits = 0_u32;
        for n in 0..4 {
            let value = match chunk.get(n).copied() {
                Some(c @ b'A'..=b'Z') => c.wrapping_sub(b'A'),
                Some(c @ b'a'..=b'z') => c.wrapping_sub(b'a').wrapping_add(26),
                Some(c @ b'0'..=b'9') => c.wrapping_sub(b'0').wrapping_add(52),
                Some(b'-') => 62,
                Some(b'_') => 63,
                Some(_) => return None,
                None => 0,
            };
            bits = bits << 6 | u32::from(value);
        }
        let [_, a, b, c] = bits.to_be_bytes();
        // One character cannot hold an octet; bits beyond the last octet are zero in the one right spelling.
        match (chunk.len(), b, c) {
            (4, ..) => octets.push(&[a, b, c])?,
            (3, _, 0) => octets.push(&[a, b])?,
            (2, 0, 0) => octets.push(&[a])?,
            _ => return None,
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{BackendProtocol, RouteId, RuleId, RuleInfo};

    fn backend(name: &str, endpoints: &[&str]) -> Backend {
        let endpoint = |text: &&str| text.parse::<std::net::SocketAddr>().map(|a| Endpoint { address: a.ip(), port: a.port() }).unwrap();
        let mut backend = Backend::of(ObjectRef::new("", "Service", "ns", name), 80, BackendProtocol::Http1);
        if !endpoints.is_empty() {
            backend.endpoints = Endpoints::Known(endpoints.iter().map(endpoint).collect());
        }
        backend
    }

    fn rule(index: u32, name: Option<&str>) -> RuleInfo {
        RuleInfo { id: RuleId(0), route: RouteId(0), index, name: name.map(Into::into) }
    }
    fn keys(current: u8, older: &[u8]) -> SessionKeys {
        let key = |id: u8| SessionKey::new(id, &[id; 32]);
        SessionKeys::new(key(current), older.iter().map(|id| key(*id)))
    }

    #[test]
    fn base64url_both_ways() {
        // RFC 4648 section 10, without padding.
        for (octets, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64url(octets.as_bytes()), text);
            assert_eq!(from_base64url(text.as_bytes()).unwrap().filled(), octets.as_bytes());
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        for text in ["Z", "Zh", "Zm9=", "Zm+v", "Zm9vY", "ä"] {
            assert!(from_base64url(text.as_bytes()).is_none(), "{text}");
        }
    }

    /// [R-B4], [SP-5], [SP-6]: a token is good for its scope, its keys and its time, and names a present endpoint.
    #[test]
    fn tokens() {
        let (gateway, other) = (ObjectRef::new("g", "Gateway", "infra", "gw"), ObjectRef::new("g", "Gateway", "infra", "other"));
        let route = ObjectRef::new("g", "HTTPRoute", "ns", "web");
        let (first, second, named) = (rule(0, None), rule(1, None), rule(0, Some("cart")));
        let scope = Scope { parent: &gateway, owner: Owner::Rule(&route, &first) };
        let b = backend("api", &["10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"]);
        let Endpoints::Known(list) = &b.endpoints else { panic!("known") };
        for endpoint in list {
            let token = keys(1, &[]).seal(&scope, &Target { share: 3, backend: &b, endpoint: Some(endpoint) }, 1000).unwrap();
            assert!(token.len() < 200 && !token.contains("api"), "{token}");
            let claim = keys(2, &[1]).open(&scope, token.as_bytes(), None, 5000).unwrap();
            assert_eq!((claim.share(), claim.find(&b)), (Some(3), Some(Pinned { endpoint: Some(endpoint) })));
            // An endpoint that is gone, a backend that is another, endpoints that are not known.
            assert_eq!(claim.find(&backend("api", &["10.0.0.9:8080"])), None);
            assert_eq!(claim.find(&backend("web", &["10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"])), None);
            assert_eq!(claim.find(&backend("api", &[])), None);
        }
        let target = Target { share: 0, backend: &b, endpoint: list.first() };
        let token = keys(1, &[]).seal(&scope, &target, 1000).unwrap();
        let opens = |keys: &SessionKeys, scope: &Scope<'_>, max_age: Option<u64>, now| {
            keys.open(scope, token.as_bytes(), max_age.map(Duration::from_secs), now).is_some()
        };
        assert!(!opens(&keys(2, &[]), &scope, None, 1000), "the key is gone");
        assert!(!opens(&SessionKeys::new(SessionKey::new(1, &[9; 32]), []), &scope, None, 1000), "another secret of that id");
        assert!(opens(&keys(1, &[]), &scope, Some(60), 1059));
        assert!(!opens(&keys(1, &[]), &scope, Some(60), 1060), "absoluteTimeout");
        for owner in [
            Owner::Rule(&route, &second),
            Owner::Rule(&route, &named),
            Owner::Rule(&gateway, &first),
            Owner::Backend(&route, 80),
            Owner::Backend(&b.object, 80),
        ] {
            assert!(!opens(&keys(1, &[]), &Scope { parent: &gateway, owner }, None, 1000), "{owner:?}");
        }
        assert!(!opens(&keys(1, &[]), &Scope { parent: &other, ..scope }, None, 1000));
        // Any change of any character spoils it, and so does a shorter or longer text.
        for n in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[n] = if altered[n] == b'A' { b'B' } else { b'A' };
            assert!(keys(1, &[]).open(&scope, &altered, None, 1000).is_none(), "{n}");
            assert!(keys(1, &[]).open(&scope, &token.as_bytes()[..n], None, 1000).is_none(), "{n}");
        }
        assert!(keys(1, &[]).open(&scope, &[b'A'; 5000], None, 1000).is_none());
        assert!(!format!("{:?}", keys(7, &[])).contains("77"), "the secret is not shown");
    }

    /// A backend that is found by its name is pinned as a whole; names as long as Kubernetes allows fit.
    #[test]
    fn backends_without_known_endpoints_and_long_names() {
        let (long, label) = ("n".repeat(253), "n".repeat(63));
        let (gateway, route) = (ObjectRef::new("g", "Gateway", &label, &long), ObjectRef::new("g", "HTTPRoute", &label, &long));
        let rule = rule(7, Some(&long));
        let scope = Scope { parent: &gateway, owner: Owner::Rule(&route, &rule) };
        let mut b = backend(&long, &[]);
        b.object.namespace = label.into();
        let token = keys(1, &[]).seal(&scope, &Target { share: 0, backend: &b, endpoint: None }, 1).unwrap();
        let claim = keys(1, &[]).open(&scope, token.as_bytes(), None, 1).unwrap();
        assert_eq!(claim.find(&b), Some(Pinned { endpoint: None }));
        let endpoints = Endpoints::Known([Endpoint { address: IpAddr::from([10, 0, 0, 1]), port: 1 }].into());
        assert_eq!(claim.find(&Backend { endpoints, ..b }), None);
    }
}
