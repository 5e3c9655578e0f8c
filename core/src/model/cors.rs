//! Valid CORS filters ([C-1]).

use http::{HeaderName, HeaderValue};

/// A valid CORS filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    pub(crate) origins: Box<[OriginPattern]>,
    pub(crate) credentials: bool,
    pub(crate) methods: CorsList,
    pub(crate) headers: CorsList,
    pub(crate) expose: CorsList,
    pub(crate) max_age: u32,
}

/// An entry of `allowOrigins` ([C-2]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginPattern {
    /// `*`
    Any,
    /// `scheme://host[:port]`
    Origin { https: bool, host: OriginHost, port: u16 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginHost {
    Any,
    Exact(Box<str>),
    /// `*.suffix`, kept with its dot.
    Suffix(Box<str>),
}

/// A list of names that may be `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum CorsList {
    #[default]
    Absent,
    Any,
    /// Already joined by `, `.
    List(HeaderValue),
}

/// The fields of a CORS answer, which replace the backend's own ([C-5]).
pub(crate) const CORS_FIELDS: [HeaderName; 6] = [
    http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
    http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    http::header::ACCESS_CONTROL_EXPOSE_HEADERS,
    http::header::ACCESS_CONTROL_ALLOW_METHODS,
    http::header::ACCESS_CONTROL_ALLOW_HEADERS,
    http::header::ACCESS_CONTROL_MAX_AGE,
];
