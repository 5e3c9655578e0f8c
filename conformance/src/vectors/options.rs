//! Options of a vector, as text.

use std::collections::BTreeMap;

use gatewright::resource::status::GatewayStatusAddress;
use gatewright::{Extension, Feature, Options};
use serde::Deserialize;

use super::auth::extension;

/// Options; what is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OptionSettings {
    controller: Option<String>,
    /// Features that the embedding program does not carry out ([R-14]).
    #[serde(default)]
    without_features: Vec<String>,
    /// Addresses that Gateways can be given, as `Type value`.
    addresses: Option<Vec<String>>,
    #[serde(default)]
    unavailable_ports: Vec<u16>,
    /// ExtensionRef filters that the embedding program knows how to run, as `group/Kind namespace/name` ([F-60]).
    #[serde(default)]
    extensions: Vec<String>,
    /// Choices by the names of [`Options::set`], which refuses others.
    #[serde(flatten)]
    choices: BTreeMap<String, String>,
}

impl OptionSettings {
    /// Whether nothing is chosen.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The options of the library.
    ///
    /// # Errors
    ///
    /// A name or value that no option has.
    pub fn options(&self) -> Result<Options, String> {
        let mut options = Options::default();
        options.controller = self.controller.as_deref().map(Into::into);
        for name in &self.without_features {
            let feature = Feature::from_name(name).ok_or_else(|| format!("no feature `{name}`"))?;
            options.features = options.features.without(feature);
        }
        options.addresses = self.addresses.as_ref().map(|all| all.iter().map(|one| address(one)).collect());
        options.unavailable_ports = self.unavailable_ports.iter().copied().collect();
        options.extensions =
            self.extensions.iter().map(|text| Ok((extension(text)?, Extension::default()))).collect::<Result<_, String>>()?;
        self.choices.iter().try_for_each(|(name, value)| options.set(name, value))?;
        Ok(options)
    }
}

/// `Type value`
fn address(text: &str) -> GatewayStatusAddress {
    let (type_, value) = text.split_once(' ').unwrap_or(("IPAddress", text));
    GatewayStatusAddress { type_: Some(type_.to_owned()), value: value.to_owned() }
}
