//! Authorization services: over HTTP, and over gRPC with messages written octet by octet.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What a service was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: http::request::Parts,
    pub body: Bytes,
}

impl Asked {
    pub fn field(&self, name: &str) -> Vec<&str> {
        self.head.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

/// A service, and what it was asked so far.
#[derive(Clone)]
pub struct Service {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    /// One that answers so.
    async fn start(answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let service = Self { address: socket.local_addr().unwrap(), asked: Arc::default() };
        let (asked, answer) = (Arc::clone(&service.asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let one = Asked { head, body: body.collect().await?.to_bytes() };
                        asked.lock().unwrap().push(one.clone());
                        Ok::<_, hyper::Error>(answer(&one))
                    }
                });
                tokio::spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        service
    }

    /// One over HTTP.
    pub async fn http(answer: impl Fn(&Asked) -> Response<&'static str> + Send + Sync + 'static) -> Self {
        Self::start(move |asked| answer(asked).map(|text| Full::from(text).boxed_unsync())).await
    }

    /// One over gRPC that answers with this message and status of the call.
    pub async fn grpc(message: Vec<u8>, status: &'static str) -> Self {
        Self::start(move |_| {
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).unwrap());
            framed.extend_from_slice(&message);
            let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), http::HeaderValue::from_static(status))]);
            let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
            Response::builder().header("content-type", "application/grpc").body(body.boxed_unsync()).unwrap()
        })
        .await
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn last(&self) -> Asked {
        self.asked().pop().expect("the service was not asked")
    }
}

/// A field of a message: a message, text or octets.
pub fn member(number: u8, octets: impl AsRef<[u8]>) -> Vec<u8> {
    let octets = octets.as_ref();
    let mut field = vec![number << 3 | 2];
    let mut length = octets.len();
    while length > 0x7f {
        field.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(octets);
    field
}

/// A field of a message: a number.
pub fn number(number: u8, value: u16) -> Vec<u8> {
    if value < 0x80 { vec![number << 3, value as u8] } else { vec![number << 3, (value & 0x7f) as u8 | 0x80, (value >> 7) as u8] }
}

/// `HeaderValueOption`.
pub fn option(name: &str, value: &str, more: &[u8]) -> Vec<u8> {
    [member(1, [member(1, name), member(2, value)].concat()), more.to_vec()].concat()
}

/// The octets of a field of a message within a message, and so on; those of numbers are left out.
pub fn find(mut message: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    let Some((wanted, rest)) = path.split_first() else { return vec![message.to_vec()] };
    let mut found = Vec::new();
    let varint = |message: &mut &[u8]| {
        let (mut value, mut shift) = (0_usize, 0);
        loop {
            let (octet, after) = message.split_first().unwrap();
            *message = after;
            value |= usize::from(octet & 0x7f) << shift;
            shift += 7;
            if octet & 0x80 == 0 {
                return value;
            }
        }
    };
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = varint(&mut message);
        if tag & 7 == 2 {
            let (field, after) = message.split_at(length);
            message = after;
            if tag >> 3 == usize::from(*wanted) {
                found.extend(find(field, rest));
            }
        }
    }
    found
}

/// The same as texts.
pub fn texts(message: &[u8], path: &[u8]) -> Vec<String> {
    find(message, path).into_iter().map(|octets| String::from_utf8(octets).unwrap()).collect()
}
