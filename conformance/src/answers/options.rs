//! Options in the words of the vectors.

use gatewright::{Extension, Feature, Options};
use serde_json::{Map, Value, json};

/// Every option that is not the default, and `missing_services`.
///
/// # Errors
///
/// An option for which the vectors have no word.
pub(super) fn words(options: &Options) -> Result<Value, String> {
    let mut words = Map::new();
    words.insert("missing_services".to_owned(), options.missing_services.as_str().into());
    if let Some(controller) = &options.controller {
        words.insert("controller".to_owned(), json!(controller));
    }
    let without: Vec<_> = Feature::ALL.iter().filter(|feature| !options.features.contains(**feature)).map(|f| f.as_str()).collect();
    if !without.is_empty() {
        words.insert("without_features".to_owned(), json!(without));
    }
    if let Some(addresses) = &options.addresses {
        let text = |type_: &Option<String>, value: &str| format!("{} {value}", type_.as_deref().unwrap_or("IPAddress"));
        let all: Vec<_> = addresses.iter().map(|address| text(&address.type_, &address.value)).collect();
        words.insert("addresses".to_owned(), json!(all));
    }
    if !options.unavailable_ports.is_empty() {
        words.insert("unavailable_ports".to_owned(), json!(options.unavailable_ports));
    }
    if options.extensions.values().any(|extension| *extension != Extension::default()) || options.endpoint_addresses != Default::default() {
        return Err("no word for services of extensions, nor for addresses of endpoints".to_owned());
    }
    let extensions: Vec<_> = options.extensions.keys().map(|o| format!("{}/{} {}/{}", o.group, o.kind, o.namespace, o.name)).collect();
    if !extensions.is_empty() {
        words.insert("extensions".to_owned(), json!(extensions));
    }
    words.extend(options.chosen().into_iter().map(|chosen| (chosen.name.to_owned(), chosen.value.into())));
    Ok(Value::Object(words))
}
