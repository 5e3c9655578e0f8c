//! Upstream conformance cases through the live server: the same rows that the library is tested with, sent over
//! real sockets to real backends.

mod common;

use common::{Live, count, fetch, fields};
use gatewright_conformance::suite::{Case, Forwarded, Observed, Row, State, check_row};
use libtest_mimic::{Arguments, Failed, Trial};

const CASES: [&str; 7] = [
    "httproute-matching",
    "httproute-header-matching",
    "httproute-weight",
    "httproute-redirect-path",
    "httproute-rewrite-path",
    "httproute-request-header-modifier",
    "httproute-cors",
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    if let Some(suite) = gatewright_conformance::shared("conformance") {
        for name in CASES {
            let suite = suite.clone();
            trials.push(Trial::test(name, move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                runtime.block_on(run(&suite, name))
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

async fn run(suite: &std::path::Path, name: &str) -> Result<(), Failed> {
    let case = Case::read(suite, name)?;
    let mut state = State::base(suite, &case)?;
    state.step(&case, 1)?;
    let live = Live::start(&state.manifests(), &[]).await;
    let mut wrong = Vec::new();
    assert!(!case.traffic.is_empty());
    for row in &case.traffic {
        assert_eq!(row.step, 1);
        wrong.extend(traffic(row, &live).await?.into_iter().map(|w| format!("{} {}: {w}", row.id, row.request.path)));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

async fn traffic(row: &Row, live: &Live) -> Result<Vec<String>, Failed> {
    let Some(distribution) = &row.distribution else { return Ok(check_row(row, &observe(row, live).await?)) };
    let mut last = Vec::new();
    for _ in 0..distribution.max_attempts {
        let mut pods = Vec::new();
        for _ in 0..distribution.requests {
            let observed = observe(row, live).await?;
            last.extend(check_row(row, &observed));
            pods.push(observed.forwarded.unwrap_or_default().pod);
        }
        let counts = count(pods.into_iter());
        for wanted in &distribution.expected {
            let share = f64::from(counts.get(&wanted.name).copied().unwrap_or(0)) / f64::from(distribution.requests);
            if (share - wanted.fraction).abs() > distribution.tolerance || (wanted.fraction == 0.0 && share > 0.0) {
                last.push(format!("{} got {share}, expected {}", wanted.name, wanted.fraction));
            }
        }
        if last.is_empty() {
            return Ok(Vec::new());
        }
        if last.iter().any(|wrong| !wrong.contains(" got ")) {
            return Ok(last);
        }
        last.clear();
    }
    Ok(vec!["no sample had the expected distribution".to_owned()])
}

async fn observe(row: &Row, live: &Live) -> Result<Observed, Failed> {
    let address = live.port(row.gateway.namespace(), &row.gateway.name, row.port);
    let host = &row.request.host;
    let set: Vec<_> = row.request.backend_set_response_headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let set = set.join(",");
    let mut headers: Vec<(&str, &str)> = row.request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("X-Echo-Set-Header", &set));
    let answer = fetch(address, &row.request.method, host, &row.request.path, &headers, b"").await?;
    let forwarded = answer.echo().map(|echo| Forwarded {
        namespace: echo.namespace.clone(),
        pod: echo.pod.clone(),
        method: echo.method.clone(),
        host: echo.host.clone(),
        path: echo.path.clone(),
        headers: fields(&echo),
        ..Forwarded::default()
    });
    Ok(Observed { status: answer.status.as_u16(), headers: answer.headers, forwarded, ..Observed::default() })
}
