//! Looks for octets, and pairs of neighbours, that a text must not have: sixteen at a time.
//!
//! One function says of one octet and its predecessor whether they are wanted. It has no branches, so that the compiler
//! makes a few instructions for sixteen octets of it.

/// All bits of it are set for an octet that is looked for, none for another one.
pub(crate) type Flag = u8;

/// The flag of a condition.
#[inline]
pub(crate) const fn flag(holds: bool) -> Flag {
    0_u8.wrapping_sub(holds as u8)
}

/// Whether there is an octet for which `is`, given the octet before it and the octet itself, has a flag. Before the first
/// octet stands `before`. Two letters never have a flag.
#[inline]
pub(crate) fn any(before: u8, octets: &[u8], is: impl Fn(u8, u8) -> Flag + Copy) -> bool {
    let mut found = [0; 16];
    let ([first, behind @ ..], [but_last @ .., _]) = (octets, octets) else { return false };
    if let (Some(last_before), Some(last)) = (but_last.last_chunk(), behind.last_chunk()) {
        found[0] = is(before, *first);
        for (before, block) in but_last.as_chunks().0.iter().zip(behind.as_chunks().0) {
            look(&mut found, before, block, is);
        }
        // The last block may have octets of the one before, which does no harm.
        look(&mut found, last_before, last, is);
    } else {
        // Without the black box the compiler sees the words of which the block is made, and makes many instructions of it.
        let block = std::hint::black_box(short(before, octets));
        if let (Some(before), Some(block)) = (block.first_chunk(), block.last_chunk()) {
            look(&mut found, before, block, is);
        }
    }
    u128::from_ne_bytes(found) != 0
}

#[inline]
fn look(found: &mut [u8; 16], before: &[u8; 16], block: &[u8; 16], is: impl Fn(u8, u8) -> Flag) {
    for ((found, before), octet) in found.iter_mut().zip(before).zip(block) {
        *found |= is(*before, *octet);
    }
}

/// An octet, at most sixteen octets, and letters behind them.
#[inline]
fn short(before: u8, octets: &[u8]) -> [u8; 17] {
    const LETTERS: u64 = 0x6161_6161_6161_6161;
    let bits = u32::try_from(octets.len().wrapping_mul(8)).unwrap_or(0);
    let (low, high) = match (octets.first_chunk(), octets.last_chunk()) {
        (Some(first), Some(last)) => {
            // The last word without those of its octets that are in the first one, too.
            let last = u64::from_le_bytes(*last).checked_shr(128_u32.wrapping_sub(bits)).unwrap_or(0);
            (u64::from_le_bytes(*first), last | LETTERS.checked_shl(bits.wrapping_sub(64)).unwrap_or(0))
        }
        _ => (word(octets) | LETTERS.wrapping_shl(bits), LETTERS),
    };
    let mut block = [before; 17];
    let [_, words @ ..] = &mut block;
    let (words, _) = words.as_chunks_mut();
    words.iter_mut().zip([low, high]).for_each(|(to, from)| *to = from.to_le_bytes());
    block
}

/// Fewer than eight octets, with zeros behind them.
#[inline]
pub(crate) fn word(octets: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
        let bits = u32::try_from(octets.len().wrapping_mul(8)).unwrap_or(0);
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)).wrapping_shl(bits.wrapping_sub(32));
    }
    match octets {
        [a] => u64::from(*a),
        [a, b] => u64::from(u16::from_le_bytes([*a, *b])),
        [a, b, c] => u64::from(u32::from_le_bytes([*a, *b, *c, 0])),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every place of an octet, and of a pair, in texts of every length around the sizes of blocks.
    #[test]
    fn every_octet_and_every_pair() {
        let is = |before, octet| flag(octet == b'!') | (flag(before == b'x') & flag(octet == b'y'));
        for len in 0..70 {
            let clean: Vec<u8> = (0..len).map(|n| b'a' + (n % 20) as u8).collect();
            assert!(!any(b'x', &clean, is));
            for at in 0..len {
                let mut text = clean.clone();
                text[at] = b'!';
                assert!(any(0, &text, is), "{len} {at}");
                text[at] = b'y';
                assert!(!any(0, &text, is), "{len} {at}");
                assert_eq!(any(b'x', &text, is), at == 0, "{len} {at}");
                for other in (0..len).filter(|other| *other != at) {
                    let mut text = text.clone();
                    text[other] = b'x';
                    assert_eq!(any(0, &text, is), other + 1 == at, "{len} {at} {other}");
                }
            }
        }
    }

    #[test]
    fn words() {
        for len in 0..8 {
            let octets: Vec<u8> = (1..=len).collect();
            let mut padded = [0; 8];
            padded[..octets.len()].copy_from_slice(&octets);
            assert_eq!(word(&octets), u64::from_le_bytes(padded), "{len}");
        }
    }
}
