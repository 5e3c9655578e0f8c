//! Finds the match that wins among those of one hostname.

use std::ops::ControlFlow;

use http::HeaderName;

use super::conditions::{self, name, shape};
use super::{OTHER_METHOD, SEED, group, hash_bit, head, method_number, node, record};
use crate::blob::{Blob, zeros};
use crate::model::automaton;
use crate::model::matching::{Matcher, Subject, form_decode, query_is, query_values};
use crate::octets;
use crate::options::{QueryDecoding, RepeatedQuery};
use crate::request::{Headers, Pick};
use crate::table::rule::place_of;
use crate::table::{BackendId, MatchId, RouteId, RuleId, Table, hash, slots};

/// The match that wins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'t> {
    pub(crate) match_: MatchId,
    pub(crate) rule: RuleId,
    pub(crate) route: RouteId,
    /// Whether the rule does more than to forward to one of its backends.
    pub(crate) does_more: bool,
    /// The backends, if a pick alone chooses among them; else none.
    backends: Backends<'t>,
    /// Octets of the prefix that matched.
    pub(crate) prefix: usize,
}

/// The backends among which a pick chooses.
#[derive(Clone, Copy, Debug)]
enum Backends<'t> {
    None,
    One(BackendId),
    /// Each with the sum of the weights up to and including it before it.
    Shares(&'t [[u8; record::SHARE]]),
}

impl Found<'_> {
    /// The backend that a pick falls on; `None` if more than a pick chooses.
    #[inline]
    pub(crate) fn backend(&self, pick: Pick) -> Option<BackendId> {
        let shares = match self.backends {
            Backends::None => return None,
            Backends::One(backend) => return Some(backend),
            Backends::Shares(shares) => shares,
        };
        let word = |share: &[u8; record::SHARE]| u64::from_le_bytes(*share);
        let end = |share| word(share) & u64::from(u32::MAX);
        let place = place_of(end(shares.last()?), shares.iter().map(end), pick)?;
        Some(BackendId(u32::try_from(word(shares.get(place)?).wrapping_shr(32)).unwrap_or(0)))
    }
}

/// A search for one request.
pub(crate) struct Search<'s, H: ?Sized> {
    table: &'s Table,
    subject: &'s Subject<'s, H>,
    /// The names behind the numbers of header fields.
    names: &'s [HeaderName],
    /// Only rules with CORS may answer.
    cors_only: bool,
    /// Number of the method; 0 until it is needed.
    method: u8,
    /// The indexes asked so far.
    asked: usize,
    /// The bits of the hashes of the path and its prefixes; 0 until they are needed.
    bits: u64,
}

/// The best match so far: its order, the place of its record, and the octets of its prefix.
#[derive(Clone, Copy, Debug)]
struct Best {
    order: u32,
    at: usize,
    prefix: usize,
}

impl<'s, H: Headers + ?Sized> Search<'s, H> {
    pub(crate) fn new(table: &'s Table, subject: &'s Subject<'s, H>, cors_only: bool) -> Self {
        Self { table, subject, names: &table.inner.names, cors_only, method: 0, asked: 0, bits: 0 }
    }

