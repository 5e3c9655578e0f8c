//! The exported answers are complete: every question, built of nothing but its line, is answered as the line says. This
//! is what a binding does in its own language (`conformance/answers.md`).

use std::fmt::Debug;

use gatewright::load::{Loaded, Loader};
use gatewright::session::{SessionKey, SessionKeys, Sessions};
use gatewright::table::{Endpoint, Endpoints};
use gatewright::{Arrival, Authority, Compiled, Decision, Options, Pick, Place, Request, Table, apply, compile};
use gatewright_conformance::answers;
use gatewright_conformance::octets::Text;
use gatewright_conformance::vectors::OptionSettings;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Texts = Vec<(String, String)>;
type Lines = Vec<(String, String)>;
type Octets = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    id: String,
    suite: String,
    manifests: Texts,
    options: OptionSettings,
    status: Value,
    diagnostics: Value,
    asks: Vec<Ask>,
    session: Option<Session>,
    #[serde(default)]
    conversations: Vec<Vec<Step>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    kind: String,
    request: Option<Question>,
    connection: Option<Question>,
    decision: Value,
    explanation: Option<Value>,
    applied: Option<Value>,
}

/// A request has a target, a connection a transport.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    method: Option<String>,
    target: Option<Text>,
    scheme: Option<String>,
    authority: Option<Text>,
    no_authority: Option<String>,
    transport: Option<String>,
    gateway: Option<String>,
    port: u16,
    listener: Option<String>,
    listener_set: Option<String>,
    service: Option<String>,
    client: Option<String>,
    sni: Option<String>,
    #[serde(default)]
    headers: Vec<(Text, Text)>,
    pick: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    key_id: u8,
    key: String,
    start: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: u64,
    manifests: Option<Texts>,
    request: Question,
    decision: Value,
    established: bool,
    endpoint: Option<String>,
    told: Option<(String, String)>,
}

#[test]
fn a_line_is_all_that_is_needed() {
    let mut wrong = Vec::new();
    let summary = answers::export(&mut |line| {
        wrong.extend(differences(line));
        Ok(())
    });
    let summary = summary.unwrap();
    assert!(wrong.is_empty(), "{} differences, the first:\n{}", wrong.len(), wrong[0]);
    assert!(summary.vectors.worlds > 500 && summary.vectors.asks > 2000, "{summary}");
    assert_eq!(gatewright_conformance::shared("conformance").is_some(), summary.upstream.asks > 1000, "{summary}");
    println!("{summary}");
}

/// Parts of a line, each of some line.
const PARTS: [&str; 14] = [
    "/status/gateways",
    "/diagnostics",
    "/options/missing_services",
    "/asks/0/decision/decision",
    "/asks/0/explanation/candidates",
    "/asks/0/applied/target",
    "/asks/0/applied/request",
    "/asks/0/applied/response",
    "/asks/0/applied/status",
    "/asks/0/applied/headers",
    "/conversations/0/0/decision",
    "/conversations/0/0/endpoint",
    "/conversations/0/0/told",
    "/conversations/0/1/established",
];

/// Whatever part of a line is altered, it is told.
#[test]
fn what_is_altered_is_seen() {
    let mut left = PARTS.to_vec();
    let stopped = answers::export(&mut |line| {
        let world: Value = serde_json::from_str(line).unwrap();
        left.retain(|part| {
            let mut altered = world.clone();
            let Some(place) = altered.pointer_mut(part) else { return true };
            *place = json!(["altered"]);
            assert!(!differences(&altered.to_string()).is_empty(), "{part}");
            false
        });
        if left.is_empty() { Err("enough".to_owned()) } else { Ok(()) }
    });
    assert_eq!(stopped.unwrap_err(), "enough", "{left:?}");
}

/// What of a line is answered otherwise.
fn differences(line: &str) -> Vec<String> {
    match serde_json::from_str::<World>(line) {
        Ok(world) => world.check().unwrap_or_else(|error| vec![format!("{}: {error}", world.id)]),
        Err(error) => vec![error.to_string()],
    }
}

/// Collects what differs in a world.
struct Differences<'w> {
    world: &'w str,
    all: Vec<String>,
}

impl Differences<'_> {
    fn equal<T: PartialEq + Debug>(&mut self, what: &str, got: &T, wanted: &T) {
        if got != wanted {
            self.all.push(format!("{}: {what} is {got:?}, the line says {wanted:?}", self.world));
        }
    }
}

