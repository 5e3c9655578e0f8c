//! Why a request is answered without a backend, and what that is on the wire.

use std::fmt;

use http::StatusCode;

use crate::canonical::Refusal;

/// Why a request is answered without a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request breaks a rule of the canonical form; the refusal names it: 400, 405, 414 or 501.
    Refused(Refusal),
    /// No listener of the port accepts the host: 404 ([L-21]).
    NoListener,
    /// No match of the listener holds: 404 ([M-17]).
    NoRoute,
    /// The connection's listener is not the one for this host: 421 ([L-24]).
    Misdirected,
    /// The rule has no backend and no filter that answers: 500 ([B-5]).
    NoBackends,
    /// The chosen backendRef is invalid: 500 ([B-4]).
    InvalidBackend,
    /// All weights are zero: 500 ([B-3]).
    ZeroWeights,
    /// The chosen backend has no ready endpoint: 503 ([B-8]).
    NoEndpoints,
    /// A filter cannot be resolved and must not be skipped: 500 ([F-60]).
    UnresolvedFilter,
    /// The rule is invalid in a way that must not widen access: 500 ([U-29]).
    InvalidRule,
    /// A CORS preflight, answered here: 204 ([C-1]).
    CorsPreflight,
}

impl Reason {
    /// The status for an HTTP client.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::NoListener | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NoEndpoints => StatusCode::SERVICE_UNAVAILABLE,
            Self::CorsPreflight => StatusCode::NO_CONTENT,
            Self::NoBackends | Self::InvalidBackend | Self::ZeroWeights | Self::UnresolvedFilter | Self::InvalidRule => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The status for a client of gRPC ([G-10]); `None` where only the HTTP status says what to do.
    pub fn grpc_status(self) -> Option<GrpcStatus> {
        match self {
            Self::Refused(_) => Some(GrpcStatus::Internal),
            Self::NoListener | Self::NoRoute => Some(GrpcStatus::Unimplemented),
            // The client is to try again on another connection (RFC 9110 15.5.20).
            Self::Misdirected | Self::CorsPreflight => None,
            _ => Some(GrpcStatus::Unavailable),
        }
    }

    /// A stable word for logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.as_str(),
            Self::NoListener => "NoListener",
            Self::NoRoute => "NoRoute",
            Self::Misdirected => "Misdirected",
            Self::NoBackends => "NoBackends",
            Self::InvalidBackend => "InvalidBackend",
            Self::ZeroWeights => "ZeroWeights",
            Self::NoEndpoints => "NoEndpoints",
            Self::UnresolvedFilter => "UnresolvedFilter",
            Self::InvalidRule => "InvalidRule",
            Self::CorsPreflight => "CorsPreflight",
        }
    }
}

/// A sentence for a person.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(refusal) => return refusal.fmt(f),
            Self::NoListener => "no listener of the port accepts this host",
            Self::NoRoute => "no route matches",
            Self::Misdirected => "the connection belongs to another listener than this host",
            Self::NoBackends => "the rule has no backend and no filter that answers",
            Self::InvalidBackend => "the chosen backendRef is invalid",
            Self::ZeroWeights => "all weights of the rule are zero",
            Self::NoEndpoints => "the chosen backend has no ready endpoint",
            Self::UnresolvedFilter => "a filter of the rule cannot be resolved",
            Self::InvalidRule => "the rule is invalid and fails closed",
            Self::CorsPreflight => "CORS preflight answered by the gateway",
        })
    }
}

/// A gRPC status code that this library, or a filter of the embedding program, answers with: every one but that of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrpcStatus {
    /// 1: the client has given up.
    Cancelled = 1,
    /// 2: nobody knows what.
    Unknown = 2,
    /// 3: what the client asks makes no sense.
    InvalidArgument = 3,
    /// 4: it took too long.
    DeadlineExceeded = 4,
    /// 5: what is asked for is not there.
    NotFound = 5,
    /// 6: what is to be made is there.
    AlreadyExists = 6,
    /// 7: an authorization service says no.
    PermissionDenied = 7,
    /// 8: the client has had its share.
    ResourceExhausted = 8,
    /// 9: not in this state.
    FailedPrecondition = 9,
    /// 10: something else came in between.
    Aborted = 10,
    /// 11: beyond the end.
    OutOfRange = 11,
    /// 12: no such method.
    Unimplemented = 12,
    /// 13: the request is malformed.
    Internal = 13,
    /// 14: no backend can answer.
    Unavailable = 14,
    /// 15: data is lost or broken.
    DataLoss = 15,
    /// 16: the client has not shown who it is.
    Unauthenticated = 16,
}

impl GrpcStatus {
    const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The status with this number; `None` for 0, which is no failure, and for what gRPC does not define.
    ///
    /// ```
    /// use gatewright::decision::GrpcStatus;
    ///
    /// assert_eq!(GrpcStatus::from_code(14), Some(GrpcStatus::Unavailable));
    /// assert_eq!(GrpcStatus::from_code(0), None);
    /// ```
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// What a failure of the gateway with this HTTP status is for a gRPC client: 14 for those of the server, else 13.
    pub fn of_failure(status: StatusCode) -> Self {
        if status.is_server_error() { Self::Unavailable } else { Self::Internal }
    }

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }
}
