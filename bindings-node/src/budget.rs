//! Retry budgets: how many retries each backend has had of late. Core counts; here the counts are kept, one for each thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use gatewright::ObjectRef;
use gatewright::model::retry_budget::{RetryBudget, RetryWindow};
use gatewright::table::Table;

thread_local! {
    static WINDOWS: RefCell<BTreeMap<(ObjectRef, u16), RetryWindow>> = const { RefCell::new(BTreeMap::new()) };
}

/// Counts a first request, or says whether a request may be sent again. A backend without a policy has a budget, too.
pub(crate) fn count(table: &Table, backend: u32, retry: bool, now: Duration) -> bool {
    let Some(backend) = table.backends().find(|known| known.id.index() == backend) else { return false };
    let budget = backend.retry_budget.clone().unwrap_or_else(RetryBudget::without_policy);
    WINDOWS.with_borrow_mut(|windows| {
        let window = windows.entry((backend.object.clone(), backend.port)).or_insert_with(|| RetryWindow::new(budget.clone()));
        if *window.budget() != budget {
            *window = RetryWindow::new(budget);
        }
        if retry {
            return window.try_retry(now);
        }
        window.request(now);
        true
    })
}
