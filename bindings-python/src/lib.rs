//! The native module of the Python package `gatewright`: a handle on the compiled table. It converts arguments and
//! results; every rule is the library's.
//!
//! - `headers`: header fields of any shape as octets, and back; `reads`, `dict`: only those that count.
//! - `keywords`, `question`: arguments of a call as a request.
//! - `table`: the class `Table`.
//! - `decision`: the classes `Forward`, `Redirect` and `Respond`.
//! - `options`, `sessions`, `data`: options, keys of sessions, JSON as Python objects.
#![deny(unsafe_code)]

mod data;
mod decision;
mod dict;
mod headers;
mod keywords;
mod options;
mod question;
mod reads;
mod sessions;
mod table;

use pyo3::prelude::*;

/// The native part of `gatewright`; import that instead.
#[pymodule(gil_used = false)]
mod _gatewright {
    #[pymodule_export]
    use super::decision::{Forward, Redirect, Respond};
    #[pymodule_export]
    use super::sessions::SessionKeys;
    #[pymodule_export]
    use super::table::{Table, read_files};

    /// The version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
