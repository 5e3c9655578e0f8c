//! From a host to what is served for it, the most specific hostname first ([M-4]): a hash table that a change copies
//! only a small part of.
//!
//! Hostnames are spread over shards, each of them one piece of memory: its slots, then what is served for its
//! hostnames. So a lookup waits for memory twice, however many hostnames there are, and a change writes one shard anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{hash, slots};
use crate::blob::{Blob, Writer, zeros};
use crate::model::hostname::Hostname;

const SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;
/// Sets the suffix of a wildcard apart from the same text as a name.
const WILDCARD: u64 = 0x2545_f491_4f6c_dd1d;
/// Hostnames of a shard: when all are new, and at most before they are spread anew.
const PER_SHARD: usize = 24;
const MOST_PER_SHARD: usize = 96;
/// Suffixes of a host that are kept at once: more than an ordinary host has.
const FEW: usize = 32;

/// What is served, by hostname.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostMap {
    /// A power of two of them, or none.
    shards: Vec<Shard>,
    any: Option<Arc<[u8]>>,
    /// Numbers of labels that suffixes of wildcards have, or once had.
    wildcards: [u64; 2],
    named: usize,
}

/// A part of the hostnames.
#[derive(Clone, Debug)]
struct Shard {
    /// Mask and seed of the slots, here as well: the slots themselves are then the first that is waited for.
    head: u64,
    bytes: Arc<[u8]>,
}

impl HostMap {
    /// The map of these hostnames, of which none comes twice; `None` is any host.
    pub(crate) fn new(entries: impl IntoIterator<Item = (Option<Hostname>, Vec<u8>)>) -> Self {
        let mut map = Self::default();
        let mut named = Vec::new();
        for (hostname, value) in entries {
            match hostname {
                Some(hostname) => named.push((hostname, value)),
                None => map.any = Some(value.into()),
            }
        }
        map.spread(named);
        map
    }

    fn spread(&mut self, named: Vec<(Hostname, Vec<u8>)>) {
        self.named = named.len();
        self.wildcards = [0; 2];
        let shards = (named.len() / PER_SHARD).max(1).checked_next_power_of_two().unwrap_or(1);
        let mut lists: Vec<Vec<(Hostname, Vec<u8>)>> = std::iter::repeat_with(Vec::new).take(shards).collect();
        for (hostname, value) in named {
            self.learn(&hostname);
            if let Some(list) = lists.get_mut(shard_of(hash_of(&hostname), shards)) {
                list.push((hostname, value));
            }
        }
        self.shards = lists.iter().map(|list| shard(list)).collect();
    }

    /// Sets what is served for several hostnames; nothing takes them out.
    pub(crate) fn set_all(&mut self, entries: Vec<(Option<Hostname>, Option<Vec<u8>>)>) {
        // Writing everything once costs as much as writing some shards again and again.
        if entries.len() <= self.named / PER_SHARD {
            entries.into_iter().for_each(|(hostname, value)| self.set(hostname, value));
            return;
        }
        let mut all: BTreeMap<_, _> = self.iter().map(|(hostname, value)| (hostname, value.0.to_vec())).collect();
        for (hostname, value) in entries {
            match value {
                Some(value) => all.insert(hostname, value),
                None => all.remove(&hostname),
            };
        }
        *self = Self::new(all);
    }

    /// Whether nothing is served.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets what is served for a hostname; nothing takes it out.
    pub(crate) fn set(&mut self, hostname: Option<Hostname>, value: Option<Vec<u8>>) {
        let Some(hostname) = hostname else {
            self.any = value.map(Into::into);
            return;
        };
        if self.named >= self.shards.len().saturating_mul(MOST_PER_SHARD) {
            let all: Vec<_> = self.iter().filter_map(|(hostname, value)| Some((hostname?, value.0.to_vec()))).collect();
            self.spread(all);
        }
        self.learn(&hostname);
        let at = shard_of(hash_of(&hostname), self.shards.len());
        let Some(place) = self.shards.get_mut(at) else { return };
        let mut entries: Vec<(Hostname, Vec<u8>)> = entries(Blob(&place.bytes)).map(|(name, value)| (name, value.0.to_vec())).collect();
        let before = entries.len();
        let found = entries.iter().position(|(name, _)| *name == hostname);
        match (found, value) {
            (Some(n), Some(value)) => {
                if let Some(entry) = entries.get_mut(n) {
                    entry.1 = value;
                }
            }
            (Some(n), None) => {
                entries.remove(n);
            }
            (None, Some(value)) => entries.push((hostname, value)),
            (None, None) => return,
        }
        *place = shard(&entries);
        self.named = self.named.saturating_sub(before).saturating_add(entries.len());
    }

