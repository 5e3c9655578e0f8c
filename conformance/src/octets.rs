//! Octets as the hostile vectors write them.

use serde::Deserialize;

/// Code points are octets; a list is pieces, each repeated.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// One piece.
    Plain(String),
    /// Pieces, each so many times.
    Pieces(Vec<(String, usize)>),
}

impl Text {
    /// The octets.
    ///
    /// # Panics
    ///
    /// At a code point that is no octet: the vector is wrong.
    pub fn octets(&self) -> Vec<u8> {
        let text = match self {
            Self::Plain(text) => text.clone(),
            Self::Pieces(pieces) => pieces.iter().map(|(text, times)| text.repeat(*times)).collect(),
        };
        text.chars().map(|c| u8::try_from(u32::from(c)).expect("a code point below 256")).collect()
    }
}
