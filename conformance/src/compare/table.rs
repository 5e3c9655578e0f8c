//! What the table says, in the words of the oracle.

use std::collections::BTreeMap;

use gatewright::connection::{ConnectionDecision, ConnectionTls, MatchedConnection};
use gatewright::explain::Verdict;
use gatewright::resource::status::{Condition, ListenerStatus, RouteStatus};
use gatewright::table::{BackendId, Endpoints, Trust};
use gatewright::{Arrival, Authority, Decision, ObjectRef, ObjectStatus, Pick, Request, Status, Table, apply, decision::Parent};
use http::HeaderMap;

use crate::oracle::{BACKEND_RESPONSE, Connected, Fields, Forward, Outcome, Place, Then, Winner, WorldConnection, WorldRequest};

/// What the table decides, carried out; the error is a contradiction inside of the table.
pub(super) fn decided(table: &Table, request: &WorldRequest) -> Result<Outcome, String> {
    let target = target(&spelled(request), request);
    let Some(place) = place(table, &request.place) else {
        // Nothing to ask: no connection is taken there, or no route is for the Service.
        let passes = matches!(request.place, Place::Service { .. });
        return Ok(Outcome { winner: None, then: if passes { Then::PassThrough } else { refused(request) } });
    };
    let view = view(request, place, &target);
    let decision = table.decide(&view, Pick(request.pick));
    let owned = table.decide_owned(&view, Pick(request.pick));
    if table.report(&owned.decision()) != table.report(&decision) {
        return Err(format!("the owned decision differs: {owned:?}\n{decision:?}"));
    }
    // The explanation must show the same decision, and the order that decided.
    let explained = table.explain(&view, Pick(request.pick));
    if explained.decision != table.report(&decision) {
        return Err(format!("explain and decide differ: {explained}\n{:?}", table.report(&decision)));
    }
    let first = explained.candidates.iter().find(|candidate| !matches!(candidate.verdict, Verdict::Failed { .. }));
    if first.is_some_and(|first| first.verdict != Verdict::Won) {
        return Err(format!("the order of explain is not the order of decide: {explained}"));
    }
    let winner = decision.matched().map(|matched| {
        let names = table.match_report(matched);
        Winner {
            listener: match matched.parent {
                Parent::Listener(id) => listener(table, id).unwrap_or_default(),
                Parent::Service(_) => names.service.unwrap_or_default(),
            },
            route: text(&names.route),
            rule: names.rule as usize,
            match_: names.match_ as usize,
        }
    });
    let then = match &decision {
        Decision::Forward(forward) => Then::Forward(Box::new(forwarded(table, request, forward)?)),
        Decision::Redirect(redirect) => {
            let (status, fields) = apply::redirect(redirect);
            Then::Respond { reason: "Redirect".to_owned(), status: status.as_u16(), fields: fields_of(&fields) }
        }
        Decision::Respond(respond) => {
            let (status, fields) = apply::respond(respond);
            Then::Respond { reason: respond.reason.as_str().to_owned(), status: status.as_u16(), fields: fields_of(&fields) }
        }
        other => return Err(format!("{other:?}")),
    };
    Ok(Outcome { winner, then })
}

/// The target of a request: this spelling of its path, and its query.
pub(crate) fn target(path: &str, request: &WorldRequest) -> String {
    match &request.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// A request of a small world as the table is asked.
pub(crate) fn view<'r>(request: &'r WorldRequest, place: gatewright::Place, target: &'r str) -> Request<'r, Vec<(String, String)>> {
    Request {
        arrival: Arrival { place, sni: request.sni.as_deref(), listener: None },
        method: &request.method,
        scheme: None,
        authority: Authority::Given(request.host.as_bytes()),
        target: target.as_bytes(),
        headers: &request.headers,
    }
}

pub(crate) fn place(table: &Table, place: &Place) -> Option<gatewright::Place> {
    match place {
        Place::Port { gateway, port } => at_port(table, gateway, *port, false),
        Place::Service { client, service, port } => {
            let frontend = table.find_frontend(client, &service.0, &service.1, u16::try_from(*port).ok()?)?;
            Some(gatewright::Place::Service(frontend.id))
        }
    }
}

fn at_port(table: &Table, (namespace, name): &(String, String), port: i32, udp: bool) -> Option<gatewright::Place> {
    let gateway = table.find_gateway(namespace, name)?;
    let number = u16::try_from(port).ok()?;
    let port = if udp { table.find_udp_port(gateway.id, number) } else { table.find_port(gateway.id, number) };
    port.map(|port| gatewright::Place::Port(port.id))
}

/// A connection as the table is asked; `None` where no connection is taken.
pub(super) fn arrival<'c>(table: &Table, connection: &'c WorldConnection) -> Option<Arrival<'c>> {
    let place = at_port(table, &connection.gateway, connection.port, connection.udp)?;
    Some(Arrival { place, sni: connection.sni.as_deref(), listener: None })
}