    /// The match that wins in an index.
    pub(crate) fn find<'t>(&mut self, index: Blob<'t>) -> Option<Found<'t>> {
        if self.has_no_node(index) {
            return None;
        }
        let (exact, deepest) = deepest(index, self.subject.path);
        let mut best = Best { order: u32::MAX, at: 0, prefix: 0 };
        if exact != 0 {
            // Whatever ranks regular expressions, an exact path comes before all others.
            self.group(index, exact, 0, &mut best);
        }
        if best.at == 0 {
            if index.u32(head::REGEX) != 0 {
                self.regexes(index, deepest, &mut best);
            }
            self.prefixes(index, deepest, &mut best);
        }
        self.found(index, best)
    }

    /// Whether an index has no node for the path or a prefix of it, as far as one word tells. The first index asked is
    /// mostly the only one, and is not worth the trouble.
    #[inline]
    fn has_no_node(&mut self, index: Blob<'_>) -> bool {
        self.asked = self.asked.wrapping_add(1);
        if self.asked == 1 {
            return false;
        }
        if self.bits == 0 {
            let whole = prefixes(self.subject.path.as_bytes(), |hash, _| {
                self.bits |= hash_bit(hash);
                ControlFlow::Continue(())
            });
            self.bits |= whole.map_or(0, hash_bit);
        }
        index.place(head::ROOT) == 0 && index.u64(head::BITS) & self.bits == 0
    }

    /// The match that wins in an index of gRPC matches.
    pub(crate) fn find_grpc<'t>(&mut self, index: Blob<'t>) -> Option<Found<'t>> {
        let mut best = Best { order: u32::MAX, at: 0, prefix: 0 };
        let (_, deepest) = deepest(index, self.subject.path);
        self.prefixes_all(index, deepest, &mut best);
        // Matches on a method of any service.
        if let Some((_, method)) = self.subject.path.strip_prefix('/').and_then(|path| path.split_once('/')) {
            let hash = hash::octets(SEED, b"//".iter().copied().chain(method.bytes()));
            let is_it = |at| path_of(index, at).strip_prefix(b"//") == Some(method.as_bytes());
            if let Some(at) = slots::find(index, head::SLOTS, hash, is_it) {
                self.group(index, index.place(at.wrapping_add(node::PREFIX)), 0, &mut best);
            }
        }
        self.found(index, best)
    }

    fn found<'t>(&self, index: Blob<'t>, best: Best) -> Option<Found<'t>> {
        if best.at == 0 {
            return None;
        }
        let member = |member: usize| index.u32(best.at.wrapping_add(member));
        let [count, more] = index.u16(best.at.wrapping_add(record::BACKENDS)).to_le_bytes();
        let end = best.at.wrapping_add(usize::from(index.u16(best.at.wrapping_add(record::LEN))));
        let backends = match usize::from(count) {
            0 => Backends::None,
            1 => Backends::One(BackendId(index.u32(end.wrapping_sub(record::BACKEND)))),
            count => {
                let len = count.wrapping_mul(record::SHARE);
                Backends::Shares(index.bytes(end.wrapping_sub(len), len).as_chunks().0)
            }
        };
        Some(Found {
            match_: MatchId(member(record::MATCH)),
            rule: RuleId(member(record::RULE)),
            route: RouteId(member(record::ROUTE)),
            does_more: more != 0,
            backends,
            prefix: best.prefix,
        })
    }

    /// The first prefix that has a match which holds, from the longest to the shortest: they stand in this order.
    fn prefixes(&mut self, index: Blob<'_>, deepest: usize, best: &mut Best) {
        let mut at = deepest;
        while at != 0 {
            let group = index.place(at.wrapping_add(node::PREFIX));
            if group != 0 && self.group(index, group, usize::from(index.u16(at.wrapping_add(node::LEN))), best) {
                return;
            }
            at = index.place(at.wrapping_add(node::SHORTER));
        }
    }

    /// All prefixes: those of gRPC stand in no order.
    fn prefixes_all(&mut self, index: Blob<'_>, deepest: usize, best: &mut Best) {
        let mut at = deepest;
        while at != 0 {
            let group = index.place(at.wrapping_add(node::PREFIX));
            if group != 0 {
                self.group(index, group, 0, best);
            }
            at = index.place(at.wrapping_add(node::SHORTER));
        }
    }

    fn regexes(&mut self, index: Blob<'_>, deepest: usize, best: &mut Best) {
        let mut at = deepest;
        while at != 0 {
            let list = index.place(at.wrapping_add(node::REGEX));
            if list != 0 {
                let rest = self.subject.path.as_bytes().get(usize::from(index.u16(at.wrapping_add(node::LEN)))..).unwrap_or_default();
                for n in 0..index.place(list) {
                    let automaton = list.wrapping_add(4).wrapping_add(n.wrapping_mul(12));
                    let start = index.place(automaton);
                    if start == 0 || index.u32(automaton.wrapping_add(8)) >= best.order {
                        continue;
                    }
                    let answer = usize::from(automaton::run(index, start, rest.iter().copied()));
                    let Some(answer) = answer.checked_sub(1) else { continue };
                    let set = index.place(index.place(automaton.wrapping_add(4)).wrapping_add(answer.wrapping_mul(4)));
                    for n in 0..index.place(set) {
                        let group = index.place(set.wrapping_add(4).wrapping_add(n.wrapping_mul(4)));
                        self.group(index, group, 0, best);
                    }
                }
            }
            at = index.place(at.wrapping_add(node::SHORTER));
        }
    }

    /// Looks for a better match in a group, and says whether one was found.
    fn group(&mut self, index: Blob<'_>, group: usize, prefix: usize, best: &mut Best) -> bool {
        match index.u8(group.wrapping_add(group::COUNT)) {
            group::MANY => self.shapes(index, index.place(group.wrapping_add(group::INDEX)), prefix, best),
            count => self.records(index, count, group.wrapping_add(group::RECORDS), prefix, best),
        }
    }

    /// The same, record by record.
    fn records(&mut self, index: Blob<'_>, count: u8, mut at: usize, prefix: usize, best: &mut Best) -> bool {
        for _ in 0..count {
            let order = index.u32(at.wrapping_add(record::ORDER));
            if order >= best.order {
                return false;
            }
            if self.holds(index, at) {
                *best = Best { order, at, prefix };
                return true;
            }
            at = at.wrapping_add(usize::from(index.u16(at.wrapping_add(record::LEN))));
        }
        false
    }

    fn shapes(&mut self, index: Blob<'_>, shapes: usize, prefix: usize, best: &mut Best) -> bool {
        match index.place(shapes.wrapping_add(conditions::head::NAMES_COUNT)) {
            0..=16 => self.shapes_with::<16>(index, shapes, prefix, best),
            // Of what has no room here, the request is read again for each shape.
            _ => self.shapes_with::<256>(index, shapes, prefix, best),
        }
    }

    /// Not inlined: what needs no such room is not to pay for it.
    #[inline(never)]
    fn shapes_with<const NAMES: usize>(&mut self, index: Blob<'_>, shapes: usize, prefix: usize, best: &mut Best) -> bool {
        self.shapes_by(index, shapes, prefix, best, &mut [Value::Unknown; NAMES])
    }

    fn shapes_by(&mut self, index: Blob<'_>, shapes: usize, prefix: usize, best: &mut Best, values: &mut [Value]) -> bool {
        let before = best.order;
        for n in 0..index.place(shapes.wrapping_add(conditions::head::COUNT)) {
            let shape = index.place(shapes.wrapping_add(conditions::head::SHAPES).wrapping_add(n.wrapping_mul(4)));
            if index.u32(shape.wrapping_add(shape::ORDER)) >= best.order {
                break;
            }
            let count = usize::from(index.u8(shape.wrapping_add(shape::HEADERS)))
                .wrapping_add(usize::from(index.u8(shape.wrapping_add(shape::QUERIES))));
            let mut shape = Shape { at: shape, names: index.place(shapes.wrapping_add(conditions::head::NAMES)), count, prefix, values };
            let combinations = (0..count).fold(1_u32, |product, n| product.saturating_mul(self.lines(index, &mut shape, n)));
            if combinations == 0 {
                continue;
            }
            // More combinations of repeated lines than there are records are not worth trying.
            if combinations > index.u32(shape.at.wrapping_add(shape::COUNT)).saturating_add(16) {
                self.scan(index, &mut shape, best);
                continue;
            }
            let mut hash = conditions::SEED;
            if index.u8(shape.at.wrapping_add(shape::METHOD)) != 0 {
                hash = hash::mix(hash, u64::from(self.method()));
            }
            self.combine(index, &mut shape, 0, hash, best);
        }
        best.order != before
    }

    /// The number of lines or parameters of a name of a shape.
    fn lines(&mut self, index: Blob<'_>, shape: &mut Shape<'_>, n: usize) -> u32 {
        match self.value(index, shape, n) {
            Value::Unknown | Value::Missing => 0,
            Value::One(_) => 1,
            Value::Several(count) => count,
        }
    }

    /// The value that the request has for a name of a shape.
    fn value(&mut self, index: Blob<'_>, shape: &mut Shape<'_>, n: usize) -> Value {
        let number = shape.number(index, n);
        match shape.values.get(number).copied().unwrap_or(Value::Unknown) {
            Value::Unknown => {}
            known => return known,
        }
        let (mut count, mut first) = (0_u32, 0);
        self.each(index, shape, n, |hash| {
            first = if count == 0 { hash } else { first };
            count = count.saturating_add(1);
        });
        let value = match count {
            0 => Value::Missing,
            1 => Value::One(first),
            count => Value::Several(count),
        };
        if let Some(place) = shape.values.get_mut(number) {
            *place = value;
        }
        value
    }

    /// Gives the hash of each value that the request has for a name of a shape.
    fn each(&self, index: Blob<'_>, shape: &Shape<'_>, n: usize, mut give: impl FnMut(u64)) {
        let name = shape.names.wrapping_add(shape.number(index, n).wrapping_mul(name::SIZE));
        let text = index.place(name.wrapping_add(name::TEXT));
        if index.u8(name.wrapping_add(name::IS_QUERY)) == 0 {
            let Some(name) = self.names.get(text) else { return };
            let subject = self.subject;
            return subject.fields.values(name).for_each(|line| give(hash::text(conditions::SEED, line.trim_ascii())));
        }
        let reading = self.subject.reading;
        let hash_of = |value: &str| match reading.query_decoding {
            QueryDecoding::Form => hash::octets(conditions::SEED, form_decode(value)),
            QueryDecoding::Raw => hash::text(conditions::SEED, value.as_bytes()),
        };
        let name = index.bytes(text, usize::from(index.u16(name.wrapping_add(name::LEN))));
        let mut values = query_values(name, self.subject.query, reading);
        match reading.repeated_query {
            RepeatedQuery::First => values.next().into_iter().for_each(|value| give(hash_of(value))),
            RepeatedQuery::Last => values.last().into_iter().for_each(|value| give(hash_of(value))),
            RepeatedQuery::Any => values.for_each(|value| give(hash_of(value))),
        }
    }

    /// Takes the values of the names of a shape into the hash from the `n`th on, one combination after the other, and looks
    /// at the records of each.
    fn combine(&mut self, index: Blob<'_>, shape: &mut Shape<'_>, n: usize, hash: u64, best: &mut Best) {
        if n == shape.count {
            return self.lookup(index, shape, hash, best);
        }
        match self.value(index, shape, n) {
            Value::Unknown | Value::Missing => {}
            Value::One(value) => self.combine(index, shape, n.wrapping_add(1), hash::mix(hash, value), best),
            Value::Several(count) => {
                for line in 0..count {
                    let (mut at, mut value) = (0, 0);
                    self.each(index, shape, n, |hash| {
                        value = if at == line { hash } else { value };
                        at = at.saturating_add(1);
                    });
                    self.combine(index, shape, n.wrapping_add(1), hash::mix(hash, value), best);
                }
            }
        }
    }

    /// Looks at the records of a hash.
    fn lookup(&mut self, index: Blob<'_>, shape: &Shape<'_>, hash: u64, best: &mut Best) {
        slots::find(index, index.place(shape.at.wrapping_add(shape::SLOTS)), hash, |first| {
            self.list(index, shape, first, best, |_, _| true);
            false
        });
    }

    /// Looks at all records of a shape.
    fn scan(&mut self, index: Blob<'_>, shape: &mut Shape<'_>, best: &mut Best) {
        for first in slots::all(index, index.place(shape.at.wrapping_add(shape::SLOTS))) {
            self.list(index, shape, first, best, |search, at| search.may_hold(index, shape, at));
        }
    }

    /// Looks at a record and those that have the same values.
    fn list(&mut self, index: Blob<'_>, shape: &Shape<'_>, first: usize, best: &mut Best, may_hold: impl Fn(&mut Self, usize) -> bool) {
        let mut at = first;
        while at != 0 {
            let order = index.u32(at.wrapping_add(record::ORDER));
            if order >= best.order {
                break;
            }
            if may_hold(self, at) && self.holds(index, at) {
                *best = Best { order, at, prefix: shape.prefix };
                break;
            }
            at = index.place(at.wrapping_sub(group::NEXT));
        }
    }

    /// Whether the values of a record are those of the request, as far as their hashes tell, where it has one value.
    fn may_hold(&self, index: Blob<'_>, shape: &Shape<'_>, at: usize) -> bool {
        let headers = usize::from(index.u8(shape.at.wrapping_add(shape::HEADERS)));
        let mut at = at.wrapping_add(record::CONDITIONS);
        (0..shape.count).all(|n| {
            let first = usize::from(index.u16(at));
            let second = usize::from(index.u16(at.wrapping_add(2)));
            let begin = at.wrapping_add(4).wrapping_add(if n < headers { 0 } else { first });
            at = begin.wrapping_add(second);
            match shape.values.get(shape.number(index, n)) {
                Some(Value::One(value)) => *value == hash::text(conditions::SEED, index.bytes(begin, second)),
                _ => true,
            }
        })
    }

    fn method(&mut self) -> u8 {
        if self.method == 0 {
            self.method = method_number(self.subject.method);
        }
        self.method
    }

    /// Whether the conditions of a record hold, its path being known to hold.
    fn holds(&mut self, index: Blob<'_>, at: usize) -> bool {
        let [method, ask, headers, queries] =
            *index.0.get(at.wrapping_add(record::METHOD)..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; 4]);
        if method != 0 && method != OTHER_METHOD && method != self.method() {
            return false;
        }
        let mut at_condition = at.wrapping_add(record::CONDITIONS);
        for _ in 0..headers {
            let len = usize::from(index.u16(at_condition.wrapping_add(2)));
            let value = index.bytes(at_condition.wrapping_add(4), len);
            let Some(name) = self.names.get(usize::from(index.u16(at_condition))) else { return false };
            if !self.subject.fields.values(name).any(|line| line.trim_ascii() == value) {
                return false;
            }
            at_condition = at_condition.wrapping_add(4).wrapping_add(len);
        }
        for _ in 0..queries {
            let len = usize::from(index.u16(at_condition));
            let value_len = usize::from(index.u16(at_condition.wrapping_add(2)));
            let name = index.bytes(at_condition.wrapping_add(4), len);
            let value = index.bytes(at_condition.wrapping_add(4).wrapping_add(len), value_len);
            if !query_is(name, value, self.subject.query, self.subject.reading) {
                return false;
            }
            at_condition = at_condition.wrapping_add(4).wrapping_add(len).wrapping_add(value_len);
        }
        let cors =
            || self.table.rule_data(RuleId(index.u32(at.wrapping_add(record::RULE)))).is_some_and(|rule| rule.filters.cors.is_some());
        let asked = || self.ask(MatchId(index.u32(at.wrapping_add(record::MATCH))));
        (ask == 0 || asked()) && (!self.cors_only || cors())
    }

    /// Asks a match itself, where its record does not have all conditions.
    fn ask(&self, id: MatchId) -> bool {
        match self.table.matcher(id) {
            Some(Matcher::Http(matcher)) => matcher.first_failure_after_path(self.subject).is_none(),
            Some(Matcher::Grpc(matcher)) => matcher.first_failure(self.subject).is_none(),
            None => false,
        }
    }
}

