//! Gateways of this controller, with their own listeners and those of their ListenerSets ([S-5], [L-14]).

use std::collections::BTreeMap;

use super::address::{self, Addresses};
use super::class::{self, parameters};
use super::conflict;
use super::findings::{Findings, Problem, condition};
use super::input::Input;
use super::listener::{self, CheckedListener};
use super::listener_set::{self, CheckedSet};
use super::lookup::Key;
use super::tls::{self, Owner};
use crate::diagnostic::{Code, ObjectRef};
use crate::features::Feature;
use crate::model::namespace_of;
use crate::resource::meta::DefaultScope;
use crate::resource::status::GatewayStatus;
use crate::resource::{GATEWAY_GROUP, Gateway};

/// A Gateway of this controller.
#[derive(Debug)]
pub(crate) struct CheckedGateway {
    pub(crate) object: ObjectRef,
    pub(crate) controller: Box<str>,
    generation: Option<i64>,
    default_scope: bool,
    insecure_fallback: bool,
    /// Its own listeners, then those of its ListenerSets in order of precedence ([L-5], [L-41]).
    pub(crate) listeners: Vec<CheckedListener>,
    /// The ListenerSets that name it, in order of precedence.
    pub(crate) sets: Vec<CheckedSet>,
    /// The certificate that it shows to backends ([L-37]).
    pub(crate) client_certificate: Option<ObjectRef>,
    client_certificate_problem: Option<Problem>,
    addresses: Addresses,
    invalid_parameters: bool,
}

impl CheckedGateway {
    /// Whether the Gateway takes part in traffic; its ListenerSets do not count ([L-14]).
    pub(crate) fn accepted(&self) -> bool {
        !self.invalid_parameters && self.addresses.unsupported.is_none() && self.own().any(CheckedListener::accepted)
    }

    /// Its own listeners.
    fn own(&self) -> impl Iterator<Item = &CheckedListener> {
        self.listeners.iter().filter(|listener| listener.set.is_none())
    }

    /// Whether routes without parentRefs attach ([N-1]).
    pub(crate) fn is_default(&self) -> bool {
        self.default_scope
    }

    /// `status`, with the number of attached routes of each listener.
    pub(crate) fn status(&self, attached: &[usize], list_sets: bool) -> GatewayStatus {
        let generation = self.generation;
        let set = |type_: &str, holds: bool, reason: &str, message: &str| condition(type_, holds, reason, message, generation);
        let invalid: Vec<&str> = self.own().filter(|l| !l.accepted()).map(|l| &*l.name).collect();
        let accepted = if self.invalid_parameters {
            set("Accepted", false, "InvalidParameters", "spec.infrastructure.parametersRef cannot be resolved")
        } else if let Some(message) = &self.addresses.unsupported {
            set("Accepted", false, "UnsupportedAddress", message)
        } else if invalid.is_empty() && self.own().next().is_some() {
            set("Accepted", true, "Accepted", "")
        } else {
            let message = format!("spec.listeners: listeners that are not valid: {}", invalid.join(", "));
            set("Accepted", self.accepted(), "ListenersNotValid", &message)
        };
        let programmed = match &self.addresses.unusable {
            _ if !self.accepted() || !self.listeners.iter().any(CheckedListener::programmed) => {
                set("Programmed", false, "Invalid", "no listener can be served")
            }
            Some((reason, message)) => set("Programmed", false, reason, message),
            None => set("Programmed", true, "Programmed", ""),
        };
        let unresolved: Vec<&str> = self.own().filter(|l| l.unresolved.is_some()).map(|l| &*l.name).collect();
        let resolved = match &self.client_certificate_problem {
            Some((reason, message)) => set("ResolvedRefs", false, reason, message),
            None if unresolved.is_empty() => set("ResolvedRefs", true, "ResolvedRefs", ""),
            None => {
                let message = format!("spec.listeners: listeners with references that cannot be resolved: {}", unresolved.join(", "));
                set("ResolvedRefs", false, "ListenersNotResolved", &message)
            }
        };
        let mut conditions = vec![accepted, programmed, resolved];
        if self.insecure_fallback {
            let message = "spec.tls.frontend: clients are let in without a valid certificate (AllowInsecureFallback)";
            conditions.push(set("InsecureFrontendValidationMode", true, "ConfigurationChanged", message));
        }
        if self.is_default() {
            conditions.push(set("DefaultGateway", true, "DefaultGateway", "spec.defaultScope: routes without parentRefs may attach"));
        }
        let accepted_sets = self.sets.iter().filter(|set| set.accepted(&self.listeners)).count();
        let listeners = self.listeners.iter().enumerate().filter(|(_, listener)| listener.set.is_none());
        GatewayStatus {
            addresses: self.addresses.assigned.clone(),
            attached_listener_sets: list_sets.then(|| i32::try_from(accepted_sets).unwrap_or(i32::MAX)),
            conditions,
            listeners: listeners.map(|(n, l)| l.status(attached.get(n).copied().unwrap_or(0), generation)).collect(),
        }
    }
}