impl World {
    fn check(&self) -> Result<Vec<String>, String> {
        let mut differ = Differences { world: &self.id, all: Vec::new() };
        if !["vectors", "upstream"].contains(&&*self.suite) {
            return Err(format!("suite `{}`", self.suite));
        }
        let options = self.options.options()?;
        let (loaded, compiled) = build(&self.manifests, &options);
        differ.equal("status", &json(&compiled.status), &self.status);
        let diagnostics: Vec<_> = loaded.diagnostics.iter().chain(&compiled.diagnostics).collect();
        differ.equal("diagnostics", &json(&diagnostics), &self.diagnostics);
        for (n, ask) in self.asks.iter().enumerate() {
            ask.check(&compiled.table, &format!("ask {n}"), &mut differ)?;
        }
        for (n, steps) in self.conversations.iter().enumerate() {
            let session = self.session.as_ref().ok_or("no session")?;
            let mut table = compiled.table.clone();
            for (m, step) in steps.iter().enumerate() {
                if let Some(manifests) = &step.manifests {
                    table = build(manifests, &options).1.table;
                }
                step.check(&table, session, &format!("step {m} of conversation {n}"), &mut differ)?;
            }
        }
        Ok(differ.all)
    }
}

fn build(manifests: &Texts, options: &Options) -> (Loaded, Compiled) {
    let mut loader = Loader::new();
    manifests.iter().for_each(|(name, text)| loader.add_text(name, text));
    let loaded = loader.finish();
    let compiled = compile(&loaded.resources, options);
    (loaded, compiled)
}

impl Ask {
    fn check(&self, table: &Table, what: &str, differ: &mut Differences<'_>) -> Result<(), String> {
        let (question, of_request) = match (&*self.kind, &self.request, &self.connection) {
            ("request", Some(question), None) => (question, true),
            ("connection", None, Some(question)) => (question, false),
            _ => return Err(format!("{what} is neither a request nor a connection")),
        };
        let pick = question.pick()?;
        let (mut decision, mut explanation, mut applied) = (json!({"decision": "passThrough"}), None, None);
        match question.arrival(table)? {
            None => {}
            Some(arrival) if of_request => {
                let headers = question.headers();
                let (target, authority) = question.octets()?;
                let request = question.request(arrival, &target, authority.as_deref(), &headers)?;
                let decided = table.decide(&request, pick);
                decision = json(&table.report(&decided));
                explanation = Some(json(&table.explain(&request, pick)));
                let given = self.applied.as_ref().map(|applied| applied["given_response"].clone());
                applied = Some(carried_out(&decided, &headers, given.unwrap_or_default()));
            }
            Some(arrival) => {
                decision = json(&table.connection_report(&table.decide_connection(&arrival, pick)));
                explanation = Some(json(&table.explain_connection(&arrival, pick)));
            }
        }
        differ.equal(&format!("{what}: decision"), &decision, &self.decision);
        differ.equal(&format!("{what}: applied"), &applied, &self.applied);
        if self.explanation.is_some() {
            differ.equal(&format!("{what}: explanation"), &explanation, &self.explanation);
        }
        Ok(())
    }
}

impl Question {
    fn pick(&self) -> Result<Pick, String> {
        self.pick.parse().map(Pick).map_err(|_| format!("pick `{}`", self.pick))
    }

    /// Where it arrives; none when it passes through.
    fn arrival(&self, table: &Table) -> Result<Option<Arrival<'_>>, String> {
        let pair = |text: &'static str, name: &Option<String>| {
            let pair = name.as_ref().and_then(|name| name.split_once('/'));
            pair.map(|(namespace, name)| (namespace.to_owned(), name.to_owned())).ok_or(text)
        };
        if self.service.is_some() {
            let (namespace, name) = pair("service", &self.service)?;
            let client = self.client.as_ref().ok_or("client")?;
            let frontend = table.find_frontend(client, &namespace, &name, self.port);
            return Ok(frontend.map(|frontend| Arrival::at(frontend.id)));
        }
        let (namespace, name) = pair("gateway", &self.gateway)?;
        let gateway = table.find_gateway(&namespace, &name).ok_or("no such Gateway")?.id;
        let udp = self.transport.as_deref() == Some("udp");
        let port = if udp { table.find_udp_port(gateway, self.port) } else { table.find_port(gateway, self.port) };
        let listener = match (&self.listener, &self.listener_set) {
            (None, _) => None,
            (Some(listener), None) => table.find_listener(gateway, listener),
            (Some(listener), Some(_)) => {
                let (namespace, set) = pair("listener_set", &self.listener_set)?;
                table.find_set_listener(&namespace, &set, listener)
            }
        };
        if self.listener.is_some() && listener.is_none() {
            return Err("no such listener".to_owned());
        }
        let place = Place::Port(port.ok_or("no such port")?.id);
        Ok(Some(Arrival { place, sni: self.sni.as_deref(), listener: listener.map(|listener| listener.id) }))
    }

    fn headers(&self) -> Octets {
        self.headers.iter().map(|(name, value)| (name.octets(), value.octets())).collect()
    }

    /// Target and authority.
    fn octets(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
        Ok((self.target.as_ref().ok_or("target")?.octets(), self.authority.as_ref().map(Text::octets)))
    }

    fn request<'a>(
        &'a self,
        arrival: Arrival<'a>,
        target: &'a [u8],
        authority: Option<&'a [u8]>,
        headers: &'a Octets,
    ) -> Result<Request<'a, Octets>, String> {
        let authority = match (authority, self.no_authority.as_deref()) {
            (Some(octets), None) => Authority::Given(octets),
            (None, Some("absent")) => Authority::Absent,
            (None, Some("missing")) => Authority::Missing,
            (None, Some("ambiguous")) => Authority::Ambiguous,
            other => return Err(format!("authority: {other:?}")),
        };
        Ok(Request { arrival, method: self.method.as_ref().ok_or("method")?, scheme: self.scheme.as_deref(), authority, target, headers })
    }
}

