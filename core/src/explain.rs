//! Why a request is decided as it is: the winner and what made it win, every other match and why it did not, and
//! when nothing matched the one that came nearest.
//!
//! The conditions and the order are those that [`Table::decide`] uses; here they are asked of every match
//! instead of the first that holds.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::canonical::is_named_by_connection;
use crate::decision::{Parent, Reason};
use crate::model::hostname::Hostname;
use crate::model::matching::{Failed, Matcher, Subject, is_grpc};
use crate::options::{AliasHeaders, Chosen, HostnameFallback};
use crate::report::{DecisionReport, MatchReport};
use crate::request::{Headers, Pick, Place, Request};
use crate::table::host_map::{Covering, HostMap};
use crate::table::path_index;
use crate::table::precedence::{Criterion, Rank};
use crate::table::{MatchId, Table};

/// The answer of [`Table::explain`]; its `Display` is written for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// Method, host and canonical path and query, as they were matched.
    pub request: String,
    /// The listener: `namespace/gateway/listener`, if one accepts the host; in a mesh the Service and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The decision itself.
    pub decision: DecisionReport,
    /// What made the winner win over the next match that holds; absent when nothing won.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub won_by: Option<String>,
    /// Every match of the listener whose hostname covers the host, in order of precedence.
    pub candidates: Vec<Candidate>,
    /// When nothing matched: what came nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// Hostnames of the listener that do not cover the host; empty when the listener has more than 64.
    pub other_hostnames: Vec<String>,
    /// Header fields that matches do not see and backends do not get, because `Connection` names them or because they
    /// are aliases of others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped_headers: Vec<String>,
    /// The options about matching that are not the default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Chosen>,
}

/// One match that could have won.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Candidate {
    /// Its place in the manifests.
    #[serde(flatten)]
    pub place: MatchReport,
    /// The hostname it is found under; `*` is any.
    pub hostname: String,
    /// Its conditions.
    pub conditions: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "result")]
#[non_exhaustive]
pub enum Verdict {
    /// It won.
    Won,
    /// All of its conditions hold, but another match comes first.
    Lost {
        /// The criterion it lost on.
        criterion: &'static str,
    },
    /// A condition does not hold.
    Failed {
        /// The first condition that fails.
        condition: String,
        /// What the request has there.
        found: String,
    },
}

