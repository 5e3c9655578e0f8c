//! The checks of `status` entries.

use gatewright::Compiled;
use gatewright::resource::status::{Condition, RouteParentStatus};

use super::case::{Named, StatusCheck, WantedCondition};
use super::state::CONTROLLER;

/// What is wrong; an unknown check is wrong, too.
pub fn check_status(check: &StatusCheck, compiled: &Compiled) -> Vec<String> {
    let mut wrong = Vec::new();
    match check.check.as_str() {
        // Addresses are the embedding program's.
        "gateway_address" => {}
        "namespaces_ready" => {
            for gateway in compiled.status.gateways.iter().filter(|g| check.namespaces.iter().any(|name| **name == *g.object.namespace)) {
                for type_ in ["Accepted", "Programmed"] {
                    let wanted = WantedCondition { type_: type_.into(), status: Some("True".into()), reason: None };
                    conditions(&[wanted], &gateway.status.conditions, &gateway.object.to_string(), &mut wrong);
                }
            }
        }
        "route_parent" | "route_condition" => {
            let exact = check.check == "route_parent";
            let all = parents(check.resource.as_ref(), compiled);
            let entries: Vec<_> = all.iter().filter(|entry| is_parent(entry, check, exact)).collect();
            if entries.is_empty() {
                wrong.push(format!("no entry for parent {:?} among {all:?}", check.parent_ref));
            }
            let results: Vec<Vec<String>> = entries
                .iter()
                .map(|entry| {
                    let mut wrong = Vec::new();
                    conditions(&check.conditions, &entry.conditions, "route", &mut wrong);
                    wrong
                })
                .collect();
            if !results.iter().any(Vec::is_empty) {
                wrong.extend(results.into_iter().flatten());
            }
        }
        "listener_conditions" | "listeners_exact" => {
            let Some(gateway) = check.resource.as_ref().and_then(|resource| {
                let is = |object: &gatewright::ObjectRef| {
                    Some(&*object.namespace) == resource.namespace.as_deref() && *object.name == *resource.name
                };
                compiled.status.gateways.iter().find(|g| is(&g.object))
            }) else {
                return vec![format!("no status of {:?}", check.resource)];
            };
            let listeners = &gateway.status.listeners;
            let named = check.listener.as_deref().unwrap_or_default();
            if check.check == "listener_conditions" {
                for listener in listeners.iter().filter(|l| named == "*" || l.name == named) {
                    conditions(&check.conditions, &listener.conditions, &format!("listener {}", listener.name), &mut wrong);
                }
                if named != "*" && !listeners.iter().any(|l| l.name == named) {
                    wrong.push(format!("no listener {named}"));
                }
                return wrong;
            }
            if listeners.len() != check.listeners.len() {
                wrong.push(format!("{} listeners, expected {}", listeners.len(), check.listeners.len()));
            }
            for wanted in &check.listeners {
                let Some(listener) = listeners.iter().find(|l| l.name == wanted.name) else {
                    wrong.push(format!("no listener {}", wanted.name));
                    continue;
                };
                if listener.attached_routes != wanted.attached_routes {
                    wrong.push(format!(
                        "listener {} has {} attached routes, expected {}",
                        wanted.name, listener.attached_routes, wanted.attached_routes
                    ));
                }
                if wanted.supported_kinds.is_empty() != listener.supported_kinds.is_empty()
                    || !wanted
                        .supported_kinds
                        .iter()
                        .all(|k| listener.supported_kinds.iter().any(|s| s.kind == k.kind && (k.group.is_none() || s.group == k.group)))
                {
                    wrong.push(format!(
                        "listener {} supports {:?}, expected {:?}",
                        wanted.name, listener.supported_kinds, wanted.supported_kinds
                    ));
                }
                conditions(&wanted.conditions, &listener.conditions, &format!("listener {}", wanted.name), &mut wrong);
            }
        }
        other => wrong.push(format!("unknown check `{other}`")),
    }
    wrong
}

fn parents(resource: Option<&Named>, compiled: &Compiled) -> Vec<RouteParentStatus> {
    let Some(resource) = resource else { return Vec::new() };
    let list = if resource.kind == "GRPCRoute" { &compiled.status.grpc_routes } else { &compiled.status.http_routes };
    let is = |object: &gatewright::ObjectRef| Some(&*object.namespace) == resource.namespace.as_deref() && *object.name == *resource.name;
    list.iter().find(|route| is(&route.object)).map(|route| route.status.parents.clone()).unwrap_or_default()
}

fn is_parent(entry: &RouteParentStatus, check: &StatusCheck, exact: bool) -> bool {
    let Some(parent) = &check.parent_ref else { return false };
    let namespace = entry.parent_ref.namespace.as_deref();
    let may_omit = !exact || check.parent_namespace_required != Some(true);
    entry.parent_ref.name == parent.name
        && (namespace == parent.namespace.as_deref() || (may_omit && namespace.is_none()))
        && (!exact
            || (entry.parent_ref.group == parent.group
                && entry.parent_ref.kind.as_deref() == Some(&parent.kind)
                && check
                    .controller_name
                    .as_deref()
                    .is_none_or(|name| name.replace("{GATEWAY_CONTROLLER_NAME}", CONTROLLER) == entry.controller_name)))
}

fn conditions(wanted: &[WantedCondition], found: &[Condition], of: &str, wrong: &mut Vec<String>) {
    for want in wanted {
        let Some(condition) = found.iter().find(|c| c.type_ == want.type_) else {
            wrong.push(format!("{of}: no condition {}", want.type_));
            continue;
        };
        let status = want.status.as_deref().is_none_or(|status| status == condition.status.as_str());
        let reason = want.reason.as_deref().is_none_or(|reason| reason == condition.reason);
        if !status || !reason {
            wrong.push(format!(
                "{of}: expected {want:?}, found {} {} {}: {}",
                condition.type_, condition.status, condition.reason, condition.message
            ));
        }
    }
}
