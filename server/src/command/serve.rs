//! `gatewright serve`: the proxy, from the first manifest to the last request.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::{CLEAN, CompileArguments, TROUBLE};
use crate::admin::Admin;
use crate::observe::{AccessLog, Lines, Spans};
use crate::proxy::{self, Bound, Limits, Settings};
use crate::publish::{self, Publisher};
use crate::source;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files and folders with manifests; they are watched. `-` is standard input.
    #[arg(required = true, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// Serve only this Gateway.
    #[arg(long, value_name = "NS/NAME")]
    gateway: Option<String>,
    /// Address to listen on.
    #[arg(long, default_value = "0.0.0.0")]
    bind: IpAddr,
    /// Serve a port of the Gateways on another local port, for instance 80=8080; 0 is any free port.
    #[arg(long, value_name = "PORT=LOCAL", value_parser = port_pair)]
    port_map: Vec<(u16, u16)>,
    /// Address of a backend, for instance default/web:80=127.0.0.1:9001. Comes before EndpointSlices and DNS; may
    /// be given several times for one backend.
    #[arg(long, value_name = "NS/SVC:PORT=ADDRESS", value_parser = resolve_pair)]
    resolve: Vec<(String, SocketAddr)>,
    /// How long open requests may take to end after SIGTERM, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    drain_timeout: u64,
    /// How long everything goes on after SIGTERM while `/readyz` says 503, in seconds: time for load balancers to look
    /// elsewhere.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    drain_delay: u64,
    /// How long a UDP flow may be silent before it is forgotten, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    udp_idle_timeout: u64,
    /// How long a TCP stream or a WebSocket may be without an octet before it ends, in seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    stream_idle_timeout: u64,
    /// Let another process listen on the same TCP ports (SO_REUSEPORT): start the new one, then stop the old one.
    #[arg(long)]
    share_ports: bool,
    /// A file of 32 random octets that seals the tokens of sessions; every instance of a gateway needs the same one.
    /// Given several times, the first seals and all open. Without it, sessions end with the process.
    #[arg(long = "session-key", value_name = "FILE")]
    session_keys: Vec<PathBuf>,
    /// Open connections at most; others are answered 503 and closed.
    #[arg(long, default_value_t = Limits::default().connections, value_name = "NUMBER")]
    max_connections: usize,
    /// Requests in flight at most; others are answered 503.
    #[arg(long, default_value_t = Limits::default().requests, value_name = "NUMBER")]
    max_requests: usize,
    /// Requests on one connection at most; the last answer says that it is the last.
    #[arg(long, default_value_t = Limits::default().requests_per_connection, value_name = "NUMBER")]
    requests_per_connection: usize,
    /// Threads that serve connections; without it, as many as there are cores.
    #[arg(long, value_name = "NUMBER")]
    workers: Option<usize>,
    /// Octets of a request's body at most; others are answered 413. Without it, bodies of any size are passed on.
    #[arg(long, value_name = "OCTETS")]
    max_body: Option<u64>,
    /// Address of the admin port: health, metrics, and questions about the table that serves; `off` is none
    /// [default: 127.0.0.1:9901, or none if that is taken].
    #[arg(long, value_name = "ADDRESS", value_parser = admin_address)]
    admin: Option<AdminAddress>,
    /// Which requests get a line of the access log, JSON on standard output.
    #[arg(long, value_enum, default_value_t, value_name = "LINES")]
    access_log: AccessLines,
    /// Keep the `x-request-id` of a client instead of writing a new one.
    #[arg(long)]
    trust_request_id: bool,
    #[command(flatten)]
    compile: CompileArguments,
}

/// Where the admin port is.
#[derive(Clone, Copy, Debug)]
enum AdminAddress {
    Off,
    At(SocketAddr),
}

fn admin_address(text: &str) -> Result<AdminAddress, String> {
    match text {
        "off" => Ok(AdminAddress::Off),
        _ => text.parse().map(AdminAddress::At).map_err(|_| "expected ADDRESS:PORT, for instance 127.0.0.1:9901, or off".to_owned()),
    }
}

/// What the access log has.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum AccessLines {
    /// Every request and connection.
    #[default]
    Json,
    /// Those that no route matched.
    Unmatched,
    /// Nothing.
    Off,
}

fn port_pair(text: &str) -> Result<(u16, u16), String> {
    let pair = text.split_once('=').and_then(|(port, local)| Some((port.parse().ok()?, local.parse().ok()?)));
    pair.ok_or_else(|| "expected PORT=LOCAL, for instance 80=8080".to_owned())
}

fn resolve_pair(text: &str) -> Result<(String, SocketAddr), String> {
    let pair = text.split_once('=').and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)));
    let valid = pair.filter(|(name, _)| name.split_once('/').is_some_and(|(_, rest)| rest.contains(':')));
    valid.ok_or_else(|| "expected NS/SVC:PORT=ADDRESS, for instance default/web:80=127.0.0.1:9001".to_owned())
}

