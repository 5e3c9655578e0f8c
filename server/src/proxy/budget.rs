//! Retry budgets: how many retries each backend has had of late ([BT-2]).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gatewright::ObjectRef;
use gatewright::model::retry_budget::RetryWindow;
use gatewright::table::Backend;
use tokio::time::Instant;

/// The windows of the backends that have a budget. A new table keeps those whose budget is still the same.
#[derive(Debug)]
pub(super) struct Budgets {
    started: Instant,
    windows: Mutex<BTreeMap<(ObjectRef, u16), RetryWindow>>,
}

impl Budgets {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), windows: Mutex::default() }
    }

    /// A request is sent for the first time.
    pub(super) fn request(&self, backend: &Backend) {
        self.with_window(backend, RetryWindow::request);
    }

    /// Whether a request may be sent again; a backend without a budget takes any.
    pub(super) fn try_retry(&self, backend: &Backend) -> bool {
        self.with_window(backend, RetryWindow::try_retry).unwrap_or(true)
    }

    fn with_window<T>(&self, backend: &Backend, then: impl FnOnce(&mut RetryWindow, std::time::Duration) -> T) -> Option<T> {
        let budget = backend.retry_budget.as_ref()?;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((backend.object.clone(), backend.port)).or_insert_with(|| RetryWindow::new(budget.clone()));
        if window.budget() != budget {
            *window = RetryWindow::new(budget.clone());
        }
        Some(then(window, self.started.elapsed()))
    }
}
