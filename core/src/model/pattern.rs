//! Regular expressions: linear time, bounded size ([R-X1], [R-X2]).

use std::collections::BTreeMap;
use std::sync::Arc;

use regex_automata::MatchKind;
use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_syntax::hir::{Dot, Hir, Look, Repetition};

use super::automaton::{Automaton, Sets};
use crate::options::RegexMatch;

/// Bytes that the automaton of one expression may need while it is built.
const SIZE_LIMIT: usize = 1 << 20;
/// Bytes that all automata of a table may take together.
const TABLE_LIMIT: usize = 64 << 20;
/// Bytes that each expression may add to an automaton of several while it is built, and all together.
const SIZE_LIMIT_TOGETHER: usize = 16 << 10;
const MOST_TOGETHER: usize = 8 << 20;
/// Nesting of groups and repetitions.
const NEST_LIMIT: u32 = 50;

/// The regular expressions of a table: each is compiled once, and their sizes are counted.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    known: BTreeMap<(Box<str>, &'static str), Result<Pattern, String>>,
    bytes: usize,
    failures: usize,
    /// Some expression was refused for the sake of all together.
    is_full: bool,
}

impl Patterns {
    /// Compiles an expression in the syntax of the `regex` crate (RE2-like, octets, ASCII classes).
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong: syntax, look-around and back-references, size.
    pub(crate) fn compile(&mut self, text: &str, part: RegexMatch) -> Result<Pattern, String> {
        let key = (text.into(), part.as_str());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut pattern = Pattern::compile(text, part);
        if let Ok(compiled) = &pattern {
            let bytes = self.bytes.saturating_add(compiled.0.automaton.len());
            if bytes > TABLE_LIMIT {
                self.is_full = true;
                pattern = Err(format!("the regular expressions of the table together need more than {TABLE_LIMIT} bytes"));
            } else {
                self.bytes = bytes;
            }
        }
        if pattern.is_err() {
            self.failures = self.failures.saturating_add(1);
        }
        self.known.insert(key, pattern.clone());
        pattern
    }

    /// Whether some expression was refused for the sake of all together: which one depends on their order.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Forgets expressions that cannot be compiled, of which there is no bound.
    pub(crate) fn forget_failures(&mut self) {
        if self.failures > 0 {
            self.known.retain(|_, pattern| pattern.is_ok());
            self.failures = 0;
        }
    }
}

/// A compiled regular expression that must match the whole value, or its beginning, or a part of it.
///
/// Kept as a complete automaton: a match is one step per octet, needs no cache and no allocation, and takes octets from
/// any iterator. The expression is anchored as a syntax tree, never as text, and is not "found and then measured": with
/// `a|ab`, `ab` matches ([R-X1]).
#[derive(Clone)]
pub(crate) struct Pattern(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    part: RegexMatch,
    automaton: Automaton,
}

impl Pattern {
    fn compile(text: &str, part: RegexMatch) -> Result<Self, String> {
        let dfa = dfa(&[(text, part)], SIZE_LIMIT)?;
        let (automaton, _) = Automaton::of(&dfa)?;
        Ok(Self(Arc::new(Compiled { text: text.into(), part, automaton })))
    }

    /// One automaton of several expressions; its answers are sets of their places. `None` when it would be too large.
    pub(crate) fn together(list: &[&Self]) -> Option<(Automaton, Sets)> {
        let texts: Vec<(&str, RegexMatch)> = list.iter().map(|pattern| (pattern.as_str(), pattern.0.part)).collect();
        let limit = SIZE_LIMIT_TOGETHER.saturating_mul(list.len()).clamp(SIZE_LIMIT_TOGETHER, MOST_TOGETHER);
        Automaton::of(&dfa(&texts, limit).ok()?).ok()
    }

    /// The expression as written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Its automaton.
    pub(crate) fn automaton(&self) -> &Automaton {
        &self.0.automaton
    }

    /// Whether the value matches.
    pub(crate) fn matches(&self, value: impl Iterator<Item = u8>) -> bool {
        self.0.automaton.run(value) != 0
    }
}

fn dfa(list: &[(&str, RegexMatch)], limit: usize) -> Result<dense::DFA<Vec<u32>>, String> {
    let trees = list.iter().map(|(text, part)| tree(text, *part)).collect::<Result<Vec<Hir>, String>>()?;
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().utf8(false).nfa_size_limit(Some(limit)).shrink(false))
        .build_many_from_hir(&trees)
        .map_err(|error| error.to_string())?;
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Anchored)
                .match_kind(MatchKind::All)
                // Only its table is read.
                .accelerate(false)
                .dfa_size_limit(Some(limit))
                .determinize_size_limit(Some(limit)),
        )
        .build_from_nfa(&nfa)
        .map_err(|_| format!("its automaton needs more than {limit} bytes"))
}

/// The syntax tree of an expression, anchored as `part` says.
fn tree(text: &str, part: RegexMatch) -> Result<Hir, String> {
    let syntax = regex_automata::util::syntax::Config::new().unicode(false).utf8(false).nest_limit(NEST_LIMIT);
    let hir = regex_automata::util::syntax::parse_with(text, &syntax).map_err(|error| first_sentence(&error.to_string()))?;
    let anything = || {
        let octet = Box::new(Hir::dot(Dot::AnyByte));
        Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: octet })
    };
    let mut whole = vec![Hir::look(Look::Start), hir, Hir::look(Look::End)];
    if part != RegexMatch::Full {
        whole.insert(2, anything());
    }
    if part == RegexMatch::Search {
        whole.insert(1, anything());
    }
    Ok(Hir::concat(whole))
}

