//! Options of a vector, as text.

use gatewright::resource::status::GatewayStatusAddress;
use gatewright::{Feature, MissingServices, Options, Profile};
use serde::Deserialize;

/// Options; what is absent has its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSettings {
    /// The controller whose GatewayClasses are served.
    pub controller: Option<String>,
    /// `Strict` or `Compatible`.
    pub profile: Option<String>,
    /// `NotFound`, `Assume` or `Infer`.
    pub missing_services: Option<String>,
    /// Features that the embedding program does not carry out ([R-14]).
    #[serde(default)]
    pub without_features: Vec<String>,
    /// Addresses that Gateways can be given, as `Type value`.
    pub addresses: Option<Vec<String>>,
    /// Ports that the host cannot open.
    #[serde(default)]
    pub unavailable_ports: Vec<u16>,
}

impl OptionSettings {
    /// The options of the library.
    ///
    /// # Errors
    ///
    /// A text that no option has.
    pub fn options(&self) -> Result<Options, String> {
        let mut options = Options::default();
        options.controller = self.controller.as_deref().map(Into::into);
        options.profile = match self.profile.as_deref() {
            None | Some("Strict") => Profile::Strict,
            Some("Compatible") => Profile::Compatible,
            Some(other) => return Err(format!("no profile `{other}`")),
        };
        options.missing_services = match self.missing_services.as_deref() {
            None | Some("NotFound") => MissingServices::NotFound,
            Some("Assume") => MissingServices::Assume,
            Some("Infer") => MissingServices::Infer,
            Some(other) => return Err(format!("no missing_services `{other}`")),
        };
        for name in &self.without_features {
            let feature = Feature::from_name(name).ok_or_else(|| format!("no feature `{name}`"))?;
            options.features = options.features.without(feature);
        }
        options.addresses = self.addresses.as_ref().map(|all| all.iter().map(|one| address(one)).collect());
        options.unavailable_ports = self.unavailable_ports.iter().copied().collect();
        Ok(options)
    }
}

/// `Type value`
fn address(text: &str) -> GatewayStatusAddress {
    let (type_, value) = text.split_once(' ').unwrap_or(("IPAddress", text));
    GatewayStatusAddress { type_: Some(type_.to_owned()), value: value.to_owned() }
}
