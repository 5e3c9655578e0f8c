//! The checks of `status` entries, on the status as it would be written to a cluster.

use gatewright::Compiled;
use serde_json::Value;

use super::case::{Check, Named, StatusCheck, WantedCondition, WantedListener};
use super::state::State;

/// What became of a check.
#[derive(Debug)]
pub(super) enum Checked {
    /// What is wrong; empty when the assertion holds.
    Wrong(Vec<String>),
    /// It was not checked, and why.
    Skipped(&'static str),
}

/// Checks one entry of `status`.
pub(super) fn check_status(check: &StatusCheck, state: &State, compiled: &Compiled) -> Checked {
    if check.check == Check::GeneratedResources {
        return Checked::Skipped("asserts objects that a controller creates in its cluster; the library has no cluster");
    }
    let view = View { check, state, all: serde_json::to_value(&compiled.status).unwrap_or_default() };
    let mut wrong = Vec::new();
    view.check(&mut wrong);
    Checked::Wrong(wrong)
}

struct View<'a> {
    check: &'a StatusCheck,
    state: &'a State,
    /// The status of all objects: lists of `{object, status}`.
    all: Value,
}

impl View<'_> {
    fn check(&self, wrong: &mut Vec<String>) {
        let check = self.check;
        let status = self.status(&check.resource);
        match check.check {
            Check::NamespacesReady => self.namespaces_ready(wrong),
            Check::GatewayAddress => {
                if !items(&status["addresses"]).any(|address| address["type"].is_string()) {
                    wrong.push(format!("no address with a type in {}", status["addresses"]));
                }
            }
            Check::GatewayAddresses => self.addresses(&status["addresses"], wrong),
            Check::RouteParent => {
                let entries: Vec<_> = items(&status["parents"]).filter(|entry| self.is_parent(entry)).collect();
                self.any_has(&entries, &status["parents"], wrong);
            }
            Check::RouteCondition => self.reference_conditions(&status["parents"], "parentRef", check.parent_ref.as_ref(), wrong),
            Check::PolicyCondition => self.reference_conditions(&status["ancestors"], "ancestorRef", check.ancestor_ref.as_ref(), wrong),
            Check::ResourceCondition => {
                conditions(&check.conditions, &status["conditions"], &check.resource.to_string(), wrong);
                self.current(&check.resource, &status["conditions"], wrong);
            }
            Check::ListenerConditions => {
                let name = check.listener.as_deref().unwrap_or_default();
                let listeners: Vec<_> = items(&status["listeners"]).filter(|listener| name == "*" || listener["name"] == *name).collect();
                if listeners.is_empty() && name != "*" {
                    wrong.push(format!("no listener {name}"));
                }
                for listener in listeners {
                    conditions(&check.conditions, &listener["conditions"], &format!("listener {}", listener["name"]), wrong);
                }
            }
            Check::ListenersExact => {
                let found = items(&status["listeners"]).count();
                if found != check.listeners.len() {
                    wrong.push(format!("{found} listeners, expected {}", check.listeners.len()));
                }
                for wanted in &check.listeners {
                    match items(&status["listeners"]).find(|listener| listener["name"] == *wanted.name) {
                        Some(listener) => listener_is(wanted, listener, wrong),
                        None => wrong.push(format!("no listener {}", wanted.name)),
                    }
                }
            }
            Check::AttachedListenerSets => {
                let found = status["attachedListenerSets"].as_u64().unwrap_or(0);
                if Some(found) != check.count.and_then(|count| u64::try_from(count).ok()) {
                    wrong.push(format!("{found} attached ListenerSets, expected {:?}", check.count));
                }
            }
            Check::ZeroRoutes => match status["listeners"].as_array().map(Vec::as_slice) {
                None | Some([]) => {}
                Some([listener]) if listener["attachedRoutes"] == 0 => {}
                Some(listeners) => wrong.push(format!("expected no attached route: {listeners:?}")),
            },
            Check::NoAcceptedParents => match status["parents"].as_array().map(Vec::as_slice) {
                None | Some([]) => {}
                Some([entry]) => conditions(&[wanted("Accepted", "False")], &entry["conditions"], "the only parent", wrong),
                Some(entries) => wrong.push(format!("expected at most one parent: {entries:?}")),
            },
            Check::ObservedGenerationCurrent => self.current(&check.resource, &status, wrong),
            Check::GenerationChanged => {
                let since = check.since_step.and_then(|step| self.state.generation_after(step, &check.resource));
                if since.is_none() || self.state.generation(&check.resource) == since {
                    wrong.push(format!("the generation of {} is still {since:?}", check.resource));
                }
            }
            // Skipped by the caller.
            Check::GeneratedResources => {}
        }
    }

    /// `status` of an object; `null` when there is none.
    fn status(&self, named: &Named) -> Value {
        let is = |entry: &&Value| {
            let object = &entry["object"];
            object["kind"] == *named.kind
                && object["namespace"].as_str().unwrap_or_default() == named.namespace()
                && object["name"] == *named.name
        };
        let entry = self.all.as_object().into_iter().flatten().flat_map(|(_, list)| items(list)).find(is);
        entry.map(|entry| entry["status"].clone()).unwrap_or_default()
    }

    fn namespaces_ready(&self, wrong: &mut Vec<String>) {
        for gateway in self.state.objects_of("Gateway") {
            let metadata = &gateway["metadata"];
            let named = Named {
                kind: "Gateway".into(),
                namespace: metadata["namespace"].as_str().map(str::to_owned),
                name: metadata["name"].as_str().unwrap_or_default().to_owned(),
                ..Named::default()
            };
            let skipped = metadata["annotations"]["gateway-api/skip-this-for-readiness"] == "true";
            if skipped || !self.check.namespaces.iter().any(|namespace| namespace == named.namespace()) {
                continue;
            }
            let status = self.status(&named);
            let ready = [wanted("Accepted", "True"), wanted("Programmed", "True")];
            conditions(&ready, &status["conditions"], &named.to_string(), wrong);
            self.current(&named, &status["conditions"], wrong);
        }
    }

    fn addresses(&self, found: &Value, wrong: &mut Vec<String>) {
        let check = self.check;
        if Some(items(found).count()) != check.count {
            wrong.push(format!("addresses {found}, expected {:?}", check.count));
        }
        let has = |placeholder: &String| {
            let value = self.state.value(placeholder);
            items(found).any(|address| address["value"] == *value)
        };
        wrong.extend(check.contains.iter().filter(|value| !has(value)).map(|value| format!("{value} is not among {found}")));
        wrong.extend(check.not_contains.iter().filter(|value| has(value)).map(|value| format!("{value} is among {found}")));
        if check.type_as_in_spec {
            let spec = self.state.object(&check.resource).map(|gateway| &gateway["spec"]["addresses"]);
            for address in items(found) {
                let declared = spec.into_iter().flat_map(items).find(|declared| declared["value"] == address["value"]);
                let type_ = declared.map(|declared| declared["type"].as_str().unwrap_or("IPAddress"));
                if address["type"].as_str() != type_ {
                    wrong.push(format!("address {address}, in spec {type_:?}"));
                }
            }
        }
    }

    /// Whether an entry names exactly the parent of the check; section name and port are not compared.
    fn is_parent(&self, entry: &Value) -> bool {
        let Some(parent) = &self.check.parent_ref else { return false };
        let found = &entry["parentRef"];
        let may_omit = self.check.parent_namespace_required == Some(false);
        let controller = self.check.controller_name.as_deref().map(|name| self.state.value(name));
        found["name"] == *parent.name
            && found["group"].as_str() == parent.group.as_deref()
            && found["kind"] == *parent.kind
            && (found["namespace"].as_str() == parent.namespace.as_deref() || (may_omit && found["namespace"].is_null()))
            && controller.is_some_and(|name| entry["controllerName"] == *name)
    }

    /// One entry of the parent or ancestor has the conditions, and every entry speaks of the current generation.
    fn reference_conditions(&self, entries: &Value, reference: &str, named: Option<&Named>, wrong: &mut Vec<String>) {
        let Some(named) = named else { return wrong.push(format!("the check has no {reference}")) };
        let is = |entry: &&Value| {
            let found = &entry[reference];
            found["name"] == *named.name && (found["namespace"].is_null() || found["namespace"].as_str() == named.namespace.as_deref())
        };
        let chosen: Vec<_> = items(entries).filter(is).collect();
        self.any_has(&chosen, entries, wrong);
        self.current(&self.check.resource, entries, wrong);
    }

    fn any_has(&self, chosen: &[&Value], all: &Value, wrong: &mut Vec<String>) {
        if chosen.is_empty() {
            return wrong.push(format!("no entry of the wanted reference in {all}"));
        }
        let results: Vec<Vec<String>> = chosen
            .iter()
            .map(|entry| {
                let mut wrong = Vec::new();
                conditions(&self.check.conditions, &entry["conditions"], &self.check.resource.to_string(), &mut wrong);
                wrong
            })
            .collect();
        if !results.iter().any(Vec::is_empty) {
            wrong.extend(results.into_iter().flatten());
        }
    }

    /// Every condition in a part of a status speaks of the current generation of the object.
    fn current(&self, named: &Named, part: &Value, wrong: &mut Vec<String>) {
        let generation = self.state.generation(named);
        match part {
            Value::Array(items) => items.iter().for_each(|item| self.current(named, item, wrong)),
            Value::Object(fields) if fields.contains_key("reason") => {
                let observed = part["observedGeneration"].as_i64();
                wrong.extend(
                    (observed.is_none() || observed != generation).then(|| format!("{named} is at generation {generation:?}: {part}")),
                );
            }
            Value::Object(fields) => fields.values().for_each(|value| self.current(named, value, wrong)),
            _ => {}
        }
    }
}

