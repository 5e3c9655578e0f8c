//! Streams: a client joined to a backend, octet for octet ([T-2], [T-6]).

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::proxy::backends::backend_tls::Speaker;

/// How long connecting to a backend may take.
pub(in crate::proxy) const CONNECT: Duration = Duration::from_secs(5);

/// Connects to a backend.
pub(in crate::proxy) async fn connect(address: &str) -> Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects, and copies both ways until both have ended or nothing has come for `idle`; where one side only ends what it
/// sends, the other way goes on. `first` has been read from the client before. The backend is spoken to over TLS if `tls`
/// says how.
pub(in crate::proxy) async fn join<C>(client: C, first: &[u8], address: &str, tls: Option<&Speaker>, idle: Duration) -> Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let mut backend = connect(address).await?;
    match tls {
        None => {
            backend.write_all(first).await?;
            copy(client, backend, idle).await
        }
        Some(speaker) => {
            let mut backend = speaker.stream(backend).await?;
            backend.write_all(first).await?;
            copy(client, backend, idle).await
        }
    }
}

/// Copies both ways.
pub(in crate::proxy) async fn copy(
    client: impl AsyncRead + AsyncWrite + Unpin,
    backend: impl AsyncRead + AsyncWrite + Unpin,
    idle: Duration,
) -> Result<()> {
    let reads = Arc::<AtomicUsize>::default();
    let mut client = Counted { stream: client, reads: Arc::clone(&reads) };
    let mut backend = Counted { stream: backend, reads: Arc::clone(&reads) };
    // Looked at twice in the time, so that no timer has to be set anew for each octet.
    let is_idle = async {
        let (mut before, mut silent) = (0, 0);
        while silent < 2 {
            tokio::time::sleep(idle / 2).await;
            let now = reads.load(Ordering::Relaxed);
            silent = if now == before { silent + 1 } else { 0 };
            before = now;
        }
    };
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut client, &mut backend) => copied.map(drop),
        () = is_idle => Err(Error::from(ErrorKind::TimedOut)),
    }
}

/// A stream that counts how often something is read from it.
struct Counted<S> {
    stream: S,
    reads: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        if read.is_ready() {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_ends() {
        let ((mut client, near), (far, mut backend)) = (duplex(64), duplex(64));
        let copying = tokio::spawn(copy(near, far, Duration::from_secs(60)));
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(40)).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(backend.read_u8().await.unwrap(), b'x');
        }
        let silent = tokio::time::Instant::now();
        assert_eq!(copying.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
        assert!((60..=90).contains(&silent.elapsed().as_secs()), "{:?}", silent.elapsed());
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
