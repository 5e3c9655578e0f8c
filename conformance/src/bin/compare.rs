//! Compares table and oracle on random worlds: `compare [--requests N] [--seed N]`; with `--invariants N` it tries the
//! properties of all tables instead, with `--updates N` it follows changes.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(Ok(default), |text| text.parse())
    };
    let (Ok(requests), Ok(seed)) = (number("--requests", 1_000_000), number("--seed", 1)) else { return usage() };
    let (Ok(cases), Ok(steps)) = (number("--invariants", 0), number("--updates", 0)) else { return usage() };
    if steps > 0 {
        return updates(seed, steps);
    }
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

fn usage() -> ExitCode {
    eprintln!("usage: compare [--requests N] [--seed N] [--invariants N] [--updates N]");
    ExitCode::from(2)
}

fn updates(seed: u64, steps: u64) -> ExitCode {
    match gatewright_conformance::compare::updates::run(seed, steps) {
        Ok(counts) => {
            println!("seed {seed}: {counts}");
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
