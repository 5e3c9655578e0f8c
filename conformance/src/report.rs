//! `CONFORMANCE.md`: every rule with the vectors that show it, every feature, and what becomes of the upstream
//! suite. `conformance/rules.yaml` is the list of rules; a vector that cites another, and a rule that nothing
//! shows and nobody explains, are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gatewright::Feature;
use serde::{Deserialize, Serialize};

use crate::bindings;
use crate::live::{self, Live};
use crate::suite::{CaseResult, Totals};
use crate::vectors::{self, Vector, second};

/// An entry of `rules.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For instance `M-12`.
    pub id: String,
    /// `Core`, `Extended`, `Implementation`, `Experimental`, `Choice` or `Note`.
    pub level: String,
    /// In our own words.
    pub title: String,
    /// Why no vector shows it, and what does.
    pub elsewhere: Option<String>,
}

/// What became of an upstream case, as it is kept where the suite is not at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Folder of the case.
    pub case: String,
    /// Profiles that count it, as `NAME level`.
    pub profiles: Vec<String>,
    /// Features that it needs.
    pub features: Vec<String>,
    /// Assertions of status that were checked.
    pub status: usize,
    /// Rows of traffic that were checked as a whole.
    pub rows: usize,
    /// Rows of which something is left to a proxy.
    pub in_part: usize,
    /// Assertions and rows that were not checked.
    pub skipped: usize,
    /// Whether all that was checked holds.
    pub pass: bool,
}

impl From<&CaseResult> for Upstream {
    fn from(result: &CaseResult) -> Self {
        let totals = Totals::of([result]);
        Self {
            case: result.case.clone(),
            profiles: result.profiles.iter().map(|profile| format!("{} {}", profile.name, profile.level)).collect(),
            features: result.features.clone(),
            status: totals.status,
            rows: totals.rows,
            in_part: totals.partial_rows,
            skipped: totals.skipped,
            pass: result.passed(),
        }
    }
}

/// The files that are generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `CONFORMANCE.md`
    pub document: String,
    /// `conformance/upstream.yaml`
    pub upstream: String,
    /// What the vectors find wrong, as sentences.
    pub failures: Vec<String>,
}

/// Path of `CONFORMANCE.md`.
pub fn document_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../CONFORMANCE.md")
}

/// Path of the kept results of the upstream suite.
pub fn upstream_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream.yaml")
}

/// Runs every vector, and the upstream suite if its data is beside the project, else takes its kept results.
///
/// # Errors
///
/// Files that cannot be read; a vector that cites a rule or feature that is none; a rule that no vector shows and
/// that does not say why.
pub fn generate() -> Result<Report, String> {
    let rules: Vec<Rule> = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules.yaml"))?;
    let upstream: Vec<Upstream> = match crate::shared("conformance") {
        Some(suite) => crate::suite::run_all(&suite)?.iter().map(Upstream::from).collect(),
        None => read(&upstream_path())?,
    };
    let all = vectors::read(&vectors::folder())?;
    let ran: Vec<Ran<'_>> = all.iter().map(|vector| Ran { vector, wrong: vector.run() }).collect();
    complete(&rules, &all)?;

    let failures = ran.iter().flat_map(|ran| ran.wrong.iter().map(|wrong| format!("{}: {wrong}", ran.vector.name()))).collect();
    let mut document = String::new();
    head(&mut document, &rules, &ran, &upstream);
    live(&mut document)?;
    document.push_str(&bindings::sections()?);
    profiles(&mut document, &upstream);
    features(&mut document, &ran, &upstream);
    rule_table(&mut document, &rules, &ran);
    cases(&mut document, &upstream);
    Ok(Report { document, upstream: kept(&upstream)?, failures })
}

struct Ran<'v> {
    vector: &'v Vector,
    wrong: Vec<String>,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Vectors and rules fit together.
