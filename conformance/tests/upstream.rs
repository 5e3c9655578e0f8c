//! The cases of the upstream conformance suite, each a test: every assertion of status and every row of traffic
//! that a decision settles, with the default options and with others. What is checked in part or not at all is
//! counted at the end.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gatewright::options;
use gatewright_conformance::suite::{Case, CaseResult, Totals, cases, run_case_under};
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
    let (second, last) = (other_choices(1), other_choices(usize::MAX));
    let mut under = run_case_under(suite, name, &[&[], &second, &last])?.into_iter();
    let result = under.next().ok_or("no result")?;
    let mut wrong = result.wrong.clone();
    // The suite leaves open what the options choose.
    wrong.extend(
        under
            .zip([second, last])
            .flat_map(|(result, chosen)| result.wrong.into_iter().map(move |wrong| format!("under {chosen:?}: {wrong}"))),
    );
    results.lock().map_err(|error| error.to_string())?.push(result);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// For each option its nth value, or its last: never the default, which is the first.
fn other_choices(n: usize) -> Vec<(&'static str, &'static str)> {
    let mut list = Vec::new();
    macro_rules! each {
        ($($name:ident: $type:ident,)+) => {
            $(list.push((stringify!($name), options::$type::ALL[n.min(options::$type::ALL.len() - 1)].as_str()));)+
        };
    }
    each!(
        profile: Profile,
        escaped_slashes: EscapedSlashes,
        path_parameters: PathParameters,
        alias_headers: AliasHeaders,
        path_regex: RegexMatch,
        value_regex: RegexMatch,
        regex_rank: RegexRank,
        hostname_fallback: HostnameFallback,
        repeated_headers: RepeatedHeaders,
        repeated_query: RepeatedQuery,
        query_decoding: QueryDecoding,
        name_order: NameOrder,
        http_and_grpc: HttpAndGrpc,
        modifier_conflicts: ModifierConflicts,
        preflights: Preflights,
        redirect_port: RedirectPort,
    );
    list
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
