//! The index of a long list of records: by the values that their conditions compare.
//!
//! Records whose conditions are on the same names have one **shape**: the method or not, some header fields, some query
//! parameters. For each shape the values of the request give one hash, and that the records to look at. So what is looked
//! at grows with the number of shapes, which people write by hand, and not with the number of values, which come from
//! data.

use std::collections::BTreeMap;

use super::group;
use crate::blob::Writer;
use crate::table::{hash, slots};

/// Records that are looked at one by one.
pub(super) const FEW: usize = 6;
/// Begins every hash of values.
pub(super) const SEED: u64 = 0x6a09_e667_f3bc_c908;

/// What stands where in a shape; the names follow: numbers of header fields, then lengths and names of parameters.
pub(super) mod shape {
    /// The first record's place in the order of precedence.
    pub(crate) const ORDER: usize = 0;
    /// Place of the records by hash.
    pub(crate) const SLOTS: usize = 4;
    /// Number of records.
    pub(crate) const COUNT: usize = 8;
    /// Whether the method counts.
    pub(crate) const METHOD: usize = 12;
    pub(crate) const HEADERS: usize = 13;
    pub(crate) const QUERIES: usize = 14;
    pub(crate) const NAMES: usize = 16;
}

/// A record that has been written.
pub(super) struct Record<'e> {
    pub(super) at: u32,
    pub(super) order: usize,
    pub(super) method: u8,
    /// Number of the name and value, sorted.
    pub(super) headers: Vec<(u16, &'e str)>,
    /// Name and value, sorted.
    pub(super) queries: Vec<(&'e str, &'e str)>,
}

/// Writes the index of records, given in order of precedence.
pub(super) fn write(records: &[Record<'_>], writer: &mut Writer) -> u32 {
    let mut shapes = BTreeMap::<(bool, Vec<u16>, Vec<&str>), Vec<&Record<'_>>>::new();
    for record in records {
        let headers = record.headers.iter().map(|(name, _)| *name).collect();
        let queries = record.queries.iter().map(|(name, _)| *name).collect();
        shapes.entry((record.method != 0, headers, queries)).or_default().push(record);
    }
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_by_key(|(_, records)| records.first().map(|record| record.order));
    let mut places = Vec::with_capacity(shapes.len());
    for ((method, headers, queries), records) in &shapes {
        let mut lists = BTreeMap::<u64, Vec<&Record<'_>>>::new();
        for record in records {
            lists.entry(hash_of(record)).or_default().push(record);
        }
        for list in lists.values() {
            for (one, next) in list.iter().zip(list.iter().skip(1)) {
                writer.patch(one.at.saturating_sub(u32::try_from(group::NEXT).unwrap_or(0)), next.at);
            }
        }
        let entries: Vec<(u64, u32)> = lists.iter().filter_map(|(hash, list)| Some((*hash, list.first()?.at))).collect();
        let slots_at = slots::reserve(entries.len(), writer);
        slots::write(&entries, slots_at, writer);
        places.push(writer.place());
        let first = records.first().map_or(0, |record| record.order);
        writer.u32(u32::try_from(first).unwrap_or(u32::MAX));
        writer.u32(slots_at);
        writer.u32(u32::try_from(records.len()).unwrap_or(u32::MAX));
        [u8::from(*method), u8::try_from(headers.len()).unwrap_or(0), u8::try_from(queries.len()).unwrap_or(0), 0]
            .into_iter()
            .for_each(|value| writer.u8(value));
        headers.iter().for_each(|name| writer.u16(*name));
        for name in queries {
            writer.u16(u16::try_from(name.len()).unwrap_or(0));
            writer.bytes(name.as_bytes());
        }
    }
    let at = writer.place();
    writer.u32(u32::try_from(places.len()).unwrap_or(u32::MAX));
    places.into_iter().for_each(|place| writer.u32(place));
    at
}

fn hash_of(record: &Record<'_>) -> u64 {
    let mut hash = SEED;
    if record.method != 0 {
        hash = hash::mix(hash, u64::from(record.method));
    }
    let values = record.headers.iter().map(|(_, value)| value).chain(record.queries.iter().map(|(_, value)| value));
    values.fold(hash, |hash, value| hash::text(hash, value.as_bytes()))
}
