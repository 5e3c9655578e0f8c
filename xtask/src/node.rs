//! `cargo xtask node`: the npm packages, and everything that is tested on them.
//!
//! The tests run on the tarballs as a user installs them, in fresh folders, never on the sources.

use std::path::Path;
use std::process::Command;

use crate::{cargo, run};

const FOLDER: &str = "bindings-node";
/// WebAssembly without any interface of a system: the module imports nothing.
const WASM: &str = "wasm32-unknown-unknown";

/// Builds the packages into `bindings-node/dist`; then tests them, or measures them.
pub(crate) fn node(what: Option<&str>) -> Result<(), String> {
    match what {
        Some("build") => build("dist"),
        None => {
            build("release")?;
            test()
        }
        Some("bench") => {
            build("dist")?;
            script("bench/run.mjs", &[])
        }
        Some(other) => Err(format!("`{other}` is nothing of node, expected build or bench")),
    }
}

fn build(profile: &str) -> Result<(), String> {
    run(Command::new("rustup").args(["target", "add", WASM]))?;
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(FOLDER))?;
    script("scripts/build.mjs", &["--profile", profile])
}

fn test() -> Result<(), String> {
    cargo(&["test", "-q", "-p", "gatewright-node"], &[])?;
    let folder = Path::new("target/node");
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let answers = std::path::absolute(folder.join("answers.jsonl")).map_err(|error| error.to_string())?;
    cargo(&["run", "-q", "-p", "gatewright-conformance", "--bin", "answers", "--", &answers.to_string_lossy()], &[])?;
    script("scripts/test.mjs", &["--answers", &answers.to_string_lossy()])
}

fn script(path: &str, arguments: &[&str]) -> Result<(), String> {
    run(Command::new("node").arg(path).args(arguments).current_dir(FOLDER))
}
