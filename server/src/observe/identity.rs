//! Who a request is to those who follow it: `x-request-id`, and the trace it belongs to (W3C Trace Context, level 1).

use http::header::{HeaderMap, HeaderName, HeaderValue};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Octets of an id of a client's own that are taken at most.
const LONGEST: usize = 128;

/// The ids of a request.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its `x-request-id`.
    pub(crate) request: HeaderValue,
    /// Its `traceparent`, if that is valid.
    pub(crate) trace: Option<HeaderValue>,
}

impl Identity {
    /// Reads the ids of a request and writes those that the backend gets. A client's request id is overwritten unless it is
    /// trusted: what it says could be another request's. A trace context that is broken goes no further, with its state.
    pub(crate) fn set(headers: &mut HeaderMap, trusted: bool, random: impl Fn() -> u64) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .filter(|value| trusted && (1..=LONGEST).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic));
        let request = given.cloned().unwrap_or_else(|| hex(random(), random()));
        headers.insert(REQUEST_ID, request.clone());
        let mut parents = headers.get_all(TRACE_PARENT).iter();
        let trace = parents.next().filter(|value| is_trace_parent(value.as_bytes())).cloned();
        // One that is given twice is none.
        let trace = trace.filter(|_| parents.next().is_none());
        if trace.is_none() {
            headers.remove(TRACE_PARENT);
            headers.remove(TRACE_STATE);
        }
        Self { request, trace }
    }

    /// Tells the client the id of its request.
    pub(crate) fn answer(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.request.clone());
    }

    /// The id of the trace.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.trace.as_ref()?.to_str().ok()?.get(3..35)
    }
}

/// 128 bits in hexadecimal digits.
fn hex(high: u64, low: u64) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let number = u128::from(high) << 64 | u128::from(low);
    let digits: [u8; 32] = std::array::from_fn(|n| DIGITS[usize::try_from(number >> (124 - 4 * n) & 15).unwrap_or_default()]);
    HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

/// `version-trace-parent-flags`; later versions may have more behind it.
fn is_trace_parent(value: &[u8]) -> bool {
    let Some((head, rest)) = value.split_at_checked(55) else { return false };
    let parts: Vec<&[u8]> = head.split(|octet| *octet == b'-').collect();
    let [version, trace, parent, flags] = parts[..] else { return false };
    let is_hex = |part: &[u8], len| part.len() == len && part.iter().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8], len| is_hex(part, len) && part.iter().any(|octet| *octet != b'0');
    let ends = if version == b"00" { rest.is_empty() } else { rest.first().is_none_or(|octet| *octet == b'-') };
    is_hex(version, 2) && version != b"ff" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2) && ends
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// 129 octets.
    const LONG: &str = concat!(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "a"
    );

    fn set(list: &[(&'static str, &'static str)], trusted: bool) -> (Identity, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        (Identity::set(&mut headers, trusted, || 10), headers)
    }

    #[test]
    fn ids_of_clients_are_taken_only_from_trusted_ones() {
        let random = "000000000000000a000000000000000a";
        for (given, trusted, expected) in [
            ("mine", false, random),
            ("mine", true, "mine"),
            (LONG.split_at(128).0, true, LONG.split_at(128).0),
            ("", true, random),
            ("a b", true, random),
            (LONG, true, random),
        ] {
            let (identity, headers) = set(&[("x-request-id", given)], trusted);
            assert_eq!((&identity.request, &headers["x-request-id"]), (&HeaderValue::from_static(expected), &identity.request));
        }
    }

    #[test]
    fn a_valid_trace_passes_and_any_other_is_dropped() {
        let valid = [VALID, "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what"];
        for parent in valid {
            let (identity, headers) = set(&[("traceparent", parent), ("tracestate", "a=1")], false);
            assert_eq!((identity.trace_id(), &headers["tracestate"]), (Some("0af7651916cd43dd8448eb211c80319c"), &"a=1".parse().unwrap()));
            assert_eq!(headers["traceparent"], parent);
        }
        for parent in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        ] {
            let (identity, headers) = set(&[("traceparent", parent), ("tracestate", "a=1")], false);
            assert!(identity.trace.is_none() && !headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "{parent}");
        }
        assert!(set(&[("traceparent", VALID), ("traceparent", VALID)], false).0.trace.is_none());
    }
}
