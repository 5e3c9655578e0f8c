//! Cookies: finding one in a request, writing one for a response (RFC 6265).

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, header};

use crate::model::session::SessionPersistence;
use crate::request::Headers;

static COOKIE: HeaderName = header::COOKIE;

/// The value of the first cookie of this name, over all `Cookie` lines: HTTP/2 may split them (RFC 9113 section
/// 8.2.3). Names are compared with case. Does not allocate.
pub fn cookie_value<'h, H: Headers + ?Sized>(headers: &'h H, name: &str) -> Option<&'h [u8]> {
    cookie_values(headers, name).next()
}

/// The values of all cookies of this name, in their order.
pub(crate) fn cookie_values<'h, H: Headers + ?Sized>(headers: &'h H, name: &str) -> impl Iterator<Item = &'h [u8]> {
    headers.values(&COOKIE).flat_map(|line| line.split(|octet| *octet == b';')).filter_map(move |pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

/// The value of a `Set-Cookie` field for a token ([SP-3], [R-B4]): `HttpOnly` and `SameSite=Strict` always, `Secure`
/// on a listener with TLS. A `Permanent` cookie lives as long as its session; a `Session` cookie ends with the
/// browser's. `None` when the token is no cookie value.
pub fn set_cookie(session: &SessionPersistence, token: &str, secure: bool) -> Option<HeaderValue> {
    let octet = |b: u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    if !token.bytes().all(octet) {
        return None;
    }
    let mut value = format!("{}={token}; Path={}", session.name(), session.path());
    if let Some(timeout) = session.absolute_timeout().filter(|_| session.is_permanent()) {
        write!(value, "; Max-Age={}", timeout.as_secs()).ok()?;
    }
    value.push_str("; HttpOnly; SameSite=Strict");
    if secure {
        value.push_str("; Secure");
    }
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::session::SessionCarrier;

    #[test]
    fn the_first_cookie_of_the_name_counts() {
        let headers = [
            ("cookie", "xsid=0; sidx=1; SID=2;sid = 3"),
            ("x-cookie", "sid=no"),
            ("Cookie", "a=b; sid=first=x ; sid=second"),
            ("cookie", "sid=third"),
        ];
        assert_eq!(cookie_value(&headers, "sid"), Some(&b"first=x"[..]));
        assert_eq!(cookie_value(&headers, "a"), Some(&b"b"[..]));
        assert_eq!(cookie_value(&headers, "none"), None);
        assert_eq!(cookie_value(&[("cookie", "sid")], "sid"), None);
    }

    #[test]
    fn attributes() {
        let session = |permanent, timeout| {
            let mut session = SessionPersistence::new(SessionCarrier::Cookie, "sid").unwrap();
            (session.permanent, session.absolute_timeout) = (permanent, timeout);
            session
        };
        let hour = Some(Duration::from_secs(3600));
        for (permanent, timeout, secure, expected) in [
            (false, None, false, "sid=abc; Path=/; HttpOnly; SameSite=Strict"),
            (false, hour, true, "sid=abc; Path=/; HttpOnly; SameSite=Strict; Secure"),
            (true, hour, false, "sid=abc; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict"),
        ] {
            assert_eq!(set_cookie(&session(permanent, timeout), "abc", secure).unwrap(), expected);
        }
        for token in ["a;b", "a b", "a\"", "a\r\nx: y", "ä"] {
            assert_eq!(set_cookie(&session(false, None), token, false), None, "{token}");
        }
    }
}
