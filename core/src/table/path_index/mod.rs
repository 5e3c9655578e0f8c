//! The matches of one hostname in one piece of memory: by path, then by conditions.
//!
//! **Paths.** A node stands for a path of whole segments. It holds the matches of that exact path, those of that prefix,
//! and the regular expressions whose values all begin with it. The hash of a path is taken word by word, so that one
//! walk gives the node of every prefix; each node knows the next shorter one.
//!
//! **Matches** stand in records, in order of precedence, with all that a decision needs of them. Long lists have an index
//! of their own ([`conditions`]).
//!
//! **Order.** Each record has its place in the order of precedence among all matches of the hostname, so the first of
//! those that hold is the one with the smallest number, wherever it stands.

mod conditions;
mod search;
mod write;

pub(crate) use search::{Found, Search};
pub(crate) use write::{Entry, write};

use super::{MatchId, RuleId};
use crate::blob::{Blob, Writer};

/// Begins every hash of a path.
const SEED: u64 = 0x8ebc_6af0_9c88_c6e3;

/// What stands where in an index.
mod head {
    /// Place of the list of all records, in order.
    pub(super) const ALL: usize = 0;
    /// Segments of the longest path that is a prefix.
    pub(super) const DEPTH: usize = 4;
    /// A bit for each number of segments that an exact path has; the last one for all that are longer.
    pub(super) const EXACT: usize = 8;
    /// Place of the node of the empty path; 0 if there is none.
    pub(super) const ROOT: usize = 12;
    /// Whether there are regular expressions.
    pub(super) const REGEX: usize = 16;
    /// A bit for the hash of each node, of 64: most paths that are no node are told by it.
    pub(super) const BITS: usize = 20;
    /// The nodes by hash.
    pub(super) const SLOTS: usize = 28;
}

/// What stands where in a node.
mod node {
    /// Place of the next shorter node that has a prefix or regular expressions.
    pub(super) const SHORTER: usize = 0;
    /// Place of the group of the exact path.
    pub(super) const EXACT: usize = 4;
    /// Place of the group of the prefix.
    pub(super) const PREFIX: usize = 8;
    /// Place of the regular expressions.
    pub(super) const REGEX: usize = 12;
    /// Octets of the path.
    pub(super) const LEN: usize = 16;
    /// The path.
    pub(super) const PATH: usize = 18;
}

/// What stands where in a group.
mod group {
    /// Number of records, in one octet.
    pub(super) const COUNT: usize = 0;
    /// The first record; the others follow.
    pub(super) const RECORDS: usize = 1;
    /// In the place of the number: there are more than a few records. Then the place of their index by conditions and the
    /// records follow, before each of them the place of the next one with the same values.
    pub(super) const MANY: u8 = u8::MAX;
    pub(super) const INDEX: usize = 1;
    pub(super) const NEXT: usize = 4;
}

/// What stands where in a record.
mod record {
    pub(super) const ORDER: usize = 0;
    pub(super) const MATCH: usize = 4;
    pub(super) const RULE: usize = 8;
    pub(super) const ROUTE: usize = 12;
    /// Octets of the record.
    pub(super) const LEN: usize = 16;
    /// Six octets: the method, 0 for any; whether the conditions are not all here, so that the match itself is asked; the
    /// number of conditions on header fields (number of the name, octets of the value, value), and on query parameters
    /// (octets of name and value, both); the number of backends; whether the rule does more than to forward to one of them.
    pub(super) const METHOD: usize = 18;
    pub(super) const BACKENDS: usize = 22;
    pub(super) const CONDITIONS: usize = 24;
    // Behind the conditions stand the backends, if a pick alone chooses among them: the only one, or each with the sum of
    // the weights up to and including it before it.
    pub(super) const BACKEND: usize = 4;
    pub(super) const SHARE: usize = 8;
}

/// The methods that matches may name.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
/// A method that no match names.
const OTHER_METHOD: u8 = u8::MAX;

/// The number of a method in a record.
#[inline]
fn method_number(method: &str) -> u8 {
    METHODS.iter().position(|known| *known == method).and_then(|n| u8::try_from(n).ok()).map_or(OTHER_METHOD, |n| n.wrapping_add(1))
}

/// The bit of a hash.
#[inline]
fn hash_bit(hash: u64) -> u64 {
    1_u64.wrapping_shl(u32::try_from(hash.wrapping_shr(58)).unwrap_or(0))
}

/// Every match of an index, in order of precedence.
pub(crate) fn all(index: Blob<'_>) -> impl Iterator<Item = MatchId> {
    let at = index.place(head::ALL);
    (0..index.place(at)).map(move |n| MatchId(index.u32(at.wrapping_add(4).wrapping_add(n.wrapping_mul(4)))))
}

/// A list of rules.
pub(crate) fn write_rules(rules: &[RuleId]) -> Option<Vec<u8>> {
    let mut writer = Writer::default();
    rules.iter().for_each(|rule| writer.u32(rule.0));
    (!rules.is_empty()).then_some(writer.bytes)
}

/// The rules of a list that [`write_rules`] has written.
pub(crate) fn rules(list: Blob<'_>) -> impl Iterator<Item = RuleId> {
    list.0.as_chunks().0.iter().map(|id| RuleId(u32::from_le_bytes(*id)))
}