fn listener_is(wanted: &WantedListener, found: &Value, wrong: &mut Vec<String>) {
    let name = &wanted.name;
    if found["attachedRoutes"] != wanted.attached_routes {
        wrong.push(format!("listener {name} has {} attached routes, expected {}", found["attachedRoutes"], wanted.attached_routes));
    }
    let kinds = &found["supportedKinds"];
    let has = |group: Option<&str>, kind: &str| {
        items(kinds).any(|found| found["kind"] == *kind && (group.is_none() || found["group"].as_str() == group))
    };
    if wanted.supported_kinds.is_empty() != (items(kinds).count() == 0)
        || !wanted.supported_kinds.iter().all(|wanted| has(wanted.group.as_deref(), &wanted.kind))
    {
        wrong.push(format!("listener {name} supports {kinds}, expected {:?}", wanted.supported_kinds));
    }
    conditions(&wanted.conditions, &found["conditions"], &format!("listener {name}"), wrong);
}

fn wanted(type_: &str, status: &str) -> WantedCondition {
    WantedCondition { type_: type_.into(), status: Some(status.into()), reason: None }
}

fn conditions(wanted: &[WantedCondition], found: &Value, of: &str, wrong: &mut Vec<String>) {
    for want in wanted {
        let Some(condition) = items(found).find(|condition| condition["type"] == *want.type_) else {
            wrong.push(format!("{of}: no condition {} in {found}", want.type_));
            continue;
        };
        let same = |name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| condition[name] == *wanted);
        if !same("status", want.status.as_deref()) || !same("reason", want.reason.as_deref()) {
            wrong.push(format!("{of}: expected {want:?}, found {condition}"));
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
