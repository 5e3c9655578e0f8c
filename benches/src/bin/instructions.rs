//! Counts instructions and keeps them as text: `cargo xtask instructions` writes `benches/INSTRUCTIONS.md`, with `--check` it
//! is compared instead.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use gatewright_benches::machine::compiler;
use serde_json::Value;

/// How much a count may grow: what a change of the order of functions in memory can do is less.
const MOST: f64 = 1.05;

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => {
            eprintln!("`{other}` is not a flag of instructions, expected --check");
            return ExitCode::FAILURE;
        }
    };
    match run(check) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("INSTRUCTIONS.md");
    let compiler = compiler();
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if check && !committed.contains(&compiler) {
        return Ok(format!("benches/INSTRUCTIONS.md is of another compiler than {compiler}: not compared"));
    }
    let counts = count()?;
    if check {
        return compare(&committed, &counts);
    }
    std::fs::write(&path, page(&compiler, &counts)).map_err(|error| error.to_string())?;
    Ok("benches/INSTRUCTIONS.md is written".to_owned())
}

/// Names with instructions, one each for a decision or for a rule.
type Counts = Vec<(String, f64)>;

fn count() -> Result<Counts, String> {
    let mut command = Command::new("cargo");
    command.args(["bench", "-p", "gatewright-benches", "--features", "instructions", "--bench", "instructions"]);
    command.args(["--", "--output-format=json"]);
    let output = command.stderr(std::process::Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let mut counts = Counts::new();
    for value in values {
        let value = value.map_err(|error| error.to_string())?;
        let name = |key: &str| value[key].as_str().map(str::to_owned);
        let (Some(function), Some(id)) = (name("function_name"), name("id")) else { continue };
        let count = instructions(&value).ok_or(format!("no instructions of {function} {id}"))?;
        counts.push((format!("{function} {id}"), count / 1_000.0));
    }
    if counts.is_empty() { Err("nothing was counted".to_owned()) } else { Ok(counts) }
}

/// The instructions of this run in a summary of gungraun.
fn instructions(summary: &Value) -> Option<f64> {
    let profiles = summary["profiles"].as_array()?;
    profiles.iter().find_map(|profile| profile["data"]["total"]["metrics"]["Ir"]["values"]["new"].as_f64())
}

fn page(compiler: &str, counts: &Counts) -> String {
    let mut text = format!(
        "# Instructions\n\nWritten by `cargo xtask instructions` with {compiler}; `cargo xtask instructions --check` fails where one of\n\
         them has grown by more than 5 %. Instructions for each of 1,000 decisions in the profile and on the set of the name, counted by\n\
         valgrind; for `compile`, for each of 1,000 rules.\n\n| | |\n|---|---:|\n"
    );
    for (name, count) in counts {
        let _ = writeln!(text, "| {name} | {count:.0} |");
    }
    text
}

/// Every committed count is still there, and none has grown.
fn compare(committed: &str, counts: &Counts) -> Result<String, String> {
    let rows = committed.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        Some((cells.next()?, cells.next()?.parse::<f64>().ok()?))
    });
    let mut said = String::new();
    let mut grown = Vec::new();
    for (name, before) in rows {
        let Some((_, now)) = counts.iter().find(|(of, _)| of == name) else {
            grown.push(format!("{name} is not counted any more"));
            continue;
        };
        let _ = writeln!(said, "{name}: {before:.0} -> {now:.0}");
        if *now > before * MOST {
            grown.push(format!("{name} has grown from {before:.0} to {now:.0} instructions"));
        }
    }
    match (said.is_empty(), grown.is_empty()) {
        (true, _) => Err("benches/INSTRUCTIONS.md has no counts".to_owned()),
        (_, true) => Ok(said + "no count has grown"),
        _ => Err(format!("{said}{}\nif that is meant, write them anew with `cargo xtask instructions`", grown.join("\n"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A summary has the run before, too.
    #[test]
    fn the_newer_count_counts() {
        let text = r#"{"profiles":[{"data":{"total":{"metrics":{"Ir":{"values":{"new":7214484,"old":1}},"Dr":{"values":{"new":2}}}}}}]}"#;
        assert_eq!(instructions(&serde_json::from_str(text).unwrap()), Some(7_214_484.0));
    }

    #[test]
    fn growth_is_an_error() {
        let before = page("rustc 1", &vec![("strict a".to_owned(), 100.0), ("floor a".to_owned(), 50.0)]);
        let now = |strict| vec![("strict a".to_owned(), strict), ("floor a".to_owned(), 50.0)];
        assert!(compare(&before, &now(104.0)).is_ok());
        assert!(compare(&before, &now(106.0)).unwrap_err().contains("strict a has grown from 100 to 106"));
        assert!(compare(&before, &now(1.0)[..1].to_vec()).unwrap_err().contains("floor a is not counted"));
        assert!(compare("", &now(1.0)).is_err());
    }
}
