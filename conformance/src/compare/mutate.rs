//! Changes of requests that rules are told apart by: each may change the rule that answers, or must not.

use std::collections::HashMap;

use crate::sets::{RouteSet, SetPath, SetRequest, SetRule};
use crate::world::Random;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "PURGE"];

/// Changes the requests of a set.
pub(super) struct Mutator<'s> {
    set: &'s RouteSet,
    /// The rules of each host.
    hosts: Vec<Vec<&'s SetRule>>,
}

impl<'s> Mutator<'s> {
    pub(super) fn new(set: &'s RouteSet) -> Self {
        let mut places = HashMap::new();
        let mut hosts: Vec<Vec<&SetRule>> = Vec::new();
        for rule in &set.rules {
            let place = *places.entry(&rule.host).or_insert_with(|| {
                hosts.push(Vec::new());
                hosts.len() - 1
            });
            hosts[place].push(rule);
        }
        Self { set, hosts }
    }

    /// Makes one to three changes.
    pub(super) fn change(&self, random: &mut Random, request: &mut SetRequest) {
        for _ in 0..=random.below(3) {
            match random.below(12) {
                0 => self.field(random, request),
                1 => self.repeated_field(random, request),
                2 => self.field_of_a_rule(random, request),
                3 => self.connection(random, request),
                4 => path(random, request),
                5 => segment(random, request),
                6 => {
                    let rule = self.rule(random);
                    take_path(random, request, rule);
                }
                7 => self.host(random, request),
                8 => query(random, request),
                9 => self.query_of_a_rule(random, request),
                10 => request.method = (*random.of(&METHODS)).to_owned(),
                _ => self.two_rules_of_a_host(random, request),
            }
        }
    }

    fn rule(&self, random: &mut Random) -> &'s SetRule {
        random.of(&self.set.rules)
    }

    /// A field goes, or has another value, spaces around its value, or its name in other letters.
    fn field(&self, random: &mut Random, request: &mut SetRequest) {
        if request.headers.is_empty() {
            return;
        }
        // Most fields are no condition of any rule.
        let rule = self.rule(random);
        let named = request.headers.iter().position(|(name, _)| names(rule, name));
        let at = named.filter(|_| random.one_in(2)).unwrap_or_else(|| random.below(request.headers.len()));
        let (name, value) = &mut request.headers[at];
        match random.below(6) {
            0 => drop(request.headers.remove(at)),
            1 => value.push('x'),
            2 => drop(value.pop()),
            3 => *value = value.to_uppercase(),
            4 => *value = format!(" {value} "),
            _ => *name = name.to_uppercase(),
        }
    }

    /// A field comes a second time, with the value that a rule wants or another one, before or after the first.
    fn repeated_field(&self, random: &mut Random, request: &mut SetRequest) {
        let Some((name, value)) = self.rule(random).headers.first().or(request.headers.first()).cloned() else { return };
        let value = if random.one_in(2) { value } else { "another".to_owned() };
        let at = random.below(request.headers.len() + 1);
        request.headers.insert(at, (name, value));
    }

    /// A field has the value that some rule wants.
    fn field_of_a_rule(&self, random: &mut Random, request: &mut SetRequest) {
        for (name, value) in &self.rule(random).headers {
            match request.headers.iter_mut().find(|(of, _)| of.eq_ignore_ascii_case(name)) {
                Some((_, old)) => old.clone_from(value),
                None => request.headers.push((name.clone(), value.clone())),
            }
        }
    }

    /// `Connection` names a field that a rule looks at, which matches do not see then.
    fn connection(&self, random: &mut Random, request: &mut SetRequest) {
        if random.one_in(2) {
            let rule = self.rule(random);
            let name = rule.headers.first().map_or("x-request-id", |(name, _)| name);
            request.headers.push(("Connection".to_owned(), format!("close, {name}")));
        }
    }

    /// The host is spelled in another way, or is another one.
    fn host(&self, random: &mut Random, request: &mut SetRequest) {
        let (name, port) = request.host.split_once(':').map_or((&*request.host, ""), |(name, port)| (name, port));
        request.host = match random.below(10) {
            0 => request.host.to_uppercase(),
            1 => request.host.to_lowercase(),
            2 => name.to_owned(),
            3 if !name.ends_with('.') => format!("{name}.:{port}"),
            4 => match name.split_once('.') {
                Some((_, parent)) if !parent.is_empty() => parent.to_owned(),
                _ => "localhost".to_owned(),
            },
            // A name has 253 octets at most.
            5 if name.len() < 240 => format!("below.{}", request.host),
            6 if name.len() < 240 => format!("x{}", request.host),
            7 => "10.1.2.3:80".to_owned(),
            8 => name.replace(['0', '1', 'b'], "a"),
            _ => match &self.rule(random).host {
                Some(host) => host.replacen('*', "y", 1),
                None => "elsewhere.example.net".to_owned(),
            },
        };
    }

    /// A parameter has the value that some rule wants, or another one that stands before it.
    fn query_of_a_rule(&self, random: &mut Random, request: &mut SetRequest) {
        for (name, value) in &self.rule(random).queries {
            let value: String = value.bytes().map(|octet| format!("%{octet:02x}")).collect();
            let old = request.query.take().filter(|query| !query.is_empty());
            request.query = Some(match (random.below(3), old) {
                (0, Some(old)) => format!("{old}&{name}={value}"),
                (1, Some(old)) => format!("{name}={value}&{old}"),
                (1, None) => format!("{name}=none&{name}={value}"),
                _ => format!("{name}={value}"),
            });
        }
    }

    /// The path of one rule of a host with the conditions of another one.
    fn two_rules_of_a_host(&self, random: &mut Random, request: &mut SetRequest) {
        let rules = random.of(&self.hosts);
        let (one, other) = (random.of(rules), random.of(rules));
        if let Some(host) = &one.host {
            request.host = host.replacen('*', "y", 1);
        }
        take_path(random, request, one);
        request.headers.extend(other.headers.iter().cloned());
        if let Some(method) = &other.method {
            request.method.clone_from(method);
        }
    }
}

