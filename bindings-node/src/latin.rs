//! Octets as JavaScript has them: a string of code units up to 0xFF, one for each octet (ISO 8859-1).

/// The octets of a text; `None` for a code unit above 0xFF, which is no octet.
pub(crate) fn octets(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// The text of octets.
pub(crate) fn text(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// Octets that are to be compared as text, where what is not ASCII is refused in any case.
pub(crate) fn ascii_or_refused(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).ok().filter(|text| text.is_ascii()).unwrap_or("\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        assert_eq!(octets("a\u{e9}\0"), Some(vec![b'a', 0xe9, 0]));
        assert_eq!(octets("\u{100}"), None);
        assert_eq!(text(&[b'a', 0xe9, 0]), "a\u{e9}\0");
        assert_eq!((ascii_or_refused(b"GET"), ascii_or_refused(&[0xc3, 0xa9])), ("GET", "\u{fffd}"));
    }
}
