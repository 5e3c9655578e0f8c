//! The floor: about the least that a lookup with the same semantics can cost, for the engine to be compared with.
//!
//! The host is hashed once and leads to one contiguous run of bytes with all rules of that host in order of precedence.
//! Eight bytes of each rule are compared with eight bytes of the path at the place where the rule's path ends; what passes is
//! compared in full, then its header fields and parameters. Regular expressions are looked at only where their literal
//! beginning fits.
//!
//! It is optimistic: the request is [`Plain`], nothing is decoded, validated or made canonical, there are no filters and no
//! backends, and the answer is a number. Rules of one host are scanned, so on a host of very many rules it is no floor.

use gatewright_conformance::sets::{RouteSet, SetPath, SetRequest, SetRule};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::{Anchored, Input};

use crate::contender::Contender;
use crate::plain::{Plain, encode};
use crate::precedence::by_host;

/// The table.
#[derive(Debug)]
pub struct Floor {
    /// Open addressing; a power of two.
    slots: Box<[Slot]>,
    /// The runs of all hosts.
    arena: Box<[u8]>,
    /// Bit n is set if there is a wildcard host of n octets, without its `*.`.
    wildcard_lengths: [u64; 4],
    /// The run of the rules without host.
    any: Option<u32>,
    expressions: Box<[Expression]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The upper half of the hash.
    tag: u32,
    /// Place in the arena, plus one; 0 is free.
    place: u32,
}

/// A regular expression: a complete automaton, or what the `regex` crate makes of one that is too large for it.
#[derive(Debug)]
enum Expression {
    Automaton(Box<dense::DFA<Vec<u32>>>),
    Large(regex::Regex),
}

/// How many octets of a path the quick comparison sees; a longer one is compared in full with each rule.
const QUICK: usize = 120;
/// Octets that are compared of a rule: the last four of its path and, of what follows in the request's path, for an exact
/// path two (the end), for a prefix one (a slash or the end), for the beginning of an expression none.
const MASKS: [u64; 4] = [0xffff_ffff_ffff, 0xff_ffff_ffff, 0xffff_ffff, 0];
const EXACT: u64 = 0;
const PREFIX: u64 = 1;
const REGEX: u64 = 2;
/// Beside the length of a method: the rule is for calls of gRPC; it names their service.
const CALL: u8 = 0x80;
const OF_SERVICE: u8 = 0x40;
/// Of `*.example.com` and `example.com`, one is hashed with this.
const WILDCARD: u64 = 0x5bd1_e995_9d1b_58f3;

impl Floor {
    /// The id of the first rule that holds.
    pub fn lookup(&self, request: &Plain) -> Option<u32> {
        let host = request.host().as_bytes();
        let path = request.path().as_bytes();
        // The path with four octets before it and, after it, a slash and an octet that no path has.
        let mut window = [0_u8; QUICK + 16];
        let quick = path.len() <= QUICK;
        if quick {
            window[4..4 + path.len()].copy_from_slice(path);
            window[4 + path.len()] = b'/';
        }
        let window = quick.then_some(&window);
        if let Some(run) = self.run(host, 0)
            && let Some(id) = self.first(run, window, request)
        {
            return Some(id);
        }
        // No such host, or none of its rules: hosts with a wildcard, the longest first.
        for (place, _) in host.iter().enumerate().filter(|(_, byte)| **byte == b'.') {
            let suffix = &host[place + 1..];
            let known = self.wildcard_lengths[(suffix.len() / 64) & 3] >> (suffix.len() % 64) & 1;
            if known == 1
                && let Some(run) = self.run(suffix, WILDCARD)
                && let Some(id) = self.first(run, window, request)
            {
                return Some(id);
            }
        }
        self.first(self.any? as usize, window, request)
    }

    /// The place of a host's run.
    fn run(&self, host: &[u8], seed: u64) -> Option<usize> {
        let hash = hash(host, seed);
        let mask = self.slots.len() - 1;
        let mut index = hash as usize & mask;
        loop {
            let slot = self.slots[index];
            let place = slot.place.checked_sub(1)? as usize;
            if slot.tag == (hash >> 32) as u32 {
                let run = &self.arena[place..];
                if run[2] == u8::from(seed == WILDCARD) && run[8..].get(..usize::from(u16_at(run, 0))) == Some(host) {
                    return Some(place);
                }
            }
            index = (index + 1) & mask;
        }
    }

