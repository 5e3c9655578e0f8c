//! The shape of a vector, and how one of layer `decide` is checked: through compile, decide and apply.

use std::collections::BTreeMap;

use gatewright::options::{AliasHeaders, EscapedSlashes, PathParameters};
use gatewright::{Arrival, Authority, Decision, MissingServices, Options, Pick, Place, Request, apply, compile};
use gatewright_conformance::octets::Text;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) fixtures: BTreeMap<String, String>,
    pub(crate) cases: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) layer: String,
    #[serde(default)]
    pub(crate) config: String,
    #[serde(default)]
    policy: BTreeMap<String, Knob>,
    #[serde(default)]
    pub(crate) request: Option<VectorRequest>,
    expect: Expect,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Knob {
    Flag(bool),
    Word(String),
}

#[derive(Clone, Deserialize)]
pub(crate) struct VectorRequest {
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
    forward_headers_absent: Vec<String>,
    location: Option<String>,
    allow: Option<bool>,
    cors_allow: Option<bool>,
}

/// The options that a vector names.
fn options(vector: &Vector) -> Result<Options, String> {
    let mut options = Options::default();
    options.missing_services = MissingServices::Infer;
    for (name, value) in &vector.policy {
        let word = |known: &[&str]| match value {
            Knob::Word(word) => known.iter().position(|one| one == word).ok_or(format!("unknown value `{word}` of {name}")),
            Knob::Flag(_) => Err(format!("{name} is no flag")),
        };
        match (name.as_str(), value) {
            ("mergeSlashes", Knob::Flag(merge)) => options.merge_slashes = Some(*merge),
            ("escapedSlashes", _) => {
                let names = ["Reject", "KeepUnchanged", "UnescapeAndRedirect", "UnescapeAndForward"];
                options.escaped_slashes = Some(EscapedSlashes::ALL[word(&names)?]);
            }
            ("pathParameters", _) => options.path_parameters = PathParameters::ALL[word(&["Opaque", "MatchStripped", "Reject"])?],
            ("aliasHeaders", _) => options.alias_headers = AliasHeaders::ALL[word(&["Drop", "Reject", "Keep"])?],
            _ => return Err(format!("unknown knob {name}")),
        }
    }
    Ok(options)
}

/// Checks a vector of layer `decide`.
///
/// # Errors
///
/// What is wrong, in one line.
pub(crate) fn check(vector: &Vector, fixture: &str) -> Result<(), String> {
    let loaded = gatewright::load::load_text(&vector.config, fixture);
    if loaded.is_broken() {
        return Err(format!("{:?}", loaded.diagnostics));
    }
    let table = compile(&loaded.resources, &options(vector)?).table;
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
            let sent = sent(forward, &headers)?;
            // What a backend gets is what was matched, to the octet ([R-P11]).
            same("forwarded target", Some(forward.target.to_string()), sent.uri.path_and_query().map(ToString::to_string));
            for (name, value) in &expect.forward_headers {
                let found: Vec<_> = sent.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
                let wanted = match value {
                    Values::One(value) => value.clone(),
                    Values::Lines(values) => values.join(","),
                };
                same(name, Some(wanted), Some(found.join(",")));
            }
            for name in &expect.forward_headers_absent {
                same(&format!("header {name}"), Some("absent".into()), sent.headers.get(name).is_none().then(|| "absent".into()));
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
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// The request as a backend gets it.
fn sent(forward: &gatewright::decision::Forward<'_>, headers: &[(Vec<u8>, Vec<u8>)]) -> Result<http::request::Parts, String> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name).map_err(|error| error.to_string())?;
        parts.headers.append(name, HeaderValue::from_bytes(value).map_err(|error| error.to_string())?);
    }
    apply::forward(forward, &mut parts);
    Ok(parts)
}
