//! The class `Table`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gatewright::decision::Matched;
use gatewright::load::{self, Loader};
use gatewright::table::{BackendId, Endpoints, PortProtocol};
use gatewright::{Compiled, Diagnostic, Status, compile};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::decision;
use crate::headers::Lines;
use crate::keywords::Keywords;
use crate::question::{Obvious, Where, octets};
use crate::reads::Reads;
use crate::{data, options};

/// A source: its name, and its octets.
type Sources = Vec<(String, Vec<u8>)>;

/// The compiled table. `gatewright.Table` is the public class.
#[pyclass(frozen, subclass, module = "gatewright._gatewright")]
pub(crate) struct Table {
    pub(crate) inner: gatewright::Table,
    pub(crate) obvious: Obvious,
    reads: Reads,
    sources: Arc<Sources>,
    options: Py<PyDict>,
    status: Status,
    diagnostics: Vec<Diagnostic>,
    broken: bool,
    /// Python objects of backends and matches: made once, then shared by every decision.
    backends: Vec<PyOnceLock<Py<PyAny>>>,
    matches: Mutex<HashMap<Matched, Py<PyAny>>>,
}

#[pymethods]
impl Table {
    #[new]
    fn new(py: Python<'_>, sources: Bound<'_, PyList>, options: Bound<'_, PyDict>) -> PyResult<Self> {
        let parsed = options::read(&options)?;
        let mut read = Sources::new();
        for source in sources.iter() {
            let (name, octets): (String, Bound<'_, PyBytes>) = source.extract()?;
            read.push((name, octets.as_bytes().to_vec()));
        }
        let (loaded, Compiled { table, status, mut diagnostics, .. }) = py.detach(|| {
            let mut loader = Loader::new();
            read.iter().for_each(|(name, octets)| loader.add_bytes(name, octets));
            let loaded = loader.finish();
            let compiled = compile(&loaded.resources, &parsed);
            (loaded, compiled)
        });
        let broken = loaded.is_broken();
        diagnostics.iter_mut().for_each(|diagnostic| loaded.sources.locate(diagnostic));
        diagnostics.splice(0..0, loaded.diagnostics);
        let last = table.backends().map(|backend| backend.id.index()).max();
        let backends = last.map_or(0, |last| last as usize + 1);
        Ok(Self {
            obvious: Obvious::new(&table),
            reads: Reads::of(&table),
            inner: table,
            sources: Arc::new(read),
            options: options.copy()?.unbind(),
            status,
            diagnostics,
            broken,
            backends: (0..backends).map(|_| PyOnceLock::new()).collect(),
            matches: Mutex::default(),
        })
    }

    /// Decides one request: `Forward`, `Redirect` or `Respond`. No route is a decision, too (404).
    ///
    /// method: as the client sent it; case counts.
    ///
    /// url: `https://host/path?query`, or path and query of a request line. Text is sent as UTF-8, bytes are taken as they are.
    ///
    /// headers: a mapping of names to values, where a list of values stands for as many lines; or pairs of name and value; or
    /// any object with `multi_items()` or `items()`. Text is Latin-1. Repeated names count, in their order. 16,384 lines at most.
    ///
    /// gateway: `namespace/name` of the Gateway it arrives at; None is the only one.
    ///
    /// port: number of the port there; None is the only one, else the one that has the scheme. Of a Service, 80.
    ///
    /// listener: name of the listener that the TLS handshake chose, instead of port; of a ListenerSet, `namespace/set name`.
    ///
    /// sni: server name of the TLS handshake; None is the host of the request, and "" is no server name.
    ///
    /// service, client: in a mesh, instead of a Gateway: `namespace/name` of the Service, and the namespace of the client. When no
    /// route has the Service as parent the decision is `PassThrough`.
    ///
    /// authority: `host[:port]` of a request whose url has none; None is the Host field among the headers.
    ///
    /// scheme: `http` or `https`; None is that of the url, else of the listener.
    ///
    /// http_version: `1.0`, `1.1`, `2` or `3`: whether a request without a host is in order.
    ///
    /// pick: from 0 to 2**64 - 1; chooses among weighted backends and mirrors. None is a random number.
    ///
    /// sessions, now: keys of session persistence, and the time in seconds since 1970.
    ///
    /// Raises PlaceError (a LookupError) for a Gateway, port or listener that the table does not have, TypeError for an argument of
    /// another type, ValueError for header fields that no message can have (of those that the table looks at), OverflowError for a number out of range.
    ///
    /// >>> import gatewright
    /// >>> table = gatewright.load("gateway.yaml")
    /// >>> decision = table.decide("GET", "http://shop.example/cart?id=7", {"accept": "text/html"})
    /// >>> decision.backend.name, decision.target, decision.request_timeout
    /// ('cart', '/cart?id=7', datetime.timedelta(seconds=10))
    /// >>> table.decide("GET", "/cart", [("host", "other.example")]).status
    /// 404
    // Of keywords one by one each costs some time even where it is absent.
    #[pyo3(
        signature = (method, url, headers = None, **options),
        text_signature = "($self, method, url, headers=None, *, gateway=None, port=None, listener=None, sni=None, service=None, client=None, authority=None, scheme=None, http_version=None, pick=None, sessions=None, now=None)"
    )]
    fn decide<'py>(
        slf: &Bound<'py, Self>,
        method: &Bound<'py, PyString>,
        url: &Bound<'py, PyAny>,
        headers: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        let keywords = Keywords::read(options)?;
        Lines::read(headers, Some(&this.reads))?.with(|headers| {
            let Some((request, pick)) = keywords.request(this, method.to_str()?, octets(url, "url")?, headers)? else {
                return data::model(slf.py())?.getattr("PASS_THROUGH");
            };
            let owned = match keywords.sessions()? {
                None => this.inner.decide_owned(&request, pick),
                Some(sessions) => this.inner.decide_owned_with_sessions(&request, pick, &sessions),
            };
            decision::object(slf, owned)
        })
    }

    /// What a call costs that does nothing, for the benchmark: the signature of `decide`.
    #[pyo3(signature = (method, url, headers = None, **options))]
    fn _nothing(
        &self,
        method: &Bound<'_, PyString>,
        url: &Bound<'_, PyAny>,
        headers: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) {
        let _ = (method, url, headers, options);
    }

    /// The explanation of a decision, as JSON and as text.
    #[pyo3(signature = (method, url, headers = None, **options))]
    fn _explain<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        url: &Bound<'py, PyAny>,
        headers: Option<&Bound<'py, PyAny>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, String)>> {
        let keywords = Keywords::read(options)?;
        Lines::read(headers, None)?.with(|headers| {
            let Some((request, pick)) = keywords.request(self, method, octets(url, "url")?, headers)? else { return Ok(None) };
            let explanation = self.inner.explain(&request, pick);
            Ok(Some((data::plain(py, &explanation)?, explanation.to_string())))
        })
    }

    /// The decision about a connection and why, as JSON and as text.
    #[pyo3(signature = (transport, *, gateway = None, port = None, sni = None, service = None, client = None, pick = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords")]
    fn _connection<'py>(
        &self,
        py: Python<'py>,
        transport: &str,
        gateway: Option<&str>,
        port: Option<u16>,
        sni: Option<&str>,
        service: Option<&str>,
        client: Option<&str>,
        pick: Option<u64>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, String)>> {
        let protocol = match transport {
            "tls" => PortProtocol::Tls,
            "tcp" => PortProtocol::Tcp,
            "udp" => PortProtocol::Udp,
            other => return Err(PyValueError::new_err(format!("transport is tls, tcp or udp, found `{}`", other.escape_debug()))),
        };
        let place = Where { gateway, port, listener: None, sni, service, client };
        let Some((place, listener)) = place.place(&self.inner, &self.obvious, protocol)? else { return Ok(None) };
        let arrival = gatewright::Arrival { place, sni: sni.filter(|sni| !sni.is_empty()), listener };
        let explanation = self.inner.explain_connection(&arrival, crate::question::pick(pick));
        Ok(Some((data::plain(py, &explanation)?, explanation.to_string())))
    }

    /// The names of everything, as JSON.
    fn _names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let names = PyDict::new(py);
        let table = &self.inner;
        let gateways = PyList::empty(py);
        for gateway in table.gateways() {
            let ports: Vec<u16> = gateway.ports.iter().filter_map(|id| table.port(*id)).map(|port| port.number).collect();
            gateways.append((data::plain(py, &gateway.object)?, ports))?;
        }
        let listeners = PyList::empty(py);
        for listener in table.listeners() {
            let gateway = table.gateway(listener.gateway).map(|gateway| format!("{}/{}", gateway.object.namespace, gateway.object.name));
            let port = table.port(listener.port).map_or(0, |port| port.number);
            let protocol = format!("{:?}", listener.protocol);
            let owner = data::plain(py, &listener.owner)?;
            listeners.append((gateway, owner, &*listener.name, port, listener.hostname.as_deref(), protocol, listener.programmed))?;
        }
        let routes = PyList::empty(py);
        for route in table.routes() {
            routes.append(data::plain(py, &route.object)?)?;
        }
        let backends = PyList::empty(py);
        for backend in table.backends() {
            backends.append(self.backend(py, backend.id)?)?;
        }
        names.set_item("gateways", gateways)?;
        names.set_item("listeners", listeners)?;
        names.set_item("routes", routes)?;
        names.set_item("backends", backends)?;
        Ok(names)
    }

    /// The whole table in the order in which it decides, as JSON.
    fn _routing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        data::plain(py, &self.inner.routing())
    }

    /// The status of every object, as JSON.
    fn _status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        data::plain(py, &self.status)
    }

    /// The findings, each as JSON and as text.
    fn _diagnostics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for diagnostic in &self.diagnostics {
            list.append((data::plain(py, diagnostic)?, diagnostic.to_string()))?;
        }
        Ok(list)
    }

    /// Whether some text could not be read as an object.
    #[getter]
    fn _is_broken(&self) -> bool {
        self.broken
    }

    /// The manifests, as they were given.
    #[getter]
    fn _sources<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        self.sources.iter().try_for_each(|(name, octets)| list.append((name, PyBytes::new(py, octets))))?;
        Ok(list)
    }

    /// The options, as they were given.
    #[getter]
    fn _options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.options.bind(py).copy()
    }

    /// A table travels as its manifests: to other processes, and to another version of the library.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let arguments = (slf.get()._sources(py)?, slf.get()._options(py)?);
        (slf.get_type(), arguments).into_pyobject(py)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self) -> String {
        let (gateways, routes, rules) = (self.inner.gateways().len(), self.inner.routes().count(), self.inner.rules().count());
        format!("<Table of {gateways} Gateways, {routes} routes, {rules} rules>")
    }
}

