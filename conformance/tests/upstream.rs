//! The cases of the upstream conformance suite that are pure decisions on HTTPRoute and GRPCRoute: each is one
//! test, checked for status and for every row of traffic.

use gatewright::{Arrival, Authority, Decision, Pick, Request, Table, apply};
use gatewright_conformance::suite::{Case, Forwarded, Observed, Row, State, check_row, check_status, pure_cases};
use http::{HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    if let Some(suite) = gatewright_conformance::shared("conformance") {
        for name in pure_cases(&suite) {
            let suite = suite.clone();
            trials.push(Trial::test(name.clone(), move || run(&suite, &name)));
        }
        // SUMMARY.md lists 49 of them, 4 with ListenerSet.
        assert_eq!(trials.len(), 45, "the list of pure cases has changed");
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(suite: &std::path::Path, name: &str) -> Result<(), Failed> {
    let case = Case::read(suite, name)?;
    let mut state = State::base(suite, &case)?;
    let mut wrong = Vec::new();
    let last = case.steps.iter().map(|step| step.step).max().unwrap_or(0);
    let mut checked = 0;
    for step in 1..=last {
        state.step(&case, step)?;
        let compiled = state.compile()?;
        for check in case.status.iter().filter(|check| check.step == step) {
            wrong.extend(check_status(check, &compiled).into_iter().map(|w| format!("{} {}: {w}", check.id, check.check)));
            checked += 1;
        }
        for row in case.traffic.iter().filter(|row| row.step == step) {
            wrong.extend(
                traffic(row, &compiled.table).into_iter().map(|w| format!("{} {} {}: {w}", row.id, row.request.method, row.request.path)),
            );
            checked += 1;
        }
    }
    assert_eq!(checked, case.status.len() + case.traffic.len(), "every entry belongs to a step");
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// A row once for a plain one, and with evenly spread picks where shares count.
fn traffic(row: &Row, table: &Table) -> Vec<String> {
    let count = row.distribution.as_ref().map(|d| d.requests).or(row.repeat.as_ref().map(|r| r.count)).unwrap_or(1);
    let mut wrong = Vec::new();
    let mut shares = std::collections::BTreeMap::<String, u32>::new();
    for n in 0..count {
        let pick = Pick(u64::MAX / u64::from(count) * u64::from(n));
        match observe(row, table, pick) {
            Ok(observed) => {
                wrong.extend(check_row(row, &observed));
                *shares.entry(observed.forwarded.map(|f| f.pod).unwrap_or_default()).or_default() += 1;
            }
            Err(error) => wrong.push(error),
        }
    }
    if let Some(distribution) = &row.distribution {
        for wanted in &distribution.expected {
            let got = shares.iter().filter(|(pod, _)| pod.starts_with(&wanted.name)).map(|(_, n)| n).sum::<u32>();
            let share = f64::from(got) / f64::from(count);
            // Evenly spread picks leave no room for chance.
            if (share - wanted.fraction).abs() > 0.005 || (wanted.fraction == 0.0 && got > 0) {
                wrong.push(format!("{} got {share}, expected {}", wanted.name, wanted.fraction));
            }
        }
    }
    wrong
}

fn observe(row: &Row, table: &Table, pick: Pick) -> Result<Observed, String> {
    let gateway = table.find_gateway(row.gateway.namespace.as_deref().unwrap_or_default(), &row.gateway.name).ok_or("no such Gateway")?;
    let port = table.find_port(gateway.id, row.port).ok_or("no such port")?;
    let header = |name: &str, value: &str| -> Result<_, String> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| e.to_string())?;
        Ok((name, HeaderValue::from_str(value).map_err(|e| e.to_string())?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &row.request.headers {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    if row.protocol == "grpc" {
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    }
    let host = row.request.host.replace("{GATEWAY_ADDRESS}", "192.0.2.1");
    let request = Request {
        arrival: Arrival::on(port.id),
        method: &row.request.method,
        scheme: Some("http"),
        authority: Authority::Given(host.as_bytes()),
        target: row.request.path.as_bytes(),
        headers: &headers,
    };
    let mut observed = Observed::default();
    match table.decide(&request, pick) {
        Decision::Forward(decision) => {
            let backend = table.backend(decision.backend).ok_or("no such backend")?;
            let mut parts =
                http::Request::builder().method(row.request.method.as_str()).uri("/").body(()).map_err(|e| e.to_string())?.into_parts().0;
            parts.headers = headers.clone();
            apply::forward(&decision, &mut parts);
            observed.status = 200;
            observed.grpc = (row.protocol == "grpc").then_some(0);
            for (name, value) in &row.request.backend_set_response_headers {
                let (name, value) = header(name, value)?;
                observed.headers.append(name, value);
            }
            apply::response_headers(&decision.response, &mut observed.headers);
            observed.forwarded = Some(Forwarded {
                namespace: backend.object.namespace.to_string(),
                pod: backend.object.name.to_string(),
                method: parts.method.to_string(),
                host: parts.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned(),
                path: parts.uri.to_string(),
                headers: parts.headers,
            });
        }
        Decision::Redirect(decision) => {
            let (status, headers) = apply::redirect(&decision);
            (observed.status, observed.headers) = (status.as_u16(), headers);
        }
        Decision::Respond(decision) => {
            let (status, headers) = apply::respond(&decision);
            (observed.status, observed.headers) = (status.as_u16(), headers);
            observed.grpc = decision.grpc_status.map(|status| status.code());
        }
        other => return Err(format!("unknown decision {other:?}")),
    }
    Ok(observed)
}
