//! Stage 4 for **connections and flows**: TLS by server name, TCP, UDP. The siblings of
//! [`Table::decide`](crate::Table::decide), with the same weights and the same answers to invalid references
//! ([T-1] to [T-9]).

use std::fmt;

use serde::Serialize;

use crate::canonical::{Host, RequestAuthority, parse_authority};
use crate::decide::host_name;
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::explain::others;
use crate::report::BackendReport;
use crate::request::{Arrival, Pick, Place};
use crate::table::host_map::Covering;
use crate::table::path_index;
use crate::table::rule::RuleData;
use crate::table::{BackendId, ListenerId, ListenerProtocol, PortProtocol, RouteId, RuleId, ServedRoutes, Table};

/// What is to be done with a connection, or with the first datagram of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionDecision {
    /// Serve HTTP on it, and ask [`Table::decide`] about each request.
    Http {
        /// Over TLS: the listener that the server name chose. Its certificates are served, and it belongs into
        /// [`Arrival::listener`] of the requests. `None` without TLS: the host of each request chooses.
        listener: Option<ListenerId>,
    },
    /// Join it to a backend.
    Forward(ForwardConnection),
    /// Close it: TLS and TCP by an end or reset without a TLS alert, UDP by dropping the datagram ([T-3], [T-7]).
    Reject(RejectConnection),
}

/// Join the connection to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardConnection {
    /// What matched.
    pub matched: MatchedConnection,
    /// The backend. If it has TLS settings they are for decrypted connections; what passes through stays as it is.
    pub backend: BackendId,
    /// What to do with TLS towards the client.
    pub tls: ConnectionTls,
}

/// What to do with the TLS of a connection ([T-2]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionTls {
    /// There is none: octets are forwarded as they come.
    None,
    /// Forward the octets of TLS untouched, the ClientHello included.
    Passthrough,
    /// Decrypt with the certificates of the listener.
    Terminate,
}

/// Which rule of which route, at which parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchedConnection {
    /// The parent.
    pub parent: Parent,
    /// The route.
    pub route: RouteId,
    /// The rule.
    pub rule: RuleId,
}

/// Close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectConnection {
    /// What matched, if something did.
    pub matched: Option<MatchedConnection>,
    /// The listener, if one was found.
    pub listener: Option<ListenerId>,
    /// Why.
    pub reason: ConnectionReason,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionReason {
    /// The server name of the handshake is not a host name.
    ServerName,
    /// No listener of the port accepts the server name ([L-23], [R-L3]).
    NoListener,
    /// The listener cannot be served, for instance for want of a certificate ([L-11]).
    NotProgrammed,
    /// No route of the listener is for the server name, or the listener has none ([T-3]).
    NoRoute,
    /// The rule has no backend.
    NoBackends,
    /// The chosen backendRef is invalid ([T-3], [T-7]).
    InvalidBackend,
    /// All weights are zero ([B-3]).
    ZeroWeights,
    /// The chosen backend has no ready endpoint ([B-8]).
    NoEndpoints,
}

impl ConnectionReason {
    /// A stable word for logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerName => "ServerName",
            Self::NoListener => "NoListener",
            Self::NotProgrammed => "NotProgrammed",
            Self::NoRoute => "NoRoute",
            Self::NoBackends => "NoBackends",
            Self::InvalidBackend => "InvalidBackend",
            Self::ZeroWeights => "ZeroWeights",
            Self::NoEndpoints => "NoEndpoints",
        }
    }
}

/// A sentence for a person.
impl fmt::Display for ConnectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerName => "the server name is not a host name",
            Self::NoListener => "no listener of the port accepts this server name",
            Self::NotProgrammed => "the listener cannot be served",
            Self::NoRoute => "no route matches",
            Self::NoBackends => "the rule has no backend",
            Self::InvalidBackend => "the chosen backendRef is invalid",
            Self::ZeroWeights => "all weights of the rule are zero",
            Self::NoEndpoints => "the chosen backend has no ready endpoint",
        })
    }
}

