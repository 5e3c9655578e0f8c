//! Filters: mostly valid ones, of every kind, and now and then one that must not be carried out.

use gatewright::resource::filter::{
    Cors, Fraction, HeaderFilter, HttpHeader, HttpPathModifier, HttpPathModifierType, RedirectScheme, RequestMirror, RequestRedirect,
    UrlRewrite,
};
use gatewright::resource::http_route::{HttpRouteFilter, HttpRouteFilterType};
use gatewright::resource::meta::LocalObjectReference;

use super::{Random, routes};

/// Filters of a rule.
pub(super) fn of_rule(random: &mut Random) -> Vec<HttpRouteFilter> {
    let mut list: Vec<HttpRouteFilter> = (0..=random.below(2)).map(|_| one(random, true)).collect();
    distinct(random, &mut list);
    list
}

/// Filters of a backendRef.
pub(super) fn of_backend(random: &mut Random) -> Vec<HttpRouteFilter> {
    let mut list: Vec<HttpRouteFilter> = (0..=random.below(1)).map(|_| one(random, false)).collect();
    distinct(random, &mut list);
    list
}

/// Mostly each type once: the rest is invalid.
fn distinct(random: &mut Random, list: &mut Vec<HttpRouteFilter>) {
    if random.one_in(6) {
        return;
    }
    let mut seen = Vec::new();
    list.retain(|filter| {
        let new = filter.type_ == HttpRouteFilterType::RequestMirror || !seen.contains(&filter.type_);
        seen.push(filter.type_.clone());
        new
    });
    // A redirect mostly stands alone.
    if !random.one_in(4) && list.iter().any(|filter| filter.request_redirect.is_some()) {
        list.retain(|filter| filter.request_mirror.is_none() && filter.url_rewrite.is_none());
    }
}

fn one(random: &mut Random, of_rule: bool) -> HttpRouteFilter {
    let mut filter = HttpRouteFilter::default();
    filter.type_ = match random.below(if of_rule { 24 } else { 18 }) {
        0..4 => {
            filter.request_header_modifier = Some(modifier(random, true));
            HttpRouteFilterType::RequestHeaderModifier
        }
        4..7 => {
            filter.response_header_modifier = Some(modifier(random, false));
            HttpRouteFilterType::ResponseHeaderModifier
        }
        7..10 => {
            filter.request_redirect = Some(redirect(random));
            HttpRouteFilterType::RequestRedirect
        }
        10..14 => {
            let hostname = random.maybe(2, |random| random.text(&["new.com", "a.com"]));
            filter.url_rewrite = Some(UrlRewrite { hostname, path: random.maybe(2, path) });
            HttpRouteFilterType::UrlRewrite
        }
        14..17 => {
            filter.request_mirror = Some(mirror(random));
            HttpRouteFilterType::RequestMirror
        }
        17 => match random.below(4) {
            0 => HttpRouteFilterType::from("Strange"),
            1 if !of_rule => {
                filter.cors = Some(cors(random));
                HttpRouteFilterType::Cors
            }
            _ => {
                let name = "anything".to_owned();
                filter.extension_ref = Some(LocalObjectReference { group: "example.com".into(), kind: "Plugin".into(), name });
                HttpRouteFilterType::ExtensionRef
            }
        },
        _ => {
            filter.cors = Some(cors(random));
            HttpRouteFilterType::Cors
        }
    };
    filter
}

fn modifier(random: &mut Random, of_request: bool) -> HeaderFilter {
    let name = |random: &mut Random| {
        let strange = if of_request { "Host" } else { "z" };
        let names = ["x", "X", "y", "z", strange, "Connection"];
        let most = if random.one_in(6) { names.len() } else { 4 };
        random.text(&names[..most])
    };
    let header = |random: &mut Random| HttpHeader { name: name(random), value: random.text(&["set", "1", "a, b"]) };
    let mut filter = HeaderFilter { set: random.some(2, header), add: random.some(2, header), remove: random.some(1, name) };
    // Mostly one action for each name ([F-11]).
    if !random.one_in(8) {
        filter.add.retain(|h| !filter.set.iter().any(|s| s.name.eq_ignore_ascii_case(&h.name)));
        let stands = |name: &String| filter.set.iter().chain(&filter.add).any(|h| h.name.eq_ignore_ascii_case(name));
        filter.remove.retain(|name| !stands(name));
    }
    filter.set.iter_mut().filter(|h| h.name == "Host").for_each(|h| h.value = "set.com".to_owned());
    filter
}

fn redirect(random: &mut Random) -> RequestRedirect {
    RequestRedirect {
        scheme: random.maybe(2, |random| RedirectScheme::from(*random.of(&["http", "https", "http", "https", "http", "https", "ftp"]))),
        hostname: random.maybe(3, |random| random.text(&["new.com", "a.com"])),
        path: random.maybe(2, path),
        port: random.maybe(3, |random| *random.of(&[80, 443, 8080, 8443])),
        status_code: random.maybe(2, |random| *random.of(&[301, 302, 303, 307, 308, 301, 302, 300])),
    }
}

fn path(random: &mut Random) -> HttpPathModifier {
    let value = random.text(&["/", "", "/new", "/new/", "new", "/new/a"]);
    match random.below(12) {
        0..5 => {
            HttpPathModifier { type_: HttpPathModifierType::ReplaceFullPath, replace_full_path: Some(value), ..HttpPathModifier::default() }
        }
        5..11 => HttpPathModifier {
            type_: HttpPathModifierType::ReplacePrefixMatch,
            replace_prefix_match: Some(value),
            ..HttpPathModifier::default()
        },
        _ => HttpPathModifier { type_: HttpPathModifierType::from("ReplaceRegex"), ..HttpPathModifier::default() },
    }
}

fn mirror(random: &mut Random) -> RequestMirror {
    RequestMirror {
        backend_ref: routes::reference(random),
        percent: random.maybe(3, |random| *random.of(&[0, 1, 50, 100])),
        fraction: random.maybe(4, |random| Fraction {
            numerator: *random.of(&[0, 1, 3, 9]),
            denominator: random.maybe(2, |random| *random.of(&[4, 9, 10])),
        }),
    }
}

fn cors(random: &mut Random) -> Cors {
    let list = |random: &mut Random, names: &[&str]| match random.below(8) {
        0 | 1 => Vec::new(),
        2..4 => vec!["*".to_owned()],
        4..7 => names.iter().map(|name| (*name).to_owned()).collect(),
        _ if random.one_in(4) => vec![names[0].to_owned(), "*".to_owned()],
        _ => vec![names[0].to_owned()],
    };
    Cors {
        allow_origins: match random.below(4) {
            0 => list(random, &["https://a.com", "https://*.a.com"]),
            1 => vec!["*".to_owned()],
            _ => (0..=random.below(2))
                .map(|_| {
                    random.text(&[
                        "https://a.com",
                        "https://*.a.com",
                        "http://*",
                        "http://a.com:8080",
                        "https://a.com:443",
                        "https://A.com",
                    ])
                })
                .collect(),
        },
        allow_credentials: *random.of(&[None, Some(true), Some(false)]),
        allow_methods: list(random, &["GET", "POST"]),
        allow_headers: list(random, &["x", "y"]),
        expose_headers: list(random, &["z", "x"]),
        max_age: random.maybe(2, |random| *random.of(&[1, 600])),
    }
}
