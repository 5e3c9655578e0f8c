//! Stage 4, **deciding**.

use crate::decision::{Decision, Reason, Respond, ResponseEdits};
use crate::request::{Headers, Pick, Request};
use crate::table::Table;

impl Table {
    /// Decides one request. Never fails and never panics; a request without an answer in the table is a
    /// decision too (404). Allocates nothing for a request whose target is already canonical.
    pub fn decide<'a, H: Headers + ?Sized>(&'a self, request: &Request<'a, H>, pick: Pick) -> Decision<'a> {
        let _ = (request, pick);
        Decision::Respond(Respond {
            matched: None,
            status: http::StatusCode::NOT_FOUND,
            grpc_status: None,
            reason: Reason::NoListener,
            response: ResponseEdits::default(),
        })
    }
}
