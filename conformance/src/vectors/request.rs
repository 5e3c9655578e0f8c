//! Requests: what is asked, what is wanted, and the comparison.

use std::collections::BTreeMap;

use gatewright::decision::{Forward, Redirect, Respond};
use gatewright::model::session::SessionCarrier;
use gatewright::table::{BackendId, RuleId};
use gatewright::{Arrival, Authority, Decision, DecisionKind, Pick, Request, Table, apply};
use http::HeaderMap;
use serde::Deserialize;

use super::auth::{WantedAuth, extensions};
use super::backend_tls::WantedTls;
use super::differences::{Differences, fields};
use super::status::object_name;
use crate::oracle;

/// Where a request arrives, when it does not say it itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `namespace/name` of the Gateway.
    pub gateway: Option<String>,
    /// The listener's port.
    pub port: Option<u16>,
    /// The authority.
    pub authority: Option<String>,
    /// In a mesh, instead of a Gateway: `namespace/name` of the Service.
    pub service: Option<String>,
    /// In a mesh: namespace of the client.
    pub client: Option<String>,
}

impl Place {
    /// Completed by another; a Gateway stands for no Service, and the other way round.
    pub(crate) fn or(self, other: &Self) -> Self {
        let elsewhere = self.gateway.is_some() || self.service.is_some();
        let (gateway, service) = if elsewhere { (self.gateway, self.service) } else { (other.gateway.clone(), other.service.clone()) };
        Self {
            gateway,
            service,
            port: self.port.or(other.port),
            authority: self.authority.or_else(|| other.authority.clone()),
            client: self.client.or_else(|| other.client.clone()),
        }
    }

    /// The place in a table; none for a Service that no route has as parent.
    ///
    /// # Errors
    ///
    /// What is not there.
    pub(crate) fn find(&self, table: &Table, udp: bool) -> Result<Option<gatewright::Place>, String> {
        let number = self.port.ok_or("no port is named")?;
        if let Some(service) = &self.service {
            let (namespace, name) = service.split_once('/').ok_or_else(|| format!("`{service}` is not namespace/name"))?;
            let client = self.client.as_deref().ok_or("no namespace of the client is named")?;
            let frontend = table.find_frontend(client, namespace, name, number);
            return Ok(frontend.map(|frontend| gatewright::Place::Service(frontend.id)));
        }
        let name = self.gateway.as_ref().ok_or("no Gateway is named")?;
        let gateway = name.split_once('/').and_then(|(namespace, name)| table.find_gateway(namespace, name));
        let gateway = gateway.ok_or_else(|| format!("no Gateway `{name}` is accepted"))?;
        let port = if udp { table.find_udp_port(gateway.id, number) } else { table.find_port(gateway.id, number) };
        let port = port.ok_or_else(|| format!("the Gateway has no port {number}"))?;
        Ok(Some(gatewright::Place::Port(port.id)))
    }
}

/// A request with the decision that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What it shows, if the request does not say it itself.
    pub name: Option<String>,
    /// `namespace/name` of the Gateway.
    pub gateway: Option<String>,
    /// The listener's port.
    pub port: Option<u16>,
    /// In a mesh, instead of a Gateway: `namespace/name` of the Service.
    pub service: Option<String>,
    /// In a mesh: namespace of the client.
    pub client: Option<String>,
    /// The scheme that the client names.
    pub scheme: Option<String>,
    /// The server name of the TLS handshake.
    pub sni: Option<String>,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The authority, octets as received.
    pub authority: Option<String>,
    /// Instead of an authority: `absent` (HTTP/1.0), `missing` or `ambiguous`.
    pub no_authority: Option<String>,
    /// Path and query, octets as received.
    pub target: String,
    /// Field lines.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Where in the shares of the backends, from 0 to 2^64-1.
    #[serde(default)]
    pub pick: u64,
    /// Instead of one answer: how many of some evenly spread picks go where.
    pub shares: Option<Shares>,
    /// Field lines of the backend's response, before the response is edited.
    #[serde(default)]
    pub response: Vec<(String, String)>,
    /// The answer.
    #[serde(default)]
    pub expect: Answer,
    /// The rule that wins: `Kind namespace/name #index`, or `none`.
    pub rule: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// The middle of the nth of equal pieces: nothing is rounded at their edges.
