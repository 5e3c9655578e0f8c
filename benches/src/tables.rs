//! The results as tables to read.

use std::fmt::Write;

use crate::contender::Contender;
use crate::engine::Engine;
use crate::results::{Results, Row};

/// What was measured, and the most that it may be; `None` if it was not measured.
type Goal = fn(&Results) -> Option<(f64, f64)>;

/// What an embedder can rely on; each is told with the measured value. Ratios are to the floor.
const GOALS: [(&str, Goal); 17] = [
    ("Strict, standard, 1,000 rules: ratio", |results| Some((strict(results, 1_000)?.ratio, 2.0))),
    ("Strict, standard, 10,000 rules: ratio", |results| Some((strict(results, 10_000)?.ratio, 2.0))),
    ("Strict, standard, 100,000 rules: ratio", |results| Some((strict(results, 100_000)?.ratio, 2.0))),
    ("Compatible, standard, 1,000 rules: ratio", |results| Some((compatible(results, 1_000)?.ratio, 1.5))),
    ("Compatible, standard, 10,000 rules: ratio", |results| Some((compatible(results, 10_000)?.ratio, 1.5))),
    ("Compatible, standard, 100,000 rules: ratio", |results| Some((compatible(results, 100_000)?.ratio, 1.5))),
    ("Strict, standard, 1,000 rules: mean, ns", |results| Some((strict(results, 1_000)?.mean, 2.0 * 131.0))),
    ("Strict, standard, 10,000 rules: mean, ns", |results| Some((strict(results, 10_000)?.mean, 2.0 * 165.0))),
    ("Strict, standard, 100,000 rules: mean, ns", |results| Some((strict(results, 100_000)?.mean, 2.0 * 234.0))),
    ("Strict, standard, 10,000 rules: p99, ns", |results| Some((strict(results, 10_000)?.p99, 1_000.0))),
    ("allocations a decision, the most of all sets", |results| Some((ours(results).map(|row| row.allocations).reduce(f64::max)?, 0.0))),
    ("mean of the slowest other set to the standard set of as many rules", |results| {
        Some((ours(results).filter_map(|row| beside_standard(results, row)).reduce(f64::max)?, 3.0))
    }),
    ("bytes a rule at 100,000 rules", |results| Some((strict(results, 100_000)?.bytes, 400.0))),
    ("MiB of a table of 1,000,000 rules", |results| Some((strict(results, 1_000_000)?.bytes * 1e6 / f64::from(1 << 20), 1_024.0))),
    ("compiling 100,000 rules, ms", |results| Some((strict(results, 100_000)?.build / 1e6, 1_000.0))),
    ("compiling 100,000 rules, to ten times 10,000 rules", |results| {
        Some((strict(results, 100_000)?.build / strict(results, 10_000)?.build / 10.0, 1.5))
    }),
    ("share of requests answered by another rule than the plain twin's", |results| {
        Some((1.0 - ours(results).map(|row| row.agree).reduce(f64::min)?, 0.0))
    }),
];

/// Everything as Markdown.
pub fn markdown(results: &Results, lacks: &[(String, String)]) -> String {
    let mut text = String::from("# Results\n\nWritten by `cargo run --profile dist -p gatewright-benches --bin report -- --write`; ");
    text.push_str("`README.md` says what is measured and how.\n\n");
    let machine = &results.machine;
    let _ = writeln!(text, "- Processor: {}", machine.processor);
    let _ = writeln!(text, "- System: {}", machine.system);
    let _ = writeln!(text, "- Compiler: {}", machine.compiler);
    let _ = writeln!(text, "- Crates: {}", machine.crates.join(", "));
    let _ = writeln!(text, "- Load of the machine at the start, without this run: {}", machine.load);
    text.push_str("\nOne process for each row, on one core; the floor in the same process, round by round, for the ratio.\n");

    text.push_str("The mean is beside twice that of another floor of the same semantics on such a processor: 131, 165 and 234 ns.\n");

    text.push_str("\n## Goals\n\n| Goal | Measured | At most | |\n|---|---:|---:|---|\n");
    for (name, of) in GOALS {
        if let Some((measured, most)) = of(results) {
            let met = if measured <= most { "met" } else { "**missed**" };
            let _ = writeln!(text, "| {name} | {} | {} | {met} |", short(measured), short(most));
        }
    }

    let mut tables: Vec<(&str, usize)> = Vec::new();
    for row in &results.rows {
        if !tables.contains(&(&row.set, row.rules)) {
            tables.push((&row.set, row.rules));
        }
    }
    for (set, rules) in tables {
        let of_table: Vec<&Row> = results.rows.iter().filter(|row| row.set == set && row.rules == rules).collect();
        table(&mut text, results, set, rules, &of_table);
    }

    text.push_str("\n## What the peers cannot express\n\n| Peer | |\n|---|---|\n");
    for (name, lacks) in lacks.iter().filter(|(_, lacks)| !lacks.is_empty()) {
        let _ = writeln!(text, "| {name} | {lacks} |");
    }
    text
}