/// `regex-syntax` draws a picture of several lines; its last line says what is wrong.
fn first_sentence(message: &str) -> String {
    message.lines().last().unwrap_or(message).trim_start_matches("error: ").to_owned()
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_whole_value() {
        for (expression, value, expected) in [
            ("a|ab", "ab", true),
            ("/foo|/foo/.*", "/foo/bar", true),
            ("/v[0-9]+?", "/v12", true),
            ("/a", "/ab", false),
            ("/a", "x/a", false),
            ("^/a$", "/a", true),
            ("^/a$|^/b$", "/b", true),
            ("(?i)/a", "/A", true),
            (".*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a.c", "a\nc", false),
            (r"\w+", "abc_1", true),
            (r"\bfoo\b", "foo", true),
            ("caf\u{e9}", "caf\u{e9}", true),
        ] {
            let pattern = Pattern::compile(expression, RegexMatch::Full).unwrap();
            assert_eq!(pattern.matches(value.bytes()), expected, "{expression} on {value}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        for (expression, word) in [
            ("(", "unclosed group"),
            ("(?=a)", "look-around"),
            (r"(a)\1", "backreferences"),
            ("a{99999999}", "exceeds"),
            (r"[\s\S]*a[\s\S]{30}", "bytes"),
            (&"(".repeat(60), "unclosed"),
        ] {
            let error = Pattern::compile(expression, RegexMatch::Full).unwrap_err();
            assert!(error.contains(word) || error.contains("limit"), "{expression}: {error}");
        }
    }

    /// [U-6]: anchored in the syntax tree, so that alternatives and anchors of the expression keep their meaning.
    #[test]
    fn parts_of_the_value() {
        for (expression, value, full, prefix, search) in [
            ("/a|/b", "/bc", false, true, true),
            ("/a|/b", "x/b", false, false, true),
            ("/a|/b", "x/c", false, false, false),
            ("^/a$", "/a/b", false, false, false),
            ("^/b", "/a/b", false, false, false),
            ("/b$", "/a/b", false, false, true),
            ("b", "/a/b/c", false, false, true),
            ("a\nb", "xa\nb\ny", false, false, true),
            ("", "/anything", false, true, true),
            ("v[0-9]+", "xv12x", false, false, true),
            ("v[0-9]+", "v12", true, true, true),
            (r"\bb\b", "a b c", false, false, true),
        ] {
            for (part, expected) in [(RegexMatch::Full, full), (RegexMatch::Prefix, prefix), (RegexMatch::Search, search)] {
                let pattern = Pattern::compile(expression, part).unwrap();
                assert_eq!(pattern.matches(value.bytes()), expected, "{expression} on {value}, {part}");
            }
        }
    }

    /// [R-X2]
    #[test]
    fn the_table_is_bounded() {
        let mut patterns = Patterns::default();
        let once = patterns.compile("/a.*", RegexMatch::Full).unwrap();
        let again = patterns.compile("/a.*", RegexMatch::Full).unwrap();
        assert!(Arc::ptr_eq(&once.0, &again.0));
        assert!(!Arc::ptr_eq(&once.0, &patterns.compile("/a.*", RegexMatch::Prefix).unwrap().0));
        patterns.bytes = TABLE_LIMIT - 10;
        assert!(patterns.compile("/a.*", RegexMatch::Full).is_ok());
        let error = patterns.compile("/b.*", RegexMatch::Full).unwrap_err();
        assert!(error.contains("together"), "{error}");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Pattern::compile(&nested(40), RegexMatch::Full).is_ok());
        let error = Pattern::compile(&nested(60), RegexMatch::Full).unwrap_err();
        assert!(error.contains("nest"), "{error}");
    }

    /// Several expressions at once say what each of them says.
    #[test]
    fn together() {
        let texts = ["/a|/b", "/[ab]+", "/.*", "/v[0-9]+/x", "/v12/x", "(?i)/A"];
        for part in [RegexMatch::Full, RegexMatch::Prefix, RegexMatch::Search] {
            let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::compile(text, part).unwrap()).collect();
            let (automaton, sets) = Pattern::together(&patterns.iter().collect::<Vec<_>>()).unwrap();
            for value in ["/a", "/b", "/ab", "/v12/x", "/v1/x", "x/a", "", "/A", "/v12/x/y"] {
                let expected: Vec<usize> = (0..texts.len()).filter(|n| patterns[*n].matches(value.bytes())).collect();
                let found = match automaton.run(value.bytes()) {
                    0 => Vec::new(),
                    n => sets[usize::from(n) - 1].to_vec(),
                };
                assert_eq!(found, expected, "{value} {part}");
            }
        }
        let large: Vec<Pattern> = (0..40).map(|n| Pattern::compile(&format!(".*a{n}.{{6}}"), RegexMatch::Full).unwrap()).collect();
        assert!(Pattern::together(&large.iter().collect::<Vec<_>>()).is_none());
    }
}
