//! Backends that answer every request with the same octets, whatever they are, and record what they get.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a backend does behind its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Waits for the next request.
    Stays,
    /// Closes the connection.
    Closes,
    /// Resets it.
    Resets,
    /// Repeats the answer without end.
    Repeats,
}

/// A backend; what it got, connection by connection.
#[derive(Clone)]
pub struct Scripted {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Scripted {
    pub async fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self { address: socket.local_addr().unwrap(), got: Arc::default() };
        let (got, answer) = (Arc::clone(&backend.got), Arc::<[u8]>::from(answer.into()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let number = {
                    let mut got = got.lock().unwrap();
                    got.push(Vec::new());
                    got.len() - 1
                };
                tokio::spawn(play(stream, Arc::clone(&answer), then, Arc::clone(&got), number));
            }
        });
        backend
    }

    /// What came on each connection.
    pub fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|octets| String::from_utf8_lossy(octets).into_owned()).collect()
    }

    pub fn connections(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn play(mut stream: TcpStream, answer: Arc<[u8]>, then: Then, got: Arc<Mutex<Vec<Vec<u8>>>>, number: usize) {
    let mut request = Vec::new();
    loop {
        let before = request.len();
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => got.lock().unwrap()[number].extend(&request[before..]),
        }
        if !request.windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        request.clear();
        loop {
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            match then {
                Then::Stays => break,
                Then::Closes => return,
                Then::Resets => return drop(stream.set_zero_linger()),
                Then::Repeats => {}
            }
        }
    }
}
