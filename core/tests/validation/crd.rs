//! The CRDs beside the checkout.

use std::path::Path;

use serde_json::Value;

/// The schema of one version of one kind in one channel.
pub(crate) struct Schema {
    pub(crate) channel: &'static str,
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) version: String,
    /// Of the whole object.
    pub(crate) root: Value,
}

/// All of them; empty, with a word, where the folder is not.
pub(crate) fn schemas() -> Vec<Schema> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/gateway-api/crd");
    let mut found = Vec::new();
    for channel in ["standard", "experimental"] {
        let Ok(files) = std::fs::read_dir(folder.join(channel)) else {
            eprintln!("skipped: the CRDs are not beside this checkout");
            return Vec::new();
        };
        let mut files: Vec<_> = files.map(|file| file.expect("a readable folder").path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a readable file");
            for document in text.split("\n---") {
                let mut crd: Value = serde_saphyr::from_str(document).expect("YAML");
                if crd["kind"] != "CustomResourceDefinition" {
                    continue;
                }
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                let (group, kind) = (text(&crd["spec"]["group"]), text(&crd["spec"]["names"]["kind"]));
                for version in crd["spec"]["versions"].as_array_mut().expect("versions") {
                    found.push(Schema {
                        channel,
                        group: group.clone(),
                        kind: kind.clone(),
                        version: text(&version["name"]),
                        root: version["schema"]["openAPIV3Schema"].take(),
                    });
                }
            }
        }
    }
    assert!(found.len() > 30, "{} versions", found.len());
    found
}

/// Calls a function for `spec` and every schema below it, with paths such as `spec.rules[].name`; the values of a
/// map are `spec.options{}`.
pub(crate) fn walk<'s>(root: &'s Value, visit: &mut dyn FnMut(&str, &'s Value)) {
    below(&root["properties"]["spec"], "spec", visit);
}

fn below<'s>(schema: &'s Value, path: &str, visit: &mut dyn FnMut(&str, &'s Value)) {
    visit(path, schema);
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        below(of, &format!("{path}.{name}"), visit);
    }
    if schema["items"].is_object() {
        below(&schema["items"], &format!("{path}[]"), visit);
    }
    if schema["additionalProperties"].is_object() {
        below(&schema["additionalProperties"], &format!("{path}{{}}"), visit);
    }
}
