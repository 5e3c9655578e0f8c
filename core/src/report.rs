//! Decisions as owned data with names instead of ids: what the command line prints as JSON and the bindings
//! return. The shape is stable: fields are added, never renamed.

use std::fmt;

use serde::Serialize;

use crate::decision::{Check, Decision, HeaderEdits, Matched, Parent, ResponseEdits};
use crate::diagnostic::ObjectRef;
pub use crate::routing::RoutingRow;
use crate::table::{BackendId, BackendTls, Endpoints, SubjectAltName, Table, Trust};

/// A decision with names.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "decision")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "one is made for each line of output")]
pub enum DecisionReport {
    /// Send the request to a backend.
    Forward {
        /// What matched.
        #[serde(flatten)]
        matched: MatchReport,
        /// The backend.
        backend: BackendReport,
        /// Path and query to forward.
        target: String,
        /// Authority to forward.
        #[serde(skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
        /// Edits of the request's header fields, in order.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        request_headers: Vec<HeaderEditReport>,
        /// Edits of the response's header fields, in order.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        response_headers: Vec<HeaderEditReport>,
        /// Backends that get a copy of this request.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        mirrors: Vec<BackendReport>,
        /// Timeout of the whole request in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_timeout_ms: Option<u64>,
        /// Timeout of each attempt in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        backend_request_timeout_ms: Option<u64>,
        /// Retries.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<RetryReport>,
        /// Session persistence.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<SessionReport>,
        /// A service that is asked first.
        #[serde(skip_serializing_if = "Option::is_none")]
        auth: Option<AuthReport>,
        /// Filters of the embedding program's own, in the order in which they run.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        extensions: Vec<ObjectRef>,
    },
    /// Answer with a redirect.
    Redirect {
        /// What matched.
        #[serde(flatten)]
        matched: MatchReport,
        /// Status code.
        status: u16,
        /// Value of `Location`.
        location: String,
        /// Edits of the response's header fields, in order.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        response_headers: Vec<HeaderEditReport>,
        /// A service that is asked first.
        #[serde(skip_serializing_if = "Option::is_none")]
        auth: Option<AuthReport>,
        /// Filters of the embedding program's own, in the order in which they run.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        extensions: Vec<ObjectRef>,
    },
    /// Answer with a status.
    Respond {
        /// What matched, if something did.
        #[serde(flatten)]
        matched: Option<MatchReport>,
        /// Status code for an HTTP client.
        status: u16,
        /// gRPC status code for a gRPC client.
        #[serde(skip_serializing_if = "Option::is_none")]
        grpc_status: Option<u8>,
        /// Why, a stable word.
        reason: &'static str,
        /// Why, a sentence.
        message: String,
        /// Edits of the response's header fields, in order.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        response_headers: Vec<HeaderEditReport>,
        /// A service that is asked before the extensions run.
        #[serde(skip_serializing_if = "Option::is_none")]
        auth: Option<AuthReport>,
        /// Filters of the embedding program's own, of which one may answer instead.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        extensions: Vec<ObjectRef>,
    },
}

/// What matched, with names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MatchReport {
    /// `namespace/name` of the Gateway.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// Name of the listener.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener: String,
    /// `namespace/name` of the ListenerSet that has the listener, if it is not the Gateway's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_set: Option<String>,
    /// In a mesh: `namespace/name:port` of the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The route.
    pub route: ObjectRef,
    /// Index in `spec.rules`.
    pub rule: u32,
    /// Name of the rule, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_name: Option<String>,
    /// Index in `matches`.
    #[serde(rename = "match")]
    pub match_: u32,
}

/// A backend, with names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BackendReport {
    /// `Service`, `ServiceImport` or `XBackend`.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Port of the Service.
    pub port: u16,
    /// `http1`, `h2c`, `tcp` or `udp`.
    pub protocol: &'static str,
    /// For an XBackend: the host outside of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// TLS to speak to it; nothing is sent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTlsReport>,
    /// Bound on its retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudgetReport>,
}

/// TLS towards a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BackendTlsReport {
    /// Server name to send, and to verify unless there are other names.
    pub hostname: String,
    /// Names of which the certificate must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// ConfigMaps with the authorities that are trusted; none are those of the operating system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ca_certificates: Vec<ObjectRef>,
    /// Secret with the certificate to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ObjectRef>,
}

/// Bound on the retries of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RetryBudgetReport {
    /// Retries for a hundred requests.
    pub percent: u8,
    /// Time over which they are counted, in milliseconds.
    pub interval_ms: u64,
    /// Retries that are always allowed.
    pub min_count: u32,
    /// Time over which these are counted, in milliseconds.
    pub min_interval_ms: u64,
}

