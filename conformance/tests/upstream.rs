//! The cases of the upstream conformance suite, each a test: every assertion of status and every row of traffic
//! that a decision settles. What is checked in part or not at all is counted at the end.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gatewright_conformance::suite::{Case, CaseResult, Totals, cases, run_case};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> Result<(), String> {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let results = Arc::new(Mutex::new(Vec::new()));
    if let Some(suite) = gatewright_conformance::shared("conformance") {
        for name in cases(&suite)? {
            let (suite, results) = (suite.clone(), Arc::clone(&results));
            trials.push(Trial::test(name.clone(), move || run(&suite, &name, &results)));
        }
        trials.push(Trial::test("the-suite-is-whole", move || whole(&suite)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        print_summary(&results.lock().map_err(|error| error.to_string())?);
    }
    conclusion.exit()
}

fn run(suite: &Path, name: &str, results: &Mutex<Vec<CaseResult>>) -> Result<(), Failed> {
    let result = run_case(suite, name)?;
    let wrong = result.wrong.join("\n");
    results.lock().map_err(|error| error.to_string())?.push(result);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

/// What is read is all there is: as many cases, rows and assertions as the suite's summary counts.
fn whole(suite: &Path) -> Result<(), Failed> {
    let summary = std::fs::read_to_string(suite.join("SUMMARY.md"))?;
    let counted = |label: &str| {
        let rest = summary.split(label).nth(1).unwrap_or_default();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>()
    };
    let mut found = (0, 0, 0);
    for name in cases(suite)? {
        let case = Case::read(suite, &name)?;
        found = (found.0 + 1, found.1 + case.traffic.len(), found.2 + case.status.len());
    }
    let wanted = (counted("- Cases: ")?, counted("- Traffic rows: ")?, counted("Status assertions: ")?);
    if found == wanted { Ok(()) } else { Err(format!("(cases, rows, assertions): {found:?}, the summary counts {wanted:?}").into()) }
}

fn print_summary(results: &[CaseResult]) {
    println!("{}", Totals::of(results));
    for (case, skipped) in results.iter().flat_map(|result| result.skipped.iter().map(move |skipped| (&result.case, skipped))) {
        println!("skipped: {case} {}: {}", skipped.id, skipped.reason);
    }
}
