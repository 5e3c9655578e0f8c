//! Few words for everything, so that many rules overlap in each of their conditions: no set is slower to decide than
//! by luck, but mistakes show in it first.

use super::traffic;
use super::{RouteSet, SetPath, SetRequest, SetRule};
use crate::world::Random;

const HOSTS: [&str; 8] = ["a.example", "b.a.example", "c.b.a.example", "example", "*.example", "*.a.example", "*.b.a.example", ""];
const METHODS: [&str; 3] = ["GET", "POST", "OPTIONS"];
const REGEXES: [&str; 10] =
    ["/[a-c]", "/a/.*", "/.*", "/[^/]+/b", "/(a|b)/(a|c)", "/a(/.*)?", "/b/[a-z]+/c", "(/[a-c])+", "/a|/b", "/[a-z]*/?[ab]?"];

/// Rules over a handful of hosts, segments, methods, header fields and query parameters, some of them equal.
pub(super) fn crowded(rules: usize, requests: usize, seed: u64) -> RouteSet {
    let mut random = Random(seed);
    // More rules get more values, else most of them would be equal.
    let values = 2 + rules / 100;
    let list: Vec<SetRule> = (0..rules).map(|_| rule(&mut random, values)).collect();
    let requests = (0..requests).map(|_| request(&mut random, values)).collect();
    RouteSet { name: "crowded", rules: list, requests }
}

fn rule(random: &mut Random, values: usize) -> SetRule {
    let host = Some((*random.of(&HOSTS)).to_owned()).filter(|host| !host.is_empty());
    let path = match random.below(8) {
        0 => SetPath::Regex((*random.of(&REGEXES)).to_owned()),
        1..4 => SetPath::Exact(path(random)),
        _ => SetPath::Prefix(path(random)),
    };
    let method = random.one_in(3).then(|| (*random.of(&METHODS)).to_owned());
    let (headers, queries) = (some(random, &["x-a", "x-b", "x-c"], values), some(random, &["p", "q"], values));
    SetRule { host, path, method, headers, queries, grpc: false }
}

/// Mostly few of the names, each once, with a value.
fn some(random: &mut Random, names: &[&str], values: usize) -> Vec<(String, String)> {
    let mut names = names.to_vec();
    random.shuffle(&mut names);
    names.truncate(random.below(names.len() + 1).min(random.below(names.len() + 1)));
    names.into_iter().map(|name| (name.to_owned(), format!("v{}", random.below(values)))).collect()
}

fn path(random: &mut Random) -> String {
    let depth = random.below(5);
    let path: String = (0..depth).map(|_| format!("/{}", random.of(&["a", "b", "c", "ab"]))).collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

fn request(random: &mut Random, values: usize) -> SetRequest {
    let mut request = traffic::any(random);
    let host = *random.of(&["a.example", "b.a.example", "c.b.a.example", "example", "d.c.b.a.example", "z.example", "other", "10.1.2.3"]);
    request.host = traffic::as_sent(random, host);
    request.method = (*random.of(&METHODS)).to_owned();
    request.path = path(random);
    if request.path != "/" && random.one_in(8) {
        request.path.push('/');
    }
    for name in ["x-a", "x-b", "x-c", "x-a"] {
        if random.one_in(2) {
            request.headers.push((name.to_owned(), format!("v{}", random.below(values))));
        }
    }
    let mut parameters = Vec::new();
    for name in ["p", "q", "p"] {
        if random.one_in(2) {
            let value = format!("v{}", random.below(values));
            parameters.push(format!("{name}={}", traffic::encode(random, &value)));
        }
    }
    request.query = random.below(8).ne(&0).then(|| parameters.join("&"));
    random.shuffle(&mut request.headers);
    request
}
