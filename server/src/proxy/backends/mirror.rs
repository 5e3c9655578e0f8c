//! Copies of requests ([F-40]): sent aside, never waited for, and dropped when there are too many.

use std::sync::Arc;
use std::time::Duration;

use gatewright::Pick;
use http::Request;
use http::request::Parts;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;

use crate::observe::Outcome;
use crate::proxy::Shared;
use crate::proxy::requests::body::AnyBody;
use crate::proxy::requests::exchange::To;
use crate::proxy::requests::interim::Interim;

/// Copies on their way at most.
const LIMIT: usize = 128;
/// Octets that are read of an answer.
const ANSWER: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub(in crate::proxy) struct Mirrors {
    permits: Arc<Semaphore>,
}

impl Mirrors {
    pub(in crate::proxy) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(LIMIT)) }
    }
}

/// Sends a copy to a backend.
pub(in crate::proxy) fn send(shared: &Arc<Shared>, to: &To<'_>, parts: &Parts, body: AnyBody, pick: Pick) {
    let backend = to.backend;
    let Ok(permit) = Arc::clone(&shared.mirrors.permits).try_acquire_owned() else {
        tracing::debug!(backend = %backend.object, "too many copies: this one is dropped");
        to.series.mirror(Outcome::Other);
        return;
    };
    // A Service without endpoints gets no copy ([F-42]).
    if matches!(&backend.endpoints, gatewright::table::Endpoints::Known(list) if list.is_empty()) {
        return;
    }
    let Some(address) = shared.upstreams.address(backend, None, pick.0) else { return };
    let shared = Arc::clone(shared);
    let (backend, tls, series) = (backend.clone(), to.tls.clone(), Arc::clone(&to.series));
    let mut request = Request::from_parts(parts.clone(), body);
    tokio::spawn(async move {
        let _permit = permit;
        let send = async {
            let interim = Interim::count(&mut request);
            let response = tokio::select! {
                response = shared.upstreams.send(&backend, tls.as_deref(), &address, request) => response?,
                () = interim.too_many() => return Err("too many interim responses".into()),
            };
            // Read as far as it keeps its connection usable, and looked at by nobody.
            let (mut body, mut left) = (response.into_body(), ANSWER);
            while let Some(frame) = body.frame().await.transpose()? {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) else { break };
                left = rest;
            }
            Ok::<(), crate::proxy::BoxError>(())
        };
        let _in_flight = series.start();
        let sent = tokio::time::timeout(TIMEOUT, send).await;
        series.mirror(if matches!(sent, Ok(Ok(()))) { Outcome::Done } else { Outcome::Failed });
        if let Ok(Err(error)) = sent {
            tracing::debug!(%error, address = &*address, "a copy was not taken");
        }
    });
}
