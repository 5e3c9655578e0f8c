//! A question with its answers.

use gatewright::{Arrival, Decision, Pick, Request, Table, apply};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::json;
use super::question::{ConnectionQuestion, Lines, RequestQuestion, lines, sorted};

/// A question with its answers.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Ask {
    /// About a request.
    Request {
        request: Box<RequestQuestion>,
        decision: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        explanation: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        applied: Option<Applied>,
    },
    /// About a connection or flow.
    Connection {
        connection: ConnectionQuestion,
        decision: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        explanation: Option<Value>,
    },
}

/// A decision, carried out.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Applied {
    /// The request for the backend, and a response of the backend for the client.
    Forward { target: String, request: Lines, given_response: Lines, response: Lines },
    /// The answer of the gateway.
    Answer { status: u16, headers: Lines },
}

/// No route has the Service as parent.
pub(super) fn pass_through() -> Value {
    json!({"decision": "passThrough"})
}

impl Ask {
    /// Asks about a request. `response` is what the backend answers.
    pub(super) fn request(
        question: RequestQuestion,
        table: &Table,
        request: &Request<'_>,
        pick: Pick,
        response: &HeaderMap,
        explain: bool,
    ) -> Result<Self, String> {
        let decision = table.decide(request, pick);
        Ok(Self::Request {
            request: Box::new(question),
            decision: json(&table.report(&decision))?,
            explanation: explain.then(|| json(&table.explain(request, pick))).transpose()?,
            applied: Some(Applied::of(&decision, request.headers, response)?),
        })
    }

    /// Asks about a connection.
    pub(super) fn connection(
        question: ConnectionQuestion,
        table: &Table,
        arrival: &Arrival<'_>,
        pick: Pick,
        explain: bool,
    ) -> Result<Self, String> {
        Ok(Self::Connection {
            connection: question,
            decision: json(&table.connection_report(&table.decide_connection(arrival, pick)))?,
            explanation: explain.then(|| json(&table.explain_connection(arrival, pick))).transpose()?,
        })
    }

    /// A request that passes through.
    pub(super) fn passing_request(question: RequestQuestion) -> Self {
        Self::Request { request: Box::new(question), decision: pass_through(), explanation: None, applied: None }
    }

    /// A connection that passes through.
    pub(super) fn passing_connection(question: ConnectionQuestion) -> Self {
        Self::Connection { connection: question, decision: pass_through(), explanation: None }
    }
}

impl Applied {
    fn of(decision: &Decision<'_>, headers: &HeaderMap, response: &HeaderMap) -> Result<Self, String> {
        let (status, headers) = match decision {
            Decision::Forward(forward) => {
                let mut parts = http::Request::new(()).into_parts().0;
                parts.headers = headers.clone();
                apply::forward(forward, &mut parts);
                let mut edited = response.clone();
                apply::response_headers(&forward.response, &mut edited);
                return Ok(Self::Forward {
                    target: parts.uri.to_string(),
                    request: sorted(&parts.headers),
                    given_response: lines(response),
                    response: sorted(&edited),
                });
            }
            Decision::Redirect(redirect) => apply::redirect(redirect),
            Decision::Respond(respond) => apply::respond(respond),
            other => return Err(format!("unknown decision {other:?}")),
        };
        Ok(Self::Answer { status: status.as_u16(), headers: sorted(&headers) })
    }
}
