//! Interim responses (1xx) of a backend: passed over, but not without end ([R-S8]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use tokio::sync::Notify;

/// Interim responses to one request at most.
const MOST: usize = 16;

/// Counts the interim responses to a request.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Interim {
    count: AtomicUsize,
    too_many: Notify,
}

impl Interim {
    /// Counts those to `request`, over HTTP/1.
    pub(in crate::proxy) fn count<B>(request: &mut Request<B>) -> Arc<Self> {
        let interim = Arc::<Self>::default();
        let counting = Arc::clone(&interim);
        hyper::ext::on_informational(request, move |_| {
            if counting.count.fetch_add(1, Ordering::Relaxed) == MOST {
                counting.too_many.notify_one();
            }
        });
        interim
    }

    pub(in crate::proxy) async fn too_many(&self) {
        self.too_many.notified().await;
    }
}
