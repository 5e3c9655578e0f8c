//! Writes a standard set as JSON, for benchmarks in other languages:
//! `cargo run --release -p gatewright-conformance --bin sets -- RULES OUT.json`.
//!
//! The shape is `{rules: [{host, path: {t, v}, headers, query}], requests: [{method, host, path, query, headers, expect}]}`; `t` is
//! `Exact`, `Prefix` or `Regex`, and `expect` the number of the rule that the plain twin finds, or null.

use std::process::ExitCode;

use gatewright_conformance::sets::{self, Plain, SetPath};
use serde_json::json;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rules, out] = arguments.as_slice() else {
        eprintln!("usage: sets RULES OUT.json");
        return ExitCode::from(2);
    };
    let Ok(rules) = rules.parse() else {
        eprintln!("`{rules}` is no number of rules");
        return ExitCode::from(2);
    };
    let set = sets::standard(rules, 1);
    let plain = Plain::new(&set.rules);
    let rules = set.rules.iter().map(|rule| {
        let (t, v) = match &rule.path {
            SetPath::Exact(text) => ("Exact", text),
            SetPath::Prefix(text) => ("Prefix", text),
            SetPath::Regex(text) => ("Regex", text),
        };
        json!({"host": rule.host, "path": {"t": t, "v": v}, "headers": rule.headers, "query": rule.queries})
    });
    let rules: Vec<_> = rules.collect();
    let requests = set.requests.iter().map(|request| {
        json!({
            "method": request.method, "host": request.host, "path": request.path,
            "query": request.query.clone().unwrap_or_default(), "headers": request.headers, "expect": plain.decide(request),
        })
    });
    let requests: Vec<_> = requests.collect();
    match std::fs::write(out, json!({"rules": rules, "requests": requests}).to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{out}: {error}");
            ExitCode::FAILURE
        }
    }
}
