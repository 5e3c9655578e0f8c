//! Header fields of one hop are core's business; the address of a client is ours.

use std::net::IpAddr;

use http::HeaderValue;

pub(in crate::proxy) use gatewright::apply::hop::{hops, set_forwarded, strip_response, upgrade};

/// The address of a client as a field value.
pub(in crate::proxy) fn address(peer: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&peer.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
