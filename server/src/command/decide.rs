//! `gatewright decide` and `gatewright explain`: requests answered offline.

use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::PathBuf;

use gatewright::report::DecisionReport;
use gatewright::table::{GatewayInfo, ListenerId, PortId, PortProtocol};
use gatewright::{Arrival, Authority, Pick, Place, Request, Table};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::{CLEAN, CompileArguments, FINDINGS, Format, TROUBLE, print, report};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The request: `http://host[:port]/path?query`.
    #[arg(required_unless_present = "requests", conflicts_with = "requests")]
    url: Option<String>,
    /// Answer each line of a file (`-` is standard input): a JSON object with gateway (`namespace/name`), port or
    /// listener, scheme, sni, method, authority, target, headers (a list of pairs) and pick.
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    #[command(flatten)]
    common: Common,
    /// The request: `http://host[:port]/path?query`.
    url: String,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Files and folders with manifests; `-` is standard input.
    #[arg(short = 'f', long = "manifests", required = true, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// Method.
    #[arg(short = 'X', long = "request", default_value = "GET", value_name = "METHOD")]
    method: String,
    /// A header field, `Name: value`; `Host` replaces the URL's.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The Gateway, `namespace/name`; needed only if there are several.
    #[arg(long, value_name = "NS/NAME")]
    gateway: Option<String>,
    /// Port of the Gateway; without it the URL's.
    #[arg(long)]
    port: Option<u16>,
    /// Server name of the TLS handshake; without it the URL's host.
    #[arg(long)]
    sni: Option<String>,
    /// Choice among weighted backends, from 0 to 2^64-1.
    #[arg(long, default_value_t = 0)]
    pick: u64,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    compile: CompileArguments,
}

/// One line of `--requests`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    gateway: Option<String>,
    port: Option<u16>,
    listener: Option<String>,
    scheme: Option<String>,
    sni: Option<String>,
    #[serde(default = "get")]
    method: String,
    authority: Option<String>,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    pick: u64,
}

fn get() -> String {
    "GET".to_owned()
}

/// A line that cannot be answered.
#[derive(Serialize)]
struct LineError {
    error: String,
    line: usize,
}