impl Table {
    /// Explains the decision for a request. Takes and gives what [`decide`](Self::decide) does, and allocates.
    pub fn explain<'a, H: Headers + ?Sized>(&'a self, request: &Request<'a, H>, pick: Pick) -> Explanation {
        let decision = self.decide(request, pick);
        let winner = decision.matched().map(|matched| matched.match_);
        let mut explanation = Explanation {
            request: format!("{} {}", request.method, String::from_utf8_lossy(request.target)),
            listener: None,
            decision: self.report(&decision),
            won_by: None,
            candidates: Vec::new(),
            nearest: None,
            other_hostnames: Vec::new(),
            dropped_headers: self.dropped_headers(request.headers),
            options: self.inner.parents.chosen.clone(),
        };
        match self.read(request) {
            Err(reason) => explanation.nearest = self.nearest_listener(request, reason),
            Ok(read) => {
                explanation.listener = self.parent_name(read.parent);
                if let Some(subject) = read.subject(request, is_grpc(request.headers)) {
                    let host = read.host();
                    let query = subject.query.map(|query| format!("?{query}")).unwrap_or_default();
                    explanation.request = format!(
                        "{} {}{}{query}",
                        subject.method,
                        host.map_or_else(|| "(no hostname)".to_owned(), str::to_ascii_lowercase),
                        subject.path
                    );
                    self.weigh(read.parent, host, &subject, winner, &mut explanation);
                }
            }
        }
        explanation
    }

    /// Header fields that are neither matched nor forwarded.
    fn dropped_headers<H: Headers + ?Sized>(&self, headers: &H) -> Vec<String> {
        let keeps = self.inner.choices.alias_headers == AliasHeaders::Keep;
        let alias = |name: &[u8]| !keeps && self.inner.parents.known_fields.original(name).is_some();
        let dropped = headers.names().filter(|name| alias(name) || is_named_by_connection(name, headers));
        let names: BTreeSet<String> = dropped.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
        names.into_iter().collect()
    }

    /// `namespace/gateway/listener`, with the ListenerSet if the listener is one's; for a Service its port and the
    /// clients it is for.
    pub(crate) fn parent_name(&self, parent: Parent) -> Option<String> {
        match parent {
            Parent::Listener(id) => {
                let listener = self.listener(id)?;
                let gateway = self.gateway(listener.gateway)?;
                let name = format!("{}/{}/{}", gateway.object.namespace, gateway.object.name, listener.name);
                let of_set = (listener.owner != gateway.object).then(|| format!("{name} ({})", listener.owner));
                Some(of_set.unwrap_or(name))
            }
            Parent::Service(id) => {
                let frontend = self.frontend(id)?;
                let clients = frontend.consumer.as_deref().map(|namespace| format!(" for clients of `{namespace}`"));
                Some(format!("{}{}{}", frontend.service, frontend.port_suffix(), clients.unwrap_or_default()))
            }
        }
    }

    /// What the port has instead of a listener for the host.
    fn nearest_listener<H: ?Sized>(&self, request: &Request<'_, H>, reason: Reason) -> Option<String> {
        if !matches!(reason, Reason::NoListener | Reason::Misdirected) {
            return None;
        }
        let Place::Port(port) = request.arrival.place else { return None };
        let listeners = self.port(port)?.listeners.iter().filter_map(|id| self.listener(*id));
        let names: Vec<_> = listeners.map(|l| format!("{} ({})", l.name, l.hostname.as_deref().unwrap_or("any host"))).collect();
        Some(format!("the listeners of the port are {}", names.join(", ")))
    }

    fn weigh<H: Headers + ?Sized>(
        &self,
        parent: Parent,
        host: Option<&str>,
        subject: &Subject<'_, H>,
        winner: Option<MatchId>,
        explanation: &mut Explanation,
    ) {
        let Some(routes) = self.served(parent) else { return };
        let asks_grpc = routes.asks_grpc(host, subject.grpc);
        let mut found: Vec<Weighed<'_>> = Vec::new();
        for (covering, index) in routes.http.levels(host).chain(routes.grpc.levels(host)) {
            // Exact before wildcard, more characters first ([M-4]).
            let (specificity, hostname) = match covering {
                Covering::Exact => ((2, 0), host.unwrap_or_default().to_ascii_lowercase()),
                Covering::Wildcard(suffix) => ((1, suffix.len()), format!("*{}", suffix.to_ascii_lowercase())),
                Covering::Any => ((0, 0), "*".to_owned()),
            };
            found.extend(path_index::all(index).filter_map(|id| {
                let matcher = self.matcher(id)?;
                let of_grpc = asks_grpc && matches!(matcher, Matcher::Http(_));
                Some(Weighed {
                    id,
                    specificity,
                    rank: self.rank(id)?,
                    hostname: hostname.clone(),
                    failed: if of_grpc { Some(Failed::Grpc) } else { matcher.first_failure(subject) },
                })
            }));
        }
        let covers = |name: &Hostname| host.is_some_and(|host| name.matches(&host.to_ascii_lowercase()));
        let names: BTreeSet<Hostname> = others(&routes.http).chain(others(&routes.grpc)).filter(|name| !covers(name)).collect();
        explanation.other_hostnames = names.into_iter().map(|name| name.to_string()).collect();
        found.sort_by(|a, b| b.specificity.cmp(&a.specificity).then(a.rank.cmp(&b.rank)));
        let first = found.iter().find(|one| Some(one.id) == winner);
        let runner_up = found.iter().find(|one| Some(one.id) != winner && one.failed.is_none());
        if let Some(first) = first {
            explanation.won_by = Some(match runner_up {
                _ if first.failed.is_some() => "answers the CORS preflight for the method it asks about".to_owned(),
                Some(second) => self.criterion(first, second).to_owned(),
                None => "the only match that holds".to_owned(),
            });
        } else {
            let nearest = found.iter().max_by_key(|one| one.failed.map_or(0, depth)).map(|one| self.candidate(one, None, first, subject));
            explanation.nearest = nearest.map(|candidate| candidate.to_string());
        }
        explanation.candidates = found.iter().map(|one| self.candidate(one, winner, first, subject)).collect();
    }

    fn criterion(&self, first: &Weighed<'_>, second: &Weighed<'_>) -> &'static str {
        if first.specificity != second.specificity {
            return "more specific hostname";
        }
        let grpc = matches!(self.matcher(first.id), Some(Matcher::Grpc(_)));
        criterion_name(first.rank.criterion(&second.rank, grpc))
    }

    fn candidate<H: Headers + ?Sized>(
        &self,
        one: &Weighed<'_>,
        winner: Option<MatchId>,
        first: Option<&Weighed<'_>>,
        subject: &Subject<'_, H>,
    ) -> Candidate {
        let verdict = match (&one.failed, first) {
            _ if Some(one.id) == winner => Verdict::Won,
            (Some(failed), _) => Verdict::Failed { condition: condition(failed), found: found(failed, subject) },
            (None, Some(first)) => Verdict::Lost { criterion: self.criterion(first, one) },
            (None, None) if self.inner.choices.hostname_fallback == HostnameFallback::None => {
                Verdict::Lost { criterion: "a more specific hostname, which captures the request (hostname_fallback=none)" }
            }
            (None, None) => Verdict::Lost { criterion: "not the match that was chosen" },
        };
        Candidate {
            place: self.place(one.id),
            hostname: one.hostname.clone(),
            conditions: self.matcher(one.id).map(ToString::to_string).unwrap_or_default(),
            verdict,
        }
    }

    fn place(&self, id: MatchId) -> MatchReport {
        let info = self.match_info(id);
        let rule = info.and_then(|info| self.rule(info.rule));
        MatchReport {
            route: rule.and_then(|rule| self.route(rule.route)).map(|route| route.object.clone()).unwrap_or_default(),
            rule: rule.map(|rule| rule.index).unwrap_or_default(),
            rule_name: rule.and_then(|rule| rule.name.as_deref().map(str::to_owned)),
            match_: info.map(|info| info.index).unwrap_or_default(),
            ..MatchReport::default()
        }
    }
}

