//! The classes `Forward`, `Redirect` and `Respond`.
//!
//! A decision holds the library's own [`OwnedDecision`]; what is read seldom is asked of it when it is read.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use gatewright::decision::{GrpcStatus, ResponseEdits};
use gatewright::model::filter::Scheme;
use gatewright::model::retry_budget::RetryBudget;
use gatewright::report::DecisionReport;
use gatewright::session::Sessions;
use gatewright::{Decision, DecisionKind, OwnedDecision, apply};
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::headers::{Lines, pairs, text};
use crate::retries::RetryWindow;
use crate::sessions::SessionKeys;
use crate::table::Table;
use crate::{data, fields, question};

/// A decision as a Python object.
#[inline]
pub(crate) fn object<'py>(table: &Bound<'py, Table>, owned: OwnedDecision) -> PyResult<Bound<'py, PyAny>> {
    let py = table.py();
    let kind = owned.kind();
    let held = Held { owned, table: table.clone().unbind(), report: PyOnceLock::new() };
    Ok(match kind {
        DecisionKind::Redirect => Bound::new(py, Redirect(held))?.into_any(),
        DecisionKind::Respond => Bound::new(py, Respond(held))?.into_any(),
        _ => Bound::new(py, Forward(held))?.into_any(),
    })
}

/// What every decision holds.
struct Held {
    owned: OwnedDecision,
    table: Py<Table>,
    report: PyOnceLock<Py<PyDict>>,
}

impl Held {
    fn report(&self) -> DecisionReport {
        self.owned.table().report(&self.owned.decision())
    }

    /// The decision as data, made once.
    fn data<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let make = || Ok::<_, PyErr>(data::plain(py, &self.report())?.cast_into::<PyDict>()?.unbind());
        Ok(self.report.get_or_try_init(py, make)?.bind(py))
    }

    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.data(py)?.get_item(name)
    }

    /// A member as an object of a data class.
    fn built<'py>(&self, py: Python<'py>, name: &str, class: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, name)?.map(|member| data::built(py, class, member)).transpose()
    }

    /// A list of members as a tuple of objects of a data class.
    fn all<'py>(&self, py: Python<'py>, name: &str, class: &str) -> PyResult<Bound<'py, PyAny>> {
        let list = self.member(py, name)?.unwrap_or_else(|| PyList::empty(py).into_any());
        data::model(py)?.getattr("all_of")?.call1((class, list))
    }

    fn timeout<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, name)?.map(|millis| data::model(py)?.getattr("duration")?.call1((millis,))).transpose()
    }

    fn matched<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.owned.decision().matched().map(|matched| self.table.get().matched(py, matched)).transpose()
    }

    fn of_match<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.matched(py)? {
            Some(matched) => matched.getattr(name),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// Whether both say the same; what is no decision may have a word of its own.
    fn same<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        match of(other) {
            Some(other) => Ok((other.report() == self.report()).into_pyobject(py)?.to_owned().into_any()),
            None => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // Equal reports are equal texts.
        serde_json::to_string(&self.report()).unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    }

    /// Header fields after what the decision does to those of a response.
    fn response<'py>(&self, py: Python<'py>, headers: Option<&Bound<'py, PyAny>>, as_bytes: Option<bool>) -> PyResult<Bound<'py, PyList>> {
        let lines = Lines::read(headers, None)?;
        let mut map = lines.map()?;
        let decision = self.owned.decision();
        if let Decision::Forward(_) = decision {
            apply::hop::strip_response(&mut map);
        }
        apply::response_headers(&edits(&decision), &mut map);
        pairs(py, &map, as_bytes.unwrap_or_else(|| lines.are_bytes()))
    }

    /// Status and header fields with which a client is told of a failure.
    fn failure<'py>(
        &self,
        py: Python<'py>,
        status: u16,
        headers: Option<&Bound<'py, PyAny>>,
        message: Option<&str>,
        grpc_status: Option<u8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .ok_or_else(|| PyValueError::new_err(format!("the status of a failure is 400 to 599, found {status}")))?;
        let grpc = match grpc_status {
            None => GrpcStatus::of_failure(status),
            Some(code) => GrpcStatus::from_code(code)
                .ok_or_else(|| PyValueError::new_err(format!("the gRPC status of a failure is 1 to 16, found {code}")))?,
        };
        let decision = self.owned.decision();
        let edits = edits(&decision);
        let parts = Lines::read(headers, None)?.with(|octets| {
            Ok(match apply::is_grpc(octets) {
                true => apply::grpc_failure(grpc, message.or(status.canonical_reason()).unwrap_or_default(), &edits),
                false => apply::failure(status, octets, &edits),
            })
        })?;
        answer(py, &parts)
    }

    /// Status and header fields of an answer.
    fn answer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        answer(
            py,
            &match self.owned.decision() {
                Decision::Redirect(redirect) => apply::redirect(&redirect),
                Decision::Respond(respond) => apply::respond(&respond),
                _ => (StatusCode::OK, HeaderMap::new()),
            },
        )
    }
}

