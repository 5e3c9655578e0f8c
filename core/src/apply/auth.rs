//! Asking an external authorization service, and what its answer means ([E-2] to [E-5]).
//!
//! A caller that gets a decision with a [`Check`] does, before anything else:
//!
//! 1. if the service takes a body ([`ExternalAuth::max_body`]), buffer it, and answer 413 when it is larger;
//! 2. ask the backend of the service: over HTTP with [`request`], over gRPC with a message made from [`headers`];
//! 3. on [`Verdict::Allow`] go on, with [`forward_allowed`](super::forward_allowed) for a `Forward`; on any other
//!    verdict answer the client. A service that cannot be reached, or not in time, is [`Verdict::Failed`].

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::canonical::{is_of_one_hop, same_to_some};
use crate::decision::{Check, Target};
use crate::model::auth::{AuthProtocol, ExternalAuth};

/// What an answer of the service means for the client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Answer with this status and the service's own header fields ([`denial_headers`]) and body: the service says no,
    /// or sends the client to a login.
    Deny(StatusCode),
    /// Answer 403: the service says no and nothing that is meant for the client.
    Forbid,
    /// Answer 500: the service could not be asked, which is no permission.
    Failed,
}

impl Verdict {
    /// The verdict of an HTTP service: 200 allows, and nothing else does ([E-4]).
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            200 => Self::Allow,
            300..=499 => Self::Deny(status),
            500.. => Self::Failed,
            _ => Self::Forbid,
        }
    }

    /// The status for the client; `None` for a request that may go on.
    pub fn status(self) -> Option<StatusCode> {
        match self {
            Self::Allow => None,
            Self::Deny(status) => Some(status),
            Self::Forbid => Some(StatusCode::FORBIDDEN),
            Self::Failed => Some(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The request to an HTTP service: the client's method, the canonical path of its request below the prefix of the
/// service, its query, its Host, `Authorization` and the allowed fields, and the length of the body that the service
/// gets ([E-2]). `client` is the request as it came, `target` that of the decision.
pub fn request(check: &Check<'_>, target: &Target<'_>, client: &Parts, body_len: u64) -> Parts {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.method = client.method.clone();
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = [check.service.path_prefix(), target.request_path(), &query].concat();
    // A canonical path is a URI; were it none, the service would better be asked about nothing than about less.
    parts.uri = path.parse::<Uri>().unwrap_or_else(|_| Uri::from_static("/"));
    for (name, value) in headers(check.service, &client.headers) {
        parts.headers.append(name, value.clone());
    }
    if let Some(Ok(host)) = check.authority.map(HeaderValue::from_str) {
        parts.headers.insert(header::HOST, host);
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body_len));
    parts
}

/// The fields of the client's request that the service gets: those of [E-2] or [E-3], and never those that frame the
/// client's own message.
pub fn headers<'h>(service: &'h ExternalAuth, client: &'h HeaderMap) -> impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)> {
    let allowed = service.request_headers();
    let wanted = move |name: &HeaderName| match service.protocol() {
        AuthProtocol::Http => *name == header::AUTHORIZATION || allowed.contains(name),
        AuthProtocol::Grpc => allowed.is_empty() || allowed.contains(name),
    };
    client.iter().filter(move |(name, _)| wanted(name) && !frames(name, client))
}

/// Copies the fields of the answer of a service that allows into the request ([E-5]). What a client sends under the
/// name of a listed field is taken out, whether or not the service gives it: a client must not speak for the service.
pub fn copy_allowed(service: &ExternalAuth, answer: &HeaderMap, request: &mut HeaderMap) {
    let listed = service.response_headers();
    for name in listed {
        take_out(name, request);
    }
    let copied = |name: &HeaderName| (listed.is_empty() || listed.contains(name)) && !frames(name, answer);
    for name in answer.keys().filter(|name| copied(name)) {
        take_out(name, request);
        for value in answer.get_all(name) {
            request.append(name, value.clone());
        }
    }
}

/// Takes a field out of a request in every spelling that some backends take for it ([R-F4]).
pub fn take_out(name: &HeaderName, request: &mut HeaderMap) {
    request.remove(name);
    let alias = |other: &&HeaderName| same_to_some(name.as_str().as_bytes(), other.as_str().as_bytes());
    let aliases: Vec<_> = request.keys().filter(alias).cloned().collect();
    for alias in aliases {
        request.remove(alias);
    }
}

/// The header fields of a denial as the client gets them; its body is the service's, framed anew. The edits of the
/// decision's response follow ([F-7]).
pub fn denial_headers(answer: &HeaderMap) -> HeaderMap {
    let kept = answer.iter().filter(|(name, _)| !is_of_one_hop(name.as_str().as_bytes(), answer) && *name != header::CONTENT_LENGTH);
    let mut headers = HeaderMap::new();
    kept.for_each(|(name, value)| {
        headers.append(name, value.clone());
    });
    headers
}

/// Whether a field says to whom a message goes or how it is framed, which each message says for itself.
pub(crate) fn frames(name: &HeaderName, message: &HeaderMap) -> bool {
    is_of_one_hop(name.as_str().as_bytes(), message) || [header::HOST, header::CONTENT_LENGTH].contains(name)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::decision::Rewrite;
    use crate::table::BackendId;

    fn service(protocol: AuthProtocol, request: &[&'static str], response: &[&'static str]) -> ExternalAuth {
        let names = |list: &[&'static str]| list.iter().map(|name| HeaderName::from_static(name)).collect();
        ExternalAuth {
            protocol,
            backend: BackendId(0),
            path_prefix: "/check".into(),
            request_headers: names(request),
            response_headers: names(response),
            max_body: 0,
        }
    }

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names<'h>(headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> Vec<&'h str> {
        headers.map(|(name, _)| name.as_str()).collect()
    }

    const CLIENT: [(&str, &str); 7] = [
        ("host", "other"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("x-one", "1"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-two"),
    ];

    /// [E-2]
    #[test]
    fn what_an_http_service_is_asked() {
        let client = http::Request::post("/a").body(()).unwrap();
        let (mut client, ()) = client.into_parts();
        client.headers = fields(&CLIENT);
        let target = Target { path: Cow::Borrowed("/app/x"), query: Some("q=1"), rewrite: Rewrite::Full("/rewritten") };
        let with_list = service(AuthProtocol::Http, &["x-one", "content-length", "host"], &[]);
        for (service, expected) in [
            (service(AuthProtocol::Http, &[], &[]), vec!["authorization", "content-length", "host"]),
            (with_list, vec!["authorization", "content-length", "host", "x-one"]),
        ] {
            let check = Check { service: &service, authority: Some("app.example:8080") };
            let asked = request(&check, &target, &client, 5);
            assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("POST", "/check/app/x?q=1"));
            let mut got = names(asked.headers.iter());
            got.sort_unstable();
            assert_eq!(got, expected);
            assert_eq!(asked.headers[header::HOST], "app.example:8080");
            assert_eq!(asked.headers[header::CONTENT_LENGTH], "5");
        }
    }

    /// [E-3]: the empty list means all fields.
    #[test]
    fn what_a_grpc_service_is_told() {
        let client = fields(&CLIENT);
        let (everything, one) = (service(AuthProtocol::Grpc, &[], &[]), service(AuthProtocol::Grpc, &["cookie"], &[]));
        let mut all = names(headers(&everything, &client));
        all.sort_unstable();
        assert_eq!(all, ["authorization", "cookie", "x-one"]);
        assert_eq!(names(headers(&one, &client)), ["cookie"]);
    }

    /// [E-4]
    #[test]
    fn verdicts() {
        for (status, verdict, answered) in [
            (200, Verdict::Allow, None),
            (201, Verdict::Forbid, Some(403)),
            (204, Verdict::Forbid, Some(403)),
            (302, Verdict::Deny(StatusCode::FOUND), Some(302)),
            (401, Verdict::Deny(StatusCode::UNAUTHORIZED), Some(401)),
            (403, Verdict::Deny(StatusCode::FORBIDDEN), Some(403)),
            (500, Verdict::Failed, Some(500)),
            (503, Verdict::Failed, Some(500)),
        ] {
            let got = Verdict::of_status(StatusCode::from_u16(status).unwrap());
            assert_eq!((got, got.status().map(|s| s.as_u16())), (verdict, answered), "{status}");
        }
    }

    /// [E-5]
    #[test]
    fn what_an_answer_adds() {
        let answer = fields(&[("x-user", "ann"), ("x-more", "1"), ("host", "auth"), ("content-length", "0"), ("connection", "close")]);
        let client = || {
            fields(&[
                ("x_user", "root"),
                ("x-user", "root"),
                ("x-role", "admin"),
                ("x-kept", "k"),
                ("host", "app"),
                ("content-length", "9"),
            ])
        };
        let after = |listed: &[&'static str]| {
            let mut request = client();
            copy_allowed(&service(AuthProtocol::Http, &[], listed), &answer, &mut request);
            let mut got: Vec<String> = request.iter().map(|(n, v)| format!("{n}={}", v.to_str().unwrap())).collect();
            got.sort_unstable();
            got.join(" ")
        };
        assert_eq!(after(&[]), "content-length=9 host=app x-kept=k x-more=1 x-role=admin x-user=ann");
        // A listed name is the service's alone, even if it says nothing.
        assert_eq!(after(&["x-user", "x-role"]), "content-length=9 host=app x-kept=k x-user=ann");
        let denied = denial_headers(&fields(&[("www-authenticate", "Basic"), ("content-length", "3"), ("connection", "close")]));
        assert_eq!(names(denied.iter()), ["www-authenticate"]);
    }
}