/// The hostnames of a parent, if they are few enough to be read.
pub(crate) fn others(map: &HostMap) -> impl Iterator<Item = Hostname> {
    const READABLE: usize = 64;
    (map.len() <= READABLE).then(|| map.iter().filter_map(|(hostname, _)| hostname)).into_iter().flatten()
}

/// A match, its place in the order, and its first condition that fails.
struct Weighed<'t> {
    id: MatchId,
    specificity: (u8, usize),
    rank: Rank,
    hostname: String,
    failed: Option<Failed<'t>>,
}

/// How many kinds of conditions held before the first that failed.
fn depth(failed: Failed<'_>) -> u8 {
    match failed {
        Failed::NotGrpc | Failed::Grpc => 0,
        Failed::Path(_) | Failed::GrpcPath => 1,
        Failed::GrpcService(_) => 2,
        Failed::Method(_) | Failed::GrpcMethod(_) => 3,
        Failed::Header(_) => 4,
        Failed::Query(_) => 5,
    }
}

fn condition(failed: &Failed<'_>) -> String {
    match failed {
        Failed::Path(path) => path.to_string(),
        Failed::Method(method) => format!("method {method}"),
        Failed::Header(header) => header.to_string(),
        Failed::Query(query) => query.to_string(),
        Failed::GrpcService(name) => format!("gRPC service {name}"),
        Failed::GrpcMethod(name) => format!("gRPC method {name}"),
        Failed::NotGrpc => "content-type `application/grpc`".to_owned(),
        Failed::Grpc => "content type: calls of gRPC are for the GRPCRoutes of this host".to_owned(),
        Failed::GrpcPath => "a gRPC path of service and method".to_owned(),
    }
}

