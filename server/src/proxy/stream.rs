//! Streams: a client joined to a backend, octet for octet ([T-2], [T-6]).

use std::io::Result;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long connecting to a backend may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// Copies both ways until both have ended; where one side only ends what it sends, the other way goes on. `first` has
/// been read from the client before.
pub(super) async fn join(mut client: impl AsyncRead + AsyncWrite + Unpin, first: &[u8], address: &str) -> Result<()> {
    let mut backend = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
    backend.set_nodelay(true)?;
    backend.write_all(first).await?;
    tokio::io::copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}
