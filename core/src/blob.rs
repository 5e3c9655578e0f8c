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
        let (lines, _) = self.0.get(at..).unwrap_or_default().as_chunks::<64>();
        // The sum means nothing, and nothing waits for it.
        std::hint::black_box(lines.iter().take(LINES).fold(0_u8, |sum, line| sum ^ line[0]));
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
        let place = usize::try_from(at).ok().and_then(|at| self.bytes.get_mut(at..)?.first_chunk_mut());
        if let Some(place) = place {
            *place = value.to_le_bytes();
        }
    }
}

/// The high bit of every octet of a word that is zero.
#[inline]
pub(crate) fn zeros(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !((word & LOW).wrapping_add(LOW) | word | LOW)
}

/// Octets by class. The low bits are classes that count for each octet; [`FIRST`] and [`SECOND`] count where one of the
/// first stands right before one of the second.
pub(crate) type Classes = [u8; 256];
pub(crate) const FIRST: u8 = 0x40;
pub(crate) const SECOND: u8 = 0x80;

/// The classes that some octet is in, with [`SECOND`] if there is such a pair.
#[inline]
pub(crate) fn classes(bytes: &[u8], table: &Classes) -> u8 {
    let class = |octet: u8| table.get(usize::from(octet)).copied().unwrap_or(0);
    let (mut all, mut pairs, mut before) = (0, 0, 0);
    let mut look = |octet: u8| {
        let class = class(octet);
        all |= class;
        pairs |= class & before;
        before = class.wrapping_shl(1);
    };
    // Four at a time, since the compiler does not do it by itself.
    let (fours, rest) = bytes.as_chunks::<4>();
    for [a, b, c, d] in fours {
        [*a, *b, *c, *d].into_iter().for_each(&mut look);
    }
    rest.iter().copied().for_each(&mut look);
    (all & !(FIRST | SECOND)) | (pairs & SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_and_every_pair() {
        let mut table = [0; 256];
        (table[usize::from(b'x')], table[usize::from(b'y')]) = (1 | FIRST, 2 | SECOND);
        for len in 0..40 {
            let clean = vec![b'a'; len];
            assert_eq!(classes(&clean, &table), 0);
            for at in 0..len {
                let mut bytes = clean.clone();
                bytes[at] = b'x';
                assert_eq!(classes(&bytes, &table), 1, "{len} {at}");
                for other in (0..len).filter(|other| *other != at) {
                    let mut bytes = bytes.clone();
                    bytes[other] = b'y';
                    let pair = if at + 1 == other { SECOND } else { 0 };
                    assert_eq!(classes(&bytes, &table), 3 | pair, "{len} {at} {other}");
                }
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
