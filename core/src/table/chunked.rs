//! A list that shares with its predecessor all that did not change.

use std::sync::Arc;

/// Elements of one chunk: what a change copies.
const CHUNK: usize = 64;

/// A list in chunks: cloning it clones one pointer for 64 elements, and changing an element copies its chunk.
#[derive(Clone, Debug)]
pub(crate) struct Chunked<T> {
    /// Full chunks; what is behind the end of the list is filled.
    chunks: Vec<Arc<[T]>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunked<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, n: u32) -> Option<&T> {
        let n = usize::try_from(n).ok().filter(|n| *n < self.len)?;
        self.chunks.get(n / CHUNK)?.get(n % CHUNK)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(self.len)
    }
}

impl<T: Clone> Chunked<T> {
    /// Sets the element of a number, which may be the next one; those between are `fill`.
    pub(crate) fn set(&mut self, n: u32, value: T, fill: &T) {
        let Ok(n) = usize::try_from(n) else { return };
        while self.chunks.len().saturating_mul(CHUNK) <= n {
            self.chunks.push(std::iter::repeat_n(fill.clone(), CHUNK).collect());
        }
        self.len = self.len.max(n.saturating_add(1));
        let element = self.chunks.get_mut(n / CHUNK).and_then(|chunk| Arc::make_mut(chunk).get_mut(n % CHUNK));
        if let Some(element) = element {
            *element = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut list = Chunked::default();
        for n in 0..1000_u32 {
            list.set(n, n, &0);
        }
        let before = list.clone();
        list.set(77, 5, &0);
        list.set(1200, 6, &9);
        assert_eq!((before.len(), before.get(77), before.get(1000)), (1000, Some(&77), None));
        assert_eq!((list.len(), list.get(77), list.get(1100), list.get(1200)), (1201, Some(&5), Some(&9), Some(&6)));
        assert_eq!(list.iter().count(), 1201);
        let shared = before.chunks.iter().zip(&list.chunks).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, 15, "all chunks but the one of 77 are shared");
    }
}
