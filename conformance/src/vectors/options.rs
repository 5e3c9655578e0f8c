//! Options of a vector, as text.

use gatewright::{MissingServices, Options, Profile};
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
        Ok(options)
    }
}