impl Line {
    /// Asks something about the request.
    fn ask<T>(&self, table: &Table, ask: impl FnOnce(&Request<'_, Vec<(String, String)>>) -> T) -> Result<T, String> {
        let (port, listener) = arrival(table, self.gateway.as_deref(), self.port, self.listener.as_deref(), self.scheme.as_deref())?;
        Ok(ask(&Request {
            arrival: Arrival { place: Place::Port(port), sni: self.sni.as_deref(), listener },
            method: &self.method,
            scheme: self.scheme.as_deref(),
            authority: self.authority.as_deref().map_or(Authority::Absent, |text| Authority::Given(text.as_bytes())),
            target: self.target.as_bytes(),
            headers: &self.headers,
        }))
    }
}

/// The port of a Gateway by name or by what is obvious.
fn arrival(
    table: &Table,
    gateway: Option<&str>,
    port: Option<u16>,
    listener: Option<&str>,
    scheme: Option<&str>,
) -> Result<(PortId, Option<ListenerId>), String> {
    let names = || table.gateways().iter().map(|g| format!("{}/{}", g.object.namespace, g.object.name)).collect::<Vec<_>>().join(", ");
    let gateway: &GatewayInfo = match (gateway, table.gateways()) {
        (Some(name), _) => {
            let found = name.split_once('/').and_then(|(namespace, name)| table.find_gateway(namespace, name));
            found.ok_or_else(|| format!("no accepted Gateway `{name}`, there are: {}", names()))?
        }
        (None, [one]) => one,
        (None, []) => return Err("the manifests have no accepted Gateway".to_owned()),
        (None, _) => return Err(format!("several Gateways, choose one of: {}", names())),
    };
    let ports: Vec<_> = gateway.ports.iter().filter_map(|id| table.port(*id)).collect();
    if let Some(name) = listener {
        let found = table.find_listener(gateway.id, name).ok_or_else(|| format!("no accepted listener `{name}`"))?;
        return Ok((found.port, Some(found.id)));
    }
    let of_scheme =
        ports.iter().find(|p| scheme.is_none_or(|scheme| scheme == if p.protocol == PortProtocol::Tls { "https" } else { "http" }));
    let found = match (port, ports.as_slice()) {
        (Some(number), _) => ports.iter().find(|p| p.number == number),
        (None, [one]) => Some(one),
        (None, _) => of_scheme,
    };
    let known = || ports.iter().map(|p| p.number.to_string()).collect::<Vec<_>>().join(", ");
    found.map(|port| (port.id, None)).ok_or_else(|| format!("no such port, the Gateway has: {}", known()))
}

impl Common {
    /// The request of the command line.
    fn line(&self, url: &str, table: &Table) -> Result<Line, String> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let scheme = uri.scheme_str().unwrap_or("http").to_owned();
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let (_, rest) = url.split_once("://").unwrap_or_default();
        // The target as typed: parsing could make it another one.
        let target = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let default = if scheme == "https" { 443 } else { 80 };
        let named = uri.port_u16().unwrap_or(default);
        // A port that no Gateway has is one that something in front of it has.
        let known = table.ports().iter().any(|port| port.number == named);
        let mut line = Line {
            gateway: self.gateway.clone(),
            port: self.port.or(known.then_some(named)),
            listener: None,
            sni: (scheme == "https").then(|| self.sni.clone().or_else(|| uri.host().map(str::to_owned))).flatten(),
            scheme: Some(scheme),
            method: self.method.clone(),
            authority: Some(authority),
            target,
            headers: Vec::new(),
            pick: self.pick,
        };
        for field in &self.headers {
            let (name, value) = field.split_once(':').ok_or_else(|| format!("`{field}` is not a header field, expected `Name: value`"))?;
            if name.eq_ignore_ascii_case("host") {
                line.authority = Some(value.trim().to_owned());
            } else {
                line.headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Ok(line)
    }

    fn table(&self) -> Result<Table, u8> {
        let (compiled, errors) = self.compile.compile(&self.manifests);
        if report(&errors) { Err(TROUBLE) } else { Ok(compiled.table) }
    }
}

fn code(decision: &DecisionReport) -> u8 {
    match decision {
        DecisionReport::Respond { matched: None, .. } => FINDINGS,
        _ => CLEAN,
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, String> {
    let table = match arguments.common.table() {
        Ok(table) => table,
        Err(code) => return Ok(code),
    };
    let Some(url) = &arguments.url else { return lines(arguments.requests.as_ref().ok_or("no request")?, &table) };
    let line = arguments.common.line(url, &table)?;
    let decision = line.ask(&table, |request| table.report(&table.decide(request, Pick(line.pick))))?;
    print(&match arguments.common.output {
        Format::Text => decision.to_string(),
        Format::Json => serde_json::to_string(&decision).map_err(|error| error.to_string())?,
    })?;
    Ok(code(&decision))
}

pub(super) fn explain(arguments: &ExplainArguments) -> Result<u8, String> {
    let table = match arguments.common.table() {
        Ok(table) => table,
        Err(code) => return Ok(code),
    };
    let line = arguments.common.line(&arguments.url, &table)?;
    let explanation = line.ask(&table, |request| table.explain(request, Pick(line.pick)))?;
    print(&match arguments.common.output {
        Format::Text => explanation.to_string().trim_end().to_owned(),
        Format::Json => serde_json::to_string(&explanation).map_err(|error| error.to_string())?,
    })?;
    Ok(code(&explanation.decision))
}

/// Answers each line with one line.
fn lines(path: &PathBuf, table: &Table) -> Result<u8, String> {
    let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?))
    };
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut worst = CLEAN;
    for (n, text) in reader.lines().enumerate() {
        let text = text.map_err(|error| error.to_string())?;
        if text.trim().is_empty() {
            continue;
        }
        let answer = serde_json::from_str::<Line>(&text)
            .map_err(|error| error.to_string())
            .and_then(|line| line.ask(table, |request| table.report(&table.decide(request, Pick(line.pick)))));
        let written = match answer {
            Ok(decision) => {
                worst = worst.max(code(&decision));
                serde_json::to_writer(&mut out, &decision)
            }
            Err(error) => {
                worst = TROUBLE;
                serde_json::to_writer(&mut out, &LineError { error, line: n + 1 })
            }
        };
        match written.map_err(std::io::Error::from).and_then(|()| out.write_all(b"\n")) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(worst),
            result => result.map_err(|error| error.to_string())?,
        }
    }
    out.flush().map_err(|error| error.to_string())?;
    Ok(worst)
}
