//! Numbers and texts in one contiguous piece of memory: what one decision reads lies close together.

/// Reads a piece of memory that [`Writer`] has written. What is outside of it reads as zero or empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blob<'t>(pub(crate) &'t [u8]);

impl<'t> Blob<'t> {
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn u16(self, at: usize) -> u16 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |octets| u16::from_le_bytes(*octets))
    }

    pub(crate) fn u32(self, at: usize) -> u32 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |octets| u32::from_le_bytes(*octets))
    }

    /// A place in this piece; 0 stands for none.
    pub(crate) fn place(self, at: usize) -> usize {
        usize::try_from(self.u32(at)).unwrap_or(0)
    }

    pub(crate) fn bytes(self, at: usize, len: usize) -> &'t [u8] {
        self.0.get(at..at.wrapping_add(len)).unwrap_or_default()
    }
}

/// Writes what [`Blob`] reads.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    /// Where the next octet goes.
    pub(crate) fn place(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a number that was not known when its place was passed.
    pub(crate) fn patch(&mut self, at: u32, value: u32) {
        let place = usize::try_from(at).ok().and_then(|at| self.bytes.get_mut(at..)?.first_chunk_mut());
        if let Some(place) = place {
            *place = value.to_le_bytes();
        }
    }
}

/// The high bit of every octet of a word that is zero.
pub(crate) fn zeros(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !((word & LOW).wrapping_add(LOW) | word | LOW)
}

/// Whether a condition holds for every octet. Written so that the compiler looks at sixteen of them in one step.
pub(crate) fn all_octets(bytes: &[u8], holds: impl Fn(u8) -> bool) -> bool {
    let block = |block: &[u8; 16]| block.iter().fold(true, |all, b| all & holds(*b));
    let (blocks, rest) = bytes.as_chunks::<16>();
    match bytes.last_chunk() {
        // The last ones are looked at twice rather than one by one.
        Some(last) => blocks.iter().fold(true, |all, octets| all & block(octets)) & block(last),
        None => rest.iter().fold(true, |all, b| all & holds(*b)),
    }
}

/// Whether a condition holds for every octet and the one after it.
pub(crate) fn all_pairs(bytes: &[u8], holds: impl Fn(u8, u8) -> bool) -> bool {
    let Some((_, after)) = bytes.split_first() else { return true };
    let block = |a: &[u8; 16], b: &[u8; 16]| a.iter().zip(b).fold(true, |all, (a, b)| all & holds(*a, *b));
    let before = bytes.get(..after.len()).unwrap_or_default();
    let (blocks, rest) = before.as_chunks::<16>();
    match (before.last_chunk(), after.last_chunk()) {
        (Some(last), Some(after_last)) => {
            blocks.iter().zip(after.as_chunks::<16>().0).fold(true, |all, (a, b)| all & block(a, b)) & block(last, after_last)
        }
        _ => rest.iter().zip(after).fold(true, |all, (a, b)| all & holds(*a, *b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_and_every_pair() {
        for len in 0..70 {
            let clean = vec![b'a'; len];
            assert!(all_octets(&clean, |b| b == b'a') && all_pairs(&clean, |a, b| (a, b) == (b'a', b'a')));
            for at in 0..len {
                let mut bytes = clean.clone();
                bytes[at] = b'x';
                assert!(!all_octets(&bytes, |b| b == b'a'), "{len} {at}");
                assert_eq!(all_pairs(&bytes, |a, b| (a, b) != (b'a', b'x')), at == 0, "{len} {at}");
                assert_eq!(all_pairs(&bytes, |a, b| (a, b) != (b'x', b'a')), at + 1 == len, "{len} {at}");
            }
        }
    }

    #[test]
    fn zeros_of_a_word() {
        for octets in [[0, 1, 0x80, 0x81, 0xff, 0, 0x7f, 0], [1, 0, 0, 1, 0x80, 0, 0x80, 0xff]] {
            let expected = octets.map(|octet: u8| if octet == 0 { 0x80 } else { 0 });
            assert_eq!(zeros(u64::from_le_bytes(octets)), u64::from_le_bytes(expected));
        }
    }
}
