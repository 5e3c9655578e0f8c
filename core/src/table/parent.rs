//! What routes attach to: Gateways with their ports and listeners, and ports of Services in a mesh.

use super::ids::{FrontendId, GatewayId, ListenerId, PortId};
use crate::diagnostic::ObjectRef;
use crate::model::filter::Scheme;

/// A Gateway.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayInfo {
    /// Its id.
    pub id: GatewayId,
    /// Its name.
    pub object: ObjectRef,
    /// Its ports, ascending.
    pub ports: Vec<PortId>,
    /// The Secret with the certificate that the Gateway shows to backends that it talks to over TLS ([L-37]).
    pub backend_client_certificate: Option<ObjectRef>,
}

/// A port of a Gateway.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortInfo {
    /// Its id.
    pub id: PortId,
    /// The Gateway.
    pub gateway: GatewayId,
    /// The number.
    pub number: u16,
    /// What the port speaks.
    pub protocol: PortProtocol,
    /// Its accepted listeners.
    pub listeners: Vec<ListenerId>,
}

/// What a port speaks: the listeners of one port agree in this ([L-3]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PortProtocol {
    /// HTTP without TLS.
    Http,
    /// TLS: HTTPS and TLS listeners, told apart by server name.
    Tls,
    /// TCP.
    Tcp,
    /// UDP, which shares its number with none of the others.
    Udp,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenerProtocol {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
    /// TLS, decrypted here.
    TlsTerminate,
    /// TLS, forwarded as it comes.
    TlsPassthrough,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl ListenerProtocol {
    /// The scheme of requests on such a listener; `None` where there are no requests.
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Self::Http => Some(Scheme::Http),
            Self::Https => Some(Scheme::Https),
            _ => None,
        }
    }

    /// What the port of such a listener speaks.
    pub const fn of_port(self) -> PortProtocol {
        match self {
            Self::Http => PortProtocol::Http,
            Self::Https | Self::TlsTerminate | Self::TlsPassthrough => PortProtocol::Tls,
            Self::Tcp => PortProtocol::Tcp,
            Self::Udp => PortProtocol::Udp,
        }
    }
}

/// An accepted listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerInfo {
    /// Its id.
    pub id: ListenerId,
    /// The Gateway.
    pub gateway: GatewayId,
    /// The object that has it: the Gateway, or a ListenerSet.
    pub owner: ObjectRef,
    /// Its name.
    pub name: Box<str>,
    /// The port it is on.
    pub port: PortId,
    /// Its hostname; `None` accepts any host.
    pub hostname: Option<Box<str>>,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Whether it can be served: false when a certificate is missing ([L-11]).
    pub programmed: bool,
    /// How it speaks TLS, if it decrypts.
    pub tls: Option<ListenerTls>,
}

/// How a listener decrypts TLS ([L-11], [L-34]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerTls {
    /// The Secrets with the certificates to serve, in the order written; those that cannot be used are left out.
    pub certificates: Box<[ObjectRef]>,
    /// How client certificates are validated; `None` does not ask for one.
    pub client_validation: Option<ClientValidation>,
}

/// How client certificates are validated ([L-35], [L-36]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientValidation {
    /// The ConfigMaps with the certificates of the authorities; those that cannot be used are left out.
    pub ca_certificates: Box<[ObjectRef]>,
    /// Whether a connection goes on without a valid certificate (`AllowInsecureFallback`).
    pub allow_insecure_fallback: bool,
}

/// Stands for every port of a Service whose ports are not known, since it is assumed to exist.
pub(crate) const ANY_PORT: u16 = 0;

/// A port of a Service that routes have as parent (GEP-1294): to the clients of one namespace, or to all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FrontendInfo {
    /// Its id.
    pub id: FrontendId,
    /// The Service.
    pub service: ObjectRef,
    /// The port of the Service; 0 is any port of a Service that is only assumed to exist.
    pub port: u16,
    /// The namespace whose clients it is for (consumer routes); `None` is for all others (producer routes).
    pub consumer: Option<Box<str>>,
}

impl FrontendInfo {
    /// `:port`, or nothing for any port.
    pub(crate) fn port_suffix(&self) -> String {
        if self.port == ANY_PORT { String::new() } else { format!(":{}", self.port) }
    }

    /// The order of the frontends of a table.
    pub(crate) fn key(&self) -> (&str, &str, u16, Option<&str>) {
        (&self.service.namespace, &self.service.name, self.port, self.consumer.as_deref())
    }
}
