//! From resources to a table, status and diagnostics: stage 1 to stage 3 by way of stage 2.
//!
//! Nothing here fails. What is invalid is left out or answers as the specification says, and is reported twice:
//! as a condition for controllers and as a diagnostic for people.

mod address;
mod alias;
mod attach;
mod auth;
mod backend;
mod build;
mod class;
mod conflict;
mod draft;
mod endpoint;
mod filter;
mod findings;
mod gate;
mod gateway;
mod input;
mod listener;
mod listener_set;
mod matches;
mod mesh;
mod policy;
mod route;
mod rule;
mod separate;
mod session_names;
mod shadow;
mod status;
mod tls;
mod traffic;
mod xbackend;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::features::Feature;
use crate::model::pattern::Patterns;
use crate::options::{HttpAndGrpc, Options};
use crate::resource::Resources;
use crate::resource::backend::XBackendStatus;
use crate::resource::status::{GatewayClassStatus, GatewayStatus, ListenerSetStatus, PolicyStatus, RouteStatus};
use crate::table::{RouteKind, Table};
use crate::validate;

/// What [`compile`] gives.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Compiled {
    /// The table.
    pub table: Table,
    /// Status of every object this controller manages.
    pub status: Status,
    /// Findings for people.
    pub diagnostics: Vec<Diagnostic>,
}

/// Status of the objects, each list sorted by namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Status {
    /// GatewayClasses of this controller.
    pub gateway_classes: Vec<ObjectStatus<GatewayClassStatus>>,
    /// Gateways of this controller.
    pub gateways: Vec<ObjectStatus<GatewayStatus>>,
    /// HTTPRoutes that name a parent of this controller.
    pub http_routes: Vec<ObjectStatus<RouteStatus>>,
    /// ListenerSets of Gateways of this controller.
    pub listener_sets: Vec<ObjectStatus<ListenerSetStatus>>,
    /// GRPCRoutes that name a parent of this controller.
    pub grpc_routes: Vec<ObjectStatus<RouteStatus>>,
    /// TLSRoutes that name a parent of this controller.
    pub tls_routes: Vec<ObjectStatus<RouteStatus>>,
    /// TCPRoutes that name a parent of this controller.
    pub tcp_routes: Vec<ObjectStatus<RouteStatus>>,
    /// UDPRoutes that name a parent of this controller.
    pub udp_routes: Vec<ObjectStatus<RouteStatus>>,
    /// BackendTLSPolicies whose targets Gateways of this controller use.
    pub backend_tls_policies: Vec<ObjectStatus<PolicyStatus>>,
    /// XBackendTrafficPolicies whose targets Gateways of this controller use.
    pub backend_traffic_policies: Vec<ObjectStatus<PolicyStatus>>,
    /// XBackends that Gateways of this controller use.
    pub backends: Vec<ObjectStatus<XBackendStatus>>,
    /// XMeshes of this controller.
    pub meshes: Vec<ObjectStatus<GatewayClassStatus>>,
}

/// Status of one object.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ObjectStatus<S> {
    /// The object.
    pub object: ObjectRef,
    /// Its status.
    pub status: S,
}