/// A shape that is looked at.
struct Shape<'v> {
    at: usize,
    /// Place of the names of the index.
    names: usize,
    /// Number of names of the shape.
    count: usize,
    /// Octets of the prefix of its records.
    prefix: usize,
    /// What is known of the values that the request has, by the number of the name.
    values: &'v mut [Value],
}

impl Shape<'_> {
    /// The number of a name.
    fn number(&self, index: Blob<'_>, n: usize) -> usize {
        index.place(self.at.wrapping_add(shape::NAMES).wrapping_add(n.wrapping_mul(4)))
    }
}

/// What a request has for a name.
#[derive(Clone, Copy, Debug)]
enum Value {
    Unknown,
    Missing,
    /// One value, by its hash.
    One(u64),
    /// So many of them.
    Several(u32),
}

#[inline]
fn path_of(index: Blob<'_>, node: usize) -> &[u8] {
    index.bytes(node.wrapping_add(node::PATH), usize::from(index.u16(node.wrapping_add(node::LEN))))
}

/// The group of the exact path, and the node of the longest prefix that has matches or expressions.
#[inline]
fn deepest(index: Blob<'_>, path: &str) -> (usize, usize) {
    let path = path.as_bytes();
    let depth = index.place(head::DEPTH);
    let mut deepest = index.place(head::ROOT);
    let bits = index.u64(head::BITS);
    let probe = |hash, end| {
        if bits & hash_bit(hash) == 0 {
            return None;
        }
        let path = path.get(..end).unwrap_or_default();
        slots::find(index, head::SLOTS, hash, |at| path_of(index, at) == path)
    };
    // Prefix and regular expressions stand side by side.
    let covers = |at: usize| index.u64(at.wrapping_add(node::PREFIX)) != 0;
    let exacts = index.u32(head::EXACT);
    let mut segments = 0_usize;
    let whole = prefixes(path, |hash, end| {
        segments = segments.wrapping_add(1);
        if segments <= depth
            && let Some(found) = probe(hash, end)
            && covers(found)
        {
            deepest = found;
        }
        // Nothing has more segments.
        let next = u32::try_from(segments.wrapping_add(1).min(31)).unwrap_or(31);
        match segments >= depth && exacts.wrapping_shr(next) == 0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    let Some(hash) = whole else { return (0, deepest) };
    segments = segments.wrapping_add(1);
    let mut exact = 0;
    if (segments <= depth || exacts & super::write::segments_bit(segments) != 0)
        && let Some(found) = probe(hash, path.len())
    {
        exact = index.place(found.wrapping_add(node::EXACT));
        if covers(found) {
            deepest = found;
        }
    }
    (exact, deepest)
}

/// Gives the hash and the length of every prefix of a path that ends before a slash, but for the empty one, until it is
/// told to stop. The hash of the whole path, if it was not.
#[inline]
fn prefixes(path: &[u8], mut each: impl FnMut(u64, usize) -> ControlFlow<()>) -> Option<u64> {
    let slashes = |word: u64| zeros(word ^ 0x2f2f_2f2f_2f2f_2f2f);
    let (words, rest) = path.as_chunks();
    let (mut hash, mut begin) = (SEED, 0_usize);
    let mut of_word = |hash, word, begin: usize| {
        let mut slashes = slashes(word);
        if begin == 0 {
            // Before the first slash is the empty path.
            slashes &= slashes.wrapping_sub(1);
        }
        while slashes != 0 {
            let len = usize::try_from(slashes.trailing_zeros() / 8).unwrap_or(0);
            slashes &= slashes.wrapping_sub(1);
            each(hash::end(hash, word, len), begin.wrapping_add(len))?;
        }
        ControlFlow::Continue(())
    };
    for word in words {
        let word = u64::from_le_bytes(*word);
        if of_word(hash, word, begin).is_break() {
            return None;
        }
        hash = hash::mix(hash, word);
        begin = begin.wrapping_add(8);
    }
    let word = octets::word(rest);
    if of_word(hash, word, begin).is_break() {
        return None;
    }
    Some(hash::end(hash, word, rest.len()))
}
