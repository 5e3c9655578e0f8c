//! Upstream conformance cases through the live server: the same rows that the library is tested with, sent over
//! real sockets to real backends, as far as this server speaks their protocols.

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::backends::{self, Handshakes, Told};
use common::pki::OfSuite;
use common::retry::Retried;
use common::tls::{self, Client};
use common::{Answer, fetch, fetch_h2, fetch_tls, fields};
use futures_util::{SinkExt as _, StreamExt as _};
use gatewright_conformance::live::{self, Live};
use gatewright_conformance::suite::{
    Behaviour, Case, Certificates, Conversation, Forwarded, Frame, Observed, Protocol, Refused, Rejection, Row, SeenTls, Speaks, State,
    cases, check_row, check_sample,
};
use gatewright_server::echo::{self, Echo, Name};
use gatewright_server::proxy::Settings;
use gatewright_server::publish::Transport;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

fn main() -> Result<(), String> {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let counts = Arc::new(Mutex::new(Live::default()));
    if let Some(suite) = gatewright_conformance::shared("conformance") {
        let generated = std::fs::read_to_string(suite.join("base-generated.yaml")).map_err(|error| error.to_string())?;
        let certificates = Arc::new(OfSuite::new(&Certificates::read(&generated)?));
        for name in cases(&suite)? {
            let case = Case::read(&suite, &name)?;
            let left_out: Vec<_> = case.traffic.iter().map(|row| left_out(row)).filter(Option::is_some).collect();
            let sent: Vec<_> =
                case.traffic.iter().filter(|row| self::left_out(row).is_none()).map(|row| format!("{:?}", row.protocol)).collect();
            let mut counted = counts.lock().map_err(|error| error.to_string())?;
            left_out.into_iter().flatten().for_each(|why| *counted.left_out.entry(why.to_owned()).or_default() += 1);
            if sent.is_empty() {
                continue;
            }
            let (suite, counts, certificates) = (suite.clone(), Arc::clone(&counts), Arc::clone(&certificates));
            trials.push(Trial::test(name, move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                let wrong = runtime.block_on(run(&suite, &case, &certificates))?;
                let mut counts = counts.lock().map_err(|error| error.to_string())?;
                sent.iter().for_each(|protocol| *counts.sent.entry(protocol.clone()).or_default() += 1);
                if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
            }));
        }
    }
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list && !trials.is_empty();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if is_whole && !conclusion.has_failed() {
        let counts = counts.lock().map_err(|error| error.to_string())?;
        println!("rows sent: {}", counts.total());
        counts.left_out.iter().for_each(|(why, rows)| println!("rows left out: {rows}, {why}"));
        counts.keep(live::UPSTREAM)?;
    }
    conclusion.exit()
}

/// Why a row is not sent.
fn left_out(row: &Row) -> Option<&'static str> {
    match row.protocol {
        _ if row.client.is_some() => Some("from a client of a mesh"),
        _ => None,
    }
}

/// All rows of a case that can be sent, each at its step.
async fn run(suite: &std::path::Path, case: &Case, certificates: &OfSuite) -> Result<Vec<String>, Failed> {
    let mut state = State::base(suite, case)?;
    let mut wrong = Vec::new();
    for step in 1..=case.steps.iter().map(|step| step.step).max().unwrap_or(0) {
        state.step(case, step)?;
        let rows: Vec<_> = case.traffic.iter().filter(|row| row.step == step && left_out(row).is_none()).collect();
        if rows.is_empty() {
            continue;
        }
        let name = Name { namespace: "gateway-conformance-infra".into(), service: "infra-backend-v3".into() };
        let retried = Retried::start(name).await?;
        let retries = rows.iter().any(|row| matches!(row.backend_behaviour, Some(Behaviour::RetrySimulation { .. })));
        let handshakes = Handshakes::default();
        let mut resolve = backends(&state, certificates, &handshakes).await?;
        if retries {
            resolve.push(("gateway-conformance-infra/infra-backend-v3:8080".to_owned(), retried.address));
        }
        let resolve: Vec<_> = resolve.iter().map(|(name, address)| (name.as_str(), *address)).collect();
        let manifests = certificates.put_into(&state.manifests());
        let mut live = match rows.iter().any(|row| to_pods(row)) {
            true => live_pods(&manifests).await?,
            false => common::Live::start(&manifests, &resolve).await,
        };
        for row in rows {
            wrong.extend(
                traffic(row, &mut live, &retried, certificates, &handshakes)
                    .await?
                    .into_iter()
                    .map(|w| format!("{} {}: {w}", row.id, row.request.path)),
            );
        }
    }
    Ok(wrong)
}

/// Whether a row is about the addresses of pods, which a backend has through EndpointSlices.
fn to_pods(row: &Row) -> bool {
    row.request.path.contains("endpointslices") || row.request.path == "/headless"
}

