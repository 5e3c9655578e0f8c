//! Hostile requests: each vector of layer `decide` is one test through compile, decide and apply.

use std::collections::BTreeMap;

use gatewright::{Arrival, Authority, Decision, MissingServices, Options, Pick, Place, Profile, Request, apply, compile};
use http::{HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    fixtures: BTreeMap<String, String>,
    cases: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
struct Vector {
    id: String,
    layer: String,
    #[serde(default)]
    config: String,
    #[serde(default)]
    policy: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default)]
    request: Option<VectorRequest>,
    expect: Expect,
}

#[derive(Clone, Deserialize)]
struct VectorRequest {
    #[serde(default)]
    method: Option<Text>,
    #[serde(default)]
    target: Option<Text>,
    #[serde(default)]
    authority: Option<Text>,
    #[serde(default)]
    headers: Vec<(Text, Text)>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    sni: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

/// Code points are octets; a list is pieces, each repeated.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Pieces(Vec<(String, usize)>),
}

impl Text {
    fn octets(&self) -> Vec<u8> {
        let text = match self {
            Self::Plain(text) => text.clone(),
            Self::Pieces(pieces) => pieces.iter().map(|(text, times)| text.repeat(*times)).collect(),
        };
        text.chars().map(|c| u8::try_from(u32::from(c)).expect("a code point below 256")).collect()
    }
}

/// One value of a field, or one for each line.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Lines(Vec<String>),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Expect {
    outcome: String,
    status: Vec<u16>,
    rule: Option<String>,
    backend: Option<String>,
    forward_target: Option<Text>,
    forward_host: Option<String>,
    forward_headers: BTreeMap<String, Values>,
    location: Option<String>,
    allow: Option<bool>,
    cors_allow: Option<bool>,
}