    /// What is served for a hostname itself.
    pub(crate) fn get(&self, hostname: Option<&Hostname>) -> Option<Blob<'_>> {
        match hostname {
            None => self.any.as_deref().map(Blob),
            Some(hostname) => self.probe(hash_of(hostname), text_of(hostname)),
        }
    }

    /// What is served for any host, if nothing is served for a name.
    #[inline]
    pub(crate) fn only(&self) -> Option<Blob<'_>> {
        self.any.as_deref().filter(|_| self.named == 0).map(Blob)
    }

    /// Number of hostnames.
    pub(crate) fn len(&self) -> usize {
        self.named.saturating_add(usize::from(self.any.is_some()))
    }

    /// Every hostname, in no order that means anything; `None` is any host.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<Hostname>, Blob<'_>)> {
        let named = self.shards.iter().flat_map(|shard| entries(Blob(&shard.bytes))).map(|(name, value)| (Some(name), value));
        named.chain(self.any.iter().map(|value| (None, Blob(value))))
    }

    /// What is served for the hostnames that cover a host, the most specific first. `None` stands for an address or a
    /// request without host, which only entries for any host cover ([R-H5]). Case does not count.
    #[inline]
    pub(crate) fn levels<'t, 'h>(&'t self, host: Option<&'h str>) -> Levels<'t, 'h> {
        let host = host.filter(|_| self.named > 0);
        Levels { map: self, host: host.unwrap_or_default(), named: host.is_some(), wildcards: false, suffixes: None, any: true }
    }

    /// Notes the number of labels of a wildcard.
    fn learn(&mut self, hostname: &Hostname) {
        if let Hostname::Wildcard(suffix) = hostname {
            let count = suffix.bytes().filter(|b| *b == b'.').count();
            if let Some(word) = self.wildcards.get_mut(count / 64) {
                *word |= 1_u64.wrapping_shl(u32::try_from(count % 64).unwrap_or(0));
            }
        }
    }

    /// Whether some wildcard has this number of labels.
    #[inline]
    fn wants(&self, count: usize) -> bool {
        let word = self.wildcards.get(count / 64).copied().unwrap_or(0);
        word.wrapping_shr(u32::try_from(count % 64).unwrap_or(0)) & 1 == 1
    }

    #[inline]
    fn probe(&self, hash: u64, name: &str) -> Option<Blob<'_>> {
        let shard = self.shards.get(shard_of(hash, self.shards.len()))?;
        let blob = Blob(&shard.bytes);
        let place = slots::find_by(blob, 0, shard.head, hash, |place| {
            blob.fetch(place);
            let len = usize::from(blob.u16(place));
            same_name(name.as_bytes(), blob.bytes(place.wrapping_add(ENTRY), len))
        })?;
        Some(value(blob, place))
    }
}

/// An entry: length of the name, length of the value, then both. Wildcards begin with their dot.
const ENTRY: usize = 6;

fn shard(entries: &[(Hostname, Vec<u8>)]) -> Shard {
    let mut writer = Writer::default();
    let slots_at = slots::reserve(entries.len(), &mut writer);
    let mut places = Vec::with_capacity(entries.len());
    for (hostname, value) in entries {
        places.push((hash_of(hostname), writer.place()));
        writer.u16(u16::try_from(text_of(hostname).len()).unwrap_or(u16::MAX));
        writer.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        writer.bytes(text_of(hostname).as_bytes());
        writer.bytes(value);
    }
    slots::write(&places, slots_at, &mut writer);
    Shard { head: slots::head(Blob(&writer.bytes), 0), bytes: writer.bytes.into() }
}