/// A service that is asked before a request goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuthReport {
    /// `http` or `grpc`.
    pub protocol: &'static str,
    /// The service.
    pub backend: BackendReport,
    /// What stands before the path that an HTTP service is asked about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    /// Fields that the service gets beside the fixed ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<String>,
    /// Fields of its answer that are copied into the request; none are all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<String>,
    /// Octets of the body that it gets at most; 0 is no body.
    pub max_body: u32,
}

/// One edit of a header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderEditReport {
    /// `set`, `add` or `remove`.
    pub action: &'static str,
    /// Name in lower case.
    pub name: String,
    /// Value; octets outside of UTF-8 are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Retries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryReport {
    /// Number of retries.
    pub attempts: u32,
    /// Response codes that are retried.
    pub codes: Vec<u16>,
    /// Least pause in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u64>,
}

/// Session persistence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionReport {
    /// `cookie` or `header`.
    pub carrier: &'static str,
    /// Name of the cookie or field.
    pub name: String,
    /// Longest life in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_timeout_ms: Option<u64>,
    /// Whether the cookie outlives the browser's session.
    pub permanent: bool,
}

/// One line for a person.
impl fmt::Display for DecisionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matched = match self {
            Self::Forward { matched, backend, target, authority, .. } => {
                write!(f, "forward to {backend}, {}{target}", authority.as_deref().unwrap_or_default())?;
                Some(matched)
            }
            Self::Redirect { matched, status, location, .. } => {
                write!(f, "redirect {status} to {location}")?;
                Some(matched)
            }
            Self::Respond { matched, status, message, .. } => {
                write!(f, "respond {status}: {message}")?;
                matched.as_ref()
            }
        };
        matched.map_or(Ok(()), |matched| write!(f, " ({matched})"))
    }
}

/// The rule by its place in the manifests.
impl fmt::Display for MatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {}", self.route, self.rule)?;
        self.rule_name.as_ref().map_or(Ok(()), |name| write!(f, " `{name}`"))
    }
}

/// `namespace/name:port`
impl fmt::Display for BackendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.port)
    }
}

impl Table {
    /// A decision with names instead of ids. Allocates; meant for logs, tools and bindings.
    pub fn report(&self, decision: &Decision<'_>) -> DecisionReport {
        match decision {
            Decision::Forward(d) => DecisionReport::Forward {
                matched: self.match_report(d.matched),
                backend: self.backend_report(d.backend),
                target: d.target.to_string(),
                authority: d.authority.map(str::to_owned),
                request_headers: header_edits(&d.request_headers),
                response_headers: response_edits(&d.response),
                mirrors: d.mirrors.iter().map(|id| self.backend_report(id)).collect(),
                request_timeout_ms: d.timeouts.request.map(millis),
                backend_request_timeout_ms: d.timeouts.backend_request.map(millis),
                retry: d.retry.map(|r| RetryReport {
                    attempts: r.attempts(),
                    codes: r.codes().to_vec(),
                    backoff_ms: r.backoff().map(millis),
                }),
                session: d.session.map(|session| session.persistence()).map(|s| SessionReport {
                    carrier: match s.carrier() {
                        crate::model::session::SessionCarrier::Cookie => "cookie",
                        crate::model::session::SessionCarrier::Header => "header",
                    },
                    name: s.name().to_owned(),
                    absolute_timeout_ms: s.absolute_timeout().map(millis),
                    permanent: s.is_permanent(),
                }),
                auth: d.auth.as_ref().map(|check| self.auth_report(check)),
                extensions: d.extensions.iter().cloned().collect(),
            },
            Decision::Redirect(d) => DecisionReport::Redirect {
                matched: self.match_report(d.matched),
                status: d.status.as_u16(),
                location: d.location.to_string(),
                response_headers: response_edits(&d.response),
                auth: d.auth.as_ref().map(|check| self.auth_report(check)),
                extensions: d.extensions.iter().cloned().collect(),
            },
            Decision::Respond(d) => DecisionReport::Respond {
                matched: d.matched.map(|m| self.match_report(m)),
                status: d.status.as_u16(),
                grpc_status: d.grpc_status.map(crate::decision::GrpcStatus::code),
                reason: d.reason.as_str(),
                message: d.reason.to_string(),
                response_headers: response_edits(&d.response),
                auth: d.auth.as_ref().map(|check| self.auth_report(check)),
                extensions: d.extensions.iter().cloned().collect(),
            },
        }
    }

