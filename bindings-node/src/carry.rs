//! Carrying out a decision on messages of JavaScript: by core's `apply`, on header fields that go in and come out as text.

use gatewright::Pick;
use gatewright::apply::{self, hop};
use gatewright::decision::{Decision, ResponseEdits};
use gatewright::session::Sessions;
use gatewright::table::{Endpoint, Endpoints, Table};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::latin;

type Fields = [(String, String)];

/// Who has sent a request, for the fields that tell the backend.
#[derive(Debug, Deserialize)]
pub(crate) struct Client {
    address: String,
    scheme: String,
}

/// The request to send to the backend: its target, and its header fields with `Host`.
pub(crate) fn request(decision: &Decision<'_>, fields: &Fields, client: Option<&Client>, host: Option<&[u8]>) -> Result<Value, String> {
    let Decision::Forward(forward) = decision else { return Err("only a request that is forwarded is sent to a backend".to_owned()) };
    let mut parts = http::Request::new(()).into_parts().0;
    parts.headers = map(fields)?;
    if let Some(Client { address, scheme }) = client {
        let address = HeaderValue::from_str(address).map_err(|_| "the address of the client is no text".to_owned())?;
        let scheme = if scheme == "https" { "https" } else { "http" };
        let host = host.and_then(|host| HeaderValue::from_bytes(host).ok()).or_else(|| parts.headers.get(header::HOST).cloned());
        // Before the rule's edits, which see them.
        hop::set_forwarded(&mut parts.headers, address, scheme, host);
    }
    apply::forward(forward, &mut parts);
    Ok(json!({ "target": parts.uri.to_string(), "headers": list(&parts.headers) }))
}

/// The protocol of an upgrade that may pass; null for none.
pub(crate) fn upgrade(fields: &Fields, method: &str, http_version: &str) -> Result<Value, String> {
    let version = if http_version == "1.1" { Version::HTTP_11 } else { Version::HTTP_2 };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| "no method".to_owned())?;
    Ok(json!(hop::upgrade(&map(fields)?, &method, version).map(|protocol| latin::text(protocol.as_bytes()))))
}

/// The header fields of a response, edited; of one of a backend without those of its hop.
pub(crate) fn response(decision: &Decision<'_>, fields: &Fields, of_backend: bool) -> Result<Value, String> {
    let mut headers = map(fields)?;
    if of_backend {
        hop::strip_response(&mut headers);
    }
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

/// The pause before a retry, in milliseconds.
pub(crate) fn pause(decision: &Decision<'_>, retry: u32, pick: Pick) -> Result<Value, String> {
    match decision {
        Decision::Forward(forward) => Ok(json!(forward.retry.map_or(0.0, |of| of.pause(retry, pick).as_secs_f64() * 1000.0))),
        _ => Err("only a request that is forwarded is sent again".to_owned()),
    }
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
