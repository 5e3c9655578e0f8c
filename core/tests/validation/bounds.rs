//! Every bound of every property: a value that breaks it is reported at its path.

use gatewright::{Code, Diagnostic, Severity};
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::syntax;
use regex_automata::{Input, nfa::thompson};
use serde_json::{Map, Value, json};

use crate::crd::{Schema, schemas, walk};
use crate::findings;

/// Texts among which some are right and some are wrong for any pattern.
const TEXTS: &[&str] = &[
    "a",
    "1s",
    "/a",
    "a/b",
    "a.example/b",
    "https://a.example",
    "spiffe://a/b",
    "System",
    "IPAddress",
    "X Y",
    "-a",
    "a_b",
    "a\u{1}",
    "a ",
    "*",
    "",
];

fn matches(pattern: &str, text: &str) -> bool {
    let dfa = dense::Builder::new()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().utf8(false))
        .build(pattern)
        .expect("a pattern");
    dfa.try_search_fwd(&Input::new(text)).expect("a search").is_some()
}

fn number(schema: &Value, bound: &str) -> Option<i64> {
    schema[bound].as_i64()
}

fn length(schema: &Value, bound: &str) -> Option<usize> {
    number(schema, bound).map(|n| usize::try_from(n).expect("a length"))
}

/// A value that keeps every bound of its schema, with every property; rules between properties may be broken.
fn valid(schema: &Value) -> Value {
    if let Some(known) = schema["enum"].as_array() {
        return known[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") => match schema["properties"].as_object() {
            Some(properties) => Value::Object(properties.iter().map(|(name, of)| (name.clone(), valid(of))).collect()),
            None if schema["additionalProperties"].is_object() => json!({"key": valid(&schema["additionalProperties"])}),
            None => json!({}),
        },
        Some("array") => json!([valid(&schema["items"])]),
        Some("integer" | "number") => json!(number(schema, "minimum").unwrap_or(1).max(1)),
        Some("boolean") => json!(true),
        _ => {
            let pattern = schema["pattern"].as_str();
            let fits = |text: &&&str| !text.is_empty() && pattern.is_none_or(|pattern| matches(pattern, text));
            json!(TEXTS.iter().find(fits).unwrap_or_else(|| panic!("no text for {pattern:?}")))
        }
    }
}

/// A broken bound: the value, and words of the message.
struct Broken {
    value: Value,
    words: Vec<String>,
    /// Where below the property it is reported.
    at: &'static str,
}

/// Every way to break the bounds of one schema; `good` is its valid value.
fn breaks(schema: &Value, good: &Value) -> Vec<Broken> {
    let mut list = Vec::new();
    let mut add =
        |value: Value, words: &[&str], at| list.push(Broken { value, words: words.iter().map(|w| (*w).to_owned()).collect(), at });
    if let Some(least) = length(schema, "minLength").filter(|least| *least > 0) {
        add(json!("a".repeat(least - 1)), &[&format!("should be at least {least} chars long")], "");
    }
    if let Some(most) = length(schema, "maxLength") {
        add(json!("a".repeat(most + 1)), &[&format!("should be at most {most} chars long")], "");
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        let wrong = |text: &&&str| !matches(pattern, text) && (!text.is_empty() || length(schema, "minLength").unwrap_or(0) == 0);
        let wrong = TEXTS.iter().find(wrong).unwrap_or_else(|| panic!("no text against {pattern}"));
        add(json!(wrong), &[&format!("should match '{pattern}'")], "");
    }
    if let Some(known) = schema["enum"].as_array() {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let known: Vec<String> = known.iter().map(text).collect();
        let other = if schema["type"] == "integer" { json!(599) } else { json!("Unknown") };
        add(other, &known.iter().map(String::as_str).collect::<Vec<_>>(), "");
    }
    if let Some(least) = number(schema, "minimum") {
        add(json!(least - 1), &[&format!("should be greater than or equal to {least}")], "");
    }
    if let Some(most) = number(schema, "maximum") {
        add(json!(most + 1), &[&format!("should be less than or equal to {most}")], "");
    }
    let copies = |n: usize| Value::Array(vec![good[0].clone(); n]);
    if let Some(least) = length(schema, "minItems") {
        add(copies(least - 1), &[&format!("should have at least {least} items")], "");
    }
    if let Some(most) = length(schema, "maxItems") {
        add(copies(most + 1), &[&format!("must have at most {most} items")], "");
    }
    if let Some(most) = length(schema, "maxProperties") {
        let value = good.as_object().and_then(|map| map.values().next()).expect("a value");
        let map: Map<String, Value> = (0..=most).map(|n| (format!("key{n}"), value.clone())).collect();
        add(Value::Object(map), &[&format!("must have at most {most} items")], "");
    }
    match (schema["x-kubernetes-list-type"].as_str(), schema["x-kubernetes-list-map-keys"].as_array()) {
        (Some("set"), _) => add(copies(2), &["Duplicate value"], "[1]"),
        // Of listeners and ports the API has a sentence of its own.
        (Some("map"), Some(keys)) if keys[0] == "port" => add(copies(2), &["Port for TLS configuration must be unique"], "[1].port"),
        (Some("map"), _) if !schema["items"]["properties"]["protocol"].is_null() => {
            add(copies(2), &["Listener name must be unique"], "[1].name")
        }
        (Some("map"), _) => add(copies(2), &["Duplicate value"], "[1]"),
        _ => {}
    }
    list
}

