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

    /// The piece that begins at a place.
    pub(crate) fn from(self, at: usize) -> Self {
        Self(self.0.get(at..).unwrap_or_default())
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
