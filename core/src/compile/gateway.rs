//! GatewayClasses and Gateways of this controller ([S-5], [S-7], [L-14]).

use std::collections::BTreeMap;

use super::findings::{Findings, condition};
use super::input::{Input, Key};
use super::listener::{self, CheckedListener};
use super::{ObjectStatus, Status};
use crate::diagnostic::{Code, ObjectRef};
use crate::model::namespace_of;
use crate::resource::status::{GatewayClassStatus, GatewayStatus, SupportedFeature};
use crate::resource::{GATEWAY_GROUP, Gateway};

/// Written into status when neither the options nor a GatewayClass name a controller.
pub(crate) const DEFAULT_CONTROLLER: &str = "gatewright.dev/controller";

/// A Gateway of this controller.
#[derive(Debug)]
pub(crate) struct CheckedGateway<'r> {
    pub(crate) resource: &'r Gateway,
    pub(crate) object: ObjectRef,
    pub(crate) controller: &'r str,
    pub(crate) listeners: Vec<CheckedListener<'r>>,
    invalid_parameters: bool,
}

impl CheckedGateway<'_> {
    /// Whether the Gateway takes part in traffic.
    pub(crate) fn accepted(&self) -> bool {
        !self.invalid_parameters && self.listeners.iter().any(CheckedListener::accepted)
    }

    /// `status`, with the number of attached routes of each listener.
    pub(crate) fn status(&self, attached: &[usize]) -> GatewayStatus {
        let generation = self.resource.metadata.generation;
        let invalid: Vec<&str> = self.listeners.iter().filter(|l| !l.accepted()).map(|l| l.resource.name.as_str()).collect();
        let accepted = if self.invalid_parameters {
            condition("Accepted", false, "InvalidParameters", "spec.infrastructure.parametersRef cannot be resolved", generation)
        } else if invalid.is_empty() && !self.listeners.is_empty() {
            condition("Accepted", true, "Accepted", "", generation)
        } else {
            let message = format!("listeners that are not valid: {}", invalid.join(", "));
            condition("Accepted", self.accepted(), "ListenersNotValid", message, generation)
        };
        let programmed = self.accepted() && self.listeners.iter().any(|l| l.accepted() && l.unprogrammed.is_none());
        let programmed = match programmed {
            true => condition("Programmed", true, "Programmed", "", generation),
            false => condition("Programmed", false, "Invalid", "no listener can be served", generation),
        };
        let listeners = self.listeners.iter().enumerate();
        GatewayStatus {
            addresses: Vec::new(),
            attached_listener_sets: None,
            conditions: vec![accepted, programmed],
            listeners: listeners.map(|(n, l)| l.status(attached.get(n).copied().unwrap_or(0), generation)).collect(),
        }
    }
}

/// The Gateways of this controller, by namespace and name; fills the status of their classes.
pub(crate) fn check<'r>(input: &Input<'r>, status: &mut Status, all: &mut Vec<Findings>) -> BTreeMap<Key<'r>, CheckedGateway<'r>> {
    let controller = input.options.controller.as_deref();
    for (name, class) in &input.classes {
        if controller.is_some_and(|controller| controller != class.spec.controller_name) {
            continue;
        }
        let object = ObjectRef::new(GATEWAY_GROUP, "GatewayClass", "", name);
        let mut findings = Findings::new(object.clone());
        let generation = class.metadata.generation;
        let accepted = match class.spec.parameters_ref {
            Some(_) if parameters(controller, "spec.parametersRef", &mut findings) => {
                condition("Accepted", false, "InvalidParameters", "spec.parametersRef cannot be resolved", generation)
            }
            _ => condition("Accepted", true, "Accepted", "", generation),
        };
        status.gateway_classes.push(ObjectStatus {
            object,
            status: GatewayClassStatus { conditions: vec![accepted], supported_features: supported(input.options.features.of_gateways()) },
        });
        all.push(findings);
    }
    let mut gateways = BTreeMap::new();
    for gateway in &input.resources.gateways {
        let class = input.classes.get(gateway.spec.gateway_class_name.as_str());
        let of_class = class.map(|class| class.spec.controller_name.as_str());
        if controller.is_some() && of_class != controller {
            continue;
        }
        let namespace = namespace_of(&gateway.metadata);
        let object = ObjectRef::new(GATEWAY_GROUP, "Gateway", namespace, &gateway.metadata.name);
        let mut findings = Findings::new(object.clone());
        let listeners = listener::check(gateway, namespace, input, &mut findings);
        let has_parameters = gateway.spec.infrastructure.as_ref().is_some_and(|i| i.parameters_ref.is_some());
        let invalid_parameters = has_parameters && parameters(controller, "spec.infrastructure.parametersRef", &mut findings);
        if !gateway.spec.addresses.is_empty() {
            findings.info(Code::NotRouted, "spec.addresses", "addresses are the embedding program's to bind; they do not change routing");
        }
        all.push(findings);
        let controller = of_class.or(input.options.controller.as_deref()).unwrap_or(DEFAULT_CONTROLLER);
        gateways.entry((namespace, gateway.metadata.name.as_str())).or_insert(CheckedGateway {
            resource: gateway,
            object,
            controller,
            listeners,
            invalid_parameters,
        });
    }
    gateways
}

/// `supportedFeatures`: the names are sorted already ([R-14]).
pub(crate) fn supported(names: impl Iterator<Item = &'static str>) -> Vec<SupportedFeature> {
    names.map(|name| SupportedFeature { name: name.to_owned() }).collect()
}

/// Parameters of a class or Gateway belong to its controller: for a controller they are unresolvable, in a file
/// read without one they are another program's.
fn parameters(controller: Option<&str>, path: &str, findings: &mut Findings) -> bool {
    let message = "parameters of this kind are not known";
    match controller {
        Some(_) => findings.error(Code::RefNotFound, path, message),
        None => findings.warning(Code::RefNotFound, path, format!("{message} and not read")),
    }
    controller.is_some()
}
