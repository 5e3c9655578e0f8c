//! Header fields that belong to one connection, and those that tell the backend about it (RFC 9110 section
//! 7.6.1, [R-F5] to [R-F7]): what every gateway does beside its rules.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED_PREFIX: &str = "x-forwarded-";
const ENVOY_PREFIX: &str = "x-envoy-";

/// The protocol of an upgrade that may pass: WebSocket only. An upgrade to HTTP/2 would be a tunnel past every rule
/// ([R-F6]). All other fields of one hop are taken out by `apply::forward`.
pub fn upgrade(headers: &HeaderMap, method: &Method, version: Version) -> Option<HeaderValue> {
    let protocol = headers.get(header::UPGRADE)?;
    let passes = version == Version::HTTP_11
        && method == Method::GET
        && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
        && names(headers).any(|name| name == header::UPGRADE);
    passes.then(|| protocol.clone())
}

/// Takes the fields of one hop out of a response. Most have none, so they are looked for in one walk.
pub fn strip_response(headers: &mut HeaderMap) {
    const OF_ONE_HOP: [HeaderName; 8] = [
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HTTP2_SETTINGS,
    ];
    let mut found: Vec<HeaderName> = headers.keys().filter(|name| OF_ONE_HOP.contains(name)).cloned().collect();
    if found.contains(&header::CONNECTION) {
        found.extend(names(headers));
    }
    for name in found {
        headers.remove(name);
    }
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
}

/// What this gateway calls itself in `Via`.
pub const VIA: &str = "gatewright";

/// How often a request has come through a gateway of this kind (RFC 9110 section 7.6.3).
pub fn hops(headers: &HeaderMap) -> usize {
    let entries = headers.get_all(header::VIA).iter().flat_map(|value| value.as_bytes().split(|&octet| octet == b','));
    entries.filter(|entry| entry.trim_ascii().split(|&octet| octet == b' ').nth(1) == Some(VIA.as_bytes())).count()
}

/// Says who asked for what: address of the client, scheme, and the Host of its request; what the client says of itself is not believed ([R-F7]). Of `Via` stays how often the request
/// has come through here: loops end by that. After [`forward`](super::forward), or before it.
///
/// ```
/// use gatewright::apply::hop;
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-real-ip", HeaderValue::from_static("10.0.0.1"));
/// hop::set_forwarded(&mut headers, HeaderValue::from_static("192.0.2.7"), "https", None);
/// assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
/// assert!(!headers.contains_key("x-real-ip"));
/// ```
pub fn set_forwarded(headers: &mut HeaderMap, peer: HeaderValue, scheme: &'static str, host: Option<HeaderValue>) {
    let hops = hops(headers);
    let is_claim = |name: &HeaderName| {
        let begins = |prefix: &str| name.as_str().starts_with(prefix);
        (begins("x-") && (*name == REAL_IP || begins(FORWARDED_PREFIX) || begins(ENVOY_PREFIX)))
            || *name == header::FORWARDED
            || *name == header::EXPECT
    };
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    // The map grows once for all that follows.
    headers.reserve(5);
    headers.insert(FORWARDED_FOR, peer);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host);
    }
    let via = match hops {
        0 => Ok(HeaderValue::from_static("1.1 gatewright")),
        _ => HeaderValue::from_str(&vec!["1.1 gatewright"; hops.saturating_add(1)].join(", ")),
    };
    if let Ok(via) = via {
        headers.insert(header::VIA, via);
    }
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
    fn only_web_socket_may_upgrade() {
        for (list, method, version, expected) in [
            (&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")][..], Method::GET, Version::HTTP_11, true),
            (&[("connection", "upgrade"), ("upgrade", "websocket")], Method::POST, Version::HTTP_11, false),
            (&[("connection", "upgrade"), ("upgrade", "websocket")], Method::GET, Version::HTTP_2, false),
            (&[("upgrade", "websocket")], Method::GET, Version::HTTP_11, false),
            (
                &[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "x")],
                Method::GET,
                Version::HTTP_11,
                false,
            ),
        ] {
            assert_eq!(upgrade(&headers(list), &method, version).is_some(), expected, "{list:?} {method} {version:?}");
        }
    }

    #[test]
    fn responses_lose_fields_of_one_hop() {
        let mut of = headers(&[("connection", "close, X-Hop"), ("x-hop", "1"), ("keep-alive", "5"), ("x-kept", "1")]);
        strip_response(&mut of);
        assert_eq!(of, headers(&[("x-kept", "1")]));
    }
}
