//! Shapes of tables: some numbers, and what rules and requests they stand for.

use std::fmt;

use crate::sets::{SetPath, SetRequest, SetRule, words};
use crate::world::Random;

/// What can be chosen of a table and the requests to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    /// Wildcard hosts that lie in each other.
    Hosts,
    /// Of a hundred rules, how many are for hosts of their own.
    Elsewhere,
    /// Prefixes of each host that lie in each other.
    Prefixes,
    /// Methods of the rules of one path; 0 is none.
    Methods,
    /// Header fields that rules look at, how many of them each rule does, and how many values each has.
    HeaderNames,
    HeadersOfRule,
    HeaderValues,
    /// The same for query parameters.
    QueryNames,
    QueriesOfRule,
    QueryValues,
    /// Rules with a regular expression.
    Regexes,
    /// Segments of a request's path below the longest prefix.
    Segments,
    /// Fields of a request that no rule looks at.
    Fields,
    /// Lines of each field that rules look at.
    Lines,
    /// Parameters of a request that no rule looks at.
    Parameters,
}

const KNOBS: [(Knob, &str); 15] = [
    (Knob::Hosts, "hosts"),
    (Knob::Elsewhere, "% elsewhere"),
    (Knob::Prefixes, "prefixes"),
    (Knob::Methods, "methods"),
    (Knob::HeaderNames, "header names"),
    (Knob::HeadersOfRule, "headers/rule"),
    (Knob::HeaderValues, "header values"),
    (Knob::QueryNames, "query names"),
    (Knob::QueriesOfRule, "queries/rule"),
    (Knob::QueryValues, "query values"),
    (Knob::Regexes, "regexes"),
    (Knob::Segments, "segments"),
    (Knob::Fields, "fields"),
    (Knob::Lines, "lines"),
    (Knob::Parameters, "parameters"),
];

/// Shapes that have something in common.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    /// The most of each number that is not at its least.
    most: &'static [(Knob, usize)],
    /// Header fields, segments and query parameters of a request at most.
    limits: (usize, usize, usize),
}

/// What clients send, with a path for the deepest prefixes, and what servers take at most.
const ORDINARY: (usize, usize, usize) = (24, 16, 8);
const DEEP: (usize, usize, usize) = (24, 116, 8);
const LARGE: (usize, usize, usize) = (100, 200, 100);

/// As many as there are rules.
const ALL: usize = usize::MAX;

/// The families, and all of them together: with requests as they are, and with large ones.
pub(super) const FAMILIES: [Family; 9] = [
    Family { name: "nested hosts", most: &[(Knob::Hosts, 115), (Knob::Elsewhere, 99), (Knob::Fields, 7)], limits: ORDINARY },
    Family {
        name: "nested prefixes",
        most: &[(Knob::Prefixes, 100), (Knob::Segments, 8), (Knob::HeaderNames, 2), (Knob::HeadersOfRule, 1), (Knob::HeaderValues, 4)],
        limits: DEEP,
    },
    Family {
        name: "one path, header fields",
        most: &[(Knob::HeaderNames, 64), (Knob::HeadersOfRule, 16), (Knob::HeaderValues, ALL), (Knob::Lines, 8), (Knob::Fields, 7)],
        limits: ORDINARY,
    },
    Family {
        name: "one path, query parameters",
        most: &[(Knob::QueryNames, 64), (Knob::QueriesOfRule, 16), (Knob::QueryValues, ALL), (Knob::Parameters, 4), (Knob::Fields, 7)],
        limits: ORDINARY,
    },
    Family {
        name: "one path, method and conditions",
        most: &[
            (Knob::Methods, 7),
            (Knob::HeaderNames, 8),
            (Knob::HeadersOfRule, 4),
            (Knob::HeaderValues, ALL),
            (Knob::QueryNames, 4),
            (Knob::QueriesOfRule, 2),
            (Knob::QueryValues, ALL),
            (Knob::Lines, 4),
            (Knob::Fields, 7),
        ],
        limits: ORDINARY,
    },
    Family {
        name: "regular expressions",
        most: &[(Knob::Regexes, 1000), (Knob::Segments, 16), (Knob::Prefixes, 4), (Knob::Fields, 7)],
        limits: ORDINARY,
    },
    Family {
        name: "large requests",
        most: &[
            (Knob::Prefixes, 4),
            (Knob::HeaderNames, 4),
            (Knob::HeadersOfRule, 1),
            (Knob::HeaderValues, 4),
            (Knob::Segments, 200),
            (Knob::Fields, 100),
            (Knob::Parameters, 100),
        ],
        limits: LARGE,
    },
    Family {
        name: "everything but expressions",
        most: &[
            (Knob::Hosts, 115),
            (Knob::Elsewhere, 99),
            (Knob::Prefixes, 100),
            (Knob::Methods, 7),
            (Knob::HeaderNames, 64),
            (Knob::HeadersOfRule, 16),
            (Knob::HeaderValues, ALL),
            (Knob::QueryNames, 64),
            (Knob::QueriesOfRule, 16),
            (Knob::QueryValues, ALL),
            (Knob::Segments, 16),
            (Knob::Fields, 7),
            (Knob::Lines, 8),
            (Knob::Parameters, 4),
        ],
        limits: DEEP,
    },
    Family {
        name: "everything, large requests",
        most: &[
            (Knob::Hosts, 115),
            (Knob::Elsewhere, 99),
            (Knob::Prefixes, 100),
            (Knob::Methods, 7),
            (Knob::HeaderNames, 64),
            (Knob::HeadersOfRule, 16),
            (Knob::HeaderValues, ALL),
            (Knob::QueryNames, 64),
            (Knob::QueriesOfRule, 16),
            (Knob::QueryValues, ALL),
            (Knob::Regexes, 1000),
            (Knob::Segments, 200),
            (Knob::Fields, 100),
            (Knob::Lines, 50),
            (Knob::Parameters, 100),
        ],
        limits: LARGE,
    },
];

