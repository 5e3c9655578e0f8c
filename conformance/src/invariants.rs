//! What holds for every table and every request, whatever the specification says in detail ([R-P12], G6 of the
//! security rules). Each property takes random worlds and gives the first contradiction as a text.

use gatewright::options::{EscapedSlashes, PathParameters, Profile};
use gatewright::resource::ReferenceGrant;
use gatewright::resource::http_route::{
    HttpBackendRef, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, PathMatchType, ValueMatchType,
};
use gatewright::resource::meta::{ObjectMeta, ParentReference};
use gatewright::resource::reference_grant::{ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo};
use gatewright::{Arrival, Authority, Compiled, Decision, MissingServices, Options, Pick, Request, Resources, Table, compile};
use serde_json::Value;

use crate::compare;
use crate::oracle::WorldRequest;
use crate::world::{self, Random};

/// A property: tries this many cases from this seed.
pub type Property = fn(seed: u64, cases: u64) -> Result<(), String>;

/// Every property by its name.
pub const ALL: [(&str, Property); 9] = [
    ("what is matched is what is forwarded, and canonical", paths),
    ("the spelling of the host changes nothing", hosts),
    ("the order of objects changes nothing", order),
    ("the order of rules that rank differently changes nothing", order_of_rules),
    ("a route for another host, or a less specific rule, changes nothing", additions),
    ("without a grant nothing more is reached", grants),
    ("the rule that wins does match", matches),
    ("fields that the table does not name change nothing", fields),
    ("the index finds what asking every match finds", compare::index),
];

/// Requests asked of each world.
const PER_WORLD: u64 = 20;

/// Pieces of paths that readers take in different ways.
const PIECES: [&str; 26] = [
    "/", "/", "/", "/", "a", "admin", "x", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", ";", ";x=1", "%3b", "%3B", "%61", "%252e",
    "%c3%a9", "%7e", "+", "...", "//", "a%2fb",
];

/// Rules with one backend each, the most specific first.
const RULES: [(&str, &str); 5] =
    [("Exact", "/x"), ("PathPrefix", "/admin/a"), ("PathPrefix", "/admin"), ("PathPrefix", "/a"), ("PathPrefix", "/")];

/// Every combination of the choices about paths: idempotent, matched as forwarded, and stable when rewritten.
///
/// # Errors
///
/// The first contradiction.
pub fn paths(seed: u64, cases: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let mut tables = Vec::new();
    for profile in Profile::ALL {
        for merge in [None, Some(true), Some(false)] {
            for escaped in EscapedSlashes::ALL {
                for parameters in PathParameters::ALL {
                    let mut options = Options::default();
                    options.missing_services = MissingServices::Assume;
                    (options.profile, options.merge_slashes) = (*profile, merge);
                    (options.escaped_slashes, options.path_parameters) = (Some(*escaped), *parameters);
                    let rules = |rewrite| compile(&loaded(&rules_manifest(rewrite)), &options).table;
                    tables.push((*parameters, options.chosen(), rules(false), rules(true)));
                }
            }
        }
    }
    let mut forwarded = 0;
    for _ in 0..cases {
        let (parameters, chosen, table, rewriting) = &tables[random.below(tables.len())];
        let path: String = (0..random.below(9)).map(|_| PIECES[random.below(PIECES.len())]).collect();
        let path = format!("/{path}");
        let wrong = |what: &str| Err(format!("{what}: {path} under {chosen:?}"));
        let target = match ask(table, &path) {
            Ask::Forward { target, .. } => target,
            // The client follows: a reference with an empty first segment is written with a dot segment.
            Ask::Redirect(location) => location.strip_prefix("/.").filter(|rest| rest.starts_with("//")).unwrap_or(&location).to_owned(),
            Ask::Refused => continue,
        };
        forwarded += 1;
        let Ask::Forward { target: again, backend, .. } = ask(table, &target) else { return wrong(&format!("{target} is not canonical")) };
        if again != target {
            return wrong(&format!("not idempotent: {target}, then {again}"));
        }
        let seen = if *parameters == PathParameters::MatchStripped { without_parameters(&target) } else { target.clone() };
        let expected = RULES.iter().position(|(type_, value)| path_holds(type_, value, &seen)).unwrap_or(usize::MAX);
        if backend != format!("b{expected}") {
            return wrong(&format!("matched {backend}, but {target} is what is forwarded"));
        }
        if let Ask::Forward { target: rewritten, .. } = ask(rewriting, &target) {
            match ask(table, &rewritten) {
                Ask::Forward { target: again, .. } if again == rewritten => {}
                _ => return wrong(&format!("the rewritten path {rewritten} is not canonical")),
            }
        }
    }
    // A property of nothing would hold.
    if forwarded * 4 < cases { Err(format!("only {forwarded} of {cases} paths are forwarded")) } else { Ok(()) }
}

