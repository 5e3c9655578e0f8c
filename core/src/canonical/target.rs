//! The canonical request target.

use std::borrow::Cow;

use super::Refusal;
use crate::options::Profile;

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm<'a> {
    /// `/path?query`
    Origin(&'a [u8]),
    /// `scheme://authority/path?query`
    Absolute {
        /// Scheme as received.
        scheme: &'a str,
        /// Authority as received.
        authority: &'a [u8],
        /// Path and query; empty when the URI has neither.
        target: &'a [u8],
    },
    /// `*`, with OPTIONS only
    Asterisk,
}

/// A canonical path, and the query as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalTarget<'a> {
    /// The path: begins with `/`, ASCII.
    pub path: Cow<'a, str>,
    /// The query without `?`, ASCII.
    pub query: Option<&'a str>,
}

pub(crate) fn split_form<'a>(method: &str, target: &'a [u8]) -> Result<TargetForm<'a>, Refusal> {
    let _ = method;
    Ok(TargetForm::Origin(target))
}

pub(crate) fn canonical_target(raw: &[u8], profile: Profile) -> Result<CanonicalTarget<'_>, Refusal> {
    let _ = profile;
    let text = std::str::from_utf8(raw).map_err(|_| Refusal::TargetForm)?;
    Ok(match text.split_once('?') {
        Some((path, query)) => CanonicalTarget { path: path.into(), query: Some(query) },
        None => CanonicalTarget { path: text.into(), query: None },
    })
}

/// The canonical form of a configured path: the same function as for requests, without a query.
pub(crate) fn canonical_config_path(value: &str, profile: Profile) -> Result<Cow<'_, str>, Refusal> {
    canonical_target(value.as_bytes(), profile).map(|t| t.path)
}
