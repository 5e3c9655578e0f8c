//! What of a head is looked at before the table is asked: sizes, expectations, loops.

use http::request::Parts;
use http::{StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::proxy::ports::limits::{Limits, MAX_FIELD};
use crate::proxy::requests::hop::hops;

/// Times that a request may have come through a gateway of this kind.
const MAX_HOPS: usize = 10;

/// The status for a request that goes no further, and why.
pub(in crate::proxy) fn check(parts: &Parts, body: &Incoming, limits: &Limits) -> Result<(), (StatusCode, &'static str)> {
    // A field line is name, colon, space and value.
    if parts.headers.iter().any(|(name, value)| name.as_str().len() + 2 + value.len() > MAX_FIELD) {
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "FieldTooLong"));
    }
    // RFC 9113 section 8.2.1: HTTP/1 has no space around values by the time they are here ([R-F1]).
    if parts.version == Version::HTTP_2 && parts.headers.values().any(|value| value.as_bytes().trim_ascii() != value.as_bytes()) {
        return Err((StatusCode::BAD_REQUEST, "SpaceAroundValue"));
    }
    if limits.body.is_some_and(|most| body.size_hint().lower() > most) {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge"));
    }
    // RFC 9110 section 10.1.1: no other expectation is known here.
    if parts.headers.get_all(header::EXPECT).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err((StatusCode::EXPECTATION_FAILED, "UnknownExpectation"));
    }
    if hops(&parts.headers) >= MAX_HOPS {
        return Err((StatusCode::LOOP_DETECTED, "Loop"));
    }
    Ok(())
}
