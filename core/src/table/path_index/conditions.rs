//! The index of a long list of records: by the values that their conditions compare.
//!
//! Records whose conditions are on the same names have one **shape**: the method or not, some header fields, some query
//! parameters. For each shape the values of the request give one hash, and that the records to look at. So what is looked
//! at grows with the number of shapes, which people write by hand, and not with the number of values, which come from
//! data. Each name has a number in the index, so that a request is read once for each name and not for each shape.

use std::collections::BTreeMap;

use super::group;
use crate::blob::Writer;
use crate::table::{hash, slots};

/// Records that are looked at one by one.
pub(super) const FEW: usize = 6;
/// Begins every hash of values.
pub(super) const SEED: u64 = 0x6a09_e667_f3bc_c908;

/// What stands where in an index.
pub(super) mod head {
    /// Number of shapes; their places follow behind the head.
    pub(crate) const COUNT: usize = 0;
    /// Place of the names.
    pub(crate) const NAMES: usize = 4;
    /// Number of names.
    pub(crate) const NAMES_COUNT: usize = 8;
    pub(crate) const SHAPES: usize = 12;
}

/// What stands where in a shape; the numbers of the names follow.
pub(super) mod shape {
    /// The first record's place in the order of precedence.
    pub(crate) const ORDER: usize = 0;
    /// Place of the records by hash.
    pub(crate) const SLOTS: usize = 4;
    /// Number of records.
    pub(crate) const COUNT: usize = 8;
    /// Whether the method counts.
    pub(crate) const METHOD: usize = 12;
    /// Number of header fields and of query parameters.
    pub(crate) const HEADERS: usize = 13;
    pub(crate) const QUERIES: usize = 14;
    pub(crate) const NAMES: usize = 15;
}

/// What stands where in a name.
pub(super) mod name {
    /// The number of the header field, or the place of the parameter's name.
    pub(crate) const TEXT: usize = 0;
    /// Octets of the parameter's name.
    pub(crate) const LEN: usize = 4;
    /// Whether it is that of a parameter.
    pub(crate) const IS_QUERY: usize = 6;
    pub(crate) const SIZE: usize = 7;
}

/// A name on which some record has a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name<'e> {
    Header(u16),
    Query(&'e str),
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

impl<'e> Record<'e> {
    fn names(&self) -> impl Iterator<Item = Name<'e>> {
        let headers = self.headers.iter().map(|(name, _)| Name::Header(*name));
        headers.chain(self.queries.iter().map(|(name, _)| Name::Query(name)))
    }
}

/// Writes the index of records, given in order of precedence.
pub(super) fn write(records: &[Record<'_>], writer: &mut Writer) -> u32 {
    let mut shapes = BTreeMap::<(bool, Vec<Name<'_>>), Vec<&Record<'_>>>::new();
    for record in records {
        shapes.entry((record.method != 0, record.names().collect())).or_default().push(record);
    }
    let mut numbers: BTreeMap<Name<'_>, u32> = records.iter().flat_map(Record::names).map(|name| (name, 0)).collect();
    numbers.values_mut().zip(0..).for_each(|(to, number)| *to = number);
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_by_key(|(_, records)| records.first().map(|record| record.order));
    let mut places = Vec::with_capacity(shapes.len());
    for ((method, names), records) in &shapes {
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
        let queries = names.iter().filter(|name| matches!(name, Name::Query(_))).count();
        let headers = names.len().saturating_sub(queries);
        [usize::from(*method), headers, queries].into_iter().for_each(|value| writer.u8(u8::try_from(value).unwrap_or(0)));
        names.iter().filter_map(|name| numbers.get(name)).for_each(|number| writer.u32(*number));
    }
    let names = write_names(&numbers, writer);
    let at = writer.place();
    for value in [u32::try_from(places.len()).unwrap_or(u32::MAX), names, u32::try_from(numbers.len()).unwrap_or(u32::MAX)] {
        writer.u32(value);
    }
    places.into_iter().for_each(|place| writer.u32(place));
    at
}

/// Writes the names in the order of their numbers.
fn write_names(numbers: &BTreeMap<Name<'_>, u32>, writer: &mut Writer) -> u32 {
    let mut texts = Vec::with_capacity(numbers.len());
    for name in numbers.keys() {
        texts.push(writer.place());
        if let Name::Query(text) = name {
            writer.bytes(text.as_bytes());
        }
    }
    let at = writer.place();
    for (name, text) in numbers.keys().zip(texts) {
        let (text, len, is_query) = match name {
            Name::Header(number) => (u32::from(*number), 0, false),
            Name::Query(name) => (text, u16::try_from(name.len()).unwrap_or(0), true),
        };
        writer.u32(text);
        writer.u16(len);
        writer.u8(u8::from(is_query));
    }
    at
}

/// The hash of the values of a record, in the order of its shape's names.
fn hash_of(record: &Record<'_>) -> u64 {
    let hash = if record.method != 0 { hash::mix(SEED, u64::from(record.method)) } else { SEED };
    let values = record.headers.iter().map(|(_, value)| value).chain(record.queries.iter().map(|(_, value)| value));
    values.fold(hash, |hash, value| hash::mix(hash, hash::text(SEED, value.as_bytes())))
}
