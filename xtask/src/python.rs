//! `cargo xtask python`: the wheel, and everything that is tested on it.
//!
//! The tests run on the wheel as a user installs it, in an environment of its own, never on the sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cargo, run};

const FOLDER: &str = "bindings-python";
/// Everything that is built or installed.
const TARGET: &str = "target/python";

/// Builds the wheel; then tests it, or measures it.
pub(crate) fn python(what: Option<&str>) -> Result<(), String> {
    match what {
        Some("wheel") => wheel("dist").map(|wheel| println!("{}", wheel.display())),
        None => test(&wheel("release")?),
        Some("bench") => bench(&wheel("dist")?),
        Some(other) => Err(format!("`{other}` is nothing of python, expected wheel or bench")),
    }
}

/// A wheel with the module and the command.
fn wheel(profile: &str) -> Result<PathBuf, String> {
    let tools = environment("tools", &["-r", &format!("{FOLDER}/requirements-build.txt")])?;
    cargo(&["build", "--profile", profile, "-p", "gatewright-server"], &[])?;
    let (name, folder) = (format!("gatewright{}", std::env::consts::EXE_SUFFIX), format!("{FOLDER}/python/gatewright/_bin"));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let built = format!("target/{profile}/{name}");
    std::fs::copy(&built, format!("{folder}/{name}")).map_err(|error| format!("{built}: {error}"))?;
    let wheels = format!("{TARGET}/wheels");
    // A wheel of an earlier version must not be taken for this one.
    let _ = std::fs::remove_dir_all(&wheels);
    let manifest = format!("{FOLDER}/Cargo.toml");
    run(Command::new(tools.join("maturin")).args(["build", "--profile", profile, "-m", &manifest, "-o", &wheels]))?;
    let found = std::fs::read_dir(&wheels).map_err(|error| format!("{wheels}: {error}"))?.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|ending| ending == "whl")).collect();
    found.pop().ok_or_else(|| format!("no wheel in {wheels}"))
}

fn test(wheel: &Path) -> Result<(), String> {
    let programs = fresh("tests", wheel, "test")?;
    let answers = std::path::absolute(format!("{TARGET}/answers.jsonl")).map_err(|error| error.to_string())?;
    cargo(&["run", "-q", "-p", "gatewright-conformance", "--bin", "answers", "--", &answers.to_string_lossy()], &[])?;
    let python = programs.join("python");
    // The type checkers are among the tests.
    run(Command::new(&python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .current_dir(FOLDER)
        .env("GATEWRIGHT_ANSWERS", &answers))
}

fn bench(wheel: &Path) -> Result<(), String> {
    let programs = fresh("bench", wheel, "bench")?;
    for rules in ["10", "1000", "10000"] {
        let out = format!("{TARGET}/set-{rules}.json");
        cargo(&["run", "-q", "--release", "-p", "gatewright-conformance", "--bin", "sets", "--", rules, &out], &[])?;
    }
    run(Command::new(programs.join("python")).args([&format!("{FOLDER}/bench/decide.py"), TARGET, &format!("{FOLDER}/BENCH.md")]))
}

/// An environment with this wheel and nothing of an earlier one.
fn fresh(name: &str, wheel: &Path, requirements: &str) -> Result<PathBuf, String> {
    let _ = std::fs::remove_dir_all(format!("{TARGET}/{name}"));
    let wheel = wheel.to_string_lossy();
    environment(name, &[&wheel, "-r", &format!("{FOLDER}/requirements-{requirements}.txt")])
}

/// A virtual environment with some packages; gives the folder of its programs.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let folder = std::path::absolute(format!("{TARGET}/{name}")).map_err(|error| error.to_string())?;
    let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    if !programs.exists() {
        run(Command::new(if cfg!(windows) { "python" } else { "python3" }).args(["-m", "venv"]).arg(&folder))?;
    }
    run(Command::new(programs.join("python")).args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]).args(packages))?;
    Ok(programs)
}
