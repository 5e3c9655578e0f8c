//! Streams: a client joined to a backend, octet for octet ([T-2], [T-6]).

use std::io::Result;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::backend_tls::Speaker;

/// How long connecting to a backend may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// Connects to a backend.
pub(super) async fn connect(address: &str) -> Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Copies both ways until both have ended; where one side only ends what it sends, the other way goes on. `first` has
/// been read from the client before. The backend is spoken to over TLS if `tls` says how.
pub(super) async fn join<C>(client: C, first: &[u8], address: &str, tls: Option<&Speaker>) -> Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let backend = connect(address).await?;
    match tls {
        None => copy(client, first, backend).await,
        Some(speaker) => copy(client, first, speaker.stream(backend).await?).await,
    }
}

async fn copy(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    first: &[u8],
    mut backend: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<()> {
    backend.write_all(first).await?;
    tokio::io::copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}
