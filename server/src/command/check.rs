//! `gatewright check`: diagnostics and status conditions.

use std::path::PathBuf;

use gatewright::resource::meta::ParentReference;
use gatewright::resource::status::{Condition, ConditionStatus, ListenerStatus};
use gatewright::{Compiled, Diagnostic, ObjectRef, Severity, Status};
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
    let status = &compiled.status;
    let plain = |object: &ObjectRef, list: &[Condition]| format!("{object}: {}", conditions(list));
    lines.extend(status.gateway_classes.iter().map(|class| plain(&class.object, &class.status.conditions)));
    for gateway in &status.gateways {
        lines.push(plain(&gateway.object, &gateway.status.conditions));
        let addresses: Vec<_> = gateway.status.addresses.iter().map(|address| address.value.as_str()).collect();
        if !addresses.is_empty() {
            lines.push(format!("  addresses {}", addresses.join(", ")));
        }
        lines.extend(gateway.status.listeners.iter().map(listener));
    }
    for set in &status.listener_sets {
        lines.push(plain(&set.object, &set.status.conditions));
        lines.extend(set.status.listeners.iter().map(listener));
    }
    let routes = [&status.http_routes, &status.grpc_routes, &status.tls_routes, &status.tcp_routes, &status.udp_routes];
    for route in routes.into_iter().flatten() {
        lines.push(route.object.to_string());
        lines.extend(route.status.parents.iter().map(|parent| reference("parent", &parent.parent_ref, &parent.conditions)));
    }
    for policy in status.backend_tls_policies.iter().chain(&status.backend_traffic_policies) {
        lines.push(policy.object.to_string());
        let ancestors = policy.status.ancestors.iter();
        lines.extend(ancestors.map(|ancestor| reference("ancestor", &ancestor.ancestor_ref, &ancestor.conditions)));
    }
    for backend in &status.backends {
        lines.push(backend.object.to_string());
        lines.extend(backend.status.parents.iter().map(|parent| reference("parent", &parent.parent_ref, &parent.conditions)));
    }
    lines.extend(status.meshes.iter().map(|mesh| plain(&mesh.object, &mesh.status.conditions)));
    let count = |severity| compiled.diagnostics.iter().filter(|d| d.severity == severity).count();
    lines.push(format!("{} errors, {} warnings, {} notes", count(Severity::Error), count(Severity::Warning), count(Severity::Info)));
    lines.join("\n")
}

/// One listener of a Gateway or ListenerSet.
fn listener(listener: &ListenerStatus) -> String {
    let ListenerStatus { name, attached_routes, .. } = listener;
    let kinds: Vec<_> = listener.supported_kinds.iter().map(|kind| kind.kind.as_str()).collect();
    let kinds = if kinds.is_empty() { "no kind".to_owned() } else { kinds.join(", ") };
    format!("  listener {name} for {kinds}: {}, {attached_routes} attached routes", conditions(&listener.conditions))
}

/// One entry for a parent or ancestor; a Gateway is not called by its kind.
fn reference(what: &str, to: &ParentReference, list: &[Condition]) -> String {
    let kind = to.kind.as_deref().filter(|kind| *kind != "Gateway").map(|kind| format!("{kind} ")).unwrap_or_default();
    let section = to.section_name.as_deref().map(|name| format!(" section {name}")).unwrap_or_default();
    let port = to.port.map(|port| format!(" port {port}")).unwrap_or_default();
    format!("  {what} {kind}{}{section}{port}: {}", to.name, conditions(list))
}

/// `Accepted, ResolvedRefs=False (BackendNotFound: …)`
fn conditions(list: &[Condition]) -> String {
    let one = |c: &Condition| match c.status {
        ConditionStatus::True if c.message.is_empty() => c.type_.clone(),
        _ => format!("{}={} ({}: {})", c.type_, c.status, c.reason, c.message),
    };
    list.iter().map(one).collect::<Vec<_>>().join(", ")
}
