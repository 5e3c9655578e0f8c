//! The native module of the Python package `gatewright`: a handle on the compiled table. It converts arguments and
//! results; every rule is the library's.
//!
//! - `headers`: header fields of any shape as octets, and back; `reads`, `dict`: only those that count.
//! - `fields`: those about the client, as functions.
//! - `keywords`, `question`: arguments of a call as a request.
//! - `table`: the class `Table`.
//! - `decision`: the classes `Forward`, `Redirect` and `Respond`.
//! - `retries`: the class `RetryWindow`.
//! - `options`, `sessions`, `data`: options, keys of sessions, JSON as Python objects.
#![deny(unsafe_code)]

mod data;
mod decision;
mod dict;
mod fields;
mod headers;
mod keywords;
mod options;
mod question;
mod reads;
mod retries;
mod sessions;
mod table;

use pyo3::prelude::*;

/// The native part of `gatewright`; import that instead.
#[pymodule(gil_used = false)]
mod _gatewright {
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;
    use pyo3::sync::PyOnceLock;

    #[pymodule_export]
    use super::decision::{Forward, Redirect, Respond};
    #[pymodule_export]
    use super::fields::{forwarded, hops, is_grpc};
    #[pymodule_export]
    use super::question::reseed;
    #[pymodule_export]
    use super::retries::RetryWindow;
    #[pymodule_export]
    use super::sessions::SessionKeys;
    #[pymodule_export]
    use super::table::{Table, read_files};

    /// Statics of this module hold Python objects, and those belong to one interpreter.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        static FIRST: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
        let py = module.py();
        let builtins = py.import("builtins")?;
        match FIRST.get_or_init(py, || builtins.clone().unbind()).is(&builtins) {
            true => Ok(()),
            false => Err(PyImportError::new_err("gatewright serves one interpreter of a process, and another one has loaded it")),
        }
    }

    /// The version of the library.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
