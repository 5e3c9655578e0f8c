//! A complete automaton in little memory: what regular expressions become.
//!
//! `regex-automata` builds it as a table with a row for each state, which takes some 18 KB for a common path. Here a
//! state is the list of its ranges of octets, which takes a few hundred bytes, and no step looks further than one state.

use std::collections::BTreeMap;

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

use crate::blob::{Blob, Writer};

/// A state: number of ranges, answer at the end of the value, then the ranges.
const HEAD: usize = 4;
/// First octet, last octet, place of the next state.
const RANGE: usize = 6;
/// Ranges that are looked at one by one.
const FEW: usize = 8;

/// An automaton. Its answer is 0 when the value does not match.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    bytes: Box<[u8]>,
    start: usize,
}

/// For each answer but 0 the numbers of the expressions that it stands for.
pub(crate) type Sets = Vec<Box<[usize]>>;

/// The states to write: ranges by number of the next state, and the answer.
#[derive(Debug, Default)]
struct State {
    ranges: Vec<(u8, u8, usize)>,
    answer: u16,
}

impl Automaton {
    /// Takes over a table, and for each answer but 0 the numbers of the expressions that it stands for.
    ///
    /// # Errors
    ///
    /// That it has no start, or too many answers.
    pub(crate) fn of(dfa: &dense::DFA<Vec<u32>>) -> Result<(Self, Sets), String> {
        let first = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).map_err(|error| error.to_string())?;
        let mut answers = BTreeMap::<Box<[usize]>, u16>::new();
        let mut sets = Vec::new();
        let mut numbers = BTreeMap::from([(first, 0_usize)]);
        let mut queue: Vec<StateID> = vec![first];
        let mut states: Vec<State> = Vec::new();
        while let Some(id) = queue.get(states.len()).copied() {
            let mut state = State::default();
            let end = dfa.next_eoi_state(id);
            if dfa.is_match_state(end) {
                let mut set: Box<[usize]> = (0..dfa.match_len(end)).map(|n| dfa.match_pattern(end, n).as_usize()).collect();
                set.sort_unstable();
                let next = u16::try_from(answers.len()).ok().and_then(|n| n.checked_add(1)).ok_or("it has too many answers")?;
                state.answer = *answers.entry(set.clone()).or_insert_with(|| {
                    sets.push(set);
                    next
                });
            }
            let classes = dfa.byte_classes();
            let mut before = None;
            for octet in 0..=u8::MAX {
                let class = classes.get(octet);
                if before == Some(class) {
                    // Where the octet before it goes, this one does.
                    if let Some((_, last, _)) = state.ranges.last_mut().filter(|(_, last, _)| last.checked_add(1) == Some(octet)) {
                        *last = octet;
                    }
                    continue;
                }
                before = Some(class);
                let next = dfa.next_state(id, octet);
                if dfa.is_dead_state(next) {
                    continue;
                }
                let number = *numbers.entry(next).or_insert_with(|| {
                    queue.push(next);
                    queue.len().saturating_sub(1)
                });
                match state.ranges.last_mut() {
                    Some((_, last, to)) if *to == number && last.checked_add(1) == Some(octet) => *last = octet,
                    _ => state.ranges.push((octet, octet, number)),
                }
            }
            states.push(state);
        }
        let mut writer = Writer::default();
        let start = write(&states, &mut writer);
        Ok((Self { bytes: writer.bytes.into(), start: usize::try_from(start).unwrap_or(0) }, sets))
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The answer for a value.
    pub(crate) fn run(&self, value: impl Iterator<Item = u8>) -> u16 {
        run(Blob(&self.bytes), self.start, value)
    }

    /// The octets that every value it accepts begins with.
    pub(crate) fn literal(&self) -> Vec<u8> {
        let mut literal = Vec::new();
        let (blob, mut at) = (Blob(&self.bytes), self.start);
        // A loop of single octets would not end.
        while blob.u16(at) == 1 && blob.u16(at.wrapping_add(2)) == 0 && literal.len() < 4096 {
            let range = at.wrapping_add(HEAD);
            if blob.u8(range) != blob.u8(range.wrapping_add(1)) {
                break;
            }
            literal.push(blob.u8(range));
            at = blob.place(range.wrapping_add(2));
        }
        literal
    }

    /// Writes what is left of it after these octets into another blob, and gives the place of its start; 0 if nothing
    /// is left.
    pub(crate) fn write_after(&self, octets: &[u8], writer: &mut Writer) -> u32 {
        let blob = Blob(&self.bytes);
        let mut first = self.start;
        for octet in octets {
            first = next(blob, first, *octet);
        }
        if first == 0 {
            return 0;
        }
        let mut numbers = BTreeMap::from([(first, 0_usize)]);
        let mut queue = vec![first];
        let mut states: Vec<State> = Vec::new();
        while let Some(at) = queue.get(states.len()).copied() {
            let ranges = ranges(blob, at).iter().map(|range| {
                let (octets, to) = read(range);
                let number = *numbers.entry(to).or_insert_with(|| {
                    queue.push(to);
                    queue.len().saturating_sub(1)
                });
                (octets.0, octets.1, number)
            });
            let ranges = ranges.collect();
            states.push(State { ranges, answer: blob.u16(at.wrapping_add(2)) });
        }
        write(&states, writer)
    }
}

/// Writes states and gives the place of the first. No state is at place 0.
fn write(states: &[State], writer: &mut Writer) -> u32 {
    if writer.place() == 0 {
        writer.u32(0);
    }
    let start = writer.place();
    let mut places = Vec::with_capacity(states.len());
    let mut at = start;
    for state in states {
        places.push(at);
        let len = state.ranges.len().saturating_mul(RANGE).saturating_add(HEAD);
        at = at.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
    }
    for state in states {
        writer.u16(u16::try_from(state.ranges.len()).unwrap_or(u16::MAX));
        writer.u16(state.answer);
        for (first, last, next) in &state.ranges {
            writer.u8(*first);
            writer.u8(*last);
            writer.u32(places.get(*next).copied().unwrap_or(0));
        }
    }
    start
}

/// The answer for a value, by an automaton that begins at a place of a blob.
pub(crate) fn run(blob: Blob<'_>, start: usize, value: impl Iterator<Item = u8>) -> u16 {
    let mut state = start;
    for octet in value {
        state = next(blob, state, octet);
        if state == 0 {
            return 0;
        }
    }
    blob.u16(state.wrapping_add(2))
}

fn ranges(blob: Blob<'_>, state: usize) -> &[[u8; RANGE]] {
    blob.bytes(state.wrapping_add(HEAD), usize::from(blob.u16(state)).wrapping_mul(RANGE)).as_chunks().0
}

fn read(range: &[u8; RANGE]) -> ((u8, u8), usize) {
    let [first, last, next @ ..] = *range;
    ((first, last), usize::try_from(u32::from_le_bytes(next)).unwrap_or(0))
}

/// The next state; 0 when no value that goes on so can match.
fn next(blob: Blob<'_>, state: usize, octet: u8) -> usize {
    let ranges = ranges(blob, state);
    if ranges.len() > FEW {
        let at = ranges.partition_point(|range| range[1] < octet);
        return ranges.get(at).map(read).map_or(0, |((first, _), next)| if first <= octet { next } else { 0 });
    }
    for range in ranges {
        let ((first, last), next) = read(range);
        if octet <= last {
            return if octet >= first { next } else { 0 };
        }
    }
    0
}
