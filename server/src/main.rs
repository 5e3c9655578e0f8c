//! The `gatewright` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    gatewright_server::command::run(gatewright_server::command::Cli::parse())
}