    /// The first rule of a run that holds.
    #[inline]
    fn first(&self, place: usize, window: Option<&[u8; QUICK + 16]>, request: &Plain) -> Option<u32> {
        let run = &self.arena[place..];
        let count = u32_at(run, 4) as usize;
        let keys = 8 + usize::from(u16_at(run, 0)).next_multiple_of(8);
        let details = keys + 8 * count;
        let (keys, _) = run[keys..details].as_chunks::<8>();
        for (n, key) in keys.iter().enumerate() {
            let key = u64::from_le_bytes(*key);
            if let Some(window) = window {
                let end = (key >> 48) as usize & 127;
                if (u64_at(window, end) ^ key) & MASKS[(key >> 62) as usize] != 0 {
                    continue;
                }
            }
            let detail = details + 8 * n;
            let rule = &run[u32_at(run, detail + 4) as usize..];
            if self.holds(key, rule, request) {
                return Some(u32_at(run, detail));
            }
        }
        None
    }

    /// The rest of a rule: the whole path, method, header fields, parameters.
    fn holds(&self, key: u64, rule: &[u8], request: &Plain) -> bool {
        let path = request.path().as_bytes();
        let length = (key >> 48) as usize & 0x3fff;
        let (text, rule) = rule.split_at(length);
        let Some(rest) = path.strip_prefix(text) else { return false };
        let fits = match key >> 62 {
            EXACT => rest.is_empty(),
            PREFIX => matches!(rest, [] | [b'/', ..]),
            _ => self.expressions[u32_at(rule, 3) as usize].matches(path),
        };
        if !fits {
            return false;
        }
        let [method, fields, parameters, rule @ ..] = rule else { return false };
        if method | fields | parameters == 0 {
            return true;
        }
        if method & CALL != 0 && !request.is_call(method & OF_SERVICE != 0) {
            return false;
        }
        let (wanted, mut rule) = rule[4..].split_at((method & !(CALL | OF_SERVICE)).into());
        if !wanted.is_empty() && wanted != request.method().as_bytes() {
            return false;
        }
        let mut pair = || {
            let (name, tail) = rule[3..].split_at(rule[0].into());
            let (value, tail) = tail.split_at(u16_at(rule, 1).into());
            rule = tail;
            (name, value)
        };
        (0..*fields).all(|_| {
            let (name, value) = pair();
            request.has_field(name, value)
        }) && (0..*parameters).all(|_| {
            let (name, value) = pair();
            request.has_parameter(name, value)
        })
    }
}

impl Contender for Floor {
    const NAME: &'static str = "floor";
    const LACKS: &'static str = "";
    type Request = Plain;
    type Source = RouteSet;
    type Found = Option<u32>;
    type Names = ();

    fn source(set: &RouteSet) -> RouteSet {
        set.clone()
    }

    fn build(set: &RouteSet) -> Self {
        let mut builder = Builder::default();
        let hosts = by_host(&set.rules);
        let mut slots = vec![Slot::default(); (hosts.len() * 2).next_power_of_two().max(2)];
        let mut wildcard_lengths = [0; 4];
        let mut any = None;
        for (host, ids) in hosts {
            let place = u32::try_from(builder.arena.len()).expect("the floor has less than 4 GiB");
            let wildcard = host.and_then(|host| host.strip_prefix("*."));
            let name = wildcard.or(host).unwrap_or_default();
            builder.run(name, wildcard.is_some(), &ids, &set.rules);
            if host.is_none() {
                any = Some(place);
                continue;
            }
            if wildcard.is_some() {
                wildcard_lengths[(name.len() / 64) & 3] |= 1 << (name.len() % 64);
            }
            let hash = hash(name.as_bytes(), if wildcard.is_some() { WILDCARD } else { 0 });
            let mask = slots.len() - 1;
            let mut index = hash as usize & mask;
            while slots[index].place != 0 {
                index = (index + 1) & mask;
            }
            slots[index] = Slot { tag: (hash >> 32) as u32, place: place + 1 };
        }
        Self { slots: slots.into(), arena: builder.arena.into(), wildcard_lengths, any, expressions: builder.expressions.into() }
    }

    fn prepare(&self, request: &SetRequest) -> Plain {
        Plain::new(request)
    }

    fn touch(request: &Plain) -> usize {
        request.touch()
    }

    fn find(&self, request: &Plain) -> Option<u32> {
        self.lookup(request)
    }

    fn names(&self, _: &RouteSet) {}

    fn rule(_: &(), found: &Option<u32>) -> Option<u32> {
        *found
    }
}

/// Writes the runs.
#[derive(Default)]
struct Builder {
    arena: Vec<u8>,
    expressions: Vec<Expression>,
}

