//! Which header fields a decision of a table depends on: the others are not looked at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use http::header;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The names, by length and then in order.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// `None` if every field counts.
    by_length: Option<Vec<Vec<Box<[u8]>>>>,
    /// The lengths that some name has, as bits: most names have another one.
    lengths: u64,
    known: Known,
}

/// Names of this length and longer are in one list.
const LONG: usize = 63;

impl Reads {
    pub(crate) fn of(table: &gatewright::Table) -> Self {
        let Some(names) = table.header_names() else { return Self::default() };
        let mut by_length = vec![Vec::new(); LONG + 1];
        let mut lengths = 0;
        // `host` is the authority of most requests.
        for name in names.iter().chain([&header::HOST]) {
            let length = name.as_str().len().min(LONG);
            lengths |= 1 << length;
            by_length[length].push(name.as_str().as_bytes().into());
        }
        by_length.iter_mut().for_each(|names: &mut Vec<Box<[u8]>>| {
            names.sort_unstable();
            names.dedup();
        });
        Self { by_length: Some(by_length), lengths, known: Known::default() }
    }

    /// Whether a field counts. Case does not.
    #[inline]
    pub(crate) fn counts(&self, name: &[u8]) -> bool {
        let length = name.len().min(LONG);
        let Some(by_length) = &self.by_length else { return true };
        self.lengths >> length & 1 == 1 && among(&by_length[length], name)
    }
}

/// Names that have been looked at, by the address of their Python object: programs write names as literals, and the same
/// literal is the same object in every request.
///
/// An object that is kept here stays alive as long as the table, so that its address stays its own; text cannot change.
/// Nothing is ever taken out, and a place that is taken stays so.
#[derive(Debug)]
struct Known {
    /// The address, with the answer in its lowest bit; 0 is free.
    places: Box<[AtomicUsize; PLACES]>,
    kept: Mutex<Vec<Py<PyString>>>,
    /// How often a name was none to keep.
    refused: AtomicUsize,
}

const PLACES: usize = 128;
/// A program whose names are new in every request is not asked for ever.
const PATIENCE: usize = 1000;

impl Default for Known {
    fn default() -> Self {
        Self { places: Box::new([const { AtomicUsize::new(0) }; PLACES]), kept: Mutex::default(), refused: AtomicUsize::new(0) }
    }
}

impl Known {
    #[inline]
    fn place(&self, address: usize) -> &AtomicUsize {
        // Objects lie 16 octets apart at least.
        &self.places[(address >> 4 ^ address >> 11) % PLACES]
    }
}

impl Reads {
    /// What is known of a name without a look at its text.
    #[inline]
    pub(crate) fn known(&self, name: Borrowed<'_, '_, PyAny>) -> Option<bool> {
        let address = name.as_ptr() as usize;
        let found = self.known.place(address).load(Ordering::Acquire);
        (found & !1 == address).then_some(found & 1 == 1)
    }

    /// Keeps what is known of a name.
    #[cold]
    pub(crate) fn know(&self, name: &Bound<'_, PyString>, counts: bool) {
        let address = name.as_ptr() as usize;
        let place = self.known.place(address);
        if place.load(Ordering::Acquire) != 0 || self.known.refused.load(Ordering::Relaxed) > PATIENCE {
            return;
        }
        // A name of its own in each request would be kept for nothing.
        if !is_literal(name) {
            self.known.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut kept = self.known.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if place.load(Ordering::Acquire) == 0 {
            kept.push(name.clone().unbind());
            place.store(address | usize::from(counts), Ordering::Release);
        }
    }
}

/// Whether the text is the one object that stands for all equal ones, as names in source code are.
fn is_literal(name: &Bound<'_, PyString>) -> bool {
    name.to_str().is_ok_and(|text| PyString::intern(name.py(), text).is(name))
}

fn among(names: &[Box<[u8]>], name: &[u8]) -> bool {
    names.binary_search_by(|known| known.iter().copied().cmp(name.iter().map(u8::to_ascii_lowercase))).is_ok()
}
