//! Retry budgets: how many retries each backend has had of late ([BT-2]), also where no policy gives a budget ([R-B2]).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gatewright::ObjectRef;
use gatewright::model::retry_budget::{RetryBudget, RetryWindow};
use gatewright::table::Backend;
use tokio::time::Instant;

/// The windows of the backends that have retries. A new table keeps those whose budget is still the same.
#[derive(Debug)]
pub(in crate::proxy) struct Budgets {
    started: Instant,
    without_policy: RetryBudget,
    windows: Mutex<BTreeMap<(ObjectRef, u16), RetryWindow>>,
}

impl Budgets {
    pub(in crate::proxy) fn new() -> Self {
        Self { started: Instant::now(), without_policy: RetryBudget::without_policy(), windows: Mutex::default() }
    }

    /// A request is sent for the first time. One that is never sent again counts only where a policy has a budget: nothing
    /// else needs a window.
    pub(in crate::proxy) fn request(&self, backend: &Backend, retries: u32) {
        if retries > 0 || backend.retry_budget.is_some() {
            self.with_window(backend, RetryWindow::request);
        }
    }

    /// Whether a request may be sent again.
    pub(in crate::proxy) fn try_retry(&self, backend: &Backend) -> bool {
        self.with_window(backend, RetryWindow::try_retry)
    }

    fn with_window<T>(&self, backend: &Backend, then: impl FnOnce(&mut RetryWindow, std::time::Duration) -> T) -> T {
        let budget = backend.retry_budget.as_ref().unwrap_or(&self.without_policy);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((backend.object.clone(), backend.port)).or_insert_with(|| RetryWindow::new(budget.clone()));
        if window.budget() != budget {
            *window = RetryWindow::new(budget.clone());
        }
        then(window, self.started.elapsed())
    }
}
