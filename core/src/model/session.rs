//! Valid session persistence ([SP-1]).

use std::time::Duration;

use http::{HeaderName, header};

/// How the requests of one session stay with one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionPersistence {
    pub(crate) carrier: SessionCarrier,
    name: Box<str>,
    /// The field the token comes in: `Cookie`, or the one of this name.
    field: HeaderName,
    pub(crate) path: Box<str>,
    pub(crate) absolute_timeout: Option<Duration>,
    pub(crate) permanent: bool,
}

/// Where the session's token travels ([SP-2]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionCarrier {
    /// In a cookie.
    Cookie,
    /// In a header field.
    Header,
}

impl SessionPersistence {
    /// A session of a carrier and name. `None` when the name is no token (RFC 6265 section 4.1.1, RFC 9110 section
    /// 5.1), or is that of a field with a meaning of its own.
    pub(crate) fn new(carrier: SessionCarrier, name: &str) -> Option<Self> {
        let field = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let field = match carrier {
            SessionCarrier::Cookie => header::COOKIE,
            SessionCarrier::Header if RESERVED.contains(&field) => return None,
            SessionCarrier::Header => field,
        };
        Some(Self { carrier, name: name.into(), field, path: "/".into(), absolute_timeout: None, permanent: false })
    }

    /// Where the token travels.
    pub fn carrier(&self) -> SessionCarrier {
        self.carrier
    }

    /// Name of the cookie or header field: as written, else made from the place of the rule or the name of the
    /// backend ([SP-4]).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells two sessions of one carrier apart: names of fields are compared without case.
    pub(crate) fn key(&self) -> &str {
        match self.carrier {
            SessionCarrier::Cookie => &self.name,
            SessionCarrier::Header => self.field.as_str(),
        }
    }

    /// The field of a request that holds the token: `Cookie`, or the header field of the session.
    pub fn field(&self) -> &HeaderName {
        &self.field
    }

    /// `Path` of the cookie, default `/` ([U-38]).
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Longest life of a session; counted from the issue of its token, whatever the carrier ([SP-3]).
    pub fn absolute_timeout(&self) -> Option<Duration> {
        self.absolute_timeout
    }

    /// Whether the cookie outlives the browser's session ([SP-3]).
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

/// Fields that frame or route a message, or carry something else.
const RESERVED: [HeaderName; 11] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::COOKIE,
    header::SET_COOKIE,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
];

/// A cookie name for a rule or backend that gives none ([SP-4]): the same on every instance of a gateway, and a
/// different one for each owner. A client learns no name of an object from it (64-bit FNV-1a; what protects a session
/// is its token).
pub(crate) fn generated_name<'p>(owner: impl IntoIterator<Item = &'p str>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in owner {
        // 0xff is no octet of a text: no two lists of parts are hashed alike.
        for octet in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("gw-session-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [SP-4]
    #[test]
    fn names() {
        let name = |parts: &[&str]| generated_name(parts.iter().copied());
        assert_eq!(name(&["a", "b"]), name(&["a", "b"]));
        let all = [name(&["a", "b"]), name(&["ab"]), name(&["ab", ""]), name(&["b", "a"]), name(&["a", "b", "0"])];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        // FNV-1a of the empty input, from its definition.
        assert_eq!(name(&[]), "gw-session-cbf29ce484222325");
        for (carrier, name, valid) in [
            (SessionCarrier::Cookie, "sid", true),
            (SessionCarrier::Cookie, "host", true),
            (SessionCarrier::Cookie, "a b", false),
            (SessionCarrier::Cookie, "a=b", false),
            (SessionCarrier::Header, "X-Session", true),
            (SessionCarrier::Header, "Cookie", false),
            (SessionCarrier::Header, "host", false),
        ] {
            assert_eq!(SessionPersistence::new(carrier, name).is_some(), valid, "{name}");
        }
    }
}