fn found<H: Headers + ?Sized>(failed: &Failed<'_>, subject: &Subject<'_, H>) -> String {
    match failed {
        Failed::NotGrpc => "another content type".to_owned(),
        Failed::Grpc => "`application/grpc`".to_owned(),
        Failed::Path(_) | Failed::GrpcPath | Failed::GrpcService(_) | Failed::GrpcMethod(_) => format!("path `{}`", subject.path),
        Failed::Method(_) => format!("method {}", subject.method),
        Failed::Header(header) if header.name == http::header::HOST => format!("`{}`", subject.authority.unwrap_or_default()),
        Failed::Header(header) => {
            let values: Vec<_> =
                subject.fields.values(&header.name).map(|v| format!("`{}`", String::from_utf8_lossy(v).escape_debug())).collect();
            if values.is_empty() { "no such header".to_owned() } else { values.join(", ") }
        }
        Failed::Query(query) => match query.values(subject.query, subject.reading).next() {
            Some(value) => format!("`{value}`"),
            None => "no such parameter".to_owned(),
        },
    }
}

/// A criterion in words ([M-20], [G-3]).
pub(crate) fn criterion_name(criterion: Criterion) -> &'static str {
    match criterion {
        Criterion::PathType => "type of the path match: Exact, then RegularExpression, then PathPrefix",
        Criterion::PathLength => "longer path match",
        Criterion::Service => "more exact or longer gRPC service",
        Criterion::GrpcMethod => "more exact or longer gRPC method",
        Criterion::Method => "method match",
        Criterion::Headers => "more header matches",
        Criterion::Queries => "more query parameter matches",
        Criterion::Age => "older route (creationTimestamp)",
        Criterion::Name => "earlier `namespace/name`",
        Criterion::Rule => "earlier rule of the route",
        Criterion::Match => "earlier match of the rule",
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {}", self.place.route, self.place.rule)?;
        if let Some(name) = &self.place.rule_name {
            write!(f, " ({name})")?;
        }
        write!(f, " match {} [{}; {}]: ", self.place.match_, self.hostname, self.conditions)?;
        match &self.verdict {
            Verdict::Won => f.write_str("won"),
            Verdict::Lost { criterion } => write!(f, "holds, lost by {criterion}"),
            Verdict::Failed { condition, found } => write!(f, "failed on {condition}, found {found}"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request   {}", self.request)?;
        if let Some(listener) = &self.listener {
            writeln!(f, "listener  {listener}")?;
        }
        writeln!(f, "decision  {}", self.decision)?;
        if let Some(won_by) = &self.won_by {
            writeln!(f, "won by    {won_by}")?;
        }
        if let Some(nearest) = &self.nearest {
            writeln!(f, "nearest   {nearest}")?;
        }
        if !self.candidates.is_empty() {
            writeln!(f, "candidates, in order of precedence:")?;
            self.candidates.iter().try_for_each(|candidate| writeln!(f, "  {candidate}"))?;
        }
        if !self.dropped_headers.is_empty() {
            writeln!(f, "header fields that are dropped: {}", self.dropped_headers.join(", "))?;
        }
        if !self.options.is_empty() {
            let options: Vec<_> = self.options.iter().map(ToString::to_string).collect();
            writeln!(f, "options: {}", options.join(", "))?;
        }
        if !self.other_hostnames.is_empty() {
            writeln!(f, "hostnames of the listener that do not cover the host: {}", self.other_hostnames.join(", "))?;
        }
        Ok(())
    }
}
