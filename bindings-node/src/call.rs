//! Everything but the hot path: an operation, a handle, and JSON on both sides.

use gatewright::decision::Decision;
use gatewright::session::{SessionKey, SessionKeys, Sessions};
use gatewright::{Arrival, Pick};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::head::{Head, Written};
use crate::place::{self, Looked, Spot, Where};
use crate::{budget, carry, latin, load, show, tables};

/// Answers one operation. The handle is a table, or a place. The answer is JSON; a failure is `{"error": …, "kind": …}`.
pub(crate) fn call(operation: &str, handle: u32, input: &[u8]) -> String {
    let answer = answer(operation, handle, input);
    match answer {
        Ok(value) => value.to_string(),
        Err(Failure { kind, sentence }) => json!({ "error": sentence, "kind": kind }).to_string(),
    }
}

/// A failure, by whose fault it is.
struct Failure {
    /// `place`: there is no such Gateway or port. `type`: an argument is not what it should be.
    kind: &'static str,
    sentence: String,
}

fn wrong(sentence: impl ToString) -> Failure {
    Failure { kind: "type", sentence: sentence.to_string() }
}

fn nowhere(sentence: impl ToString) -> Failure {
    Failure { kind: "place", sentence: sentence.to_string() }
}

fn answer(operation: &str, handle: u32, input: &[u8]) -> Result<Value, Failure> {
    match operation {
        "begin" => load::begin(),
        "add" => load::add(input),
        "forget" => place::forget(&read::<Vec<u32>>(input)?),
        "release" => {
            place::forget(&read::<Vec<u32>>(input)?);
            tables::release(handle);
        }
        _ => return asked(operation, handle, input),
    }
    Ok(Value::Null)
}

fn asked(operation: &str, handle: u32, input: &[u8]) -> Result<Value, Failure> {
    match operation {
        "finish" => load::finish(input).map_err(wrong),
        "takes" => {
            let (name, is_folder): (String, bool) = read(input)?;
            Ok(gatewright::load::takes(&name, is_folder).into())
        }
        "retain" => Ok(tables::retain(handle).into()),
        "tables" => Ok(tables::count().into()),
        "names" => {
            let held = place::held(handle).map_err(wrong)?;
            let names = held.table.header_names();
            Ok(json!(names.map(|names| names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>())))
        }
        "place" => {
            let held = place::held(handle).map_err(wrong)?;
            match place::find(held, &read::<Where>(input)?) {
                Looked::At(place) => Ok(json!({ "place": place })),
                Looked::PassThrough => Ok(json!({ "passThrough": true })),
                Looked::Nowhere(sentence) => Err(nowhere(sentence)),
            }
        }
        "show" => {
            let held = place::held(handle).map_err(wrong)?;
            show::show(&held, &read::<String>(input)?).ok_or_else(|| wrong("there is nothing of this name"))
        }
        "upgrade" => {
            let (fields, method, version): (Vec<(String, String)>, String, String) = read(input)?;
            carry::upgrade(&fields, &method, &version).map_err(wrong)
        }
        "budget" => {
            let held = place::held(handle).map_err(wrong)?;
            let (backend, retry, now_ms): (u32, bool, u64) = read(input)?;
            Ok(budget::count(&held.table, backend, retry, std::time::Duration::from_millis(now_ms)).into())
        }
        "backend" => {
            let held = place::held(handle).map_err(wrong)?;
            Ok(show::backend(&held.table, read(input)?))
        }
        _ => at_place(operation, handle, input),
    }
}

fn at_place(operation: &str, handle: u32, input: &[u8]) -> Result<Value, Failure> {
    let spot = place::get(handle).ok_or_else(|| nowhere("the table is closed"))?;
    let question: Question = read(input)?;
    match operation {
        "connection" => {
            let arrival = spot.arrival(question.sni.as_deref()).map_err(nowhere)?;
            Ok(question.connection(&spot, &arrival)?)
        }
        "report" => question.decided(&spot, |decision| Ok(show::decision(spot.table(), decision))),
        "explain" => question.explained(&spot),
        "applyRequest" => question.decided(&spot, |decision| {
            let head = question.head()?;
            let host = head.authority.or(head.host);
            carry::request(decision, &question.fields, question.client.as_ref(), host).map_err(wrong)
        }),
        "applyResponse" => {
            question.decided(&spot, |decision| carry::response(decision, &question.fields, question.of_backend).map_err(wrong))
        }
        "pause" => {
            let pick = question.pick()?.derive(u64::from(question.retry).wrapping_add(1000));
            question.decided(&spot, |decision| carry::pause(decision, question.retry, pick).map_err(wrong))
        }
        "answer" => question.decided(&spot, |decision| carry::answer(decision).map_err(wrong)),
        "failure" => {
            let head = question.head()?;
            question.decided(&spot, |decision| carry::failure(decision, head.fields(), question.status).map_err(wrong))
        }
        "sessionField" => {
            let keys = question.keys()?;
            let (Some(keys), Some(told)) = (keys, &question.sessions) else { return Err(wrong("a decision without session keys")) };
            let sessions = Sessions { keys: &keys, now: told.now };
            question
                .decided(&spot, |decision| carry::session(spot.table(), decision, question.endpoint.as_deref(), &sessions).map_err(wrong))
        }
        _ => Err(wrong("there is no such operation")),
    }
}

