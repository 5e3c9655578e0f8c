//! Conversations: what one client sends and is told.

use gatewright::session::{SessionKey, SessionKeys, Sessions};
use gatewright::{Decision, Pick, Table};
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::json;
use super::question::{At, RequestQuestion, text};
use crate::vectors::{self, conversation};

/// The key that seals and opens, and the time of the first request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Session {
    key_id: u8,
    /// 32 octets in hex.
    key: String,
    /// Seconds since 1970.
    start: u64,
}

impl Session {
    pub(super) fn of_vectors() -> Self {
        let key = conversation::SECRET.iter().map(|octet| format!("{octet:02x}")).collect();
        Self { key_id: conversation::KEY_ID, key, start: conversation::START }
    }
}

/// One request of a client.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// Seconds since the first request.
    at: u64,
    /// The whole input from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Vec<(String, String)>>,
    /// With the token that the client sends.
    request: RequestQuestion,
    decision: Value,
    established: bool,
    /// The endpoint that answers.
    endpoint: Option<String>,
    /// The field that the response tells the client.
    told: Option<(String, String)>,
}

/// Plays a conversation.
pub(super) fn play(steps: &[vectors::Step], world: &vectors::World) -> Result<Vec<Step>, String> {
    let mut world = world.clone();
    let mut compiled = world.compile()?.1;
    let mut kept = HeaderMap::new();
    let mut played = Vec::new();
    for step in steps {
        let mut manifests = None;
        if let Some(own) = &step.manifests {
            world.replace_own(own);
            compiled = world.compile()?.1;
            manifests = Some(world.texts().cloned().collect());
        }
        played.push(one(step, manifests, &world, &compiled.table, &mut kept)?);
    }
    Ok(played)
}

fn one(
    step: &vectors::Step,
    manifests: Option<Vec<(String, String)>>,
    world: &vectors::World,
    table: &Table,
    kept: &mut HeaderMap,
) -> Result<Step, String> {
    let asked = &step.request;
    let headers = step.headers(kept)?;
    let request = asked.request(&world.place, table, &headers)?.ok_or("nothing decides")?;
    let keys = SessionKeys::new(SessionKey::new(conversation::KEY_ID, &conversation::SECRET), []);
    let sessions = Sessions { keys: &keys, now: conversation::START + step.at };
    let pick = Pick(asked.pick);
    let decision = table.decide_with_sessions(&request, pick, &sessions);
    let at = At::new(&asked.own_place().or(&world.place), asked.sni.as_deref())?;
    let mut played = Step {
        at: step.at,
        manifests,
        request: RequestQuestion::new(at, &request, pick),
        decision: json(&table.report(&decision))?,
        established: false,
        endpoint: None,
        told: None,
    };
    if let Decision::Forward(forward) = &decision {
        let endpoint = step.answering(forward, table);
        played.established = forward.session.is_some_and(|session| session.is_established());
        played.endpoint = endpoint.map(ToString::to_string);
        if let Some((name, value)) = table.session_field(forward, endpoint, &sessions) {
            played.told = Some((name.to_string(), text(value.as_bytes())));
            conversation::keep(name, &value, kept)?;
        }
    }
    Ok(played)
}