impl Arguments {
    fn settings(&self) -> Result<Settings, String> {
        let mut resolve = BTreeMap::<String, Vec<SocketAddr>>::new();
        for (name, address) in &self.resolve {
            resolve.entry(name.clone()).or_default().push(*address);
        }
        let limits = Limits {
            connections: self.max_connections,
            requests: self.max_requests,
            requests_per_connection: self.requests_per_connection,
            body: self.max_body,
            ..Limits::default()
        };
        let workers = self.workers.unwrap_or(Settings::default().workers);
        Ok(Settings {
            limits,
            workers,
            sessions: proxy::session_keys(&self.session_keys)?,
            share_ports: self.share_ports,
            stream_idle: Duration::from_secs(self.stream_idle_timeout),
            bind: self.bind,
            port_map: self.port_map.iter().copied().collect(),
            resolve,
            drain: Duration::from_secs(self.drain_timeout),
            udp_idle: Duration::from_secs(self.udp_idle_timeout),
            access_log: AccessLog::to(
                std::io::stdout(),
                match self.access_log {
                    AccessLines::Json => Lines::All,
                    AccessLines::Unmatched => Lines::Unmatched,
                    AccessLines::Off => Lines::None,
                },
            ),
            trust_request_id: self.trust_request_id,
            ..Settings::default()
        })
    }
}

/// Starts the log: `RUST_LOG` says what is written, else `default`.
pub(super) fn start_log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, String> {
    start_log("info");
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let code = runtime.block_on(serve(arguments));
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

async fn serve(arguments: &Arguments) -> Result<u8, String> {
    // Before anything is open that a supervisor could see.
    let (mut signals, mut hangups) = (Signals::new()?, Hangups::new()?);
    let settings = Settings { spans: Spans::from_environment()?, ..arguments.settings()? };
    let mut publisher = Publisher::new(arguments.compile.options(), arguments.gateway.clone()).with_keys(arguments.compile.keys());
    // Watch before reading: a change in between is seen.
    let (mut changes, _watcher) = source::watch(&arguments.manifests);
    match publisher.publish(source::read(&arguments.manifests).load()) {
        Ok(diagnostics) => publish::log(&diagnostics.unwrap_or_default()),
        Err(rejected) => {
            publish::log(&rejected.diagnostics);
            eprintln!("error: {}", rejected.reason);
            return Ok(TROUBLE);
        }
    }
    let (stop, stopped) = watch::channel(false);
    let (bound, mut is_bound) = watch::channel(Bound::new());
    let spans = settings.spans.clone();
    let log = settings.access_log.clone();
    let admin = Admin::new(&publisher, is_bound.clone(), log.clone());
    open_admin(admin.clone(), arguments.admin).await?;
    let mut server = tokio::spawn(proxy::serve(publisher.current(), publisher.changes(), settings, stopped, bound));
    let opened = tokio::time::timeout(Duration::from_secs(5), is_bound.wait_for(|bound| !bound.is_empty()));
    if !matches!(opened.await, Ok(Ok(_))) {
        return Err("no port of the Gateways could be opened; --port-map serves one on another local port".to_owned());
    }
    loop {
        let may_have_changed = tokio::select! {
            changed = changes.recv() => changed.is_some(),
            () = hangups.next() => true,
            () = signals.next() => {
                tracing::info!("draining");
                admin.drain();
                tokio::time::sleep(Duration::from_secs(arguments.drain_delay)).await;
                stop.send_replace(true);
                break;
            }
            _ = &mut server => return Err("the server ended".to_owned()),
        };
        if may_have_changed && arguments.manifests.iter().all(|path| path.as_os_str() != "-") {
            let files = source::read_settled(&arguments.manifests).await;
            if !publisher.has_seen(files.hash) {
                reload(&mut publisher, files.load());
            }
        }
    }
    let _ = server.await;
    log.flush();
    // Waits for the collector, and blocks.
    let _ = tokio::task::spawn_blocking(move || spans.shut_down()).await;
    tracing::info!("drained");
    Ok(CLEAN)
}

/// Opens the admin port. One that was asked for must open; the usual one may be another server's.
async fn open_admin(admin: Admin, address: Option<AdminAddress>) -> Result<(), String> {
    let (at, must) = match address {
        Some(AdminAddress::Off) => return Ok(()),
        Some(AdminAddress::At(at)) => (at, true),
        None => (SocketAddr::from(([127, 0, 0, 1], 9901)), false),
    };
    match admin.open(at).await {
        Ok(local) => tracing::info!(%local, "admin"),
        Err(error) if must => return Err(format!("the admin port {at} cannot be opened: {error}")),
        Err(error) => tracing::warn!(address = %at, %error, "there is no admin port; --admin names another one"),
    }
    Ok(())
}

/// Takes a change, or reports it and keeps the last good table.
fn reload(publisher: &mut Publisher, snapshot: source::Snapshot) {
    match publisher.publish(snapshot) {
        Ok(None) => {}
        Ok(Some(diagnostics)) => {
            publish::log(&diagnostics);
            tracing::info!("a new table serves");
        }
        Err(rejected) => {
            publish::log(&rejected.diagnostics);
            tracing::error!(reason = %rejected.reason, "the change is not taken: the last good table keeps serving");
        }
    }
}

/// SIGTERM and Ctrl-C.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(|error| error.to_string())?,
        })
    }

    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// SIGHUP: look at the manifests now. Without this it would end the program.
struct Hangups {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangups {
    fn new() -> Result<Self, String> {
        Ok(Self {
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map_err(|error| error.to_string())?,
        })
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if self.hangup.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}
