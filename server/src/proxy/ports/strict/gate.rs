//! Whether an upgrade that was asked for has been answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Shut by the reader of a connection behind the head of an upgrade; opened by whoever answers it.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether the protocol was switched.
    answer: Option<bool>,
    waiting: Option<Waker>,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request for an upgrade has been read.
    pub(super) fn shut(&self) {
        self.state().answer = None;
    }

    /// It is answered; with `switched`, what comes next is of the new protocol.
    pub(crate) fn open(&self, switched: bool) {
        let mut state = self.state();
        state.answer = Some(switched);
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    pub(super) fn poll_open(&self, context: &Context<'_>) -> Poll<bool> {
        let mut state = self.state();
        match state.answer {
            Some(switched) => Poll::Ready(switched),
            None => {
                state.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Opens the gate when it is dropped, however the answer came to its end.
#[derive(Debug)]
pub(crate) struct Answering<'g> {
    gate: &'g Gate,
    pub(crate) switched: bool,
}

impl<'g> Answering<'g> {
    pub(crate) fn new(gate: &'g Gate) -> Self {
        Self { gate, switched: false }
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.gate.open(self.switched);
    }
}
