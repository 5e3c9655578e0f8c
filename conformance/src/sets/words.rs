//! The words of which ordinary sites make their paths, header fields and query parameters.

use super::SetPath;
use crate::world::Random;

/// What collections are called.
pub(super) const RESOURCES: [&str; 30] = [
    "orders",
    "users",
    "carts",
    "items",
    "payments",
    "invoices",
    "sessions",
    "tokens",
    "products",
    "reviews",
    "search",
    "catalog",
    "stock",
    "shipments",
    "returns",
    "coupons",
    "accounts",
    "profiles",
    "messages",
    "events",
    "metrics",
    "reports",
    "exports",
    "uploads",
    "files",
    "images",
    "tags",
    "teams",
    "projects",
    "builds",
];

/// What is below a collection.
pub(super) const BELOW: [&str; 16] = [
    "list", "detail", "export", "import", "bulk", "history", "audit", "status", "config", "members", "settings", "summary", "preview",
    "archive", "health", "stream",
];

/// Header fields that rules look at, with their values.
pub(super) const HEADERS: [(&str, &[&str]); 4] = [
    ("x-version", &["v1", "v2", "v3"]),
    ("x-canary", &["true", "always"]),
    ("x-tenant-tier", &["free", "gold", "platinum"]),
    ("x-region", &["eu-west-1", "us-east-1", "ap-south-1"]),
];

/// Query parameters that rules look at, with their values.
pub(super) const QUERIES: [(&str, &[&str]); 3] = [("version", &["1", "2"]), ("mode", &["fast", "full"]), ("debug", &["1"])];

/// A path of one to four segments; most have three or four.
pub(super) fn path(random: &mut Random) -> String {
    let depth = random.below(100);
    let version = 1 + random.below(3);
    let resource = random.of(&RESOURCES);
    match depth {
        0..10 => format!("/{resource}"),
        10..25 if random.below(100) < 40 => format!("/api/v{version}"),
        10..25 => format!("/{resource}/{}", random.of(&BELOW)),
        25..65 => format!("/api/v{version}/{resource}"),
        _ => format!("/api/v{version}/{resource}/{}", random.of(&BELOW)),
    }
}

/// A regular expression of the kind that people write for an id inside of a path.
pub(super) fn regex(random: &mut Random) -> String {
    let (resource, number) = (random.of(&RESOURCES), random.below(100));
    let (one, other) = (random.of(&BELOW), random.of(&BELOW));
    format!("/rx/{resource}-{number}/[0-9]+/({one}|{other})/[a-z0-9-]+")
}

/// A header field or query parameter with one of its values.
pub(super) fn pair(random: &mut Random, list: &[(&str, &[&str])]) -> (String, String) {
    let (name, values) = random.of(list);
    ((*name).to_owned(), (*random.of(values)).to_owned())
}

/// Six hexadecimal digits: an id in a path.
pub(super) fn id(random: &mut Random) -> String {
    format!("{:06x}", random.number() & 0xff_ffff)
}

/// A path that a rule's path holds on.
pub(super) fn path_for(random: &mut Random, path: &SetPath) -> String {
    match path {
        SetPath::Exact(path) => path.clone(),
        SetPath::Prefix(prefix) => {
            let mut path = if prefix == "/" { String::new() } else { prefix.clone() };
            for _ in 0..*random.of(&[0, 1, 1, 2]) {
                path += &format!("/{}", id(random));
            }
            if path.is_empty() { "/".to_owned() } else { path }
        }
        SetPath::Regex(regex) => for_regex(random, regex),
    }
}

/// A path for an expression of [`regex`].
fn for_regex(random: &mut Random, regex: &str) -> String {
    let word = regex.split_once('(').and_then(|(_, rest)| rest.split_once('|'));
    match (regex.split_once("/["), word) {
        (Some((begin, _)), Some((word, _))) => format!("{begin}/{}/{word}/{}", 1 + random.below(9999), id(random)),
        // An expression without classes is a text.
        _ => regex.to_owned(),
    }
}

/// The seven header fields that an ordinary client sends.
pub(super) fn client_headers(random: &mut Random) -> Vec<(String, String)> {
    let (a, b, c) = (random.number(), random.number(), random.number());
    let field = |name: &str, value: String| (name.to_owned(), value);
    vec![
        field("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36".to_owned()),
        field("accept", "application/json".to_owned()),
        field("accept-encoding", "gzip, br".to_owned()),
        field("authorization", format!("Bearer {a:016x}{b:016x}")),
        field("x-request-id", format!("{:08x}-{:04x}-{:04x}", a >> 32, b & 0xffff, b >> 48)),
        field("traceparent", format!("00-{b:016x}{c:016x}-{a:016x}-01")),
        field("x-forwarded-for", format!("10.0.{}.{}", c & 0xff, (c >> 8) & 0xff)),
    ]
}
