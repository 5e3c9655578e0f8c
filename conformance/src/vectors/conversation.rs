//! Sessions: requests of one client, which keeps what the gateway tells it to send ([SP-1]).

use gatewright::decision::Forward;
use gatewright::session::{SessionKey, SessionKeys, Sessions};
use gatewright::table::{Endpoint, Endpoints};
use gatewright::{Decision, Pick, Table};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use super::World;
use super::differences::{Differences, fields};
use super::request::Asked;

/// The key of the gateway, and the time of the first request.
pub(crate) const KEY_ID: u8 = 1;
pub(crate) const SECRET: [u8; 32] = [7; 32];
pub(crate) const START: u64 = 1_700_000_000;

/// One request of a client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The request, and the decision.
    pub request: Asked,
    /// Seconds since the first request.
    #[serde(default)]
    pub at: u64,
    /// From here on the manifests of the vector are these.
    pub manifests: Option<String>,
    /// The client sends these tokens instead of what it has kept.
    pub token: Option<String>,
    /// Which of the sorted endpoints a new session goes to.
    #[serde(default)]
    pub choose: usize,
    /// Whether the request belongs to a session that goes on.
    pub established: Option<bool>,
    /// The endpoint that answers.
    pub endpoint: Option<String>,
    /// Name of the field that the response tells the client, or `nothing`.
    pub told: Option<String>,
    /// Attributes of the cookie that is told.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// Attributes that it does not have, by the beginning of their text.
    #[serde(default)]
    pub without_attributes: Vec<String>,
}

/// Sends the requests in order; what differs, as sentences.
pub(super) fn check(steps: &[Step], world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut world = world.clone();
    let mut compiled = world.compile();
    let mut kept = HeaderMap::new();
    for (n, step) in steps.iter().enumerate() {
        if let Some(manifests) = &step.manifests {
            world.replace_own(manifests);
            compiled = world.compile();
        }
        let told = match &compiled {
            Ok((_, compiled)) => step.check(&world, &compiled.table, &mut kept),
            Err(error) => Err(error.clone()),
        };
        let told = told.unwrap_or_else(|error| vec![error]);
        wrong.extend(told.into_iter().map(|told| format!("request {n} of the client, {}: {told}", step.request.name())));
    }
    wrong
}

impl Step {
    fn check(&self, world: &World, table: &Table, kept: &mut HeaderMap) -> Result<Vec<String>, String> {
        let mut differ = Differences::default();
        let headers = self.headers(kept)?;
        let request = self.request.request(&world.place, table, &headers)?.ok_or("nothing decides")?;
        let keys = SessionKeys::new(SessionKey::new(KEY_ID, &SECRET), []);
        let sessions = Sessions { keys: &keys, now: START + self.at };
        let decision = table.decide_with_sessions(&request, Pick(self.request.pick), &sessions);
        self.request.compare(&decision, &headers, table, &mut differ)?;
        let Decision::Forward(forward) = &decision else { return Ok(differ.0) };
        if let Some(wanted) = self.established {
            let got = forward.session.is_some_and(|session| session.is_established());
            differ.equal("whether the session goes on", got, wanted);
        }
        let endpoint = self.answering(forward, table);
        if let Some(wanted) = &self.endpoint {
            differ.equal("the endpoint", endpoint.map(Endpoint::to_string).as_ref(), Some(wanted));
        }
        let told = table.session_field(forward, endpoint, &sessions);
        if let Some(wanted) = &self.told {
            differ.equal("the field that is told", told.as_ref().map_or("nothing", |(name, _)| name.as_str()), wanted);
        }
        if let Some((name, value)) = told {
            self.attributes(&name, &value, &mut differ)?;
            keep(name, &value, kept)?;
        }
        Ok(differ.0)
    }

    /// The field lines that are sent: the request's own, and what the client has kept.
    pub(crate) fn headers(&self, kept: &HeaderMap) -> Result<HeaderMap, String> {
        let mut headers = fields(&self.request.headers)?;
        match &self.token {
            None => headers.extend(kept.clone()),
            // A cookie of the same name, or the same field.
            Some(token) => headers.extend(kept.iter().map(|(name, value)| (Some(name.clone()), forged(value, token)))),
        }
        Ok(headers)
    }

    /// The endpoint that answers: the session's, else the one that is chosen.
    pub(crate) fn answering<'t>(&self, forward: &Forward<'t>, table: &'t Table) -> Option<&'t Endpoint> {
        let pinned = forward.session.and_then(|session| session.endpoint());
        match table.backend(forward.backend).map(|backend| &backend.endpoints) {
            Some(Endpoints::Known(list)) => pinned.or(list.get(self.choose)),
            _ => None,
        }
    }

    fn attributes(&self, name: &HeaderName, value: &HeaderValue, differ: &mut Differences) -> Result<(), String> {
        if self.attributes.is_empty() && self.without_attributes.is_empty() {
            return Ok(());
        }
        differ.equal("the field that is told", name, &header::SET_COOKIE);
        let text = value.to_str().map_err(|error| error.to_string())?;
        let got: Vec<&str> = text.split(';').skip(1).map(str::trim).collect();
        let missing = self.attributes.iter().filter(|wanted| !got.contains(&&***wanted));
        differ.0.extend(missing.map(|wanted| format!("the cookie has no {wanted}: {text}")));
        let surplus = self.without_attributes.iter().filter(|not| got.iter().any(|one| one.starts_with(&***not)));
        differ.0.extend(surplus.map(|not| format!("the cookie has {not}: {text}")));
        Ok(())
    }
}

/// The client keeps a cookie or field.
pub(crate) fn keep(name: HeaderName, value: &HeaderValue, kept: &mut HeaderMap) -> Result<(), String> {
    if name == header::SET_COOKIE {
        let text = value.to_str().map_err(|error| error.to_string())?;
        let cookie = text.split(';').next().unwrap_or_default();
        kept.insert(header::COOKIE, HeaderValue::from_str(cookie).map_err(|error| error.to_string())?);
    } else {
        kept.insert(name, value.clone());
    }
    Ok(())
}

/// What the client has kept, with another token.
fn forged(value: &HeaderValue, token: &str) -> HeaderValue {
    let text = match value.to_str().unwrap_or_default().split_once('=') {
        Some((name, _)) => format!("{name}={token}"),
        None => token.to_owned(),
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("x"))
}
