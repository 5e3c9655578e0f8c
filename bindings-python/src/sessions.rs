//! Keys of session persistence.

use gatewright::session;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The keys that seal and open the tokens of session persistence. Each is a pair of an id, from 0 to 255, and a secret of
/// 32 random octets; every instance of a gateway needs the same ones.
///
/// current: seals new tokens.
///
/// older: keys whose tokens still open, so that keys can change while sessions live.
///
/// Raises ValueError for a secret of another length.
///
/// >>> import gatewright, secrets
/// >>> keys = gatewright.SessionKeys((1, secrets.token_bytes(32)))
#[pyclass(frozen, module = "gatewright")]
pub(crate) struct SessionKeys(pub(crate) session::SessionKeys);

#[pymethods]
impl SessionKeys {
    #[new]
    #[pyo3(signature = (current, older = Vec::new()), text_signature = "(current, older=())")]
    fn new(current: (u8, Vec<u8>), older: Vec<(u8, Vec<u8>)>) -> PyResult<Self> {
        let older = older.iter().map(key).collect::<PyResult<Vec<_>>>()?;
        Ok(Self(session::SessionKeys::new(key(&current)?, older)))
    }

    /// The secrets are never shown.
    fn __repr__(&self) -> &'static str {
        "SessionKeys(...)"
    }
}

fn key((id, secret): &(u8, Vec<u8>)) -> PyResult<session::SessionKey> {
    let found = secret.len();
    let secret: &[u8; 32] =
        secret.as_slice().try_into().map_err(|_| PyValueError::new_err(format!("a secret has 32 octets, found {found}")))?;
    Ok(session::SessionKey::new(*id, secret))
}
