//! `gatewright decide` and `gatewright explain`: requests answered offline.

use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::PathBuf;

use gatewright::Table;
use http::Uri;
use serde::Serialize;

use super::ask::{Question, Transport, service_of};
use super::{CLEAN, CompileArguments, FINDINGS, Format, TROUBLE, print, report};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The request, `http://host[:port]/path?query`, or the connection: `tls://name[:port]`, `tcp://host:port`,
    /// `udp://host:port`.
    #[arg(required_unless_present = "requests", conflicts_with = "requests")]
    url: Option<String>,
    /// Answer each line of a file (`-` is standard input): a JSON object with gateway (`namespace/name`), port or
    /// listener (or client and service), scheme, sni, method, authority, target (or connection), headers (a list of
    /// pairs) and pick.
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    #[command(flatten)]
    common: Common,
    /// The request, `http://host[:port]/path?query`, or the connection: `tls://name[:port]`, `tcp://host:port`,
    /// `udp://host:port`.
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
    /// In a mesh: the namespace of the client. The host of the URL is then a Service.
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "gateway")]
    client: Option<String>,
    /// Port of the Gateway or Service; without it the URL's.
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

/// A line that cannot be answered.
#[derive(Serialize)]
struct LineError {
    error: String,
    line: usize,
}

impl Common {
    /// The question of the command line.
    fn question(&self, url: &str, table: &Table) -> Result<Question, String> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let scheme = uri.scheme_str().unwrap_or("http").to_owned();
        let (_, rest) = url.split_once("://").unwrap_or_default();
        let (connection, default) = match scheme.as_str() {
            "http" => (None, Some(80)),
            "https" => (None, Some(443)),
            "tls" => (Some(Transport::Tls), Some(443)),
            "tcp" => (Some(Transport::Tcp), None),
            "udp" => (Some(Transport::Udp), None),
            other => return Err(format!("scheme `{other}` is not one of http, https, tls, tcp, udp")),
        };
        let named = uri.port_u16().or(default);
        // A port that no Gateway has is one that something in front of it has.
        let known = named.filter(|named| self.client.is_some() || table.ports().iter().any(|port| port.number == *named));
        let mut question = Question {
            gateway: self.gateway.clone(),
            port: self.port.or(known),
            client: self.client.clone(),
            service: self.client.as_deref().map(|client| service_of(uri.host().unwrap_or_default(), client)),
            connection,
            pick: self.pick,
            ..Question::default()
        };
        if matches!(scheme.as_str(), "https" | "tls") {
            question.sni = self.sni.clone().or_else(|| uri.host().map(str::to_owned));
        }
        if connection.is_some() {
            return Ok(question);
        }
        // The target as typed: parsing could make it another one.
        let target = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        question.target = Some(if target.starts_with('/') { target.to_owned() } else { format!("/{target}") });
        question.scheme = Some(scheme);
        question.method = Some(self.method.clone());
        question.authority = Some(uri.authority().map(ToString::to_string).unwrap_or_default());
        for field in &self.headers {
            let (name, value) = field.split_once(':').ok_or_else(|| format!("`{field}` is not a header field, expected `Name: value`"))?;
            if name.eq_ignore_ascii_case("host") {
                question.authority = Some(value.trim().to_owned());
            } else {
                question.headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Ok(question)
    }

    fn table(&self) -> Result<Table, u8> {
        let (compiled, errors) = self.compile.compile(&self.manifests);
        if report(&errors) { Err(TROUBLE) } else { Ok(compiled.table) }
    }
}

const fn code(matched: bool) -> u8 {
    if matched { CLEAN } else { FINDINGS }
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, String> {
    let table = match arguments.common.table() {
        Ok(table) => table,
        Err(code) => return Ok(code),
    };
    let Some(url) = &arguments.url else { return lines(arguments.requests.as_ref().ok_or("no request")?, &table) };
    let answer = arguments.common.question(url, &table)?.decide(&table)?;
    print(&match arguments.common.output {
        Format::Text => answer.to_string(),
        Format::Json => serde_json::to_string(&answer).map_err(|error| error.to_string())?,
    })?;
    Ok(code(answer.is_matched()))
}

pub(super) fn explain(arguments: &ExplainArguments) -> Result<u8, String> {
    let table = match arguments.common.table() {
        Ok(table) => table,
        Err(code) => return Ok(code),
    };
    let reasons = arguments.common.question(&arguments.url, &table)?.explain(&table)?;
    print(&match arguments.common.output {
        Format::Text => reasons.to_string().trim_end().to_owned(),
        Format::Json => serde_json::to_string(&reasons).map_err(|error| error.to_string())?,
    })?;
    Ok(code(reasons.is_matched()))
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
        let question = serde_json::from_str::<Question>(&text).map_err(|error| error.to_string());
        let written = match question.and_then(|question| question.decide(table)) {
            Ok(answer) => {
                worst = worst.max(code(answer.is_matched()));
                serde_json::to_writer(&mut out, &answer)
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
