//! Defaults are applied at admission ([R-5]): a manifest as it was written, and the same with every default of the
//! CRDs filled in, compile to the same.

use std::path::{Path, PathBuf};

use gatewright::load::Loader;
use gatewright::{MissingServices, Options, compile};
use serde_json::Value;

use crate::crd::{Schema, schemas};

/// Fills in what is absent.
fn fill(value: &mut Value, schema: &Value, filled: &mut usize) {
    match value {
        Value::Object(map) => {
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                if map.get(name).is_none_or(Value::is_null) && !of["default"].is_null() {
                    map.insert(name.clone(), of["default"].clone());
                    *filled += 1;
                }
                if let Some(value) = map.get_mut(name) {
                    fill(value, of, filled);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| fill(item, &schema["items"], filled)),
        _ => {}
    }
}

/// Everything that compiling gives, as text.
fn compiled(documents: &[Value]) -> String {
    let mut loader = Loader::new();
    documents.iter().for_each(|document| loader.add_text("manifest", &document.to_string()));
    let loaded = loader.finish();
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    let compiled = compile(&loaded.resources, &options);
    let diagnostics: Vec<String> = compiled.diagnostics.iter().map(ToString::to_string).collect();
    format!("{:#?}\n{:#?}\n{diagnostics:#?}", compiled.table, compiled.status)
}

fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn absent_is_the_default() {
    let schemas = schemas();
    let of = |document: &Value| -> Option<&Schema> {
        let group = document["apiVersion"].as_str()?.split('/').next()?;
        let named =
            |schema: &&Schema| schema.channel == "experimental" && schema.group == group && document["kind"] == schema.kind.as_str();
        schemas.iter().find(named)
    };
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["../examples", "../../shared/gateway-api/examples", "../../shared/conformance/cases"] {
        manifests(&root.join(folder), &mut files);
    }
    let mut filled = 0;
    for file in files.into_iter().filter(|_| !schemas.is_empty()) {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let documents = text.split("\n---").filter_map(|document| serde_saphyr::from_str::<Value>(document).ok());
        let written: Vec<Value> = documents.filter(|document| document["spec"].is_object()).collect();
        let mut admitted = written.clone();
        for document in &mut admitted {
            if let Some(schema) = of(document) {
                fill(&mut document["spec"], &schema.root["properties"]["spec"], &mut filled);
            }
        }
        let (written, admitted) = (compiled(&written), compiled(&admitted));
        let differs = written.lines().zip(admitted.lines()).find(|(a, b)| a != b);
        assert!(written == admitted, "{}: {differs:#?}", file.display());
    }
    println!("{filled} defaults");
    assert!(schemas.is_empty() || filled > 1_000, "{filled} defaults");
}
