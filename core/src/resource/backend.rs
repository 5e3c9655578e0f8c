//! XBackend: a backend that is no Service ([XB-1], experimental).

use serde::{Deserialize, Serialize};

use super::meta::{ObjectMeta, ParentReference, SecretObjectReference};
use super::open_enum::open_enum;
use super::policy::BackendTlsPolicyValidation;
use super::status::Condition;

/// A backend that is no Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XBackend {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: XBackendSpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<XBackendStatus>,
}

/// `spec` of an [`XBackend`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XBackendSpec {
    /// Kind of backend.
    #[serde(rename = "type")]
    pub type_: XBackendType,
    /// For `ExternalHostname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_hostname: Option<ExternalHostname>,
    /// Port.
    pub port: XBackendPort,
    /// Protocol the backend speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<XBackendProtocol>,
    /// TLS towards the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<XBackendTls>,
}

open_enum! {
    /// Kind of an [`XBackend`].
    XBackendType {
        ExternalHostname = "ExternalHostname",
    }
}

open_enum! {
    /// Protocol of an [`XBackend`].
    XBackendProtocol {
        Tcp = "TCP",
        Http = "HTTP",
        Http2 = "HTTP2",
        Http11 = "HTTP11",
        H2c = "H2C",
        Mcp = "MCP",
    }
}

/// A host outside of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalHostname {
    /// Its name.
    pub hostname: String,
}

/// The port of an [`XBackend`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XBackendPort {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number.
    pub port: i32,
}

/// TLS towards an [`XBackend`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XBackendTls {
    /// Who shows a certificate.
    pub mode: XBackendTlsMode,
    /// How the backend's certificate is validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<BackendTlsPolicyValidation>,
    /// The gateway's own certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretObjectReference>,
}

open_enum! {
    /// Who shows a certificate.
    XBackendTlsMode {
        None = "None",
        ServerOnly = "ServerOnly",
        ClientAndServer = "ClientAndServer",
    }
}

/// `status` of an [`XBackend`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XBackendStatus {
    /// One entry per Gateway that uses it.
    #[serde(default)]
    pub parents: Vec<XBackendParentStatus>,
}

/// `status` of an [`XBackend`] towards one Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XBackendParentStatus {
    /// The Gateway.
    pub parent_ref: ParentReference,
    /// The controller that wrote the entry.
    pub controller_name: String,
    /// Conditions.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
