//! What the proxy costs for each request, side by side in one run with nginx, haproxy and a bare proxy on hyper that does no
//! routing: `cargo run --profile dist -p gatewright-benches-proxy`, with `wrk`, `h2load`, `nginx` and `haproxy` of the system.
//!
//! Each contender runs with one worker on one core; the client and the backend share another. In each round every contender
//! is started, warmed and measured, so that what changes with time changes for all; differences are taken within a round.

mod backend;
mod bare;
mod contender;
mod measure;
mod report;
mod routes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Rounds; the figures are medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// The `gatewright` program; beside this one if it is not told.
    #[arg(long)]
    gatewright: Option<PathBuf>,
    /// Only contenders whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Write `benches/PROXY.md` instead of printing.
    #[arg(long)]
    write: bool,
}

#[derive(Subcommand)]
enum Command {
    /// A backend that answers every request with the same KiB.
    Backend {
        /// Where it listens.
        address: SocketAddr,
    },
    /// A proxy on hyper that sends every request to one backend.
    Bare {
        /// Where it listens.
        address: SocketAddr,
        /// Where it sends requests.
        backend: SocketAddr,
        /// Certificate and key as PEM, if it speaks TLS.
        #[arg(long, num_args = 2)]
        tls: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Command::Backend { address }) => backend::run(*address),
        Some(Command::Bare { address, backend, tls }) => bare::run(*address, *backend, tls),
        None => measure::run(&cli).and_then(|results| report::tell(&results, cli.write)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
