//! `sessionPersistence`, shared by HTTPRoute, GRPCRoute and XBackendTrafficPolicy.

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;

/// Session persistence ([SP-1], experimental); both the v1.6.1 shape and the one that follows it ([R-12]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPersistence {
    /// Name of the cookie or header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// Longest life of a session, a duration text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_timeout: Option<String>,
    /// Removed in v1.6; read and reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<String>,
    /// Cookie (the default) or Header.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<SessionPersistenceType>,
    /// Settings of the cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_config: Option<CookieConfig>,
    /// Settings of the cookie in the next release's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<CookieConfig>,
    /// Settings of the header in the next release's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderSessionConfig>,
}

open_enum! {
    /// Where the session's token travels.
    SessionPersistenceType {
        Cookie = "Cookie",
        Header = "Header",
    }
}

/// Settings of a session cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CookieConfig {
    /// Whether the cookie outlives the browser's session, default `Session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_type: Option<CookieLifetimeType>,
    /// Name (next release's shape).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path (next release's shape).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Settings of a session header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderSessionConfig {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

open_enum! {
    /// Lifetime of a session cookie.
    CookieLifetimeType {
        Permanent = "Permanent",
        Session = "Session",
    }
}
