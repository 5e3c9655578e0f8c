//! Requests for rules: most of them are answered by a rule, all rules alike; the others are answered by none.

use super::plain::Plain;
use super::words::{self, HEADERS};
use super::{SetRequest, SetRule};
use crate::world::Random;

/// This many requests: 80 % for rules, 20 % for none of them.
pub(super) fn requests(random: &mut Random, rules: &[SetRule], count: usize) -> Vec<SetRequest> {
    requests_by(random, rules, count, for_rule, for_none)
}

/// The same with requests of the set's own making. Where no request misses, because some rule takes all, they all are
/// for rules.
pub(super) fn requests_by(
    random: &mut Random,
    rules: &[SetRule],
    count: usize,
    for_rule: impl Fn(&mut Random, &SetRule) -> SetRequest,
    for_none: impl Fn(&mut Random, &SetRule) -> SetRequest,
) -> Vec<SetRequest> {
    let plain = Plain::new(rules);
    let request = |_| {
        if random.below(100) >= 80 {
            for _ in 0..50 {
                let rule = random.of(rules);
                let request = for_none(random, rule);
                if plain.decide(&request).is_none() {
                    return request;
                }
            }
        }
        let rule = random.of(rules);
        for_rule(random, rule)
    };
    (0..count).map(request).collect()
}

/// A request that a rule's conditions hold for.
pub(super) fn for_rule(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = any(random);
    request.host = host(random, rule);
    request.path = words::path_for(random, &rule.path);
    if let Some(method) = &rule.method {
        request.method.clone_from(method);
    }
    for field in &rule.headers {
        request.headers.retain(|(name, _)| *name != field.0);
        request.headers.push(field.clone());
    }
    let queries = rule.queries.iter().map(|(name, value)| format!("{}={}", encode(random, name), encode(random, value)));
    let queries: Vec<String> = request.query.into_iter().chain(queries.collect::<Vec<_>>()).collect();
    request.query = (!queries.is_empty()).then(|| queries.join("&"));
    random.shuffle(&mut request.headers);
    request
}

/// A request of one of three kinds that rules rarely take: a host that there is not, a path that there is not, and one
/// that differs inside of a segment.
pub(super) fn for_none(random: &mut Random, rule: &SetRule) -> SetRequest {
    let mut request = any(random);
    let kind = random.below(3);
    request.host = match kind {
        0 => format!("unknown-{:05}.nowhere.example.org:8080", random.below(100_000)),
        _ => host(random, rule),
    };
    request.path = match kind {
        0 => words::path(random),
        1 => format!("/static/{}/app.js", words::id(random)),
        _ => format!("{}x/{}", words::path(random), words::id(random)),
    };
    random.shuffle(&mut request.headers);
    request
}

/// What all requests have: the fields of a client, sometimes one that rules look at.
pub(super) fn any(random: &mut Random) -> SetRequest {
    let mut headers = words::client_headers(random);
    if random.below(100) < 30 {
        headers.push(words::pair(random, &HEADERS));
    }
    let query = (random.below(100) < 15).then(|| format!("page={}", 1 + random.below(50)));
    let method = if random.below(100) < 80 { "GET" } else { "POST" };
    SetRequest { method: method.to_owned(), query, headers, ..SetRequest::default() }
}

/// A host of a rule, as clients send it: with a port, and letters of either case.
pub(super) fn host(random: &mut Random, rule: &SetRule) -> String {
    let host = match rule.host.as_deref() {
        None => format!("any-{}.example.net", random.below(10_000)),
        Some(host) => match host.strip_prefix('*') {
            Some(suffix) => format!("u{}{suffix}", random.below(10_000)),
            None => host.to_owned(),
        },
    };
    as_sent(random, &host)
}

/// A host with a port, and letters of either case.
pub(super) fn as_sent(random: &mut Random, host: &str) -> String {
    let text: String = host.chars().map(|c| if random.one_in(4) { c.to_ascii_uppercase() } else { c }).collect();
    text + *random.of(&[":8080", ":80", ":8443"])
}

/// A name or value as clients write it in a query; for what need not be encoded they sometimes do it, too.
pub(super) fn encode(random: &mut Random, text: &str) -> String {
    let mut encoded = String::new();
    for octet in text.bytes() {
        match octet {
            b' ' if random.one_in(2) => encoded.push('+'),
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if !random.one_in(64) => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}
