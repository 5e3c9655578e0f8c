//! Hostile requests and hostile configuration: each vector of the layers `decide` and `config` is one test.
//!
//! Vectors of the other layers speak of octets on a connection, and are the server's.

mod config;
mod manifests;
mod play;
mod references;
mod vector;

use libtest_mimic::{Arguments, Trial};

use self::vector::{Vector, Vectors};

/// Vectors that a pure library cannot answer, and why.
const LEFT_OUT: [(&str, &str); 2] = [
    ("ISO-015", "connections to backends are pooled by whoever makes them"),
    ("ISO-016", "connections to backends are pooled by whoever makes them"),
];

/// A vector that is a scenario in words, with the test that plays it.
type Scenario = (&'static str, fn());

fn scenarios() -> Vec<Scenario> {
    [config::SCENARIOS, manifests::SCENARIOS, references::SCENARIOS].concat()
}

fn playing(id: &str, play: fn()) -> Trial {
    Trial::test(id, move || {
        play();
        Ok(())
    })
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    if let Some(path) = gatewright_conformance::shared("hostile-requests.yaml") {
        let text = std::fs::read_to_string(path).expect("readable vectors");
        // `y` is a header name there.
        let options = serde_saphyr::options! { strict_booleans: true };
        let Vectors { fixtures, cases } = serde_saphyr::from_str_with_options(&text, options).expect("vectors as described");
        let cases: Vec<Vector> = cases.into_iter().filter(|v| matches!(v.layer.as_str(), "decide" | "config")).collect();
        let mut scenarios = scenarios();
        for vector in cases {
            let id = vector.id.clone();
            let play = scenarios.iter().position(|(name, _)| *name == id);
            if let Some((_, why)) = LEFT_OUT.iter().find(|(name, _)| *name == id) {
                play.map(|at| scenarios.swap_remove(at));
                println!("{id} is left out: {why}");
            } else if let Some(at) = play {
                let (_, play) = scenarios.swap_remove(at);
                trials.push(playing(&id, play));
            } else if vector.request.is_some() {
                let fixture = fixtures[&vector.config].clone();
                trials.push(Trial::test(id, move || vector::check(&vector, &fixture).map_err(Into::into)));
            } else {
                trials.push(Trial::test(id, || Err("a scenario that no test plays".into())));
            }
        }
        assert!(scenarios.is_empty(), "no such vectors: {:?}", scenarios.iter().map(|(id, _)| id).collect::<Vec<_>>());
        assert!(trials.len() > 430, "{} vectors: has the file changed?", trials.len());
    } else {
        // The scenarios need no data.
        trials.extend(scenarios().into_iter().map(|(id, play)| playing(id, play)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
