//! The header fields of a CORS answer ([C-3] to [C-8]).

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::decision::CorsAnswer;
use crate::model::cors::{CORS_FIELDS, CorsList};

/// The CORS fields of a response; they replace the backend's own ([C-5]). A response to an origin that is not
/// allowed stays as it is: without these fields a browser does not hand it to the script.
pub fn cors_headers(answer: &CorsAnswer<'_>, headers: &mut HeaderMap) {
    let Some(origin) = answer.origin.and_then(|origin| HeaderValue::from_bytes(origin).ok()) else { return };
    let cors = answer.cors;
    for field in CORS_FIELDS {
        headers.remove(field);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let mut vary = vec!["Origin"];
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    match &cors.expose {
        // With credentials a star would be a field of that name ([C-6]).
        CorsList::Any if !cors.credentials => {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        }
        CorsList::List(list) => {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, list.clone());
        }
        _ => {}
    }
    if let Some(preflight) = &answer.preflight {
        if echo_or_list(&cors.methods, Some(preflight.method), header::ACCESS_CONTROL_ALLOW_METHODS, headers) {
            vary.push("Access-Control-Request-Method");
        }
        if echo_or_list(&cors.headers, preflight.headers, header::ACCESS_CONTROL_ALLOW_HEADERS, headers) {
            vary.push("Access-Control-Request-Headers");
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age));
    }
    add_vary(&vary, headers);
}

/// Writes a configured list, or for `*` what the request asks for, which is right with and without credentials
/// ([C-6], [C-8]). Says whether the answer depends on the request.
fn echo_or_list(list: &CorsList, asked: Option<&[u8]>, name: HeaderName, headers: &mut HeaderMap) -> bool {
    let (value, echoed) = match list {
        CorsList::Absent => return false,
        CorsList::List(list) => (Some(list.clone()), false),
        CorsList::Any => (asked.and_then(|asked| HeaderValue::from_bytes(asked).ok()), true),
    };
    if let Some(value) = value {
        headers.insert(name, value);
    }
    echoed
}

/// Adds what is missing to `Vary` (RFC 9110 section 12.5.5).
fn add_vary(names: &[&'static str], headers: &mut HeaderMap) {
    let has = |name: &str| {
        let values = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim() == "*" || one.trim().eq_ignore_ascii_case(name))
    };
    let missing: Vec<&str> = names.iter().copied().filter(|name| !has(name)).collect();
    if let (false, Ok(value)) = (missing.is_empty(), HeaderValue::from_str(&missing.join(", "))) {
        headers.append(header::VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Preflight;
    use crate::model::cors::{Cors, OriginPattern};

    fn answer(cors: &Cors, origin: Option<&[u8]>, preflight: bool) -> HeaderMap {
        let preflight = preflight.then_some(Preflight { method: b"PUT", headers: Some(b"x-one, x-two") });
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://backend.example"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, origin"));
        cors_headers(&CorsAnswer { cors, origin, preflight }, &mut headers);
        headers
    }

    fn cors(credentials: bool, lists: CorsList) -> Cors {
        Cors {
            origins: [OriginPattern::Any].into(),
            credentials,
            methods: lists.clone(),
            headers: lists.clone(),
            expose: lists,
            max_age: 5,
        }
    }

    /// [C-3], [C-5], [C-6]
    #[test]
    fn preflights() {
        let list = || CorsList::List(HeaderValue::from_static("GET, x-a"));
        for (credentials, lists, methods, allow, expose) in [
            (false, list(), Some("GET, x-a"), Some("GET, x-a"), Some("GET, x-a")),
            (true, list(), Some("GET, x-a"), Some("GET, x-a"), Some("GET, x-a")),
            (false, CorsList::Any, Some("PUT"), Some("x-one, x-two"), Some("*")),
            (true, CorsList::Any, Some("PUT"), Some("x-one, x-two"), None),
            (true, CorsList::Absent, None, None, None),
        ] {
            let headers = answer(&cors(credentials, lists), Some(b"https://a.example"), true);
            let get = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(get("access-control-allow-origin"), Some("https://a.example"));
            assert_eq!(get("access-control-allow-credentials"), credentials.then_some("true"));
            assert_eq!(get("access-control-allow-methods"), methods);
            assert_eq!(get("access-control-allow-headers"), allow);
            assert_eq!(get("access-control-expose-headers"), expose);
            assert_eq!(get("access-control-max-age"), Some("5"));
        }
    }

    #[test]
    fn other_origins_get_nothing() {
        let headers = answer(&cors(true, CorsList::Any), None, true);
        assert_eq!(headers.len(), 2, "{headers:?}");
    }

    #[test]
    fn vary_is_added_once() {
        let headers = answer(&cors(false, CorsList::Any), Some(b"https://a.example"), true);
        let vary: Vec<_> = headers.get_all(header::VARY).iter().collect();
        assert_eq!(vary, ["Accept, origin", "Access-Control-Request-Method, Access-Control-Request-Headers"]);
        let plain = answer(&cors(false, CorsList::Any), Some(b"https://a.example"), false);
        assert_eq!(plain.get(header::ACCESS_CONTROL_MAX_AGE), None);
    }
}