/// An `Answer`.
fn answer<'py>(py: Python<'py>, (status, map): &(StatusCode, HeaderMap)) -> PyResult<Bound<'py, PyAny>> {
    data::model(py)?.getattr("Answer")?.call1((status.as_u16(), pairs(py, map, false)?))
}

/// What a decision does to the response, whoever makes it.
fn edits<'a>(decision: &Decision<'a>) -> ResponseEdits<'a> {
    match decision {
        Decision::Forward(forward) => forward.response,
        Decision::Redirect(redirect) => redirect.response,
        Decision::Respond(respond) => respond.response,
        _ => ResponseEdits::default(),
    }
}

/// The decision behind an object, if it is one.
fn of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Held> {
    if let Ok(forward) = object.cast::<Forward>() {
        return Some(&forward.get().0);
    }
    if let Ok(redirect) = object.cast::<Redirect>() {
        return Some(&redirect.get().0);
    }
    object.cast::<Respond>().ok().map(|respond| &respond.get().0)
}

/// The classes, with what all of them have.
macro_rules! decisions {
    ($($(#[$meta:meta])* $class:ident as $kind:literal ($first:literal, $second:literal) { $($own:tt)* })+) => {$(
        $(#[$meta])*
        #[pyclass(frozen, module = "gatewright")]
        pub(crate) struct $class(Held);

        #[pymethods]
        impl $class {
            #[classattr]
            fn __match_args__() -> (&'static str, &'static str) {
                ($first, $second)
            }

            /// `"forward"`, `"redirect"` or `"respond"`.
            #[classattr]
            fn kind() -> &'static str {
                $kind
            }

            /// What matched, or None: gateway, listener, route, rule and match by name.
            #[getter]
            fn matched<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
                self.0.matched(py)
            }

            /// The route that decided, or None.
            #[getter]
            fn route<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.0.of_match(py, "route")
            }

            /// Index of the rule in `spec.rules`, or None.
            #[getter]
            fn rule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.0.of_match(py, "rule")
            }

            /// Name of the rule, or None.
            #[getter]
            fn rule_name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.0.of_match(py, "rule_name")
            }

            /// Edits of the response's header fields in order, CORS included.
            #[getter]
            fn response_edits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.0.all(py, "responseHeaders", "HeaderEdit")
            }

            /// A service that is asked before anything else is done, or None.
            #[getter]
            fn auth<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
                self.0.built(py, "auth", "Auth")
            }

            /// Filters of the embedding program's own, in the order in which they run.
            #[getter]
            fn extensions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.0.all(py, "extensions", "ObjectRef")
            }

            /// The header fields of a response as the client gets them, as pairs: CORS included, names in lower case.
            /// Those of one name keep their order. `Forward` takes out those of one hop first: the response is a backend's.
            ///
            /// headers: of the response, in any shape that `Table.decide` takes.
            ///
            /// as_bytes: whether the pairs are of bytes or of text; None is as given, and text where nothing is given.
            ///
            /// Raises TypeError and ValueError for header fields as `Table.decide` does.
            ///
            /// >>> import gatewright
            /// >>> table = gatewright.load("gateway.yaml")
            /// >>> decision = table.decide("GET", "http://shop.example/cart")
            /// >>> sorted(decision.apply_response([(b"Server", b"cart"), (b"Age", b"1")]))
            /// [(b'age', b'1'), (b'x-served-by', b'gateway')]
            #[pyo3(signature = (headers = None, /, *, as_bytes = None))]
            fn apply_response<'py>(
                &self,
                py: Python<'py>,
                headers: Option<&Bound<'py, PyAny>>,
                as_bytes: Option<bool>,
            ) -> PyResult<Bound<'py, PyList>> {
                self.0.response(py, headers, as_bytes)
            }

            /// Status and header fields that tell the client of a failure of the gateway's own, for instance a backend that
            /// cannot be reached, with the rule's edits; the body is empty. A gRPC client gets status 200 and the gRPC status.
            ///
            /// status: 400 to 599; by custom 502 for no connection, 503 for no backend, 504 for a timeout.
            ///
            /// headers: of the request, in any shape that `Table.decide` takes: whether its client speaks gRPC. None does not.
            ///
            /// message: for a gRPC client; None is what the status is called.
            ///
            /// grpc_status: 1 to 16; None is UNAVAILABLE (14) for 500 and above, INTERNAL (13) below.
            ///
            /// Raises ValueError for another status; TypeError and ValueError for header fields as `Table.decide` does.
            ///
            /// >>> import gatewright
            /// >>> table = gatewright.load("gateway.yaml")
            /// >>> decision = table.decide("GET", "http://shop.example/cart")
            /// >>> decision.failure(504)
            /// Answer(status=504, headers=[('x-served-by', 'gateway')])
            /// >>> dict(decision.failure(504, {"content-type": "application/grpc"}).headers)["grpc-message"]
            /// 'Gateway Timeout'
            #[pyo3(signature = (status, headers = None, message = None, grpc_status = None))]
            fn failure<'py>(
                &self,
                py: Python<'py>,
                status: u16,
                headers: Option<&Bound<'py, PyAny>>,
                message: Option<&str>,
                grpc_status: Option<u8>,
            ) -> PyResult<Bound<'py, PyAny>> {
                self.0.failure(py, status, headers, message, grpc_status)
            }

            /// The decision as data, with the names that `gatewright decide -o json` has. It is the caller's own.
            ///
            /// >>> import gatewright
            /// >>> table = gatewright.load("gateway.yaml")
            /// >>> table.decide("GET", "http://other.example/").to_dict()["decision"]
            /// 'respond'
            fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                data::plain(py, &self.0.report())
            }

            fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                self.0.same(other)
            }

            fn __hash__(&self) -> u64 {
                self.0.hash()
            }

            fn __copy__(slf: Py<Self>) -> Py<Self> {
                slf
            }

            fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
                slf
            }

            fn __str__(&self) -> String {
                self.0.report().to_string()
            }

            fn __repr__(&self) -> String {
                format!("<{}: {}>", stringify!($class), self.0.report())
            }

            $($own)*
        }
    )+};
}

