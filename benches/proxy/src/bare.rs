//! A proxy on hyper, written by hand, that does no routing: what carrying a request costs by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Pool = Client<HttpConnector, Incoming>;

/// Serves on this thread, without end.
pub(crate) fn run(address: SocketAddr, backend: SocketAddr, tls: &[PathBuf]) -> Result<(), String> {
    let acceptor = match tls {
        [certificate, key] => Some(acceptor(certificate, key)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(serve(address, backend, acceptor)).map_err(|error| error.to_string())
}

fn acceptor(certificate: &PathBuf, key: &PathBuf) -> Result<TlsAcceptor, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let certificate = CertificateDer::from_pem_file(certificate).map_err(|error| text(&error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| text(&error))?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    let mut config = config.map_err(|error| text(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(address: SocketAddr, backend: SocketAddr, acceptor: Option<TlsAcceptor>) -> std::io::Result<()> {
    let socket = TcpListener::bind(address).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).set_host(false).build(connector);
    let builder = auto::Builder::new(TokioExecutor::new());
    loop {
        let Ok((stream, _)) = socket.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (pool, acceptor, builder) = (pool.clone(), acceptor.clone(), builder.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(pool.clone(), backend, request));
            match acceptor {
                None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
            }
        });
    }
}

const OF_ONE_HOP: [HeaderName; 4] = [header::CONNECTION, header::TE, header::UPGRADE, header::TRANSFER_ENCODING];

async fn answer(
    pool: Pool,
    backend: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<BoxBody<bytes::Bytes, hyper::Error>>, Infallible> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let uri = format!("http://{backend}{target}").parse::<Uri>();
    if let Ok(host) = request.uri().authority().map_or("", |authority| authority.as_str()).parse()
        && request.version() == Version::HTTP_2
    {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = uri.unwrap_or_default();
    OF_ONE_HOP.iter().for_each(|name| drop(request.headers_mut().remove(name)));
    Ok(match pool.request(request).await {
        Ok(mut response) => {
            OF_ONE_HOP.iter().for_each(|name| drop(response.headers_mut().remove(name)));
            response.map(|body| body.boxed())
        }
        Err(_) => {
            let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    })
}