fn complete(rules: &[Rule], vectors: &[Vector]) -> Result<(), String> {
    let ids: BTreeSet<&str> = rules.iter().map(|rule| &*rule.id).collect();
    if ids.len() != rules.len() {
        return Err("rules.yaml has a rule twice".to_owned());
    }
    let mut wrong = Vec::new();
    for vector in vectors {
        let unknown = vector.rules.iter().filter(|rule| !ids.contains(&***rule));
        wrong.extend(unknown.map(|rule| format!("{} cites {rule}, which rules.yaml does not have", vector.name())));
        let unknown = vector.features.iter().filter(|name| Feature::from_name(name).is_none());
        wrong.extend(unknown.map(|name| format!("{} names {name}, which is no feature", vector.name())));
    }
    let cited: BTreeSet<&str> = vectors.iter().flat_map(|vector| &vector.rules).map(String::as_str).collect();
    let alone = rules.iter().filter(|rule| rule.elsewhere.is_none() && !cited.contains(&*rule.id));
    wrong.extend(alone.map(|rule| format!("no vector shows {} ({}), and rules.yaml does not say why", rule.id, rule.title)));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn head(out: &mut String, rules: &[Rule], ran: &[Ran<'_>], upstream: &[Upstream]) {
    let cited: BTreeSet<&str> = ran.iter().flat_map(|ran| &ran.vector.rules).map(String::as_str).collect();
    let checks: usize = ran.iter().map(|ran| ran.vector.checks()).sum();
    let passing = ran.iter().filter(|ran| ran.wrong.is_empty()).count();
    let asked = ran.iter().filter(|ran| second::is_asked(ran.vector)).count();
    let sum = |count: fn(&Upstream) -> usize| upstream.iter().map(count).sum::<usize>();
    let _ = write!(
        out,
        "# Conformance

Written by `cargo xtask conformance`; `cargo xtask check` fails when it is stale. Do not edit.

| What | Number | Pass |
|---|---|---|
| [Vectors](conformance/vectors/README.md) of our own | {} with {checks} checks | {passing} |
| Of these with a second opinion of the oracle, which shares no code with the table | {asked} | |
| Rules that vectors show | {} of {} | |
| Cases of the upstream suite | {} | {} |

The upstream cases are the conformance suite of the Gateway API as data: {} assertions of status, {} rows of traffic checked as a
whole, {} in part (what a proxy does over time or on the wire is left to the server's tests), {} not checked.
",
        ran.len(),
        cited.len(),
        rules.len(),
        upstream.len(),
        sum(|case| usize::from(case.pass)),
        sum(|case| case.status),
        sum(|case| case.rows),
        sum(|case| case.in_part),
        sum(|case| case.skipped),
    );
}

/// What goes through the real server.
fn live(out: &mut String) -> Result<(), String> {
    out.push_str("\n## The live server\n\n");
    let tables = [
        ("Rows of the upstream suite", "`cargo test -p gatewright-server --test conformance`", Live::kept(live::UPSTREAM)?),
        ("Hostile requests and backends", "`cargo test -p gatewright-server --test hostile`", Live::kept(live::HOSTILE)?),
    ];
    for (what, command, live) in tables {
        let _ = writeln!(out, "{what}, on real sockets with real backends: {} sent, all pass. {command}\n", live.total());
        out.push_str("| | Number |\n|---|---|\n");
        for (name, count) in &live.sent {
            let _ = writeln!(out, "| {name} | {count} |");
        }
        for (why, count) in &live.left_out {
            let _ = writeln!(out, "| left out: {why} | {count} |");
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    Ok(())
}

fn profiles(out: &mut String, upstream: &[Upstream]) {
    out.push_str("\n## Profiles\n\n| Profile | Level | Upstream cases | Pass |\n|---|---|---|---|\n");
    let all: BTreeSet<&str> = upstream.iter().flat_map(|case| &case.profiles).map(String::as_str).collect();
    for profile in all {
        let of: Vec<_> = upstream.iter().filter(|case| case.profiles.iter().any(|one| one == profile)).collect();
        let (name, level) = profile.split_once(' ').unwrap_or((profile, ""));
        let _ = writeln!(out, "| {name} | {level} | {} | {} |", of.len(), of.iter().filter(|case| case.pass).count());
    }
    let none: Vec<_> = upstream.iter().filter(|case| case.profiles.is_empty()).collect();
    let _ = writeln!(out, "| in no profile | | {} | {} |", none.len(), none.iter().filter(|case| case.pass).count());
}

fn features(out: &mut String, ran: &[Ran<'_>], upstream: &[Upstream]) {
    out.push_str("\n## Features\n\n| Feature | Vectors | Upstream cases | Pass |\n|---|---|---|---|\n");
    for feature in Feature::ALL {
        let name = feature.as_str();
        let of: Vec<_> = ran.iter().filter(|ran| ran.vector.features.iter().any(|one| one == name)).collect();
        let cases: Vec<_> = upstream.iter().filter(|case| case.features.iter().any(|one| one == name)).collect();
        let pass = of.iter().all(|ran| ran.wrong.is_empty()) && cases.iter().all(|case| case.pass);
        let pass = if of.is_empty() && cases.is_empty() { "" } else { yes(pass) };
        let _ = writeln!(out, "| `{name}` | {} | {} | {pass} |", number(of.len()), number(cases.len()));
    }
}

fn rule_table(out: &mut String, rules: &[Rule], ran: &[Ran<'_>]) {
    out.push_str(
        "\n## Rules\n\nThe rules are those of the specification digest that the project is built on, in our own words. \
         Levels: Core, Extended, Implementation (specific), Experimental, Choice (the specification leaves it open), Note.\n\n\
         | Rule | Level | What | Vectors | Pass |\n|---|---|---|---|---|\n",
    );
    for rule in rules {
        let of: Vec<_> = ran.iter().filter(|ran| ran.vector.rules.contains(&rule.id)).collect();
        let mut by_file = BTreeMap::<&str, Vec<&str>>::new();
        of.iter().for_each(|ran| by_file.entry(&ran.vector.world.file).or_default().push(&ran.vector.id));
        let mut shown: Vec<String> =
            by_file.iter().map(|(file, ids)| format!("[{file}](conformance/vectors/{file}.yaml): {}", ids.join(", "))).collect();
        shown.extend(rule.elsewhere.as_ref().map(|why| format!("*{why}*")));
        let pass = if of.is_empty() { "" } else { yes(of.iter().all(|ran| ran.wrong.is_empty())) };
        let _ = writeln!(out, "| {} | {} | {} | {} | {pass} |", rule.id, rule.level, rule.title, shown.join("; "));
    }
}

fn cases(out: &mut String, upstream: &[Upstream]) {
    out.push_str(
        "\n## Upstream cases\n\n| Case | Features | Status | Rows | In part | Not checked | Pass |\n|---|---|---|---|---|---|---|\n",
    );
    for case in upstream {
        let Upstream { status, rows, in_part, skipped, .. } = case;
        let features = case.features.join(", ");
        let [status, rows, in_part, skipped] = [status, rows, in_part, skipped].map(|count| number(*count));
        let _ = writeln!(out, "| {} | {features} | {status} | {rows} | {in_part} | {skipped} | {} |", case.case, yes(case.pass));
    }
}

fn yes(pass: bool) -> &'static str {
    if pass { "yes" } else { "**no**" }
}

/// Zero is left out.
fn number(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

/// The results as a file of one line for each case.
fn kept(upstream: &[Upstream]) -> Result<String, String> {
    let mut text = "# What became of the upstream suite; written by `cargo xtask conformance` where its data is at hand.\n".to_owned();
    for case in upstream {
        let line = serde_json::to_string(case).map_err(|error| error.to_string())?;
        let _ = writeln!(text, "- {line}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, elsewhere: Option<&str>) -> Rule {
        Rule { id: id.to_owned(), level: "Core".to_owned(), title: String::new(), elsewhere: elsewhere.map(str::to_owned) }
    }

    /// Rules that nothing shows, and rules, features and keys that are none, are refused.
    #[test]
    fn rules_and_vectors_fit_together() {
        let vector = |rules: &str, features: &str| -> Vector {
            let text = format!("{{id: v, about: x, rules: [{rules}], features: [{features}], clean: true}}");
            serde_saphyr::from_str(&text).unwrap()
        };
        let rules = [rule("M-1", None), rule("M-2", Some("the server"))];
        assert_eq!(complete(&rules, &[vector("M-1", "HTTPRoute")]), Ok(()));
        assert!(complete(&rules, &[vector("M-2", "")]).unwrap_err().contains("no vector shows M-1"));
        assert!(complete(&rules, &[vector("M-1, M-3", "")]).unwrap_err().contains("cites M-3"));
        assert!(complete(&rules, &[vector("M-1", "HTTPRoutes")]).unwrap_err().contains("HTTPRoutes"));
        assert!(serde_saphyr::from_str::<Vector>("{id: v, about: x, rules: [], checks: 1}").is_err());
    }
}
