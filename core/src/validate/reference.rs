//! References between objects: parents, backends, certificates, targets of policies.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{GROUP, KIND, NAME, NAMESPACE, SECTION_NAME};
use super::report::{Path, Report};
use crate::resource::GATEWAY_GROUP;
use crate::resource::meta::{LocalObjectReference, ObjectReference, ParentReference, SecretObjectReference};

/// The parts that references have in common.
pub(super) fn target(report: &mut Report<'_>, at: &Path<'_>, group: Option<&str>, kind: Option<&str>, name: &str, namespace: Option<&str>) {
    report.optional(&at.field("group"), group, &GROUP);
    report.optional(&at.field("kind"), kind, &KIND);
    report.text(&at.field("name"), name, &NAME);
    report.optional(&at.field("namespace"), namespace, &NAMESPACE);
}

pub(super) fn local(report: &mut Report<'_>, at: &Path<'_>, reference: &LocalObjectReference) {
    target(report, at, Some(&reference.group), Some(&reference.kind), &reference.name, None);
}

pub(super) fn object(report: &mut Report<'_>, at: &Path<'_>, reference: &ObjectReference) {
    target(report, at, Some(&reference.group), Some(&reference.kind), &reference.name, reference.namespace.as_deref());
}

pub(super) fn secret(report: &mut Report<'_>, at: &Path<'_>, reference: &SecretObjectReference) {
    let (group, kind) = (reference.group.as_deref(), reference.kind.as_deref());
    target(report, at, group, kind, &reference.name, reference.namespace.as_deref());
}

/// A reference to a backend; every structure that is one has these fields.
macro_rules! backend {
    ($report:expr, $at:expr, $reference:expr) => {{
        let (report, at, reference) = (&mut *$report, $at, $reference);
        let (group, kind) = (reference.group.as_deref(), reference.kind.as_deref());
        $crate::validate::reference::target(report, at, group, kind, &reference.name, reference.namespace.as_deref());
        report.port(&at.field("port"), reference.port);
        $crate::validate::reference::port_of_service(report, at, group, kind, reference.port);
    }};
}
pub(super) use backend;

/// [B-7]
pub(super) fn port_of_service(report: &mut Report<'_>, at: &Path<'_>, group: Option<&str>, kind: Option<&str>, port: Option<i32>) {
    if group.unwrap_or("").is_empty() && kind.unwrap_or("Service") == "Service" && port.is_none() {
        report.rejected(&at.field("port"), "Must have port for Service reference");
    }
}

/// Share of a backend ([B-1]).
pub(super) fn weight(report: &mut Report<'_>, at: &Path<'_>, weight: Option<i32>) {
    if let Some(weight) = weight {
        report.number(&at.field("weight"), weight, 0, 1_000_000);
    }
}

/// `spec.parentRefs` of a route.
pub(super) fn parents(report: &mut Report<'_>, list: &[ParentReference]) {
    let at = Path::SPEC.field("parentRefs");
    report.items(&at, list, 0, 32);
    for (n, parent) in list.iter().enumerate() {
        self::parent(report, &at.index(n), parent);
    }
    if list.len() < 2 {
        return;
    }
    let as_written = |parent: &'_ ParentReference| parent.namespace.clone().filter(|namespace| !namespace.is_empty());
    let faults = unlike(list, as_written);
    if !faults.is_empty() {
        faults.into_iter().for_each(|(n, fault)| report.rejected(&at.index(n), fault));
        return;
    }
    // An absent namespace and the route's own are two to the API server, and one parent to everybody else
    // ([V-21]).
    let own = report.namespace();
    let resolved = |parent: &'_ ParentReference| Some(as_written(parent).unwrap_or_else(|| own.to_owned()));
    unlike(list, resolved).into_iter().for_each(|(n, fault)| report.doubtful(&at.index(n), fault));
}

fn parent(report: &mut Report<'_>, at: &Path<'_>, parent: &ParentReference) {
    target(report, at, parent.group.as_deref(), parent.kind.as_deref(), &parent.name, parent.namespace.as_deref());
    report.optional(&at.field("sectionName"), parent.section_name.as_deref(), &SECTION_NAME);
    report.port(&at.field("port"), parent.port);
}

