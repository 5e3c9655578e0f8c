//! Error pages: the body of a response with the code of an error comes from a backend; status and fields stay.

use std::time::Duration;

use gatewright::ObjectRef;
use gatewright::table::Endpoints;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};

use crate::extensions::{Page, Policy};
use crate::proxy::requests::body::{self, AnyBody, BoxError};
use crate::proxy::requests::guard::{Guard, is_grpc};

/// How long a page may take: an answer is waiting for it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of a page at most.
const MOST: usize = 1024 * 1024;

/// The response with the page for its code, if there is one; a page that cannot be got changes nothing.
pub(in crate::proxy) async fn with_page(guard: &Guard<'_>, response: Response<AnyBody>) -> Response<AnyBody> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_grpc(guard.parts) || guard.parts.method == Method::HEAD {
        return response;
    }
    let policies = guard.guards.extensions.iter().filter_map(|name| guard.published.extensions.get(name));
    let pages = policies.filter_map(|policy| if let Policy::ErrorPages(pages) = policy { Some(pages) } else { None });
    let found = pages.filter_map(|pages| pages.page(status)).next();
    let Some((page, service)) = found else { return response };
    match tokio::time::timeout(TIMEOUT, fetch(guard, page, &service)).await {
        Ok(Ok(page)) => replaced(response, page),
        Ok(Err(error)) => {
            tracing::warn!(%error, %service, "no error page");
            response
        }
        Err(_) => {
            tracing::warn!(%service, "an error page took too long");
            response
        }
    }
}

async fn fetch(guard: &Guard<'_>, page: &Page, service: &ObjectRef) -> Result<Response<bytes::Bytes>, BoxError> {
    let table = &guard.published.table;
    let id = guard.published.extensions.backend(service, page.service.port).ok_or("the backend is not known")?;
    let backend = table.backend(id).ok_or("the backend is not known")?;
    if matches!(&backend.endpoints, Endpoints::Known(list) if list.is_empty()) {
        return Err("the backend has no ready endpoint".into());
    }
    let mut head = Request::new(()).into_parts().0;
    head.uri = page.path.clone().into();
    let host = format!("{}.{}:{}", service.name, service.namespace, page.service.port);
    head.headers.insert(header::HOST, HeaderValue::from_str(&host)?);
    // What the client can read; nothing else of it is the page's business.
    for name in [header::ACCEPT, header::ACCEPT_LANGUAGE] {
        if let Some(value) = guard.parts.headers.get(&name) {
            head.headers.insert(name, value.clone());
        }
    }
    let tls = guard.guards.parent.and_then(|parent| guard.published.backends_tls.get(table, backend.id, parent));
    let address = guard.shared.upstreams.address(backend, None, guard.pick.derive(4000).0).ok_or("the backend has no address")?;
    let request = Request::from_parts(head, body::empty());
    let (head, incoming) = guard.shared.upstreams.send(backend, tls.as_deref(), &address, request).await?.into_parts();
    if !head.status.is_success() {
        return Err(format!("the backend answered {}", head.status).into());
    }
    let octets = Limited::new(incoming, MOST).collect().await?.to_bytes();
    Ok(Response::from_parts(head, octets))
}

/// The response with another body, and with the fields that describe it.
fn replaced(response: Response<AnyBody>, page: Response<bytes::Bytes>) -> Response<AnyBody> {
    let (mut head, _) = response.into_parts();
    let (of_page, octets) = page.into_parts();
    let described = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE];
    let of_body = [header::CONTENT_LENGTH, header::CONTENT_RANGE, header::CONTENT_LOCATION, header::ACCEPT_RANGES, header::ETAG];
    for name in described.iter().chain(&of_body).chain(&[header::LAST_MODIFIED, header::TRAILER]) {
        head.headers.remove(name);
    }
    for name in described {
        if let Some(value) = of_page.headers.get(&name) {
            head.headers.insert(name, value.clone());
        }
    }
    Response::from_parts(head, if octets.is_empty() { body::empty() } else { body::full(octets) })
}