    /// The names of a match.
    pub fn match_report(&self, matched: Matched) -> MatchReport {
        let rule = self.rule(matched.rule);
        MatchReport {
            route: self.route(matched.route).map(|r| r.object.clone()).unwrap_or_default(),
            rule: rule.map(|r| r.index).unwrap_or_default(),
            rule_name: rule.and_then(|r| r.name.as_deref().map(str::to_owned)),
            match_: self.match_info(matched.match_).map(|m| m.index).unwrap_or_default(),
            ..self.parent_report(matched.parent)
        }
    }

    /// The names of a parent alone.
    pub(crate) fn parent_report(&self, parent: Parent) -> MatchReport {
        let listener = parent.listener().and_then(|id| self.listener(id));
        let frontend = match parent {
            Parent::Service(id) => self.frontend(id),
            Parent::Listener(_) => None,
        };
        let gateway = listener.and_then(|l| self.gateway(l.gateway));
        MatchReport {
            gateway: gateway.map(|g| format!("{}/{}", g.object.namespace, g.object.name)).unwrap_or_default(),
            listener: listener.map(|l| l.name.to_string()).unwrap_or_default(),
            listener_set: listener.filter(|l| &*l.owner.kind == "ListenerSet").map(|l| format!("{}/{}", l.owner.namespace, l.owner.name)),
            service: frontend.map(|f| format!("{}/{}{}", f.service.namespace, f.service.name, f.port_suffix())),
            ..MatchReport::default()
        }
    }

    /// The names of a backend.
    pub fn backend_report(&self, id: BackendId) -> BackendReport {
        self.backend(id)
            .map(|b| BackendReport {
                kind: b.object.kind.to_string(),
                namespace: b.object.namespace.to_string(),
                name: b.object.name.to_string(),
                port: b.port,
                protocol: b.protocol.as_str(),
                host: match &b.endpoints {
                    Endpoints::External(host) => Some(host.to_string()),
                    _ => None,
                },
                tls: b.tls.as_ref().map(backend_tls),
                retry_budget: b.retry_budget.as_ref().map(|budget| RetryBudgetReport {
                    percent: budget.percent(),
                    interval_ms: millis(budget.interval()),
                    min_count: budget.min_count(),
                    min_interval_ms: millis(budget.min_interval()),
                }),
            })
            .unwrap_or_default()
    }

    fn auth_report(&self, check: &Check<'_>) -> AuthReport {
        let service = check.service;
        let names = |list: &[http::HeaderName]| list.iter().map(|name| name.as_str().to_owned()).collect();
        AuthReport {
            protocol: service.protocol().as_str(),
            backend: self.backend_report(service.backend()),
            path_prefix: service.path_prefix().to_owned(),
            request_headers: names(service.request_headers()),
            response_headers: names(service.response_headers()),
            max_body: service.max_body(),
        }
    }
}

fn backend_tls(tls: &BackendTls) -> BackendTlsReport {
    let name = |name: &SubjectAltName| match name {
        SubjectAltName::Hostname(name) | SubjectAltName::Uri(name) => name.to_string(),
    };
    BackendTlsReport {
        hostname: tls.hostname.to_string(),
        subject_alt_names: tls.subject_alt_names.iter().map(name).collect(),
        ca_certificates: match &tls.trust {
            Trust::System => Vec::new(),
            Trust::Bundles(bundles) => bundles.to_vec(),
        },
        client_certificate: tls.client_certificate.clone(),
    }
}

fn millis(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn header_edits(edits: &HeaderEdits<'_>) -> Vec<HeaderEditReport> {
    let field = |action, (name, value): &(http::HeaderName, http::HeaderValue)| HeaderEditReport {
        action,
        name: name.as_str().to_owned(),
        value: Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
    };
    edits
        .modifiers()
        .flat_map(|m| {
            let set = m.set().iter().map(move |f| field("set", f));
            let add = m.add().iter().map(move |f| field("add", f));
            let remove = m.remove().iter().map(|name| HeaderEditReport { action: "remove", name: name.as_str().to_owned(), value: None });
            set.chain(add).chain(remove)
        })
        .collect()
}

fn response_edits(edits: &ResponseEdits<'_>) -> Vec<HeaderEditReport> {
    let mut all = header_edits(&edits.headers());
    if let Some(cors) = edits.cors() {
        let mut fields = http::HeaderMap::new();
        crate::apply::cors_headers(&cors, &mut fields);
        all.extend(fields.iter().map(|(name, value)| HeaderEditReport {
            action: if name == http::header::VARY { "add" } else { "set" },
            name: name.as_str().to_owned(),
            value: Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
        }));
    }
    all
}
