//! A backend that fails the first requests with a token, as the retry cases of the upstream suite ask for:
//! `/retry/...?uuid=TOKEN&succeedAfter=2`, with `responseCode=503` or else by breaking the connection, and with
//! `delayRetry=100ms` before each failure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gatewright_server::echo::{Echo, Name};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// Such a backend.
#[derive(Clone)]
pub struct Retried {
    pub address: SocketAddr,
    /// Requests that arrived with each token.
    arrived: Arc<Mutex<BTreeMap<String, u32>>>,
    /// Failures with each token: failing requests are handled one at a time.
    failed: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Retried {
    /// Starts one on a free port of the loopback interface.
    pub async fn start(name: Name) -> std::io::Result<Self> {
        let socket = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let backend = Self { address: socket.local_addr()?, arrived: Arc::default(), failed: Arc::default() };
        let started = backend.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (backend, name) = (backend.clone(), name.clone());
                tokio::spawn(async move { backend.answer(stream, name).await });
            }
        });
        Ok(started)
    }

    /// The number of requests that arrived with the token of a target.
    pub async fn arrived(&self, target: &str) -> u32 {
        self.arrived.lock().await.get(&parameter(target, "uuid").unwrap_or_default()).copied().unwrap_or(0)
    }

    async fn answer(&self, stream: TcpStream, name: Name) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut start = lines.first()?.split(' ');
        let (method, target) = (start.next()?.to_owned(), start.next()?.to_owned());
        let headers: Vec<_> =
            lines.iter().skip(1).filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        if let Some(token) = parameter(&target, "uuid") {
            *self.arrived.lock().await.entry(token.clone()).or_default() += 1;
            let mut all = self.failed.lock().await;
            let failed = all.entry(token).or_default();
            if *failed < parameter(&target, "succeedAfter")?.parse().ok()? {
                *failed += 1;
                if let Some(delay) = parameter(&target, "delayRetry") {
                    tokio::time::sleep(Duration::from_millis(delay.strip_suffix("ms")?.parse().ok()?)).await;
                }
                // Without a status the connection ends here.
                let status = parameter(&target, "responseCode")?;
                let response = format!("HTTP/1.1 {status} Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                return stream.write_all(response.as_bytes()).await.ok();
            }
        }
        let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, host)| host.clone()).unwrap_or_default();
        let (namespace, pod) = (name.namespace, name.service);
        let echo =
            Echo { namespace, pod, method, host, path: target, proto: "HTTP/1.1".to_owned(), headers, body: 0, trailers: Vec::new() };
        let body = serde_json::to_string(&echo).ok()?;
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        stream.write_all(response.as_bytes()).await.ok()
    }
}

/// The value of a query parameter.
fn parameter(target: &str, name: &str) -> Option<String> {
    let mut pairs = target.split_once('?')?.1.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}
