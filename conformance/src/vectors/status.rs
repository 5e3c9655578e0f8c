//! Status and diagnostics: what is wanted, and the comparison.

use std::collections::BTreeMap;

use gatewright::{Diagnostic, ObjectRef, Severity};
use serde::Deserialize;
use serde_json::Value;

/// What stands in the status of one object, or of one of its parents, listeners or ancestors.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedStatus {
    /// `Kind namespace/name`, or `Kind name`.
    pub object: String,
    /// For a route: the entry of this parent, `[Kind ]namespace/name[/sectionName][:port]`; the kind is `Gateway` if it is not said.
    pub parent: Option<String>,
    /// For a Gateway or ListenerSet: the entry of this listener.
    pub listener: Option<String>,
    /// For a policy: the entry of this ancestor, written as a parent.
    pub ancestor: Option<String>,
    /// Type of the condition to `Status Reason`, to `Status` alone, or to `absent`.
    #[serde(default)]
    pub conditions: BTreeMap<String, String>,
    /// Type of the condition to a text that its message contains.
    #[serde(default)]
    pub messages: BTreeMap<String, String>,
    /// `observedGeneration` of every condition.
    pub observed_generation: Option<i64>,
    /// `attachedRoutes` of the listener.
    pub attached_routes: Option<i64>,
    /// Kinds in `supportedKinds` of the listener, in any order.
    pub supported_kinds: Option<Vec<String>>,
    /// The entries of a route, all of them, in any order.
    pub parents: Option<Vec<String>>,
    /// The entries of a policy, all of them, in any order.
    pub ancestors: Option<Vec<String>>,
    /// Names of the listeners that have an entry, in order.
    pub listeners: Option<Vec<String>>,
    /// `attachedListenerSets` of the Gateway; absent counts as 0.
    pub attached_listener_sets: Option<i64>,
    /// `addresses` of the Gateway as `Type value`.
    pub addresses: Option<Vec<String>>,
    /// Features that are listed in `supportedFeatures`.
    #[serde(default)]
    pub supported_features: Vec<String>,
    /// Features that are not.
    #[serde(default)]
    pub unsupported_features: Vec<String>,
    /// The `parentRef` that is echoed, whole.
    pub parent_ref: Option<BTreeMap<String, Value>>,
    /// The object has no status at all.
    #[serde(default)]
    pub none: bool,
}

impl WantedStatus {
    /// Compares with the status of everything, as JSON.
    pub fn check(&self, all: &Value) -> Vec<String> {
        let entries: Vec<&Value> =
            objects(all).filter(|entry| name_in_json(&entry["object"]) == self.object).map(|entry| &entry["status"]).collect();
        let place = [&self.parent, &self.listener, &self.ancestor]
            .into_iter()
            .flatten()
            .fold(self.object.clone(), |all, one| format!("{all}, {one}"));
        let status = match (entries.as_slice(), self.none) {
            ([], true) => return Vec::new(),
            ([], false) => return vec![format!("{place}: no status")],
            ([status], false) => *status,
            ([status], true) => return vec![format!("{place}: has a status: {status}")],
            _ => return vec![format!("{place}: several objects of this name")],
        };
        let own = self.object.split_once(' ').and_then(|(_, name)| name.split_once('/')).unwrap_or_default().0;
        let mut wrong = self.whole(status, own);
        let chosen: Vec<&Value> = match (&self.parent, &self.listener, &self.ancestor) {
            (None, None, None) => vec![status],
            (Some(parent), None, None) => {
                list(status, "parents").filter(|entry| reference(&entry["parentRef"], own) == full(parent)).collect()
            }
            (None, Some(listener), None) => list(status, "listeners").filter(|entry| entry["name"] == **listener).collect(),
            (None, None, Some(ancestor)) => {
                list(status, "ancestors").filter(|entry| reference(&entry["ancestorRef"], own) == full(ancestor)).collect()
            }
            _ => return vec![format!("{place}: only one of parent, listener and ancestor")],
        };
        match chosen.as_slice() {
            [entry] => wrong.extend(self.entry(entry)),
            [] => wrong.push(format!("no such entry in {status}")),
            _ => wrong.push(format!("several such entries in {status}")),
        }
        wrong.into_iter().map(|wrong| format!("{place}: {wrong}")).collect()
    }

