//! The status of routes ([S-9] to [S-13], [S-20]).

use super::class;
use super::findings::{BadRef, Invalid, condition};
use super::gateway::Gateways;
use super::kept::KeptRoute;
use crate::options::Options;
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::ParentReference;
use crate::resource::status::{RouteParentStatus, RouteStatus};

/// `status`, one entry per parent that this controller manages.
pub(crate) fn of_route(route: &KeptRoute, gateways: &Gateways, options: &Options) -> RouteStatus {
    let generation = route.generation;
    let parents = route.attachments.iter().map(|attachment| {
        let views = attachment.views(route.kind, gateways);
        let rules = || views.iter().filter_map(|view| route.rules.get(view));
        let unusable = rules().find_map(|rules| rules.unusable(route.kind));
        let refused = attachment.refused.as_ref().or(unusable.as_ref());
        let accepted = match refused {
            Some((reason, message)) => condition("Accepted", false, reason, message.clone(), generation),
            None => condition("Accepted", true, "Accepted", "", generation),
        };
        let bad: Vec<&BadRef> = rules().flat_map(|rules| &rules.refs).collect();
        let resolved = match bad.iter().min_by_key(|bad| bad.problem) {
            Some(worst) => {
                let mut all: Vec<_> = bad.iter().map(|bad| format!("{}: {}", bad.path, bad.message)).collect();
                all.dedup();
                condition("ResolvedRefs", false, worst.problem.reason(), all.join("; "), generation)
            }
            None => condition("ResolvedRefs", true, "ResolvedRefs", "", generation),
        };
        let mut conditions = vec![accepted, resolved];
        let invalid: Vec<&(usize, Invalid)> = rules().flat_map(|rules| &rules.invalid).collect();
        if refused.is_none() && !invalid.is_empty() {
            let mut dropped: Vec<_> = invalid.iter().map(|(n, invalid)| format!("{n} ({}: {})", invalid.path, invalid.message)).collect();
            dropped.dedup();
            let message = format!("Dropped Rule {}", dropped.join(", "));
            conditions.push(condition("PartiallyInvalid", true, "UnsupportedValue", message, generation));
        }
        let of_gateway = attachment.gateway.and_then(|place| gateways.get(place)).map(|gateway| &*gateway.controller);
        let controller = of_gateway.unwrap_or_else(|| class::controller(options));
        RouteParentStatus {
            parent_ref: ParentReference {
                group: Some(attachment.parent.group.clone().unwrap_or_else(|| GATEWAY_GROUP.into())),
                kind: Some(attachment.parent.kind.clone().unwrap_or_else(|| "Gateway".into())),
                // An empty text is as good as absent ([R-7]).
                namespace: attachment.parent.namespace.clone().filter(|namespace| !namespace.is_empty()),
                section_name: attachment.parent.section_name.clone().filter(|name| !name.is_empty()),
                name: attachment.parent.name.clone(),
                port: attachment.parent.port,
            },
            controller_name: controller.to_owned(),
            conditions,
        }
    });
    // The CRD takes no more ([S-10]); only default Gateways could add that many.
    RouteStatus { parents: parents.take(32).collect() }
}