fn read<'i, T: Deserialize<'i>>(input: &'i [u8]) -> Result<T, Failure> {
    serde_json::from_slice(input).map_err(wrong)
}

/// A request and its pick: what a decision is a function of, beside the table.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Question {
    /// [`Written`], each octet as the character of its number.
    bits: u32,
    target: String,
    host: String,
    lines: String,
    /// Decimal, since it does not fit into a number of JSON.
    pick: String,
    sessions: Option<ToldSessions>,
    explain: bool,
    /// Fields of a message to be edited, as characters of their octets.
    fields: Vec<(String, String)>,
    status: u16,
    client: Option<carry::Client>,
    of_backend: bool,
    retry: u32,
    endpoint: Option<String>,
    sni: Option<String>,
    #[serde(skip)]
    octets: std::cell::OnceCell<[Vec<u8>; 3]>,
}

/// The keys of sessions, and the time.
#[derive(Debug, Deserialize)]
struct ToldSessions {
    /// The first one seals; ids, and secrets in hexadecimal.
    keys: Vec<(u8, String)>,
    /// Seconds since 1970.
    now: u64,
}

impl Question {
    fn head(&self) -> Result<Head<'_>, Failure> {
        let octets = |text: &str| latin::octets(text).ok_or_else(|| wrong("a code unit above 0xFF is no octet"));
        let [target, host, lines] = match self.octets.get() {
            Some(read) => read,
            None => {
                let read = [octets(&self.target)?, octets(&self.host)?, octets(&self.lines)?];
                self.octets.get_or_init(|| read)
            }
        };
        Head::parse(Written { bits: self.bits, target, host, lines }).ok_or_else(|| wrong("the value of a header field has a line feed"))
    }

    fn pick(&self) -> Result<Pick, Failure> {
        self.pick.parse().map(Pick).map_err(|_| wrong("a pick is a number from 0 to 2^64-1"))
    }

    fn keys(&self) -> Result<Option<SessionKeys>, Failure> {
        let Some(told) = &self.sessions else { return Ok(None) };
        let mut keys = Vec::new();
        for (id, secret) in &told.keys {
            let octets: Option<Vec<u8>> =
                (0..secret.len() / 2).map(|n| secret.get(2 * n..2 * n + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect();
            let secret: Option<[u8; 32]> = octets.and_then(|octets| octets.try_into().ok());
            keys.push(SessionKey::new(*id, &secret.ok_or_else(|| wrong("a session key has 32 octets"))?));
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(|| wrong("sessions need a key"))?;
        Ok(Some(SessionKeys::new(current, keys)))
    }

    fn decided<T>(&self, spot: &Spot, then: impl FnOnce(&Decision<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let (head, pick, keys) = (self.head()?, self.pick()?, self.keys()?);
        let asked = spot.ask(&head, |table, request| {
            let decision = match (&keys, &self.sessions) {
                (Some(keys), Some(told)) => table.decide_with_sessions(&request, pick, &Sessions { keys, now: told.now }),
                _ => table.decide(&request, pick),
            };
            then(&decision)
        });
        asked.map_err(nowhere)?
    }

    fn explained(&self, spot: &Spot) -> Result<Value, Failure> {
        let (head, pick) = (self.head()?, self.pick()?);
        let explained = spot.ask(&head, |table, request| {
            let explanation = table.explain(&request, pick);
            json!({ "explanation": explanation, "text": explanation.to_string() })
        });
        explained.map_err(nowhere)
    }

    fn connection(&self, spot: &Spot, arrival: &Arrival<'_>) -> Result<Value, Failure> {
        let (table, pick) = (spot.table(), self.pick()?);
        if self.explain {
            let explanation = table.explain_connection(arrival, pick);
            return Ok(json!({ "explanation": explanation, "text": explanation.to_string() }));
        }
        Ok(json!(table.connection_report(&table.decide_connection(arrival, pick))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not an operation, a handle or JSON is told so.
    #[test]
    fn failures() {
        for (operation, handle, input, kind) in [
            ("fly", 0, "{}", "place"),
            ("report", 99, "{}", "place"),
            ("place", 99, "{}", "type"),
            ("show", 99, "\"gateways\"", "type"),
            ("takes", 0, "{", "type"),
            ("finish", 0, "{\"profile\": \"odd\"}", "type"),
        ] {
            let answer: Value = serde_json::from_str(&call(operation, handle, input.as_bytes())).unwrap();
            assert_eq!(answer["kind"], kind, "{operation}: {answer}");
        }
    }

    /// A table is there until the last holder lets go.
    #[test]
    fn holders() {
        call("begin", 0, b"");
        call("add", 0, b"a.yaml\0kind: Gateway\napiVersion: gateway.networking.k8s.io/v1\nmetadata: {name: g}\nspec: {gatewayClassName: c, listeners: [{name: h, port: 80, protocol: HTTP}]}");
        let compiled: Value = serde_json::from_str(&call("finish", 0, b"{}")).unwrap();
        let table = u32::try_from(compiled["table"].as_u64().unwrap()).unwrap();
        assert_eq!(call("retain", table, b""), "true");
        call("release", table, b"[]");
        assert_eq!(call("place", table, b"{}"), "{\"place\":0}");
        call("forget", table, b"[0]");
        assert_eq!(call("place", table, b"{}"), "{\"place\":0}");
        call("release", table, b"[0]");
        assert_eq!(call("retain", table, b""), "false");
        assert!(call("place", table, b"{}").contains("closed"));
    }
}
