//! junction-core measured like the other peers: `report` starts this with set, number of rules and effort, and reads a row.
//!
//! Through its public interface only: a client is connected to a listener of this process, because it must be, and is
//! then given static routes, with which it never asks the network again.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use gatewright_benches::contender::Contender;
use gatewright_benches::machine;
use gatewright_benches::measure::{Effort, Question, measure};
use gatewright_benches::precedence::by_host;
use gatewright_conformance::sets::{RouteSet, SetPath, SetRequest, SetRule};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use junction_api::http::{BackendRef, HeaderMatch, HostnameMatch, PathMatch, QueryParamMatch, Route, RouteMatch, RouteRule};
use junction_api::{Name, Regex, Service};
use junction_core::{Client, HttpRequest, ResolvedRoute, Url};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [set, rules, effort] = &arguments[..] else {
        eprintln!("{}\n{}", <Junction as Contender>::NAME, <Junction as Contender>::LACKS);
        return ExitCode::FAILURE;
    };
    let effort = if effort == "quick" { Effort::QUICK } else { Effort::FULL };
    let Some(question) = rules.parse().ok().and_then(|rules| Question::of(set, rules)) else {
        eprintln!("no such set");
        return ExitCode::FAILURE;
    };
    // Its panics are counted as no answer, see `prepare`.
    std::panic::set_hook(Box::new(|_| {}));
    machine::pin();
    let row = measure::<Junction>(&question, effort);
    println!("{}", serde_json::to_string(&row).expect("a row is plain data"));
    ExitCode::SUCCESS
}

/// A client with static routes.
struct Junction(Client);

/// A request in the form that it takes.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    /// It panics for a host that is shorter than the domain of a wildcard that comes before the host's own route.
    panics: bool,
}

impl Contender for Junction {
    const NAME: &'static str = "junction-core";
    const LACKS: &'static str = "rules without host; a broader host when no rule of a host holds; several lines of a field; hosts shorter than a wildcard's domain (it panics)";
    type Request = Request;
    type Source = Vec<Route>;
    type Found = Option<ResolvedRoute>;
    type Names = HashMap<Name, Vec<u32>>;

    fn source(set: &RouteSet) -> Vec<Route> {
        let hosts = hosts(&set.rules).into_iter().enumerate();
        hosts.map(|(n, (host, ids))| route(name(n), host, &ids, &set.rules)).collect()
    }

    fn build(routes: &Vec<Route>) -> Self {
        Self(CONNECTED.clone().with_static_endpoints(routes.clone(), Vec::new()))
    }

    fn prepare(&self, request: &SetRequest) -> Request {
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("the sets have valid names");
            headers.append(name, HeaderValue::from_str(value).expect("the sets have valid values"));
        }
        let url = format!("http://{}{}", request.host.to_ascii_lowercase(), request.target());
        let url = Url::from_str(&url).expect("the sets have valid targets");
        let method = request.method.parse().expect("the sets have valid methods");
        let mut request = Request { method, url, headers, panics: false };
        request.panics = catch_unwind(AssertUnwindSafe(|| self.find(&request).is_some())).is_err();
        request
    }

    fn touch(request: &Request) -> usize {
        let sum = |bytes: &[u8]| bytes.iter().copied().map(usize::from).sum::<usize>();
        let headers = request.headers.iter().map(|(name, value)| sum(name.as_str().as_bytes()) + sum(value.as_bytes()));
        headers.sum::<usize>() + sum(request.url.hostname().as_bytes()) + sum(request.url.path().as_bytes())
    }

    fn find(&self, request: &Request) -> Option<ResolvedRoute> {
        if request.panics {
            return None;
        }
        let request = HttpRequest::from_parts(&request.method, &request.url, &request.headers).ok()?;
        // With static routes nothing is ever waited for.
        let future = pin!(self.0.resolve_route(request, None));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(resolved) => resolved.ok(),
            Poll::Pending => None,
        }
    }

    fn names(&self, set: &RouteSet) -> Self::Names {
        hosts(&set.rules).into_iter().enumerate().map(|(n, (_, ids))| (name(n), ids)).collect()
    }

    fn rule(names: &Self::Names, found: &Option<ResolvedRoute>) -> Option<u32> {
        let resolved = found.as_ref()?;
        names.get(&resolved.route.id)?.get(resolved.rule).copied()
    }
}

/// A client must connect before it can be told that it need not. Whoever listens here never answers.
static CONNECTED: LazyLock<Client> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port can be had");
        let address = listener.local_addr().expect("it is bound");
        Client::build(format!("http://{address}"), "bench".into(), "bench".into()).await.expect("it connects")
    })
});

/// Hosts with the ids of their rules, in the order in which they are tried.
fn hosts(rules: &[SetRule]) -> Vec<(&str, Vec<u32>)> {
    let mut hosts: Vec<_> = by_host(rules).into_iter().filter_map(|(host, ids)| Some((host?, ids))).collect();
    hosts.sort_by_key(|(host, _)| (host.starts_with('*'), usize::MAX - host.len(), *host));
    hosts
}

fn name(n: usize) -> Name {
    Name::from_str(&format!("r{n}")).expect("it is a name")
}

fn route(id: Name, host: &str, ids: &[u32], rules: &[SetRule]) -> Route {
    let host = HostnameMatch::from_str(host).expect("the sets have valid hosts");
    let rules = ids.iter().map(|id| rule(&rules[*id as usize])).collect();
    Route { id, tags: Default::default(), hostnames: vec![host], ports: Vec::new(), rules }
}

/// Its prefixes are of octets, so that a prefix of segments is two matches.
fn rule(rule: &SetRule) -> RouteRule {
    let expression = |text: &str| Regex::from_str(text).expect("the sets have valid expressions");
    let regex = |text: &str| PathMatch::RegularExpression { value: expression(text) };
    let paths = match &rule.path {
        SetPath::Exact(text) => vec![PathMatch::Exact { value: text.clone() }],
        SetPath::Prefix(text) if rule.grpc && text != "/" => vec![regex(&format!("^{text}/[^/]*$").replace('.', "\\."))],
        SetPath::Prefix(text) if text == "/" => vec![PathMatch::Prefix { value: text.clone() }],
        SetPath::Prefix(text) => vec![PathMatch::Exact { value: text.clone() }, PathMatch::Prefix { value: format!("{text}/") }],
        SetPath::Regex(text) => vec![regex(&format!("^(?:{text})$"))],
    };
    let call = HeaderMatch::RegularExpression { name: "content-type".into(), value: expression("^(?i:application/grpc)([+; ].*)?$") };
    let header = |(name, value): &(String, String)| HeaderMatch::Exact { name: name.clone(), value: value.clone() };
    let query = |(name, value): &(String, String)| QueryParamMatch::Exact { name: name.clone(), value: value.clone() };
    let matches = paths.into_iter().map(|path| RouteMatch {
        path: Some(path),
        method: rule.method.clone(),
        headers: rule.headers.iter().map(header).chain(rule.grpc.then(|| call.clone())).collect(),
        query_params: rule.queries.iter().map(query).collect(),
    });
    let service = Service::kube("apps", "svc").expect("it is a name");
    RouteRule { matches: matches.collect(), backends: vec![BackendRef { service, port: Some(80), weight: 1 }], ..RouteRule::default() }
}
