//! Why a request is refused before it is matched.

use std::fmt;

use http::StatusCode;

/// Why a request is refused before it is matched: two readers may read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The target is not in a form that this method may have: 400.
    TargetForm,
}

impl Refusal {
    /// A stable word for logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        "TargetForm"
    }

    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