/// References to one parent must differ by sectionName (standard channel), or by sectionName and port
/// (experimental channel); what either channel accepts is accepted ([A-4]). Gives the entries that make it
/// fail, and the experimental channel's sentence.
fn unlike(list: &[ParentReference], namespace: impl Fn(&ParentReference) -> Option<String>) -> Vec<(usize, &'static str)> {
    const SPECIFIED: &str = "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent";
    const UNIQUE: &str = "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent";
    let mut same = BTreeMap::<_, Vec<usize>>::new();
    for (n, parent) in list.iter().enumerate() {
        let group = parent.group.as_deref().unwrap_or(GATEWAY_GROUP);
        let kind = parent.kind.as_deref().unwrap_or("Gateway");
        same.entry((group, kind, namespace(parent), parent.name.as_str())).or_default().push(n);
    }
    let mut faults = Vec::new();
    for entries in same.into_values().filter(|entries| entries.len() > 1) {
        let section = |n: usize| list.get(n).and_then(|parent| parent.section_name.as_deref()).filter(|name| !name.is_empty());
        let port = |n: usize| list.get(n).and_then(|parent| parent.port).filter(|port| *port != 0);
        // Entries whose field is set or unset where the first entry's is not.
        let uneven = |is_set: &dyn Fn(usize) -> bool| -> Vec<usize> {
            let first = entries.first().is_some_and(|n| is_set(*n));
            entries.iter().copied().filter(|n| is_set(*n) != first).collect()
        };
        let uneven_sections = uneven(&|n| section(n).is_some());
        let uneven_ports = uneven(&|n| port(n).is_some());
        let (mut sections, mut pairs) = (BTreeSet::new(), BTreeSet::new());
        let repeated_sections = entries.iter().filter(|n| !sections.insert(section(**n))).count();
        let repeated: Vec<usize> = entries.iter().copied().filter(|n| !pairs.insert((section(*n), port(*n)))).collect();
        let standard = uneven_sections.is_empty() && repeated_sections == 0;
        let experimental = uneven_sections.is_empty() && uneven_ports.is_empty() && repeated.is_empty();
        if standard || experimental {
            continue;
        }
        faults.extend(repeated.iter().map(|n| (*n, UNIQUE)));
        let uneven = if uneven_sections.is_empty() { uneven_ports } else { uneven_sections };
        faults.extend(uneven.into_iter().filter(|n| !repeated.contains(n)).map(|n| (n, SPECIFIED)));
    }
    faults.sort_unstable();
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One parent is a name, a sectionName and a port; the answer is the faults by index.
    #[test]
    fn references_to_one_parent_must_differ() {
        let u = "unique";
        let s = "specified";
        for (parents, wanted) in [
            (&[("a", "", 0)][..], &[][..]),
            (&[("a", "", 0), ("b", "", 0)], &[]),
            (&[("a", "", 0), ("a", "", 0)], &[(1, u)]),
            (&[("a", "x", 0), ("a", "x", 0), ("a", "x", 0)], &[(1, u), (2, u)]),
            (&[("a", "x", 0), ("a", "y", 0)], &[]),
            (&[("a", "x", 0), ("a", "", 0)], &[(1, s)]),
            (&[("a", "", 0), ("a", "x", 0)], &[(1, s)]),
            // By port: the experimental channel.
            (&[("a", "", 80), ("a", "", 81)], &[]),
            (&[("a", "x", 80), ("a", "x", 81)], &[]),
            (&[("a", "", 80), ("a", "", 80)], &[(1, u)]),
            (&[("a", "", 80), ("a", "", 0)], &[(1, s)]),
            // By sectionName whatever the ports: the standard channel.
            (&[("a", "x", 80), ("a", "y", 0)], &[]),
            // Neither.
            (&[("a", "x", 80), ("a", "", 81)], &[(1, s)]),
            (&[("a", "x", 80), ("a", "x", 0)], &[(1, s)]),
        ] {
            let list: Vec<ParentReference> = parents
                .iter()
                .map(|(name, section, port)| ParentReference {
                    name: (*name).into(),
                    section_name: (!section.is_empty()).then(|| (*section).into()),
                    port: (*port != 0).then_some(*port),
                    ..Default::default()
                })
                .collect();
            let found = unlike(&list, |parent| parent.namespace.clone());
            let short: Vec<_> = found.iter().map(|(n, fault)| (*n, if fault.contains(u) { u } else { s })).collect();
            assert_eq!(short, wanted, "{parents:?}");
        }
    }
}
