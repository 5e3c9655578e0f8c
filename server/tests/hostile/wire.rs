//! Clients that send whatever they are told, octet for octet.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a connection is silent before it counts as open and done.
const SILENCE: Duration = Duration::from_millis(400);

/// What came back.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Over HTTP/1: all octets, and whether the connection was closed.
    Octets { text: String, closed: bool },
    /// Over HTTP/2: the statuses, and whether a stream was reset or the connection ended.
    Frames { statuses: Vec<u16>, reset: bool, closed: bool },
}

impl Outcome {
    /// The statuses of all answers.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        match self {
            Self::Octets { text, .. } => {
                let heads = text.split("HTTP/1.").skip(1).filter_map(|head| head.get(2..5)?.parse().ok());
                heads.filter(|status| *status != 100).collect()
            }
            Self::Frames { statuses, .. } => statuses.clone(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        let (Self::Octets { closed, .. } | Self::Frames { closed, .. }) = self;
        *closed
    }

    pub(crate) fn is_reset(&self) -> bool {
        matches!(self, Self::Frames { reset: true, .. }) || self.is_closed()
    }
}

/// Reads until the end, or until nothing comes any longer.
pub(crate) async fn read(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut octets = Vec::new();
    loop {
        match tokio::time::timeout(SILENCE, stream.read_buf(&mut octets)).await {
            Ok(Ok(0) | Err(_)) => return (octets, true),
            Ok(Ok(_)) => {}
            Err(_) => return (octets, false),
        }
    }
}

/// Sends octets, and reads what comes.
pub(crate) async fn http1(address: SocketAddr, octets: &[u8]) -> Outcome {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has seen enough closes before it has all.
    let _ = stream.write_all(octets).await;
    let (octets, closed) = read(&mut stream).await;
    if octets.get(3) == Some(&0x04) && !octets.starts_with(b"HTTP") {
        return Outcome::Frames { statuses: Vec::new(), reset: false, closed };
    }
    Outcome::Octets { text: String::from_utf8_lossy(&octets).into_owned(), closed }
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals without any table or Huffman code (RFC 7541 section 6.2.2).
pub(crate) fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for octets in [name, value] {
            length(octets.len(), &mut block);
            block.extend(octets);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn length(length: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = length.checked_sub(127) else { return block.push(u8::try_from(length).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const WINDOW: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Sends the fields of one request without a body.
pub(crate) async fn http2(address: SocketAddr, fields: &[(Vec<u8>, Vec<u8>)]) -> Outcome {
    frames(address, &frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))).await
}

/// Sends frames behind the preface.
pub(crate) async fn frames(address: SocketAddr, frames: &[u8]) -> Outcome {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b""), frames].concat()).await;
    let (octets, closed) = read(&mut stream).await;
    let (statuses, reset) = answers(&octets);
    Outcome::Frames { statuses, reset, closed }
}

/// The whole frames among octets: kind and payload.
fn split(mut octets: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, behind) = octets.split_at_checked(9)?;
        let size = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, behind) = behind.split_at_checked(size)?;
        octets = behind;
        Some((head[3], payload))
    })
}

/// The statuses among frames, and whether a stream was reset.
fn answers(octets: &[u8]) -> (Vec<u16>, bool) {
    let statuses = split(octets).filter(|(kind, _)| *kind == HEADERS).filter_map(|(_, payload)| status(payload));
    (statuses.collect(), split(octets).any(|(kind, _)| kind == RESET))
}

/// Heads of answers among frames, whatever their status.
pub(crate) fn heads(octets: &[u8]) -> usize {
    split(octets).filter(|(kind, _)| *kind == HEADERS).count()
}

/// `:status`, which comes first in a block: indexed, or a literal whose digits may be in Huffman code.
fn status(block: &[u8]) -> Option<u16> {
    // Updates of the table's size come before.
    let block = &block[block.iter().position(|octet| octet & 0xe0 != 0x20)?..];
    match block.first()? {
        index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500].get(usize::from(index - 0x88)).copied(),
        0x48 | 0x08 => {
            let (length, value) = (usize::from(block.get(1)? & 0x7f), block.get(2..)?);
            let value = value.get(..length)?;
            if block[1] & 0x80 == 0 {
                return std::str::from_utf8(value).ok()?.parse().ok();
            }
            let bits: String = value.iter().map(|octet| format!("{octet:08b}")).collect();
            let (mut digits, mut bits) = (String::new(), bits.as_str());
            while digits.len() < 3 {
                let short = ["00000", "00001", "00010"].iter().position(|code| bits.starts_with(code));
                let long = || (3..10).find(|digit| bits.starts_with(&format!("{:06b}", 0b01_1001 + digit - 3)));
                let (digit, used) = short.map(|digit| (digit, 5)).or_else(|| Some((long()?, 6)))?;
                digits.push_str(&digit.to_string());
                bits = &bits[used..];
            }
            digits.parse().ok()
        }
        _ => None,
    }
}