/// A decision about a connection, with names instead of ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "decision")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "one is made for each line of output")]
pub enum ConnectionReport {
    /// Serve HTTP.
    Http {
        /// `namespace/gateway/listener` that the server name chose.
        #[serde(skip_serializing_if = "Option::is_none")]
        listener: Option<String>,
    },
    /// Join it to a backend.
    Forward {
        /// `namespace/gateway/listener`, or the Service and port of a mesh.
        parent: String,
        /// The route.
        route: ObjectRef,
        /// Name of the rule, if it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule_name: Option<String>,
        /// The backend.
        backend: BackendReport,
        /// `none`, `passthrough` or `terminate`.
        tls: &'static str,
    },
    /// Close it.
    Reject {
        /// `namespace/gateway/listener`, if one was found.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
        /// The route, if one matched.
        #[serde(skip_serializing_if = "Option::is_none")]
        route: Option<ObjectRef>,
        /// Why, a stable word.
        reason: &'static str,
        /// Why, a sentence.
        message: String,
    },
}

impl fmt::Display for ConnectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { listener: Some(listener) } => write!(f, "serve HTTP over TLS as {listener}"),
            Self::Http { listener: None } => f.write_str("serve HTTP"),
            Self::Forward { route, backend, tls: "none", .. } => write!(f, "forward to {backend} ({route})"),
            Self::Forward { route, backend, tls, .. } => write!(f, "forward to {backend}, TLS {tls} ({route})"),
            Self::Reject { route: Some(route), message, .. } => write!(f, "reject: {message} ({route})"),
            Self::Reject { message, .. } => write!(f, "reject: {message}"),
        }
    }
}

/// The answer of [`Table::explain_connection`]; its `Display` is written for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionExplanation {
    /// Server name in the form in which it was compared, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The listener, or the Service and port of a mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The decision itself.
    pub decision: ConnectionReport,
    /// Every route of the parent that could serve the connection, the winner first.
    pub candidates: Vec<ConnectionCandidate>,
    /// What the parent has instead: hostnames that do not cover the server name, or listeners of the port.
    pub others: Vec<String>,
}

/// A route that could serve a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionCandidate {
    /// The route.
    pub route: ObjectRef,
    /// The hostname it is found under; `*` is any.
    pub hostname: String,
    /// Whether it serves the connection.
    pub won: bool,
}

impl fmt::Display for ConnectionExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.server_name {
            writeln!(f, "name      {name}")?;
        }
        if let Some(parent) = &self.parent {
            writeln!(f, "listener  {parent}")?;
        }
        writeln!(f, "decision  {}", self.decision)?;
        if !self.candidates.is_empty() {
            writeln!(f, "candidates, in order of precedence:")?;
        }
        for candidate in &self.candidates {
            let verdict = if candidate.won { "won" } else { "lost: a more specific hostname or an older route comes first" };
            writeln!(f, "  {} [{}]: {verdict}", candidate.route, candidate.hostname)?;
        }
        if !self.others.is_empty() {
            writeln!(f, "not for this connection: {}", self.others.join(", "))?;
        }
        Ok(())
    }
}

/// The parent of a connection, and what TLS is to it.
struct Found<'t> {
    parent: Parent,
    tls: ConnectionTls,
    routes: &'t ServedRoutes,
}

impl Table {
    /// Decides one connection, or the first datagram of a flow: where it arrived is all there is to know. On a
    /// TLS port the server name chooses the listener, then the route ([L-23], [L-25]). Never fails, never panics,
    /// allocates nothing.
    pub fn decide_connection(&self, arrival: &Arrival<'_>, pick: Pick) -> ConnectionDecision {
        let reject = |listener, reason| ConnectionDecision::Reject(RejectConnection { matched: None, listener, reason });
        let name = match server_name(arrival) {
            Ok(name) => name,
            Err(()) => return reject(None, ConnectionReason::ServerName),
        };
        let host = name.as_ref().and_then(|name| host_name(&name.host));
        match self.find_connection(arrival, name.as_ref().map(|name| &name.host)) {
            Err(decision) => decision,
            Ok(found) => match served_rules(&found, host).next() {
                None => reject(found.parent.listener(), ConnectionReason::NoRoute),
                Some((_, rule)) => self.connect(&found, rule, pick),
            },
        }
    }

