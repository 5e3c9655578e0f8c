//! Properties of all tables and requests, on random worlds. `GATEWRIGHT_CASES` raises the number of cases; so does
//! `cargo run --release -p gatewright-conformance --bin compare -- --invariants 1000000`.

use gatewright_conformance::invariants::ALL;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let cases = std::env::var("GATEWRIGHT_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let trials = ALL.map(|(name, property)| Trial::test(name, move || property(11, cases).map_err(Into::into)));
    libtest_mimic::run(&arguments, trials.into()).exit();
}
