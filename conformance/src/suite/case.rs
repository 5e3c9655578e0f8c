//! The shape of `case.yaml`. Unknown keys are refused: a new assertion must not pass unread.

#![allow(missing_docs, reason = "the keys are described in the README of the suite")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

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
    pub conditions_to_run: Option<BTreeMap<String, Vec<String>>>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    pub level: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub step: u32,
    pub action: String,
    #[serde(default)]
    pub manifests: Option<String>,
    #[serde(default)]
    pub objects: Vec<Named>,
}

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: Option<String>,
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusCheck {
    pub id: String,
    pub step: u32,
    pub check: String,
    #[serde(default)]
    pub resource: Option<Named>,
    #[serde(default)]
    pub namespaces: Vec<String>,
    #[serde(default)]
    pub parent_ref: Option<Named>,
    #[serde(default)]
    pub parent_namespace_required: Option<bool>,
    #[serde(default)]
    pub controller_name: Option<String>,
    #[serde(default)]
    pub conditions: Vec<WantedCondition>,
    #[serde(default)]
    pub listener: Option<String>,
    #[serde(default)]
    pub listeners: Vec<WantedListener>,
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

/// One row of traffic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub id: String,
    pub step: u32,
    pub protocol: String,
    pub gateway: Named,
    pub port: u16,
    #[serde(default)]
    pub port_from_listener: Option<String>,
    pub request: RowRequest,
    pub expect: Expect,
    #[serde(default)]
    pub distribution: Option<Distribution>,
    #[serde(default)]
    pub repeat: Option<Repeat>,
    #[serde(default)]
    pub request_jitter: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowRequest {
    pub method: String,
    pub host: String,
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub follow_redirects: bool,
    #[serde(default)]
    pub backend_set_response_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub grpc: Option<GrpcName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcName {
    pub service: String,
    pub method: String,
}

/// What a row expects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub outcome: String,
    #[serde(default)]
    pub status: Vec<u16>,
    #[serde(default)]
    pub grpc_code: Option<GrpcCode>,
    #[serde(default)]
    pub answered_by: Option<String>,
    #[serde(default)]
    pub backend: Option<WantedBackend>,
    #[serde(default)]
    pub forwarded: Option<WantedForwarded>,
    #[serde(default)]
    pub forwarded_header_names_backend: Option<String>,
    #[serde(default)]
    pub response_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub response_headers_any_of: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub response_absent_headers: Vec<String>,
    #[serde(default)]
    pub ignore_spaces_in_header_values: bool,
    #[serde(default)]
    pub redirect: Option<WantedRedirect>,
    /// Stated upstream, compared by nobody.
    #[serde(default)]
    pub unchecked: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcCode {
    pub number: u8,
    pub name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedBackend {
    pub namespace: Option<String>,
    pub name: Option<String>,
    #[serde(rename = "match")]
    pub match_: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedForwarded {
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub absent_headers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedRedirect {
    pub scheme: String,
    pub host: Option<String>,
    pub port: Option<StringOrNumber>,
    pub path: String,
}

/// A port, written either way.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum StringOrNumber {
    Number(u16),
    Text(String),
}

impl std::fmt::Display for StringOrNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    pub requests: u32,
    pub concurrency: u32,
    pub tolerance: f64,
    pub max_attempts: u32,
    pub expected: Vec<Fraction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fraction {
    pub name: String,
    pub fraction: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    pub count: u32,
    pub concurrency: u32,
    pub all_must_match: bool,
}

impl Case {
    /// Reads a case of the suite.
    ///
    /// # Errors
    ///
    /// What cannot be read, with the file.
    pub fn read(suite: &Path, name: &str) -> Result<Self, String> {
        let folder = suite.join("cases").join(name);
        let file = folder.join("case.yaml");
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let case: Self = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { folder, ..case })
    }
}

/// The cases that the suite's summary calls pure decisions on HTTPRoute and GRPCRoute, without ListenerSet.
pub fn pure_cases(suite: &Path) -> Vec<String> {
    let summary = std::fs::read_to_string(suite.join("SUMMARY.md")).unwrap_or_default();
    let section = summary.split("\n## Pure decision").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.contains("ListenerSet"));
    let names = rows.filter_map(|line| line.split('|').nth(1)).map(str::trim);
    names.filter(|name| !matches!(*name, "case" | "---")).map(str::to_owned).collect()
}