enum Ask {
    Forward { target: String, backend: String },
    Redirect(String),
    Refused,
}

fn ask(table: &Table, target: &str) -> Ask {
    let request = Request {
        arrival: Arrival::on(table.ports()[0].id),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"a.com"),
        target: target.as_bytes(),
        headers: &http::HeaderMap::new(),
    };
    match table.decide(&request, Pick(0)) {
        Decision::Forward(forward) => {
            let backend = table.backend(forward.backend).map(|backend| backend.object.name.to_string()).unwrap_or_default();
            Ask::Forward { target: forward.target.to_string(), backend }
        }
        Decision::Redirect(redirect) => Ask::Redirect(redirect.location.to_string()),
        _ => Ask::Refused,
    }
}

fn loaded(manifests: &str) -> Resources {
    gatewright::load::load_text("invariants", manifests).resources
}

fn rules_manifest(rewrite: bool) -> String {
    let filter = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/place}}}], ";
    let rule = |(n, (type_, value)): (usize, &(&str, &str))| {
        let filter = if rewrite && *type_ == "PathPrefix" { filter } else { "" };
        format!("{{matches: [{{path: {{type: {type_}, value: {value}}}}}], {filter}backendRefs: [{{name: b{n}, port: 80}}]}}")
    };
    let rules: Vec<String> = RULES.iter().enumerate().map(rule).collect();
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\n\
         spec: {{gatewayClassName: any, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\n\
         spec: {{parentRefs: [{{name: gw}}], rules: [{}]}}\n",
        rules.join(", ")
    )
}

