//! Hostile octets on real sockets, with backends that record what reaches them: each vector of the layers `server-h1`,
//! `server-h2`, `tls` and `behaviour` is one test.

mod bounds;
#[path = "../common/mod.rs"]
mod common;
mod endless;
mod fields;
mod grpc;
mod http2;
mod limits;
mod mirrors;
mod responses;
mod retries;
mod sessions;
mod tls;
mod upgrades;
mod vector;
mod wire;

use gatewright_conformance::live::{self, Live};
use libtest_mimic::{Arguments, Trial};

use self::vector::{Vector, Vectors};

/// The layers that are the server's.
const LAYERS: [&str; 4] = ["server-h1", "server-h2", "tls", "behaviour"];

/// Vectors that say what this server does not do, and why not.
const LEFT_OUT: &[(&str, &str)] = &[
    ("H2-017", "the HTTP/2 library cuts a fragment off before anyone sees it; what is matched is what is forwarded"),
    ("H2-027", "the scheme `HTTPS` is not that of a listener without TLS, and [R-T6] wants it to fit"),
];

/// Scenarios that are tested at another place, and where.
const ELSEWHERE: &[(&str, &str)] = &[
    // Calls that no Rust program can make.
    ("API-001", "bindings-python/tests/test_hostile.py"),
    ("API-002", "bindings-python/tests/test_hostile.py"),
    ("API-004", "server/src/observe/panics.rs"),
    ("API-005", "bindings-python/tests/test_hostile.py"),
    ("API-006", "bindings-python/tests/test_hostile.py"),
    ("LIM-011", "server/tests/faults.rs"),
    ("LIM-014", "server/tests/access_log.rs"),
    ("OBS-001", "server/tests/admin.rs"),
    ("OBS-002", "server/tests/admin.rs"),
    ("RLD-001", "server/tests/faults.rs"),
    ("RLD-002", "server/tests/faults.rs"),
    ("RLD-004", "server/tests/faults.rs"),
    ("RLD-005", "server/tests/faults.rs"),
    ("RLD-006", "server/tests/faults.rs"),
    ("RLD-007", "server/tests/faults.rs"),
];

/// A vector that is a scenario in words, with the test that plays it.
type Scenario = (&'static str, fn());

fn scenarios() -> Vec<Scenario> {
    [
        fields::SCENARIOS,
        grpc::SCENARIOS,
        http2::SCENARIOS,
        limits::SCENARIOS,
        mirrors::SCENARIOS,
        responses::SCENARIOS,
        retries::SCENARIOS,
        sessions::SCENARIOS,
        tls::SCENARIOS,
        upgrades::SCENARIOS,
    ]
    .concat()
}

fn main() {
    let arguments = Arguments::from_args();
    let (mut trials, mut live) = (Vec::new(), Live::default());
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
                *live.left_out.entry((*why).to_owned()).or_default() += 1;
                continue;
            }
            if let Some((_, place)) = ELSEWHERE.iter().find(|(name, _)| *name == id) {
                println!("{id} is tested elsewhere: {place}");
                *live.sent.entry(format!("`{place}`")).or_default() += 1;
                continue;
            }
            *live.sent.entry(format!("layer `{}`", vector.layer)).or_default() += 1;
            if let Some(at) = scenarios.iter().position(|(name, _)| *name == id) {
                let (_, play) = scenarios.swap_remove(at);
                trials.push(Trial::test(id, move || {
                    play();
                    Ok(())
                }));
            } else if vector.is_octets() {
                let fixture = fixtures[&vector.config].clone();
                trials.push(Trial::test(id, move || common::run(vector::check(&vector, &fixture)).map_err(Into::into)));
            } else {
                trials.push(Trial::test(id, || Err("a scenario that no test plays".into())));
            }
        }
        trials.extend(scenarios.iter().map(|(name, _)| Trial::test(*name, || Err("no vector has this name".into()))));
    }
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list && !trials.is_empty();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if is_whole && !conclusion.has_failed() {
        live.keep(live::HOSTILE).expect("counts as they are kept");
    }
    conclusion.exit();
}