    /// What is said of the object as a whole.
    fn whole(&self, status: &Value, own: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut equal = |what: &str, got: Vec<String>, wanted: &Option<Vec<String>>, ordered: bool| {
            let Some(wanted) = wanted else { return };
            let (mut got, mut wanted) = (got, wanted.clone());
            if !ordered {
                got.sort_unstable();
                wanted.sort_unstable();
            }
            if got != wanted {
                wrong.push(format!("{what} are {got:?}, expected {wanted:?}"));
            }
        };
        let all_full = |wanted: &Option<Vec<String>>| wanted.as_ref().map(|all| all.iter().map(|one| full(one)).collect());
        equal(
            "parents",
            list(status, "parents").map(|entry| reference(&entry["parentRef"], own)).collect(),
            &all_full(&self.parents),
            false,
        );
        equal(
            "ancestors",
            list(status, "ancestors").map(|entry| reference(&entry["ancestorRef"], own)).collect(),
            &all_full(&self.ancestors),
            false,
        );
        equal("listeners", list(status, "listeners").map(|entry| text(&entry["name"])).collect(), &self.listeners, true);
        let addresses =
            list(status, "addresses").map(|entry| format!("{} {}", entry["type"].as_str().unwrap_or("IPAddress"), text(&entry["value"])));
        equal("addresses", addresses.collect(), &self.addresses, false);
        if let Some(wanted) = self.attached_listener_sets {
            let got = status["attachedListenerSets"].as_i64().unwrap_or(0);
            if got != wanted {
                wrong.push(format!("attachedListenerSets is {got}, expected {wanted}"));
            }
        }
        let features: Vec<String> = list(status, "supportedFeatures").map(|entry| text(&entry["name"])).collect();
        wrong.extend(
            self.supported_features.iter().filter(|name| !features.contains(name)).map(|name| format!("feature {name} is not listed")),
        );
        wrong.extend(
            self.unsupported_features.iter().filter(|name| features.contains(name)).map(|name| format!("feature {name} is listed")),
        );
        if !features.is_sorted() {
            wrong.push(format!("features are not sorted: {features:?}"));
        }
        wrong
    }

    /// What is said of one entry.
    fn entry(&self, entry: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let of = |type_: &String| list(entry, "conditions").find(|condition| condition["type"] == **type_);
        for (type_, wanted) in &self.conditions {
            let got = of(type_);
            let (state, reason) =
                got.map_or(("absent", ""), |got| (got["status"].as_str().unwrap_or(""), got["reason"].as_str().unwrap_or("")));
            if *wanted != state && *wanted != format!("{state} {reason}") {
                let message = got.map(|got| text(&got["message"])).unwrap_or_default();
                wrong.push(format!("{type_} is `{state} {reason}`, expected `{wanted}` ({message})"));
            }
        }
        for (type_, wanted) in &self.messages {
            let got = of(type_).map(|got| text(&got["message"])).unwrap_or_default();
            if !got.contains(wanted.as_str()) {
                wrong.push(format!("the message of {type_} is `{got}`, expected `{wanted}` in it"));
            }
        }
        if let Some(wanted) = self.observed_generation {
            let generations: Vec<_> = list(entry, "conditions").map(|condition| condition["observedGeneration"].as_i64()).collect();
            if generations.is_empty() || generations.iter().any(|got| *got != Some(wanted)) {
                wrong.push(format!("observedGeneration is {generations:?}, expected {wanted}"));
            }
        }
        if let Some(wanted) = self.attached_routes
            && entry["attachedRoutes"].as_i64() != Some(wanted)
        {
            wrong.push(format!("attachedRoutes is {}, expected {wanted}", entry["attachedRoutes"]));
        }
        if let Some(wanted) = &self.supported_kinds {
            let mut wanted = wanted.clone();
            wanted.sort_unstable();
            let mut got: Vec<_> = list(entry, "supportedKinds").map(|kind| text(&kind["kind"])).collect();
            got.sort_unstable();
            if got != wanted {
                wrong.push(format!("supportedKinds are {got:?}, expected {wanted:?}"));
            }
        }
        if let Some(wanted) = &self.parent_ref {
            let got: BTreeMap<String, Value> = serde_json::from_value(entry["parentRef"].clone()).unwrap_or_default();
            if got != *wanted {
                wrong.push(format!("parentRef is {got:?}, expected {wanted:?}"));
            }
        }
        wrong
    }
}