fn without_parameters(path: &str) -> String {
    path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

fn path_holds(type_: &str, value: &str, path: &str) -> bool {
    let prefix = value.strip_suffix('/').unwrap_or(value);
    match type_ {
        "Exact" => value == path,
        _ => path == prefix || path.starts_with(&format!("{prefix}/")),
    }
}

/// A decision in names, without what `leave` says.
fn report(table: &Table, request: &WorldRequest, leave: &[&str]) -> Value {
    let Some(place) = compare::place(table, &request.place) else { return Value::Null };
    let target = compare::target(&request.path, request);
    let view = compare::view(request, place, &target);
    let mut report = serde_json::to_value(table.report(&table.decide(&view, Pick(request.pick)))).expect("a report is JSON");
    if let Value::Object(members) = &mut report {
        members.retain(|name, _| !leave.contains(&name.as_str()));
    }
    report
}

fn compiled(resources: &Resources) -> Compiled {
    compile(resources, &Options::default())
}

/// Random worlds and requests, until there are enough requests.
fn each_request(
    seed: u64,
    cases: u64,
    mut check: impl FnMut(&mut Random, &Resources, &[WorldRequest]) -> Result<(), String>,
) -> Result<(), String> {
    let mut random = Random(seed);
    for _ in 0..cases.div_ceil(PER_WORLD) {
        let resources = world::resources(&mut random);
        let requests: Vec<WorldRequest> = (0..PER_WORLD).map(|_| world::request(&mut random, &resources)).collect();
        check(&mut random, &resources, &requests)?;
    }
    Ok(())
}

/// What is not as it should be, with the request.
fn differs(what: &str, before: &Value, after: &Value, request: &WorldRequest) -> Result<(), String> {
    if before == after { Ok(()) } else { Err(format!("{what}\nbefore: {before}\nafter:  {after}\nrequest: {request:?}")) }
}

/// Case, port and trailing dot of Host ([R-H4]).
///
/// # Errors
///
/// The first contradiction.
pub fn hosts(seed: u64, cases: u64) -> Result<(), String> {
    each_request(seed, cases, |random, resources, requests| {
        let table = compiled(resources).table;
        for request in requests {
            let bare = request.host.split(':').next().unwrap_or_default().trim_end_matches('.');
            let of = |host: String| WorldRequest { host, ..request.clone() };
            let before = report(&table, &of(bare.to_owned()), &["authority"]);
            let recased: String = bare.chars().map(|c| if random.one_in(2) { c.to_ascii_uppercase() } else { c }).collect();
            for host in [recased.clone(), format!("{bare}:8443"), format!("{recased}."), format!("{recased}.:80"), format!("{bare}:")] {
                let after = report(&table, &of(host.clone()), &["authority"]);
                differs(&format!("`{host}` is not `{bare}`"), &before, &after, request)?;
            }
        }
        Ok(())
    })
}

/// Permutes objects: the same decisions, and the same status and findings to the byte ([R-K1]).
///
/// # Errors
///
/// The first contradiction.
pub fn order(seed: u64, cases: u64) -> Result<(), String> {
    each_request(seed, cases, |random, resources, requests| {
        let mut permuted = resources.clone();
        macro_rules! shuffle {
            ($($list:ident),+) => { $(random.shuffle(&mut permuted.$list);)+ };
        }
        shuffle!(gateways, http_routes, grpc_routes, services, secrets, namespaces, endpoint_slices, reference_grants, config_maps);
        let (before, after) = (compiled(resources), compiled(&permuted));
        let text = |compiled: &Compiled| {
            let diagnostics: Vec<String> = compiled.diagnostics.iter().map(ToString::to_string).collect();
            (serde_json::to_string(&compiled.status).expect("status is JSON"), diagnostics)
        };
        let (status, diagnostics) = (text(&before), text(&after));
        if status != diagnostics {
            return Err(format!("status or findings depend on the order:\n{status:?}\n{diagnostics:?}"));
        }
        requests.iter().try_for_each(|request| {
            differs("the order counts", &report(&before.table, request, &[]), &report(&after.table, request, &[]), request)
        })
    })
}

/// Permutes the rules of a route none of which ranks like another.
///
/// # Errors
///
/// The first contradiction.
pub fn order_of_rules(seed: u64, cases: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let rule = |n: usize, (type_, value): &(&str, &str), method: Option<&str>| {
        let method = method.map(|method| format!(", method: {method}")).unwrap_or_default();
        format!("{{matches: [{{path: {{type: {type_}, value: {value}}}{method}}}], backendRefs: [{{name: b{n}, port: 80}}]}}")
    };
    let manifest = |rules: &[String]| {
        let text = rules_manifest(false);
        let at = text.find("rules: [").unwrap_or(text.len());
        format!("{}rules: [{}]}}\n", &text[..at], rules.join(", "))
    };
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    for _ in 0..cases.div_ceil(PER_WORLD) {
        let paths = RULES.iter().chain(&[("RegularExpression", "'/a.*'"), ("RegularExpression", "'/[a-x]+'")]);
        let mut rules: Vec<String> = Vec::new();
        for path in paths {
            for method in [None, Some("GET")] {
                if random.one_in(2) {
                    rules.push(rule(rules.len(), path, method));
                }
            }
        }
        let before = compile(&loaded(&manifest(&rules)), &options).table;
        random.shuffle(&mut rules);
        let after = compile(&loaded(&manifest(&rules)), &options).table;
        for _ in 0..PER_WORLD {
            let path = ["/", "/a", "/ab", "/admin", "/admin/a", "/admin/a/b", "/x", "/x/", "/b"][random.below(9)];
            let backend = |table| match ask(table, path) {
                Ask::Forward { backend, .. } => Some(backend),
                _ => None,
            };
            if backend(&before) != backend(&after) {
                return Err(format!("{path} goes to {:?} or {:?}: {rules:#?}", backend(&before), backend(&after)));
            }
        }
    }
    Ok(())
}

/// A route that attaches wherever it may, and is the last of all by age and by name.
fn added(resources: &Resources, hostnames: &[&str]) -> Resources {
    let mut more = resources.clone();
    let parent = |gateway: &gatewright::resource::gateway::Gateway| ParentReference {
        name: gateway.metadata.name.clone(),
        namespace: gateway.metadata.namespace.clone(),
        ..ParentReference::default()
    };
    let backend = HttpBackendRef { name: "s1".into(), port: Some(80), ..HttpBackendRef::default() };
    let rule = HttpRouteRule { backend_refs: vec![backend], ..HttpRouteRule::default() };
    more.http_routes.push(HttpRoute {
        metadata: ObjectMeta { name: "zzz".into(), namespace: Some("t".into()), ..ObjectMeta::default() },
        spec: HttpRouteSpec {
            parent_refs: more.gateways.iter().map(parent).collect(),
            hostnames: hostnames.iter().map(|name| (*name).to_owned()).collect(),
            rules: Some(vec![rule]),
            ..HttpRouteSpec::default()
        },
        status: None,
    });
    more
}

/// Adds a route for a host that nobody asks for, and one that every other match comes before.
///
/// # Errors
///
/// The first contradiction.
pub fn additions(seed: u64, cases: u64) -> Result<(), String> {
    each_request(seed, cases, |_, resources, requests| {
        let before = compiled(resources).table;
        let other_host = compiled(&added(resources, &["unrelated.example.org"])).table;
        let less_specific = compiled(&added(resources, &[])).table;
        for request in requests {
            let decided = report(&before, request, &[]);
            differs("a route for another host counts", &decided, &report(&other_host, request, &[]), request)?;
            // What no match took may go to the new one; so may a preflight that only the method it asks about
            // would have answered ([U-26]).
            let by_method = decided.get("reason").is_some_and(|reason| reason == "CorsPreflight");
            if decided.get("route").is_some() && !by_method {
                differs("a less specific rule counts", &decided, &report(&less_specific, request, &[]), request)?;
            }
        }
        Ok(())
    })
}

/// Permits every reference that worlds make from one namespace to another.
fn grant(from: &str, to: &str) -> ReferenceGrant {
    let referrer = |kind: &str| ReferenceGrantFrom { group: "gateway.networking.k8s.io".into(), kind: kind.into(), namespace: from.into() };
    let target = |kind: &str| ReferenceGrantTo { group: String::new(), kind: kind.into(), name: None };
    ReferenceGrant {
        metadata: ObjectMeta { name: format!("from-{from}"), namespace: Some(to.into()), ..ObjectMeta::default() },
        spec: ReferenceGrantSpec {
            from: ["HTTPRoute", "GRPCRoute", "Gateway"].map(referrer).into(),
            to: ["Service", "Secret"].map(target).into(),
        },
    }
}

/// Takes a grant away: whatever is forwarded or copied then was before ([RG-4]).
///
/// # Errors
///
/// The first contradiction.
pub fn grants(seed: u64, cases: u64) -> Result<(), String> {
    let mut counted = 0;
    each_request(seed, cases, |random, resources, requests| {
        let mut granted = resources.clone();
        for (from, to) in [("t", "gw"), ("t-a", "gw"), ("t", "t-a"), ("t-a", "t"), ("gw", "t"), ("gw", "t-a")] {
            if random.one_in(2) {
                granted.reference_grants.push(grant(from, to));
            }
        }
        if granted.reference_grants.is_empty() {
            return Ok(());
        }
        let mut fewer = granted.clone();
        fewer.reference_grants.remove(random.below(granted.reference_grants.len()));
        let (before, after) = (compiled(&granted).table, compiled(&fewer).table);
        for request in requests {
            let (with, without) = (report(&before, request, &[]), report(&after, request, &[]));
            if with == without {
                continue;
            }
            counted += 1;
            let reached = |report: &Value, member: &str| report.get(member).cloned().unwrap_or_default();
            let backend = reached(&without, "backend");
            let copies = |report: &Value| reached(report, "mirrors").as_array().cloned().unwrap_or_default();
            let wider = (!backend.is_null() && backend != reached(&with, "backend"))
                || (!backend.is_null() && copies(&without).iter().any(|copy| !copies(&with).contains(copy)));
            if wider {
                differs("more is reached without a grant", &with, &without, request)?;
            }
        }
        Ok(())
    })?;
    if counted == 0 && cases >= 2000 { Err("no grant mattered".to_owned()) } else { Ok(()) }
}

/// Checks the match of every decision once more, by plain reading.
///
/// # Errors
///
/// The first contradiction.
pub fn matches(seed: u64, cases: u64) -> Result<(), String> {
    each_request(seed, cases, |_, resources, requests| {
        let table = compiled(resources).table;
        for request in requests {
            let decided = report(&table, request, &[]);
            let Some(route) = decided.get("route").filter(|route| route["kind"] == "HTTPRoute") else { continue };
            let is = |r: &&HttpRoute| {
                route["name"] == r.metadata.name.as_str() && route["namespace"] == r.metadata.namespace.as_deref().unwrap_or("default")
            };
            let number = |member: &str| usize::try_from(decided[member].as_u64().unwrap_or(0)).unwrap_or(0);
            let route = resources.http_routes.iter().find(is).ok_or("a route that is not there")?;
            let default = [HttpRouteRule::default()];
            let rules = route.spec.rules.as_deref().unwrap_or(&default);
            let rule = rules.get(number("rule")).ok_or("a rule that is not there")?;
            let default = HttpRouteMatch::default();
            let match_ = rule.matches.get(number("match")).unwrap_or(&default);
            let by_method = decided.get("reason").is_some_and(|reason| reason == "CorsPreflight");
            if !holds(match_, request, by_method) {
                return Err(format!("the match does not hold\n{match_:?}\n{decided}\nrequest: {request:?}"));
            }
        }
        Ok(())
    })
}

/// A request with the fields of [`Table::header_names`] alone is decided alike.
///
/// # Errors
///
/// The first contradiction.
pub fn fields(seed: u64, cases: u64) -> Result<(), String> {
    let mut left_out = 0_u64;
    each_request(seed, cases, |random, resources, requests| {
        let table = compiled(resources).table;
        let names = table.header_names().ok_or("a table that depends on every field")?;
        let named = |name: &str| names.iter().any(|known| known.as_str().eq_ignore_ascii_case(name));
        for request in requests {
            let mut request = request.clone();
            let further = ["origin", "access-control-request-method", "cookie", "x-unknown", "accept", "x-v", "content-type"];
            request.headers.push((further[random.below(further.len())].to_owned(), "GET".to_owned()));
            let fewer: Vec<_> = request.headers.iter().filter(|(name, _)| named(name)).cloned().collect();
            left_out += u64::from(fewer.len() < request.headers.len());
            let short = WorldRequest { headers: fewer, ..request.clone() };
            differs("fields that are not named", &report(&table, &request, &[]), &report(&table, &short, &[]), &request)?;
        }
        Ok(())
    })?;
    // A property of nothing would hold.
    if left_out * 4 < cases { Err(format!("only {left_out} of {cases} requests have fields that are left out")) } else { Ok(()) }
}

fn holds(m: &HttpRouteMatch, request: &WorldRequest, preflight: bool) -> bool {
    let full = |pattern: &str, text: &str| regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text));
    let value = |type_: Option<&ValueMatchType>, wanted: &str, found: &str| match type_ {
        Some(ValueMatchType::RegularExpression) => full(wanted, found),
        _ => wanted == found,
    };
    let path = m.path.as_ref().is_none_or(|path| {
        let wanted = path.value.as_deref().unwrap_or("/");
        match &path.type_ {
            Some(PathMatchType::RegularExpression) => full(wanted, &request.path),
            Some(PathMatchType::Exact) => path_holds("Exact", wanted, &request.path),
            _ => path_holds("PathPrefix", wanted, &request.path),
        }
    });
    let method = m.method.as_ref().is_none_or(|method| preflight || method.as_str() == request.method);
    let decoded = |text: &str| text.replace('+', " ").replace("%20", " ");
    let query = m.query_params.iter().enumerate().all(|(n, wanted)| {
        let first = m.query_params.iter().position(|other| other.name == wanted.name) == Some(n);
        let pairs = request.query.iter().flat_map(|query| query.split('&')).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let found = pairs.into_iter().find(|(name, _)| decoded(name) == wanted.name);
        !first || found.is_some_and(|(_, found)| value(wanted.type_.as_ref(), &wanted.value, &decoded(found)))
    });
    let headers = m.headers.iter().enumerate().all(|(n, wanted)| {
        let first = m.headers.iter().position(|other| other.name.eq_ignore_ascii_case(&wanted.name)) == Some(n);
        let lines = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&wanted.name));
        !first || lines.into_iter().any(|(_, found)| value(wanted.type_.as_ref(), &wanted.value, found.trim()))
    });
    path && method && query && headers
}
