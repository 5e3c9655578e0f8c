//! The examples that stand in `examples/`: what each `<name>.expect` says of its `<name>.yaml` holds, and every
//! rule that takes part in routing is won by some request. `examples/README.md` describes the format.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatewright::decision::{Forward, Redirect, Respond};
use gatewright::load::{Loaded, Loader};
use gatewright::model::session::SessionCarrier;
use gatewright::resource::status::{Condition, RouteStatus};
use gatewright::table::BackendId;
use gatewright::{
    Arrival, Authority, Compiled, Decision, MissingServices, ObjectRef, ObjectStatus, Options, Pick, Place, Request, Severity, Table,
    apply, compile,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

/// `<name>.expect`. Unknown keys are refused: an assertion must not pass unread.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    about: String,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    requests: Vec<Asked>,
    #[serde(default)]
    conditions: Vec<WantedCondition>,
    diagnostics: Option<Vec<WantedDiagnostic>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: String,
    gateway: String,
    port: u16,
    scheme: Option<String>,
    sni: Option<String>,
    #[serde(default = "get")]
    method: String,
    authority: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    pick: u64,
    expect: Answer,
    rule: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// One of the three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    forward: Option<WantedForward>,
    redirect: Option<WantedRedirect>,
    respond: Option<WantedRespond>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedForward {
    backend: Option<String>,
    target: Option<String>,
    authority: Option<String>,
    #[serde(default)]
    set: Vec<(String, String)>,
    #[serde(default)]
    removed: Vec<String>,
    #[serde(default)]
    response_set: Vec<(String, String)>,
    #[serde(default)]
    response_removed: Vec<String>,
    mirrors: Option<Vec<String>>,
    request_timeout: Option<String>,
    backend_timeout: Option<String>,
    retry: Option<WantedRetry>,
    session: Option<WantedSession>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRetry {
    attempts: u32,
    codes: Vec<u16>,
    backoff: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedSession {
    carrier: String,
    name: Option<String>,
    absolute_timeout: Option<String>,
    permanent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRedirect {
    status: u16,
    location: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRespond {
    status: u16,
    grpc_status: Option<u8>,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedCondition {
    object: String,
    parent: Option<String>,
    listener: Option<String>,
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedDiagnostic {
    object: String,
    path: Option<String>,
    contains: String,
}

fn main() {
    let arguments = Arguments::from_args();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut trials = Vec::new();
    for manifest in manifests(&root) {
        let name = manifest.strip_prefix(&root).unwrap_or(&manifest).with_extension("").display().to_string();
        let root = root.clone();
        trials.push(Trial::test(name.clone(), move || run(&root, &name)));
    }
    assert!(!trials.is_empty(), "no examples in {}", root.display());
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every manifest below the folder. A file of expectations without its manifest counts as one, to be told.
fn manifests(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder of examples") {
        let path = entry.expect("an entry of the folder of examples").path();
        let text = path.to_string_lossy();
        if path.is_dir() {
            found.append(&mut manifests(&path));
        } else if let Some(stem) = text.strip_suffix(".expect").or(text.strip_suffix(".yaml")) {
            found.insert(format!("{stem}.yaml").into());
        }
    }
    found
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(root: &Path, name: &str) -> Result<(), Failed> {
    let file = format!("{name}.expect");
    let expected: Expectation = serde_saphyr::from_str(&read(&root.join(&file))?).map_err(|error| format!("{file}: {error}"))?;
    let manifest = format!("{name}.yaml");
    let folder = root.join(&manifest).parent().map(Path::to_owned).unwrap_or_default();
    let mut loader = Loader::new();
    loader.add_text(&manifest, &read(&root.join(&manifest))?);
    for further in &expected.from {
        loader.add_text(further, &read(&folder.join(further))?);
    }
    let loaded = loader.finish();
    let mut options = Options::default();
    options.missing_services = MissingServices::Infer;
    let compiled = compile(&loaded.resources, &options);

    let mut wrong = Vec::new();
    if expected.about.is_empty() {
        wrong.push("`about` says what the example shows".to_owned());
    }
    let mut won = BTreeSet::new();
    for asked in &expected.requests {
        let told = ask(asked, &compiled.table, &mut won).unwrap_or_else(|error| vec![error]);
        wrong.extend(told.into_iter().map(|told| format!("request `{}`: {told}", asked.name)));
    }
    for rule in compiled.table.rules().iter().filter(|rule| !won.contains(&rule.id)) {
        let Some(route) = compiled.table.route(rule.route) else { continue };
        if loaded.sources.position(&route.object, "").is_some_and(|position| *position.file == *manifest) {
            wrong.push(format!("no request for {} #{}", object_name(&route.object), rule.index));
        }
    }
    wrong.extend(expected.conditions.iter().filter_map(|wanted| condition(wanted, &compiled).err()));
    if let Some(wanted) = &expected.diagnostics {
        wrong.extend(diagnostics(wanted, &manifest, &loaded, &compiled));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// `Kind namespace/name`, or `Kind name`.
fn object_name(object: &ObjectRef) -> String {
    match &*object.namespace {
        "" => format!("{} {}", object.kind, object.name),
        namespace => format!("{} {namespace}/{}", object.kind, object.name),
    }
}

/// What differs, as sentences.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, wanted: T) {
        if got != wanted {
            self.0.push(format!("{what} is {got:?}, expected {wanted:?}"));
        }
    }

    /// Field lines joined by a comma are the wanted value.
    fn field(&mut self, what: &str, headers: &HeaderMap, name: &str, wanted: Option<&str>) {
        let lines: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let got = (!lines.is_empty()).then(|| lines.join(","));
        self.equal(&format!("{what} `{name}`"), got.as_deref(), wanted);
    }

    fn duration(&mut self, what: &str, got: Option<Duration>, wanted: &str) -> Result<(), String> {
        let wanted = duration(wanted)?;
        self.equal(what, got, Some(wanted));
        Ok(())
    }
}

/// One number with one unit is enough for expectations.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a duration"))?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("`{text}` is not a duration")),
    };
    Ok(Duration::from_millis(number * millis))
}

fn fields(list: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("`{name}`: {error}"))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|error| format!("`{value}`: {error}"))?);
    }
    Ok(headers)
}

/// Asks one request and compares the answer.
fn ask(asked: &Asked, table: &Table, won: &mut BTreeSet<gatewright::table::RuleId>) -> Result<Vec<String>, String> {
    let gateway = asked.gateway.split_once('/').and_then(|(namespace, name)| table.find_gateway(namespace, name));
    let gateway = gateway.ok_or_else(|| format!("no Gateway `{}` is accepted", asked.gateway))?;
    let port = table.find_port(gateway.id, asked.port).ok_or_else(|| format!("the Gateway has no port {}", asked.port))?;
    let headers = fields(&asked.headers)?;
    let request = Request {
        arrival: Arrival { place: Place::Port(port.id), sni: asked.sni.as_deref(), listener: None },
        method: &asked.method,
        scheme: asked.scheme.as_deref(),
        authority: Authority::Given(asked.authority.as_bytes()),
        target: asked.target.as_bytes(),
        headers: &headers,
    };
    let decision = table.decide(&request, Pick(asked.pick));
    let matched = decision.matched();
    won.extend(matched.map(|matched| matched.rule));

    let mut differ = Differences::default();
    if let Some(wanted) = &asked.rule {
        let rule = matched.map(|matched| table.match_report(matched));
        let rule = rule.map_or_else(|| "none".to_owned(), |report| format!("{} #{}", object_name(&report.route), report.rule));
        differ.equal("the rule", rule.as_str(), wanted);
    }
    match (&decision, &asked.expect) {
        (Decision::Forward(got), Answer { forward: Some(wanted), redirect: None, respond: None }) => {
            forward(got, wanted, asked, &headers, table, &mut differ)?;
        }
        (Decision::Redirect(got), Answer { forward: None, redirect: Some(wanted), respond: None }) => redirect(got, wanted, &mut differ),
        (Decision::Respond(got), Answer { forward: None, redirect: None, respond: Some(wanted) }) => respond(got, wanted, &mut differ),
        _ => differ.0.push(format!("the answer is `{}`, expected {:?}", table.report(&decision), asked.expect)),
    }
    Ok(differ.0)
}

fn forward(
    got: &Forward<'_>,
    wanted: &WantedForward,
    asked: &Asked,
    headers: &HeaderMap,
    table: &Table,
    differ: &mut Differences,
) -> Result<(), String> {
    let backend = |id: BackendId| table.backend_report(id).to_string();
    if let Some(wanted) = &wanted.backend {
        differ.equal("the backend", backend(got.backend).as_str(), wanted);
    }
    let request = http::Request::builder().method(asked.method.as_str()).body(()).map_err(|error| error.to_string())?;
    let mut parts = request.into_parts().0;
    parts.headers = headers.clone();
    apply::forward(got, &mut parts);
    if let Some(wanted) = &wanted.target {
        differ.equal("the target", parts.uri.to_string().as_str(), wanted);
    }
    if let Some(wanted) = &wanted.authority {
        differ.field("the request's", &parts.headers, "host", Some(wanted));
    }
    wanted.set.iter().for_each(|(name, value)| differ.field("the request's", &parts.headers, name, Some(value)));
    wanted.removed.iter().for_each(|name| differ.field("the request's", &parts.headers, name, None));

    let from_backend: Vec<_> = wanted.response_removed.iter().map(|name| (name.clone(), "of the backend".to_owned())).collect();
    let mut response = fields(&from_backend)?;
    apply::response_headers(&got.response, &mut response);
    wanted.response_set.iter().for_each(|(name, value)| differ.field("the response's", &response, name, Some(value)));
    wanted.response_removed.iter().for_each(|name| differ.field("the response's", &response, name, None));

    if let Some(wanted) = &wanted.mirrors {
        differ.equal("the list of mirrors", got.mirrors.iter().map(backend).collect(), wanted.clone());
    }
    for (what, got, wanted) in [
        ("the timeout of the request", got.timeouts.request, &wanted.request_timeout),
        ("the timeout of an attempt", got.timeouts.backend_request, &wanted.backend_timeout),
    ] {
        if let Some(wanted) = wanted {
            differ.duration(what, got, wanted)?;
        }
    }
    if let Some(wanted) = &wanted.retry {
        let Some(got) = got.retry else { return Err("no retries".to_owned()) };
        differ.equal("the number of retries", got.attempts(), wanted.attempts);
        differ.equal("the list of codes", got.codes(), &wanted.codes);
        if let Some(wanted) = &wanted.backoff {
            differ.duration("the backoff", got.backoff(), wanted)?;
        }
    }
    if let Some(wanted) = &wanted.session {
        let Some(got) = got.session.map(|session| session.persistence()) else { return Err("no session".to_owned()) };
        let carrier = match got.carrier() {
            SessionCarrier::Cookie => "cookie",
            SessionCarrier::Header => "header",
        };
        differ.equal("the carrier of the session", carrier, &wanted.carrier);
        if let Some(wanted) = &wanted.name {
            differ.equal("the name of the session", got.name(), wanted);
        }
        differ.equal("whether the session is permanent", got.is_permanent(), wanted.permanent);
        if let Some(wanted) = &wanted.absolute_timeout {
            differ.duration("the timeout of the session", got.absolute_timeout(), wanted)?;
        }
    }
    Ok(())
}

fn redirect(got: &Redirect<'_>, wanted: &WantedRedirect, differ: &mut Differences) {
    let (status, headers) = apply::redirect(got);
    differ.equal("the status", status.as_u16(), wanted.status);
    differ.field("the response's", &headers, "location", Some(&wanted.location));
}

fn respond(got: &Respond<'_>, wanted: &WantedRespond, differ: &mut Differences) {
    differ.equal("the status", got.status.as_u16(), wanted.status);
    if let Some(wanted) = wanted.grpc_status {
        differ.equal("the gRPC status", got.grpc_status.map(|status| status.code()), Some(wanted));
    }
    let (_, headers) = apply::respond(got);
    wanted.headers.iter().for_each(|(name, value)| differ.field("the response's", &headers, name, Some(value)));
}

/// Looks for a condition and compares status and reason.
fn condition(wanted: &WantedCondition, compiled: &Compiled) -> Result<(), String> {
    let status = &compiled.status;
    let found: Vec<&Condition> = match (wanted.object.split_once(' ').unwrap_or_default().0, &wanted.listener, &wanted.parent) {
        ("GatewayClass", None, None) => of(&status.gateway_classes, wanted).flat_map(|class| &class.conditions).collect(),
        ("Gateway", None, None) => of(&status.gateways, wanted).flat_map(|gateway| &gateway.conditions).collect(),
        ("Gateway", Some(name), None) => {
            let listeners = of(&status.gateways, wanted).flat_map(|gateway| &gateway.listeners);
            listeners.filter(|listener| listener.name == *name).flat_map(|listener| &listener.conditions).collect()
        }
        ("HTTPRoute", None, Some(parent)) => of_parent(&status.http_routes, wanted, parent),
        ("GRPCRoute", None, Some(parent)) => of_parent(&status.grpc_routes, wanted, parent),
        _ => return Err(format!("not a condition of this kind of object: {wanted:?}")),
    };
    match found.iter().find(|condition| condition.type_ == wanted.type_) {
        Some(condition) if condition.status.as_str() == wanted.status && condition.reason == wanted.reason => Ok(()),
        Some(condition) => Err(format!("condition is {condition:?}, expected {wanted:?}")),
        None => Err(format!("no such condition: {wanted:?}")),
    }
}

fn of<'c, S>(list: &'c [ObjectStatus<S>], wanted: &'c WantedCondition) -> impl Iterator<Item = &'c S> {
    list.iter().filter(|entry| object_name(&entry.object) == wanted.object).map(|entry| &entry.status)
}

/// The parent is `namespace/name`, and `/section` if the parentRef names one.
fn of_parent<'c>(list: &'c [ObjectStatus<RouteStatus>], wanted: &'c WantedCondition, parent: &str) -> Vec<&'c Condition> {
    let own = wanted.object.split_once([' ', '/']).and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default().0;
    let parents = of(list, wanted).flat_map(|route| &route.parents);
    let named = parents.filter(|entry| {
        let reference = &entry.parent_ref;
        let section = reference.section_name.as_deref().map(|section| format!("/{section}")).unwrap_or_default();
        format!("{}/{}{section}", reference.namespace.as_deref().unwrap_or(own), reference.name) == parent
    });
    named.flat_map(|entry| &entry.conditions).collect()
}

/// Compares the findings about one manifest: errors and warnings one to one, notes as far as they are wanted.
fn diagnostics(wanted: &[WantedDiagnostic], manifest: &str, loaded: &Loaded, compiled: &Compiled) -> Vec<String> {
    let mut left: Vec<_> = loaded.diagnostics.iter().chain(&compiled.diagnostics).cloned().collect();
    left.iter_mut().for_each(|diagnostic| loaded.sources.locate(diagnostic));
    left.retain(|diagnostic| diagnostic.position.as_ref().is_none_or(|position| *position.file == *manifest));
    let mut wrong = Vec::new();
    for wanted in wanted {
        let found = left.iter().position(|got| {
            got.object.as_ref().map(object_name).as_deref() == Some(&wanted.object)
                && wanted.path.as_ref().is_none_or(|path| *path == got.path)
                && got.message.contains(&wanted.contains)
        });
        match found {
            Some(n) => drop(left.remove(n)),
            None => wrong.push(format!("no such diagnostic: {wanted:?}")),
        }
    }
    wrong.extend(left.iter().filter(|got| got.severity != Severity::Info).map(|got| format!("unexpected: {got}")));
    wrong
}