/// The path gets another end.
fn path(random: &mut Random, request: &mut SetRequest) {
    let path = &mut request.path;
    match random.below(5) {
        0 if !path.ends_with('/') => path.push('/'),
        1 if !path.ends_with('/') => path.push('x'),
        2 if path.len() > 1 => drop(path.pop()),
        3 => *path = path.to_uppercase(),
        _ => *path = path.trim_end_matches('/').to_owned() + "/more",
    }
    keep_dotless(path);
}

/// A segment goes, from the end, the beginning or the middle.
fn segment(random: &mut Random, request: &mut SetRequest) {
    let mut segments: Vec<&str> = request.path.split('/').skip(1).collect();
    segments.remove(if random.one_in(2) { segments.len() - 1 } else { random.below(segments.len()) });
    request.path = format!("/{}", segments.join("/"));
    keep_dotless(&mut request.path);
}

/// A parameter comes, goes, or is written in another way.
fn query(random: &mut Random, request: &mut SetRequest) {
    let query = request.query.take().unwrap_or_default();
    let mut parameters: Vec<String> = query.split('&').map(str::to_owned).collect();
    match random.below(7) {
        0 => return,
        1 => parameters.push("%zz=%".to_owned()),
        2 => parameters.insert(0, String::new()),
        3 => parameters.reverse(),
        4 => drop(parameters.pop()),
        5 => parameters.iter_mut().for_each(|parameter| parameter.push('x')),
        _ => parameters.push(parameters[0].clone() + "y"),
    }
    request.query = Some(parameters.join("&"));
}

fn names(rule: &SetRule, name: &str) -> bool {
    rule.headers.iter().any(|(of, _)| of.eq_ignore_ascii_case(name))
}

fn take_path(random: &mut Random, request: &mut SetRequest, rule: &SetRule) {
    if let SetPath::Exact(path) | SetPath::Prefix(path) = &rule.path {
        request.path.clone_from(path);
        if random.one_in(3) {
            request.path = format!("{}/below", path.trim_end_matches('/'));
        }
    }
}

/// Sets have canonical paths.
fn keep_dotless(path: &mut String) {
    if path.is_empty() || path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        "/".clone_into(path);
    }
}
