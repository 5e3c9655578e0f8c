//! GatewayClasses and XMeshes of this controller ([S-7], [S-8]).

use super::findings::{Findings, condition};
use super::input::Input;
use super::{ObjectStatus, Status};
use crate::diagnostic::{Code, ObjectRef};
use crate::features::Feature;
use crate::options::Options;
use crate::resource::meta::{ObjectMeta, ObjectReference};
use crate::resource::status::{GatewayClassStatus, SupportedFeature};
use crate::resource::{GATEWAY_GROUP, GATEWAY_X_GROUP};

/// Written into status when neither the options nor a GatewayClass name a controller.
pub(crate) const DEFAULT_CONTROLLER: &str = "gatewright.dev/controller";

/// The controller of what has no class.
pub(crate) fn controller(options: &Options) -> &str {
    options.controller.as_deref().unwrap_or(DEFAULT_CONTROLLER)
}

/// Fills the status of the classes and meshes of this controller; those of others get no word.
pub(crate) fn check(input: &Input<'_>, status: &mut Status, all: &mut Vec<Findings>) {
    let controller = input.options.controller.as_deref();
    let ours = |name: &str| controller.is_none_or(|controller| controller == name);
    let features = input.options.features;
    for class in input.classes.values().filter(|class| ours(&class.spec.controller_name)) {
        let object = ObjectRef::new(GATEWAY_GROUP, "GatewayClass", "", &class.metadata.name);
        let names = features.of_gateways();
        status.gateway_classes.push(one(object, &class.metadata, class.spec.parameters_ref.as_ref(), names, controller, all));
    }
    if features.contains(Feature::Mesh) {
        for mesh in input.meshes.values().filter(|mesh| ours(&mesh.spec.controller_name)) {
            let object = ObjectRef::new(GATEWAY_X_GROUP, "XMesh", "", &mesh.metadata.name);
            let names = features.of_meshes();
            status.meshes.push(one(object, &mesh.metadata, mesh.spec.parameters_ref.as_ref(), names, controller, all));
        }
    }
}

fn one(
    object: ObjectRef,
    metadata: &ObjectMeta,
    parameters_ref: Option<&ObjectReference>,
    features: impl Iterator<Item = &'static str>,
    controller: Option<&str>,
    all: &mut Vec<Findings>,
) -> ObjectStatus<GatewayClassStatus> {
    let mut findings = Findings::new(object.clone());
    let generation = metadata.generation;
    let accepted = match parameters_ref {
        Some(_) if parameters(controller, "spec.parametersRef", &mut findings) => {
            condition("Accepted", false, "InvalidParameters", "spec.parametersRef cannot be resolved", generation)
        }
        _ => condition("Accepted", true, "Accepted", "", generation),
    };
    all.push(findings);
    // The names are sorted already ([R-14]).
    let supported_features = features.map(|name| SupportedFeature { name: name.to_owned() }).collect();
    ObjectStatus { object, status: GatewayClassStatus { conditions: vec![accepted], supported_features } }
}

/// Parameters of a class or Gateway belong to its controller: for a controller they are unresolvable, in a file
/// read without one they are another program's.
pub(crate) fn parameters(controller: Option<&str>, path: &str, findings: &mut Findings) -> bool {
    let message = "parameters of this kind are not known";
    match controller {
        Some(_) => findings.error(Code::RefNotFound, path, message),
        None => findings.warning(Code::RefNotFound, path, format!("{message} and not read")),
    }
    controller.is_some()
}