impl Builder {
    /// One run: length of the name, whether it has a wildcard, number of rules; the name; a key for each rule; id and place
    /// of the rest for each rule; the rests.
    fn run(&mut self, name: &str, wildcard: bool, ids: &[u32], rules: &[SetRule]) {
        let start = self.arena.len();
        let length = u16::try_from(name.len()).expect("a host has 253 octets at most");
        self.arena.extend(length.to_le_bytes());
        self.arena.extend([u8::from(wildcard), 0]);
        self.arena.extend(u32::try_from(ids.len()).expect("ids have 32 bits").to_le_bytes());
        self.arena.extend(name.as_bytes());
        self.align();
        let mut details = Vec::new();
        let mut rests = Vec::new();
        for id in ids {
            let rule = &rules[*id as usize];
            let (kind, text, expression) = match &rule.path {
                SetPath::Exact(text) => (EXACT, text.clone(), None),
                SetPath::Prefix(text) => (PREFIX, text.trim_end_matches('/').to_owned(), None),
                SetPath::Regex(text) => (REGEX, literal(text), Some(self.expression(text))),
            };
            self.arena.extend(key(kind, text.as_bytes()).to_le_bytes());
            details.push((*id, rests.len()));
            rest(&mut rests, rule, &text, expression.unwrap_or_default());
        }
        let base = self.arena.len() - start + 8 * ids.len();
        for (id, place) in details {
            self.arena.extend(id.to_le_bytes());
            self.arena.extend(u32::try_from(base + place).expect("a host has less than 4 GiB").to_le_bytes());
        }
        self.arena.extend(rests);
        self.align();
    }

    fn align(&mut self) {
        self.arena.resize(self.arena.len().next_multiple_of(8), 0);
    }

    fn expression(&mut self, text: &str) -> u32 {
        let anchored = format!("^(?:{text})$");
        let config = dense::Config::new().start_kind(StartKind::Anchored).determinize_size_limit(Some(1 << 20));
        let automaton = dense::Builder::new().configure(config).build(&anchored);
        self.expressions.push(match automaton {
            Ok(automaton) => Expression::Automaton(Box::new(automaton)),
            Err(_) => Expression::Large(regex::Regex::new(&anchored).expect("the expressions of the sets are valid")),
        });
        u32::try_from(self.expressions.len() - 1).expect("ids have 32 bits")
    }
}

/// What is compared at once: the last four octets of the text, a slash, the end; the length; the kind.
fn key(kind: u64, text: &[u8]) -> u64 {
    let mut key = [0; 8];
    let last = text.len().min(4);
    key[4 - last..4].copy_from_slice(&text[text.len() - last..]);
    key[4] = b'/';
    assert!(text.len() < 1 << 14, "paths of the sets are short");
    u64::from_le_bytes(key) | (text.len() as u64) << 48 | kind << 62
}

/// What is compared last: the text; how many octets of method, how many fields, how many parameters; the expression; each of
/// them.
fn rest(rests: &mut Vec<u8>, rule: &SetRule, text: &str, expression: u32) {
    rests.extend(text.as_bytes());
    let method = rule.method.as_deref().unwrap_or_default();
    let counts = [method.len(), rule.headers.len(), rule.queries.len()];
    let mut counts = counts.map(|count| u8::try_from(count).expect("a rule has few matches"));
    assert!(counts[0] < OF_SERVICE, "methods are short");
    counts[0] |= if rule.grpc { CALL } else { 0 } | if rule.grpc && !text.is_empty() { OF_SERVICE } else { 0 };
    rests.extend(counts);
    rests.extend(expression.to_le_bytes());
    rests.extend(method.as_bytes());
    let queries = rule.queries.iter().map(|(name, value)| (encode(name.as_bytes()), encode(value.as_bytes())));
    for (name, value) in rule.headers.iter().cloned().chain(queries) {
        rests.push(u8::try_from(name.len()).expect("names are short"));
        rests.extend(u16::try_from(value.len()).expect("values are short").to_le_bytes());
        rests.extend(name.as_bytes());
        rests.extend(value.as_bytes());
    }
}

/// The octets that every text begins with that an expression matches.
fn literal(expression: &str) -> String {
    let hir = regex_syntax::parse(expression).expect("the expressions of the sets are valid");
    let mut first = &hir;
    while let regex_syntax::hir::HirKind::Concat(parts) = first.kind() {
        first = &parts[0];
    }
    match first.kind() {
        regex_syntax::hir::HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        _ => String::new(),
    }
}

impl Expression {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Automaton(automaton) => {
                matches!(automaton.try_search_fwd(&Input::new(path).anchored(Anchored::Yes)), Ok(Some(_)))
            }
            Self::Large(regex) => std::str::from_utf8(path).is_ok_and(|path| regex.is_match(path)),
        }
    }
}

/// Eight octets a step, a multiplication each.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(K);
        product as u64 ^ (product >> 64) as u64
    };
    let (words, tail) = bytes.as_chunks::<8>();
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(K);
    for word in words {
        state = fold(state, u64::from_le_bytes(*word));
    }
    let last = match (tail, bytes.last_chunk::<8>()) {
        ([], _) => 0,
        (_, Some(last)) => u64::from_le_bytes(*last),
        (_, None) => tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    fold(state, last)
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([bytes[place], bytes[place + 1]])
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four octets"))
}

fn u64_at(bytes: &[u8; QUICK + 16], place: usize) -> u64 {
    u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight octets"))
}
