//! The plain twin of the table: what a request is answered by, found by looking at all rules of its host in the order
//! of precedence. Nothing is indexed but the hostname, and no code is shared with the engine.

use std::cmp::Reverse;
use std::collections::HashMap;

use regex::Regex;

use super::{SetPath, SetRequest, SetRule};

/// Rules by hostname, in the order of precedence.
#[derive(Debug)]
pub struct Plain<'r> {
    exact: HashMap<&'r str, Vec<Entry<'r>>>,
    /// By the suffix, without `*.`.
    wildcard: HashMap<&'r str, Vec<Entry<'r>>>,
    any: Vec<Entry<'r>>,
}

#[derive(Debug)]
struct Entry<'r> {
    id: usize,
    rule: &'r SetRule,
    regex: Option<Regex>,
}

impl<'r> Plain<'r> {
    /// Takes the rules of a set.
    ///
    /// # Panics
    ///
    /// When an expression of a rule is none.
    pub fn new(rules: &'r [SetRule]) -> Self {
        let mut plain = Self { exact: HashMap::new(), wildcard: HashMap::new(), any: Vec::new() };
        for (id, rule) in rules.iter().enumerate() {
            let regex = match &rule.path {
                SetPath::Regex(text) => Some(Regex::new(&format!("^(?:{text})$")).expect("a set has valid expressions")),
                _ => None,
            };
            let list = match rule.host.as_deref().map(|host| host.strip_prefix("*.").ok_or(host)) {
                None => &mut plain.any,
                Some(Ok(suffix)) => plain.wildcard.entry(suffix).or_default(),
                Some(Err(host)) => plain.exact.entry(host).or_default(),
            };
            list.push(Entry { id, rule, regex });
        }
        for list in plain.exact.values_mut().chain(plain.wildcard.values_mut()).chain([&mut plain.any]) {
            list.sort_by_key(|entry| precedence(entry.id, entry.rule));
        }
        plain
    }

    /// The id of the rule that answers a request.
    pub fn decide(&self, request: &SetRequest) -> Option<usize> {
        let host = name_of(&request.host);
        let seen = Seen::of(request);
        let first = |list: &Vec<Entry<'_>>| list.iter().find(|entry| entry.holds(&seen)).map(|entry| entry.id);
        // An address is no name: only rules for any host cover it.
        if host.parse::<std::net::IpAddr>().is_err() {
            if let Some(id) = self.exact.get(&*host).and_then(first) {
                return Some(id);
            }
            let mut rest = &*host;
            while let Some((_, suffix)) = rest.split_once('.') {
                if let Some(id) = self.wildcard.get(suffix).and_then(first) {
                    return Some(id);
                }
                rest = suffix;
            }
        }
        first(&self.any)
    }
}

/// The smaller comes first: Exact, then expressions, then prefixes, each the longer before the shorter; with a method;
/// more header fields; more query parameters; the place in the manifests.
fn precedence(id: usize, rule: &SetRule) -> impl Ord + use<> {
    let path = match &rule.path {
        SetPath::Exact(text) => (3, text.len()),
        SetPath::Regex(text) => (2, text.chars().count()),
        SetPath::Prefix(text) => (1, text.len()),
    };
    (Reverse(path), Reverse(rule.method.is_some()), Reverse(rule.headers.len()), Reverse(rule.queries.len()), id)
}

/// The name of a host as sent: no port, lower case, no dot at the end.
fn name_of(host: &str) -> String {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name).to_lowercase()
}

/// What rules see of a request.
struct Seen<'q> {
    method: &'q str,
    path: &'q str,
    /// Without the fields that `Connection` names.
    fields: Vec<(&'q str, &'q str)>,
    /// Decoded.
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// It is a call of gRPC, by its content type.
    grpc: bool,
}

impl<'q> Seen<'q> {
    fn of(request: &'q SetRequest) -> Self {
        let lines = || request.headers.iter().map(|(name, value)| (name.as_str(), value.trim()));
        let connection = lines().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
        let hidden: Vec<&str> = connection.flat_map(|(_, list)| list.split(',')).map(str::trim).collect();
        let fields = lines().filter(|(name, _)| !hidden.iter().any(|other| other.eq_ignore_ascii_case(name))).collect();
        let parameters = request.query.iter().flat_map(|query| query.split('&'));
        let pairs = parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
        let parameters = pairs.map(|(name, value)| (decode(name), decode(value))).collect();
        let content_type = lines().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value.to_lowercase());
        let rest = content_type.as_deref().and_then(|value| value.strip_prefix("application/grpc"));
        let grpc = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';', ' ']));
        Self { method: &request.method, path: &request.path, fields, parameters, grpc }
    }
}

