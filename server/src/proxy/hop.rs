//! Header fields that belong to one connection, and those that tell the backend about it (RFC 9110 section
//! 7.6.1, [R-F5] to [R-F7]).

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Fields that a client must not have removed by naming them in `Connection` ([R-F5]).
const PROTECTED: [HeaderName; 13] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_TYPE,
    header::ORIGIN,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
    header::FORWARDED,
    REAL_IP,
    CLIENT_CERT,
];

/// Takes the fields of one hop out of a request; gives the protocol of an upgrade that may pass: WebSocket only. An
/// upgrade to HTTP/2 would be a tunnel past every rule ([R-F6]).
pub(super) fn strip_request(headers: &mut HeaderMap, method: &Method, version: Version) -> Result<Option<HeaderValue>, StatusCode> {
    let upgrade = match headers.get(header::UPGRADE) {
        Some(protocol)
            if version == Version::HTTP_11
                && method == Method::GET
                && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
                && names(headers).any(|n| n == header::UPGRADE) =>
        {
            Some(protocol.clone())
        }
        _ => None,
    };
    let trailers = headers.get_all(header::TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let named: Vec<HeaderName> = names(headers).collect();
    if named.iter().any(|name| PROTECTED.contains(name)) {
        return Err(StatusCode::BAD_REQUEST);
    }
    strip(headers, &named);
    headers.remove(header::PROXY_AUTHORIZATION);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(upgrade)
}

/// Takes the fields of one hop out of a response.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = names(headers).collect();
    strip(headers, &named);
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
}

fn strip(headers: &mut HeaderMap, named: &[HeaderName]) {
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HTTP2_SETTINGS,
    ] {
        headers.remove(name);
    }
}

/// Says who asked for what; what the client says of itself is not believed ([R-F7]).
pub(super) fn set_forwarded(headers: &mut HeaderMap, peer: IpAddr, host: Option<&[u8]>) {
    headers.remove(header::FORWARDED);
    headers.remove(REAL_IP);
    headers.remove(CLIENT_CERT);
    if let Ok(peer) = HeaderValue::from_str(&peer.to_string()) {
        headers.insert(FORWARDED_FOR, peer);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    match host.map(HeaderValue::from_bytes) {
        Some(Ok(host)) => headers.insert(FORWARDED_HOST, host),
        _ => headers.remove(FORWARDED_HOST),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn strips_fields_of_one_hop() {
        let mut of = headers(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "gzip"),
            ("keep-alive", "5"),
            ("x-kept", "1"),
            ("upgrade", "h2c"),
        ]);
        assert_eq!(strip_request(&mut of, &Method::GET, Version::HTTP_11), Ok(None));
        assert_eq!(of, headers(&[("x-kept", "1")]));
        let mut of = headers(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "x")]);
        assert_eq!(strip_request(&mut of, &Method::GET, Version::HTTP_11), Ok(None));
        assert!(of.is_empty(), "{of:?}");
        let mut of = headers(&[("connection", "upgrade"), ("upgrade", "WebSocket")]);
        assert_eq!(strip_request(&mut of, &Method::GET, Version::HTTP_11), Ok(Some(HeaderValue::from_static("WebSocket"))));
        let mut of = headers(&[("te", "trailers")]);
        assert_eq!(strip_request(&mut of, &Method::POST, Version::HTTP_2), Ok(None));
        assert_eq!(of, headers(&[("te", "trailers")]));
    }

    #[test]
    fn nominating_a_protected_field_is_refused() {
        for name in ["Authorization", "host", "X-Forwarded-For", "cookie"] {
            let mut of = HeaderMap::new();
            of.insert("connection", HeaderValue::from_str(name).unwrap());
            assert_eq!(strip_request(&mut of, &Method::GET, Version::HTTP_11), Err(StatusCode::BAD_REQUEST), "{name}");
        }
    }
}