pub(crate) fn nth_pick(n: u64, of: u64) -> u64 {
    u64::try_from((u128::from(2 * n + 1) << 63) / u128::from(of)).unwrap_or(u64::MAX)
}

fn kind(decision: &Decision<'_>) -> DecisionKind {
    match decision {
        Decision::Redirect(_) => DecisionKind::Redirect,
        Decision::Respond(_) => DecisionKind::Respond,
        _ => DecisionKind::Forward,
    }
}

/// How many of some picks go where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Number of picks, evenly spread.
    pub picks: u64,
    /// Backend, or status of an answer, to number of picks.
    pub to: BTreeMap<String, u64>,
    /// Mirror backends to number of picks; with `tolerance`.
    #[serde(default)]
    pub mirrored: BTreeMap<String, u64>,
    /// How far a number of copies may be off; copies are drawn, not counted out.
    #[serde(default)]
    pub tolerance: u64,
}

/// One of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Sent to a backend.
    pub forward: Option<WantedForward>,
    /// A redirect.
    pub redirect: Option<WantedRedirect>,
    /// An answer of the gateway.
    pub respond: Option<WantedRespond>,
    /// In a mesh: no route has the Service as parent, and the request passes through unmodified.
    #[serde(default)]
    pub pass_through: bool,
}

/// What is forwarded.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedForward {
    backend: Option<String>,
    protocol: Option<String>,
    target: Option<String>,
    authority: Option<String>,
    #[serde(default)]
    set: Vec<(String, String)>,
    #[serde(default)]
    removed: Vec<String>,
    #[serde(default)]
    response_set: Vec<(String, String)>,
    #[serde(default)]
    response_removed: Vec<String>,
    mirrors: Option<Vec<String>>,
    request_timeout: Option<String>,
    backend_timeout: Option<String>,
    retry: Option<WantedRetry>,
    session: Option<WantedSession>,
    endpoints: Option<Vec<String>>,
    external: Option<String>,
    backend_tls: Option<WantedTls>,
    retry_budget: Option<WantedBudget>,
    auth: Option<WantedAuth>,
    /// Filters of the embedding program, all of them in the order in which they run.
    extensions: Option<Vec<String>>,
    /// What the decision does not have.
    #[serde(default)]
    without: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRetry {
    attempts: u32,
    codes: Vec<u16>,
    backoff: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedBudget {
    percent: u8,
    interval: String,
    min_count: u32,
    min_interval: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedSession {
    carrier: String,
    name: Option<String>,
    path: Option<String>,
    absolute_timeout: Option<String>,
    permanent: bool,
}

/// A redirect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedRedirect {
    pub(super) status: u16,
    pub(super) location: String,
    auth: Option<WantedAuth>,
    extensions: Option<Vec<String>>,
    #[serde(default)]
    response_set: Vec<(String, String)>,
    #[serde(default)]
    response_removed: Vec<String>,
}

/// An answer of the gateway.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedRespond {
    pub(super) status: u16,
    pub(super) grpc_status: Option<u8>,
    pub(super) reason: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    response_removed: Vec<String>,
}

impl Asked {
    /// The request for a person.
    pub fn name(&self) -> String {
        let line = format!("{} {} {}", self.method, self.authority.as_deref().unwrap_or("-"), self.target);
        self.name.as_ref().map_or_else(|| line.clone(), |name| format!("request `{name}` ({line})"))
    }

    /// Asks and compares; what differs, as sentences.
    ///
    /// # Errors
    ///
    /// What cannot be asked.
    pub fn check(&self, place: &Place, table: &Table) -> Result<Vec<String>, String> {
        let headers = fields(&self.headers)?;
        let mut differ = Differences::default();
        let request = self.request(place, table, &headers)?;
        differ.equal("whether it passes through", request.is_none(), self.expect.pass_through);
        let Some(request) = request else { return Ok(differ.0) };
        if let Some(shares) = &self.shares {
            shares.check(&request, table, &mut differ);
            return Ok(differ.0);
        }
        let decision = table.decide(&request, Pick(self.pick));
        self.compare(&decision, &headers, table, &mut differ)?;
        let owned = table.decide_owned(&request, Pick(self.pick));
        differ.equal("the owned decision", table.report(&owned.decision()), table.report(&decision));
        differ.equal("its kind", owned.kind(), kind(&decision));
        Ok(differ.0)
    }

