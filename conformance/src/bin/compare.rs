//! Compares table and oracle on random worlds: `compare [--requests N] [--seed N]`; with `--invariants N` it tries the
//! properties of all tables instead.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(Ok(default), |text| text.parse())
    };
    let (Ok(requests), Ok(seed), Ok(cases)) = (number("--requests", 1_000_000), number("--seed", 1), number("--invariants", 0)) else {
        eprintln!("usage: compare [--requests N] [--seed N] [--invariants N]");
        return ExitCode::from(2);
    };
    if cases > 0 {
        return invariants(seed, cases);
    }
    match gatewright_conformance::compare::run(seed, requests) {
        Ok(counts) => {
            print!("seed {seed}: {counts}");
            ExitCode::SUCCESS
        }
        Err(difference) => {
            println!("a difference (seed {seed}):\n{difference}");
            ExitCode::FAILURE
        }
    }
}

fn invariants(seed: u64, cases: u64) -> ExitCode {
    for (name, property) in gatewright_conformance::invariants::ALL {
        if let Err(contradiction) = property(seed, cases) {
            println!("{name} (seed {seed}): a contradiction\n{contradiction}");
            return ExitCode::FAILURE;
        }
        println!("{name}: {cases} cases, seed {seed}");
    }
    ExitCode::SUCCESS
}
