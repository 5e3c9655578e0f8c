//! The oracle: what becomes of requests, and what status says, written down once more from the specification's
//! text, as a walk over everything. It shares no code with the table and is slow on purpose.

mod attach;
mod connections;
mod faults;
mod filters;
mod hosts;
mod listeners;
mod matching;
mod mesh;
mod policies;
mod question;
mod references;
mod routes;
mod status;

use gatewright::resource::gateway::Gateway;
use gatewright::resource::http_route::{HttpRouteFilter, HttpRouteFilterType};
use gatewright::{Pick, Resources};

pub use question::{BACKEND_RESPONSE, Connected, Facts, Fields, Forward, Outcome, Place, Then, Winner, WorldConnection, WorldRequest};

use attach::Hostnames;
use listeners::{Served, Set, Speaks, most_specific, speaks};
use matching::is_grpc;
use references::{From, follow, name_of, reference};
use routes::{Route, Rule};

/// The group of the Gateway API.
const GROUP: &str = "gateway.networking.k8s.io";

/// A world, read.
#[derive(Debug)]
pub struct Oracle<'r> {
    resources: &'r Resources,
    gateways: Vec<View<'r>>,
    routes: Vec<Route<'r>>,
    attachments: Vec<attach::Attachment>,
}

/// A Gateway with its listeners in order of precedence.
#[derive(Debug)]
struct View<'r> {
    name: (&'r str, &'r str),
    listeners: Vec<Served<'r>>,
    sets: Vec<Set<'r>>,
}

/// The match that won, with what is around it.
#[derive(Clone, Copy)]
struct Won<'o, 'r> {
    route: &'o Route<'r>,
    rule: usize,
    match_: usize,
}

