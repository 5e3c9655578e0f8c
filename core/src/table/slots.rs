//! A hash table inside of a [`Blob`]: from a hash to places in the same blob.

use super::hash::mix;
use crate::blob::{Blob, Writer};

/// Neighbours that a lookup may have to pass; by chance there are more of them in a large table. A table that would need
/// more is built with another seed: texts that are chosen to meet under one seed would have to meet under all of them.
fn longest_run(count: usize) -> usize {
    usize::try_from(count.max(1).ilog2()).unwrap_or(0).saturating_mul(2).saturating_add(24)
}

const SEEDS: u32 = 32;

/// Octets before the first slot: mask and seed, as if they were a slot.
const HEAD: usize = 8;
const SLOT: usize = 8;

/// Leaves room for the table of so many entries, and gives its place.
pub(crate) fn reserve(count: usize, writer: &mut Writer) -> u32 {
    let at = writer.place();
    let len = slots(count).saturating_mul(SLOT).saturating_add(HEAD);
    writer.bytes.resize(writer.bytes.len().saturating_add(len), 0);
    at
}

/// The number of slots for so many entries: a power of two.
fn slots(count: usize) -> usize {
    let count = count.max(1);
    count.saturating_add(count / 2).checked_next_power_of_two().unwrap_or(count)
}

/// Writes the table of all entries where there is room for it. Entries with equal hashes are found one after the other in
/// the order given. A place must not be 0.
pub(crate) fn write(entries: &[(u64, u32)], at: u32, writer: &mut Writer) {
    let mask = slots(entries.len()).saturating_sub(1);
    let (mut best, mut best_run) = (None, usize::MAX);
    for seed in 0..SEEDS {
        let (filled, run) = fill(entries, mask, seed);
        if run < best_run {
            (best, best_run) = (Some((seed, filled)), run);
        }
        if best_run <= longest_run(entries.len()) {
            break;
        }
    }
    let Some((seed, filled)) = best else { return };
    let head = (u32::try_from(mask).unwrap_or(u32::MAX), seed);
    let room = usize::try_from(at).ok().and_then(|at| writer.bytes.get_mut(at..)).unwrap_or_default();
    for (to, (low, high)) in room.as_chunks_mut::<SLOT>().0.iter_mut().zip(std::iter::once(head).chain(filled)) {
        *to = (u64::from(low) | u64::from(high).wrapping_shl(32)).to_le_bytes();
    }
}

/// The slots under a seed, and the longest run that a lookup may pass.
fn fill(entries: &[(u64, u32)], mask: usize, seed: u32) -> (Vec<(u32, u32)>, usize) {
    let mut filled = vec![(0, 0); mask.saturating_add(1)];
    let mut longest = 0;
    for (hash, place) in entries {
        let (first, tag) = slot(*hash, seed, mask);
        for step in 0..=mask {
            let Some(slot) = filled.get_mut(first.wrapping_add(step) & mask) else { break };
            if slot.1 == 0 {
                *slot = (tag, *place);
                longest = longest.max(step);
                break;
            }
        }
    }
    (filled, longest)
}

#[inline]
fn slot(hash: u64, seed: u32, mask: usize) -> (usize, u32) {
    let mixed = mix(u64::from(seed), hash);
    // The halves tell different things: where it is, and whether it is it.
    (usize::try_from(mixed & u64::from(u32::MAX)).unwrap_or(0) & mask, u32::try_from(mixed.wrapping_shr(32)).unwrap_or(0))
}

/// The first place of a hash for which `is_it` holds.
#[inline]
pub(crate) fn find(blob: Blob<'_>, at: usize, hash: u64, is_it: impl FnMut(usize) -> bool) -> Option<usize> {
    find_by(blob, at, head(blob, at), hash, is_it)
}

/// Mask and seed of a table, for those who keep them elsewhere.
#[inline]
pub(crate) fn head(blob: Blob<'_>, at: usize) -> u64 {
    blob.u64(at)
}

/// As [`find`], with the [`head`] of the table.
#[inline]
pub(crate) fn find_by(blob: Blob<'_>, at: usize, head: u64, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
    let mask = low(head);
    let (first, tag) = slot(hash, high(head), mask);
    let slots = blob.0.get(at..)?.get(HEAD..)?.as_chunks::<SLOT>().0.get(..=mask)?;
    for step in 0..=mask {
        let slot = u64::from_le_bytes(*slots.get(first.wrapping_add(step) & mask)?);
        let place = usize::try_from(high(slot)).unwrap_or(0);
        if place == 0 {
            return None;
        }
        if low(slot) == usize::try_from(tag).unwrap_or(0) && is_it(place) {
            return Some(place);
        }
    }
    None
}

/// The places of all entries, in no order that means anything; of those with equal hashes each.
pub(crate) fn all(blob: Blob<'_>, at: usize) -> impl Iterator<Item = usize> {
    let slots = blob.bytes(at, len(blob, at)).as_chunks::<SLOT>().0;
    slots.iter().skip(1).map(|slot| usize::try_from(high(u64::from_le_bytes(*slot))).unwrap_or(0)).filter(|place| *place != 0)
}

#[inline]
fn low(word: u64) -> usize {
    usize::try_from(word & u64::from(u32::MAX)).unwrap_or(0)
}

#[inline]
fn high(word: u64) -> u32 {
    u32::try_from(word.wrapping_shr(32)).unwrap_or(0)
}

/// Octets of a table.
pub(crate) fn len(blob: Blob<'_>, at: usize) -> usize {
    blob.place(at).wrapping_add(1).wrapping_mul(SLOT).wrapping_add(HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_all_and_nothing_else() {
        for count in [0, 1, 2, 10, 1000] {
            let entries: Vec<(u64, u32)> = (0..count).map(|n| (mix(7, u64::from(n / 2)), n + 1)).collect();
            let mut writer = Writer::default();
            writer.bytes(b"xyz");
            let at = reserve(entries.len(), &mut writer);
            write(&entries, at, &mut writer);
            let blob = Blob(&writer.bytes);
            assert_eq!(len(blob, 3) + 3, writer.bytes.len());
            for (hash, place) in &entries {
                assert_eq!(find(blob, 3, *hash, |found| found == *place as usize), Some(*place as usize));
            }
            assert_eq!(find(blob, 3, mix(8, 1), |_| true), None);
        }
    }

    /// Texts that meet under the first seed do not under another.
    #[test]
    fn long_runs_get_another_seed() {
        let meets = |hash: &u64| slot(*hash, 0, 255).0 == 9;
        let entries: Vec<(u64, u32)> = (0..u64::MAX).filter(meets).take(100).map(|hash| (hash, 1)).collect();
        assert!(fill(&entries, 255, 0).1 > longest_run(100));
        let mut writer = Writer::default();
        reserve(entries.len(), &mut writer);
        write(&entries, 0, &mut writer);
        assert_ne!(Blob(&writer.bytes).u32(4), 0);
        let mut passed = 0;
        find(Blob(&writer.bytes), 0, entries[99].0, |_| {
            passed += 1;
            false
        });
        assert!(passed <= longest_run(100));
    }
}