/// Every object that has a status: the lists of all kinds.
fn objects(all: &Value) -> impl Iterator<Item = &Value> {
    all.as_object().into_iter().flat_map(|kinds| kinds.values()).filter_map(Value::as_array).flatten()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn name_in_json(object: &Value) -> String {
    name(object["kind"].as_str().unwrap_or(""), object["namespace"].as_str().unwrap_or(""), object["name"].as_str().unwrap_or(""))
}

/// `Kind namespace/name`, or `Kind name`.
pub fn object_name(object: &ObjectRef) -> String {
    name(&object.kind, &object.namespace, &object.name)
}

fn name(kind: &str, namespace: &str, name: &str) -> String {
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// A reference in a status, written as vectors do.
fn reference(reference: &Value, own: &str) -> String {
    let section = reference["sectionName"].as_str().map(|section| format!("/{section}")).unwrap_or_default();
    let port = reference["port"].as_u64().map(|port| format!(":{port}")).unwrap_or_default();
    let kind = reference["kind"].as_str().unwrap_or("Gateway");
    format!("{kind} {}/{}{section}{port}", reference["namespace"].as_str().unwrap_or(own), text(&reference["name"]))
}

/// With the kind that may be left out.
fn full(reference: &str) -> String {
    if reference.contains(' ') { reference.to_owned() } else { format!("Gateway {reference}") }
}

/// A finding that is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedDiagnostic {
    /// `Kind namespace/name`, or `Kind name`.
    pub object: String,
    /// Path of the field.
    pub path: Option<String>,
    /// The field, or one that holds it.
    pub under: Option<String>,
    /// Part of the message.
    pub contains: String,
    /// `error`, `warning` or `info`.
    pub severity: Option<String>,
}

impl WantedDiagnostic {
    fn is(&self, got: &Diagnostic) -> bool {
        got.object.as_ref().map(object_name).as_deref() == Some(&self.object)
            && self.path.as_ref().is_none_or(|path| *path == got.path)
            && self
                .under
                .as_ref()
                .is_none_or(|under| got.path.strip_prefix(&**under).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
            && self.severity.as_ref().is_none_or(|severity| *severity == got.severity.to_string())
            && got.message.contains(&self.contains)
    }
}

/// Compares findings: each wanted one is there. If `exact`, there is no other but notes.
pub fn diagnostics(wanted: &[WantedDiagnostic], mut left: Vec<Diagnostic>, exact: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for wanted in wanted {
        match left.iter().position(|got| wanted.is(got)) {
            Some(n) => drop(left.remove(n)),
            None => {
                let near: Vec<_> = left.iter().map(ToString::to_string).collect();
                wrong.push(format!("no such diagnostic: {wanted:?} among {near:#?}"));
            }
        }
    }
    if exact {
        wrong.extend(left.iter().filter(|got| got.severity != Severity::Info).map(|got| format!("unexpected: {got}")));
    }
    wrong
}