#[inline]
fn value(shard: Blob<'_>, place: usize) -> Blob<'_> {
    let len = shard.place(place.wrapping_add(2));
    let at = place.wrapping_add(ENTRY).wrapping_add(usize::from(shard.u16(place)));
    Blob(shard.bytes(at, len))
}

/// The hostnames of a shard.
fn entries(shard: Blob<'_>) -> impl Iterator<Item = (Hostname, Blob<'_>)> {
    let mut at = slots::len(shard, 0);
    std::iter::from_fn(move || {
        let len = usize::from(shard.u16(at));
        let name = std::str::from_utf8(shard.bytes(at.wrapping_add(ENTRY), len)).ok().filter(|name| !name.is_empty())?;
        let value = value(shard, at);
        at = at.wrapping_add(ENTRY).wrapping_add(len).wrapping_add(value.0.len());
        let hostname = if name.starts_with('.') { Hostname::Wildcard(name.into()) } else { Hostname::Exact(name.into()) };
        Some((hostname, value))
    })
}

fn text_of(hostname: &Hostname) -> &str {
    match hostname {
        Hostname::Exact(name) | Hostname::Wildcard(name) => name,
    }
}

fn hash_of(hostname: &Hostname) -> u64 {
    match hostname {
        Hostname::Exact(name) => name_hash(name),
        Hostname::Wildcard(suffix) => wildcard(labels(suffix.strip_prefix('.').unwrap_or(suffix), |_, _, _| {})),
    }
}

#[inline]
fn wildcard(suffix: u64) -> u64 {
    hash::mix(suffix, WILDCARD)
}

#[inline]
fn shard_of(hash: u64, shards: usize) -> usize {
    // The slots use other bits: they mix the hash again.
    usize::try_from(hash.wrapping_shr(40)).unwrap_or(0) & shards.wrapping_sub(1)
}

/// The hash of a whole name, without case.
#[inline]
fn name_hash(name: &str) -> u64 {
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(SEED, |hash, word| hash::mix(hash, u64::from_le_bytes(*word) | LOWER));
    // Together with the length the last word tells the rest; what it has of the words before does no harm.
    let last = match name.as_bytes().last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => hash::tail(rest),
    };
    hash::mix(hash, (last | LOWER) ^ u64::try_from(name.len()).unwrap_or(0).wrapping_shl(56))
}

/// Whether two names are equal without case, the second being in lower case. The first has none but the octets of host
/// names, of which only letters change by the bit, but for `_`, which no hostname has.
#[inline]
fn same_name(name: &[u8], lower: &[u8]) -> bool {
    let same = |a: [u8; 8], b: [u8; 8]| u64::from_le_bytes(a) | LOWER == u64::from_le_bytes(b);
    let words = || name.as_chunks::<8>().0.iter().zip(lower.as_chunks::<8>().0);
    name.len() == lower.len()
        && match (name.last_chunk(), lower.last_chunk()) {
            (Some(a), Some(b)) => same(*a, *b) && words().all(|(a, b)| same(*a, *b)),
            _ => name.iter().zip(lower).all(|(a, b)| a | 0x20 == *b),
        }
}

/// Makes letters lower case.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// The hash of a host, label by label from the right and without case; `each` gets the number of labels, the place of
/// the dot before them, and the hash, for every suffix that something stands before.
fn labels(host: &str, mut each: impl FnMut(usize, usize, u64)) -> u64 {
    const DOTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
    let bytes = host.as_bytes();
    let (mut hash, mut end, mut count) = (SEED, bytes.len(), 0_usize);
    loop {
        let (word, valid) = word_before(bytes, end);
        // Of the octets of a host only letters change by this, but for `_`, which no hostname has.
        let word = word | LOWER;
        let dots = zeros(word ^ DOTS);
        let above = usize::try_from(dots.leading_zeros() / 8).unwrap_or(0);
        if dots != 0 && above < valid {
            hash = hash::mix(hash, top(word, above));
            end = end.wrapping_sub(above).wrapping_sub(1);
            count = count.wrapping_add(1);
            each(count, end, hash);
        } else if valid < 8 {
            return hash::mix(hash, top(word, valid));
        } else {
            hash = hash::mix(hash, word);
            end = end.wrapping_sub(8);
        }
    }
}

