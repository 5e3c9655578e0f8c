//! The form in which a request crosses the boundary: target and host as they are, everything else that a decision may depend
//! on in one text of lines, mostly none, and a few bits. Each further string or object would cost more than matching.
//!
//! A line is a header field as `name:value`, or one of the pieces that few requests have, behind an octet that no name begins
//! with. How many lines there are is said, too: a value with a line feed in it is found out and never becomes a second field.

/// Octets of a request that crosses the boundary this way; longer ones go as JSON.
pub(crate) const ROOM: usize = 8192;
// The longest target that core takes fits almost.
const _: () = assert!(ROOM == 8192);

/// The methods that the bits can say, by number; any other is in the lines.
const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// First octets of lines that are no header field.
mod mark {
    pub(super) const AUTHORITY: u8 = 1;
    pub(super) const SNI: u8 = 2;
    pub(super) const METHOD: u8 = 3;
}

/// The parts as they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'h> {
    /// Three bits: the method, or 7; one bit: there is a host; the rest: the number of lines.
    pub(crate) bits: u32,
    pub(crate) target: &'h [u8],
    pub(crate) host: &'h [u8],
    pub(crate) lines: &'h [u8],
}

/// A request, borrowed from its octets.
pub(crate) struct Head<'h> {
    pub(crate) method: &'h [u8],
    pub(crate) authority: Option<&'h [u8]>,
    pub(crate) sni: Option<&'h [u8]>,
    /// The only `Host` field; if there are several, the others are among the fields.
    pub(crate) host: Option<&'h [u8]>,
    pub(crate) target: &'h [u8],
    fields: Fields<'h>,
}

type Field<'h> = (&'h [u8], &'h [u8]);

#[allow(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
/// Header fields without an allocation for the usual number of them.
enum Fields<'h> {
    Few([Field<'h>; FEW], usize),
    Many(Vec<Field<'h>>),
}

const FEW: usize = 8;

impl<'h> Head<'h> {
    /// Reads the parts; `None` when there are not as many lines as is said, or a field has no colon.
    #[inline]
    pub(crate) fn parse(written: Written<'h>) -> Option<Self> {
        let Written { bits, target, host, mut lines } = written;
        let method = usize::try_from(bits & 7).ok().and_then(|n| METHODS.get(n)).map_or(&b""[..], |method| method.as_bytes());
        let host = (bits & 8 != 0).then_some(host);
        let mut head = Self { method, authority: None, sni: None, host, target, fields: Fields::Few([(&[], &[]); FEW], 0) };
        for _ in 0..bits >> 4 {
            let end = lines.iter().position(|octet| *octet == b'\n')?;
            let (line, rest) = lines.split_at_checked(end)?;
            lines = rest.get(1..)?;
            match line.split_first() {
                Some((&mark::AUTHORITY, authority)) => head.authority = Some(authority),
                Some((&mark::SNI, sni)) => head.sni = Some(sni),
                Some((&mark::METHOD, method)) => head.method = method,
                _ => {
                    let colon = line.iter().position(|octet| *octet == b':')?;
                    head.fields.push((line.get(..colon)?, line.get(colon + 1..)?));
                }
            }
        }
        lines.is_empty().then_some(head)
    }

    /// The header fields.
    pub(crate) fn fields(&self) -> &[Field<'h>] {
        match &self.fields {
            Fields::Few(few, count) => few.get(..*count).unwrap_or_default(),
            Fields::Many(many) => many,
        }
    }
}

impl<'h> Fields<'h> {
    fn push(&mut self, field: Field<'h>) {
        match self {
            Self::Few(few, count) => match few.get_mut(*count) {
                Some(slot) => {
                    *slot = field;
                    *count += 1;
                }
                None => *self = Self::Many(few.iter().copied().chain([field]).collect()),
            },
            Self::Many(many) => many.push(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'h>(bits: u32, lines: &'h [u8]) -> Option<Head<'h>> {
        Head::parse(Written { bits, target: b"/x", host: b"h.example", lines })
    }

    #[test]
    fn read() {
        let head = parse(7 | 8 | 5 << 4, b"\x01a.example\n\x02s.example\n\x03BREW\nx-a:1:2\nx-b:\n").unwrap();
        let expected = (&b"BREW"[..], Some(&b"a.example"[..]), Some(&b"s.example"[..]), Some(&b"h.example"[..]), &b"/x"[..]);
        assert_eq!((head.method, head.authority, head.sni, head.host, head.target), expected);
        assert_eq!(head.fields(), [(&b"x-a"[..], &b"1:2"[..]), (b"x-b", b"")]);
        let head = parse(0, b"").unwrap();
        assert_eq!((head.method, head.authority, head.host, head.fields()), (&b"GET"[..], None, None, &[][..]));
        // A method that is not said is refused by core.
        assert_eq!(parse(7, b"").unwrap().method, b"");
    }

    /// What is not as it is said to be is refused, never read in another way.
    #[test]
    fn no_second_reading() {
        for (count, lines) in
            [(1, &b"x-a:1\nx-b:2\n"[..]), (2, b"x-a:1\n"), (1, b"x-a:1"), (1, b"x-a\n"), (1, b"\n"), (0, b"x"), (u32::MAX >> 4, b"")]
        {
            assert!(parse(count << 4, lines).is_none(), "{lines:?}");
        }
    }

    #[test]
    fn many_fields() {
        let lines: String = (0..40).map(|n| format!("x-a:{n}\n")).collect();
        let head = parse(40 << 4, lines.as_bytes()).unwrap();
        assert_eq!(head.fields().len(), 40);
        assert!(head.fields().iter().zip(0..).all(|((_, value), n)| *value == format!("{n}").as_bytes()));
    }
}