/// What the table decides of a connection; the error is a contradiction inside of the table.
pub(super) fn connected(table: &Table, connection: &WorldConnection) -> Result<Connected, String> {
    let Some(arrival) = arrival(table, connection) else {
        return Ok(Connected { listener: None, route: None, then: "rejected: NoListener".to_owned() });
    };
    let decision = table.decide_connection(&arrival, Pick(connection.pick));
    let explained = table.explain_connection(&arrival, Pick(connection.pick));
    if explained.decision != table.connection_report(&decision) {
        return Err(format!("explain and decide differ: {explained}\n{decision:?}"));
    }
    let route = |matched: MatchedConnection| table.route(matched.route).map(|route| text(&route.object));
    let of = |parent: Parent| parent.listener().and_then(|id| listener(table, id));
    Ok(match decision {
        ConnectionDecision::Http { listener: id } => {
            Connected { listener: id.and_then(|id| listener(table, id)), route: None, then: "HTTP".to_owned() }
        }
        ConnectionDecision::Forward(forward) => {
            let tls = match forward.tls {
                ConnectionTls::None => "none",
                ConnectionTls::Passthrough => "passed through",
                ConnectionTls::Terminate => "terminated",
            };
            Connected {
                listener: of(forward.matched.parent),
                route: route(forward.matched),
                then: format!("forwarded to {}, TLS {tls}", backend(table, forward.backend)),
            }
        }
        ConnectionDecision::Reject(reject) => Connected {
            listener: reject.listener.and_then(|id| listener(table, id)),
            route: reject.matched.and_then(route),
            then: format!("rejected: {}", reject.reason.as_str()),
        },
        other => return Err(format!("{other:?}")),
    })
}

/// What a gateway that is not asked would have said.
fn refused(request: &WorldRequest) -> Then {
    let grpc = request.headers.iter().any(|(name, value)| name == "content-type" && value.starts_with("application/grpc"));
    let fields = match grpc {
        true => Fields::from([
            ("content-type".to_owned(), vec!["application/grpc".to_owned()]),
            ("grpc-status".to_owned(), vec!["12".to_owned()]),
        ]),
        false => Fields::new(),
    };
    Then::Respond { reason: "NoListener".to_owned(), status: if grpc { 200 } else { 404 }, fields }
}

fn text(object: &ObjectRef) -> String {
    format!("{} {}/{}", object.kind, object.namespace, object.name)
}

fn listener(table: &Table, id: gatewright::table::ListenerId) -> Option<String> {
    let listener = table.listener(id)?;
    Some(format!("{} {}", text(&listener.owner), listener.name))
}

fn backend(table: &Table, id: BackendId) -> String {
    let Some(backend) = table.backend(id) else { return String::new() };
    let known = match &backend.endpoints {
        Endpoints::Known(list) => format!(" {:?}", list.iter().map(ToString::to_string).collect::<Vec<_>>()),
        _ => String::new(),
    };
    let tls = backend.tls.as_ref().map(|tls| {
        let trust = match &tls.trust {
            Trust::System => "the system".to_owned(),
            Trust::Bundles(list) => format!("{:?}", list.iter().map(|o| format!("{}/{}", o.namespace, o.name)).collect::<Vec<_>>()),
        };
        format!(" as {} trusting {trust}", tls.hostname)
    });
    let tls = tls.unwrap_or_default();
    format!("{}/{}:{} {}{tls}{known}", backend.object.namespace, backend.object.name, backend.port, backend.protocol.as_str())
}

