//! The port that a question is about, by name or by what is obvious: for tools and bindings. A proxy knows its port.

use std::fmt;

use super::{GatewayInfo, PortInfo, PortProtocol, Table};
use crate::canonical::TargetForm;
use crate::request::{Arrival, Authority, Place, Request};

/// Why no port was chosen; its `Display` lists what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPort {
    /// No Gateway is accepted.
    NoGateway,
    /// There are several Gateways, each `namespace/name`.
    SeveralGateways(Vec<String>),
    /// No accepted Gateway has this name.
    UnknownGateway {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The Gateway has no such port.
    UnknownPort {
        /// The number that was asked for, if one was.
        number: Option<u16>,
        /// The ports that it has.
        known: Vec<u16>,
    },
}

impl fmt::Display for NoPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGateway => f.write_str("the manifests have no accepted Gateway"),
            Self::SeveralGateways(known) => write!(f, "several Gateways, choose one of: {}", known.join(", ")),
            Self::UnknownGateway { name, known } => {
                write!(f, "no accepted Gateway `{}`, there are: {}", name.escape_debug(), known.join(", "))
            }
            Self::UnknownPort { number, known } => {
                f.write_str("no such port")?;
                if let Some(number) = number {
                    write!(f, " {number}")?;
                }
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                write!(f, ", the Gateway has: {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for NoPort {}

impl Table {
    /// The port that somebody means: of the Gateway `namespace/name`, or of the only one; with this number, or the only
    /// one, or the first that speaks `protocol`.
    ///
    /// # Errors
    ///
    /// What is not there, or is not plain.
    ///
    /// ```
    /// use gatewright::{Options, Resources, compile};
    /// use gatewright::table::PortProtocol;
    ///
    /// let table = compile(&Resources::default(), &Options::default()).table;
    /// let error = table.choose_port(None, Some(80), PortProtocol::Http).unwrap_err();
    /// assert_eq!(error.to_string(), "the manifests have no accepted Gateway");
    /// ```
    pub fn choose_port(&self, gateway: Option<&str>, number: Option<u16>, protocol: PortProtocol) -> Result<&PortInfo, NoPort> {
        let gateway = self.choose_gateway(gateway)?;
        let udp = |port: &&PortInfo| (port.protocol == PortProtocol::Udp) == (protocol == PortProtocol::Udp);
        let ports: Vec<&PortInfo> = gateway.ports.iter().filter_map(|id| self.port(*id)).filter(udp).collect();
        let found = match (number, ports.as_slice()) {
            (Some(number), _) => ports.iter().find(|port| port.number == number),
            (None, [one]) => Some(one),
            (None, _) => ports.iter().find(|port| port.protocol == protocol),
        };
        found.copied().ok_or_else(|| NoPort::UnknownPort { number, known: ports.iter().map(|port| port.number).collect() })
    }

    /// The request with the server name that a client of TLS gives, where nobody has told one: the host that it asks for.
    /// For tools and bindings that do not see the handshake; a request to a port without TLS stays as it is.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")] {
    /// use gatewright::{Arrival, Authority, Options, Request, compile, load};
    ///
    /// let manifests = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: any, \
    ///     listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]}}";
    /// let table = compile(&load::load_text("gateway.yaml", manifests).resources, &Options::default()).table;
    /// let headers: [(&str, &str); 0] = [];
    /// let arrival = Arrival::on(table.ports()[0].id);
    /// let request = Request { arrival, method: "GET", scheme: None, authority: Authority::Absent, target: b"https://a.example/", headers: &headers };
    /// assert_eq!(table.assume_sni(request).arrival.sni, Some("a.example"));
    /// # }
    /// ```
    #[must_use]
    pub fn assume_sni<'a, H: ?Sized>(&self, request: Request<'a, H>) -> Request<'a, H> {
        let Arrival { place: Place::Port(id), sni: None, listener: None } = request.arrival else { return request };
        if self.port(id).is_none_or(|port| port.protocol != PortProtocol::Tls) {
            return request;
        }
        let named = match (TargetForm::of(request.method, request.target), request.authority) {
            (Ok(TargetForm::Absolute { authority, .. }), _) | (_, Authority::Given(authority)) => authority,
            _ => return request,
        };
        Request { arrival: Arrival { sni: std::str::from_utf8(named).ok(), ..request.arrival }, ..request }
    }

    /// The Gateway `namespace/name`, or the only one.
    ///
    /// # Errors
    ///
    /// What is not there, or is not plain.
    pub fn choose_gateway(&self, name: Option<&str>) -> Result<&GatewayInfo, NoPort> {
        let known = || self.gateways().iter().map(|g| format!("{}/{}", g.object.namespace, g.object.name)).collect::<Vec<_>>();
        match (name, self.gateways()) {
            (Some(name), _) => {
                let found = name.split_once('/').and_then(|(namespace, name)| self.find_gateway(namespace, name));
                found.ok_or_else(|| NoPort::UnknownGateway { name: name.to_owned(), known: known() })
            }
            (None, [one]) => Ok(one),
            (None, []) => Err(NoPort::NoGateway),
            (None, _) => Err(NoPort::SeveralGateways(known())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_port_is_named() {
        let said = |number| NoPort::UnknownPort { number, known: vec![80, 443] }.to_string();
        assert_eq!(said(Some(81)), "no such port 81, the Gateway has: 80, 443");
        assert_eq!(said(None), "no such port, the Gateway has: 80, 443");
    }
}
