//! The command line: one file for each subcommand.
//!
//! Exit codes are the same for every output format: 0 clean, 1 findings or no match, 2 usage or I/O.

pub(crate) mod ask;
mod check;
mod decide;
pub mod demo;
mod echo;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use gatewright::load::IoError;
use gatewright::options::EndpointAddresses;
use gatewright::{Compiled, MissingServices, Options, Profile, compile};

use crate::extensions::{Extensions, KeyFiles};
use crate::source::{self, Snapshot};

/// Routes requests by the Kubernetes Gateway API: serves, checks and explains manifests.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the listeners of the Gateways found in manifests, of every protocol, and follows their changes.
    Serve(serve::Arguments),
    /// Prints diagnostics and status conditions of manifests.
    Check(check::Arguments),
    /// Answers one request, or a file of requests, without sending anything.
    Decide(decide::Arguments),
    /// Answers one request and says why: the winner, every other candidate, the nearest miss.
    Explain(decide::ExplainArguments),
    /// Starts backends and a gateway on this machine, and prints what to try.
    Demo(demo::Arguments),
    /// Starts one backend that answers with what it received, and sends the messages of WebSockets back.
    Echo(echo::Arguments),
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How manifests are compiled.
#[derive(Clone, Debug, clap::Args)]
struct CompileArguments {
    /// Serve only Gateways whose GatewayClass names this controller; without it, every Gateway.
    #[arg(long, value_name = "NAME")]
    controller: Option<String>,
    /// How request targets are made canonical.
    #[arg(long, value_enum, default_value_t)]
    profile: ProfileArgument,
    /// A choice that the specification leaves open, by its name in the library, for instance
    /// `regex_rank=after-prefix`; may be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = choice)]
    choices: Vec<(String, String)>,
    /// What a reference to a Service means that is not in the manifests.
    #[arg(long, value_enum, default_value_t)]
    missing_services: MissingArgument,
    /// Take endpoints at loopback, link-local and similar addresses: for backends on the gateway's own machine.
    #[arg(long)]
    allow_local_endpoints: bool,
    /// File with the keys (JWKS) of an issuer of tokens, for AuthFilters that name no keys; may be repeated.
    #[arg(long = "jwks", value_name = "ISSUER=FILE", value_parser = key_file)]
    keys: Vec<(String, PathBuf)>,
}

/// Reads `ISSUER=FILE`.
fn key_file(text: &str) -> Result<(String, PathBuf), String> {
    let (issuer, file) = text.split_once('=').ok_or("expected ISSUER=FILE, for instance https://auth.example.com=jwks.json")?;
    Ok((issuer.to_owned(), file.into()))
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ProfileArgument {
    /// Refuse what two readers may read differently.
    #[default]
    Strict,
    /// Keep `//` and `%2F`.
    Compatible,
    /// Match and forward paths as received.
    Raw,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum MissingArgument {
    /// It exists, unless the manifests have some Service of its namespace.
    #[default]
    Infer,
    /// It exists.
    Assume,
    /// It does not exist.
    NotFound,
}

/// Reads `NAME=VALUE`, and tries it.
fn choice(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Options::default().set(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

impl CompileArguments {
    fn options(&self) -> Options {
        let mut options = Options::default();
        options.controller = self.controller.as_deref().map(Into::into);
        options.profile = match self.profile {
            ProfileArgument::Strict => Profile::Strict,
            ProfileArgument::Compatible => Profile::Compatible,
            ProfileArgument::Raw => Profile::Raw,
        };
        for (name, value) in &self.choices {
            // Each was tried when the arguments were read.
            let _ = options.set(name, value);
        }
        if self.allow_local_endpoints {
            options.endpoint_addresses = EndpointAddresses::Any;
        }
        options.missing_services = match self.missing_services {
            MissingArgument::Infer => MissingServices::Infer,
            MissingArgument::Assume => MissingServices::Assume,
            MissingArgument::NotFound => MissingServices::NotFound,
        };
        options
    }

    fn keys(&self) -> KeyFiles {
        self.keys.iter().cloned().collect()
    }

    /// Loads and compiles; every diagnostic has its place.
    fn compile(&self, manifests: &[PathBuf]) -> (Compiled, Vec<IoError>) {
        let Snapshot { loaded, errors, .. } = source::read(manifests).load();
        let (extensions, told) = Extensions::read(&loaded.kept, &loaded.resources, &self.keys(), &Extensions::default());
        let mut options = self.options();
        options.extensions = extensions.known();
        let mut compiled = compile(&loaded.resources, &options);
        compiled.diagnostics.splice(0..0, told);
        compiled.diagnostics.iter_mut().for_each(|diagnostic| loaded.sources.locate(diagnostic));
        compiled.diagnostics.splice(0..0, loaded.diagnostics);
        (compiled, errors)
    }
}

/// Clean.
const CLEAN: u8 = 0;
/// Findings, or no match.
const FINDINGS: u8 = 1;
/// Usage or I/O.
const TROUBLE: u8 = 2;

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let code = match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Decide(arguments) => decide::run(&arguments),
        Command::Explain(arguments) => decide::explain(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Echo(arguments) => echo::run(&arguments),
    };
    ExitCode::from(code.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        TROUBLE
    }))
}

/// Prints paths that could not be read; says whether there are any.
fn report(errors: &[IoError]) -> bool {
    errors.iter().for_each(|error| eprintln!("error: {error}"));
    !errors.is_empty()
}

/// Writes a line; a reader that has gone away is no trouble.
fn print(line: &str) -> Result<(), String> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}
