//! TLS towards clients: the ClientHello is read first, since what becomes of the connection depends on its server name
//! ([L-23], [L-25]).

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Accepted, Acceptor};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

/// Octets that are read at once.
const STEP: usize = 4096;

/// A ClientHello.
pub(in crate::proxy) struct Hello {
    accepted: Accepted,
    octets: Vec<u8>,
}

impl Hello {
    /// Reads one, and answers nothing: not even an alert to what is none ([T-3]). rustls takes 64 KiB at most, whatever the
    /// records they come in ([R-L6]).
    pub(in crate::proxy) async fn read(stream: &mut TcpStream) -> Result<Self> {
        let mut acceptor = Acceptor::default();
        let mut octets = Vec::new();
        let mut buffer = [0; STEP];
        loop {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut new = &buffer[..read];
            octets.extend_from_slice(new);
            while !new.is_empty() {
                acceptor.read_tls(&mut new)?;
            }
            if let Some(accepted) = acceptor.accept().map_err(|(error, _)| Error::new(ErrorKind::InvalidData, error))? {
                return Ok(Self { accepted, octets });
            }
        }
    }

    /// The server name, if there is one.
    pub(in crate::proxy) fn server_name(&self) -> Option<String> {
        self.accepted.client_hello().server_name().map(str::to_owned)
    }

    /// What was read, to be forwarded as it came ([T-2]).
    pub(in crate::proxy) fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// Goes on with the handshake.
    pub(in crate::proxy) async fn finish(self, stream: TcpStream, config: Arc<ServerConfig>) -> Result<TlsStream<TcpStream>> {
        StartHandshake::from_parts(self.accepted, stream).into_stream(config).await
    }
}