/// The eight octets before a place, the last on top, and how many of them there are.
#[inline]
fn word_before(bytes: &[u8], end: usize) -> (u64, usize) {
    let Some(before) = bytes.get(..end) else { return (0, 0) };
    if let Some(word) = before.last_chunk() {
        return (u64::from_le_bytes(*word), 8);
    }
    let word = before.iter().fold(0_u64, |word, octet| word.wrapping_shr(8) | u64::from(*octet).wrapping_shl(56));
    (word, before.len())
}

/// The octets on top of a word, fewer than eight, with their number.
#[inline]
fn top(word: u64, len: usize) -> u64 {
    let len = u32::try_from(len).unwrap_or(0);
    let octets = word.checked_shr(64_u32.wrapping_sub(len.wrapping_mul(8))).unwrap_or(0);
    octets | u64::from(len).wrapping_add(1).wrapping_shl(56)
}

/// The answers of [`HostMap::levels`].
pub(crate) struct Levels<'t, 'h> {
    map: &'t HostMap,
    host: &'h str,
    /// Whether the host itself is still to be asked.
    named: bool,
    /// Whether its suffixes are still to be looked for.
    wildcards: bool,
    suffixes: Option<Suffixes>,
    any: bool,
}

/// The suffixes of a host at which there may be wildcards.
struct Suffixes {
    /// The hash and the place of the dot before it of each: of those up to `kept` the longest ones, each at its number
    /// modulo [`FEW`].
    list: [(u64, usize); FEW],
    kept: usize,
    /// Suffixes that are still to be asked.
    left: usize,
}

impl Suffixes {
    fn new(map: &HostMap, host: &str) -> Self {
        let mut suffixes = Self { list: [(0, 0); FEW], kept: 0, left: usize::MAX };
        suffixes.keep(map, host);
        suffixes.left = suffixes.kept;
        suffixes
    }

    /// Keeps the longest of those that are left.
    fn keep(&mut self, map: &HostMap, host: &str) {
        self.kept = 0;
        labels(host, |count, start, hash| {
            if map.wants(count) && self.kept < self.left {
                if let Some(place) = self.list.get_mut(self.kept % FEW) {
                    *place = (hash, start);
                }
                self.kept = self.kept.wrapping_add(1);
            }
        });
    }

    /// The longest suffix that is left.
    #[inline]
    fn next(&mut self, map: &HostMap, host: &str) -> Option<(u64, usize)> {
        if self.left.wrapping_add(FEW) <= self.kept {
            // So many labels are rare, and it is rarer that their routes do not match.
            self.keep(map, host);
        }
        self.left = self.left.checked_sub(1)?;
        self.list.get(self.left % FEW).copied()
    }
}

impl<'t, 'h> Iterator for Levels<'t, 'h> {
    /// The hostname as it covers the host, as received; and what is served.
    type Item = (Covering<'h>, Blob<'t>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (map, host) = (self.map, self.host);
        if std::mem::take(&mut self.named) {
            self.wildcards = map.wildcards != [0; 2];
            if let Some(found) = map.probe(name_hash(host), host) {
                return Some((Covering::Exact, found));
            }
        }
        if std::mem::take(&mut self.wildcards) {
            self.suffixes = Some(Suffixes::new(map, host));
        }
        while let Some((hash, start)) = self.suffixes.as_mut().and_then(|suffixes| suffixes.next(map, host)) {
            // One or more whole labels stand before the suffix ([M-3]).
            let Some(suffix) = host.get(start..).filter(|_| start > 0) else { continue };
            if let Some(found) = map.probe(wildcard(hash), suffix) {
                return Some((Covering::Wildcard(suffix), found));
            }
        }
        let any = std::mem::take(&mut self.any).then_some(map.any.as_deref())??;
        Some((Covering::Any, Blob(any)))
    }
}

