//! What the state tells: status and findings, all of them or those that a change has led to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Beyond, KeptStatus, Marks, Outcome, State};
use crate::compile::findings::Findings;
use crate::compile::kept::KeptRoute;
use crate::compile::lookup::Lookup;
use crate::compile::policy::{Reported, Situation};
use crate::compile::{ObjectStatus, Status, class};
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::features::Feature;
use crate::resource::status::RouteStatus;
use crate::table::RouteKind;
use crate::validate;

impl State {
    /// What a change has led to.
    pub(super) fn outcome(&mut self, marks: Marks, lookup: &Lookup<'_>, whole: bool) -> Outcome {
        let noted = self.backends.take_noted();
        let mut outcome = Outcome { looked_at: noted.slices, behind: noted.behind, ..Outcome::default() };
        // Whoever compiles everything asks for everything.
        let routes = if whole { BTreeMap::new() } else { marks.before };
        for (object, before) in routes {
            let route = self.routes.find(&object).and_then(|number| self.routes.get(number));
            let now = route.and_then(|route| route.status.as_ref());
            match now {
                Some(now) if before.as_ref() != Some(now) => {
                    let entry = ObjectStatus { object: object.clone(), status: now.clone() };
                    if let Some(list) = outcome.status.routes_mut(route.map(|route| route.kind)) {
                        list.push(entry);
                    }
                }
                None if before.is_some() => outcome.gone.push(object.clone()),
                _ => {}
            }
            outcome.looked_at.insert(object);
        }
        outcome.looked_at.extend(marks.met.iter().filter_map(|number| self.routes.get(*number)).map(|route| route.object.clone()));
        let with_sets = lookup.options.features.contains(Feature::ListenerSet);
        for (place, gateway) in self.gateways.iter().filter(|(place, _)| whole || marks.counting.contains(place)) {
            let counts = self.attached.get(place).map_or(&[][..], Vec::as_slice);
            let now = gateway.status(counts, with_sets);
            replace(&mut self.status.gateways, &gateway.object, Some(now), &mut outcome.status.gateways, &mut outcome.gone);
            for set in &gateway.sets {
                let now = set.status(&gateway.listeners, counts);
                replace(&mut self.status.listener_sets, &set.object, Some(now), &mut outcome.status.listener_sets, &mut outcome.gone);
            }
        }
        outcome.status.listener_sets.sort_by(|a, b| a.object.cmp(&b.object));
        let situation = Situation {
            uses: &self.uses,
            gateways: &self.gateways,
            controller: class::controller(lookup.options),
            port_name: &|used| lookup.port_name(used),
            has_affinity: &|object| lookup.has_affinity(object),
        };
        let named = (!whole).then_some(&marks.used);
        let of_kinds = [
            (self.policies.report_tls(named, &situation), &mut self.status.tls_policies, &mut outcome.status.backend_tls_policies),
            (
                self.policies.report_traffic(named, &situation),
                &mut self.status.traffic_policies,
                &mut outcome.status.backend_traffic_policies,
            ),
        ];
        for (reported, kept, changed) in of_kinds {
            for (object, now, crowded) in reported as Vec<Reported> {
                replace(kept, &object, now, changed, &mut outcome.gone);
                match crowded {
                    Some(diagnostic) => self.status.crowded.insert(object.clone(), diagnostic),
                    None => self.status.crowded.remove(&object),
                };
                outcome.looked_at.insert(object);
            }
            changed.sort_by(|a, b| a.object.cmp(&b.object));
        }
        for (object, now) in self.xbackends.report(named, &situation) {
            replace(&mut self.status.backends, &object, now, &mut outcome.status.backends, &mut outcome.gone);
            outcome.looked_at.insert(object);
        }
        outcome
    }

    /// The status of every object.
    pub(crate) fn status(&self) -> Status {
        let mut status = self.status.whole();
        for route in self.routes.iter() {
            let entry = route.status.clone().map(|status| ObjectStatus { object: route.object.clone(), status });
            if let Some(list) = status.routes_mut(Some(route.kind)) {
                list.extend(entry);
            }
        }
        status
    }