impl Step {
    fn check(&self, table: &Table, session: &Session, what: &str, differ: &mut Differences<'_>) -> Result<(), String> {
        let octet = |n: usize| session.key.get(2 * n..2 * n + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let secret: Vec<u8> = (0..32).map_while(octet).collect();
        let secret = secret.as_slice().try_into().map_err(|_| "key")?;
        let keys = SessionKeys::new(SessionKey::new(session.key_id, secret), []);
        let sessions = Sessions { keys: &keys, now: session.start + self.at };
        let headers = self.request.headers();
        let (target, authority) = self.request.octets()?;
        let arrival = self.request.arrival(table)?.ok_or("it passes through")?;
        let request = self.request.request(arrival, &target, authority.as_deref(), &headers)?;
        let decision = table.decide_with_sessions(&request, self.request.pick()?, &sessions);
        differ.equal(&format!("{what}: decision"), &json(&table.report(&decision)), &self.decision);
        let (mut established, mut pinned, mut told) = (false, None, None);
        if let Decision::Forward(forward) = &decision {
            established = forward.session.is_some_and(|session| session.is_established());
            pinned = forward.session.and_then(|session| session.endpoint()).map(Endpoint::to_string);
            let answering = match (&self.endpoint, table.backend(forward.backend).map(|backend| &backend.endpoints)) {
                (Some(name), Some(Endpoints::Known(all))) => {
                    Some(all.iter().find(|endpoint| endpoint.to_string() == *name).ok_or("no such endpoint")?)
                }
                _ => None,
            };
            let field = table.session_field(forward, answering, &sessions);
            told = field.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        }
        differ.equal(&format!("{what}: established"), &established, &self.established);
        if pinned.is_some() {
            differ.equal(&format!("{what}: endpoint"), &pinned, &self.endpoint);
        }
        differ.equal(&format!("{what}: told"), &told, &self.told);
        Ok(())
    }
}

/// A decision, carried out with the types of the `http` crate.
fn carried_out(decision: &Decision<'_>, headers: &[(Vec<u8>, Vec<u8>)], given: Value) -> Value {
    let (status, headers) = match decision {
        Decision::Forward(forward) => {
            let mut parts = http::Request::new(()).into_parts().0;
            parts.headers = map(headers);
            apply::forward(forward, &mut parts);
            let lines: Vec<(Text, Text)> = serde_json::from_value(given.clone()).unwrap_or_default();
            let mut response = map(&lines.iter().map(|(name, value)| (name.octets(), value.octets())).collect::<Vec<_>>());
            apply::response_headers(&forward.response, &mut response);
            let (target, request, response) = (parts.uri.to_string(), sorted(&parts.headers), sorted(&response));
            return json!({"target": target, "request": request, "given_response": given, "response": response});
        }
        Decision::Redirect(redirect) => apply::redirect(redirect),
        Decision::Respond(respond) => apply::respond(respond),
        other => return json!(format!("{other:?}")),
    };
    json!({"status": status.as_u16(), "headers": sorted(&headers)})
}

fn map(lines: &[(Vec<u8>, Vec<u8>)]) -> HeaderMap {
    let field = |(name, value): &(Vec<u8>, Vec<u8>)| {
        (HeaderName::from_bytes(name).expect("a name of a field"), HeaderValue::from_bytes(value).expect("a value of a field"))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(field) {
        headers.append(name, value);
    }
    headers
}

fn sorted(headers: &HeaderMap) -> Lines {
    let mut lines: Lines = headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

/// Octets as code points.
fn text(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("data")
}
