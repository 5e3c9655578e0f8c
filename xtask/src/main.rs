//! The commands that CI and people run: `cargo xtask check`, `cargo xtask conformance`, `cargo xtask msrv`,
//! `cargo xtask fuzz SECONDS`, `cargo xtask instructions`, `cargo xtask python`, `cargo xtask node` and `cargo xtask long`.

mod node;
mod python;

use std::process::{Command, ExitCode};

/// Crates that core may pull in, itself included: the promise of the README.
const CRATES_DEFAULT: usize = 14;
const CRATES_YAML: usize = 18;
const CRATES_SESSION: usize = 29;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("check") => check(),
        Some("msrv") => msrv(),
        Some("fuzz") => fuzz(&std::env::args().nth(2).unwrap_or_else(|| "60".to_owned())),
        Some("conformance") => conformance(std::env::args().nth(2).as_deref()),
        Some("instructions") => instructions(std::env::args().nth(2).as_deref()),
        Some("node") => node::node(std::env::args().nth(2).as_deref()),
        Some("python") => python::python(std::env::args().nth(2).as_deref()),
        Some("long") => long(),
        _ => Err("usage: cargo xtask check | conformance [--check] | msrv | fuzz [SECONDS] | instructions [--check] | python [wheel | bench] | node [build | bench] | long\n  check  format, lints, documentation, CONFORMANCE.md, crates of core, WebAssembly\n  conformance  writes CONFORMANCE.md, or tells whether it is stale\n  msrv   builds with the oldest compiler that the manifest promises\n  fuzz   every fuzz target for some seconds; needs a nightly toolchain, and installs cargo-fuzz\n  instructions  counts instructions into benches/INSTRUCTIONS.md, or tells whether they have grown; needs valgrind\n  python  builds the wheel and tests it, or measures it; needs Python 3.10 or later\n  node   builds the npm packages and tests them, or measures them; needs Node.js 20 or later\n  long   what takes minutes: a million comparisons, fuzzing, benchmarks".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"], &[])?;
    cargo(&["clippy", "-p", "gatewright", "--", "-D", "warnings"], &[])?;
    cargo(&["doc", "--workspace", "--no-deps", "--all-features"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    conformance(Some("--check"))?;
    crates(&[], CRATES_DEFAULT)?;
    crates(&["--features", "yaml"], CRATES_YAML)?;
    crates(&["--features", "session"], CRATES_SESSION)?;
    // The embedded benchmark runs each of its functions once.
    cargo(&["bench", "-p", "gatewright-benches", "--", "--test"], &[])?;
    wasm()
}

/// Writes `CONFORMANCE.md`, or tells whether it is stale.
fn conformance(flag: Option<&str>) -> Result<(), String> {
    match flag {
        None => cargo(&["run", "-q", "-p", "gatewright-conformance", "--bin", "conformance"], &[]),
        Some("--check") => cargo(&["run", "-q", "-p", "gatewright-conformance", "--bin", "conformance", "--", "--check"], &[]),
        Some(other) => Err(format!("`{other}` is not a flag of conformance, expected --check")),
    }
}

/// Minutes, not seconds.
fn long() -> Result<(), String> {
    let compare = ["run", "--release", "-p", "gatewright-conformance", "--bin", "compare", "--", "--requests", "10000000"];
    cargo(&compare, &[])?;
    cargo(&["run", "--release", "-p", "gatewright-conformance", "--bin", "compare", "--", "--invariants", "200000"], &[])?;
    cargo(&["bench", "-p", "gatewright-benches"], &[])?;
    fuzz("300")
}

/// The `rust-version` of the manifest is true: what is published builds with it.
fn msrv() -> Result<(), String> {
    let manifest = std::fs::read_to_string("Cargo.toml").map_err(|error| error.to_string())?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.ok_or("Cargo.toml has no rust-version")?.trim_matches('"');
    run(Command::new("rustup").args(["toolchain", "install", version, "--profile", "minimal"]))?;
    cargo(
        &[&format!("+{version}"), "check", "-p", "gatewright", "-p", "gatewright-server", "--all-features", "--target-dir", "target/msrv"],
        &[],
    )
}

/// Every fuzz target for some seconds.
fn fuzz(seconds: &str) -> Result<(), String> {
    if !Command::new("cargo").args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success()) {
        cargo(&["install", "cargo-fuzz", "--locked"], &[])?;
    }
    for target in ["load", "request"] {
        cargo(&["+nightly", "fuzz", "run", target, "--", &format!("-max_total_time={seconds}"), "-max_len=4096"], &[])?;
    }
    Ok(())
}

/// Counts the instructions of decisions and of compiling, or tells whether they have grown.
fn instructions(flag: Option<&str>) -> Result<(), String> {
    let found = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if found("valgrind").is_none() {
        println!("no valgrind: instructions are not counted");
        return Ok(());
    }
    // The runner must be of the same version as the library.
    let lock = std::fs::read_to_string("Cargo.lock").map_err(|error| error.to_string())?;
    let version = lock.split_once("name = \"gungraun\"\nversion = \"").and_then(|(_, rest)| rest.split('"').next());
    let version = version.ok_or("Cargo.lock has no gungraun")?;
    if !found("gungraun-runner").is_some_and(|text| text.trim().ends_with(version)) {
        cargo(&["install", "gungraun-runner", "--locked", "--version", version], &[])?;
    }
    let run = ["run", "-q", "--release", "-p", "gatewright-benches", "--features", "instructions", "--bin", "instructions"];
    match flag {
        None => cargo(&run, &[]),
        Some("--check") => cargo(&[&run[..], &["--", "--check"]].concat(), &[]),
        Some(other) => Err(format!("`{other}` is not a flag of instructions, expected --check")),
    }
}

/// Counts the crates that core pulls in.
fn crates(features: &[&str], limit: usize) -> Result<(), String> {
    let arguments = [&["tree", "-p", "gatewright", "-e", "normal", "--prefix", "none", "--no-dedupe"], features].concat();
    let output = Command::new(env!("CARGO")).args(&arguments).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    println!("core {features:?}: {} crates", names.len());
    if names.is_empty() || names.len() > limit { Err(format!("more than {limit}: {names:?}")) } else { Ok(()) }
}

/// Core needs nothing from outside: built for a target that has nothing, it imports nothing.
fn wasm() -> Result<(), String> {
    let target = "wasm32-unknown-unknown";
    run(Command::new("rustup").args(["target", "add", target]))?;
    cargo(&["build", "-p", "gatewright", "--target", target], &[])?;
    cargo(&["build", "--release", "--manifest-path", "xtask/wasm-probe/Cargo.toml", "--target", target], &[])?;
    let path = format!("xtask/wasm-probe/target/{target}/release/wasm_probe.wasm");
    let module = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    let imports = imports(&module).ok_or("the module cannot be read")?;
    println!("core in WebAssembly: {} bytes, {imports} imports", module.len());
    if imports == 0 { Ok(()) } else { Err(format!("core imports {imports} functions from outside")) }
}

/// Number of entries in the import section of a module (WebAssembly core specification, section 5.5).
fn imports(module: &[u8]) -> Option<u64> {
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0")?;
    while let [section, tail @ ..] = rest {
        let (size, tail) = leb128(tail)?;
        let size = usize::try_from(size).ok()?;
        if *section == 2 {
            return leb128(tail).map(|(count, _)| count);
        }
        rest = tail.get(size..)?;
    }
    Some(0)
}

fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[n + 1..]));
        }
    }
    None
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    // `cargo +nightly` is rustup's, which the cargo of a toolchain is not.
    let program = if arguments[0].starts_with('+') { "cargo" } else { env!("CARGO") };
    run(Command::new(program).args(arguments).envs(environment.iter().copied()))
}

fn run(command: &mut Command) -> Result<(), String> {
    println!("$ {command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check can fail: a module with an import is seen.
    #[test]
    fn imports_are_counted() {
        assert_eq!(imports(b"\0asm\x01\0\0\0"), Some(0));
        assert_eq!(imports(b"\0asm\x01\0\0\0\x01\x01\0\x02\x07\x01\x01e\x01f\0\0"), Some(1));
        assert_eq!(imports(b"nonsense"), None);
    }
}
