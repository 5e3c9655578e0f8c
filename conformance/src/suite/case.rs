//! The shape of `case.yaml`. Unknown keys are refused: a new assertion must not pass unread.

#![allow(missing_docs, reason = "the keys are described in the README of the suite")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row::Row;
use super::state::USABLE_ADDRESS;

/// Rows for which upstream states, without comparing it, another path than the one that is sent and not rewritten.
const UNTRUE: [(&str, &str); 1] = [("mesh-httproute-named-rule", "t2")];

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub schema: u32,
    pub case: String,
    pub name: String,
    pub source_version: String,
    pub source_file: String,
    pub channel: String,
    pub provisional: bool,
    pub level: String,
    pub features: Vec<String>,
    #[serde(default)]
    pub profiles: Vec<Profile>,
    #[serde(default)]
    pub conditions_to_run: ConditionsToRun,
    pub base: Vec<String>,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub status: Vec<StatusCheck>,
    #[serde(default)]
    pub traffic: Vec<Row>,
    /// Folder of the case.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A conformance profile that counts a case, and at which level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    pub level: String,
}

/// Features that decide whether a case runs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionsToRun {
    #[serde(default)]
    pub only_if_supported: Vec<String>,
    #[serde(default)]
    pub only_if_unsupported: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub step: u32,
    pub action: Action,
    #[serde(default)]
    pub manifests: Option<String>,
    #[serde(default)]
    pub objects: Vec<Named>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Apply,
    Create,
    Replace,
    Delete,
}

/// An object, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub namespace: Option<String>,
    pub name: String,
    #[serde(default)]
    pub section_name: Option<String>,
}

impl Named {
    /// The namespace; empty for an object without one.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace(), self.name)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: Option<String>,
    pub reason: Option<String>,
}

/// One entry of `status`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusCheck {
    pub id: String,
    pub step: u32,
    pub check: Check,
    #[serde(default)]
    pub resource: Named,
    #[serde(default)]
    pub namespaces: Vec<String>,
    #[serde(default)]
    pub parent_ref: Option<Named>,
    #[serde(default)]
    pub parent_namespace_required: Option<bool>,
    #[serde(default)]
    pub controller_name: Option<String>,
    #[serde(default)]
    pub ancestor_ref: Option<Named>,
    #[serde(default)]
    pub conditions: Vec<WantedCondition>,
    #[serde(default)]
    pub listener: Option<String>,
    #[serde(default)]
    pub listeners: Vec<WantedListener>,
    #[serde(default)]
    pub count: Option<usize>,
    #[serde(default)]
    pub contains: Vec<String>,
    #[serde(default)]
    pub not_contains: Vec<String>,
    #[serde(default)]
    pub type_as_in_spec: bool,
    #[serde(default)]
    pub since_step: Option<u32>,
    /// The keys of `generated_resources`: objects that a controller makes in its cluster.
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(default)]
    pub selector: BTreeMap<String, String>,
    #[serde(default)]
    pub kinds: Vec<String>,
    #[serde(default)]
    pub labels_include: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations_include: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    NamespacesReady,
    GatewayAddress,
    GatewayAddresses,
    RouteParent,
    RouteCondition,
    PolicyCondition,
    ResourceCondition,
    ListenerConditions,
    ListenersExact,
    AttachedListenerSets,
    ZeroRoutes,
    NoAcceptedParents,
    ObservedGenerationCurrent,
    GenerationChanged,
    GeneratedResources,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedListener {
    pub name: String,
    pub attached_routes: i32,
    pub supported_kinds: Vec<Kind>,
    #[serde(default)]
    pub conditions: Vec<WantedCondition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    pub group: Option<String>,
    pub kind: String,
}

impl Case {
    /// Reads a case of the suite, with values for the placeholders of its rows.
    ///
    /// # Errors
    ///
    /// What cannot be read, with the file.
    pub fn read(suite: &Path, name: &str) -> Result<Self, String> {
        let folder = suite.join("cases").join(name);
        let file = folder.join("case.yaml");
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let tell = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let mut value: Value = serde_saphyr::from_str(&text).map_err(|error| tell(&error))?;
        for row in value["traffic"].as_array_mut().into_iter().flatten() {
            let token = format!("{name}-{}", row["id"].as_str().unwrap_or_default());
            fill_in(row, &token);
        }
        let mut case: Self = serde_json::from_value(value).map_err(|error| tell(&error))?;
        for row in case.traffic.iter_mut().filter(|row| UNTRUE.contains(&(name, &row.id))) {
            row.expect.unchecked.forwarded = None;
        }
        Ok(Self { folder, ..case })
    }
}

/// Gives the placeholders of a row their values; each row has a token of its own.
fn fill_in(value: &mut Value, token: &str) {
    match value {
        Value::String(text) => {
            *text = text.replace("{UUID}", token).replace("{ANY}", "any").replace("{GATEWAY_ADDRESS}", USABLE_ADDRESS);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(item, token)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill_in(value, token)),
        _ => {}
    }
}

/// The names of all cases, in order.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn cases(suite: &Path) -> Result<Vec<String>, String> {
    let folder = suite.join("cases");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
