//! What has been published and what has not: generations, rejected changes, and the status of the objects that serve.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

use gatewright::resource::status::{Condition, ConditionStatus};
use gatewright::{Diagnostic, ObjectRef, Severity, Status};
use serde::Serialize;

use super::metrics::lock;

/// Follows the publications of a server.
#[derive(Debug, Default)]
pub struct History(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    accepted: u64,
    rejected: u64,
    generation: u64,
    hash: u64,
    loaded: Option<SystemTime>,
    rejection: Option<Rejection>,
    /// Whether that was the last change.
    is_behind: bool,
    /// Of the manifests that were compiled last; a change that is not taken may be ahead of those that serve.
    latest: BTreeMap<ObjectRef, Vec<Verdict>>,
    serving: BTreeMap<ObjectRef, Vec<Verdict>>,
}

/// A condition of an object, for all of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    condition: &'static str,
    /// Why it is not true.
    not: Option<(String, String)>,
}

/// A change that was not taken.
#[derive(Clone, Debug, Serialize)]
pub struct Rejection {
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
    /// The errors that were found, some of them.
    pub errors: Vec<String>,
}

/// A condition that is not true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotTrue {
    /// The object.
    pub object: ObjectRef,
    /// The condition.
    pub condition: &'static str,
    /// Why, a word.
    pub reason: String,
    /// Why, a sentence.
    pub message: String,
}

/// What there is to tell at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) generation: u64,
    pub(crate) hash: u64,
    pub(crate) loaded: Option<SystemTime>,
    pub(crate) rejection: Option<Rejection>,
    pub(crate) is_behind: bool,
    /// Objects by kind, condition, and whether that is true.
    pub(crate) objects: BTreeMap<(Box<str>, &'static str, bool), u64>,
}

/// Errors that are kept of a rejected change.
const ERRORS: usize = 20;
/// The conditions that are told of a Gateway, and of a route.
const OF_GATEWAYS: [&str; 2] = ["Accepted", "Programmed"];
const OF_ROUTES: [&str; 2] = ["Accepted", "ResolvedRefs"];
/// The kinds that are told even when there is none.
const KINDS: [(&str, [&str; 2]); 6] = [
    ("Gateway", OF_GATEWAYS),
    ("HTTPRoute", OF_ROUTES),
    ("GRPCRoute", OF_ROUTES),
    ("TLSRoute", OF_ROUTES),
    ("TCPRoute", OF_ROUTES),
    ("UDPRoute", OF_ROUTES),
];

impl History {
    /// The status of objects that is new or changed, and objects that have none any more.
    pub(crate) fn compiled(&self, status: &Status, gone: &[ObjectRef]) {
        let latest = &mut lock(&self.0).latest;
        gone.iter().for_each(|object| drop(latest.remove(object)));
        for gateway in &status.gateways {
            latest.insert(gateway.object.clone(), verdicts(&OF_GATEWAYS, [gateway.status.conditions.as_slice()].into_iter()));
        }
        let routes = [&status.http_routes, &status.grpc_routes, &status.tls_routes, &status.tcp_routes, &status.udp_routes];
        for route in routes.into_iter().flatten() {
            let parents = route.status.parents.iter().map(|parent| parent.conditions.as_slice());
            latest.insert(route.object.clone(), verdicts(&OF_ROUTES, parents));
        }
    }

    /// A table serves.
    pub(crate) fn published(&self, hash: u64) {
        let mut inner = lock(&self.0);
        inner.accepted += 1;
        inner.generation += 1;
        (inner.hash, inner.loaded, inner.is_behind) = (hash, Some(SystemTime::now()), false);
        inner.serving = inner.latest.clone();
    }

    /// A change is not taken.
    pub(crate) fn rejected(&self, reason: &str, diagnostics: &[Diagnostic]) {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let rejection =
            Rejection { at: super::now(), reason: reason.to_owned(), errors: errors.take(ERRORS).map(ToString::to_string).collect() };
        let mut inner = lock(&self.0);
        inner.rejected += 1;
        (inner.rejection, inner.is_behind) = (Some(rejection), true);
    }

    pub(crate) fn tell(&self) -> Told {
        let inner = lock(&self.0);
        let mut objects: BTreeMap<(Box<str>, &'static str, bool), u64> = BTreeMap::new();
        for (kind, conditions) in KINDS {
            for condition in conditions {
                for is_true in [true, false] {
                    objects.insert((kind.into(), condition, is_true), 0);
                }
            }
        }
        for (object, verdicts) in &inner.serving {
            for verdict in verdicts {
                *objects.entry((object.kind.as_ref().into(), verdict.condition, verdict.not.is_none())).or_default() += 1;
            }
        }
        Told {
            accepted: inner.accepted,
            rejected: inner.rejected,
            generation: inner.generation,
            hash: inner.hash,
            loaded: inner.loaded,
            rejection: inner.rejection.clone(),
            is_behind: inner.is_behind,
            objects,
        }
    }

    /// Conditions of objects that serve that are not true, so many at most.
    pub fn not_true(&self, most: usize) -> Vec<NotTrue> {
        let inner = lock(&self.0);
        let all = inner.serving.iter().flat_map(|(object, verdicts)| verdicts.iter().map(move |verdict| (object, verdict)));
        let not = all.filter_map(|(object, verdict)| {
            let (reason, message) = verdict.not.clone()?;
            Some(NotTrue { object: object.clone(), condition: verdict.condition, reason, message })
        });
        not.take(most).collect()
    }
}

/// A condition holds for an object if it does for each of its parents.
fn verdicts<'c>(conditions: &[&'static str], parents: impl Iterator<Item = &'c [Condition]> + Clone) -> Vec<Verdict> {
    let verdict = |name: &'static str| {
        let found = parents.clone().flatten().filter(|condition| condition.type_ == name);
        let not = found.clone().find(|condition| condition.status != ConditionStatus::True);
        found.clone().next()?;
        Some(Verdict { condition: name, not: not.map(|not| (not.reason.clone(), not.message.clone())) })
    };
    conditions.iter().filter_map(|name| verdict(name)).collect()
}
