//! The header fields of a request: which ones matches see, and which ones are forwarded ([R-F4] to [R-F6]).

use http::{HeaderName, header};

use super::Refusal;
use crate::request::Headers;

static CONNECTION: HeaderName = header::CONNECTION;
static TE: HeaderName = header::TE;

/// Fields of one hop: never forwarded, whether or not `Connection` names them (RFC 9110 section 7.6.1). An upgrade
/// is the embedder's to carry out.
static OF_ONE_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Lengths of those names, as bits: most names have another one, and need not be compared.
const ONE_HOP_LENGTHS: u64 = 1 << 2 | 1 << 7 | 1 << 10 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 19;

/// Fields meant for every recipient: to have them removed changes framing, authentication or what is believed of
/// the client, so `Connection` must not name them ([R-F5]). `X-Forwarded-*` is one of them.
static OF_EVERY_HOP: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
];
const FORWARDED_PREFIX: &[u8] = b"x-forwarded-";

/// Fields by which gateways tell backends about the client.
static FORWARDING: [HeaderName; 9] = [
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-client-cert"),
];

/// The header fields of a request as matches see them: without those that `Connection` names.
#[derive(Debug)]
pub(crate) struct Fields<'a, H: ?Sized> {
    headers: &'a H,
    /// `Connection` names some field.
    named: bool,
}

impl<H: ?Sized> Clone for Fields<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<H: ?Sized> Copy for Fields<'_, H> {}

impl<'a, H: Headers + ?Sized> Fields<'a, H> {
    /// Reads `Connection`; refuses a request that has fields removed which are meant for every recipient.
    pub(crate) fn read(headers: &'a H) -> Result<Self, Refusal> {
        if headers.first(&CONNECTION).is_none() {
            return Ok(Self { headers, named: false });
        }
        let mut named = false;
        for name in connection_names(headers) {
            let prefix = name.get(..FORWARDED_PREFIX.len());
            if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(FORWARDED_PREFIX))
                || OF_EVERY_HOP.iter().any(|other| same(other, name))
            {
                return Err(Refusal::ConnectionNames);
            }
            named = true;
        }
        Ok(Self { headers, named })
    }

    /// The values of every field line with this name, in order.
    pub(crate) fn values<'h>(&self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> + use<'h, 'a, H>
    where
        'a: 'h,
    {
        let hidden = self.named && is_named_by_connection(name.as_str().as_bytes(), self.headers);
        (!hidden).then(|| self.headers.values(name)).into_iter().flatten()
    }

    /// The value of the first field line with this name.
    pub(crate) fn first<'h>(&self, name: &'h HeaderName) -> Option<&'h [u8]>
    where
        'a: 'h,
    {
        self.values(name).next()
    }
}

/// The names that `Connection` lists.
fn connection_names<H: Headers + ?Sized>(headers: &H) -> impl Iterator<Item = &[u8]> {
    let lists = headers.values(&CONNECTION);
    lists.flat_map(|list| list.split(|b| *b == b',')).map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

fn same(name: &HeaderName, other: &[u8]) -> bool {
    name.as_str().as_bytes().eq_ignore_ascii_case(other)
}

/// Whether a field belongs to the connection it came on, and must not be forwarded.
pub(crate) fn is_of_one_hop<H: Headers + ?Sized>(name: &[u8], headers: &H) -> bool {
    of_one_hop(headers)(name)
}

/// The same for many fields of one message: mostly there is no `Connection` to look at, which is found out once.
pub(crate) fn of_one_hop<H: Headers + ?Sized>(headers: &H) -> impl Fn(&[u8]) -> bool + '_ {
    let has_connection = headers.values(&CONNECTION).next().is_some();
    move |name| {
        // A client of gRPC says that it reads trailers, and its backend is to know.
        if same(&TE, name) && headers.values(&TE).all(|value| value.trim_ascii().eq_ignore_ascii_case(b"trailers")) {
            return false;
        }
        let may_be = name.len() < 64 && ONE_HOP_LENGTHS >> name.len() & 1 == 1;
        (may_be && OF_ONE_HOP.iter().any(|other| same(other, name))) || (has_connection && is_named_by_connection(name, headers))
    }
}

/// Whether `Connection` names a field.
pub(crate) fn is_named_by_connection<H: Headers + ?Sized>(name: &[u8], headers: &H) -> bool {
    connection_names(headers).any(|other| other.eq_ignore_ascii_case(name))
}

/// The names of fields that the table refers to or the gateway manages, and by them the aliases: other names that
/// equal one of them once every octet but letters and digits is folded to `_` ([R-F4]).
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownFields {
    /// Folded name and name, sorted; one name for each folded one.
    names: Box<[(Box<[u8]>, HeaderName)]>,
    /// Some name has an octet other than letters, digits and `-`: then a plain name may be an alias.
    odd: bool,
}

