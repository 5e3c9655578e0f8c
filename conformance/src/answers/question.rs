//! What is asked, with names for ids.

use gatewright::table::ListenerInfo;
use gatewright::{Arrival, Authority, Pick, Request, Table};
use http::HeaderMap;
use serde::Serialize;

use crate::vectors::Place;

/// Field lines, octets as code points.
pub(super) type Lines = Vec<(String, String)>;

/// Where it arrives.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct At {
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    port: u16,
    /// The listener that the handshake chose, where the question names it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    /// The ListenerSet that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener_set: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<String>,
}

/// A request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RequestQuestion {
    method: String,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_authority: Option<&'static str>,
    #[serde(flatten)]
    at: At,
    headers: Lines,
    pick: String,
}

/// A connection, or the first datagram of a flow.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ConnectionQuestion {
    transport: &'static str,
    #[serde(flatten)]
    at: At,
    pick: String,
}

impl At {
    /// A place in the words of the vectors.
    ///
    /// # Errors
    ///
    /// A place without port.
    pub(super) fn new(place: &Place, sni: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            gateway: place.gateway.clone().filter(|_| place.service.is_none()),
            port: place.port.ok_or("no port is named")?,
            client: place.client.clone().filter(|_| place.service.is_some()),
            service: place.service.clone(),
            sni: sni.map(str::to_owned),
            ..Self::default()
        })
    }

    /// With the listener that the question names itself.
    pub(super) fn with_listener(mut self, arrival: &Arrival<'_>, table: &Table) -> Self {
        if let Some(listener) = arrival.listener.and_then(|id| table.listener(id)) {
            let ListenerInfo { name, owner, .. } = listener;
            self.listener = Some(name.to_string());
            self.listener_set = (&*owner.kind == "ListenerSet").then(|| format!("{}/{}", owner.namespace, owner.name));
        }
        self
    }
}

impl RequestQuestion {
    pub(super) fn new(at: At, request: &Request<'_>, pick: Pick) -> Self {
        let (authority, no_authority) = match request.authority {
            Authority::Given(octets) => (Some(text(octets)), None),
            Authority::Absent => (None, Some("absent")),
            Authority::Missing => (None, Some("missing")),
            Authority::Ambiguous => (None, Some("ambiguous")),
        };
        Self {
            method: request.method.to_owned(),
            target: text(request.target),
            scheme: request.scheme.map(str::to_owned),
            authority,
            no_authority,
            at,
            headers: lines(request.headers),
            pick: pick.0.to_string(),
        }
    }

    /// A request that no table is asked about, for the place that is said to let it through.
    pub(super) fn unasked(at: At, method: &str, authority: &str, target: &str, headers: &HeaderMap, pick: Pick) -> Self {
        Self {
            method: method.to_owned(),
            target: text(target.as_bytes()),
            scheme: None,
            authority: Some(text(authority.as_bytes())),
            no_authority: None,
            at,
            headers: lines(headers),
            pick: pick.0.to_string(),
        }
    }

    /// With field lines as they were written: names of any case.
    pub(super) fn with_headers(mut self, headers: &[(String, String)]) -> Self {
        self.headers = headers.iter().map(|(name, value)| (name.clone(), text(value.as_bytes()))).collect();
        self
    }
}

impl ConnectionQuestion {
    pub(super) fn new(at: At, udp: bool, pick: Pick) -> Self {
        Self { transport: if udp { "udp" } else { "tcp" }, at, pick: pick.0.to_string() }
    }
}

/// Octets as text: each is the code point of its number.
pub(super) fn text(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// Field lines in the order of the map.
pub(super) fn lines(headers: &HeaderMap) -> Lines {
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// Field lines sorted by name; those of one name keep their order.
pub(super) fn sorted(headers: &HeaderMap) -> Lines {
    let mut all = lines(headers);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_code_point_is_an_octet() {
        assert_eq!(text("é".as_bytes()), "\u{c3}\u{a9}");
        assert_eq!(text(&[0x00, 0xff]), "\u{0}\u{ff}");
    }
}
