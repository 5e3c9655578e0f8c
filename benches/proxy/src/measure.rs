//! One round after the other.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Cli;
use crate::contender::{ALL, Client, Contender, Ground, beside_this, start};
use crate::routes;

/// What one measurement tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Processor time of the contender for each request, in microseconds: in the program and in the kernel.
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// Latencies in milliseconds, under saturation.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// MiB in memory.
    pub(crate) resident: f64,
    /// Answers that were none, or not of the 200s.
    pub(crate) failed: u64,
}

impl Figures {
    /// Processor time for each request, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// The figures of each contender, round by round.
pub(crate) type Results = Vec<(Contender, Vec<Figures>)>;

/// A process that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures all contenders.
pub(crate) fn run(cli: &Cli) -> Result<Results, String> {
    let gatewright = cli.gatewright.clone().or_else(|| beside_this("gatewright")).ok_or("build the `gatewright` program first")?;
    let backend = free();
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(own).args(["backend", &backend.to_string()]);
    let _backend = Running(command.spawn().map_err(|error| format!("taskset: {error}"))?);
    let ground = Ground::new(backend, gatewright)?;
    let wanted = |contender: &&Contender| cli.only.as_ref().is_none_or(|only| contender.name().contains(only));
    let mut results: Results = ALL.iter().filter(wanted).map(|contender| (*contender, Vec::new())).collect();
    for round in 1..=cli.rounds {
        for (contender, figures) in &mut results {
            let measured = measure(contender, &ground, cli.seconds)?;
            let (name, routes, client) = (contender.name(), contender.routes, contender.client);
            eprintln!("round {round}: {name}, {routes} routes, {client:?}: {:.0}/s, {:.2} us", measured.rate, measured.cpu());
            figures.push(measured);
        }
    }
    Ok(results)
}

fn free() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    socket.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 18_080)))
}

fn measure(contender: &Contender, ground: &Ground, seconds: u32) -> Result<Figures, String> {
    let address = free();
    let running = Running(start(contender, ground, address.port())?);
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!("{} does not listen", contender.name()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    load(contender, ground, address, 1)?;
    let id = running.0.id();
    let before = times(id)?;
    let told = load(contender, ground, address, seconds)?;
    let after = times(id)?;
    let (requests, mut figures) = match contender.client {
        Client::Http2 => read_h2load(&told),
        Client::Plain | Client::Tls => read_wrk(&told),
    }
    .ok_or_else(|| format!("{}: cannot read what the client says:\n{told}", contender.name()))?;
    // A tick is ten milliseconds wherever Linux runs.
    let each = |ticks: u64| ticks as f64 * 10_000.0 / requests as f64;
    figures.rate = requests as f64 / f64::from(seconds);
    (figures.user, figures.system) = (each(after.0 - before.0), each(after.1 - before.1));
    figures.resident = resident(id);
    Ok(figures)
}

/// Ticks in the program and in the kernel.
fn times(id: u32) -> Result<(u64, u64), String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).map_err(|_| "the contender has ended")?;
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0);
    Ok((ticks(11), ticks(12)))
}

fn resident(id: u32) -> f64 {
    let pages = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) / 256.0
}

/// Runs the client on the second core.
fn load(contender: &Contender, ground: &Ground, address: SocketAddr, seconds: u32) -> Result<String, String> {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]);
    match contender.client {
        Client::Plain | Client::Tls => {
            let scheme = if contender.client == Client::Plain { "http" } else { "https" };
            let script = ground.write("requests.lua", &routes::lua(contender.routes))?;
            command.args(["wrk", "-t1", "-c64", &format!("-d{seconds}s"), "--latency", "-s", &script, &format!("{scheme}://{address}/")]);
        }
        Client::Http2 => {
            // All requests of a connection are for one host: those of the last one.
            let requests = routes::requests(contender.routes);
            let host = requests.last().map(|(host, _)| host.clone()).unwrap_or_default();
            let of_host = requests.iter().filter(|(of, _)| *of == host);
            let list: String = of_host.map(|(_, target)| format!("https://{host}:{}{target}\n", address.port())).collect();
            let list = ground.write("requests.txt", &list)?;
            command.args(["h2load", "-t1", "-c16", "-m4", &format!("-D{seconds}"), &format!("--connect-to={address}")]);
            command.args(["-H", &format!(":authority: {host}"), "-i", &list]);
        }
    }
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read_wrk(told: &str) -> Option<(u64, Figures)> {
    let behind = |key: &str| told.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    let requests = told.lines().find_map(|line| line.split_once(" requests in "))?.0.trim().parse().ok()?;
    let numbers = |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>();
    // What wrk calls a read error is a connection that was closed between two requests.
    let errors = behind("Socket errors:").map_or(0, |errors| numbers(errors.split("read").next().unwrap_or_default()));
    let failed = behind("Non-2xx or 3xx responses:").map_or(0, numbers) + errors;
    Some((requests, Figures { p50: milliseconds(behind("50%")?)?, p99: milliseconds(behind("99%")?)?, failed, ..Figures::default() }))
}

fn read_h2load(told: &str) -> Option<(u64, Figures)> {
    let line = told.lines().find(|line| line.starts_with("status codes:"))?;
    let succeeded: u64 = line.split_whitespace().nth(2)?.parse().ok()?;
    let failed =
        told.lines().find(|line| line.starts_with("requests:"))?.split(", ").find_map(|part| part.strip_suffix(" failed"))?.parse().ok()?;
    let mean = told.lines().find_map(|line| line.strip_prefix("time for request:"))?.split_whitespace().nth(2)?.to_owned();
    Some((succeeded, Figures { p50: milliseconds(&mean)?, p99: f64::NAN, failed, ..Figures::default() }))
}

fn milliseconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..unit].parse().ok()?;
    match &text[unit..] {
        "us" => Some(number / 1000.0),
        "ms" => Some(number),
        "s" => Some(number * 1000.0),
        _ => None,
    }
}
