//! The shape of a row of `traffic`. Unknown keys are refused: a new assertion must not pass unread.

#![allow(missing_docs, reason = "the keys are described in the README of the suite")]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::case::Named;

/// One row of traffic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub id: String,
    pub step: u32,
    pub protocol: Protocol,
    /// The addressee of a gateway row.
    #[serde(default)]
    pub gateway: Named,
    #[serde(default)]
    pub port: u16,
    #[serde(default)]
    pub port_from_listener: Option<String>,
    /// The sender of a mesh row.
    #[serde(default)]
    pub client: Option<Client>,
    /// What the sender of a mesh row dials.
    #[serde(default)]
    pub target: Option<Dialled>,
    pub request: RowRequest,
    pub expect: Expect,
    #[serde(default)]
    pub distribution: Option<Distribution>,
    #[serde(default)]
    pub repeat: Option<Repeat>,
    #[serde(default)]
    pub request_jitter: bool,
    #[serde(default)]
    pub request_timeout: Option<Millis>,
    #[serde(default)]
    pub backend_behaviour: Option<Behaviour>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    H2c,
    Https,
    H2,
    Grpc,
    Websocket,
    Tls,
    Tcp,
    Udp,
    Dns,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    pub kind: MeshPod,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeshPod {
    MeshPod,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialled {
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowRequest {
    #[serde(default = "get")]
    pub method: String,
    #[serde(default)]
    pub host: String,
    #[serde(default = "root")]
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub follow_redirects: bool,
    #[serde(default)]
    pub backend_set_response_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub grpc: Option<GrpcName>,
    #[serde(default)]
    pub sni: Option<String>,
    #[serde(default)]
    pub trust: Option<Named>,
    #[serde(default)]
    pub client_cert: Option<Named>,
    #[serde(default)]
    pub conversation: Option<Conversation>,
    #[serde(default)]
    pub payload: Option<String>,
    #[serde(default)]
    pub frames: Vec<Frame>,
    #[serde(default)]
    pub dns: Option<Question>,
}

fn get() -> String {
    "GET".into()
}

fn root() -> String {
    "/".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcName {
    pub service: String,
    pub method: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    TcpEcho,
    ConnectOnly,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    pub opcode: String,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub bytes: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub question: String,
    #[serde(rename = "type")]
    pub type_: String,
}

/// What the test backend does for the request of a row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Behaviour {
    Delay {
        duration: Millis,
    },
    RetrySimulation {
        fail_first: u32,
        failure: Failure,
        #[serde(default)]
        failure_status: Option<u16>,
        #[serde(default)]
        delay_before_failure: Millis,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    Status,
    ConnectionReset,
}

/// A duration as the suite writes it: `300ms` or `2s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Millis(pub u64);

impl TryFrom<String> for Millis {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = |digits: &str, factor: u64| digits.parse::<u64>().ok().map(|n| Self(n * factor));
        let value = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(digits), _) => read(digits, 1),
            (None, Some(digits)) => read(digits, 1000),
            (None, None) => None,
        };
        value.ok_or_else(|| format!("`{text}` is no duration"))
    }
}

/// What a row expects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub outcome: Outcome,
    #[serde(default)]
    pub status: Vec<u16>,
    #[serde(default)]
    pub status_accepted: Vec<u16>,
    #[serde(default)]
    pub status_not: Vec<u16>,
    #[serde(default)]
    pub status_retry: Vec<u16>,
    #[serde(default)]
    pub rejection: Vec<Rejection>,
    #[serde(default)]
    pub grpc_code: Option<GrpcCode>,
    #[serde(default)]
    pub grpc_code_not: Option<GrpcCode>,
    #[serde(default)]
    pub answered_by: Option<AnsweredBy>,
    #[serde(default)]
    pub backend: Option<WantedBackend>,
    #[serde(default)]
    pub not_backend: Option<WantedBackend>,
    #[serde(default)]
    pub backend_is_tls: Option<bool>,
    #[serde(default)]
    pub backend_sni: Option<String>,
    #[serde(default)]
    pub client_cert_requested: Option<bool>,
    #[serde(default)]
    pub forwarded: Option<WantedForwarded>,
    #[serde(default)]
    pub forwarded_header_names_backend: Option<String>,
    #[serde(default)]
    pub mirrored_to: Vec<WantedMirror>,
    #[serde(default)]
    pub mirrored_path: Option<String>,
    /// Number of samples that a share of mirrors may take; evenly spread picks need one.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    #[serde(default)]
    pub implied_backend_attempts: Option<Attempts>,
    #[serde(default)]
    pub frames: Vec<Frame>,
    #[serde(default)]
    pub max_time: Option<Millis>,
    #[serde(default)]
    pub response_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub response_headers_any_of: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub response_absent_headers: Vec<String>,
    #[serde(default)]
    pub ignore_spaces_in_header_values: bool,
    #[serde(default)]
    pub redirect: Option<WantedRedirect>,
    /// Stated upstream, compared there by nobody.
    #[serde(default)]
    pub unchecked: Unchecked,
}

/// Values that upstream states and does not compare.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unchecked {
    #[serde(default)]
    pub backend: Option<UncheckedBackend>,
    #[serde(default)]
    pub forwarded: Option<WantedForwarded>,
    #[serde(default)]
    pub redirect: Option<WantedRedirect>,
    #[serde(default)]
    pub grpc_response_headers: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UncheckedBackend {
    pub namespace: String,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Response,
    FailureResponse,
    RequestError,
    ConnectionRejected,
    ConnectionAccepted,
    GrpcResponse,
    GrpcFailure,
    Stream,
    WebsocketEcho,
    Datagram,
    DnsReply,
}

/// How a TLS connection may be refused: not by an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    Eof,
    ConnectionReset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    Backend,
    Gateway,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcCode {
    pub number: u8,
    pub name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedBackend {
    pub namespace: Option<String>,
    pub name: Option<String>,
    #[serde(rename = "match")]
    pub match_: NameMatch,
}

/// How the name of a backend is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameMatch {
    PodPrefix,
    PodPrefixDash,
    HostnamePrefix,
    ServiceName,
    Deployment,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedForwarded {
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub absent_headers: Vec<String>,
    #[serde(default)]
    pub tls: Option<WantedTls>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedTls {
    pub sni: String,
    #[serde(default)]
    pub client_cert: Option<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedMirror {
    pub namespace: String,
    pub name: String,
    #[serde(default)]
    pub percent: Option<f64>,
    #[serde(default)]
    pub min_count: Option<f64>,
    #[serde(default)]
    pub max_count: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    pub min: u32,
    pub max: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedRedirect {
    pub scheme: String,
    pub host: Option<String>,
    pub port: Option<StringOrNumber>,
    pub path: String,
}

/// A port, written either way.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum StringOrNumber {
    Number(u16),
    Text(String),
}

impl std::fmt::Display for StringOrNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    pub requests: u32,
    pub concurrency: u32,
    pub tolerance: f64,
    pub max_attempts: u32,
    pub expected: Vec<Fraction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fraction {
    pub name: String,
    pub fraction: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    pub count: u32,
    pub concurrency: u32,
    pub all_must_match: bool,
}
