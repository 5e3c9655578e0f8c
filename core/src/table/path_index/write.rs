//! Writes the index of one hostname.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderName;

use super::{OTHER_METHOD, SEED, conditions, group, hash_bit, head, method_number, node, record};
use crate::blob::Writer;
use crate::model::automaton::{Automaton, Sets};
use crate::model::matching::{GrpcMatch, HeaderMatch, HttpMatch, Matcher, NameMatch, PathMatch, QueryMatch, ValueMatch};
use crate::model::pattern::Pattern;
use crate::options::RepeatedHeaders;
use crate::table::rule::RuleData;
use crate::table::{MatchId, RouteId, RuleId, hash, slots};

/// A match to be indexed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'e> {
    pub(crate) match_: MatchId,
    pub(crate) rule: RuleId,
    pub(crate) route: RouteId,
    pub(crate) data: &'e RuleData,
    /// Some backend of the rule asks for sessions.
    pub(crate) sessions: bool,
    pub(crate) matcher: &'e Matcher,
}

/// What stands at one path, by place in the list of entries.
#[derive(Debug, Default)]
struct Node<'e> {
    exact: Vec<usize>,
    prefix: Vec<usize>,
    regex: Vec<(&'e Pattern, usize)>,
}

impl Node<'_> {
    fn covers_more(&self) -> bool {
        !self.prefix.is_empty() || !self.regex.is_empty()
    }
}

/// Writes an index of matches, given in order of precedence. `names` gives a header field's name a number.
pub(crate) fn write(entries: &[Entry<'_>], repeated: RepeatedHeaders, names: &mut impl FnMut(&HeaderName) -> Option<u16>) -> Vec<u8> {
    let mut nodes = BTreeMap::<Cow<'_, str>, Node<'_>>::new();
    for (n, entry) in entries.iter().enumerate() {
        match entry.matcher {
            Matcher::Http(HttpMatch { path: PathMatch::Exact(path), .. }) => nodes.entry(Cow::Borrowed(path)).or_default().exact.push(n),
            Matcher::Http(HttpMatch { path: PathMatch::Prefix(path), .. }) => nodes.entry(Cow::Borrowed(path)).or_default().prefix.push(n),
            Matcher::Http(HttpMatch { path: PathMatch::Regex(pattern), .. }) => {
                nodes.entry(whole_segments(&pattern.automaton().literal()).into()).or_default().regex.push((pattern, n));
            }
            Matcher::Grpc(matcher) => nodes.entry(grpc_path(matcher).into()).or_default().prefix.push(n),
        }
    }
    let mut index = Index { entries, repeated, names, writer: Writer::default() };
    index.head(&nodes);
    index.writer.bytes
}

/// The whole segments that a text begins with.
fn whole_segments(literal: &[u8]) -> String {
    let end = literal.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let text = literal.get(..end).and_then(|text| std::str::from_utf8(text).ok()).filter(|text| text.starts_with('/'));
    text.unwrap_or_default().to_owned()
}

/// The path under which a gRPC match is found: that of its service and method, of its service, or of its method alone,
/// which no canonical path is; else the empty one.
fn grpc_path(matcher: &GrpcMatch) -> String {
    match (&matcher.service, &matcher.method) {
        (NameMatch::Exact(service), NameMatch::Exact(method)) => format!("/{service}/{method}"),
        (NameMatch::Exact(service), _) => format!("/{service}"),
        (_, NameMatch::Exact(method)) => format!("//{method}"),
        _ => String::new(),
    }
}

/// The hash of a path.
fn path_hash(path: &str) -> u64 {
    hash::text(SEED, path.as_bytes())
}

/// Bit for a number of segments.
pub(super) fn segments_bit(segments: usize) -> u32 {
    1_u32.wrapping_shl(u32::try_from(segments.min(31)).unwrap_or(31))
}

struct Index<'i, 'e, N> {
    entries: &'i [Entry<'e>],
    repeated: RepeatedHeaders,
    names: &'i mut N,
    writer: Writer,
}