impl Family {
    /// The shape with the largest numbers.
    pub(super) fn extreme(&self, rules: usize) -> Shape {
        let mut shape = Shape { numbers: KNOBS.map(|(knob, _)| least(knob)) };
        for (knob, most) in self.most {
            shape.numbers[*knob as usize] = (*most).min(rules).max(least(*knob));
        }
        shape
    }

    /// Any shape.
    pub(super) fn shape(&self, random: &mut Random, rules: usize) -> Shape {
        let mut shape = Shape { numbers: KNOBS.map(|(knob, _)| least(knob)) };
        for (knob, _) in self.most {
            shape.numbers[*knob as usize] = self.number(random, *knob, rules);
        }
        shape
    }

    /// A shape that differs in one number or a few.
    pub(super) fn similar(&self, random: &mut Random, shape: &Shape, rules: usize) -> Shape {
        let mut shape = shape.clone();
        for _ in 0..=random.below(3) {
            let (knob, most) = *random.of(self.most);
            let old = shape.numbers[knob as usize];
            let new = match random.below(4) {
                0 => old * 2,
                1 => old / 2,
                2 => old + 1,
                _ => self.number(random, knob, rules),
            };
            shape.numbers[knob as usize] = new.clamp(least(knob), most.min(rules).max(least(knob)));
        }
        shape
    }

    /// A number for a knob: small ones as often as large ones, and the largest often.
    fn number(&self, random: &mut Random, knob: Knob, rules: usize) -> usize {
        let most = self.most.iter().find(|(of, _)| *of == knob).map_or(0, |(_, most)| (*most).min(rules));
        let below = (most + 1) >> random.below(12);
        let number = if random.one_in(4) { most } else { random.below(below + 1) };
        number.clamp(least(knob), most.max(least(knob)))
    }
}

fn least(knob: Knob) -> usize {
    usize::from(matches!(knob, Knob::Hosts | Knob::Prefixes | Knob::HeaderValues | Knob::QueryValues | Knob::Lines))
}

/// The numbers, in the order of the knobs.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    numbers: [usize; KNOBS.len()],
}

/// The numbers that are not at their least.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = KNOBS.iter().filter(|(knob, _)| self.of(*knob) > least(*knob));
        let words: Vec<String> = numbers.map(|(knob, name)| format!("{} {name}", self.of(*knob))).collect();
        f.write_str(&words.join(", "))
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
/// Conditions of a match at most, by the CRD, of each kind.
const CONDITIONS: usize = 16;

impl Shape {
    fn of(&self, knob: Knob) -> usize {
        self.numbers[knob as usize]
    }

    /// This many rules.
    pub(super) fn rules(&self, count: usize) -> Vec<SetRule> {
        let elsewhere = count * self.of(Knob::Elsewhere) / 100;
        (0..count)
            .map(|n| match n.checked_sub(count - elsewhere) {
                Some(n) => SetRule { host: Some(format!("elsewhere-{n}.example")), ..SetRule::default() },
                None => self.rule(n),
            })
            .collect()
    }

    /// The rules go round hosts, then prefixes; those of one path differ in their last condition first, like the digits
    /// of a number.
    fn rule(&self, n: usize) -> SetRule {
        let (hosts, prefixes) = (self.of(Knob::Hosts), self.of(Knob::Prefixes));
        let (host, depth, mut rest) = (n % hosts, n / hosts % prefixes, n / hosts / prefixes);
        let path = match n < self.of(Knob::Regexes) {
            // Each follows a request's path to its end.
            true => SetPath::Regex(format!("(/s)*/.*-{n}")),
            false => SetPath::Prefix("/s".repeat(1 + depth)),
        };
        let method = rest.checked_rem(self.of(Knob::Methods)).map(|n| METHODS[n].to_owned());
        rest /= self.of(Knob::Methods).max(1);
        let headers = conditions("x-", rest, self.of(Knob::HeaderNames), self.of(Knob::HeadersOfRule), self.of(Knob::HeaderValues));
        let queries = conditions("q-", rest, self.of(Knob::QueryNames), self.of(Knob::QueriesOfRule), self.of(Knob::QueryValues));
        SetRule { host: Some(format!("*.{}", suffix(host))), path, method, headers, queries, grpc: false }
    }

