//! Where traffic goes.

use std::fmt;
use std::net::IpAddr;

use super::ids::BackendId;
use crate::diagnostic::ObjectRef;
use crate::model::retry_budget::RetryBudget;
use crate::model::session::SessionPersistence;

/// A resolved backendRef.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Its id.
    pub id: BackendId,
    /// The Service, ServiceImport or XBackend.
    pub object: ObjectRef,
    /// The port of the Service.
    pub port: u16,
    /// What to speak to it ([B-11]).
    pub protocol: BackendProtocol,
    /// Where it is.
    pub endpoints: Endpoints,
    /// How to speak TLS to it; `None` is without TLS. A backend that asks for TLS is never talked to without it
    /// ([TP-6]).
    pub tls: Option<BackendTls>,
    /// Sessions that its policy asks for; a rule's own come first ([SP-6]).
    pub session: Option<SessionPersistence>,
    /// Bound on the retries it may get ([BT-2]).
    pub retry_budget: Option<RetryBudget>,
}

impl Backend {
    /// A backend without anything but its name.
    pub(crate) fn of(object: ObjectRef, port: u16, protocol: BackendProtocol) -> Self {
        let (tls, session, retry_budget) = (None, None, None);
        Self { id: BackendId(0), object, port, protocol, endpoints: Endpoints::Unknown, tls, session, retry_budget }
    }
}

/// What to speak to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendProtocol {
    /// HTTP/1.1; upgrades are allowed.
    Http1,
    /// HTTP/2 without negotiation, by prior knowledge.
    H2c,
    /// Octets over TCP.
    Tcp,
    /// Datagrams over UDP.
    Udp,
}

impl BackendProtocol {
    /// A stable word for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2c => "h2c",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoints {
    /// The input has no EndpointSlice of the Service: find it by its DNS name.
    Unknown,
    /// The ready endpoints of its EndpointSlices; never empty in a `Forward` ([B-8]).
    Known(Box<[Endpoint]>),
    /// A host outside of the cluster, found by its DNS name ([XB-1]).
    External(Box<str>),
}

/// One ready endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// How to speak TLS to a backend ([TP-3], [TP-4]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct BackendTls {
    /// The server name to send, and to find in the certificate if `subject_alt_names` is empty.
    pub hostname: Box<str>,
    /// The names of which one must be in the certificate; `hostname` is then not among them by itself.
    pub subject_alt_names: Box<[SubjectAltName]>,
    /// Whose signature on the certificate is trusted.
    pub trust: Trust,
    /// The Secret with the certificate to show; absent means the Gateway's
    /// ([`GatewayInfo::backend_client_certificate`](super::GatewayInfo)).
    pub client_certificate: Option<ObjectRef>,
}

/// A name to find in the certificate of a backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectAltName {
    /// A DNS name; `*.` as its first label stands for one label.
    Hostname(Box<str>),
    /// A URI, for instance of SPIFFE.
    Uri(Box<str>),
}

/// Whose signatures are trusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// The authorities of the operating system.
    System,
    /// The certificates in the key `ca.crt` of these ConfigMaps.
    Bundles(Box<[ObjectRef]>),
}
