//! Writes what this engine answers to the questions of the vectors and of the upstream suite, a JSON object a line:
//! `cargo run -p gatewright-conformance --bin answers -- OUT.jsonl`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use gatewright_conformance::answers::{self, Summary};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path] = arguments.as_slice() else {
        eprintln!("usage: answers OUT.jsonl");
        return ExitCode::from(2);
    };
    match write(path) {
        Ok(summary) => {
            eprintln!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(path: &str) -> Result<Summary, String> {
    let told = |error: std::io::Error| format!("{path}: {error}");
    let mut file = BufWriter::new(File::create(path).map_err(told)?);
    let summary = answers::export(&mut |line| writeln!(file, "{line}").map_err(told))?;
    file.flush().map_err(told)?;
    Ok(summary)
}
