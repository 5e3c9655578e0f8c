//! What a gateway does with the header fields of a request before it asks the table, as functions of the module.

use gatewright::apply::{self, hop};
use http::{HeaderMap, HeaderValue, header};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::headers::{Lines, pairs};

/// How often a request has come through a gateway of this kind, by its `Via` (RFC 9110 section 7.6.3): a request that has done
/// so often, say ten times, goes round in a circle, and is answered with 508.
///
/// headers: of the request, in any shape that `Table.decide` takes.
///
/// Raises TypeError and ValueError for header fields as `Forward.apply_request` does.
///
/// >>> import gatewright
/// >>> gatewright.hops({"via": "1.1 gatewright, 1.1 other, 1.1 gatewright"})
/// 2
#[pyfunction]
pub(crate) fn hops(headers: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(hop::hops(&Lines::read(Some(headers), None)?.map()?))
}

/// Whether a request is one of a gRPC client, by its content type: `application/grpc`, alone or with a suffix or parameters.
/// Such a client understands a gRPC status, and needs trailers. gRPC-Web is something else.
///
/// headers: of the request, in any shape that `Table.decide` takes.
///
/// Raises TypeError and ValueError for header fields as `Forward.apply_request` does.
///
/// >>> import gatewright
/// >>> gatewright.is_grpc({"content-type": "application/grpc+proto"})
/// True
#[pyfunction]
pub(crate) fn is_grpc(headers: &Bound<'_, PyAny>) -> PyResult<bool> {
    Lines::read(Some(headers), None)?.with(|octets| Ok(apply::is_grpc(octets)))
}

/// The header fields of a request with those that say who asked for what, as pairs: `x-forwarded-for`, `x-forwarded-proto`,
/// `x-forwarded-host` and `via`. What the client says of itself is taken out: `forwarded`, `x-forwarded-*`, `x-real-ip`,
/// `x-envoy-*`; and `expect`, which the server has seen to.
///
/// Whoever forwards does this first and decides by the result, so that no match believes the client.
///
/// headers: of the request, in any shape that `Table.decide` takes; `x-forwarded-host` is their `host`.
///
/// client: address of the client.
///
/// scheme: `http` or `https`, as the client asked.
///
/// as_bytes: whether the pairs are of bytes or of text; None is as given, and text where nothing is given.
///
/// Raises ValueError for a client that no field can have and for another scheme; TypeError and ValueError for header fields as
/// `Forward.apply_request` does.
///
/// >>> import gatewright
/// >>> gatewright.forwarded({"x-real-ip": "10.0.0.1"}, client="192.0.2.7", scheme="https")
/// [('x-forwarded-for', '192.0.2.7'), ('x-forwarded-proto', 'https'), ('via', '1.1 gatewright')]
#[pyfunction]
#[pyo3(signature = (headers = None, /, *, client, scheme, as_bytes = None))]
pub(crate) fn forwarded<'py>(
    py: Python<'py>,
    headers: Option<&Bound<'py, PyAny>>,
    client: &str,
    scheme: &str,
    as_bytes: Option<bool>,
) -> PyResult<Bound<'py, PyList>> {
    let lines = Lines::read(headers, None)?;
    let mut map = lines.map()?;
    set_forwarded(&mut map, client, self::scheme(scheme)?)?;
    pairs(py, &map, as_bytes.unwrap_or_else(|| lines.are_bytes()))
}

/// Says who asked for what.
pub(crate) fn set_forwarded(map: &mut HeaderMap, client: &str, scheme: &'static str) -> PyResult<()> {
    let value = HeaderValue::from_str(client).ok().filter(|_| client.is_ascii());
    let client = value.ok_or_else(|| PyValueError::new_err(format!("client is an address, found `{}`", client.escape_debug())))?;
    let host = map.get(header::HOST).cloned();
    hop::set_forwarded(map, client, scheme, host);
    Ok(())
}

/// A scheme, as the library writes it.
pub(crate) fn scheme(scheme: &str) -> PyResult<&'static str> {
    match scheme {
        "http" => Ok("http"),
        "https" => Ok("https"),
        other => Err(PyValueError::new_err(format!("scheme is http or https, found `{}`", other.escape_debug()))),
    }
}
