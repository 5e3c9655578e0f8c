//! The status of routes ([S-9] to [S-13], [S-20]).

use std::collections::BTreeMap;

use super::attach::Attachment;
use super::findings::condition;
use super::gateway::CheckedGateway;
use super::input::Key;
use super::route::CheckedRoute;
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::ParentReference;
use crate::resource::status::{RouteParentStatus, RouteStatus};

/// `status`, one entry per parentRef that names a Gateway of this controller.
pub(crate) fn of_route<'r>(
    route: &CheckedRoute<'r>,
    attachments: &[Attachment<'r>],
    gateways: &BTreeMap<Key<'r>, CheckedGateway<'r>>,
) -> RouteStatus {
    let generation = route.metadata.generation;
    let unusable = route.unusable();
    let parents = attachments.iter().map(|attachment| {
        let refused = attachment.refused.as_ref().or(unusable.as_ref());
        let accepted = match refused {
            Some((reason, message)) => condition("Accepted", false, reason, message.clone(), generation),
            None => condition("Accepted", true, "Accepted", "", generation),
        };
        let worst = route.rules.refs.iter().min_by_key(|bad| bad.problem);
        let resolved = match worst {
            Some(bad) => {
                let all: Vec<_> = route.rules.refs.iter().map(|bad| format!("{}: {}", bad.path, bad.message)).collect();
                condition("ResolvedRefs", false, bad.problem.reason(), all.join("; "), generation)
            }
            None => condition("ResolvedRefs", true, "ResolvedRefs", "", generation),
        };
        let mut conditions = vec![accepted, resolved];
        if refused.is_none() && !route.rules.invalid.is_empty() {
            let dropped: Vec<_> =
                route.rules.invalid.iter().map(|(n, invalid)| format!("{n} ({}: {})", invalid.path, invalid.message)).collect();
            let message = format!("Dropped Rule {}", dropped.join(", "));
            conditions.push(condition("PartiallyInvalid", true, "UnsupportedValue", message, generation));
        }
        RouteParentStatus {
            parent_ref: ParentReference {
                group: Some(attachment.parent.group.clone().unwrap_or_else(|| GATEWAY_GROUP.into())),
                kind: Some(attachment.parent.kind.clone().unwrap_or_else(|| "Gateway".into())),
                ..attachment.parent.clone()
            },
            controller_name: gateways.get(&attachment.gateway).map(|g| g.controller.to_owned()).unwrap_or_default(),
            conditions,
        }
    });
    RouteStatus { parents: parents.collect() }
}
