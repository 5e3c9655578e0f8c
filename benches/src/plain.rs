//! A request in the form that costs a router least: host in lower case without port, everything in one buffer, the
//! header fields a flat list, the query encoded in one way. What an embedding program would have to make first; the peers and
//! the floor get it for nothing.

use gatewright_conformance::sets::SetRequest;

/// The request.
#[derive(Debug)]
pub struct Plain {
    /// Host, path, query, then name and value of each field.
    text: Box<str>,
    host_end: u16,
    path_end: u16,
    query_end: u16,
    fields: Box<[Field]>,
    method: Box<str>,
    /// Has gRPC's content type.
    grpc: bool,
}

/// Where a header field is in the text.
#[derive(Clone, Copy, Debug)]
struct Field {
    start: u16,
    value: u16,
    end: u16,
}

impl Plain {
    /// Makes it.
    ///
    /// # Panics
    ///
    /// If the request has more than 64 KiB.
    pub fn new(request: &SetRequest) -> Self {
        let host = request.host.rsplit_once(':').map_or(request.host.as_str(), |(host, _)| host);
        let mut text = host.to_ascii_lowercase();
        let place = |text: &String| u16::try_from(text.len()).expect("requests are short");
        let host_end = place(&text);
        text.push_str(&request.path);
        let path_end = place(&text);
        for parameter in request.query.iter().flat_map(|query| query.split('&')) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let and = if place(&text) == path_end { "" } else { "&" };
            text.push_str(&format!("{and}{}={}", encode(&decode(name)), encode(&decode(value))));
        }
        let query_end = place(&text);
        let mut fields = Vec::new();
        for (name, value) in &request.headers {
            let start = place(&text);
            text.push_str(name);
            let middle = place(&text);
            text.push_str(value);
            fields.push(Field { start, value: middle, end: place(&text) });
        }
        let method = request.method.as_str().into();
        let content_type = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.map(|(_, value)| value.trim().to_ascii_lowercase()).unwrap_or_default();
        let grpc = content_type.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';', ' ']));
        Self { text: text.into(), host_end, path_end, query_end, fields: fields.into(), method, grpc }
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.text[..self.host_end.into()]
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.text[self.host_end.into()..self.path_end.into()]
    }

    /// The query, empty if there is none.
    pub fn query(&self) -> &str {
        &self.text[self.path_end.into()..self.query_end.into()]
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether a rule for calls of gRPC may take it: by its content type and, if the rule names a service, two segments.
    pub fn is_call(&self, of_service: bool) -> bool {
        self.grpc && (!of_service || self.path().bytes().filter(|octet| *octet == b'/').count() == 2)
    }

    /// The header fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|field| (&self.text[field.start.into()..field.value.into()], &self.text[field.value.into()..field.end.into()]))
    }

    /// Whether one line of this field has this value.
    pub fn has_field(&self, name: &[u8], value: &[u8]) -> bool {
        let text = self.text.as_bytes();
        self.fields.iter().any(|field| {
            usize::from(field.value - field.start) == name.len()
                && usize::from(field.end - field.value) == value.len()
                && &text[field.start.into()..field.value.into()] == name
                && &text[field.value.into()..field.end.into()] == value
        })
    }

    /// Whether the first parameter of this name has this value, both as [`encode`] writes them.
    pub fn has_parameter(&self, name: &[u8], value: &[u8]) -> bool {
        let query = &self.text.as_bytes()[self.path_end.into()..self.query_end.into()];
        let mut parameters = query.split(|byte| *byte == b'&');
        let found = parameters.find_map(|parameter| match parameter.strip_prefix(name)? {
            [] => Some(&[] as &[u8]),
            [b'=', value @ ..] => Some(value),
            _ => None,
        });
        found == Some(value)
    }

    /// Reads every byte, so that it is in the cache.
    pub fn touch(&self) -> usize {
        let text: usize = self.text.bytes().map(usize::from).sum();
        text + self.fields.iter().map(|field| usize::from(field.end)).sum::<usize>() + self.method.len()
    }
}

/// Name or value of a query parameter in the one form that is compared: all but unreserved octets as `%XX`.
pub fn encode(text: &[u8]) -> String {
    let mut encoded = String::new();
    for octet in text {
        match octet {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => encoded.push(char::from(*octet)),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}

/// What a form's `+` and `%XX` mean.
fn decode(text: &str) -> Vec<u8> {
    let octets = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *octet == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(hex.unwrap_or(if *octet == b'+' { b' ' } else { *octet }));
        at += if hex.is_some() { 3 } else { 1 };
    }
    decoded
}