impl<'e, N: FnMut(&HeaderName) -> Option<u16>> Index<'_, 'e, N> {
    fn head(&mut self, nodes: &BTreeMap<Cow<'_, str>, Node<'e>>) {
        let segments = |path: &str| path.bytes().filter(|b| *b == b'/').count();
        let depth = nodes.iter().filter(|(_, node)| node.covers_more()).map(|(path, _)| segments(path)).max().unwrap_or(0);
        let exact = nodes.iter().filter(|(_, node)| !node.exact.is_empty()).fold(0, |mask, (path, _)| mask | segments_bit(segments(path)));
        let regex = nodes.values().any(|node| !node.regex.is_empty());
        let head = [0, u32::try_from(depth).unwrap_or(u32::MAX), exact, 0, u32::from(regex)];
        head.into_iter().for_each(|value| self.writer.u32(value));
        let bits = nodes.keys().fold(0, |bits, path| bits | hash_bit(path_hash(path)));
        self.writer.bytes(&bits.to_le_bytes());
        let slots_at = slots::reserve(nodes.len(), &mut self.writer);
        let mut places = BTreeMap::<&str, u32>::new();
        for (path, node) in nodes {
            let place = self.node(path, node, nodes, &places);
            places.insert(path, place);
        }
        if let Some(root) = places.get("") {
            self.writer.patch(u32::try_from(head::ROOT).unwrap_or(0), *root);
        }
        let written: Vec<(u64, u32)> = places.iter().map(|(path, place)| (path_hash(path), *place)).collect();
        slots::write(&written, slots_at, &mut self.writer);
        let all = self.writer.place();
        self.writer.patch(u32::try_from(head::ALL).unwrap_or(0), all);
        self.writer.u32(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        for entry in self.entries {
            self.writer.u32(entry.match_.0);
        }
    }

    /// Writes a node; those of shorter paths are written before it.
    fn node(&mut self, path: &str, node: &Node<'e>, nodes: &BTreeMap<Cow<'_, str>, Node<'e>>, places: &BTreeMap<&str, u32>) -> u32 {
        let shorter = path.rmatch_indices('/').filter_map(|(at, _)| path.get(..at));
        let shorter = shorter.filter(|shorter| nodes.get(*shorter).is_some_and(Node::covers_more)).find_map(|path| places.get(path));
        let at = self.writer.place();
        for value in [shorter.copied().unwrap_or(0), 0, 0, 0] {
            self.writer.u32(value);
        }
        // What is cut off tells no request apart: no target is that long ([R-T4]).
        let len = u16::try_from(path.len()).unwrap_or(u16::MAX);
        self.writer.u16(len);
        self.writer.bytes(path.as_bytes().get(..len.into()).unwrap_or_default());
        let member = |member: usize| at.saturating_add(u32::try_from(member).unwrap_or(0));
        // What is asked first stands first.
        if !node.exact.is_empty() {
            let place = self.group(&node.exact);
            self.writer.patch(member(node::EXACT), place);
        }
        if !node.prefix.is_empty() {
            let place = self.group(&node.prefix);
            self.writer.patch(member(node::PREFIX), place);
        }
        if !node.regex.is_empty() {
            let place = self.regex(path, &node.regex);
            self.writer.patch(member(node::REGEX), place);
        }
        at
    }

    fn group(&mut self, members: &[usize]) -> u32 {
        let at = self.writer.place();
        let indexed = members.len() > conditions::FEW;
        if indexed {
            self.writer.u8(group::MANY);
            self.writer.u32(0);
        } else {
            self.writer.u8(u8::try_from(members.len()).unwrap_or(0));
        }
        let mut records = Vec::with_capacity(members.len());
        for n in members {
            let Some(entry) = self.entries.get(*n) else { continue };
            if indexed {
                self.writer.u32(0);
            }
            records.push(self.record(*n, entry));
        }
        if indexed {
            let index = conditions::write(&records, &mut self.writer);
            self.writer.patch(at.saturating_add(u32::try_from(group::INDEX).unwrap_or(0)), index);
        }
        at
    }

    fn record(&mut self, order: usize, entry: &Entry<'e>) -> conditions::Record<'e> {
        let at = self.writer.place();
        let http = match entry.matcher {
            Matcher::Http(http) => Some(http),
            Matcher::Grpc(_) => None,
        };
        let method = http.and_then(|http| http.method.as_deref()).map_or(0, method_number);
        let mut ask = http.is_none() || method == OTHER_METHOD;
        let mut headers: Vec<(u16, &str)> = Vec::new();
        for header in entry.matcher.headers() {
            match self.plain_header(header) {
                Some(plain) => headers.push(plain),
                None => ask = true,
            }
        }
        headers.sort_unstable();
        let mut queries: Vec<(&str, &str)> = Vec::new();
        for query in http.map(|http| &*http.queries).unwrap_or_default() {
            match plain_query(query) {
                Some(plain) => queries.push(plain),
                None => ask = true,
            }
        }
        queries.sort_unstable();
        // What does not fit is asked of the match itself.
        let texts =
            headers.iter().map(|(_, value)| value.len()).chain(queries.iter().map(|(name, value)| name.len().saturating_add(value.len())));
        let octets = texts.fold(0, |sum: usize, len| sum.saturating_add(len).saturating_add(4));
        if octets > LONGEST || u8::try_from(headers.len()).is_err() || u8::try_from(queries.len()).is_err() {
            (ask, headers, queries) = (true, Vec::new(), Vec::new());
        }
        for value in [u32::try_from(order).unwrap_or(u32::MAX), entry.match_.0, entry.rule.0, entry.route.0] {
            self.writer.u32(value);
        }
        self.writer.u16(0);
        let counts = [headers.len(), queries.len()].map(|count| u8::try_from(count).unwrap_or(0));
        let backends = entry.data.plain_shares().filter(|_| !entry.sessions);
        let count = backends.as_ref().and_then(|list| u8::try_from(list.len()).ok()).unwrap_or(0);
        let more = u8::from(entry.data.does_more());
        [method, u8::from(ask), counts[0], counts[1], count, more].into_iter().for_each(|value| self.writer.u8(value));
        for (name, value) in &headers {
            self.writer.u16(*name);
            self.writer.u16(u16::try_from(value.len()).unwrap_or(0));
            self.writer.bytes(value.as_bytes());
        }
        for (name, value) in &queries {
            self.writer.u16(u16::try_from(name.len()).unwrap_or(0));
            self.writer.u16(u16::try_from(value.len()).unwrap_or(0));
            self.writer.bytes(name.as_bytes());
            self.writer.bytes(value.as_bytes());
        }
        for (end, backend) in backends.into_iter().flatten() {
            if count > 1 {
                self.writer.u32(end);
            }
            self.writer.u32(backend.0);
        }
        let len = self.writer.place().saturating_sub(at);
        self.writer.patch_u16(at.saturating_add(u32::try_from(record::LEN).unwrap_or(0)), u16::try_from(len).unwrap_or(0));
        conditions::Record { at, order, method, headers, queries }
    }

    /// A condition that one comparison of each line settles; others are asked of the match itself.
    fn plain_header<'h>(&mut self, header: &'h HeaderMatch) -> Option<(u16, &'h str)> {
        let special = header.dropped || header.name == http::header::HOST || header.name == http::header::COOKIE;
        if special || self.repeated == RepeatedHeaders::AnyLineOrJoined {
            return None;
        }
        match &header.value {
            ValueMatch::Exact(value) if u16::try_from(value.len()).is_ok() => Some(((self.names)(&header.name)?, value)),
            _ => None,
        }
    }

    /// Writes the regular expressions of a node: one automaton for all of them, or for some of them each.
    fn regex(&mut self, path: &str, list: &[(&'e Pattern, usize)]) -> u32 {
        // Equal expressions are one, with several matches.
        let mut patterns = Vec::<(&Pattern, Vec<usize>)>::new();
        let mut known = BTreeMap::<&str, usize>::new();
        for (pattern, n) in list {
            let at = *known.entry(pattern.as_str()).or_insert(patterns.len());
            match patterns.get_mut(at) {
                Some((_, matches)) => matches.push(*n),
                None => patterns.push((pattern, vec![*n])),
            }
        }
        let groups: Vec<u32> = patterns.iter().map(|(_, matches)| self.group(matches)).collect();
        let only: Vec<&Pattern> = patterns.iter().map(|(pattern, _)| *pattern).collect();
        let mut written = Vec::new();
        for (automaton, sets) in automata(&only) {
            let first = sets.iter().flatten().filter_map(|n| patterns.get(*n)?.1.first()).min().copied().unwrap_or(0);
            let start = automaton.write_after(path.as_bytes(), &mut self.writer);
            let sets: Vec<u32> = sets.iter().map(|set| self.set(set, &groups)).collect();
            let sets_at = self.writer.place();
            sets.into_iter().for_each(|place| self.writer.u32(place));
            written.push([start, sets_at, u32::try_from(first).unwrap_or(u32::MAX)]);
        }
        let at = self.writer.place();
        self.writer.u32(u32::try_from(written.len()).unwrap_or(0));
        written.into_iter().flatten().for_each(|value| self.writer.u32(value));
        at
    }

    /// Writes the groups of expressions that match together, the one with the first match first.
    fn set(&mut self, set: &[usize], groups: &[u32]) -> u32 {
        let at = self.writer.place();
        self.writer.u32(u32::try_from(set.len()).unwrap_or(0));
        set.iter().filter_map(|n| groups.get(*n)).for_each(|group| self.writer.u32(*group));
        at
    }
}

/// Octets of the conditions of a record at most: with all else that a record has it has fewer than 64 KiB.
const LONGEST: usize = 60_000;

/// Condition on a query parameter that a comparison settles.
fn plain_query(query: &QueryMatch) -> Option<(&str, &str)> {
    match &query.value {
        ValueMatch::Exact(value) if u16::try_from(value.len()).is_ok() && u16::try_from(query.name.len()).is_ok() => {
            Some((&query.name, value))
        }
        _ => None,
    }
}

/// Expressions tried together when all of them are too large.
const TOGETHER: usize = 32;

/// One automaton for all expressions if it stays small, else one for some of them each; and what each of its answers
/// stands for, by place in the list.
fn automata(list: &[&Pattern]) -> Vec<(Automaton, Sets)> {
    let alone = |n: usize, pattern: &&Pattern| (pattern.automaton().clone(), vec![Box::from([n])]);
    if let [one] = list {
        return vec![alone(0, one)];
    }
    if let Some(all) = Pattern::together(list) {
        return vec![all];
    }
    let mut automata = Vec::new();
    for (chunk, some) in list.chunks(TOGETHER).enumerate() {
        let first = chunk.saturating_mul(TOGETHER);
        match Pattern::together(some).filter(|_| list.len() > TOGETHER) {
            Some((automaton, sets)) => {
                let moved = |set: Box<[usize]>| set.iter().map(|n| n.saturating_add(first)).collect();
                automata.push((automaton, sets.into_iter().map(moved).collect()));
            }
            None => automata.extend(some.iter().enumerate().map(|(n, pattern)| alone(n.saturating_add(first), pattern))),
        }
    }
    automata
}
