//! Upstream conformance cases through the live server: the same rows that the library is tested with, sent over
//! real sockets to real backends, as far as this server speaks their protocols.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::retry::Retried;
use common::{Answer, Live, fetch, fetch_h2, fields};
use gatewright_conformance::suite::{Behaviour, Case, Forwarded, Observed, Protocol, Row, State, cases, check_row, check_sample};
use gatewright_server::echo::{Echo, Name};
use libtest_mimic::{Arguments, Failed, Trial};

/// Rows that were sent and rows that were not, with the reason.
#[derive(Default)]
struct Counts {
    sent: usize,
    left_out: std::collections::BTreeMap<&'static str, usize>,
}

fn main() -> Result<(), String> {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let counts = Arc::new(Mutex::new(Counts::default()));
    if let Some(suite) = gatewright_conformance::shared("conformance") {
        for name in cases(&suite)? {
            let case = Case::read(&suite, &name)?;
            let (sent, left_out): (Vec<_>, Vec<_>) = case.traffic.iter().map(|row| left_out(&case, row)).partition(Option::is_none);
            let mut counted = counts.lock().map_err(|error| error.to_string())?;
            left_out.into_iter().flatten().for_each(|why| *counted.left_out.entry(why).or_default() += 1);
            if sent.is_empty() {
                continue;
            }
            let (suite, counts) = (suite.clone(), Arc::clone(&counts));
            trials.push(Trial::test(name, move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                let wrong = runtime.block_on(run(&suite, &case))?;
                counts.lock().map_err(|error| error.to_string())?.sent += sent.len();
                if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        let counts = counts.lock().map_err(|error| error.to_string())?;
        println!("rows sent: {}", counts.sent);
        counts.left_out.iter().for_each(|(why, rows)| println!("rows left out: {rows}, {why}"));
    }
    conclusion.exit()
}

/// Why a row is not sent.
fn left_out(case: &Case, row: &Row) -> Option<&'static str> {
    // A policy that cannot be honoured is answered without TLS.
    let answered_here = row.expect.status.iter().any(|status| *status >= 500);
    let tls_to_backend = case.features.iter().any(|feature| feature == "BackendTLSPolicy") && !answered_here;
    match row.protocol {
        _ if row.client.is_some() => Some("from a client of a mesh"),
        Protocol::Https | Protocol::H2 | Protocol::Tls => Some("over TLS, which the server does not speak"),
        Protocol::Tcp | Protocol::Udp | Protocol::Dns => Some("over TCP or UDP, which the server does not serve"),
        Protocol::Websocket => Some("WebSocket, which other tests of the server cover"),
        _ if tls_to_backend => Some("to a backend over TLS, which the server does not speak"),
        _ if row.request.path.contains("endpointslices") || row.request.path == "/headless" => Some("to the addresses of pods"),
        _ => None,
    }
}

/// All rows of a case that can be sent, each at its step.
async fn run(suite: &std::path::Path, case: &Case) -> Result<Vec<String>, Failed> {
    let mut state = State::base(suite, case)?;
    let mut wrong = Vec::new();
    for step in 1..=case.steps.iter().map(|step| step.step).max().unwrap_or(0) {
        state.step(case, step)?;
        let rows: Vec<_> = case.traffic.iter().filter(|row| row.step == step && left_out(case, row).is_none()).collect();
        if rows.is_empty() {
            continue;
        }
        let name = Name { namespace: "gateway-conformance-infra".into(), service: "infra-backend-v3".into() };
        let retried = Retried::start(name).await?;
        let retries = rows.iter().any(|row| matches!(row.backend_behaviour, Some(Behaviour::RetrySimulation { .. })));
        let resolve: &[(&str, _)] = if retries { &[("gateway-conformance-infra/infra-backend-v3:8080", retried.address)] } else { &[] };
        let mut live = Live::start(&state.manifests(), resolve).await;
        for row in rows {
            wrong.extend(traffic(row, &mut live, &retried).await?.into_iter().map(|w| format!("{} {}: {w}", row.id, row.request.path)));
        }
    }
    Ok(wrong)
}

/// A row once, or samples of it until the shares are right, as often as upstream allows.
async fn traffic(row: &Row, live: &mut Live, retried: &Retried) -> Result<Vec<String>, Failed> {
    let count = row.distribution.as_ref().map(|d| d.requests).or(row.repeat.as_ref().map(|r| r.count)).unwrap_or(1);
    let samples = row.distribution.as_ref().map(|d| d.max_attempts).or(row.expect.max_attempts).unwrap_or(1);
    let tolerance = row.distribution.as_ref().map_or(0.0, |distribution| distribution.tolerance);
    let mut shares = Vec::new();
    for _ in 0..samples {
        while live.seen.try_recv().is_ok() {}
        let (mut sample, mut copies) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut observed = observe(row, live).await?;
            let wanted = row.expect.mirrored_to.iter().filter(|mirror| mirror.percent.is_none()).count();
            observed.attempts = retried.arrived(&row.request.path).await;
            observed.mirrored = mirrored(row, &observed, live, wanted).await;
            copies.append(&mut observed.mirrored.split_off(wanted.min(observed.mirrored.len())));
            let wrong = check_row(row, &observed);
            if !wrong.is_empty() {
                return Ok(wrong);
            }
            sample.push(observed);
        }
        // Copies of a share come when they come; which request they are copies of does not matter.
        tokio::time::sleep(Duration::from_millis(if row.expect.max_attempts.is_some() { 300 } else { 0 })).await;
        copies.append(&mut mirrored(row, &Observed::default(), live, 0).await);
        for (observed, copy) in sample.iter_mut().zip(copies) {
            observed.mirrored.push(copy);
        }
        shares = check_sample(row, &sample, tolerance);
        if shares.is_empty() {
            break;
        }
    }
    Ok(shares)
}

/// What mirrors have received: waits for as many copies as are wanted.
async fn mirrored(row: &Row, observed: &Observed, live: &mut Live, wanted: usize) -> Vec<Forwarded> {
    let mut copies = Vec::new();
    if row.expect.mirrored_to.is_empty() {
        return copies;
    }
    let is_answer = |echo: &Echo| observed.forwarded.as_ref().is_some_and(|forwarded| forwarded.pod == echo.pod);
    let is_mirror = |echo: &Echo| row.expect.mirrored_to.iter().any(|mirror| mirror.namespace == echo.namespace && mirror.name == echo.pod);
    loop {
        let echo = if copies.len() < wanted {
            tokio::time::timeout(Duration::from_secs(5), live.seen.recv()).await.ok().flatten()
        } else {
            live.seen.try_recv().ok()
        };
        match echo {
            Some(echo) if is_mirror(&echo) && !is_answer(&echo) => copies.push(forwarded(&echo)),
            Some(_) => {}
            None => return copies,
        }
    }
}

async fn observe(row: &Row, live: &Live) -> Result<Observed, Failed> {
    let address = live.port(row.gateway.namespace(), &row.gateway.name, row.port);
    let request = &row.request;
    let set: Vec<_> = request.backend_set_response_headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let set = set.join(",");
    let mut headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("X-Echo-Set-Header", &set));
    if row.protocol == Protocol::Grpc {
        headers.extend([("content-type", "application/grpc"), ("te", "trailers")]);
    }
    let answer = match row.protocol {
        Protocol::Http => fetch(address, &request.method, &request.host, &request.path, &headers, b"").await?,
        _ => fetch_h2(address, &request.method, &request.host, &request.path, &headers, b"").await?,
    };
    Ok(Observed {
        status: answer.status.as_u16(),
        grpc: grpc_status(&answer),
        forwarded: answer.echo().map(|echo| forwarded(&echo)),
        headers: answer.headers,
        ..Observed::default()
    })
}

/// From the trailers, or from the header fields of a response that has nothing else.
fn grpc_status(answer: &Answer) -> Option<u8> {
    let fields = answer.trailers.iter().chain([&answer.headers]);
    fields.filter_map(|fields| fields.get("grpc-status")).find_map(|status| status.to_str().ok()?.parse().ok())
}

fn forwarded(echo: &Echo) -> Forwarded {
    Forwarded {
        namespace: echo.namespace.clone(),
        pod: echo.pod.clone(),
        method: echo.method.clone(),
        host: echo.host.clone(),
        path: echo.path.clone(),
        headers: fields(echo),
        ..Forwarded::default()
    }
}
