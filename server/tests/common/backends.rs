//! Backends that speak something else than HTTP, as the README of the upstream suite describes them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::pki::Signed;
use super::tls::{asking_config, server_config};

/// What a backend of streams or datagrams says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub namespace: String,
    pub pod: String,
    pub service: String,
    /// The server name, if the stream came inside TLS.
    pub tls: Option<String>,
    /// The datagram.
    pub request: String,
}

const GREETING: &str = "Gateway API Test TCP Server";

/// A backend of lines, inside TLS if it has a certificate: greets, and answers `TEST` with what it is.
pub async fn tcp(told: Told, certificate: Option<&Signed>) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let acceptor = certificate.map(|signed| TlsAcceptor::from(server_config(signed)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let (told, acceptor) = (told.clone(), acceptor.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => lines(stream, told).await,
                    Some(acceptor) => {
                        let stream = acceptor.accept(stream).await?;
                        let tls = Some(stream.get_ref().1.server_name().unwrap_or_default().to_owned());
                        lines(stream, Told { tls, ..told }).await
                    }
                }
            });
        }
    });
    Ok(address)
}

async fn lines(stream: impl AsyncRead + AsyncWrite + Unpin, told: Told) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(format!("{GREETING}\n").as_bytes()).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let answer = match line.trim_end() {
            "TEST" => serde_json::to_string(&told)?,
            other => format!("unknown: {other}"),
        };
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
        stream.flush().await?;
        line.clear();
    }
    stream.shutdown().await
}

/// The client's part of the conversation with a backend of lines.
pub async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Told> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.trim_end() != GREETING {
        return Err(io::Error::other(format!("greeted with {line:?}")));
    }
    stream.write_all(b"TEST\n").await?;
    stream.flush().await?;
    line.clear();
    stream.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

/// Puts TLS before a backend that speaks without.
pub async fn inside_tls(certificate: &Signed, plain: SocketAddr) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let acceptor = TlsAcceptor::from(server_config(certificate));
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut plain = TcpStream::connect(plain).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut plain).await
            });
        }
    });
    Ok(address)
}

/// What each backend inside TLS, by its name, saw in the last handshake.
pub type Handshakes = Arc<Mutex<BTreeMap<String, Handshake>>>;

/// What a backend saw of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    pub sni: String,
    pub alpn: String,
    pub certificate: Option<CertificateDer<'static>>,
}

/// Puts TLS before a backend that speaks without, asks for a client certificate, and notes what it saw.
pub async fn noting_tls(certificate: &Signed, plain: SocketAddr, name: &str, seen: &Handshakes) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let acceptor = TlsAcceptor::from(asking_config(certificate));
    let (name, seen) = (name.to_owned(), Arc::clone(seen));
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let (acceptor, name, seen) = (acceptor.clone(), name.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let (_, tls) = stream.get_ref();
                let handshake = Handshake {
                    sni: tls.server_name().unwrap_or_default().to_owned(),
                    alpn: String::from_utf8_lossy(tls.alpn_protocol().unwrap_or_default()).into_owned(),
                    certificate: tls.peer_certificates().and_then(|chain| Some(chain.first()?.clone().into_owned())),
                };
                seen.lock().unwrap().insert(name, handshake);
                let mut plain = TcpStream::connect(plain).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut plain).await
            });
        }
    });
    Ok(address)
}

/// A backend that answers each datagram with what it is and what it got.
pub async fn udp(told: Told) -> io::Result<SocketAddr> {
    answering(move |datagram| {
        let told = Told { request: String::from_utf8_lossy(datagram).into_owned(), ..told.clone() };
        serde_json::to_vec(&told).unwrap_or_default()
    })
    .await
}

/// A backend that answers each DNS query with an answer without records.
pub async fn dns() -> io::Result<SocketAddr> {
    answering(|query| {
        let mut answer = query.to_vec();
        if let Some(flags) = answer.get_mut(2) {
            *flags |= 0x80;
        }
        answer
    })
    .await
}

async fn answering(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((size, client)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&answer(&buffer[..size]), client).await;
        }
    });
    Ok(address)
}

/// A DNS query for the address of a name (RFC 1035 section 4).
pub fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// Sends one datagram from a socket of its own and waits for the answer.
pub async fn ask(address: SocketAddr, datagram: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(address).await?;
    socket.send(datagram).await?;
    receive(&socket).await
}

/// The next datagram.
pub async fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 65_535];
    let size = tokio::time::timeout(std::time::Duration::from_secs(5), socket.recv(&mut buffer)).await??;
    buffer.truncate(size);
    Ok(buffer)
}