/// The request that is sent, and the response that comes back, by way of `apply`.
fn forwarded(table: &Table, request: &WorldRequest, forward: &gatewright::decision::Forward<'_>) -> Result<Forward, String> {
    let mut builder = http::Request::builder().method(request.method.as_str()).uri("/as-received");
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let (mut parts, ()) = builder.body(()).map_err(|error| error.to_string())?.into_parts();
    apply::forward(forward, &mut parts);
    let mut response = HeaderMap::new();
    for (name, value) in BACKEND_RESPONSE {
        response.append(name, http::HeaderValue::from_static(value));
    }
    apply::response_headers(&forward.response, &mut response);
    let millis = |length: Option<std::time::Duration>| length.and_then(|length| u64::try_from(length.as_millis()).ok());
    Ok(Forward {
        backend: backend(table, forward.backend),
        target: parts.uri.to_string(),
        request: fields_of(&parts.headers),
        response: fields_of(&response),
        mirrors: forward.mirrors.iter().map(|id| backend(table, id)).collect(),
        timeouts: (millis(forward.timeouts.request), millis(forward.timeouts.backend_request)),
    })
}

/// Header fields, compared by what they mean: `vary` is a set, and a gRPC message is a sentence for people.
fn fields_of(headers: &HeaderMap) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != "grpc-message") {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values = fields.entry(name.as_str().to_owned()).or_default();
        if name == http::header::VARY {
            values.extend(value.split(',').map(|name| name.trim().to_lowercase()));
            values.sort();
            values.dedup();
        } else {
            values.push(value);
        }
    }
    fields
}

/// The path of a request as it is sent.
pub(super) fn spelled(request: &WorldRequest) -> String {
    spell(&request.path, request.pick)
}

/// Another spelling of a canonical path, for some requests: the oracle never sees it ([R-P5], [R-P7], [R-P8]).
fn spell(path: &str, pick: u64) -> String {
    match pick % 16 {
        0 => path.replace('a', "%61"),
        1 => format!("/.{path}"),
        2 => path.replace('/', "//"),
        3 => format!("/x/%2e.{path}"),
        4 => path.replace("/b", "/./b"),
        _ => path.to_owned(),
    }
}

/// What status says, one fact each.
pub(super) fn facts(status: &Status) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for gateway in &status.gateways {
        let of = text(&gateway.object);
        conditions(&mut facts, &of, &gateway.status.conditions);
        facts.insert(format!("{of} attachedListenerSets"), gateway.status.attached_listener_sets.unwrap_or(0).to_string());
        gateway.status.listeners.iter().for_each(|one| listener_facts(&mut facts, &of, one));
    }
    for set in &status.listener_sets {
        let of = text(&set.object);
        conditions(&mut facts, &of, &set.status.conditions);
        set.status.listeners.iter().for_each(|one| listener_facts(&mut facts, &of, one));
    }
    for list in [&status.http_routes, &status.grpc_routes, &status.tls_routes, &status.tcp_routes, &status.udp_routes] {
        routes(&mut facts, list);
    }
    facts
}

fn conditions(facts: &mut BTreeMap<String, String>, of: &str, list: &[Condition]) {
    for condition in list {
        facts.insert(format!("{of} {}", condition.type_), condition.status.to_string());
        facts.insert(format!("{of} {} reason", condition.type_), condition.reason.clone());
    }
}

fn listener_facts(facts: &mut BTreeMap<String, String>, owner: &str, status: &ListenerStatus) {
    let of = format!("{owner} {}", status.name);
    conditions(facts, &of, &status.conditions);
    let mut kinds: Vec<&str> = status.supported_kinds.iter().map(|kind| kind.kind.as_str()).collect();
    kinds.sort_unstable();
    facts.insert(format!("{of} supportedKinds"), kinds.join(" "));
    facts.insert(format!("{of} attachedRoutes"), status.attached_routes.to_string());
}

fn routes(facts: &mut BTreeMap<String, String>, list: &[ObjectStatus<RouteStatus>]) {
    for route in list {
        let of = text(&route.object);
        let echo = |p: &gatewright::resource::meta::ParentReference| {
            format!(
                "{}/{} {}/{} {} {}",
                p.group.as_deref().unwrap_or("?"),
                p.kind.as_deref().unwrap_or("?"),
                p.namespace.as_deref().unwrap_or(""),
                p.name,
                p.section_name.as_deref().unwrap_or(""),
                p.port.map(|port| port.to_string()).unwrap_or_default()
            )
        };
        let parents = route.status.parents.iter().map(|entry| echo(&entry.parent_ref));
        facts.insert(format!("{of} parents"), parents.collect::<Vec<_>>().join(", "));
        for (n, entry) in route.status.parents.iter().enumerate() {
            conditions(facts, &format!("{of} parent {n}"), &entry.conditions);
        }
    }
}
