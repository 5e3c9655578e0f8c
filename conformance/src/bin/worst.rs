//! Searches for the worst request to the worst table: `worst [--rules N] [--seconds N] [--seed N]`.

use std::process::ExitCode;
use std::time::Duration;

use gatewright_conformance::sets::worst;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(Ok(default), |text| text.parse())
    };
    let (Ok(rules), Ok(seconds), Ok(seed)) = (number("--rules", 10_000), number("--seconds", 60), number("--seed", 1)) else {
        eprintln!("usage: worst [--rules N] [--seconds N] [--seed N]");
        return ExitCode::from(2);
    };
    let report = worst::search(usize::try_from(rules).unwrap_or(1).max(10), Duration::from_secs(seconds), seed);
    print!("seed {seed}: {report}");
    if report.agreed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
