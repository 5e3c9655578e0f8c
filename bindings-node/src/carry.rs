//! Carrying out a decision on messages of JavaScript: by core's `apply`, on header fields that go in and come out as text.

use gatewright::apply;
use gatewright::decision::{Decision, ResponseEdits};
use gatewright::session::Sessions;
use gatewright::table::{Endpoint, Endpoints, Table};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::latin;

type Fields = [(String, String)];

/// The request to send to the backend: its target, and its header fields with `Host`.
pub(crate) fn request(decision: &Decision<'_>, fields: &Fields) -> Result<Value, String> {
    let Decision::Forward(forward) = decision else { return Err("only a request that is forwarded is sent to a backend".to_owned()) };
    let mut parts = http::Request::new(()).into_parts().0;
    parts.headers = map(fields)?;
    apply::forward(forward, &mut parts);
    Ok(json!({ "target": parts.uri.to_string(), "headers": list(&parts.headers) }))
}

/// The header fields of a response, edited.
pub(crate) fn response(decision: &Decision<'_>, fields: &Fields) -> Result<Value, String> {
    let mut headers = map(fields)?;
    apply::response_headers(edits(decision)?, &mut headers);
    Ok(list(&headers))
}

/// Status and header fields of an answer that needs no backend.
pub(crate) fn answer(decision: &Decision<'_>) -> Result<Value, String> {
    let (status, headers) = match decision {
        Decision::Redirect(redirect) => apply::redirect(redirect),
        Decision::Respond(respond) => apply::respond(respond),
        _ => return Err("a request that is forwarded is answered by its backend".to_owned()),
    };
    Ok(json!({ "status": status.as_u16(), "headers": list(&headers) }))
}

/// Status and header fields with which a gateway tells of a failure of its own.
pub(crate) fn failure(decision: &Decision<'_>, request: &[(&[u8], &[u8])], status: u16) -> Result<Value, String> {
    let status = StatusCode::from_u16(status).map_err(|_| format!("{status} is no status code"))?;
    let (status, headers) = apply::failure(status, request, edits(decision)?);
    Ok(json!({ "status": status.as_u16(), "headers": list(&headers) }))
}

/// The field that keeps a client with an endpoint; null when there is nothing to tell.
pub(crate) fn session(table: &Table, decision: &Decision<'_>, endpoint: Option<&str>, sessions: &Sessions<'_>) -> Result<Value, String> {
    let Decision::Forward(forward) = decision else { return Ok(Value::Null) };
    let known: &[Endpoint] = match table.backend(forward.backend).map(|backend| &backend.endpoints) {
        Some(Endpoints::Known(known)) => known,
        _ => &[],
    };
    let found = match endpoint {
        None => None,
        Some(text) => {
            Some(known.iter().find(|known| known.to_string() == text).ok_or_else(|| format!("the backend has no endpoint `{text}`"))?)
        }
    };
    let field = table.session_field(forward, found, sessions);
    Ok(json!(field.map(|(name, value)| [name.as_str().to_owned(), latin::text(value.as_bytes())])))
}

fn edits<'d, 'a>(decision: &'d Decision<'a>) -> Result<&'d ResponseEdits<'a>, String> {
    match decision {
        Decision::Forward(decision) => Ok(&decision.response),
        Decision::Redirect(decision) => Ok(&decision.response),
        Decision::Respond(decision) => Ok(&decision.response),
        _ => Err("a decision of a kind that this version does not know".to_owned()),
    }
}

fn map(fields: &Fields) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{}` is no name of a header field", name.escape_debug()))?;
        let value = latin::octets(value).and_then(|octets| HeaderValue::from_bytes(&octets).ok());
        headers.append(parsed, value.ok_or_else(|| format!("the value of header field `{name}` has octets that no value may have"))?);
    }
    Ok(headers)
}

fn list(headers: &HeaderMap) -> Value {
    headers.iter().map(|(name, value)| json!([name.as_str(), latin::text(value.as_bytes())])).collect()
}
