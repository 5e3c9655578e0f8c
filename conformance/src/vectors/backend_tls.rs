//! TLS towards a backend: what is wanted, and the comparison.

use gatewright::table::{BackendTls, SubjectAltName, Trust};
use serde::Deserialize;

use super::differences::Differences;
use super::status::object_name;

/// How TLS is spoken to a backend.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedTls {
    /// The server name.
    hostname: String,
    /// `Hostname x` or `URI x`, all of them in order.
    #[serde(default)]
    subject_alt_names: Vec<String>,
    /// `System`, or the trusted certificates as `ConfigMap namespace/name`, all of them in order.
    trust: Vec<String>,
    /// `Secret namespace/name`, if the backend has its own.
    client_certificate: Option<String>,
}

impl WantedTls {
    pub(super) fn check(&self, got: Option<&BackendTls>, differ: &mut Differences) {
        let got = got.map(|got| Self {
            hostname: got.hostname.to_string(),
            subject_alt_names: got.subject_alt_names.iter().map(name).collect(),
            trust: match &got.trust {
                Trust::System => vec!["System".to_owned()],
                Trust::Bundles(bundles) => bundles.iter().map(object_name).collect(),
            },
            client_certificate: got.client_certificate.as_ref().map(object_name),
        });
        differ.equal("TLS towards the backend", got.as_ref(), Some(self));
    }
}

fn name(name: &SubjectAltName) -> String {
    match name {
        SubjectAltName::Hostname(name) => format!("Hostname {name}"),
        SubjectAltName::Uri(uri) => format!("URI {uri}"),
    }
}
