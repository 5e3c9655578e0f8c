//! A backend that costs little: every request is answered with the same KiB.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Serves on this thread, without end.
pub(crate) fn run(address: SocketAddr) -> Result<(), String> {
    let answer: &'static [u8] =
        Box::leak([b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n".to_vec(), vec![b'x'; 1024]].concat().into_boxed_slice());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async move {
        let socket = TcpListener::bind(address).await.map_err(|error| error.to_string())?;
        loop {
            let Ok((stream, _)) = socket.accept().await else { continue };
            tokio::spawn(serve(stream, answer));
        }
    })
}

async fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = ([0; 16 * 1024], 0);
    loop {
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            read => filled += read,
        }
        // Requests have no bodies here.
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            stream.write_all(answer).await?;
        } else if filled == buffer.len() {
            return Ok(());
        }
    }
}