impl Entry<'_> {
    fn holds(&self, seen: &Seen<'_>) -> bool {
        let rule = self.rule;
        let path = match &rule.path {
            SetPath::Exact(text) => seen.path == *text,
            SetPath::Prefix(text) if text == "/" => true,
            SetPath::Prefix(text) => seen.path.strip_prefix(text.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            SetPath::Regex(_) => self.regex.as_ref().is_some_and(|regex| regex.is_match(seen.path)),
        };
        // Any one line of a field, but the first parameter of a name.
        let field = |(name, value): &(String, String)| seen.fields.iter().any(|(of, line)| of.eq_ignore_ascii_case(name) && line == value);
        let parameter = |(name, value): &(String, String)| {
            let first = seen.parameters.iter().find(|(of, _)| of == name.as_bytes());
            first.is_some_and(|(_, found)| found == value.as_bytes())
        };
        // A rule for a service or method takes calls only, which have two segments.
        let call = !rule.grpc || seen.grpc && (rule.path == SetPath::default() || seen.path.matches('/').count() == 2);
        path && call
            && rule.method.as_ref().is_none_or(|method| method == seen.method)
            && rule.headers.iter().all(field)
            && rule.queries.iter().all(parameter)
    }
}

/// Decodes a text of a query like a form does: `+` is a space, `%XX` an octet, and a broken `%` itself.
fn decode(text: &str) -> Vec<u8> {
    let octets = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let hex = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match octets[at..] {
            [b'%', high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
                decoded.extend(hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low));
                at += 2;
            }
            [b'+', ..] => decoded.push(b' '),
            _ => decoded.push(octets[at]),
        }
        at += 1;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// Host, path, method, header fields, query parameters and whether it is gRPC; a path begins with `=`, `~`, or is a prefix.
    fn rule(text: &str) -> SetRule {
        let mut words = text.split(';').map(str::trim);
        let mut next = || Some(words.next()?).filter(|word| !word.is_empty());
        let (host, path, method) = (next(), next().unwrap_or("/"), next());
        SetRule {
            host: host.map(str::to_owned),
            path: match path.split_at(1) {
                ("=", path) => SetPath::Exact(path.to_owned()),
                ("~", path) => SetPath::Regex(path.to_owned()),
                _ => SetPath::Prefix(path.to_owned()),
            },
            method: method.map(str::to_owned),
            headers: pairs(next().unwrap_or("")),
            queries: pairs(next().unwrap_or("")),
            grpc: next().is_some(),
        }
    }

    fn request(method: &str, host: &str, target: &str, headers: &[(&str, &str)]) -> SetRequest {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
        SetRequest {
            host: host.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn hosts_from_the_most_specific_to_the_broadest() {
        let rules = ["a.b.com;/x", "*.b.com;/y", "*.com;/z", ";/w", "*.a.b.com;/", "a.b.com;/y;POST"].map(rule);
        let plain = Plain::new(&rules);
        for (method, host, path, expected) in [
            ("GET", "a.b.com", "/x", Some(0)),
            ("GET", "A.B.com:8080", "/x/1", Some(0)),
            ("GET", "a.b.com.", "/y", Some(1)),
            ("POST", "a.b.com", "/y", Some(5)),
            ("GET", "a.b.com", "/z", Some(2)),
            ("GET", "a.b.com", "/w", Some(3)),
            ("GET", "a.b.com", "/", None),
            ("GET", "q.a.b.com", "/y", Some(4)),
            ("GET", "b.com", "/y", None),
            ("GET", "b.com", "/z", Some(2)),
            ("GET", "com", "/z", None),
            ("GET", "10.0.0.1:80", "/w", Some(3)),
            ("GET", "ab.com", "/y", None),
        ] {
            assert_eq!(plain.decide(&request(method, host, path, &[])), expected, "{method} {host}{path}");
        }
    }

    #[test]
    fn precedence_within_a_host() {
        // Each of them matches; the list is in the order of precedence, but for the ids.
        let order = [
            ";=/a/b",
            ";~/a/.?.?.?.?",
            ";~/a/.*;GET;x=1 y=2",
            ";/a/b;;",
            ";/a;GET;;",
            ";/a;;x=1 y=2;",
            ";/a;;x=1;p=1 q=2",
            ";/a;;y=2;p=1",
            ";/a;;x=1;",
            ";/a;;;p=1 q=2",
            ";/a;;;p=1",
            ";/a",
            ";/",
        ];
        for remaining in 0..order.len() {
            let mut rules: Vec<SetRule> = order[remaining..].iter().map(|text| rule(text)).collect();
            rules.reverse();
            let all = request("GET", "h", "/a/b?p=1&q=2", &[("x", "1"), ("y", "2")]);
            assert_eq!(Plain::new(&rules).decide(&all), Some(rules.len() - 1), "{}", order[remaining]);
        }
        let twice = [";/a;;x=1", ";/a;;y=2"].map(rule);
        assert_eq!(Plain::new(&twice).decide(&request("GET", "h", "/a", &[("x", "1"), ("y", "2")])), Some(0));
    }

    #[test]
    fn paths() {
        for (path, target, expected) in [
            ("=/a", "/a", true),
            ("=/a", "/a/", false),
            ("/a", "/a", true),
            ("/a", "/a/", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a", "/", false),
            ("/", "/ab", true),
            ("~/a|/ab", "/ab", true),
            ("~/a", "/ab", false),
            ("~/[0-9]+/x", "/12/x", true),
            ("~/[0-9]+/x", "/12/x/y", false),
        ] {
            let rules = [rule(&format!(";{path}"))];
            assert_eq!(Plain::new(&rules).decide(&request("GET", "h", target, &[])).is_some(), expected, "{path} on {target}");
        }
    }

    #[test]
    fn header_lines() {
        let rules = [rule(";/;;x-a=1 x-b=2")];
        let plain = Plain::new(&rules);
        for (headers, expected) in [
            (&[("x-a", "1"), ("x-b", "2")][..], true),
            (&[("X-A", "1"), ("X-b", "2")], true),
            (&[("x-a", "0"), ("x-b", "2"), ("x-a", " 1 ")], true),
            (&[("x-a", "1")], false),
            (&[("x-a", "1"), ("x-b", "3")], false),
            (&[("x-a", "0, 1"), ("x-b", "2")], false),
            (&[("x-a", "1"), ("x-b", "2"), ("connection", "close, X-B")], false),
            (&[("x-a", "1"), ("x-b", "2"), ("connection", "close")], true),
        ] {
            assert_eq!(plain.decide(&request("GET", "h", "/", headers)).is_some(), expected, "{headers:?}");
        }
    }

    #[test]
    fn grpc_calls() {
        let rules = [";=/a.B/M;;;;grpc", ";/a.B;;x=1;;grpc", ";/;;;;grpc"].map(rule);
        let plain = Plain::new(&rules);
        let call = ("content-type", "application/grpc");
        for (path, headers, expected) in [
            ("/a.B/M", &[call][..], Some(0)),
            ("/a.B/M", &[("Content-Type", "Application/gRPC+proto")], Some(0)),
            ("/a.B/M", &[("content-type", "application/grpc-web")], None),
            ("/a.B/M", &[], None),
            ("/a.B/m", &[call, ("x", "1")], Some(1)),
            ("/a.B/m", &[call], Some(2)),
            ("/a.B", &[call, ("x", "1")], Some(2)),
            ("/a.B/M/more", &[call, ("x", "1")], Some(2)),
        ] {
            assert_eq!(plain.decide(&request("POST", "h", path, headers)), expected, "{path} {headers:?}");
        }
    }

    #[test]
    fn query_parameters() {
        for (value, query, expected) in [
            ("1", "q=1", true),
            ("1", "q=2&q=1", false),
            ("1", "q=1&q=2", true),
            ("1", "Q=1", false),
            ("1", "%71=%31", true),
            ("1", "x&&q=1", true),
            ("1", "q", false),
            ("a+b", "q=a%2Bb", true),
            ("a+b", "q=a+b", false),
            ("100%", "q=100%", true),
            ("%zz", "q=%zz", true),
        ] {
            let rules = [rule(&format!(";/;;;q={value}"))];
            let target = format!("/?{query}");
            assert_eq!(Plain::new(&rules).decide(&request("GET", "h", &target, &[])).is_some(), expected, "{value} in {query}");
        }
        let space = SetRule { queries: vec![("q".to_owned(), "a b".to_owned())], ..rule(";/") };
        let rules = [space];
        for query in ["q=a+b", "q=a%20b"] {
            assert_eq!(Plain::new(&rules).decide(&request("GET", "h", &format!("/?{query}"), &[])), Some(0));
        }
    }
}
