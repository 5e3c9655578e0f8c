//! Compares table and oracle on random worlds: `compare [--requests N] [--seed N]`; with `--sets N` the table and the
//! plain twin on large sets, N requests in all, and with `--file` on the set of a file; with `--invariants N` it tries the properties of all tables instead.

use std::process::ExitCode;

use gatewright_conformance::{compare, invariants};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(Ok(default), |text| text.parse())
    };
    let (Ok(requests), Ok(seed), Ok(of_sets), Ok(cases)) =
        (number("--requests", 1_000_000), number("--seed", 1), number("--sets", 0), number("--invariants", 0))
    else {
        eprintln!("usage: compare [--requests N] [--seed N] [--sets N [--file PATH]] [--invariants N]");
        return ExitCode::from(2);
    };
    if cases > 0 {
        return try_invariants(seed, cases);
    }
    let file = arguments.iter().position(|argument| argument == "--file").and_then(|at| arguments.get(at + 1));
    let counts = match (of_sets, file) {
        (_, Some(path)) => compare::sets::run_file(path, seed, of_sets).map(|counts| counts.to_string()),
        (0, None) => compare::run(seed, requests).map(|counts| counts.to_string()).map_err(|difference| difference.to_string()),
        (_, None) => {
            compare::sets::run(seed, of_sets, usize::MAX).map(|counts| counts.to_string()).map_err(|difference| difference.to_string())
        }
    };
    match counts {
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

fn try_invariants(seed: u64, cases: u64) -> ExitCode {
    for (name, property) in invariants::ALL {
        if let Err(contradiction) = property(seed, cases) {
            println!("{name} (seed {seed}): a contradiction\n{contradiction}");
            return ExitCode::FAILURE;
        }
        println!("{name}: {cases} cases, seed {seed}");
    }
    ExitCode::SUCCESS
}
