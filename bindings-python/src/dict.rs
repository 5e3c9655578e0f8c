//! A walk over a dictionary that touches none of its values.
//!
//! The safe walk of `pyo3` takes a reference to every key and every value. A value that nobody looks at is not in the
//! processor's cache, and to count a reference to it waits for memory: that costs more than the decision.
#![allow(unsafe_code, reason = "what a reference to each value would cost is paid on every request")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyDict, PyString};

use crate::headers::counts;
use crate::reads::Reads;

/// Keeps the pairs whose name counts, and those whose key is no text, for whoever reads them to refuse.
///
/// # Errors
///
/// `ValueError` for a name that is no token; the first error of `keep`.
#[inline]
pub(crate) fn pick<'py>(
    dict: &Bound<'py, PyDict>,
    reads: Option<&Reads>,
    mut keep: impl FnMut(Bound<'py, PyAny>, Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let py = dict.py();
    with_critical_section(dict, || {
        let mut place: ffi::Py_ssize_t = 0;
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: `dict` is a dictionary. Nothing below runs Python code or lets go of the critical section before the next
        // step, so that it does not change; `keep` is given references of its own.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut place, &raw mut key, &raw mut value) } != 0 {
            // SAFETY: both are borrowed from the dictionary, which holds them until it changes.
            let (key, value) = unsafe { (Borrowed::from_ptr(py, key), Borrowed::from_ptr(py, value)) };
            let counts = match reads {
                None => true,
                Some(reads) => match reads.known(key) {
                    Some(counts) => counts,
                    None => look(reads, key)?,
                },
            };
            if counts {
                keep(key.to_owned(), value.to_owned())?;
            }
        }
        Ok(())
    })
}

/// Looks at a name.
fn look(reads: &Reads, key: Borrowed<'_, '_, PyAny>) -> PyResult<bool> {
    let Ok(name) = key.cast::<PyString>() else { return Ok(true) };
    // Text without a UTF-8 form is told as such by whoever reads it.
    let Ok(text) = name.to_str() else { return Ok(true) };
    let counts = counts(reads, text)?;
    reads.know(&name, counts);
    Ok(counts)
}
