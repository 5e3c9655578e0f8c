//! The structures know every property of the CRDs, of both channels and every version.
#![allow(clippy::disallowed_methods, clippy::indexing_slicing, clippy::panic, reason = "a test that reads files")]

use std::path::Path;

use gatewright::load::load_text;
use gatewright::{Code, Object};
use serde_json::{Map, Value, json};

/// A value with every property of a schema.
fn sample(schema: &Value) -> Value {
    if let Some(known) = schema["enum"].as_array() {
        return known[0].clone();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return json!(1);
    }
    match schema["type"].as_str() {
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => Value::Object(properties.iter().map(|(name, of)| (name.clone(), sample(of))).collect()),
            None => json!({"key": sample(&schema["additionalProperties"])}),
        },
        Some("array") => json!([sample(&schema["items"])]),
        Some("integer" | "number") => json!(7),
        Some("boolean") => json!(true),
        _ => json!("text"),
    }
}

/// Paths of all properties of a value.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            paths(value, &path, found);
            found.push(path);
        }),
        Value::Array(list) => list.iter().for_each(|value| paths(value, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn every_property_is_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/gateway-api/crd");
    let mut files: Vec<_> =
        ["standard", "experimental"].iter().filter_map(|channel| std::fs::read_dir(folder.join(channel)).ok()).flatten().collect();
    if files.is_empty() {
        eprintln!("skipped: the CRDs are not beside this checkout");
        return;
    }
    files.sort_by_key(|entry| entry.as_ref().map(std::fs::DirEntry::path).unwrap_or_default());
    let (mut versions, mut properties) = (0, 0);
    for file in files {
        let path = file.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        for document in text.split("\n---") {
            let crd: Value = serde_saphyr::from_str(document).expect("YAML");
            if crd["kind"] != "CustomResourceDefinition" {
                continue;
            }
            let (group, kind) =
                (crd["spec"]["group"].as_str().unwrap_or_default(), crd["spec"]["names"]["kind"].as_str().unwrap_or_default());
            for version in crd["spec"]["versions"].as_array().expect("versions") {
                let name = version["name"].as_str().unwrap_or_default();
                let known = Object::accepted_versions(group, kind).unwrap_or_else(|| panic!("{kind} of {group} is not read"));
                assert!(known.contains(&name), "{kind} {name}");
                let mut object = sample(&version["schema"]["openAPIV3Schema"]);
                let map: &mut Map<String, Value> = object.as_object_mut().expect("an object");
                map.insert("apiVersion".into(), json!(format!("{group}/{name}")));
                map.insert("kind".into(), json!(kind));
                map.insert("metadata".into(), json!({"name": "sample"}));
                let mut wanted = Vec::new();
                paths(&object, "", &mut wanted);
                let loaded = load_text(kind, &object.to_string());
                let unknown: Vec<_> = loaded.diagnostics.iter().filter(|d| d.code != Code::Version).map(ToString::to_string).collect();
                assert!(unknown.is_empty(), "{}: {unknown:#?}", path.display());
                assert_eq!(loaded.resources.len(), 1);
                // And what is read is kept: written out again, every property is there.
                let written = serde_json::to_value(&loaded.resources).expect("JSON");
                let written = written.as_object().and_then(|kinds| kinds.values().next()).map(|list| list[0].clone()).expect("an object");
                let mut kept = Vec::new();
                paths(&written, "", &mut kept);
                let lost: Vec<_> = wanted.iter().filter(|p| ![".apiVersion", ".kind"].contains(&p.as_str()) && !kept.contains(p)).collect();
                assert!(lost.is_empty(), "{kind} {name} loses {lost:?}");
                versions += 1;
                properties += wanted.len();
            }
        }
    }
    println!("{versions} versions with {properties} properties");
    assert!(versions > 30 && properties > 2_000, "{versions} versions with {properties} properties");
}