    /// Compares a decision with what is wanted.
    pub(super) fn compare(
        &self,
        decision: &Decision<'_>,
        headers: &HeaderMap,
        table: &Table,
        differ: &mut Differences,
    ) -> Result<(), String> {
        if let Some(wanted) = &self.rule {
            let rule = decision.matched().map(|matched| table.match_report(matched));
            let rule = rule.map_or_else(|| "none".to_owned(), |report| format!("{} #{}", object_name(&report.route), report.rule));
            differ.equal("the rule", rule.as_str(), wanted);
        }
        match (decision, &self.expect) {
            (Decision::Forward(got), Answer { forward: Some(wanted), redirect: None, respond: None, .. }) => {
                wanted.check(got, self, headers, table, differ)?;
            }
            (Decision::Redirect(got), Answer { forward: None, redirect: Some(wanted), respond: None, .. }) => {
                wanted.check(got, self, headers, table, differ)?
            }
            (Decision::Respond(got), Answer { forward: None, redirect: None, respond: Some(wanted), .. }) => {
                wanted.check(got, self, differ)?
            }
            _ => differ.0.push(format!("the answer is `{}`, expected {:?}", table.report(decision), self.expect)),
        }
        Ok(())
    }

    /// The backend's response, before it is edited: with the fields that must go.
    pub(crate) fn given_response(&self) -> Result<HeaderMap, String> {
        let removed = self.expect.forward.iter().flat_map(|wanted| &wanted.response_removed);
        let from_backend = removed.map(|name| (name.clone(), "of the backend".to_owned()));
        fields(&self.response.iter().cloned().chain(from_backend).collect::<Vec<_>>())
    }

    /// Method and fields as the client sends them.
    fn parts(&self, headers: &HeaderMap) -> Result<http::request::Parts, String> {
        let request = http::Request::builder().method(self.method.as_str()).body(()).map_err(|error| error.to_string())?;
        let mut parts = request.into_parts().0;
        parts.headers = headers.clone();
        Ok(parts)
    }

    /// The rule that the request wins, if it wins one.
    pub fn winner(&self, place: &Place, table: &Table) -> Option<RuleId> {
        let headers = fields(&self.headers).ok()?;
        let request = self.request(place, table, &headers).ok()??;
        table.decide(&request, Pick(self.pick)).matched().map(|matched| matched.rule)
    }

    pub(crate) fn request<'a>(&'a self, place: &'a Place, table: &Table, headers: &'a HeaderMap) -> Result<Option<Request<'a>>, String> {
        let authority = match (self.no_authority.as_deref(), self.authority.as_ref().or(place.authority.as_ref())) {
            (None, Some(authority)) => Authority::Given(authority.as_bytes()),
            (None, None) => return Err("the request has no authority".to_owned()),
            (Some("absent"), _) => Authority::Absent,
            (Some("missing"), _) => Authority::Missing,
            (Some("ambiguous"), _) => Authority::Ambiguous,
            (Some(other), _) => return Err(format!("no_authority: `{other}`")),
        };
        let Some(arrival) = self.arrival(place, table)? else { return Ok(None) };
        Ok(Some(Request {
            arrival,
            method: &self.method,
            scheme: self.scheme.as_deref(),
            authority,
            target: self.target.as_bytes(),
            headers,
        }))
    }

    /// What it says itself about where it arrives.
    pub(crate) fn own_place(&self) -> Place {
        Place {
            gateway: self.gateway.clone(),
            port: self.port,
            authority: None,
            service: self.service.clone(),
            client: self.client.clone(),
        }
    }

    /// Where it arrives; none when the traffic of a mesh passes through.
    fn arrival<'a>(&'a self, place: &Place, table: &Table) -> Result<Option<Arrival<'a>>, String> {
        Ok(self.own_place().or(place).find(table, false)?.map(|place| Arrival { place, sni: self.sni.as_deref(), listener: None }))
    }
}

/// Edits of a response, carried out on the backend's and compared.
fn response(got: &mut HeaderMap, wanted: &[(String, String)], removed: &[String], differ: &mut Differences) {
    wanted.iter().for_each(|(name, value)| differ.field("the response's", got, name, Some(value)));
    removed.iter().for_each(|name| differ.field("the response's", got, name, None));
}

