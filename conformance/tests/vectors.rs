//! The project's own vectors (`conformance/vectors/`): one test each, named `file::id`, and one more, named
//! `file::id (oracle)`, where the oracle has a second opinion. A filter on the command line selects some:
//! `cargo test -p gatewright-conformance --test vectors -- redirect`.

use gatewright_conformance::vectors::{self, Vector, second};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let vectors = vectors::read(&vectors::folder()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!vectors.is_empty(), "no vectors");
    let mut trials = Vec::new();
    for (prefix, why) in second::OUTSIDE {
        let needed = vectors.iter().any(|vector| vector.name().starts_with(prefix) && !second::check(vector).1.is_empty());
        assert!(needed, "the oracle knows {why} by now: `{prefix}` is no exception");
    }
    for vector in vectors {
        let vector = std::sync::Arc::new(vector);
        if second::is_asked(&vector) {
            let vector = vector.clone();
            trials.push(Trial::test(format!("{} (oracle)", vector.name()), move || result(&vector, second::check(&vector).1)));
        }
        trials.push(Trial::test(vector.name(), move || result(&vector, vector.run())));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn result(vector: &Vector, wrong: Vec<String>) -> Result<(), Failed> {
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} {:?}\n{}", vector.about, vector.rules, wrong.join("\n")).into()) }
}