impl<'r> Oracle<'r> {
    /// Reads a world.
    pub fn new(resources: &'r Resources) -> Self {
        let view = |gateway: &'r Gateway| {
            let (listeners, sets) = listeners::of_gateway(resources, gateway);
            View { name: name_of(&gateway.metadata), listeners, sets }
        };
        let gateways: Vec<View<'r>> = resources.gateways.iter().map(view).collect();
        let routes = routes::all(resources);
        let attachments = attach::all(resources, &gateways, &routes);
        Self { resources, gateways, routes, attachments }
    }

    /// What becomes of a request.
    pub fn answer(&self, request: &WorldRequest) -> Outcome {
        match &request.place {
            Place::Port { gateway, port } => self.at_port(gateway, *port, request),
            Place::Service { client, service, port } => self.at_service(client, service, *port, request),
        }
    }

    fn at_port(&self, (namespace, name): &(String, String), port: i32, request: &WorldRequest) -> Outcome {
        let refused = |reason| respond(request, None, reason, Fields::new());
        let is = |g: &View<'_>| g.name == (namespace.as_str(), name.as_str());
        let Some(gateway) = self.gateways.iter().position(is) else { return refused("NoListener") };
        let here = |l: &&Served<'_>| l.accepted() && l.listener.port == port && speaks(l.listener) != Speaks::Udp;
        let on_port: Vec<&Served<'_>> = self.gateways[gateway].listeners.iter().filter(here).collect();
        let of_http = |l: &&Served<'_>| matches!(speaks(l.listener), Speaks::Http | Speaks::Https);
        let for_requests: Vec<&Served<'_>> = on_port.iter().copied().filter(of_http).collect();
        let host = hosts::canonical(&request.host);
        let Some(best) = most_specific(&for_requests, host.as_deref()) else { return refused("NoListener") };
        let scheme = if speaks(best.listener) == Speaks::Https { "https" } else { "http" };
        // The listener of the handshake must be the one for the host ([L-24]).
        let sni = request.sni.as_deref().and_then(hosts::canonical);
        if scheme == "https" && most_specific(&on_port, sni.as_deref()).map(Served::text) != Some(best.text()) {
            return refused("Misdirected");
        }
        let mut serving = Vec::new();
        for attachment in self.attachments.iter().filter(|a| a.gateway == Some(gateway)) {
            for (n, hostnames) in &attachment.listeners {
                if self.gateways[gateway].listeners[*n].text() == best.text() {
                    serving.push((&self.routes[attachment.route], hostnames.clone()));
                }
            }
        }
        match best_match(&serving, host.as_deref(), request) {
            None => refused("NoRoute"),
            Some(won) => self.carry_out(won, best.text(), false, scheme, port, request),
        }
    }

    /// The clients of a namespace see the routes of their own namespace, or else those of the Service's ([A-21]).
    fn at_service(&self, client: &str, service: &(String, String), port: i32, request: &WorldRequest) -> Outcome {
        let of = |consumer: Option<&str>| -> Vec<&Route<'r>> {
            let here = |f: &mesh::Frontend| f.service == *service && f.port == port && f.consumer.as_deref() == consumer;
            self.attachments.iter().filter(|a| a.frontends.iter().any(here)).map(|a| &self.routes[a.route]).collect()
        };
        let mut routes = of(Some(client));
        if routes.is_empty() {
            routes = of(None);
        }
        if routes.is_empty() {
            return Outcome { winner: None, then: Then::PassThrough };
        }
        // The Service is what is matched; hostnames are ignored ([A-23]).
        let serving: Vec<_> = routes.into_iter().map(|route| (route, Hostnames::from([None]))).collect();
        match best_match(&serving, None, request) {
            None => respond(request, None, "NoRoute", Fields::new()),
            Some(won) => self.carry_out(won, format!("{}/{}:{port}", service.0, service.1), true, "http", port, request),
        }
    }

    /// The pipeline of [F-3].
    fn carry_out(&self, won: Won<'_, '_>, listener: String, mesh: bool, scheme: &str, port: i32, request: &WorldRequest) -> Outcome {
        let rule = &won.route.rules[won.rule];
        let prefix = rule.matches[won.match_].prefix();
        let winner = Some(Winner { listener, route: won.route.text(), rule: won.rule, match_: won.match_ });
        let from = From { kind: won.route.kind, namespace: won.route.namespace, mesh, passthrough: false };
        let mut filters = vec![&rule.filters];
        if rule.fault.is_some() {
            return respond(request, winner, "InvalidRule", Fields::new());
        }
        // Backend's modifier, then the rule's, then CORS; on every answer of the rule ([F-7], [F-15]).
        let response = |filters: &[&Vec<_>], mut fields: Fields| {
            filters.iter().rev().for_each(|list| filters::modify_response(list, &mut fields));
            if let Some(cors) = filters::cors(&rule.filters) {
                filters::answer_cors(cors, request, &mut fields);
            }
            fields
        };
        let answer = |reason: &str, filters: &[&Vec<_>]| {
            let outcome = respond(request, winner.clone(), reason, Fields::new());
            with_fields(outcome, |fields| response(filters, fields))
        };
        let redirected = |redirect: &_, filters: &[&Vec<_>]| {
            let location = filters::location(redirect, request, scheme, port, prefix);
            let fields = response(filters, Fields::from([("location".to_owned(), vec![location])]));
            let status = u16::try_from(redirect.status_code.unwrap_or(302)).unwrap_or_default();
            Outcome { winner: winner.clone(), then: Then::Respond { reason: "Redirect".to_owned(), status, fields } }
        };
        let extension = |list: &[_]| filters::one(list, HttpRouteFilterType::ExtensionRef).is_some();
        if filters::cors(&rule.filters).is_some() && filters::preflight(request).is_some() {
            return answer("CorsPreflight", &filters);
        }
        if extension(&rule.filters) {
            return answer("UnresolvedFilter", &filters);
        }
        if let Some(redirect) = filters::redirect(&rule.filters) {
            return redirected(redirect, &filters);
        }
        if rule.backends.is_empty() {
            return answer("NoBackends", &filters);
        }
        let weights: Vec<u64> = rule.backends.iter().map(|b| u64::try_from(b.weight).unwrap_or(0)).collect();
        let Some(chosen) = draw(&weights, request.pick) else { return answer("ZeroWeights", &filters) };
        let backend = &rule.backends[chosen];
        filters.push(&backend.filters);
        if extension(&backend.filters) {
            return answer("UnresolvedFilter", &filters);
        }
        if let Some(redirect) = filters::redirect(&backend.filters) {
            return redirected(redirect, &filters);
        }
        let Ok(target) = follow(self.resources, from, backend.to) else {
            return answer("InvalidBackend", &filters);
        };
        if target.empty {
            return answer("NoEndpoints", &filters);
        }
        // The backend's rewrite before the rule's ([F-36]); the rule's header modifier before the backend's ([F-14]).
        let host = filters.iter().rev().find_map(|list| filters::new_host(list)).unwrap_or_else(|| request.host.clone());
        let path = filters.iter().rev().find_map(|list| filters::new_path(list));
        let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let mut fields = fields_of(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        filters.iter().for_each(|list| filters::modify_request(list, &mut fields));
        fields.insert("host".to_owned(), vec![host]);
        let timeout = |text: &Option<String>| text.as_deref().and_then(faults::milliseconds).filter(|length| *length > 0);
        let forward = Forward {
            backend: target.text,
            target: filters::modified_path(&request.path, path, prefix) + &query,
            request: fields,
            response: response(&filters, fields_of(BACKEND_RESPONSE)),
            mirrors: self.mirrors(from, &filters, request.pick),
            timeouts: (timeout(&rule.timeouts.request), timeout(&rule.timeouts.backend_request)),
        };
        Outcome { winner, then: Then::Forward(Box::new(forward)) }
    }

    /// Who gets a copy: each mirror by a share of its own ([F-41]); one that cannot be resolved or has no
    /// endpoint is dropped ([F-42]).
    fn mirrors(&self, from: From<'_>, filters: &[&Vec<HttpRouteFilter>], pick: u64) -> Vec<String> {
        let mut n = 0;
        let mut copies = Vec::new();
        for filter in filters.iter().copied().flatten() {
            let (HttpRouteFilterType::RequestMirror, Some(mirror)) = (&filter.type_, &filter.request_mirror) else { continue };
            let Ok(target) = follow(self.resources, from, reference!(mirror.backend_ref)) else { continue };
            if target.empty {
                continue;
            }
            let (numerator, denominator) = faults::share(mirror);
            let drawn = (u128::from(Pick(pick).derive(n).0) * u128::from(denominator.unsigned_abs())) >> 64;
            n += 1;
            if drawn < u128::from(numerator.unsigned_abs()) {
                copies.push(target.text);
            }
        }
        copies
    }
}

