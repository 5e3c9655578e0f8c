//! `gatewright check`: diagnostics and status conditions.

use std::path::PathBuf;

use gatewright::resource::status::{Condition, ConditionStatus};
use gatewright::{Compiled, Diagnostic, Severity, Status};
use serde::Serialize;

use super::{CLEAN, CompileArguments, FINDINGS, Format, TROUBLE, print, report};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files and folders with manifests; `-` is standard input.
    #[arg(required = true, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    compile: CompileArguments,
}

/// `-o json`; fields are added, never renamed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'c> {
    /// What was found, with object, field path and place.
    diagnostics: &'c [Diagnostic],
    /// Every status condition of every object, parentRef and listener.
    status: &'c Status,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, String> {
    let (compiled, errors) = arguments.compile.compile(&arguments.manifests);
    match arguments.output {
        Format::Json => {
            let report = Report { diagnostics: &compiled.diagnostics, status: &compiled.status };
            print(&serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?)?;
        }
        Format::Text => print(&text(&compiled))?,
    }
    let findings = compiled.diagnostics.iter().any(|d| d.severity != Severity::Info);
    Ok(match (report(&errors), findings) {
        (true, _) => TROUBLE,
        (_, true) => FINDINGS,
        _ => CLEAN,
    })
}

fn text(compiled: &Compiled) -> String {
    let mut lines: Vec<String> = compiled.diagnostics.iter().map(ToString::to_string).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for class in &compiled.status.gateway_classes {
        lines.push(format!("{}: {}", class.object, conditions(&class.status.conditions)));
    }
    for gateway in &compiled.status.gateways {
        lines.push(format!("{}: {}", gateway.object, conditions(&gateway.status.conditions)));
        for listener in &gateway.status.listeners {
            let attached = listener.attached_routes;
            lines.push(format!("  listener {}: {}, {attached} attached routes", listener.name, conditions(&listener.conditions)));
        }
    }
    for route in compiled.status.http_routes.iter().chain(&compiled.status.grpc_routes) {
        lines.push(route.object.to_string());
        for parent in &route.status.parents {
            let section = parent.parent_ref.section_name.as_deref().map(|name| format!(" section {name}")).unwrap_or_default();
            let port = parent.parent_ref.port.map(|port| format!(" port {port}")).unwrap_or_default();
            lines.push(format!("  parent {}{section}{port}: {}", parent.parent_ref.name, conditions(&parent.conditions)));
        }
    }
    let count = |severity| compiled.diagnostics.iter().filter(|d| d.severity == severity).count();
    lines.push(format!("{} errors, {} warnings, {} notes", count(Severity::Error), count(Severity::Warning), count(Severity::Info)));
    lines.join("\n")
}

/// `Accepted, ResolvedRefs=False (BackendNotFound: …)`
fn conditions(list: &[Condition]) -> String {
    let one = |c: &Condition| match c.status {
        ConditionStatus::True if c.message.is_empty() => c.type_.clone(),
        _ => format!("{}={} ({}: {})", c.type_, c.status, c.reason, c.message),
    };
    list.iter().map(one).collect::<Vec<_>>().join(", ")
}
