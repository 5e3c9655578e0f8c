//! How many of the [answers](crate::answers) were asked again through the packages for other languages: counted by the tests of
//! each, which keep it in a file, and shown in `CONFORMANCE.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Numbers by what was asked, by suite.
pub type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// A package: language, file, and how its tests are run.
const PACKAGES: [(&str, &str, &str); 2] =
    [("Python", "python.yaml", "`pytest bindings-python/tests/test_answers.py`"), ("Node", "node.yaml", "`cargo xtask node`")];

/// The sections of the packages that keep a file.
///
/// # Errors
///
/// A file that cannot be read.
pub fn sections() -> Result<String, String> {
    let mut out = String::new();
    for (language, file, command) in PACKAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if path.exists() {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let counts = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            section(&mut out, language, command, &counts);
        }
    }
    Ok(out)
}

fn section(out: &mut String, language: &str, command: &str, counts: &Counts) {
    let sum = |what: &str| counts.values().filter_map(|of| of.get(what)).sum::<usize>();
    let names: Vec<&String> = counts.values().next().map(|of| of.keys().collect()).unwrap_or_default();
    let _ = writeln!(
        out,
        "\n## In {language}\n\nThe [answers](conformance/answers.md) of the engine, asked again through the package: decisions, explanations, \
         status, diagnostics and what is carried out are all the same. {command}\n"
    );
    let cells = |of: &dyn Fn(&str) -> String| names.iter().map(|name| format!(" {} |", of(name))).collect::<String>();
    let _ = writeln!(out, "| Suite |{}", cells(&|name| name.to_owned()));
    let _ = writeln!(out, "|---|{}", "---|".repeat(names.len()));
    for (suite, of) in counts {
        let _ = writeln!(out, "| {suite} |{}", cells(&|name| of.get(name).copied().unwrap_or_default().to_string()));
    }
    let _ = writeln!(out, "| all |{}", cells(&|name| sum(name).to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row for each suite, and their sum.
    #[test]
    fn a_section_has_every_suite() {
        let mut out = String::new();
        let counts = serde_saphyr::from_str("{upstream: {worlds: 2, asks: 3}, vectors: {worlds: 40, asks: 50}}").unwrap();
        section(&mut out, "Python", "`pytest`", &counts);
        assert!(out.contains("\n## In Python\n"), "{out}");
        assert!(
            out.contains("| Suite | asks | worlds |\n|---|---|---|\n| upstream | 3 | 2 |\n| vectors | 50 | 40 |\n| all | 53 | 42 |\n"),
            "{out}"
        );
    }
}