fn table(text: &mut String, results: &Results, set: &str, rules: usize, rows: &[&Row]) {
    let _ = writeln!(text, "\n## {set}, {} rules\n", number(rules as f64));
    text.push_str("| | ns | to floor | ns warm | to floor | p50 | p99 | allocations | bytes a rule | build ms | explain µs | agree |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for row in rows {
        let explain = row.explain.map_or("-".to_owned(), |explain| short(explain / 1e3));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {explain} | {:.3} |",
            row.contender,
            number(row.mean),
            short(row.ratio),
            number(row.warm),
            short(row.warm_ratio),
            number(row.p50),
            number(row.p99),
            short(row.allocations),
            number(row.bytes),
            short(row.build / 1e6),
            row.agree,
        );
    }
    let beside = rows.iter().find(|row| row.contender == strict_name()).and_then(|row| beside_standard(results, row));
    if let Some(beside) = beside {
        let _ = writeln!(text, "\n{} is {} times its mean on the standard set of as many rules.", strict_name(), short(beside));
    }
}

fn strict_name() -> &'static str {
    <Engine<true> as Contender>::NAME
}

fn ours(results: &Results) -> impl Iterator<Item = &Row> {
    let names = [strict_name(), <Engine<false> as Contender>::NAME];
    results.rows.iter().filter(move |row| names.contains(&row.contender.as_str()))
}

fn strict(results: &Results, rules: usize) -> Option<&Row> {
    ours(results).find(|row| row.contender == strict_name() && row.set == "standard" && row.rules == rules)
}

fn compatible(results: &Results, rules: usize) -> Option<&Row> {
    ours(results).find(|row| row.contender != strict_name() && row.set == "standard" && row.rules == rules)
}

/// How many times as long as on the standard set; `None` for that set itself.
fn beside_standard(results: &Results, row: &Row) -> Option<f64> {
    let standard = |other: &&Row| other.contender == row.contender && other.set == "standard" && other.rules == row.rules;
    (row.set != "standard").then(|| Some(row.mean / results.rows.iter().find(standard)?.mean))?
}

/// A number of few digits.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        _ if value >= 100.0 => number(value),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number in groups of three digits.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!((number(7.4), number(1234.0), number(1e6)), ("7".into(), "1,234".into(), "1,000,000".into()));
        assert_eq!((short(0.0), short(1.234), short(12.34), short(4321.0)), ("0".into(), "1.23".into(), "12.3".into(), "4,321".into()));
    }

    /// A goal that is not reached is told as such.
    #[test]
    fn goals_can_be_missed() {
        let row =
            |ratio| Row { contender: strict_name().into(), set: "standard".into(), rules: 1_000, ratio, agree: 1.0, ..Row::default() };
        let goal = |ratio| {
            let text = markdown(&Results { rows: vec![row(ratio)], ..Results::default() }, &[]);
            text.lines().find(|line| line.starts_with("| Strict, standard, 1,000 rules: ratio")).unwrap().to_owned()
        };
        assert!(goal(1.9).ends_with("| met |"));
        assert!(goal(2.1).ends_with("| **missed** |"));
    }
}