decisions! {
    /// Send the request to a backend.
    Forward as "forward" ("backend", "target") {
        /// The backend.
        #[getter]
        fn backend<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            match self.0.owned.decision() {
                Decision::Forward(forward) => self.0.table.get().backend(py, forward.backend),
                _ => Ok(py.None().into_bound(py)),
            }
        }

        /// Path and query to ask the backend for: the only ones that may be forwarded.
        #[getter]
        fn target(&self) -> String {
            self.forward(|forward| forward.target.to_string()).unwrap_or_default()
        }

        /// The path to ask the backend for.
        #[getter]
        fn path(&self) -> String {
            self.forward(|forward| forward.target.path().into_owned()).unwrap_or_default()
        }

        /// The query as received, without `?`, or None.
        #[getter]
        fn query(&self) -> Option<String> {
            self.forward(|forward| forward.target.query().map(str::to_owned)).flatten()
        }

        /// The authority for the backend, or None for a request without one.
        #[getter]
        fn authority(&self) -> Option<String> {
            self.forward(|forward| forward.authority.map(str::to_owned)).flatten()
        }

        /// Edits of the request's header fields in order.
        #[getter]
        fn request_edits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.0.all(py, "requestHeaders", "HeaderEdit")
        }

        /// Backends that get a copy of this request.
        #[getter]
        fn mirrors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
            let ids: Vec<_> = self.forward(|forward| forward.mirrors.iter().collect()).unwrap_or_default();
            let backends = ids.into_iter().map(|id| self.0.table.get().backend(py, id)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, backends)
        }

        /// Timeout of the whole request, or None.
        #[getter]
        fn request_timeout<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.timeout(py, "requestTimeoutMs")
        }

        /// Timeout of each attempt at a backend, or None.
        #[getter]
        fn backend_request_timeout<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.timeout(py, "backendRequestTimeoutMs")
        }

        /// Retries, or None.
        #[getter]
        fn retry<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.built(py, "retry", "Retry")
        }

        /// Session persistence, or None.
        #[getter]
        fn session<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            let Some(session) = self.0.member(py, "session")? else { return Ok(None) };
            let session = session.cast_into::<PyDict>()?.copy()?;
            let (established, endpoint) = self
                .forward(|forward| forward.session.map(|s| (s.is_established(), s.endpoint().map(ToString::to_string))))
                .flatten()
                .unwrap_or_default();
            session.set_item("established", established)?;
            session.set_item("endpoint", endpoint)?;
            data::built(py, "Session", session.into_any()).map(Some)
        }

        /// The header fields for the backend, as pairs: without those of one hop and without aliases of known names, with `host`,
        /// edited as the rule says, names in lower case. Those of one name keep their order.
        ///
        /// headers: of the request, in any shape that `Table.decide` takes.
        ///
        /// client: address of the client: the backend is told who asked for what, as `forwarded` does it, and what the client says
        /// of itself is taken out. The rule's edits come after. Where rules match on such fields, use `forwarded` before the decision.
        ///
        /// scheme: with client: `http` or `https`, as the client asked; None is that of the listener.
        ///
        /// as_bytes: whether the pairs are of bytes or of text; None is as given, and text where nothing is given.
        ///
        /// Raises TypeError and ValueError for header fields as `Table.decide` does.
        ///
        /// >>> import gatewright
        /// >>> table = gatewright.load("gateway.yaml")
        /// >>> decision = table.decide("GET", "http://shop.example/cart")
        /// >>> sorted(decision.apply_request([("Accept", "text/html"), ("Connection", "close")]))
        /// [('accept', 'text/html'), ('host', 'shop.example'), ('x-shop', 'live')]
        /// >>> dict(decision.apply_request(client="192.0.2.7"))["x-forwarded-for"]
        /// '192.0.2.7'
        #[pyo3(signature = (headers = None, /, *, client = None, scheme = None, as_bytes = None))]
        fn apply_request<'py>(
            &self,
            py: Python<'py>,
            headers: Option<&Bound<'py, PyAny>>,
            client: Option<&str>,
            scheme: Option<&str>,
            as_bytes: Option<bool>,
        ) -> PyResult<Bound<'py, PyList>> {
            let lines = Lines::read(headers, None)?;
            let mut parts = http::Request::new(()).into_parts().0;
            parts.headers = lines.map()?;
            let scheme = scheme.map(fields::scheme).transpose()?;
            match client {
                Some(client) => fields::set_forwarded(&mut parts.headers, client, scheme.unwrap_or_else(|| self.scheme()))?,
                None if scheme.is_some() => return Err(PyTypeError::new_err("scheme is said with client")),
                None => {}
            }
            self.forward(|forward| apply::forward(forward, &mut parts));
            pairs(py, &parts.headers, as_bytes.unwrap_or_else(|| lines.are_bytes()))
        }

        /// The pause before a retry, or None where the rule has no retries: at least its backoff, at most ten times that.
        ///
        /// retry: 0 for the first one.
        ///
        /// pick: from 0 to 2**64 - 1; spreads the pauses, so that not all retry at once. None is a random number.
        ///
        /// >>> import gatewright
        /// >>> table = gatewright.load("gateway.yaml")
        /// >>> print(table.decide("GET", "http://shop.example/cart").retry_pause(0))
        /// None
        #[pyo3(signature = (retry, pick = None))]
        fn retry_pause(&self, retry: u32, pick: Option<u64>) -> Option<Duration> {
            self.forward(|forward| forward.retry.map(|rule| rule.pause(retry, question::pick(pick)))).flatten()
        }

        /// A new window over the retries of this backend, with the budget of its policy; without a policy a fifth of the requests
        /// may be retries, and a hundred in ten seconds in any case. Keep one for each backend, as long as `backend.retry_budget`
        /// is the same.
        ///
        /// >>> import gatewright
        /// >>> table = gatewright.load("gateway.yaml")
        /// >>> table.decide("GET", "http://shop.example/cart").retry_window().budget.percent
        /// 20
        fn retry_window(&self) -> RetryWindow {
            let budget = self.forward(|forward| self.0.owned.table().backend(forward.backend)?.retry_budget.clone()).flatten();
            RetryWindow::new(budget.unwrap_or_else(RetryBudget::without_policy))
        }

        /// Whether a field of the request's trailer section must not be forwarded.
        ///
        /// >>> import gatewright
        /// >>> table = gatewright.load("gateway.yaml")
        /// >>> table.decide("GET", "http://shop.example/cart").drops_trailer("content-length")
        /// True
        fn drops_trailer(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
            let name = question::octets(name, "name")?;
            Ok(self.forward(|forward| forward.drops_trailer(name)).unwrap_or(true))
        }

        /// The header field that tells the client its session, as name and value, or None when there is nothing to tell.
        ///
        /// sessions, now: the keys, and the time in seconds since 1970, as `Table.decide` got them.
        ///
        /// endpoint: the one that answered, as `address:port`, or None where the table knows none.
        ///
        /// Raises ValueError for an endpoint that is no address and port.
        fn session_field(&self, sessions: &SessionKeys, endpoint: Option<&str>, now: u64) -> PyResult<Option<(String, String)>> {
            let address = endpoint.map(str::parse::<std::net::SocketAddr>).transpose();
            let address = address.map_err(|_| PyValueError::new_err("endpoint is address:port"))?;
            let endpoint = address.map(|address| gatewright::table::Endpoint { address: address.ip(), port: address.port() });
            let sessions = Sessions { keys: &sessions.0, now };
            let field = self.forward(|forward| self.0.owned.table().session_field(forward, endpoint.as_ref(), &sessions)).flatten();
            Ok(field.map(|(name, value)| (name.as_str().to_owned(), text(&value))))
        }
    }

    /// Answer with a redirect.
    Redirect as "redirect" ("status", "location") {
        /// 301, 302, 303, 307 or 308.
        #[getter]
        fn status<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.member(py, "status")
        }

        /// Value of the `Location` field.
        #[getter]
        fn location<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.member(py, "location")
        }

        /// Status and header fields of the answer; its body is empty.
        ///
        /// >>> import gatewright
        /// >>> table = gatewright.load("gateway.yaml")
        /// >>> table.decide("GET", "http://shop.example/old").answer()
        /// Answer(status=301, headers=[('location', 'http://shop.example/cart')])
        fn answer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.0.answer(py)
        }
    }

    /// Answer with a status and an empty body.
    Respond as "respond" ("status", "reason") {
        /// The status code for a client of HTTP.
        #[getter]
        fn status(&self) -> Option<u16> {
            self.0.owned.decision().status().map(|status| status.as_u16())
        }

        /// For a client of gRPC: the gRPC status, sent with HTTP status 200; else None.
        #[getter]
        fn grpc_status<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.member(py, "grpcStatus")
        }

        /// Why, a stable word.
        #[getter]
        fn reason<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.member(py, "reason")
        }

        /// Why, a sentence.
        #[getter]
        fn message<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
            self.0.member(py, "message")
        }

        /// Status and header fields of the answer; its body is empty.
        ///
        /// >>> import gatewright
        /// >>> table = gatewright.load("gateway.yaml")
        /// >>> table.decide("GET", "http://shop.example/old").answer()
        /// Answer(status=301, headers=[('location', 'http://shop.example/cart')])
        fn answer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.0.answer(py)
        }
    }
}

impl Forward {
    /// How the listener is spoken to.
    fn scheme(&self) -> &'static str {
        let listener = self.forward(|forward| forward.matched.parent.listener()).flatten();
        let listener = listener.and_then(|id| self.0.owned.table().listener(id));
        listener.and_then(|listener| listener.protocol.scheme()).map_or("http", Scheme::as_str)
    }

    fn forward<R>(&self, then: impl FnOnce(&gatewright::decision::Forward<'_>) -> R) -> Option<R> {
        match self.0.owned.decision() {
            Decision::Forward(forward) => Some(then(&forward)),
            _ => None,
        }
    }
}
