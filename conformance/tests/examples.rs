//! The examples that stand in `examples/`: what each `<name>.expect` says of its `<name>.yaml` holds, and every
//! rule that takes part in routing is won by some request. `examples/README.md` describes the format; its checks are
//! those of the vectors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gatewright::load::{Loaded, Loader};
use gatewright::{Compiled, MissingServices, Options, compile};
use gatewright_conformance::vectors::{Asked, Connected, Place, WantedDiagnostic, WantedStatus, diagnostics, object_name};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

/// `<name>.expect`. Unknown keys are refused: an assertion must not pass unread.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    about: String,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    requests: Vec<Asked>,
    #[serde(default)]
    connections: Vec<Connected>,
    #[serde(default)]
    conditions: Vec<WantedCondition>,
    diagnostics: Option<Vec<WantedDiagnostic>>,
}

/// One condition in full.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedCondition {
    object: String,
    parent: Option<String>,
    listener: Option<String>,
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
}

impl From<&WantedCondition> for WantedStatus {
    fn from(wanted: &WantedCondition) -> Self {
        Self {
            object: wanted.object.clone(),
            parent: wanted.parent.clone(),
            listener: wanted.listener.clone(),
            conditions: [(wanted.type_.clone(), format!("{} {}", wanted.status, wanted.reason))].into(),
            ..Self::default()
        }
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut trials = Vec::new();
    for manifest in manifests(&root) {
        let name = manifest.strip_prefix(&root).unwrap_or(&manifest).with_extension("").display().to_string();
        let root = root.clone();
        trials.push(Trial::test(name.clone(), move || run(&root, &name)));
    }
    assert!(!trials.is_empty(), "no examples in {}", root.display());
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every manifest below the folder. A file of expectations without its manifest counts as one, to be told.
fn manifests(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder of examples") {
        let path = entry.expect("an entry of the folder of examples").path();
        let text = path.to_string_lossy();
        if path.is_dir() {
            found.append(&mut manifests(&path));
        } else if let Some(stem) = text.strip_suffix(".expect").or(text.strip_suffix(".yaml")) {
            found.insert(format!("{stem}.yaml").into());
        }
    }
    found
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(root: &Path, name: &str) -> Result<(), Failed> {
    let file = format!("{name}.expect");
    let expected: Expectation = serde_saphyr::from_str(&read(&root.join(&file))?).map_err(|error| format!("{file}: {error}"))?;
    let manifest = format!("{name}.yaml");
    let folder = root.join(&manifest).parent().map(Path::to_owned).unwrap_or_default();
    let mut loader = Loader::new();
    loader.add_text(&manifest, &read(&root.join(&manifest))?);
    for further in &expected.from {
        loader.add_text(further, &read(&folder.join(further))?);
    }
    let loaded = loader.finish();
    let mut options = Options::default();
    options.missing_services = MissingServices::Infer;
    let compiled = compile(&loaded.resources, &options);

    let mut wrong = Vec::new();
    if expected.about.is_empty() {
        wrong.push("`about` says what the example shows".to_owned());
    }
    let nowhere = Place::default();
    let mut won = BTreeSet::new();
    for asked in &expected.requests {
        let told = asked.check(&nowhere, &compiled.table).unwrap_or_else(|error| vec![error]);
        wrong.extend(told.into_iter().map(|told| format!("{}: {told}", asked.name())));
        won.extend(asked.winner(&nowhere, &compiled.table));
    }
    for connected in &expected.connections {
        let told = connected.check(&nowhere, &compiled.table).unwrap_or_else(|error| vec![error]);
        wrong.extend(told.into_iter().map(|told| format!("{}: {told}", connected.name())));
        won.extend(connected.winner(&nowhere, &compiled.table));
    }
    for rule in compiled.table.rules().filter(|rule| !won.contains(&rule.id)) {
        let Some(route) = compiled.table.route(rule.route) else { continue };
        if loaded.sources.position(&route.object, "").is_some_and(|position| *position.file == *manifest) {
            wrong.push(format!("no request for {} #{}", object_name(&route.object), rule.index));
        }
    }
    let status = serde_json::to_value(&compiled.status).map_err(|error| error.to_string())?;
    wrong.extend(expected.conditions.iter().flat_map(|wanted| WantedStatus::from(wanted).check(&status)));
    if let Some(wanted) = &expected.diagnostics {
        wrong.extend(findings(wanted, &manifest, &loaded, &compiled));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Compares the findings about one manifest: errors and warnings one to one, notes as far as they are wanted.
fn findings(wanted: &[WantedDiagnostic], manifest: &str, loaded: &Loaded, compiled: &Compiled) -> Vec<String> {
    let mut all: Vec<_> = loaded.diagnostics.iter().chain(&compiled.diagnostics).cloned().collect();
    all.iter_mut().for_each(|diagnostic| loaded.sources.locate(diagnostic));
    all.retain(|diagnostic| diagnostic.position.as_ref().is_none_or(|position| *position.file == *manifest));
    diagnostics(wanted, all, true)
}
