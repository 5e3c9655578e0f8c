//! Edits of header fields ([F-10]).

use http::HeaderMap;

use super::cors::cors_headers;
use crate::decision::{HeaderEdits, ResponseEdits};
use crate::model::filter::HeaderModifier;

/// Applies the edits of a request's header fields.
pub fn request_headers(edits: &HeaderEdits<'_>, headers: &mut HeaderMap) {
    edits.modifiers().for_each(|modifier| modify(modifier, headers));
}

/// Applies the edits of a response, whoever made it: header modifiers, then CORS ([F-3]).
pub fn response_headers(edits: &ResponseEdits<'_>, headers: &mut HeaderMap) {
    request_headers(&edits.headers(), headers);
    if let Some(cors) = edits.cors() {
        cors_headers(&cors, headers);
    }
}

/// A map panics beyond 24,576 names. Where it has this many no others are added: the API server admits 16 edits of a kind.
const MOST_NAMES: usize = 20_000;

/// Set, add, remove, in the order of the fields ([U-16]).
fn modify(modifier: &HeaderModifier, headers: &mut HeaderMap) {
    let has_room = |headers: &HeaderMap, name| headers.keys_len() < MOST_NAMES || headers.contains_key(name);
    for (name, value) in modifier.set() {
        if has_room(headers, name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in modifier.add() {
        if has_room(headers, name) {
            headers.append(name, value.clone());
        }
    }
    for name in modifier.remove() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// [F-10], [F-14]: values are replaced, appended and deleted; the rule's edits come before the backend's.
    #[test]
    fn set_add_remove() {
        let field = |name: &'static str, value: &'static str| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let rule = HeaderModifier {
            set: [field("x-set", "new")].into(),
            add: [field("x-add", "second")].into(),
            remove: [HeaderName::from_static("x-gone")].into(),
            host: None,
        };
        let backend = HeaderModifier { set: [field("x-set", "backend")].into(), ..HeaderModifier::default() };
        let mut headers = HeaderMap::new();
        for (name, value) in [field("x-set", "a"), field("x-set", "b"), field("x-add", "first"), field("x-gone", "x"), field("x-kept", "k")]
        {
            headers.append(name, value);
        }
        request_headers(&HeaderEdits { modifiers: [Some(&rule), Some(&backend)] }, &mut headers);
        let all = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(all("x-set"), ["backend"]);
        assert_eq!(all("x-add"), ["first", "second"]);
        assert_eq!(all("x-gone"), Vec::<String>::new());
        assert_eq!(all("x-kept"), ["k"]);
    }

    /// More edits than a map has room for are no panic.
    #[test]
    fn edits_without_number() {
        let field = |n: u32| (HeaderName::try_from(format!("x-{n}")).unwrap(), HeaderValue::from(n));
        let rule = HeaderModifier {
            set: (0..30_000).map(field).collect(),
            add: (30_000..40_000).map(field).collect(),
            ..HeaderModifier::default()
        };
        let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x-7"), HeaderValue::from_static("old"))]);
        request_headers(&HeaderEdits { modifiers: [Some(&rule), Some(&rule)] }, &mut headers);
        assert_eq!((headers.keys_len(), headers["x-7"].as_bytes()), (MOST_NAMES, b"7".as_slice()));
        headers.insert(http::header::HOST, HeaderValue::from_static("there is room for the fields of the gateway itself"));
    }
}
