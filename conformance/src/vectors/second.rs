//! The second opinion: requests of vectors that the oracle understands are put to it, too. Vector, table and oracle are
//! written apart from each other; where they agree a rule was read the same way three times.

use crate::oracle::{Oracle, Outcome, Place, Then, WorldRequest};

use super::Vector;
use super::request::Asked;

/// What the oracle is not written for, by file or vector, and why.
const OUTSIDE: &[(&str, &str)] = &[
    ("backends/shares::app-protocols", "protocols of backends but HTTP/1.1 and h2c"),
    ("backends/shares::service-import", "ServiceImports"),
    ("filters/auth", "services that are asked first, and filters of the embedding program"),
    ("filters/headers::hop-by-hop-names", "the whole list of fields of one hop"),
    ("filters/headers::pseudo-header-name", "names that are no token"),
    ("filters/headers::unusable-values", "values that no field can have"),
    ("filters/redirect::wildcard-hostname-invalid", "hostnames that are none"),
    ("filters/rewrite::full-path-question-mark", "paths that are none"),
    ("gateways/default-gateways", "default Gateways"),
    ("gateways/listener-sets", "ListenerSets"),
    ("matching/fields::query-decoded", "escapes in queries"),
    ("matching/hosts::star-hostname-invalid", "hostnames that are none"),
    ("matching/paths::config-path-canonical", "paths of manifests that are not canonical"),
    ("policies/", "policies on backends"),
    ("resources/reading", "spellings that the loader or the compiler bridges"),
    ("sessions/", "session persistence"),
    ("traffic/timeouts::retry-bad-attempts", "retries"),
];

/// Whether the oracle is asked about this vector.
pub fn is_asked(vector: &Vector) -> bool {
    let name = vector.name();
    let outside = OUTSIDE.iter().any(|(prefix, _)| name.starts_with(prefix));
    !outside && vector.world.options.is_default() && vector.requests.iter().any(|asked| question(asked, vector).is_some())
}

/// Asks the oracle; what differs from the vector, as sentences, and how many requests were asked.
pub fn check(vector: &Vector) -> (usize, Vec<String>) {
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
    (asked, wrong)
}

/// The request in the words of the oracle, which knows canonical targets and hosts only.
fn question(asked: &Asked, vector: &Vector) -> Option<WorldRequest> {
    let place = &vector.world.place;
    let gateway = asked.gateway.as_ref().or(place.gateway.as_ref())?;
    let authority = asked.authority.as_ref().or(place.authority.as_ref())?;
    let canonical = asked.expect.respond.as_ref().is_none_or(|wanted| !matches!(wanted.status, 400 | 405 | 414 | 501));
    let plain = !["%", "//", "/.", "#"].iter().any(|odd| asked.target.split('?').next().unwrap_or("").contains(odd));
    let served = asked.service.is_none() && asked.shares.is_none() && asked.no_authority.is_none() && !asked.expect.pass_through;
    if !canonical || !plain || !served || !asked.target.starts_with('/') {
        return None;
    }
    let (namespace, name) = gateway.split_once('/')?;
    let (path, query) = asked.target.split_once('?').map_or((&*asked.target, None), |(path, query)| (path, Some(query)));
    Some(WorldRequest {
        place: Place::Port { gateway: (namespace.to_owned(), name.to_owned()), port: i32::from(asked.port.or(place.port)?) },
        sni: asked.sni.clone(),
        method: asked.method.clone(),
        host: authority.clone(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: asked.headers.clone(),
        pick: asked.pick,
    })
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
            let same = same && (*status == wanted.status || wanted.grpc_status.is_some());
            (!same).then(|| format!("answers {status} {reason}"))
        }
        (got, ..) => Some(format!("says {got:?}")),
    }
}
