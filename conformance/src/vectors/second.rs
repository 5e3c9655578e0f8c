//! The second opinion: requests of vectors that the oracle understands are put to it, too. Vector, table and oracle are
//! written apart from each other; where they agree a rule was read the same way three times.

use crate::oracle::{Oracle, Outcome, Place, Then, WorldConnection, WorldRequest};

use super::Vector;
use super::connection::{Connected, Transport};
use super::request::Asked;

/// What the oracle is not written for, by file or vector, and why. A test checks that each is needed.
pub const OUTSIDE: &[(&str, &str)] = &[
    ("backends/shares::app-protocols", "protocols of backends but HTTP/1.1 and h2c"),
    ("backends/shares::service-import", "ServiceImports"),
    ("filters/auth", "services that are asked first, and filters of the embedding program"),
    ("filters/headers::hop-by-hop-names", "the whole list of fields of one hop"),
    ("filters/headers::pseudo-header-name", "names that are no token"),
    ("filters/headers::unusable-values", "values that no field can have"),
    ("filters/redirect::wildcard-hostname-invalid", "hostnames that are none"),
    ("filters/rewrite::full-path-question-mark", "paths that are none"),
    ("gateways/default-gateways", "default Gateways"),
    ("matching/fields::query-decoded", "escapes in queries"),
    ("matching/hosts::star-hostname-invalid", "hostnames that are none"),
    ("matching/paths::config-path-canonical", "paths of manifests that are not canonical"),
    ("policies/backend-tls::app-protocols", "protocols of backends but HTTP/1.1 and h2c"),
    ("policies/traffic::external", "XBackends"),
    ("policies/traffic::policy-on-external", "XBackends"),
    ("resources/reading::null-is-absent", "empty text that means nothing"),
    ("sessions/", "session persistence"),
    ("streams/tls::old-version", "old versions"),
    ("traffic/timeouts::retry-bad-attempts", "retries"),
];

/// Whether the oracle is written for a vector and has something to say about it.
pub fn is_asked(vector: &Vector) -> bool {
    let name = vector.name();
    !OUTSIDE.iter().any(|(prefix, _)| name.starts_with(prefix)) && check(vector).0 > 0
}

/// Asks the oracle; how many questions were asked, and what differs from the vector, as sentences.
pub fn check(vector: &Vector) -> (usize, Vec<String>) {
    if !vector.world.options.is_default() {
        return (0, Vec::new());
    }
    let resources = vector.world.load().resources;
    let oracle = Oracle::new(&resources);
    let mut wrong = Vec::new();
    let mut asked = 0;
    for request in &vector.requests {
        let Some(question) = question(request, vector) else { continue };
        asked += 1;
        let told = differs(request, &oracle.answer(&question));
        wrong.extend(told.map(|told| format!("{}: the oracle {told}", request.name())));
    }
    for connected in &vector.connections {
        let Some(question) = connection(connected, vector) else { continue };
        asked += 1;
        let answer = oracle.connect(&question);
        if !connected.agrees(answer.listener.as_deref(), &answer.then) {
            wrong.push(format!("{}: the oracle says {answer:?}", connected.name()));
        }
    }
    (asked, wrong)
}

/// The request in the words of the oracle, which knows canonical targets and hosts only.
fn question(asked: &Asked, vector: &Vector) -> Option<WorldRequest> {
    let place = asked.own_place().or(&vector.world.place);
    let canonical = asked.expect.respond.as_ref().is_none_or(|wanted| !matches!(wanted.status, 400 | 405 | 414 | 501));
    let plain = !["%", "//", "/.", "#"].iter().any(|odd| asked.target.split('?').next().unwrap_or("").contains(odd));
    let served = asked.shares.is_none() && asked.no_authority.is_none() && !asked.expect.pass_through;
    if !canonical || !plain || !served || !asked.target.starts_with('/') {
        return None;
    }
    let (path, query) = asked.target.split_once('?').map_or((&*asked.target, None), |(path, query)| (path, Some(query)));
    let port = i32::from(place.port?);
    Some(WorldRequest {
        place: match &place.service {
            Some(service) => Place::Service { client: place.client?, service: pair(service)?, port },
            None => Place::Port { gateway: pair(&place.gateway?)?, port },
        },
        sni: asked.sni.clone(),
        method: asked.method.clone(),
        host: asked.authority.clone().or(place.authority)?,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: asked.headers.clone(),
        pick: asked.pick,
    })
}

/// The connection in the words of the oracle.
fn connection(connected: &Connected, vector: &Vector) -> Option<WorldConnection> {
    let place = connected.own_place().or(&vector.world.place);
    // A server name that is none, and what passes through, are not the oracle's.
    let plain = connected.sni.as_ref().is_none_or(|name| !name.contains("..") && !name.contains(':'));
    if !plain || connected.shares.is_some() || connected.expect.pass_through || place.service.is_some() {
        return None;
    }
    Some(WorldConnection {
        gateway: pair(&place.gateway?)?,
        port: i32::from(place.port?),
        udp: connected.transport == Transport::Udp,
        sni: connected.sni.clone(),
        pick: connected.pick,
    })
}

/// `namespace/name`
fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
}

/// How the oracle's answer differs from what is wanted.
fn differs(asked: &Asked, outcome: &Outcome) -> Option<String> {
    let wanted = &asked.expect;
    match (&outcome.then, &wanted.forward, &wanted.redirect, &wanted.respond) {
        (Then::Forward(got), Some(wanted), None, None) => wanted.second(got),
        (Then::Respond { reason, status, fields }, None, Some(wanted), None) if reason == "Redirect" => {
            let location = fields.get("location").and_then(|all| all.first()).map_or("", String::as_str);
            let same = *status == wanted.status && location == wanted.location;
            (!same).then(|| format!("redirects with {status} to {location}"))
        }
        (Then::Respond { reason, status, .. }, None, None, Some(wanted)) if reason != "Redirect" => {
            let same = wanted.reason.as_ref().is_none_or(|wanted| wanted == reason);
            // A gRPC client gets status 200.
            let same = same && (*status == wanted.status || *status == 200);
            (!same).then(|| format!("answers {status} {reason}"))
        }
        (got, ..) => Some(format!("says {got:?}")),
    }
}
