//! The `gatewright` command.

use std::process::ExitCode;

use clap::Parser as _;

/// Requests allocate much, and give it back soon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gatewright_server::command::run(gatewright_server::command::Cli::parse())
}