impl KnownFields {
    /// Takes the names that the table refers to. Of names that are aliases of each other the gateway's own counts,
    /// else the one with hyphens, else the first.
    pub(crate) fn new<'n>(of_table: impl IntoIterator<Item = &'n HeaderName>) -> Self {
        let gateway: Vec<&HeaderName> = OF_ONE_HOP.iter().chain(&OF_EVERY_HOP).chain(&FORWARDING).collect();
        let mut names: Vec<(Box<[u8]>, u8, &HeaderName)> = Vec::new();
        let folded = |name: &HeaderName| name.as_str().bytes().map(fold).collect::<Box<[u8]>>();
        names.extend(gateway.iter().map(|name| (folded(name), 0, *name)));
        names.extend(of_table.into_iter().map(|name| (folded(name), if is_plain(name.as_str().as_bytes()) { 1 } else { 2 }, name)));
        names.sort_by(|a, b| (&a.0, a.1, a.2.as_str()).cmp(&(&b.0, b.1, b.2.as_str())));
        names.dedup_by(|b, a| a.0 == b.0);
        let odd = names.iter().any(|(_, _, name)| !is_plain(name.as_str().as_bytes()));
        Self { names: names.into_iter().map(|(folded, _, name)| (folded, name.clone())).collect(), odd }
    }

    /// The known name that a field's name is an alias of.
    pub(crate) fn original(&self, name: &[u8]) -> Option<&HeaderName> {
        if !self.odd && is_plain(name) {
            return None;
        }
        self.find(name).filter(|known| !same(known, name))
    }

    /// Whether a field's name is known, or an alias of one that is.
    pub(crate) fn knows(&self, name: &[u8]) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &[u8]) -> Option<&HeaderName> {
        let at = self.names.binary_search_by(|(folded, _)| folded.iter().copied().cmp(name.iter().copied().map(fold))).ok()?;
        self.names.get(at).map(|(_, known)| known)
    }
}

/// Whether some backends take one name for the other.
pub(crate) fn same_to_some(name: &[u8], other: &[u8]) -> bool {
    name.iter().copied().map(fold).eq(other.iter().copied().map(fold))
}

fn fold(octet: u8) -> u8 {
    if octet.is_ascii_alphanumeric() { octet.to_ascii_lowercase() } else { b'_' }
}

/// Letters, digits and hyphens. Without a way out in the middle, so that it is done many octets at a time.
fn is_plain(name: &[u8]) -> bool {
    name.iter().fold(true, |plain, octet| plain & (octet.is_ascii_alphanumeric() | (*octet == b'-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<HeaderName> {
        list.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// [R-F4]
    #[test]
    fn aliases() {
        let known = KnownFields::new(&names(&["x-role", "X_Role", "y_a", "z.a", "z_a"]));
        let original = |name: &str| known.original(name.as_bytes()).map(HeaderName::as_str);
        for (name, expected) in [
            ("x-role", None),
            ("X-Role", None),
            ("x_role", Some("x-role")),
            ("X.ROLE", Some("x-role")),
            ("x-role-", None),
            ("y_a", None),
            ("y-a", Some("y_a")),
            ("z.a", None),
            ("z_a", Some("z.a")),
            ("X_Forwarded_For", Some("x-forwarded-for")),
            ("content_length", Some("content-length")),
            ("Content-Length", None),
            ("other_name", None),
        ] {
            assert_eq!(original(name), expected, "{name}");
        }
        // A table cannot make an alias of the gateway's own fields its own.
        let known = KnownFields::new(&names(&["x_real_ip"]));
        assert_eq!(known.original(b"x_real_ip").map(HeaderName::as_str), Some("x-real-ip"));
        assert_eq!(known.original(b"x-real-ip"), None);
    }

    /// [R-F5]
    #[test]
    fn connection() {
        for list in ["Host", "close, content-length", "x-FORWARDED-for", "X-Forwarded-Anything", " ,x-real-ip", "Cookie", "forwarded"] {
            assert_eq!(Fields::read(&[("connection", list)]).map(|_| ()), Err(Refusal::ConnectionNames), "{list}");
        }
        let headers = [("Connection", " , ,X-A,"), ("x-a", "1"), ("connection", "x-b"), ("X-B", "2"), ("x-c", "3")];
        let fields = Fields::read(&headers).unwrap();
        for (name, seen) in [("x-a", None), ("x-b", None), ("x-c", Some(&b"3"[..]))] {
            let name: HeaderName = name.parse().unwrap();
            assert_eq!(fields.first(&name), seen, "{name}");
            assert_eq!(is_of_one_hop(name.as_str().as_bytes(), &headers), seen.is_none(), "{name}");
        }
    }

    #[test]
    fn lengths_of_one_hop() {
        let lengths = OF_ONE_HOP.iter().fold(0, |lengths, name| lengths | 1 << name.as_str().len());
        assert_eq!(lengths, ONE_HOP_LENGTHS);
    }

    /// [R-F6]
    #[test]
    fn of_one_hop() {
        for name in ["Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Trailer", "Upgrade", "HTTP2-Settings", "Connection", "TE"] {
            assert!(is_of_one_hop(name.as_bytes(), &[("TE", "trailers, deflate")]), "{name}");
        }
        assert!(!is_of_one_hop(b"te", &[("TE", "trailers")]));
        assert!(!is_of_one_hop(b"accept", &[("TE", "trailers")]));
    }
}