/// Vectors that decide alone cannot answer, and why.
fn excepted(vector: &Vector) -> Option<&'static str> {
    if vector.request.is_none() {
        return Some("a scenario in words");
    }
    if vector.policy.keys().any(|knob| knob != "escapedSlashes" && knob != "mergeSlashes") {
        return Some("a knob of a later version");
    }
    if vector.id.starts_with("HOP-") || vector.id == "MOD-005" {
        return Some("fields of one hop are the server's to take out before it asks");
    }
    if vector.request.as_ref().is_some_and(|r| r.headers.iter().any(|(name, _)| name.octets().contains(&b'_')))
        && vector.id.starts_with("HDR-")
    {
        return Some("only the match is checked here: dropping aliases is the server's");
    }
    None
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    if let Some(path) = gatewright_conformance::shared("hostile-requests.yaml") {
        let text = std::fs::read_to_string(path).expect("readable vectors");
        // `y` is a header name there.
        let options = serde_saphyr::options! { strict_booleans: true };
        let vectors: Vectors = serde_saphyr::from_str_with_options(&text, options).expect("vectors as described");
        for vector in vectors.cases.into_iter().filter(|v| v.layer == "decide") {
            if let Some(why) = excepted(&vector) {
                println!("{} is not checked: {why}", vector.id);
                continue;
            }
            let fixture = vectors.fixtures[&vector.config].clone();
            trials.push(Trial::test(vector.id.clone(), move || run(&vector, &fixture)));
        }
        assert!(trials.len() > 370, "{} vectors: has the file changed?", trials.len());
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(vector: &Vector, fixture: &str) -> Result<(), Failed> {
    let loaded = gatewright::load::load_text(&vector.config, fixture);
    if loaded.is_broken() {
        return Err(format!("{:?}", loaded.diagnostics).into());
    }
    let mut options = Options::default();
    options.missing_services = MissingServices::Infer;
    options.profile = if vector.policy.is_empty() { Profile::Strict } else { Profile::Compatible };
    let table = compile(&loaded.resources, &options).table;
    let request = vector.request.as_ref().ok_or("no request")?;
    let number = request.port.unwrap_or(80);
    let port = table.gateways().iter().find_map(|g| table.find_port(g.id, number)).ok_or("no port")?;
    let octets = |text: &Option<Text>| text.as_ref().map(Text::octets);
    let method = String::from_utf8_lossy(&octets(&request.method).unwrap_or_else(|| b"GET".to_vec())).into_owned();
    let (target, authority) = (octets(&request.target).unwrap_or_default(), octets(&request.authority));
    let headers: Vec<(Vec<u8>, Vec<u8>)> = request.headers.iter().map(|(name, value)| (name.octets(), value.octets())).collect();
    let view = Request {
        arrival: Arrival { place: Place::Port(port.id), sni: request.sni.as_deref(), listener: None },
        method: &method,
        scheme: None,
        authority: match (&authority, request.version.as_deref()) {
            (Some(octets), _) => Authority::Given(octets),
            (None, Some("1.0")) => Authority::Absent,
            (None, _) => Authority::Missing,
        },
        target: &target,
        headers: &headers,
    };
    let decision = table.decide(&view, Pick(0));
    let rule = decision.matched().map(|matched| {
        let names = table.match_report(matched);
        format!("{}/{}#{}", names.route.namespace, names.route.name, names.rule)
    });
    let expect = &vector.expect;
    let mut wrong = Vec::new();
    let mut same = |what: &str, wanted: Option<String>, found: Option<String>| {
        if wanted.is_some() && wanted != found {
            wrong.push(format!("{what}: {found:?}, expected {wanted:?}"));
        }
    };
    let latin = |text: &Text| String::from_utf8_lossy(&text.octets()).into_owned();
    match (expect.outcome.as_str(), &decision) {
        ("route", Decision::Forward(forward)) => {
            let backend = table.backend(forward.backend).map(|b| format!("{}:{}", b.object.name, b.port));
            same("rule", expect.rule.clone(), rule);
            same("backend", expect.backend.clone(), backend);
            same("target", expect.forward_target.as_ref().map(latin), Some(forward.target.to_string()));
            same("host", expect.forward_host.clone(), forward.authority.map(str::to_owned));
            let mut fields = HeaderMap::new();
            for (name, value) in &headers {
                fields.append(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?);
            }
            apply::request_headers(&forward.request_headers, &mut fields);
            for (name, value) in &expect.forward_headers {
                let found: Vec<_> = fields.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
                let wanted = match value {
                    Values::One(value) => value.clone(),
                    Values::Lines(values) => values.join(","),
                };
                same(name, Some(wanted), Some(found.join(",")));
            }
            if let Some(allow) = expect.cors_allow {
                let mut fields = HeaderMap::new();
                apply::response_headers(&forward.response, &mut fields);
                same("cors", Some(allow.to_string()), Some(fields.contains_key("access-control-allow-origin").to_string()));
            }
        }
        ("redirect", Decision::Redirect(redirect)) => {
            same("rule", expect.rule.clone(), rule);
            same("location", expect.location.clone(), Some(redirect.location.to_string()));
            if !expect.status.is_empty() && !expect.status.contains(&redirect.status.as_u16()) {
                wrong.push(format!("status {}", redirect.status));
            }
        }
        ("preflight", Decision::Respond(respond)) => {
            let (status, fields) = apply::respond(respond);
            same("status", Some("204 No Content".into()), Some(status.to_string()));
            same("allow", expect.allow.map(|b| b.to_string()), Some(fields.contains_key("access-control-allow-origin").to_string()));
        }
        ("reject" | "respond", Decision::Respond(respond)) => {
            same("rule", expect.rule.clone(), rule);
            if !expect.status.contains(&respond.status.as_u16()) {
                wrong.push(format!("{} ({}), expected {:?}", respond.status, respond.reason, expect.status));
            }
        }
        // The handshake would have failed; asked nevertheless, the table routes nothing.
        ("tls_reject", Decision::Respond(respond)) if respond.matched.is_none() => {}
        (wanted, found) => wrong.push(format!("{:?}, expected {wanted}", table.report(found))),
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}
