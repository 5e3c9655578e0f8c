//! atc-router, Kong's engine: one expression for each rule, tried in the order of priority.

use std::sync::LazyLock;

use atc_router::ast::{Type, Value};
use atc_router::context::Context;
use atc_router::router::Router;
use atc_router::schema::Schema;
use gatewright_conformance::sets::{RouteSet, SetPath, SetRequest, SetRule};
use uuid::Uuid;

use crate::contender::Contender;
use crate::plain::{Plain, encode};
use crate::precedence::by_host;

/// What expressions may name. A name has no hyphens, so they are underscores.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let mut schema = Schema::default();
    for field in ["http.host", "http.path", "http.method", "http.headers.*", "http.queries.*"] {
        schema.add_field(field, Type::String);
    }
    schema
});

/// One router for all hosts.
pub struct Atc {
    router: Router<'static>,
    headers: Vec<(String, String)>,
    queries: Vec<(String, String)>,
}

impl std::fmt::Debug for Atc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Atc").finish_non_exhaustive()
    }
}

impl Contender for Atc {
    const NAME: &'static str = "atc-router";
    const LACKS: &'static str = "names with a hyphen (given underscores)";
    /// It tries one rule after the other: above it a lookup takes tens of milliseconds.
    const MOST_RULES: usize = 10_000;
    type Request = Plain;
    type Source = RouteSet;
    type Found = Option<u32>;
    type Names = ();

    fn source(set: &RouteSet) -> RouteSet {
        set.clone()
    }

    fn build(set: &RouteSet) -> Self {
        let mut hosts: Vec<_> = by_host(&set.rules).into_iter().collect();
        // Exact hosts first, then wildcards, the longest first, then any host.
        hosts.sort_by_key(|(host, _)| (host.map_or(0, |host| if host.starts_with('*') { host.len() } else { 1000 }), *host));
        let mut router = Router::new(&SCHEMA);
        // The highest priority is tried first.
        let order = hosts.iter().rev().flat_map(|(_, ids)| ids.iter().rev());
        for (priority, id) in order.enumerate() {
            let text = expression(&set.rules[*id as usize]);
            router.add_matcher(priority, Uuid::from_u128((*id).into()), &text).expect("the expression is valid");
        }
        let of = |kind: &str| {
            let fields = router.fields.keys().filter_map(|field| Some((field.clone(), field.strip_prefix(kind)?.to_owned())));
            fields.collect::<Vec<_>>()
        };
        // What Kong does, too: only what expressions look at becomes part of a context.
        let headers = of("http.headers.").into_iter().map(|(field, name)| (field, name.replace('_', "-"))).collect();
        let queries = of("http.queries.");
        Self { headers, queries, router }
    }

    fn prepare(&self, request: &SetRequest) -> Plain {
        Plain::new(request)
    }

    fn touch(request: &Plain) -> usize {
        request.touch()
    }

    fn find(&self, request: &Plain) -> Option<u32> {
        let mut context = Context::new(&SCHEMA);
        let value = |text: &str| Value::String(text.to_owned());
        context.add_value("http.host", value(request.host()));
        context.add_value("http.path", value(request.path()));
        context.add_value("http.method", value(request.method()));
        for (field, name) in &self.headers {
            for (_, text) in request.fields().filter(|(of, _)| of == name) {
                context.add_value(field, value(text));
            }
        }
        for (field, name) in &self.queries {
            let mut parameters = request.query().split('&').filter_map(|parameter| parameter.split_once('='));
            if let Some((_, text)) = parameters.find(|(of, _)| of == name) {
                context.add_value(field, value(text));
            }
        }
        self.router.execute(&mut context);
        u32::try_from(context.result?.uuid.as_u128()).ok()
    }

    fn names(&self, _: &RouteSet) {}

    fn rule(_: &(), found: &Option<u32>) -> Option<u32> {
        *found
    }
}

/// A rule in atc-router's language.
fn expression(rule: &SetRule) -> String {
    let mut all = Vec::new();
    match rule.host.as_deref().map(|host| host.strip_prefix('*').ok_or(host)) {
        None => {}
        Some(Ok(suffix)) => all.push(format!("http.host =^ {}", quote(suffix))),
        Some(Err(host)) => all.push(format!("http.host == {}", quote(host))),
    }
    all.push(match &rule.path {
        SetPath::Exact(text) => format!("http.path == {}", quote(text)),
        SetPath::Prefix(text) if text == "/" => format!("http.path ^= {}", quote("/")),
        SetPath::Prefix(text) => format!("(http.path == {} || http.path ^= {})", quote(text), quote(&format!("{text}/"))),
        SetPath::Regex(text) => format!("http.path ~ r#\"^(?:{text})$\"#"),
    });
    if rule.grpc {
        all.push("http.headers.content_type ~ r#\"^(?i:application/grpc)([+; ].*)?$\"#".to_owned());
        if rule.path != SetPath::default() {
            all.push("http.path ~ r#\"^/[^/]*/[^/]*$\"#".to_owned());
        }
    }
    all.extend(rule.method.iter().map(|method| format!("http.method == {}", quote(method))));
    // Of several lines of a field any one may hold the value.
    let header = |(name, value): &(String, String)| format!("any(http.headers.{}) == {}", name.replace('-', "_"), quote(value));
    all.extend(rule.headers.iter().map(header));
    let query = |(name, value): &(String, String)| format!("http.queries.{name} == {}", quote(&encode(value.as_bytes())));
    all.extend(rule.queries.iter().map(query));
    all.join(" && ")
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