impl WantedForward {
    /// How an answer of the oracle differs.
    pub(super) fn second(&self, got: &oracle::Forward) -> Option<String> {
        let backend = got.backend.split(' ').next().unwrap_or("");
        let field = |name: &str| got.request.get(&name.to_lowercase()).map(|values| values.join(","));
        let same = self.backend.as_ref().is_none_or(|wanted| wanted == backend)
            && self.target.as_ref().is_none_or(|wanted| *wanted == got.target)
            && self.authority.as_ref().is_none_or(|wanted| field("host").as_ref() == Some(wanted))
            && self.set.iter().all(|(name, value)| field(name).as_ref() == Some(value))
            && self.removed.iter().all(|name| field(name).is_none());
        (!same).then(|| format!("forwards {got:?}"))
    }

    fn check(&self, got: &Forward<'_>, asked: &Asked, headers: &HeaderMap, table: &Table, differ: &mut Differences) -> Result<(), String> {
        let backend = |id: BackendId| table.backend_report(id).to_string();
        if let Some(wanted) = &self.backend {
            differ.equal("the backend", backend(got.backend).as_str(), wanted);
        }
        let facts = table.backend(got.backend).ok_or("no such backend")?;
        if let Some(wanted) = &self.protocol {
            differ.equal("the protocol", facts.protocol.as_str(), wanted);
        }
        if let Some(wanted) = &self.external {
            let host = match &facts.endpoints {
                gatewright::table::Endpoints::External(host) => Some(&**host),
                _ => None,
            };
            differ.equal("the host outside of the cluster", host, Some(wanted));
        }
        if let Some(wanted) = &self.backend_tls {
            wanted.check(facts.tls.as_ref(), differ);
        }
        if let Some(wanted) = &self.retry_budget {
            let Some(got) = &facts.retry_budget else { return Err("no retry budget".to_owned()) };
            differ.equal("the share of retries", got.percent(), wanted.percent);
            differ.duration("the interval of the budget", Some(got.interval()), &wanted.interval)?;
            differ.equal("the least number of retries", got.min_count(), wanted.min_count);
            differ.duration("the interval of the least number", Some(got.min_interval()), &wanted.min_interval)?;
        }
        if let Some(wanted) = &self.endpoints {
            let endpoints = match &facts.endpoints {
                gatewright::table::Endpoints::Known(all) => all.iter().map(ToString::to_string).collect(),
                other => vec![format!("{other:?}")],
            };
            differ.equal("the list of endpoints", endpoints, wanted.clone());
        }
        let mut parts = asked.parts(headers)?;
        match self.auth.as_ref().map(WantedAuth::answered).transpose()?.flatten() {
            Some(answer) => apply::forward_allowed(got, &answer, &mut parts),
            None => apply::forward(got, &mut parts),
        }
        if let Some(wanted) = &self.auth {
            wanted.check(got.auth.as_ref(), Some(&got.target), &asked.parts(headers)?, table, differ)?;
        }
        extensions(self.extensions.as_ref(), &got.extensions, differ);
        if let Some(wanted) = &self.target {
            differ.equal("the target", parts.uri.to_string().as_str(), wanted);
        }
        if let Some(wanted) = &self.authority {
            differ.field("the request's", &parts.headers, "host", Some(wanted));
        }
        self.set.iter().for_each(|(name, value)| differ.field("the request's", &parts.headers, name, Some(value)));
        self.removed.iter().for_each(|name| differ.field("the request's", &parts.headers, name, None));

        let mut edited = asked.given_response()?;
        apply::response_headers(&got.response, &mut edited);
        response(&mut edited, &self.response_set, &self.response_removed, differ);

        if let Some(wanted) = &self.mirrors {
            differ.equal("the list of mirrors", got.mirrors.iter().map(backend).collect(), wanted.clone());
        }
        for (what, got, wanted) in [
            ("the timeout of the request", got.timeouts.request, &self.request_timeout),
            ("the timeout of an attempt", got.timeouts.backend_request, &self.backend_timeout),
        ] {
            if let Some(wanted) = wanted {
                differ.duration(what, got, wanted)?;
            }
        }
        if let Some(wanted) = &self.retry {
            let Some(got) = got.retry else { return Err("no retries".to_owned()) };
            differ.equal("the number of retries", got.attempts(), wanted.attempts);
            differ.equal("the list of codes", got.codes(), &wanted.codes);
            if let Some(wanted) = &wanted.backoff {
                differ.duration("the backoff", got.backoff(), wanted)?;
            }
        }
        if let Some(wanted) = &self.session {
            let Some(got) = got.session.map(|session| session.persistence()) else { return Err("no session".to_owned()) };
            let carrier = match got.carrier() {
                SessionCarrier::Cookie => "cookie",
                SessionCarrier::Header => "header",
            };
            differ.equal("the carrier of the session", carrier, &wanted.carrier);
            if let Some(wanted) = &wanted.name {
                differ.equal("the name of the session", got.name(), wanted);
            }
            if let Some(wanted) = &wanted.path {
                differ.equal("the path of the session", got.path(), wanted);
            }
            differ.equal("whether the session is permanent", got.is_permanent(), wanted.permanent);
            if let Some(wanted) = &wanted.absolute_timeout {
                differ.duration("the timeout of the session", got.absolute_timeout(), wanted)?;
            }
        }
        for without in &self.without {
            let has = match without.as_str() {
                "retry" => got.retry.is_some(),
                "session" => got.session.is_some(),
                "auth" => got.auth.is_some(),
                "backend_tls" => facts.tls.is_some(),
                "retry_budget" => facts.retry_budget.is_some(),
                other => return Err(format!("without: `{other}`")),
            };
            differ.equal(&format!("whether there is a {without}"), has, false);
        }
        Ok(())
    }
}

