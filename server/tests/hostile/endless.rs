//! A backend that answers and never comes to an end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::bounds::PATIENCE;

/// Such a backend.
#[derive(Clone)]
pub(super) struct Endless {
    pub(super) address: SocketAddr,
    /// Connections that are still there.
    open: Arc<AtomicUsize>,
    /// All that there have been.
    accepted: Arc<AtomicUsize>,
}

impl Endless {
    /// `head` comes once, `piece` again and again.
    pub(super) async fn start(head: &'static str, piece: impl Into<Vec<u8>>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { address: socket.local_addr().unwrap(), open: Arc::default(), accepted: Arc::default() };
        let (backend, piece) = (this.clone(), Arc::<[u8]>::from(piece.into()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                backend.accepted.fetch_add(1, Ordering::SeqCst);
                backend.open.fetch_add(1, Ordering::SeqCst);
                let (backend, piece) = (backend.clone(), Arc::clone(&piece));
                tokio::spawn(async move {
                    let _ = talk(stream, head, &piece).await;
                    backend.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        this
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Waits until nobody listens to it any longer.
    pub(super) async fn is_left(&self) {
        let left = async {
            while self.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, left).await.expect("the backend is still listened to");
    }
}

async fn talk(mut stream: TcpStream, head: &str, piece: &[u8]) -> std::io::Result<()> {
    stream.read_buf(&mut Vec::with_capacity(64 * 1024)).await?;
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(piece).await?;
    }
}