    /// The status of every object before a change that reaches further than routes.
    pub(crate) fn status_before(&self, Beyond(before): Beyond) -> Status {
        let mut status = self.status();
        for (object, before) in before {
            let Some(before) = before else { continue };
            let kind = RouteKind::ALL.into_iter().find(|kind| kind.as_str() == &*object.kind);
            let entry = ObjectStatus { object, status: before };
            if let Some(list) = status.routes_mut(kind) {
                list.push(entry);
            }
        }
        status.sort();
        status
    }

    /// All findings. `rejected` are those of the API server.
    pub(crate) fn diagnostics(&self, rejected: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let of_others = self.findings.values().flatten();
        let mut found: Vec<Diagnostic> = of_others.chain(self.status.crowded.values()).chain(self.backends.findings()).cloned().collect();
        for route in self.routes.iter() {
            self.of_route(route, &mut found);
        }
        sorted(validate::tell_once(found, rejected))
    }

    /// The findings about some objects; `behind` names the Services whose EndpointSlices are among them.
    pub(crate) fn diagnostics_of(
        &self,
        objects: &BTreeSet<ObjectRef>,
        behind: &BTreeSet<(Box<str>, Box<str>)>,
        rejected: Vec<Diagnostic>,
    ) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for object in objects {
            if let Some(route) = self.routes.find(object).and_then(|number| self.routes.get(number)) {
                self.of_route(route, &mut found);
            }
            found.extend(self.status.crowded.get(object).into_iter().chain(self.findings.get(object).into_iter().flatten()).cloned());
        }
        let of_slices = behind.iter().flat_map(|(namespace, name)| self.backends.findings_of((namespace, name)));
        found.extend(of_slices.filter(|one| one.object.as_ref().is_some_and(|object| objects.contains(object))).cloned());
        sorted(validate::tell_once(found, rejected))
    }

    fn of_route(&self, route: &KeptRoute, found: &mut Vec<Diagnostic>) {
        let mut findings = Findings::new(route.object.clone());
        self.meetings.tell(&route.stands, |number| self.routes.get(number).map(|route| &route.object), &mut findings);
        found.extend(route.findings.list.iter().cloned());
        found.append(&mut findings.list);
    }
}

/// A fault stands before what follows from it.
fn sorted(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    list.sort_by(|a, b| (&a.object, &a.path, a.severity, a.code, &a.message).cmp(&(&b.object, &b.path, b.severity, b.code, &b.message)));
    list.dedup();
    list
}

impl KeptStatus {
    /// But for routes.
    fn whole(&self) -> Status {
        Status {
            gateways: list(&self.gateways),
            listener_sets: list(&self.listener_sets),
            backend_tls_policies: list(&self.tls_policies),
            backend_traffic_policies: list(&self.traffic_policies),
            backends: list(&self.backends),
            ..self.of_classes.clone()
        }
    }
}

fn list<S: Clone>(kept: &BTreeMap<ObjectRef, S>) -> Vec<ObjectStatus<S>> {
    kept.iter().map(|(object, status)| ObjectStatus { object: object.clone(), status: status.clone() }).collect()
}

/// Keeps the status of an object; tells if it is new, another, or gone.
fn replace<S: Clone + PartialEq>(
    kept: &mut BTreeMap<ObjectRef, S>,
    object: &ObjectRef,
    now: Option<S>,
    changed: &mut Vec<ObjectStatus<S>>,
    gone: &mut Vec<ObjectRef>,
) {
    match now {
        Some(now) if kept.get(object) != Some(&now) => {
            changed.push(ObjectStatus { object: object.clone(), status: now.clone() });
            kept.insert(object.clone(), now);
        }
        None if kept.remove(object).is_some() => gone.push(object.clone()),
        _ => {}
    }
}

impl Status {
    fn routes_mut(&mut self, kind: Option<RouteKind>) -> Option<&mut Vec<ObjectStatus<RouteStatus>>> {
        Some(match kind? {
            RouteKind::Http => &mut self.http_routes,
            RouteKind::Grpc => &mut self.grpc_routes,
            RouteKind::Tls => &mut self.tls_routes,
            RouteKind::Tcp => &mut self.tcp_routes,
            RouteKind::Udp => &mut self.udp_routes,
        })
    }
}