/// A gateway that finds its backends by EndpointSlices: the pods of the suite are at this machine's addresses.
async fn live_pods(manifests: &str) -> std::io::Result<common::Live> {
    let name = Name { namespace: "gateway-conformance-infra".into(), service: "infra-backend-v1".into() };
    let address = echo::start_at((std::net::Ipv6Addr::UNSPECIFIED, 0).into(), name, None).await?;
    let addresses = regex::Regex::new(r#""(10\.244\.\d+\.\d+|fd00::[0-9a-f]*)""#).unwrap();
    let local =
        addresses.replace_all(manifests, |found: &regex::Captures<'_>| if found[1].contains(':') { r#""::1""# } else { r#""127.0.0.1""# });
    let local = local.replace("\"port\":3000", &format!("\"port\":{}", address.port()));
    // The slices of a Service with a selector are a controller's to write; its name would be found by DNS.
    let headless = ("gateway-conformance-infra/headless:8080".to_owned(), vec![SocketAddr::from(([127, 0, 0, 1], address.port()))]);
    let settings = Settings { resolve: [headless].into(), drain: Duration::from_secs(5), ..Settings::default() };
    Ok(common::Live::with_endpoints(&local, settings).await)
}

/// The backends that speak something else than HTTP without TLS.
async fn backends(state: &State, certificates: &OfSuite, handshakes: &Handshakes) -> std::io::Result<Vec<(String, SocketAddr)>> {
    let mut started = Vec::new();
    for backend in state.backends() {
        let (namespace, service) = (backend.namespace.clone(), backend.service.clone());
        let name = Name { namespace: namespace.clone(), service: backend.pod.clone() };
        let told = Told { namespace, service, pod: backend.pod.clone(), ..Told::default() };
        let certificate = backend.certificate.as_ref().map(|secret| certificates.secret(&backend.namespace, secret));
        let address = match (backend.speaks, certificate) {
            (Speaks::Tcp, certificate) => backends::tcp(told, certificate).await?,
            (Speaks::Udp, _) if backend.service == "coredns" => backends::dns().await?,
            (Speaks::Udp, _) => backends::udp(told).await?,
            (_, Some(certificate)) => backends::noting_tls(certificate, echo::start(name, None).await?, &backend.pod, handshakes).await?,
            (_, None) => continue,
        };
        started.push((format!("{}/{}:{}", backend.namespace, backend.service, backend.port), address));
    }
    Ok(started)
}

/// A row once, or samples of it until the shares are right, as often as upstream allows.
async fn traffic(
    row: &Row,
    live: &mut common::Live,
    retried: &Retried,
    certificates: &OfSuite,
    handshakes: &Handshakes,
) -> Result<Vec<String>, Failed> {
    let count = row.distribution.as_ref().map(|d| d.requests).or(row.repeat.as_ref().map(|r| r.count)).unwrap_or(1);
    let samples = row.distribution.as_ref().map(|d| d.max_attempts).or(row.expect.max_attempts).unwrap_or(1);
    let tolerance = row.distribution.as_ref().map_or(0.0, |distribution| distribution.tolerance);
    let mut shares = Vec::new();
    for _ in 0..samples {
        while live.seen.try_recv().is_ok() {}
        let (mut sample, mut copies) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut observed = observe(row, live, certificates).await?;
            if row.protocol == Protocol::Websocket {
                observed.forwarded = tokio::time::timeout(Duration::from_secs(5), live.seen.recv()).await?.as_ref().map(forwarded);
            }
            if let Some(forwarded) = &mut observed.forwarded {
                forwarded.tls = seen_tls(&forwarded.pod, certificates, handshakes).or(forwarded.tls.take());
            }
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
async fn mirrored(row: &Row, observed: &Observed, live: &mut common::Live, wanted: usize) -> Vec<Forwarded> {
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

async fn observe(row: &Row, live: &common::Live, certificates: &OfSuite) -> Result<Observed, Failed> {
    let transport = if matches!(row.protocol, Protocol::Udp | Protocol::Dns) { Transport::Udp } else { Transport::Tcp };
    let Some(address) = live.find_port(row.gateway.namespace(), &row.gateway.name, row.port, transport) else {
        return Ok(Observed { refused: Some(Refused::Failed("the port is closed".into())), ..Observed::default() });
    };
    match row.protocol {
        Protocol::Tls => stream_in_tls(row, address, certificates).await,
        Protocol::Tcp => stream(row, address).await,
        Protocol::Udp | Protocol::Dns => datagram(row, address).await,
        Protocol::Websocket => websocket(row, address).await,
        _ => request(row, address, certificates).await,
    }
}

async fn request(row: &Row, address: SocketAddr, certificates: &OfSuite) -> Result<Observed, Failed> {
    let request = &row.request;
    let set: Vec<_> = request.backend_set_response_headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let set = set.join(",");
    let mut headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("X-Echo-Set-Header", &set));
    if row.protocol == Protocol::Grpc {
        headers.extend([("content-type", "application/grpc"), ("te", "trailers")]);
    }
    let mut client_cert_requested = false;
    let answer = match row.protocol {
        Protocol::Http => fetch(address, &request.method, &request.host, &request.path, &headers, b"").await?,
        Protocol::Https | Protocol::H2 => {
            let alpn: &[&[u8]] = if row.protocol == Protocol::H2 { &[b"h2"] } else { &[b"http/1.1"] };
            let client = Client { alpn, ..client(row, certificates) };
            let (answer, requested) = fetch_tls(address, client, &request.method, &request.host, &request.path, &headers).await;
            client_cert_requested = requested;
            match answer {
                Ok(answer) => answer,
                Err(error) => return Ok(Observed { refused: Some(refused(&error)), client_cert_requested, ..Observed::default() }),
            }
        }
        _ => fetch_h2(address, &request.method, &request.host, &request.path, &headers, b"").await?,
    };
    Ok(Observed {
        client_cert_requested,
        status: answer.status.as_u16(),
        grpc: grpc_status(&answer),
        forwarded: answer.echo().map(|echo| forwarded(&echo)),
        headers: answer.headers,
        ..Observed::default()
    })
}

/// A handshake, and every message of the row with the one that comes back.
async fn websocket(row: &Row, address: SocketAddr) -> Result<Observed, Failed> {
    let mut request = format!("ws://{}{}", row.request.host, row.request.path).into_client_request()?;
    for (name, value) in &row.request.headers {
        request.headers_mut().insert(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
    }
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await?;
    let mut frames = Vec::new();
    for frame in &row.request.frames {
        let message = match frame.opcode.as_str() {
            "text" => Message::text(frame.text.clone().unwrap_or_default()),
            _ => Message::binary(frame.bytes.clone()),
        };
        socket.send(message).await?;
        frames.push(match socket.next().await.ok_or("no message")?? {
            Message::Text(text) => Frame { opcode: "text".into(), text: Some(text.as_str().to_owned()), bytes: Vec::new() },
            Message::Binary(bytes) => Frame { opcode: "binary".into(), text: None, bytes: bytes.to_vec() },
            other => return Err(format!("{other:?}").into()),
        });
    }
    Ok(Observed { status: response.status().as_u16(), frames, ..Observed::default() })
}

/// What a backend saw of TLS.
fn seen_tls(pod: &str, certificates: &OfSuite, handshakes: &Handshakes) -> Option<SeenTls> {
    let handshake = handshakes.lock().unwrap().get(pod)?.clone();
    Some(SeenTls { sni: handshake.sni, client_cert: handshake.certificate.and_then(|der| certificates.secret_of(&der)) })
}

/// The client of a row over TLS.
fn client<'c>(row: &'c Row, certificates: &'c OfSuite) -> Client<'c> {
    Client {
        sni: row.request.sni.as_deref().unwrap_or_default(),
        trust: row.request.trust.as_ref().map(|object| certificates.named(object)),
        certificate: row.request.client_cert.as_ref().map(|object| certificates.named(object)),
        ..Client::default()
    }
}

async fn stream_in_tls(row: &Row, address: SocketAddr, certificates: &OfSuite) -> Result<Observed, Failed> {
    Ok(match tls::connect(address, client(row, certificates)).await {
        Err((error, _)) => Observed { refused: Some(refused(&error)), ..Observed::default() },
        Ok(connected) => told(backends::converse(connected.stream).await),
    })
}

async fn stream(row: &Row, address: SocketAddr) -> Result<Observed, Failed> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    Ok(match row.request.conversation {
        Some(Conversation::ConnectOnly) => Observed::default(),
        _ => told(backends::converse(stream).await),
    })
}

async fn datagram(row: &Row, address: SocketAddr) -> Result<Observed, Failed> {
    Ok(match &row.request.dns {
        Some(dns) => {
            let query = backends::query(&dns.question);
            let answer = backends::ask(address, &query).await?;
            let is_answer = answer.get(..2) == query.get(..2) && answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
            Observed { forwarded: is_answer.then(Forwarded::default), ..Observed::default() }
        }
        None => {
            let payload = row.request.payload.clone().unwrap_or_default();
            let answer: Told = serde_json::from_slice(&backends::ask(address, payload.as_bytes()).await?)?;
            if answer.request != payload {
                return Err(format!("the backend received {:?}", answer.request).into());
            }
            told(Ok(answer))
        }
    })
}

/// What a backend of streams or datagrams told.
fn told(answer: std::io::Result<Told>) -> Observed {
    match answer {
        Ok(Told { namespace, pod, service, tls, .. }) => {
            let tls = tls.map(|sni| SeenTls { sni, client_cert: None });
            Observed { forwarded: Some(Forwarded { namespace, pod, service, tls, ..Forwarded::default() }), ..Observed::default() }
        }
        Err(error) => Observed { refused: Some(refused(&error)), ..Observed::default() },
    }
}

fn refused(error: &std::io::Error) -> Refused {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Refused::Rejected(Rejection::Eof),
        std::io::ErrorKind::ConnectionReset => Refused::Rejected(Rejection::ConnectionReset),
        _ => Refused::Failed(error.to_string()),
    }
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
