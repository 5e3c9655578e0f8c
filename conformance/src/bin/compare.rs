//! Compares table and oracle on random worlds: `compare [--requests N] [--seed N]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(Ok(default), |text| text.parse())
    };
    let (Ok(requests), Ok(seed)) = (number("--requests", 1_000_000), number("--seed", 1)) else {
        eprintln!("usage: compare [--requests N] [--seed N]");
        return ExitCode::from(2);
    };
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
