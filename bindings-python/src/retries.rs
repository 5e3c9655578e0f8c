//! How many retries a backend has had of late.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gatewright::model::retry_budget::{self, RetryBudget};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDelta;

use crate::data;

/// Counts the requests and retries of one backend, and asks its retry budget; made by `Forward.retry_window`. Threads may share
/// it.
///
/// `now` is the time since any fixed moment, in seconds or as a timedelta: that of `time.monotonic()`, for instance. It must
/// not run backwards by much.
///
/// >>> import gatewright, time
/// >>> window = gatewright.load("gateway.yaml").decide("GET", "http://shop.example/").retry_window()
/// >>> window.request(time.monotonic())
/// >>> window.try_retry(time.monotonic())
/// True
#[pyclass(frozen, module = "gatewright")]
pub(crate) struct RetryWindow(Mutex<retry_budget::RetryWindow>);

impl RetryWindow {
    pub(crate) fn new(budget: RetryBudget) -> Self {
        Self(Mutex::new(retry_budget::RetryWindow::new(budget)))
    }

    fn with<R>(&self, then: impl FnOnce(&mut retry_budget::RetryWindow) -> R) -> R {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl RetryWindow {
    /// The budget that is asked: of the backend's policy, or what counts where none gives one.
    #[getter]
    fn budget<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let budget = self.with(|window| window.budget().clone());
        let values = (budget.percent(), budget.interval(), budget.min_count(), budget.min_interval());
        data::model(py)?.getattr("RetryBudget")?.call1(values)
    }

    /// A request is sent for the first time.
    ///
    /// Raises ValueError for a time that is none or before the fixed moment.
    fn request(&self, now: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = since(now)?;
        self.with(|window| window.request(now));
        Ok(())
    }

    /// Whether a request may be sent again; if so, it is counted. One that may not is answered with 503.
    ///
    /// Raises ValueError for a time that is none or before the fixed moment.
    fn try_retry(&self, now: &Bound<'_, PyAny>) -> PyResult<bool> {
        let now = since(now)?;
        Ok(self.with(|window| window.try_retry(now)))
    }

    fn __repr__(&self) -> String {
        let percent = self.with(|window| window.budget().percent());
        format!("<RetryWindow: {percent} percent>")
    }
}

/// A time since some moment: seconds, or a timedelta.
fn since(now: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if now.is_instance_of::<PyDelta>() {
        return now.extract();
    }
    let seconds: f64 = now.extract().map_err(|_| PyTypeError::new_err("now is seconds or a timedelta"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("now: {error}")))
}
