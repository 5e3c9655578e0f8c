//! Hostile octets on real sockets, with backends that record what reaches them: each vector of the layers `server-h1`,
//! `server-h2`, `tls` and `behaviour` is one test.

#[path = "../common/mod.rs"]
mod common;
mod fields;
mod responses;
mod upgrades;
mod vector;
mod wire;

use libtest_mimic::{Arguments, Trial};

use self::vector::{Vector, Vectors};

/// The layers that are the server's.
const LAYERS: [&str; 4] = ["server-h1", "server-h2", "tls", "behaviour"];

/// Vectors that say what this server does not do, and why not.
const LEFT_OUT: &[(&str, &str)] = &[
    ("H2-017", "the HTTP/2 library cuts a fragment off before anyone sees it; what is matched is what is forwarded"),
    ("H2-027", "the scheme `HTTPS` is not that of a listener without TLS, and [R-T6] wants it to fit"),
];

/// A vector that is a scenario in words, with the test that plays it.
type Scenario = (&'static str, fn());

fn scenarios() -> Vec<Scenario> {
    [fields::SCENARIOS, responses::SCENARIOS, upgrades::SCENARIOS].concat()
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    if let Some(path) = gatewright_conformance::shared("hostile-requests.yaml") {
        let text = std::fs::read_to_string(path).expect("readable vectors");
        // `y` is a header name there.
        let options = serde_saphyr::options! { strict_booleans: true };
        let Vectors { fixtures, cases } = serde_saphyr::from_str_with_options(&text, options).expect("vectors as described");
        let mut scenarios = scenarios();
        for vector in cases.into_iter().filter(|vector: &Vector| LAYERS.contains(&vector.layer.as_str())) {
            let id = vector.id.clone();
            if let Some((_, why)) = LEFT_OUT.iter().find(|(name, _)| *name == id) {
                println!("{id} is left out: {why}");
            } else if let Some(at) = scenarios.iter().position(|(name, _)| *name == id) {
                let (_, play) = scenarios.swap_remove(at);
                trials.push(Trial::test(id, move || {
                    play();
                    Ok(())
                }));
            } else if vector.is_octets() {
                let fixture = fixtures[&vector.config].clone();
                trials.push(Trial::test(id, move || common::run(vector::check(&vector, &fixture)).map_err(Into::into)));
            } else {
                println!("{id} is a scenario that no test plays yet");
            }
        }
        trials.extend(scenarios.iter().map(|(name, _)| Trial::test(*name, || Err("no vector has this name".into()))));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
