//! The options of a compilation, as JavaScript writes them: flat, in camelCase.

use std::collections::BTreeMap;

use gatewright::resource::status::GatewayStatusAddress;
use gatewright::{EndpointAddresses, Extension, Feature, MissingServices, ObjectRef, Options};
use serde::Deserialize;

/// See `CompileOptions` in the types of the package.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Written {
    controller: Option<String>,
    missing_services: Option<String>,
    without_features: Vec<String>,
    addresses: Option<Vec<GatewayStatusAddress>>,
    unavailable_ports: Vec<u16>,
    extensions: Vec<WrittenExtension>,
    endpoint_addresses: Option<String>,
    /// The choices about matching, which core reads by name.
    #[serde(flatten)]
    choices: BTreeMap<String, serde_json::Value>,
}

/// An object behind ExtensionRef filters that the program runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExtension {
    #[serde(default)]
    group: String,
    kind: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    name: String,
    #[serde(default)]
    services: Vec<WrittenService>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenService {
    name: String,
    port: u16,
}

fn default_namespace() -> String {
    "default".to_owned()
}

impl Written {
    /// The options as core takes them.
    ///
    /// # Errors
    ///
    /// A sentence that names the option, and what it may be.
    pub(crate) fn read(self) -> Result<Options, String> {
        let mut options = Options::default();
        options.controller = self.controller.map(Into::into);
        options.missing_services = match self.missing_services.as_deref() {
            None | Some("infer") => MissingServices::Infer,
            Some("assume") => MissingServices::Assume,
            Some("notFound") => MissingServices::NotFound,
            Some(other) => return Err(format!("missingServices: `{other}` is none of infer, assume, notFound")),
        };
        for name in &self.without_features {
            let feature = Feature::from_name(name).ok_or_else(|| format!("withoutFeatures: there is no feature `{name}`"))?;
            options.features = options.features.without(feature);
        }
        options.addresses = self.addresses;
        options.unavailable_ports = self.unavailable_ports.into_iter().collect();
        for WrittenExtension { group, kind, namespace, name, services } in self.extensions {
            let mut extension = Extension::default();
            extension.services = services.into_iter().map(|service| (service.name.into(), service.port)).collect();
            options.extensions.insert(ObjectRef::new(&group, &kind, &namespace, &name), extension);
        }
        options.endpoint_addresses = match self.endpoint_addresses.as_deref() {
            None | Some("otherHosts") => EndpointAddresses::OtherHosts,
            Some("any") => EndpointAddresses::Any,
            Some(other) => return Err(format!("endpointAddresses: `{other}` is none of otherHosts, any")),
        };
        for (name, value) in &self.choices {
            let value = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Bool(on) => on.to_string(),
                other => return Err(format!("{name}: {other} is no text")),
            };
            options.set(&snake_case(name), &value).map_err(|sentence| format!("{name}: {sentence}"))?;
        }
        Ok(options)
    }
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Options, String> {
        serde_json::from_str::<Written>(json).map_err(|error| error.to_string())?.read()
    }

    #[test]
    fn every_choice_by_its_name() {
        let options = read(r#"{"regexRank": "after-prefix", "mergeSlashes": false, "httpAndGrpc": "merge"}"#).unwrap();
        let told: Vec<String> = options.chosen().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["merge_slashes=false", "regex_rank=after-prefix", "http_and_grpc=merge"]);
        assert_eq!(read("{}").unwrap().missing_services, MissingServices::Infer);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, part) in [
            (r#"{"regexRank": "first"}"#, "regexRank: `first` is none of"),
            (r#"{"regexrank": "by-length"}"#, "`regexrank` is none of"),
            (r#"{"missingServices": "guess"}"#, "missingServices"),
            (r#"{"withoutFeatures": ["Teleport"]}"#, "Teleport"),
            (r#"{"endpointAddresses": "all"}"#, "endpointAddresses"),
            (r#"{"unavailablePorts": [70000]}"#, "70000"),
            (r#"{"profile": 3}"#, "profile: 3 is no text"),
        ] {
            let sentence = read(json).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
