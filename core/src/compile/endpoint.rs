//! From EndpointSlices to the endpoints of a backend ([B-8], [B-10], [R-K3]).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::lookup::Lookup;
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::options::EndpointAddresses;
use crate::resource::kubernetes::{self, EndpointSlice, ServicePort};
use crate::table::{BackendProtocol, Endpoint, Endpoints, RouteKind};

/// What a port of a Service or EndpointSlice takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// What the routes of a kind need.
    pub(crate) fn of(kind: RouteKind) -> Self {
        if kind == RouteKind::Udp { Self::Udp } else { Self::Tcp }
    }

    pub(crate) fn speaking(protocol: BackendProtocol) -> Self {
        if protocol == BackendProtocol::Udp { Self::Udp } else { Self::Tcp }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }

    /// Whether `protocol` of a port is this one; absent means TCP.
    pub(crate) fn is(self, protocol: Option<&str>) -> bool {
        protocol.filter(|protocol| !protocol.is_empty()).unwrap_or("TCP") == self.as_str()
    }
}

impl Lookup<'_> {
    /// The endpoints behind a port of a Service or ServiceImport, joined by the port's name: those that are ready, or
    /// when there are none, those that end but still serve.
    pub(crate) fn endpoints(
        &self,
        object: &ObjectRef,
        port: Option<&ServicePort>,
        transport: Transport,
        findings: &mut Vec<Diagnostic>,
    ) -> Endpoints {
        let Some(slices) = self.slices(&object.kind, &object.namespace, &object.name) else { return Endpoints::Unknown };
        let name = port.and_then(|port| port.name.as_deref()).unwrap_or("");
        let (mut ready, mut ending) = (BTreeSet::new(), BTreeSet::new());
        for slice in slices {
            let number = slice
                .ports
                .iter()
                .find(|p| p.name.as_deref().unwrap_or("") == name && transport.is(p.protocol.as_deref()))
                .and_then(|p| u16::try_from(p.port?).ok())
                .filter(|number| *number > 0);
            let Some(number) = number else { continue };
            for (n, endpoint) in slice.endpoints.iter().enumerate() {
                let Some(text) = endpoint.addresses.first() else { continue };
                let list = match health(endpoint) {
                    Health::Ready => &mut ready,
                    Health::Ending => &mut ending,
                    Health::Out => continue,
                };
                match self.address(text) {
                    Ok(address) => {
                        list.insert(Endpoint { address, port: number });
                    }
                    Err(message) => findings.push(refused(slice, n, &message)),
                }
            }
        }
        let list = if ready.is_empty() { ending } else { ready };
        Endpoints::Known(list.into_iter().collect())
    }

    /// An address that the gateway may send traffic to ([R-K3]).
    fn address(&self, text: &str) -> Result<IpAddr, String> {
        let address = text.parse::<IpAddr>().map_err(|_| format!("`{}` is not an IP address", text.escape_debug()))?;
        if self.options.endpoint_addresses == EndpointAddresses::Any {
            return Ok(address);
        }
        let what = kind_of(address.to_canonical());
        let own = || self.options.addresses.iter().flatten().any(|own| own.value.parse() == Ok(address));
        match what {
            Some(what) => Err(format!("`{address}` is {what}")),
            None if own() => Err(format!("`{address}` is an address of the gateway itself")),
            None => Ok(address),
        }
    }
}

/// What is special about an address at which no other host can be; `None` for an ordinary one.
fn kind_of(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    match () {
        () if address.is_loopback() => Some("a loopback address"),
        () if address.is_unspecified() => Some("the unspecified address"),
        () if address.is_multicast() => Some("a multicast address"),
        () if link_local => Some("a link-local address"),
        () => None,
    }
}

enum Health {
    Ready,
    /// Still serves while it terminates.
    Ending,
    Out,
}

/// Absent conditions mean unknown, which counts as ready. An endpoint that terminates is not ready unless somebody
/// asked for that.
fn health(endpoint: &kubernetes::Endpoint) -> Health {
    let conditions = &endpoint.conditions;
    match (conditions.ready, conditions.serving, conditions.terminating) {
        (None | Some(true), ..) => Health::Ready,
        (Some(false), Some(true), Some(true)) => Health::Ending,
        _ => Health::Out,
    }
}

fn refused(slice: &EndpointSlice, n: usize, message: &str) -> Diagnostic {
    let object = ObjectRef::of_meta("discovery.k8s.io", "EndpointSlice", &slice.metadata);
    let message = format!("{message}: no traffic is sent there");
    Diagnostic::new(Severity::Warning, Code::Endpoint, Some(object), format!("endpoints[{n}].addresses[0]"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [R-K3]
    #[test]
    fn addresses_of_other_hosts() {
        for (text, expected) in [
            ("10.0.0.1", None),
            ("8.8.8.8", None),
            ("fd00::1", None),
            ("127.0.0.1", Some("a loopback address")),
            ("127.9.9.9", Some("a loopback address")),
            ("::1", Some("a loopback address")),
            ("::ffff:127.0.0.1", Some("a loopback address")),
            ("0.0.0.0", Some("the unspecified address")),
            ("::", Some("the unspecified address")),
            ("169.254.169.254", Some("a link-local address")),
            ("::ffff:169.254.169.254", Some("a link-local address")),
            ("fe80::1", Some("a link-local address")),
            ("255.255.255.255", Some("a link-local address")),
            ("224.0.0.1", Some("a multicast address")),
            ("ff02::1", Some("a multicast address")),
        ] {
            assert_eq!(kind_of(text.parse::<IpAddr>().unwrap().to_canonical()), expected, "{text}");
        }
    }
}