impl Table {
    /// A backend as a Python object.
    pub(crate) fn backend<'py>(&self, py: Python<'py>, id: BackendId) -> PyResult<Bound<'py, PyAny>> {
        let make = || {
            let report = data::plain(py, &self.inner.backend_report(id))?;
            let endpoints = match self.inner.backend(id).map(|backend| &backend.endpoints) {
                Some(Endpoints::Known(list)) => Some(list.iter().map(ToString::to_string).collect::<Vec<_>>()),
                _ => None,
            };
            report.set_item("endpoints", endpoints)?;
            data::built(py, "Backend", report)
        };
        match self.backends.get(id.index() as usize) {
            Some(cell) => Ok(cell.get_or_try_init(py, || make().map(Bound::unbind))?.bind(py).clone()),
            None => make(),
        }
    }

    /// What matched, as a Python object.
    pub(crate) fn matched<'py>(&self, py: Python<'py>, matched: Matched) -> PyResult<Bound<'py, PyAny>> {
        let known = || self.matches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = known().get(&matched) {
            return Ok(object.bind(py).clone());
        }
        let object = data::built(py, "Match", data::plain(py, &self.inner.match_report(matched))?)?;
        known().insert(matched, object.clone().unbind());
        Ok(object)
    }
}

/// The manifests in files and folders, as pairs of name and octets, and what could not be read, as texts.
#[pyfunction]
pub(crate) fn read_files<'py>(py: Python<'py>, paths: Vec<PathBuf>) -> PyResult<(Bound<'py, PyList>, Vec<String>)> {
    let (read, errors) = py.detach(|| {
        let (files, mut errors) = load::files(&paths);
        let mut read = Vec::new();
        for path in files {
            match std::fs::read(&path) {
                Ok(octets) => read.push((path, octets)),
                Err(error) => errors.push(load::IoError { path, error }),
            }
        }
        (read, errors.iter().map(ToString::to_string).collect())
    });
    let list = PyList::empty(py);
    read.iter().try_for_each(|(path, octets)| list.append((path.to_string_lossy(), PyBytes::new(py, octets))))?;
    Ok((list, errors))
}