    /// A request to the deepest host and prefix, with the first value of all that rules look at as long as there is
    /// room.
    pub(super) fn request(&self, random: &mut Random, family: &Family) -> SetRequest {
        let (fields, segments, parameters) = family.limits;
        let below = self.of(Knob::Segments).min(segments.saturating_sub(self.of(Knob::Prefixes)));
        let mut request = SetRequest {
            host: format!("u.{}:8080", suffix(self.of(Knob::Hosts) - 1)),
            method: "GET".to_owned(),
            path: "/s".repeat(self.of(Knob::Prefixes) + below),
            ..SetRequest::default()
        };
        let client = words::client_headers(random);
        request.headers.extend(client.into_iter().take(self.of(Knob::Fields)));
        request.headers.extend((7..self.of(Knob::Fields)).map(|n| (format!("x-field-{n}"), "a value".to_owned())));
        let mut query: Vec<String> = (0..self.of(Knob::Parameters)).map(|n| format!("parameter-{n}=1")).collect();
        for line in 0..self.of(Knob::Lines) {
            request.headers.extend((0..self.of(Knob::HeaderNames)).map(|n| field("x-", n, line)));
        }
        query.extend((0..self.of(Knob::QueryNames)).map(|n| parameter(n, 0)));
        random.shuffle(&mut query);
        query.truncate(parameters);
        request.query = (!query.is_empty()).then(|| query.join("&"));
        random.shuffle(&mut request.headers);
        request.headers.truncate(fields);
        request
    }

    /// Changes a request: what rules look at mostly.
    pub(super) fn change(&self, random: &mut Random, family: &Family, request: &mut SetRequest) {
        let (fields, segments, parameters) = family.limits;
        let (header_names, query_names) = (self.of(Knob::HeaderNames), self.of(Knob::QueryNames));
        match random.below(9) {
            0 | 1 if header_names > 0 => {
                let field = field("x-", random.below(header_names), value(random, self.of(Knob::HeaderValues)));
                match random.below(request.headers.len() + 1) {
                    at if random.one_in(2) && at < request.headers.len() => request.headers[at] = field,
                    at if request.headers.len() < fields => request.headers.insert(at, field),
                    _ => {}
                }
            }
            2 if !request.headers.is_empty() => drop(request.headers.remove(random.below(request.headers.len()))),
            3 | 4 if query_names > 0 => {
                let parameter = parameter(random.below(query_names), value(random, self.of(Knob::QueryValues)));
                let mut list: Vec<String> = request.query.iter().flat_map(|query| query.split('&')).map(str::to_owned).collect();
                match random.below(list.len() + 1) {
                    at if random.one_in(2) && at < list.len() => list[at] = parameter,
                    at if list.len() < parameters => list.insert(at, parameter),
                    _ => {}
                }
                request.query = Some(list.join("&"));
            }
            5 if self.of(Knob::Methods) > 0 => request.method = (*random.of(&METHODS)).to_owned(),
            6 if request.path.matches('/').count() < segments => request.path += *random.of(&["/s", "/other"]),
            7 if request.path.matches('/').count() > 1 => request.path.truncate(request.path.rfind('/').unwrap_or(1)),
            8 => {
                let host = random.below(self.of(Knob::Hosts));
                request.host = format!("{}.{}", random.of(&["u", "a", "U"]), suffix(host));
            }
            _ => {}
        }
    }
}

/// A value that rules have, or one that they do not: the first ones more often.
fn value(random: &mut Random, values: usize) -> usize {
    let below = (values + 1) >> random.below(12);
    random.below(below + 1)
}

/// A name of so many labels.
fn suffix(depth: usize) -> String {
    "a.".repeat(depth) + "example"
}

fn field(kind: &str, name: usize, value: usize) -> (String, String) {
    (format!("{kind}{name}"), format!("v{value}"))
}

fn parameter(name: usize, value: usize) -> String {
    let (name, value) = field("q-", name, value);
    format!("{name}={value}")
}

/// Conditions for the rule of this number: `each` of the names, with the number's digits as values, the last one first.
fn conditions(kind: &str, number: usize, names: usize, each: usize, values: usize) -> Vec<(String, String)> {
    let each = each.min(names).min(CONDITIONS);
    let mut rest = number;
    let mut digits: Vec<usize> = (0..each)
        .map(|_| {
            let digit = rest % values;
            rest /= values;
            digit
        })
        .collect();
    digits.reverse();
    // What is left chooses the names.
    (0..each).zip(digits).map(|(n, digit)| field(kind, (rest + n) % names, digit)).collect()
}