/// Compiles resources into a table. Never fails on bad manifests: what is invalid is left out, reported, and
/// answered as the specification says. The same objects in any order give the same result.
///
/// ```
/// use gatewright::{Arrival, Authority, Decision, Options, Pick, Request, Resources, compile};
///
/// let compiled = compile(&Resources::default(), &Options::default());
/// assert!(compiled.table.gateways().is_empty());
/// ```
pub fn compile(resources: &Resources, options: &Options) -> Compiled {
    let input = input::Input::new(resources, options);
    let mut status = Status::default();
    let mut all_findings = Vec::new();
    class::check(&input, &mut status, &mut all_findings);
    let gateways = gateway::check(&input, &mut all_findings);
    let sets = attach::sets(&gateways);
    let (mut routes, mut findings) = route::check(&input);
    let mut attachments: Vec<Vec<attach::Attachment<'_>>> =
        routes.iter().zip(&mut findings).map(|(route, findings)| attach::attach(route, &gateways, &sets, &input, findings)).collect();
    let mut backends = backend::Backends::new(&input);
    let mut patterns = Patterns::default();
    for ((route, attachments), findings) in routes.iter_mut().zip(&attachments).zip(&mut findings) {
        let mut views: BTreeSet<backend::View> =
            attachments.iter().flat_map(|attachment| attachment.views(route.kind, &gateways)).collect();
        if views.is_empty() {
            views.insert(backend::View::Gateway);
        }
        views.into_iter().for_each(|view| route.check_rules(view, &mut backends, &mut patterns, findings, &input));
    }
    if options.http_and_grpc == HttpAndGrpc::Separate {
        separate::on_listeners(&routes, &mut attachments, &mut findings);
    }
    separate::on_services(&routes, &mut attachments, &mut findings);

    let attached = attached_routes(&routes, &attachments, &gateways);
    let with_sets = options.features.contains(Feature::ListenerSet);
    for (key, gateway) in &gateways {
        let counts: Vec<usize> = (0..gateway.listeners.len()).map(|n| attached.get(&(*key, n)).map_or(0, BTreeSet::len)).collect();
        status.gateways.push(ObjectStatus { object: gateway.object.clone(), status: gateway.status(&counts, with_sets) });
        let sets =
            gateway.sets.iter().map(|set| ObjectStatus { object: set.object.clone(), status: set.status(&gateway.listeners, &counts) });
        status.listener_sets.extend(sets);
    }
    status.listener_sets.sort_by(|a, b| a.object.cmp(&b.object));
    for (route, attachments) in routes.iter().zip(&attachments).filter(|(_, attachments)| !attachments.is_empty()) {
        let entry = ObjectStatus { object: route.object.clone(), status: status::of_route(route, attachments, &gateways, &input) };
        match route.kind {
            RouteKind::Http => status.http_routes.push(entry),
            RouteKind::Grpc => status.grpc_routes.push(entry),
            RouteKind::Tls => status.tls_routes.push(entry),
            RouteKind::Tcp => status.tcp_routes.push(entry),
            RouteKind::Udp => status.udp_routes.push(entry),
        }
    }

    let used = uses(&routes, &attachments, &gateways, &input);
    backends.report(used.iter().flat_map(|(ancestor, used)| used.iter().map(move |used| (ancestor, *used))), &mut status);
    let (backends, found) = backends.finish();
    all_findings.extend(found);

    let table = build::table(&gateways, &mut routes, &attachments, backends, options, &mut findings);
    let diagnostics = all_findings.into_iter().chain(findings).flat_map(|findings| findings.list).collect();
    let mut diagnostics = validate::tell_once(diagnostics, validate::validate(resources));
    // A fault stands before what follows from it.
    diagnostics
        .sort_by(|a, b| (&a.object, &a.path, a.severity, a.code, &a.message).cmp(&(&b.object, &b.path, b.severity, b.code, &b.message)));
    diagnostics.dedup();
    Compiled { table, status, diagnostics }
}

/// Routes accepted by each listener; a route that names a listener twice counts once ([L-27]).
fn attached_routes<'r>(
    routes: &[route::CheckedRoute<'r>],
    attachments: &[Vec<attach::Attachment<'r>>],
    gateways: &attach::Gateways<'r>,
) -> BTreeMap<(input::Key<'r>, usize), BTreeSet<usize>> {
    let mut attached = BTreeMap::<_, BTreeSet<usize>>::new();
    for (n, (route, attachments)) in routes.iter().zip(attachments).enumerate() {
        for attachment in attachments {
            if attachment.views(route.kind, gateways).into_iter().any(|view| route.unusable(view).is_some()) {
                continue;
            }
            let Some(gateway) = attachment.gateway else { continue };
            for listener in attachment.listeners.keys() {
                attached.entry((gateway, *listener)).or_default().insert(n);
            }
        }
    }
    attached
}

/// The backends that the accepted routes of each Gateway refer to, and those of each Service of a mesh: the ancestors of
/// policies ([TP-7]).
fn uses<'u, 'r>(
    routes: &'u [route::CheckedRoute<'r>],
    attachments: &[Vec<attach::Attachment<'r>>],
    gateways: &attach::Gateways<'r>,
    input: &input::Input<'r>,
) -> BTreeMap<policy::Ancestor, BTreeSet<&'u policy::Use>> {
    let mut uses = BTreeMap::<_, BTreeSet<_>>::new();
    for (route, attachments) in routes.iter().zip(attachments) {
        for attachment in attachments.iter().filter(|attachment| attachment.refused.is_none()) {
            let mut views = attachment.views(route.kind, gateways);
            views.retain(|view| route.unusable(*view).is_none());
            let used: BTreeSet<_> = views.iter().filter_map(|view| route.rules.get(view)).flat_map(|rules| &rules.uses).collect();
            let ancestors: Vec<policy::Ancestor> = match attachment.gateway.and_then(|key| gateways.get(&key)) {
                Some(gateway) => vec![(gateway.object.clone(), gateway.controller.into())],
                None => {
                    let controller = input.options.controller.as_deref().unwrap_or(class::DEFAULT_CONTROLLER);
                    let services = attachment.frontends.iter().map(|(namespace, name, ..)| ObjectRef::new("", "Service", namespace, name));
                    services.map(|service| (service, controller.into())).collect()
                }
            };
            ancestors.into_iter().for_each(|ancestor| uses.entry(ancestor).or_default().extend(&used));
        }
    }
    uses
}
