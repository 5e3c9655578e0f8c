//! Valid external authorization ([E-1]).

use http::HeaderName;

use crate::table::BackendId;

/// A service that is asked before a request goes any further. The functions of
/// [`apply::auth`](crate::apply::auth) say what it is asked and what its answer means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalAuth {
    pub(crate) protocol: AuthProtocol,
    pub(crate) backend: BackendId,
    /// Canonical, without trailing slash; empty for none.
    pub(crate) path_prefix: Box<str>,
    pub(crate) request_headers: Box<[HeaderName]>,
    pub(crate) response_headers: Box<[HeaderName]>,
    pub(crate) max_body: u32,
}

/// How the service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthProtocol {
    /// With a request like the client's; 200 allows ([E-2]).
    Http,
    /// With a `Check` call of Envoy's `ext_authz` ([E-3]).
    Grpc,
}

impl AuthProtocol {
    /// A stable word for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

impl ExternalAuth {
    /// How the service is asked.
    pub fn protocol(&self) -> AuthProtocol {
        self.protocol
    }

    /// The service.
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// What stands before the client's path in the request to an HTTP service, without trailing slash; empty for
    /// nothing.
    pub fn path_prefix(&self) -> &str {
        &self.path_prefix
    }

    /// Fields of the client's request that the service gets: for HTTP besides those it always gets; for gRPC all when
    /// this is empty ([E-2], [E-3]).
    pub fn request_headers(&self) -> &[HeaderName] {
        &self.request_headers
    }

    /// Fields of the service's answer that are copied into the request; all when this is empty ([E-5]).
    pub fn response_headers(&self) -> &[HeaderName] {
        &self.response_headers
    }

    /// Octets of the body that the service gets at most; 0 means no body. A request with a larger body is to be
    /// answered with 413 and not forwarded ([E-6]).
    pub fn max_body(&self) -> u32 {
        self.max_body
    }
}
