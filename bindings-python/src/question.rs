//! The arguments of a call as a question to the table.

use gatewright::canonical::TargetForm;
use gatewright::table::{ListenerId, PortId, PortProtocol};
use gatewright::{Arrival, Authority, Headers as _, Pick, Place, Request, Table};
use http::{HeaderName, Version, header};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::headers::Octets;

// A static, because a borrow of it outlives the call.
static HOST: HeaderName = header::HOST;

/// Where a request or connection arrives, as the caller names it.
#[derive(Default)]
pub(crate) struct Where<'a> {
    pub(crate) gateway: Option<&'a str>,
    pub(crate) port: Option<u16>,
    pub(crate) listener: Option<&'a str>,
    pub(crate) sni: Option<&'a str>,
    pub(crate) service: Option<&'a str>,
    pub(crate) client: Option<&'a str>,
}

/// The ports that are meant when nobody names one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Obvious {
    http: Option<PortId>,
    https: Option<PortId>,
}

impl Obvious {
    pub(crate) fn new(table: &Table) -> Self {
        let port = |protocol| table.choose_port(None, None, protocol).ok().map(|port| port.id);
        Self { http: port(PortProtocol::Http), https: port(PortProtocol::Tls) }
    }
}

impl Where<'_> {
    fn is_obvious(&self) -> bool {
        matches!(self, Self { gateway: None, port: None, listener: None, service: None, .. })
    }

    /// The place; `None` in a mesh where no route has the Service as parent ([A-22]).
    ///
    /// # Errors
    ///
    /// `PlaceError` for what the table does not have.
    #[inline]
    pub(crate) fn place(&self, table: &Table, obvious: &Obvious, protocol: PortProtocol) -> PyResult<Option<(Place, Option<ListenerId>)>> {
        if self.is_obvious() {
            let port = match protocol {
                PortProtocol::Http => obvious.http,
                PortProtocol::Tls => obvious.https,
                _ => None,
            };
            if let Some(port) = port {
                return Ok(Some((Place::Port(port), None)));
            }
        }
        self.named_place(table, protocol)
    }

    fn named_place(&self, table: &Table, protocol: PortProtocol) -> PyResult<Option<(Place, Option<ListenerId>)>> {
        if let Some(service) = self.service {
            let client = self.client.ok_or_else(|| PyTypeError::new_err("a mesh needs both service and client"))?;
            let (namespace, name) = pair(service, "service")?;
            let frontend = table.find_frontend(client, namespace, name, self.port.unwrap_or(80));
            return Ok(frontend.map(|frontend| (Place::Service(frontend.id), None)));
        }
        if let Some(listener) = self.listener {
            let found = match listener.split_once(' ') {
                // Of a ListenerSet.
                Some((set, name)) => {
                    let (namespace, set) = pair(set, "the ListenerSet of a listener")?;
                    table.find_set_listener(namespace, set, name)
                }
                None => {
                    let gateway = table.choose_gateway(self.gateway).map_err(|error| place_error(&error.to_string()))?;
                    table.find_listener(gateway.id, listener)
                }
            };
            let found = found.ok_or_else(|| place_error(&format!("no accepted listener `{}`", listener.escape_debug())))?;
            return Ok(Some((Place::Port(found.port), Some(found.id))));
        }
        let port = table.choose_port(self.gateway, self.port, protocol).map_err(|error| place_error(&error.to_string()))?;
        Ok(Some((Place::Port(port.id), None)))
    }
}

fn pair<'a>(text: &'a str, what: &str) -> PyResult<(&'a str, &'a str)> {
    text.split_once('/').ok_or_else(|| PyValueError::new_err(format!("{what} is namespace/name, found `{}`", text.escape_debug())))
}

/// The exception of the package, which is a `GatewrightError` as well.
pub(crate) fn place_error(message: &str) -> PyErr {
    Python::attach(|py| match crate::data::model(py).and_then(|model| model.getattr("PlaceError")?.call1((message,))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    })
}

/// A request, before it is known where it arrives.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) scheme: Option<&'a str>,
    pub(crate) authority: Option<&'a [u8]>,
    pub(crate) version: Option<Version>,
    pub(crate) headers: &'a Octets<'a>,
}

impl<'a> Asked<'a> {
    /// The request as the table is asked; `None` for what passes through.
    #[inline]
    pub(crate) fn at(&self, place: &Where<'a>, table: &Table, obvious: &Obvious) -> PyResult<Option<Request<'a, Octets<'a>>>> {
        let absolute = self.absolute();
        let tls = match (self.scheme, absolute) {
            (Some(scheme), _) | (None, Some(scheme)) => scheme.eq_ignore_ascii_case("https"),
            (None, None) => false,
        };
        let protocol = if tls { PortProtocol::Tls } else { PortProtocol::Http };
        let Some((found, listener)) = place.place(table, obvious, protocol)? else { return Ok(None) };
        // Without a word on the protocol a request without Host is one of HTTP/1.0, which may do so.
        let version = self.version.unwrap_or(match self.authority {
            Some(_) => Version::HTTP_2,
            None => Version::HTTP_10,
        });
        let authority = match absolute {
            // The table takes that of the target.
            Some(_) => Authority::Absent,
            None => Authority::reconcile(self.authority, self.headers.values(&HOST), version),
        };
        let sni = place.sni.filter(|name| !name.is_empty());
        let arrival = Arrival { place: found, sni, listener };
        let request = Request { arrival, method: self.method, scheme: self.scheme, authority, target: self.target, headers: self.headers };
        Ok(Some(if place.sni.is_none() { table.assume_sni(request) } else { request }))
    }

    /// The scheme of a target in absolute form.
    #[inline]
    fn absolute(&self) -> Option<&'a str> {
        match TargetForm::of(self.method, self.target) {
            Ok(TargetForm::Absolute { scheme, .. }) => Some(scheme),
            _ => None,
        }
    }
}

/// The octets of a target or authority: `bytes`, or the UTF-8 of text.
#[inline]
pub(crate) fn octets<'a>(text: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a [u8]> {
    if let Ok(text) = text.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes());
    }
    match text.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(PyTypeError::new_err(format!("{what} is str or bytes, not {}", text.get_type().name()?))),
    }
}

/// The version of HTTP, as ASGI writes it.
pub(crate) fn version(text: Option<&str>) -> PyResult<Option<Version>> {
    Ok(Some(match text {
        None => return Ok(None),
        Some("1.0") => Version::HTTP_10,
        Some("1.1") => Version::HTTP_11,
        Some("2" | "2.0") => Version::HTTP_2,
        Some("3" | "3.0") => Version::HTTP_3,
        Some(other) => return Err(PyValueError::new_err(format!("http_version is 1.0, 1.1, 2 or 3, found `{}`", other.escape_debug()))),
    }))
}

/// The pick of a call, or a random one.
#[inline]
pub(crate) fn pick(given: Option<u64>) -> Pick {
    Pick(given.unwrap_or_else(|| fastrand::u64(..)))
}

/// Gives this thread other random numbers: a process that was forked would go on with those of its parent.
#[pyfunction]
pub(crate) fn reseed(seed: u64) {
    fastrand::seed(seed);
}