/// The Gateways of this controller, in the order of namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Gateways {
    list: Vec<CheckedGateway>,
    /// The ListenerSets, with the place of their Gateway and their own place there.
    sets: BTreeMap<ObjectRef, (usize, usize)>,
}

impl Gateways {
    pub(crate) fn get(&self, place: usize) -> Option<&CheckedGateway> {
        self.list.get(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &CheckedGateway)> {
        self.list.iter().enumerate()
    }

    /// The place of a Gateway.
    pub(crate) fn find(&self, (namespace, name): Key<'_>) -> Option<usize> {
        self.list.binary_search_by(|gateway| (&*gateway.object.namespace, &*gateway.object.name).cmp(&(namespace, name))).ok()
    }

    /// The place of the Gateway of a ListenerSet, and of the set there.
    pub(crate) fn find_set(&self, (namespace, name): Key<'_>) -> Option<(usize, usize)> {
        self.sets.get(&ObjectRef::new(GATEWAY_GROUP, "ListenerSet", namespace, name)).copied()
    }
}

/// Checks the Gateways of this controller.
pub(crate) fn check(input: &Input<'_>, all: &mut Vec<Findings>) -> Gateways {
    let controller = input.options.controller.as_deref();
    let mut by_name = BTreeMap::new();
    for gateway in &input.resources.gateways {
        let class = input.classes.get(gateway.spec.gateway_class_name.as_str());
        let of_class = class.map(|class| class.spec.controller_name.as_str());
        if controller.is_some() && of_class != controller {
            continue;
        }
        let key = (namespace_of(&gateway.metadata), gateway.metadata.name.as_str());
        let controller = of_class.unwrap_or_else(|| class::controller(input.options));
        by_name.entry(key).or_insert_with(|| one(gateway, key.0, controller, input, all));
    }
    let list: Vec<CheckedGateway> = by_name.into_values().collect();
    let of_gateway = |(place, gateway): (usize, &CheckedGateway)| {
        gateway.sets.iter().enumerate().map(move |(n, set)| (set.object.clone(), (place, n))).collect::<Vec<_>>()
    };
    let sets = list.iter().enumerate().flat_map(of_gateway).collect();
    Gateways { list, sets }
}

fn one(gateway: &Gateway, namespace: &str, controller: &str, input: &Input<'_>, all: &mut Vec<Findings>) -> CheckedGateway {
    let object = ObjectRef::new(GATEWAY_GROUP, "Gateway", namespace, &gateway.metadata.name);
    let mut findings = Findings::new(object.clone());
    let owner = Owner { kind: "Gateway", namespace };
    let mut listeners = listener::check(&gateway.spec.listeners, owner, None, (gateway, namespace), input, &mut findings);
    let features = input.options.features;
    let conflicts = conflict::within(&listeners, &[], features);
    conflict::exclude(&mut listeners, &[], conflicts, features, &mut findings);

    let parameters_ref = gateway.spec.infrastructure.as_ref().and_then(|infrastructure| infrastructure.parameters_ref.as_ref());
    let invalid_parameters =
        parameters_ref.is_some() && parameters(input.options.controller.as_deref(), "spec.infrastructure.parametersRef", &mut findings);
    let mut certificate = tls::backend_client_certificate(gateway, namespace, input, &mut findings);
    if !certificate.good.is_empty() && !features.contains(Feature::GatewayBackendClientCertificate) {
        findings.error(Code::UnsupportedValue, "spec.tls.backend", "client certificates towards backends are not supported here");
        certificate.good.clear();
    }
    let mut checked = CheckedGateway {
        object,
        controller: controller.into(),
        generation: gateway.metadata.generation,
        default_scope: gateway.spec.default_scope == Some(DefaultScope::All),
        insecure_fallback: tls::insecure_fallback(gateway),
        listeners,
        sets: Vec::new(),
        client_certificate: certificate.good.pop(),
        client_certificate_problem: certificate.problem,
        addresses: address::check(&gateway.spec.addresses, input, &mut findings),
        invalid_parameters,
    };
    all.push(findings);
    if features.contains(Feature::ListenerSet) {
        let accepted = checked.accepted();
        checked.sets = listener_set::merge((gateway, namespace), accepted, &mut checked.listeners, input, all);
    }
    let overlaps: Vec<bool> = {
        let list = &checked.listeners;
        let overlaps = |n: usize, one| list.iter().enumerate().any(|(k, other)| k != n && conflict::overlap(one, other));
        list.iter().enumerate().map(|(n, one)| overlaps(n, one)).collect()
    };
    checked.listeners.iter_mut().zip(overlaps).for_each(|(listener, overlaps)| listener.overlaps = overlaps);
    checked
}
