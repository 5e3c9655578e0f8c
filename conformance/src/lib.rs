//! What "correct" means for Gatewright, for its own tests: the upstream conformance suite as data
//! ([`suite`]), the project's own vectors ([`vectors`]), the answers to both as
//! data for bindings ([`answers`]), a naive oracle with a generator of small nasty worlds
//! ([`oracle`], [`world`]), and large route sets with a plain twin ([`sets`]).

pub mod answers;
pub mod bindings;
pub mod compare;
pub mod invariants;
pub mod live;
pub mod octets;
pub mod oracle;
pub mod report;
pub mod sets;
pub mod suite;
pub mod vectors;
pub mod world;

use std::path::PathBuf;

/// The folder of specification data beside the project, or `None` (with a word on standard error) where it is
/// not: the tests that read it are skipped then.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: the specification data `shared/{name}` is not beside this checkout");
    None
}