/// The value at a path such as `spec.rules[].name`, in the first item of each list.
fn place<'v>(object: &'v mut Value, path: &str) -> &'v mut Value {
    let mut at = object;
    for step in path.replace("[]", ".0").replace("{}", ".key").split('.') {
        at = if at.is_array() { &mut at[0] } else { &mut at[step] };
    }
    at
}

/// The path as a message names it.
fn written(path: &str) -> String {
    path.replace("[]", "[0]").replace("{}", ".key")
}

/// Whether a finding tells of a broken bound.
fn tells(finding: &Diagnostic, path: &str, broken: &Broken) -> bool {
    finding.code == Code::Rejected && finding.path == path && broken.words.iter().all(|word| finding.message.contains(word.as_str()))
}

/// Bounds for which the API has a sentence besides, which says the same and is the one that is told.
fn same_in_other_words(schema: &Schema, path: &str, broken: &mut Broken) {
    if schema.kind == "TLSRoute" && schema.version != "v1alpha2" {
        match path {
            "spec.hostnames[]" if broken.words[0].starts_with("should match") => {
                broken.words = vec!["Hostnames must be valid based on RFC-1123".to_owned()];
            }
            // An empty list is an absent one ([R-6]).
            "spec.hostnames" if broken.words[0].starts_with("should have at least") => broken.words = vec!["Required value".to_owned()],
            _ => {}
        }
    }
}

#[test]
fn every_bound_is_kept() {
    let (mut bounds, mut required, mut missed) = (0, 0, Vec::new());
    let mut seen: Vec<Schema> = Vec::new();
    for schema in schemas() {
        // Most versions and channels of a kind have one schema.
        if seen.iter().any(|earlier| earlier.kind == schema.kind && earlier.root == schema.root) {
            continue;
        }
        let name = format!("{} {} {}", schema.channel, schema.kind, schema.version);
        let mut good = json!({
            "apiVersion": format!("{}/{}", schema.group, schema.version),
            "kind": schema.kind,
            "metadata": {"name": "sample"},
            "spec": valid(&schema.root["properties"]["spec"]),
        });
        let before = findings(&good);
        assert!(before.iter().all(|finding| finding.code != Code::Schema), "{name}: {before:#?}");
        let mut places = Vec::new();
        walk(&schema.root, &mut |path, of| places.push((path.to_owned(), of)));
        for (path, of) in &places {
            let sound = place(&mut good, path).clone();
            for mut broken in breaks(of, &sound) {
                same_in_other_words(&schema, path, &mut broken);
                let at = format!("{}{}", written(path), broken.at);
                let mut object = good.clone();
                *place(&mut object, path) = broken.value.clone();
                let told = findings(&object);
                if before.iter().any(|finding| tells(finding, &at, &broken)) || !told.iter().any(|finding| tells(finding, &at, &broken)) {
                    let near: Vec<_> = told.iter().filter(|finding| finding.path.starts_with(&at)).map(ToString::to_string).collect();
                    missed.push(format!("{name}: {at} = {}: no `{}` but {near:#?}", short(&broken.value), broken.words.join(", ")));
                }
                bounds += 1;
            }
            for field in of["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut object = good.clone();
                place(&mut object, path).as_object_mut().expect("an object").remove(field);
                let (around, inside) = (written(path), format!("{}.{field}", written(path)));
                // Most are refused by the loader; a few have a default there, so that the rest of the object is read.
                let told = findings(&object).iter().any(|finding| {
                    let of_loader =
                        finding.code == Code::Schema && finding.path == around && finding.message.contains(&format!("`{field}`"));
                    let of_rules = finding.code == Code::Rejected && finding.path == inside;
                    finding.severity == Severity::Error && (of_loader || of_rules)
                });
                if !told {
                    missed.push(format!("{name}: {inside} is required: {:#?}", findings(&object)));
                }
                required += 1;
            }
        }
        seen.push(schema);
    }
    println!("{bounds} bounds, {required} required fields");
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    assert!(bounds == 0 || (bounds > 1_000 && required > 200), "{bounds} bounds, {required} required fields");
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
