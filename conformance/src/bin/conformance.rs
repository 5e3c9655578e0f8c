//! Writes `CONFORMANCE.md` and the kept results of the upstream suite, or with `--check` compares them with what
//! they should be: `cargo run -p gatewright-conformance --bin conformance [-- --check]`. Exit code 1: stale, or
//! something does not pass.

use std::path::Path;
use std::process::ExitCode;

use gatewright_conformance::report;

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), String> {
    let report = report::generate()?;
    for (path, text) in [(report::document_path(), &report.document), (report::upstream_path(), &report.upstream)] {
        if check {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            if found != *text {
                return Err(format!("{} is stale: run `cargo xtask conformance`", name(&path)));
            }
        } else {
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    if report.failures.is_empty() { Ok(()) } else { Err(report.failures.join("\n")) }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
