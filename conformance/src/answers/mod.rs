//! What this engine answers, as data: for bindings to other languages, which show with it that they give the same.
//! `conformance/answers.md` describes the lines; the questions are those of the vectors and of the upstream suite.

mod ask;
mod conversation;
mod options;
mod question;
mod upstream;
mod vectors;

use gatewright::load::Loaded;
use gatewright::{Compiled, Options};
use serde::Serialize;
use serde_json::Value;

use self::ask::Ask;
use self::conversation::{Session, Step};

/// Picks of one question at most.
const PICKS: u64 = 64;

/// One line: manifests, options, and everything that follows from them.
#[derive(Debug, Serialize)]
struct World {
    id: String,
    suite: Suite,
    manifests: Vec<(String, String)>,
    options: Value,
    status: Value,
    /// Those of the loader, then those of compiling.
    diagnostics: Value,
    asks: Vec<Ask>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Session>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conversations: Vec<Vec<Step>>,
}

/// Where the questions are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Suite {
    Vectors,
    Upstream,
}

impl World {
    fn new(
        id: String,
        suite: Suite,
        manifests: Vec<(String, String)>,
        options: &Options,
        loaded: &Loaded,
        compiled: &Compiled,
    ) -> Result<Self, String> {
        let diagnostics: Vec<_> = loaded.diagnostics.iter().chain(&compiled.diagnostics).collect();
        Ok(Self {
            id,
            suite,
            manifests,
            options: options::words(options)?,
            status: json(&compiled.status)?,
            diagnostics: json(&diagnostics)?,
            asks: Vec::new(),
            session: None,
            conversations: Vec::new(),
        })
    }
}

/// How many lines and questions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Worlds, one a line.
    pub worlds: usize,
    /// Questions, steps of conversations included.
    pub asks: usize,
}

/// Both suites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The vectors.
    pub vectors: Counts,
    /// The upstream suite; nothing where its data is not at hand.
    pub upstream: Counts,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { vectors, upstream } = self;
        let (worlds, asks) = (vectors.worlds + upstream.worlds, vectors.asks + upstream.asks);
        write!(
            f,
            "{worlds} worlds, {asks} asks: vectors {}, {}; upstream {}, {}",
            vectors.worlds, vectors.asks, upstream.worlds, upstream.asks
        )
    }
}

/// Gives every line, without its end, always in the same order. The upstream suite is left out, with a word on standard
/// error, where its data is not at hand.
///
/// # Errors
///
/// Questions that cannot be read or asked, and what `line` says.
pub fn export(line: &mut dyn FnMut(&str) -> Result<(), String>) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let mut tell = |world: &World| {
        let counts = match world.suite {
            Suite::Vectors => &mut summary.vectors,
            Suite::Upstream => &mut summary.upstream,
        };
        counts.worlds += 1;
        counts.asks += world.asks.len() + world.conversations.iter().map(Vec::len).sum::<usize>();
        line(&serde_json::to_string(world).map_err(|error| error.to_string())?)
    };
    vectors::worlds(&mut tell)?;
    if let Some(suite) = crate::shared("conformance") {
        upstream::worlds(&suite, &mut tell)?;
    }
    Ok(summary)
}

/// Which of some evenly spread picks are asked: all if they are few, else some, the first and the last among them.
fn chosen(count: u64) -> impl Iterator<Item = u64> {
    let asked = count.min(PICKS);
    (0..asked).map(move |n| if asked == count { n } else { n * (count - 1) / (PICKS - 1) })
}

fn json(value: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn picks_are_spread() {
        assert_eq!(chosen(3).collect::<Vec<_>>(), [0, 1, 2]);
        let many: Vec<_> = chosen(1000).collect();
        assert_eq!((many.len(), many.first(), many.last()), (64, Some(&0), Some(&999)));
        assert!(many.is_sorted());
    }
}
