//! The form in which a request crosses the boundary: one string of octets, since each further one costs more than matching.
//!
//! Method, `:authority`, server name and target stand one after the other, and their lengths beside them; then each header
//! field as `name:value` and a line feed. How many fields there are is said, too: a value with a line feed in it is found
//! out and never becomes a second field.

/// The lengths of the pieces: method, `:authority` and server name (one more than they have, 0 for none), target, and the
/// number of header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths(pub(crate) [u32; 5]);

/// Bits of each length in one number: 52 in all, which a double holds.
const BITS: [u32; 5] = [8, 10, 10, 16, 8];

impl Lengths {
    /// Unpacks them from one number, the first in the lowest bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and lengths that do not fit are refused")]
    pub(crate) fn unpack(packed: f64) -> Self {
        let mut rest = packed as u64;
        Self(BITS.map(|bits| {
            let piece = rest & ((1 << bits) - 1);
            rest >>= bits;
            piece as u32
        }))
    }
}

/// A request, borrowed from its octets.
pub(crate) struct Head<'h> {
    pub(crate) method: &'h [u8],
    pub(crate) authority: Option<&'h [u8]>,
    pub(crate) sni: Option<&'h [u8]>,
    pub(crate) target: &'h [u8],
    fields: Fields<'h>,
}

type Field<'h> = (&'h [u8], &'h [u8]);

#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
/// Header fields without an allocation for the usual number of them.
enum Fields<'h> {
    Few([Field<'h>; FEW], usize),
    Many(Vec<Field<'h>>),
}

const FEW: usize = 16;

impl<'h> Head<'h> {
    /// Takes the octets apart; `None` when the lengths do not fit, or a field has a line feed or no colon.
    pub(crate) fn parse(octets: &'h [u8], lengths: Lengths) -> Option<Self> {
        let [method, authority, sni, target, count] = lengths.0.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let (method, rest) = octets.split_at_checked(method)?;
        let (authority, rest) = optional(rest, authority)?;
        let (sni, rest) = optional(rest, sni)?;
        let (target, mut rest) = rest.split_at_checked(target)?;
        let mut next = || {
            let end = rest.iter().position(|octet| *octet == b'\n')?;
            let (line, tail) = rest.split_at_checked(end)?;
            rest = tail.get(1..)?;
            let colon = line.iter().position(|octet| *octet == b':')?;
            Some((line.get(..colon)?, line.get(colon + 1..)?))
        };
        let fields = if count <= FEW {
            let mut few: [Field<'h>; FEW] = [(&[], &[]); FEW];
            for slot in few.iter_mut().take(count) {
                *slot = next()?;
            }
            Fields::Few(few, count)
        } else {
            // The number is the caller's word; the octets are not.
            let mut many = Vec::new();
            for _ in 0..count {
                many.push(next()?);
            }
            Fields::Many(many)
        };
        rest.is_empty().then_some(Self { method, authority, sni, target, fields })
    }

    /// The header fields.
    pub(crate) fn fields(&self) -> &[Field<'h>] {
        match &self.fields {
            Fields::Few(few, count) => few.get(..*count).unwrap_or_default(),
            Fields::Many(many) => many,
        }
    }
}

fn optional(rest: &[u8], length: usize) -> Option<(Option<&[u8]>, &[u8])> {
    match length.checked_sub(1) {
        None => Some((None, rest)),
        Some(length) => rest.split_at_checked(length).map(|(piece, rest)| (Some(piece), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_apart() {
        let head = Head::parse(b"GETa.example/xhost:b.example\nx-a:1:2\n", Lengths([3, 10, 0, 2, 2])).unwrap();
        assert_eq!((head.method, head.authority, head.sni, head.target), (&b"GET"[..], Some(&b"a.example"[..]), None, &b"/x"[..]));
        assert_eq!(head.fields(), [(&b"host"[..], &b"b.example"[..]), (b"x-a", b"1:2")]);
    }

    /// What is not as it is said to be is refused, never read in another way.
    #[test]
    fn no_second_reading() {
        for (octets, lengths) in [
            (&b"GET/x-a:1\nx-b:2\n"[..], [3, 0, 0, 1, 1]),
            (b"GET/x-a:1\n", [3, 0, 0, 1, 2]),
            (b"GET/x-a:1", [3, 0, 0, 1, 1]),
            (b"GET/x-a\n", [3, 0, 0, 1, 1]),
            (b"GET/", [3, 0, 0, 9, 0]),
            (b"GET/", [3, 9, 0, 1, 0]),
            (b"GET/", [3, 0, 0, 1, u32::MAX]),
        ] {
            assert!(Head::parse(octets, Lengths(lengths)).is_none(), "{octets:?}");
        }
    }

    #[test]
    fn many_fields() {
        let octets = format!("GET/{}", "x-a:1\n".repeat(40));
        assert_eq!(Head::parse(octets.as_bytes(), Lengths([3, 0, 0, 1, 40])).unwrap().fields().len(), 40);
    }

    #[test]
    fn lengths_in_one_number() {
        let packed = (3 | (10 << 8) | (1 << 18) | (65_535_u64 << 28) | (255 << 44)) as f64;
        assert_eq!(Lengths::unpack(packed), Lengths([3, 10, 1, 65_535, 255]));
        for odd in [f64::NAN, -1.0, f64::INFINITY] {
            let _ = Lengths::unpack(odd);
        }
    }
}
