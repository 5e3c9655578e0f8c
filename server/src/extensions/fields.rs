//! Types of fields that several policies have: whoever has a value of one need not check it again.

use std::fmt;
use std::time::Duration;

use gatewright::model::parse_duration;
use serde::{Deserialize, Deserializer};

/// A length of time that is not nothing (GEP-2257).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Length(pub(super) Duration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = parse_duration(&text).filter(|length| !length.is_zero());
        let wrong =
            || format!("`{}` is not a duration above zero, expected for instance `1h30m` or `500ms` (GEP-2257)", text.escape_debug());
        parsed.map(Self).ok_or_else(wrong)
    }
}

/// A list with something in it.
pub(super) fn some<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() { Err(serde::de::Error::custom("the list is empty, expected at least one entry")) } else { Ok(list) }
}

/// `x` is none of a, b.
pub(super) fn none_of(found: &str, expected: impl fmt::Display) -> String {
    format!("`{}` is not known, expected {expected}", found.escape_debug())
}
