//! What hyper lets through and must not get: a strict reader of HTTP/1 in front of it.
//!
//! hyper takes lines that end in a bare LF, a `#` in the target, repeated lengths that agree, runs of empty lines and
//! controls in chunk extensions. Another server may read each of them otherwise, and then one client's octets become
//! another's request ([R-S1] to [R-S3]). The reader follows the framing of the messages, looks at heads and chunk lines,
//! and passes on only what has one reading; it changes nothing and keeps no copy of what is whole.
//!
//! After the head of a request that asks for another protocol, nothing more is passed on until it is answered ([R-S6]).

mod framing;
mod gate;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use framing::{Framing, Scan};
pub(in crate::proxy) use gate::{Answering, Gate};

/// Octets that a client may send before its upgrade is answered; they wait here.
const HELD: usize = 16 * 1024;

/// The end of a head that is none, wherever it is put: hyper answers 400, after what it has to answer before, and closes.
const NO_HEAD: &[u8] = b"\0\r\n\r\n";

/// A client's stream as hyper gets it.
pub(in crate::proxy) struct Strict<S> {
    stream: S,
    framing: Framing,
    gate: Arc<Gate>,
    /// What is passed on before anything else is read.
    held: Vec<u8>,
    /// The stream has ended behind what is held.
    ended: bool,
    /// A message was refused: nothing more is read.
    refused: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Strict<S> {
    pub(in crate::proxy) fn new(stream: S, gate: Arc<Gate>) -> Self {
        Self { stream, framing: Framing::new(), gate, held: Vec::new(), ended: false, refused: false }
    }

    /// Looks at the octets that `buf` has beyond `from`, and takes out again what is not to be passed on.
    fn look(&mut self, buf: &mut ReadBuf<'_>, from: usize) -> io::Result<()> {
        match self.framing.scan(&buf.filled()[from..]) {
            Scan::Pass => {}
            Scan::Hold(passed) => {
                self.gate.shut();
                self.held.splice(..0, buf.filled()[from + passed..].iter().copied());
                buf.set_filled(from + passed);
            }
            Scan::BadHead(passed) => {
                self.refused = true;
                buf.set_filled(from + passed);
                self.held = NO_HEAD.to_vec();
                self.pass_held(buf);
            }
            Scan::BadBody => {
                self.refused = true;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the body is not framed as RFC 9112 says"));
            }
        }
        Ok(())
    }

    fn pass_held(&mut self, buf: &mut ReadBuf<'_>) {
        let amount = self.held.len().min(buf.remaining());
        buf.put_slice(&self.held[..amount]);
        self.held.drain(..amount);
    }

    /// While an upgrade waits for its answer: reads on, so that the end of the stream is seen, but keeps what comes.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended && self.held.len() < HELD {
            let mut space = [0; 1024];
            let mut more = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(context, &mut more)? {
                Poll::Ready(()) if more.filled().is_empty() => self.ended = true,
                Poll::Ready(()) => self.held.extend_from_slice(more.filled()),
                Poll::Pending => break,
            }
        }
        // A client that has gone and left nothing to read has gone.
        if self.ended && self.held.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Strict<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.refused {
            this.pass_held(buf);
            return Poll::Ready(Ok(()));
        }
        if this.framing.is_holding() {
            match this.gate.poll_open(context) {
                Poll::Pending => return this.poll_held(context),
                Poll::Ready(switched) => this.framing.answered(switched),
            }
        }
        let from = buf.filled().len();
        if !this.held.is_empty() {
            this.pass_held(buf);
        } else if this.ended {
            return Poll::Ready(Ok(()));
        } else if Pin::new(&mut this.stream).poll_read(context, buf)?.is_pending() {
            return Poll::Pending;
        }
        if buf.filled().len() == from {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(this.look(buf, from))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
