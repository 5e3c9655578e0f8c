//! One body for several readers: the first gets it as it comes, the others get copies and are given up when they fall
//! behind ([R-B3]).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::proxy::requests::body::{AnyBody, BoxError, any};

/// Octets that a copy may be behind.
const BEHIND: usize = 64 * 1024;

/// What is sent to the reader of a copy; the end comes as a word of its own, as one that is given up must not look whole.
enum Piece {
    Data(Bytes),
    End,
}

struct Writer {
    pieces: mpsc::UnboundedSender<Piece>,
    behind: Arc<AtomicUsize>,
}

impl Writer {
    /// False if the reader is gone or too far behind.
    fn write(&self, data: &Bytes) -> bool {
        let behind = self.behind.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        behind <= BEHIND && self.pieces.send(Piece::Data(data.clone())).is_ok()
    }
}

struct Tee {
    body: AnyBody,
    copies: Vec<Writer>,
}

struct Copy {
    pieces: mpsc::UnboundedReceiver<Piece>,
    behind: Arc<AtomicUsize>,
    size: SizeHint,
}

/// The body, and so many copies of it.
pub(in crate::proxy) fn tee(body: AnyBody, copies: usize) -> (AnyBody, Vec<AnyBody>) {
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..copies {
        let ((pieces, receiver), behind) = (mpsc::unbounded_channel(), Arc::<AtomicUsize>::default());
        writers.push(Writer { pieces, behind: Arc::clone(&behind) });
        readers.push(any(Copy { pieces: receiver, behind, size: body.size_hint() }));
    }
    (any(Tee { body, copies: writers }), readers)
}

impl Body for Tee {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.copies.retain(|copy| copy.write(data));
                }
            }
            Some(Err(_)) => self.copies.clear(),
            None => {}
        }
        if frame.is_none() || self.body.is_end_stream() {
            for copy in self.copies.drain(..) {
                let _ = copy.pieces.send(Piece::End);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for Copy {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match std::task::ready!(self.pieces.poll_recv(context)) {
            Some(Piece::Data(data)) => {
                self.behind.fetch_sub(data.len(), Ordering::Relaxed);
                Some(Ok(Frame::data(data)))
            }
            Some(Piece::End) => None,
            None => Some(Err("the copy was given up".into())),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// So many pieces of a KiB.
    struct Pieces(usize);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let left = self.0.checked_sub(1);
            self.0 = left.unwrap_or(0);
            Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(&[7; 1024])))))
        }
    }

    fn body(pieces: usize) -> AnyBody {
        any(Pieces(pieces))
    }

    #[tokio::test]
    async fn a_copy_is_whole_or_given_up() {
        let (body_of_client, copies) = tee(body(64), 2);
        assert_eq!(body_of_client.collect().await.unwrap().to_bytes().len(), 64 * 1024);
        for copy in copies {
            assert_eq!(copy.collect().await.unwrap().to_bytes().len(), 64 * 1024);
        }
        // Nobody reads the copy: it is not kept beyond the bound, and the client's body is whole nevertheless.
        let (body_of_client, copies) = tee(body(65), 1);
        assert_eq!(body_of_client.collect().await.unwrap().to_bytes().len(), 65 * 1024);
        for copy in copies {
            copy.collect().await.unwrap_err();
        }
        // A client that goes in the middle of its body.
        let (body_of_client, copies) = tee(body(3), 1);
        drop(body_of_client);
        for copy in copies {
            copy.collect().await.unwrap_err();
        }
    }
}
