//! Connections to backends, counted: the pool of hyper-util keeps them and does not tell.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::count;

/// How many connections to backends there are, and how many there have been.
#[derive(Debug, Default)]
pub(crate) struct Connects {
    pub(super) connecting: AtomicI64,
    pub(super) open: AtomicI64,
    pub(super) made: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// Counts in a state as long as it lives.
#[derive(Debug)]
pub(crate) struct State {
    connects: Arc<Connects>,
    of: fn(&Connects) -> &AtomicI64,
}

impl State {
    fn new(connects: &Arc<Connects>, of: fn(&Connects) -> &AtomicI64) -> Self {
        of(connects).fetch_add(1, Ordering::Relaxed);
        Self { connects: Arc::clone(connects), of }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        (self.of)(&self.connects).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connects {
    /// Waits for a connection; it counts as open as long as the second part of the answer lives.
    pub(crate) async fn track<T, E>(self: &Arc<Self>, connecting: impl Future<Output = Result<T, E>>) -> Result<(T, State), E> {
        let waiting = State::new(self, |this| &this.connecting);
        let result = connecting.await;
        drop(waiting);
        count(if result.is_ok() { &self.made } else { &self.failed });
        Ok((result?, State::new(self, |this| &this.open)))
    }
}

/// Opens connections, and counts them.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    inner: HttpConnector,
    connects: Arc<Connects>,
}

impl Connector {
    pub(crate) fn new(inner: HttpConnector, connects: &Arc<Connects>) -> Self {
        Self { inner, connects: Arc::clone(connects) }
    }
}

impl Service<Uri> for Connector {
    type Response = Counted;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Counted, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (connecting, connects) = (self.inner.call(target), Arc::clone(&self.connects));
        Box::pin(async move { connects.track(connecting).await.map(|(stream, open)| Counted { stream, _open: open }) })
    }
}

/// A connection that counts as open.
#[derive(Debug)]
pub(crate) struct Counted {
    stream: TokioIo<TcpStream>,
    _open: State,
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
