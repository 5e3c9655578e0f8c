//! The messages of Envoy's `envoy.service.auth.v3.Authorization/Check`, as far as they are used: field numbers as in
//! `external_auth.proto` and `attribute_context.proto`.

use std::collections::HashMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use gatewright::decision::{Check, Target};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use prost::{Message, Oneof};

use crate::proxy::requests::body::BoxError;
use crate::proxy::requests::guard::Guard;

#[derive(Clone, PartialEq, Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<AttributeContext>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    request: Option<AttributedRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct Peer {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Clone, PartialEq, Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
struct SocketAddress {
    #[prost(string, tag = "2")]
    address: String,
}

#[derive(Clone, PartialEq, Message)]
struct AttributedRequest {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(string, tag = "2")]
    method: String,
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
    /// Path and query.
    #[prost(string, tag = "4")]
    path: String,
    #[prost(string, tag = "5")]
    host: String,
    #[prost(string, tag = "6")]
    scheme: String,
    /// -1 where it is not known.
    #[prost(int64, tag = "9")]
    size: i64,
    #[prost(string, tag = "10")]
    protocol: String,
    #[prost(string, tag = "11")]
    body: String,
    /// A body that is no text.
    #[prost(bytes = "bytes", tag = "12")]
    raw_body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    http_response: Option<HttpResponse>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Oneof)]
enum HttpResponse {
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

#[derive(Clone, PartialEq, Message)]
struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderValueOption>,
    #[prost(bytes = "bytes", tag = "3")]
    body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    response_headers_to_add: Vec<HeaderValueOption>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    header: Option<HeaderField>,
    #[prost(message, optional, tag = "2")]
    append: Option<BoolValue>,
    #[prost(int32, tag = "3")]
    append_action: i32,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderField {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(bytes = "bytes", tag = "3")]
    raw_value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct BoolValue {
    #[prost(bool, tag = "1")]
    value: bool,
}

/// What a service answers.
pub(in crate::proxy) enum Answer {
    /// Go on with these fields.
    Allow { set: Fields, removed: Vec<HeaderName>, response: Fields },
    /// Answer so.
    Deny { status: StatusCode, headers: Fields, body: Bytes },
}

/// Fields as the service gives them.
pub(in crate::proxy) struct Fields(Vec<HeaderValueOption>);

impl Fields {
    /// The fields with all of their values, over those that are there. What is no field is left out.
    pub(in crate::proxy) fn into_fields(self, there: &HeaderMap) -> HeaderMap {
        /// `ADD_IF_ABSENT` and `OVERWRITE_IF_EXISTS` of `HeaderAppendAction`.
        const IF_ABSENT: i32 = 1;
        const IF_EXISTS: i32 = 3;
        let mut fields = HeaderMap::new();
        for HeaderValueOption { header, append, append_action } in self.0 {
            let Some(HeaderField { key, value, raw_value }) = header else { continue };
            let value = if raw_value.is_empty() { Bytes::from(value) } else { raw_value };
            let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_maybe_shared(value)) else { continue };
            let exists = fields.contains_key(&name) || there.contains_key(&name);
            if (append_action == IF_ABSENT && exists) || (append_action == IF_EXISTS && !exists) {
                continue;
            }
            if append.is_some_and(|append| append.value) {
                if !fields.contains_key(&name) {
                    fields.extend(there.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
                }
                fields.append(name, value);
            } else if name == header::SET_COOKIE {
                // Each is a field of its own (RFC 6265 section 3).
                fields.append(name, value);
            } else {
                fields.insert(name, value);
            }
        }
        fields
    }
}

/// The call about a request, framed for gRPC.
pub(in crate::proxy) fn question<'f>(
    guard: &Guard<'_>,
    check: &Check<'_>,
    target: &Target<'_>,
    fields: impl Iterator<Item = (&'f HeaderName, &'f HeaderValue)>,
    octets: Bytes,
) -> Bytes {
    let mut headers = HashMap::<String, String>::new();
    for (name, value) in fields {
        let value = String::from_utf8_lossy(value.as_bytes());
        // Of a map of texts each name has one; Cookie is joined in its own way (RFC 9113 section 8.2.3).
        let joint = if *name == header::COOKIE { "; " } else { "," };
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|before| {
                before.push_str(joint);
                before.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    let size = guard.parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(-1);
    let (body, raw_body) = match String::from_utf8(octets.to_vec()) {
        Ok(text) => (text, Bytes::new()),
        Err(_) => (String::new(), octets),
    };
    let http = HttpRequest {
        method: guard.parts.method.to_string(),
        headers,
        path: [target.request_path(), &target.query().map(|query| format!("?{query}")).unwrap_or_default()].concat(),
        host: check.authority.unwrap_or_default().to_owned(),
        scheme: guard.parts.headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok()).unwrap_or_default().to_owned(),
        size,
        protocol: if guard.parts.version == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" }.to_owned(),
        body,
        raw_body,
    };
    let address = Address { socket_address: Some(SocketAddress { address: guard.peer.to_string() }) };
    let attributes =
        AttributeContext { source: Some(Peer { address: Some(address) }), request: Some(AttributedRequest { http: Some(http) }) };
    frame(&CheckRequest { attributes: Some(attributes) })
}

fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(length + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message.encode_to_vec());
    framed.freeze()
}

/// Reads the answer out of its frame.
pub(in crate::proxy) fn answer(framed: &[u8]) -> Result<Answer, BoxError> {
    let (head, message) = framed.split_at_checked(5).ok_or("the answer is cut off")?;
    let length = head.iter().skip(1).fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
    if head.first() != Some(&0) || message.len() != length {
        return Err("the answer is not one message without compression".into());
    }
    let CheckResponse { status, http_response } = CheckResponse::decode(message)?;
    let ok = match (&status, &http_response) {
        (Some(status), _) => status.code == 0,
        (None, Some(response)) => matches!(response, HttpResponse::Ok(_)),
        // An empty message is rather a mistake than a permission.
        (None, None) => return Err("the answer says neither yes nor no".into()),
    };
    Ok(match (ok, http_response) {
        // A yes and a no together are no yes.
        (_, Some(HttpResponse::Denied(denied))) => {
            let told = denied.status.and_then(|status| StatusCode::from_u16(u16::try_from(status.code).ok()?).ok());
            // A denial must not look like a success.
            let status = told.filter(|status| (300..=599).contains(&status.as_u16())).unwrap_or(StatusCode::FORBIDDEN);
            Answer::Deny { status, headers: Fields(denied.headers), body: denied.body }
        }
        (true, Some(HttpResponse::Ok(allowed))) => Answer::Allow {
            set: Fields(allowed.headers),
            removed: allowed.headers_to_remove.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect(),
            response: Fields(allowed.response_headers_to_add),
        },
        (true, None) => Answer::Allow { set: Fields(Vec::new()), removed: Vec::new(), response: Fields(Vec::new()) },
        (false, _) => Answer::Deny { status: StatusCode::FORBIDDEN, headers: Fields(Vec::new()), body: Bytes::new() },
    })
}
