//! The keywords of `decide` and `explain`.

use gatewright::session::Sessions;
use gatewright::{Pick, Request};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::headers::Octets;
use crate::question::{Asked, Where, octets, pick, version};
use crate::sessions::SessionKeys;
use crate::table::Table;

/// What a call says beside the request. Most say nothing.
#[derive(Default)]
pub(crate) struct Keywords<'py>(Option<Box<Given<'py>>>);

#[derive(Default)]
struct Given<'py> {
    gateway: Option<Bound<'py, PyString>>,
    port: Option<u16>,
    listener: Option<Bound<'py, PyString>>,
    sni: Option<Bound<'py, PyString>>,
    service: Option<Bound<'py, PyString>>,
    client: Option<Bound<'py, PyString>>,
    authority: Option<Bound<'py, PyAny>>,
    scheme: Option<Bound<'py, PyString>>,
    http_version: Option<Bound<'py, PyString>>,
    pick: Option<u64>,
    sessions: Option<Bound<'py, SessionKeys>>,
    now: Option<u64>,
}

impl<'py> Keywords<'py> {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// `TypeError` for a name that is none or a value of another type, `OverflowError` for a number out of range.
    #[inline]
    pub(crate) fn read(options: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        options.map_or(Ok(Self(None)), Self::given)
    }

    fn given(options: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut given = Given::default();
        for (name, value) in options {
            if value.is_none() {
                continue;
            }
            let name = name.cast::<PyString>()?.to_str()?;
            match name {
                "gateway" => given.gateway = Some(of_type(name, &value, "str")?),
                "port" => given.port = Some(number(name, &value)?),
                "listener" => given.listener = Some(of_type(name, &value, "str")?),
                "sni" => given.sni = Some(of_type(name, &value, "str")?),
                "service" => given.service = Some(of_type(name, &value, "str")?),
                "client" => given.client = Some(of_type(name, &value, "str")?),
                "authority" => given.authority = Some(value),
                "scheme" => given.scheme = Some(of_type(name, &value, "str")?),
                "http_version" => given.http_version = Some(of_type(name, &value, "str")?),
                "pick" => given.pick = Some(number(name, &value)?),
                "sessions" => given.sessions = Some(of_type(name, &value, "SessionKeys")?),
                "now" => given.now = Some(number(name, &value)?),
                _ => return Err(PyTypeError::new_err(format!("decide() has no keyword argument `{name}`"))),
            }
        }
        Ok(Self(Some(Box::new(given))))
    }

    /// The request as the table is asked, and its pick; `None` for what passes through.
    ///
    /// # Errors
    ///
    /// `PlaceError` for a place that the table does not have; `TypeError` and `ValueError` for what is no request.
    #[inline]
    pub(crate) fn request<'a>(
        &'a self,
        table: &Table,
        method: &'a str,
        target: &'a [u8],
        headers: &'a Octets<'a>,
    ) -> PyResult<Option<(Request<'a, Octets<'a>>, Pick)>> {
        let mut asked = Asked { method, target, scheme: None, authority: None, version: None, headers };
        let mut place = Where::default();
        let mut given_pick = None;
        if let Some(given) = &self.0 {
            asked.scheme = text(&given.scheme)?;
            asked.authority = given.authority.as_ref().map(|authority| octets(authority, "authority")).transpose()?;
            asked.version = version(text(&given.http_version)?)?;
            place = Where {
                gateway: text(&given.gateway)?,
                port: given.port,
                listener: text(&given.listener)?,
                sni: text(&given.sni)?,
                service: text(&given.service)?,
                client: text(&given.client)?,
            };
            given_pick = given.pick;
        }
        Ok(asked.at(&place, &table.inner, &table.obvious)?.map(|request| (request, pick(given_pick))))
    }

    /// The keys of sessions, with the time of the request.
    ///
    /// # Errors
    ///
    /// `TypeError` for keys without a time.
    #[inline]
    pub(crate) fn sessions(&self) -> PyResult<Option<Sessions<'_>>> {
        let Some(Given { sessions: Some(keys), now, .. }) = self.0.as_deref() else { return Ok(None) };
        let now = now.ok_or_else(|| PyTypeError::new_err("sessions need now: seconds since 1970"))?;
        Ok(Some(Sessions { keys: &keys.get().0, now }))
    }
}

fn text<'a>(given: &'a Option<Bound<'_, PyString>>) -> PyResult<Option<&'a str>> {
    given.as_ref().map(|text| text.to_str()).transpose()
}

fn of_type<'py, T: pyo3::PyTypeCheck>(name: &str, value: &Bound<'py, PyAny>, expected: &str) -> PyResult<Bound<'py, T>> {
    match value.cast::<T>() {
        Ok(value) => Ok(value.clone()),
        Err(_) => Err(PyTypeError::new_err(format!("{name} is {expected}, not {}", value.get_type().name()?))),
    }
}

/// A number, or its error with the name of the keyword.
fn number<'py, T: FromPyObjectOwned<'py>>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<T> {
    value.extract::<T>().map_err(|error| {
        let error = error.into();
        PyErr::from_type(error.get_type(value.py()), (format!("{name}: {}", error.value(value.py())),))
    })
}
