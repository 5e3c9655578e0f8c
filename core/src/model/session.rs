//! Valid session persistence ([SP-1]).

use std::time::Duration;

/// How the requests of one session stay with one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPersistence {
    pub(crate) carrier: SessionCarrier,
    pub(crate) name: Option<Box<str>>,
    pub(crate) absolute_timeout: Option<Duration>,
    pub(crate) permanent: bool,
}

/// Where the session's token travels ([SP-2]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCarrier {
    /// In a cookie.
    Cookie,
    /// In a header field.
    Header,
}

impl SessionPersistence {
    /// Where the token travels.
    pub fn carrier(&self) -> SessionCarrier {
        self.carrier
    }

    /// Name of the cookie or header field, if given ([SP-4]).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Longest life of a session.
    pub fn absolute_timeout(&self) -> Option<Duration> {
        self.absolute_timeout
    }

    /// Whether the cookie outlives the browser's session ([SP-3]).
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}