    /// The parent of a connection; the error is the decision when no route is to be asked.
    fn find_connection(&self, arrival: &Arrival<'_>, host: Option<&Host<'_>>) -> Result<Found<'_>, ConnectionDecision> {
        let reject = |listener, reason| Err(ConnectionDecision::Reject(RejectConnection { matched: None, listener, reason }));
        let (parent, tls) = match arrival.place {
            Place::Service(id) => {
                let parent = Parent::Service(id);
                match self.served(parent) {
                    None => return reject(None, ConnectionReason::NoListener),
                    Some(routes) if !routes.http.is_empty() || !routes.grpc.is_empty() => {
                        return Err(ConnectionDecision::Http { listener: None });
                    }
                    Some(routes) => (parent, if routes.tls.is_empty() { ConnectionTls::None } else { ConnectionTls::Passthrough }),
                }
            }
            Place::Port(id) => {
                let Some(port) = self.port(id) else { return reject(None, ConnectionReason::NoListener) };
                if port.protocol == PortProtocol::Http {
                    return Err(ConnectionDecision::Http { listener: None });
                }
                let listener = arrival.listener.or_else(|| self.best_listener(id, host)).and_then(|id| self.listener(id));
                let Some(listener) = listener.filter(|listener| listener.port == id) else {
                    return reject(None, ConnectionReason::NoListener);
                };
                if !listener.programmed {
                    return reject(Some(listener.id), ConnectionReason::NotProgrammed);
                }
                let tls = match listener.protocol {
                    ListenerProtocol::Http | ListenerProtocol::Https => {
                        return Err(ConnectionDecision::Http { listener: Some(listener.id) });
                    }
                    ListenerProtocol::TlsTerminate => ConnectionTls::Terminate,
                    ListenerProtocol::TlsPassthrough => ConnectionTls::Passthrough,
                    ListenerProtocol::Tcp | ListenerProtocol::Udp => ConnectionTls::None,
                };
                (Parent::Listener(listener.id), tls)
            }
        };
        match self.served(parent) {
            Some(routes) => Ok(Found { parent, tls, routes }),
            None => reject(parent.listener(), ConnectionReason::NoRoute),
        }
    }

    /// What a rule does with a connection.
    fn connect(&self, found: &Found<'_>, rule: RuleId, pick: Pick) -> ConnectionDecision {
        let route = self.rule(rule).map(|info| info.route);
        let (Some(data), Some(route)) = (self.rule_data(rule), route) else {
            let listener = found.parent.listener();
            return ConnectionDecision::Reject(RejectConnection { matched: None, listener, reason: ConnectionReason::NoRoute });
        };
        let matched = MatchedConnection { parent: found.parent, route, rule };
        match self.choose(data, pick) {
            Ok(backend) => ConnectionDecision::Forward(ForwardConnection { matched, backend, tls: found.tls }),
            Err(reason) => {
                ConnectionDecision::Reject(RejectConnection { matched: Some(matched), listener: found.parent.listener(), reason })
            }
        }
    }

    fn choose(&self, data: &RuleData, pick: Pick) -> Result<BackendId, ConnectionReason> {
        if data.shares.is_empty() {
            return Err(ConnectionReason::NoBackends);
        }
        let (_, share) = data.shares.pick(pick).ok_or(ConnectionReason::ZeroWeights)?;
        let backend = share.backend.ok_or(ConnectionReason::InvalidBackend)?;
        if self.has_no_endpoint(backend) { Err(ConnectionReason::NoEndpoints) } else { Ok(backend) }
    }

    /// Explains the decision for a connection. Takes and gives what [`decide_connection`](Self::decide_connection)
    /// does, and allocates.
    pub fn explain_connection(&self, arrival: &Arrival<'_>, pick: Pick) -> ConnectionExplanation {
        let decision = self.decide_connection(arrival, pick);
        let name = server_name(arrival).ok().flatten();
        let host = name.as_ref().and_then(|name| host_name(&name.host));
        let mut explanation = ConnectionExplanation {
            server_name: name.as_ref().map(|name| name.host.to_lowercase()),
            parent: None,
            decision: self.connection_report(&decision),
            candidates: Vec::new(),
            others: Vec::new(),
        };
        let winner = match decision {
            ConnectionDecision::Forward(forward) => Some(forward.matched.rule),
            ConnectionDecision::Reject(reject) => reject.matched.map(|matched| matched.rule),
            ConnectionDecision::Http { .. } => None,
        };
        let Ok(found) = self.find_connection(arrival, name.as_ref().map(|name| &name.host)) else {
            if let (Place::Port(id), ConnectionDecision::Reject(_)) = (arrival.place, decision) {
                let listeners = self.port(id).map_or(&[][..], |port| &port.listeners).iter().filter_map(|id| self.listener(*id));
                explanation.others = listeners.map(|l| format!("{} ({})", l.name, l.hostname.as_deref().unwrap_or("any host"))).collect();
            }
            return explanation;
        };
        explanation.parent = self.parent_name(found.parent);
        for (covering, rule) in served_rules(&found, host) {
            let route = self.rule(rule).and_then(|info| self.route(info.route));
            explanation.candidates.push(ConnectionCandidate {
                route: route.map(|route| route.object.clone()).unwrap_or_default(),
                hostname: match covering {
                    Covering::Exact => host.unwrap_or_default().to_ascii_lowercase(),
                    Covering::Wildcard(suffix) => format!("*{}", suffix.to_ascii_lowercase()),
                    Covering::Any => "*".to_owned(),
                },
                won: Some(rule) == winner,
            });
        }
        let covers = |name: &crate::model::hostname::Hostname| host.is_some_and(|host| name.matches(&host.to_ascii_lowercase()));
        let names = others(&found.routes.tls).filter(|name| !covers(name));
        explanation.others = names.map(|name| name.to_string()).collect();
        explanation.others.sort();
        explanation
    }

    /// A decision about a connection with names instead of ids. Allocates; meant for logs, tools and bindings.
    pub fn connection_report(&self, decision: &ConnectionDecision) -> ConnectionReport {
        let route = |id| self.route(id).map(|route| route.object.clone());
        match decision {
            ConnectionDecision::Http { listener } => {
                ConnectionReport::Http { listener: listener.and_then(|id| self.parent_name(Parent::Listener(id))) }
            }
            ConnectionDecision::Forward(forward) => ConnectionReport::Forward {
                parent: self.parent_name(forward.matched.parent).unwrap_or_default(),
                route: route(forward.matched.route).unwrap_or_default(),
                rule_name: self.rule(forward.matched.rule).and_then(|rule| rule.name.as_deref().map(str::to_owned)),
                backend: self.backend_report(forward.backend),
                tls: match forward.tls {
                    ConnectionTls::None => "none",
                    ConnectionTls::Passthrough => "passthrough",
                    ConnectionTls::Terminate => "terminate",
                },
            },
            ConnectionDecision::Reject(reject) => ConnectionReport::Reject {
                parent: match (reject.matched, reject.listener) {
                    (Some(matched), _) => self.parent_name(matched.parent),
                    (None, Some(listener)) => self.parent_name(Parent::Listener(listener)),
                    (None, None) => None,
                },
                route: reject.matched.and_then(|matched| route(matched.route)),
                reason: reject.reason.as_str(),
                message: reject.reason.to_string(),
            },
        }
    }
}

/// The server name in canonical form; the error is a name that is none.
fn server_name<'a>(arrival: &Arrival<'a>) -> Result<Option<RequestAuthority<'a>>, ()> {
    match arrival.sni {
        None => Ok(None),
        // A server name has no port (RFC 6066 section 3).
        Some(name) if name.contains(':') => Err(()),
        Some(name) => parse_authority(name.as_bytes()).map(Some).map_err(|_| ()),
    }
}

/// The rules that could serve a connection, with the hostname that covers its server name; the first serves.
fn served_rules<'t>(found: &Found<'t>, host: Option<&'t str>) -> impl Iterator<Item = (Covering<'t>, RuleId)> {
    let streams = found.routes.streams.iter().map(|rule| (Covering::Any, *rule));
    let tls = found.routes.tls.levels(host).flat_map(|(covering, list)| path_index::rules(list).map(move |rule| (covering, rule)));
    // A listener has routes of one of the two kinds only.
    tls.chain(streams)
}