/// The best of the matches that hold, of routes that serve under these hostnames.
fn best_match<'o, 'r>(serving: &[(&'o Route<'r>, Hostnames)], host: Option<&str>, request: &WorldRequest) -> Option<Won<'o, 'r>> {
    let wins = |method: &str, of_rule: &dyn Fn(&Rule<'_>) -> bool| {
        let mut entries = Vec::new();
        for (route, hostnames) in serving {
            let (created, joined) = route.rank();
            for hostname in hostnames.iter().filter(|name| hosts::covers(name.as_deref(), host)) {
                for (rule, of) in route.rules.iter().enumerate() {
                    // An invalid rule is left out, unless it fails closed.
                    if of.fault.as_ref().is_some_and(|fault| !fault.closed) || !of_rule(of) {
                        continue;
                    }
                    for (match_, m) in of.matches.iter().enumerate().filter(|(_, m)| m.holds(request, method)) {
                        let order = matching::order(hostname.as_deref(), m, &created, &joined, rule, match_);
                        entries.push((order, Won { route, rule, match_ }));
                    }
                }
            }
        }
        entries.into_iter().min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, won)| won)
    };
    // A preflight asks about another method: when nothing is for OPTIONS, a valid rule with CORS for that one answers
    // it ([C-10], [U-26]).
    let for_preflight = |asked| wins(asked, &|rule| rule.fault.is_none() && filters::cors(&rule.filters).is_some());
    wins(&request.method, &|_| true).or_else(|| filters::preflight(request).and_then(for_preflight))
}

/// Weights as shares of their sum ([B-1]).
fn draw(weights: &[u64], pick: u64) -> Option<usize> {
    let total: u64 = weights.iter().sum();
    let drawn = (u128::from(pick) * u128::from(total)) >> 64;
    let mut seen = 0_u128;
    weights.iter().position(|weight| {
        seen += u128::from(*weight);
        drawn < seen
    })
}

fn fields_of<'f>(list: impl IntoIterator<Item = (&'f str, &'f str)>) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in list {
        fields.entry(name.to_lowercase()).or_default().push(value.to_owned());
    }
    fields
}

/// An answer of the gateway; a gRPC client gets status 200 and a status of gRPC ([G-10]).
fn respond(request: &WorldRequest, winner: Option<Winner>, reason: &str, mut fields: Fields) -> Outcome {
    let (status, grpc_status) = match reason {
        "NoListener" | "NoRoute" => (404, Some("12")),
        // Only the HTTP status says that another connection is to be tried.
        "Misdirected" => (421, None),
        "CorsPreflight" => (204, None),
        "NoEndpoints" => (503, Some("14")),
        _ => (500, Some("14")),
    };
    let mut sent = status;
    if let (true, Some(grpc_status)) = (is_grpc(request), grpc_status) {
        sent = 200;
        fields.insert("content-type".to_owned(), vec!["application/grpc".to_owned()]);
        fields.insert("grpc-status".to_owned(), vec![grpc_status.to_owned()]);
    }
    Outcome { winner, then: Then::Respond { reason: reason.to_owned(), status: sent, fields } }
}

fn with_fields(mut outcome: Outcome, change: impl FnOnce(Fields) -> Fields) -> Outcome {
    if let Then::Respond { fields, .. } = &mut outcome.then {
        *fields = change(std::mem::take(fields));
    }
    outcome
}
