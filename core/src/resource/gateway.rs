//! Gateway and its listeners.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::meta::{DefaultScope, LabelSelector, LocalObjectReference, ObjectMeta, ObjectReference, SecretObjectReference};
use super::open_enum::open_enum;
use super::status::{GatewayStatus, RouteGroupKind};

/// A Gateway: listeners that accept traffic, and who may attach routes to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: GatewaySpec,
    /// Observed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<GatewayStatus>,
}

/// `spec` of a [`Gateway`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Name of the GatewayClass.
    pub gateway_class_name: String,
    /// Listeners, 1 to 64.
    pub listeners: Vec<Listener>,
    /// Requested addresses ([L-28]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub addresses: Vec<GatewaySpecAddress>,
    /// Labels and annotations of generated resources ([L-29]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<GatewayInfrastructure>,
    /// Which ListenerSets may attach ([L-17]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_listeners: Option<AllowedListeners>,
    /// TLS towards clients and backends ([L-34] to [L-37]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
    /// Whether routes without parentRefs attach ([N-1], experimental).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_scope: Option<DefaultScope>,
}

/// One listener of a Gateway or ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name, unique within the object.
    pub name: String,
    /// Hostname; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Port, 1 to 65535.
    pub port: i32,
    /// Protocol.
    pub protocol: ProtocolType,
    /// TLS settings of HTTPS and TLS listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Which routes may attach ([L-15]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_routes: Option<AllowedRoutes>,
}

open_enum! {
    /// Protocol of a listener.
    ProtocolType {
        Http = "HTTP",
        Https = "HTTPS",
        Tls = "TLS",
        Tcp = "TCP",
        Udp = "UDP",
    }
}

/// `tls` of a [`Listener`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTls {
    /// Terminate (the default) or Passthrough ([L-30]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// Certificates to serve ([L-11]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub certificate_refs: Vec<SecretObjectReference>,
    /// Implementation-specific settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::null_as_default")]
    pub options: BTreeMap<String, String>,
}

open_enum! {
    /// What a listener does with TLS.
    TlsMode {
        Terminate = "Terminate",
        Passthrough = "Passthrough",
    }
}

/// `allowedRoutes` of a [`Listener`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedRoutes {
    /// From which namespaces, default `Same`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<RouteNamespaces>,
    /// Which kinds; empty means those of the protocol ([L-8]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub kinds: Vec<RouteGroupKind>,
}

/// Namespaces that routes (or ListenerSets) may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteNamespaces {
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FromNamespaces>,
    /// For `Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

open_enum! {
    /// A set of namespaces relative to the object that carries the field.
    FromNamespaces {
        All = "All",
        Selector = "Selector",
        Same = "Same",
        None = "None",
    }
}

/// `allowedListeners` of a [`Gateway`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedListeners {
    /// From which namespaces, default `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<RouteNamespaces>,
}

/// One requested address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySpecAddress {
    /// Type, default `IPAddress`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Value; absent asks for any address of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// `infrastructure` of a [`Gateway`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayInfrastructure {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Controller-specific configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<LocalObjectReference>,
}

/// `tls` of a [`Gateway`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTls {
    /// Towards backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<GatewayBackendTls>,
    /// Towards clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<FrontendTls>,
}

/// TLS of a Gateway towards its backends ([L-37]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayBackendTls {
    /// Client certificate of every TLS connection to a backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretObjectReference>,
}

/// TLS of a Gateway towards its clients ([L-34]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrontendTls {
    /// For every port without an entry of its own.
    pub default: FrontendTlsConfig,
    /// Per port; replaces the default as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "super::null_as_default")]
    pub per_port: Vec<FrontendTlsPort>,
}

/// TLS towards clients for one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendTlsPort {
    /// The port.
    pub port: i32,
    /// Its settings.
    pub tls: FrontendTlsConfig,
}

/// Settings of TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendTlsConfig {
    /// How client certificates are validated; absent means they are not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<FrontendTlsValidation>,
}

/// Validation of client certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrontendTlsValidation {
    /// Certificates of the authorities ([L-36]).
    pub ca_certificate_refs: Vec<ObjectReference>,
    /// What happens without a valid certificate ([L-35]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FrontendValidationMode>,
}

open_enum! {
    /// What happens to a connection without a valid client certificate.
    FrontendValidationMode {
        AllowValidOnly = "AllowValidOnly",
        AllowInsecureFallback = "AllowInsecureFallback",
    }
}