impl WantedRedirect {
    fn check(&self, got: &Redirect<'_>, asked: &Asked, headers: &HeaderMap, table: &Table, differ: &mut Differences) -> Result<(), String> {
        if let Some(wanted) = &self.auth {
            wanted.check(got.auth.as_ref(), None, &asked.parts(headers)?, table, differ)?;
        }
        extensions(self.extensions.as_ref(), &got.extensions, differ);
        let (status, mut headers) = apply::redirect(got);
        differ.equal("the status", status.as_u16(), self.status);
        differ.field("the response's", &headers, "location", Some(&self.location));
        if !asked.response.is_empty() {
            return Err("a redirect has no response of a backend".to_owned());
        }
        response(&mut headers, &self.response_set, &self.response_removed, differ);
        Ok(())
    }
}

impl WantedRespond {
    fn check(&self, got: &Respond<'_>, asked: &Asked, differ: &mut Differences) -> Result<(), String> {
        differ.equal("the status", got.status.as_u16(), self.status);
        if let Some(wanted) = self.grpc_status {
            differ.equal("the gRPC status", got.grpc_status.map(|status| status.code()), Some(wanted));
        }
        if let Some(wanted) = &self.reason {
            differ.equal("the reason", got.reason.as_str(), wanted);
        }
        let (_, mut headers) = apply::respond(got);
        if !asked.response.is_empty() {
            return Err("an answer of the gateway has no response of a backend".to_owned());
        }
        response(&mut headers, &self.headers, &self.response_removed, differ);
        Ok(())
    }
}

impl Shares {
    fn check(&self, request: &Request<'_>, table: &Table, differ: &mut Differences) {
        let mut got = BTreeMap::<String, u64>::new();
        let mut mirrored = BTreeMap::<String, u64>::new();
        for n in 0..self.picks {
            let pick = nth_pick(n, self.picks);
            let to = match table.decide(request, Pick(pick)) {
                Decision::Forward(forward) => {
                    for id in forward.mirrors.iter() {
                        *mirrored.entry(table.backend_report(id).to_string()).or_default() += 1;
                    }
                    table.backend_report(forward.backend).to_string()
                }
                other => other.status().map(|status| status.as_u16().to_string()).unwrap_or_default(),
            };
            *got.entry(to).or_default() += 1;
        }
        differ.equal("the list of shares", &got, &self.to);
        for (backend, wanted) in &self.mirrored {
            let copies = mirrored.remove(backend).unwrap_or(0);
            if copies.abs_diff(*wanted) > self.tolerance {
                differ.0.push(format!("{backend} gets {copies} copies, expected {wanted} ± {}", self.tolerance));
            }
        }
        mirrored.into_keys().for_each(|backend| differ.0.push(format!("copies go to {backend}, too")));
    }
}
