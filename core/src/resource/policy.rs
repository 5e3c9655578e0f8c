//! Policies that change how backends are talked to: BackendTLSPolicy and XBackendTrafficPolicy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::meta::{LocalObjectReference, ObjectMeta};
use super::open_enum::open_enum;
use super::session::SessionPersistence;
use super::status::PolicyStatus;

/// TLS towards the backends it names ([TP-1]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendTlsPolicy {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: BackendTlsPolicySpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PolicyStatus>,
}

/// `spec` of a [`BackendTlsPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTlsPolicySpec {
    /// Targets, in the policy's namespace.
    pub target_refs: Vec<PolicyTargetReference>,
    /// How the backend's certificate is validated.
    pub validation: BackendTlsPolicyValidation,
    /// Implementation-specific settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::null_as_default")]
    pub options: BTreeMap<String, String>,
}

/// The target of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTargetReference {
    /// API group; empty is the Kubernetes core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Part of the target, for a Service the name of a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Validation of a backend's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTlsPolicyValidation {
    /// Certificates of the authorities.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub ca_certificate_refs: Vec<LocalObjectReference>,
    /// `System` for the authorities of the operating system.
    #[serde(default, rename = "wellKnownCACertificates", skip_serializing_if = "Option::is_none")]
    pub well_known_ca_certificates: Option<String>,
    /// Server name to send, and to find in the certificate.
    pub hostname: String,
    /// Names to find in the certificate instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// A name to find in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectAltName {
    /// Which of the two.
    #[serde(rename = "type")]
    pub type_: SubjectAltNameType,
    /// For `Hostname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// For `URI`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

open_enum! {
    /// Kind of a [`SubjectAltName`].
    SubjectAltNameType {
        Hostname = "Hostname",
        Uri = "URI",
    }
}

/// Retry budget and session persistence of the backends it names ([BT-1], experimental).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XBackendTrafficPolicy {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: XBackendTrafficPolicySpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PolicyStatus>,
}

/// `spec` of an [`XBackendTrafficPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct XBackendTrafficPolicySpec {
    /// Targets, in the policy's namespace.
    pub target_refs: Vec<LocalObjectReference>,
    /// Bound on retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_constraint: Option<RetryConstraint>,
    /// Session persistence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// Bound on retries ([BT-2]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryConstraint {
    /// Share of requests that may be retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RetryBudget>,
    /// Retries that are always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_retry_rate: Option<RequestRate>,
}

/// Share of requests that may be retries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// Percentage, default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// Time over which requests are counted, default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}

/// A number of requests in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRate {
    /// Number, default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// Time, default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}
