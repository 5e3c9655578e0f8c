//! Numbers and texts in one contiguous piece of memory: what one decision reads lies close together.

/// Reads a piece of memory that [`Writer`] has written. What is outside of it reads as zero or empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blob<'t>(pub(crate) &'t [u8]);

impl<'t> Blob<'t> {
    #[inline]
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn u16(self, at: usize) -> u16 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |octets| u16::from_le_bytes(*octets))
    }

    #[inline]
    pub(crate) fn u32(self, at: usize) -> u32 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |octets| u32::from_le_bytes(*octets))
    }

    #[inline]
    pub(crate) fn u64(self, at: usize) -> u64 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |octets| u64::from_le_bytes(*octets))
    }

    /// A place in this piece; 0 stands for none.
    #[inline]
    pub(crate) fn place(self, at: usize) -> usize {
        usize::try_from(self.u32(at)).unwrap_or(0)
    }

    /// Asks for the memory behind a place before it is needed: what is read one after the other then arrives together.
    #[inline]
    pub(crate) fn fetch(self, at: usize) {
        const LINES: usize = 10;
        let here = self.0.get(at..).unwrap_or_default();
        let sum = |lines: &[[u8; 64]]| lines.iter().fold(0_u8, |sum, line| sum ^ line[0]);
        let sum = match here.first_chunk::<{ LINES * 64 }>() {
            Some(lines) => sum(lines.as_chunks().0),
            None => sum(here.as_chunks().0),
        };
        // The sum means nothing, and nothing waits for it.
        std::hint::black_box(sum);
    }

    #[inline]
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
        self.put(at, value.to_le_bytes());
    }

    /// The same for a short number.
    pub(crate) fn patch_u16(&mut self, at: u32, value: u16) {
        self.put(at, value.to_le_bytes());
    }

    fn put<const N: usize>(&mut self, at: u32, value: [u8; N]) {
        if let Some(place) = usize::try_from(at).ok().and_then(|at| self.bytes.get_mut(at..)?.first_chunk_mut()) {
            *place = value;
        }
    }
}

/// The high bit of every octet of a word that is zero.
#[inline]
pub(crate) fn zeros(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !((word & LOW).wrapping_add(LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_a_word() {
        for octets in [[0, 1, 0x80, 0x81, 0xff, 0, 0x7f, 0], [1, 0, 0, 1, 0x80, 0, 0x80, 0xff]] {
            let expected = octets.map(|octet: u8| if octet == 0 { 0x80 } else { 0 });
            assert_eq!(zeros(u64::from_le_bytes(octets)), u64::from_le_bytes(expected));
        }
    }
}