/// How a hostname covers a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Covering<'t> {
    Exact,
    /// By this suffix of the host.
    Wildcard(&'t str),
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostname(text: &str) -> Option<Hostname> {
        (!text.is_empty()).then(|| Hostname::parse(text).unwrap())
    }

    fn levels(map: &HostMap, host: Option<&str>) -> Vec<String> {
        map.levels(host).map(|(_, value)| String::from_utf8_lossy(value.0).into_owned()).collect()
    }

    #[test]
    fn most_specific_first() {
        let names = ["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", "b.example.com", ""];
        let map = HostMap::new(names.map(|name| (hostname(name), name.as_bytes().to_vec())));
        for (host, expected) in [
            (Some("a.b.example.com"), &["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", ""][..]),
            (Some("A.b.Example.COM"), &["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", ""]),
            (Some("b.example.com"), &["b.example.com", "*.example.com", "*.com", ""]),
            (Some("x.example.com"), &["*.example.com", "*.com", ""]),
            (Some("_.example.com"), &["*.example.com", "*.com", ""]),
            (Some("example.com"), &["*.com", ""]),
            (Some("com"), &[""]),
            (Some("example.org"), &[""]),
            (None, &[""]),
        ] {
            assert_eq!(levels(&map, host), expected, "{host:?}");
        }
        assert_eq!(map.len(), 6);
    }

    /// Every host of a random world, asked of the map and of [`Hostname::matches`], while hostnames come and go.
    #[test]
    fn like_a_list() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = hash::mix(state, 0x1234_5678);
            state.wrapping_shr(20) % below
        };
        let words = ["a", "b", "example", "com", "a-label-of-sixteen", "eightlet", "x9"];
        let name = |draw: &mut dyn FnMut(u64) -> u64| {
            let labels: Vec<&str> = (0..1 + draw(12)).map(|_| words[draw(7) as usize]).collect();
            labels.join(".")
        };
        let mut map = HostMap::default();
        let mut list: Vec<(Option<Hostname>, Vec<u8>)> = Vec::new();
        for round in 0..4000_u32 {
            let mut text = name(&mut draw);
            if draw(3) == 0 {
                text = format!("*.{text}");
            }
            let Ok(new) = Hostname::parse(&text) else { continue };
            let new = (draw(50) > 0).then_some(new);
            list.retain(|(old, _)| *old != new);
            let value = (draw(4) > 0).then(|| text.as_bytes().to_vec());
            if let Some(value) = &value {
                list.push((new.clone(), value.clone()));
            }
            map.set(new, value);
            assert_eq!(map.len(), list.len());
            if round % 16 == 0 {
                let host = name(&mut draw);
                let mut expected: Vec<&(Option<Hostname>, Vec<u8>)> =
                    list.iter().filter(|(name, _)| name.as_ref().is_none_or(|name| name.matches(&host))).collect();
                let rank = |name: &Option<Hostname>| match name {
                    Some(Hostname::Exact(_)) => (2, 0),
                    Some(Hostname::Wildcard(suffix)) => (1, suffix.len()),
                    None => (0, 0),
                };
                expected.sort_by_key(|(name, _)| std::cmp::Reverse(rank(name)));
                let expected: Vec<String> = expected.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
                assert_eq!(levels(&map, Some(&host)), expected, "{host}");
            }
        }
        let mut all: Vec<Option<Hostname>> = map.iter().map(|(name, _)| name).collect();
        let mut expected: Vec<Option<Hostname>> = list.into_iter().map(|(name, _)| name).collect();
        all.sort();
        expected.sort();
        assert_eq!(all, expected);
        let fresh = HostMap::new(map.iter().map(|(name, value)| (name, value.0.to_vec())));
        assert_eq!(fresh.len(), map.len());
    }

    /// A chain of wildcards as deep as a name can be.
    #[test]
    fn deep() {
        let deep = vec!["x"; 126].join(".");
        let names: Vec<String> = (2..126).map(|n| format!("*.{}", vec!["x"; n].join("."))).collect();
        let map = HostMap::new(names.iter().map(|name| (hostname(name), name.as_bytes().to_vec())));
        assert_eq!(levels(&map, Some(&deep)), names.iter().rev().cloned().collect::<Vec<_>>());
    }
}
