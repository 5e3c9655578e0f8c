//! The hashes of paths and hosts: made for short texts, the same on every machine.
//!
//! Not made against people who may choose the texts, so no index relies on it alone: an index that would get long
//! runs of neighbours is built again with another seed ([`slots`](super::slots)), and texts are always compared.

use crate::octets;

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Takes a word into a hash: the two halves of a product, folded, beside the hash as it was, so that no word can make
/// it forget what came before.
#[inline]
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word).wrapping_mul(u128::from(FACTOR));
    let (low, high) = (product as u64, product.wrapping_shr(64) as u64);
    (low ^ high).wrapping_add(hash.rotate_left(29))
}

/// Takes a text that ends at a separator into a hash.
#[inline]
pub(crate) fn text(mut hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    mix(hash, tail(rest))
}

/// Takes the last octets of a text into a hash: the first ones of a word, fewer than eight. With [`mix`] for the words
/// before it is the same as [`text`].
#[inline]
pub(crate) fn end(hash: u64, word: u64, len: usize) -> u64 {
    let bits = u32::try_from(len.wrapping_mul(8)).unwrap_or(0);
    let octets = word & 1_u64.wrapping_shl(bits).wrapping_sub(1);
    mix(hash, octets | u64::try_from(len).unwrap_or(0).wrapping_add(1).wrapping_shl(56))
}

/// The last word of a text: fewer than eight octets, and how many there are in the octet on top.
#[inline]
pub(crate) fn tail(rest: &[u8]) -> u64 {
    let len = u64::try_from(rest.len()).unwrap_or(0);
    octets::word(rest) | len.wrapping_add(1).wrapping_shl(56)
}

/// The octets of a text one by one, for what is decoded on the way; the same as [`text`].
#[inline]
pub(crate) fn octets(mut hash: u64, octets: impl Iterator<Item = u8>) -> u64 {
    let (mut word, mut len) = (0_u64, 0_u32);
    for octet in octets {
        word |= u64::from(octet).wrapping_shl(len.wrapping_mul(8));
        len = len.wrapping_add(1);
        if len == 8 {
            hash = mix(hash, word);
            (word, len) = (0, 0);
        }
    }
    mix(hash, word | u64::from(len).wrapping_add(1).wrapping_shl(56))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hash_for_a_text() {
        let long = b"abcdefghijklmnopqrstuvwxyz";
        let mut seen = std::collections::BTreeSet::new();
        for from in 0..long.len() {
            for to in from..=long.len() {
                let part = &long[from..to];
                assert_eq!(text(1, part), octets(1, part.iter().copied()));
                seen.insert((text(1, part), part));
            }
        }
        let hashes: std::collections::BTreeSet<u64> = seen.iter().map(|(hash, _)| *hash).collect();
        assert_eq!(hashes.len(), seen.iter().map(|(_, part)| part).collect::<std::collections::BTreeSet<_>>().len());
        assert_ne!(text(text(1, b"a"), b"b"), text(text(1, b""), b"ab"));
        assert_ne!(text(1, b"\0"), text(1, b""));
    }
}
