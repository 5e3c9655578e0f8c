//! On what, and with what, was measured.

use std::process::Command;

use crate::results::Machine;

/// Crates that are compared or that the engine rests on.
const CRATES: [&str; 8] = ["gatewright", "http", "matchit", "wayfind", "path-tree", "regex", "regex-automata", "atc-router"];

/// Looks at it.
pub fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor =
        read("/proc/cpuinfo").lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_owned()));
    let model = read("/proc/cpuinfo").lines().find_map(|line| Some(line.strip_prefix("model\t")?.split_once(": ")?.1.to_owned()));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut crates: Vec<String> = locked(include_str!("../../Cargo.lock")).filter(|(name, _)| CRATES.contains(name)).map(named).collect();
    // It has a lockfile of its own.
    crates.extend(locked(include_str!("../junction/Cargo.lock")).filter(|(name, _)| *name == "junction-core").map(named));
    Machine {
        processor: format!(
            "{} (model {}), {cores} cores",
            processor.unwrap_or_else(|| std::env::consts::ARCH.into()),
            model.unwrap_or_default()
        ),
        system: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
        compiler: compiler(),
        crates,
        load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// What `rustc --version` says.
pub fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Keeps this process on the last core; `false` where the platform cannot.
pub fn pin() -> bool {
    let core = core_affinity::get_core_ids().and_then(|cores| cores.last().copied());
    core.is_some_and(core_affinity::set_for_current)
}

/// Names and versions of a lockfile.
fn locked(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("[[package]]").filter_map(|entry| {
        let of = |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim_matches('"'));
        Some((of("name = ")?, of("version = ")?))
    })
}

fn named((name, version): (&str, &str)) -> String {
    format!("{name} {version}")
}
