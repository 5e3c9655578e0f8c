//! The project's own vectors (`conformance/vectors/`): one test each, named `file::id`. A filter on the command line
//! selects some: `cargo test -p gatewright-conformance --test vectors -- redirect`.

use gatewright_conformance::vectors;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let vectors = vectors::read(&vectors::folder()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!vectors.is_empty(), "no vectors");
    let trial = |vector: vectors::Vector| {
        Trial::test(vector.name(), move || {
            let wrong = vector.run();
            if wrong.is_empty() { Ok(()) } else { Err(format!("{} {:?}\n{}", vector.about, vector.rules, wrong.join("\n")).into()) }
        })
    };
    libtest_mimic::run(&arguments, vectors.into_iter().map(trial).collect()).exit();
}
