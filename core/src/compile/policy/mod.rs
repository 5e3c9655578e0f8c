//! Policies that attach to backends: BackendTLSPolicy and XBackendTrafficPolicy ([TP-1], [BT-1], [P-1] to [P-5]).
//!
//! Both are direct policies without merging: for each target one policy wins, the oldest, then the first by
//! `namespace/name`; the others are told so in status.

mod status;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use status::{Reported, Situation, ancestor};
pub(crate) use tls::validation;

use super::findings::{Findings, Invalid};
use super::input::Input;
use super::traffic;
use crate::diagnostic::{Code, ObjectRef};
use crate::features::Feature;
use crate::model::namespace_of;
use crate::model::retry_budget::RetryBudget;
use crate::model::session::SessionPersistence;
use crate::model::time::parse_timestamp;
use crate::resource::kubernetes::ServicePort;
use crate::resource::meta::ObjectMeta;
use crate::resource::{GATEWAY_GROUP, GATEWAY_X_GROUP};
use crate::table::BackendTls;

/// Group and kind of the objects that backendRefs may name.
pub(crate) const SERVICE: (&str, &str) = ("", "Service");
pub(crate) const SERVICE_IMPORT: (&str, &str) = ("multicluster.x-k8s.io", "ServiceImport");
pub(crate) const XBACKEND: (&str, &str) = (GATEWAY_X_GROUP, "XBackend");

/// A backend that routes refer to: the object, and the port of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) object: ObjectRef,
    pub(crate) port: u16,
}

/// What a policy attaches to: an object, or one port of it by name.
type Target = (ObjectRef, Option<Box<str>>);

/// The policies of the input.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    tls: Kind<BackendTls>,
    traffic: Kind<Traffic>,
}

/// What an XBackendTrafficPolicy asks for; the name of a session is made for each backend.
#[derive(Debug)]
struct Traffic {
    session: Option<crate::resource::session::SessionPersistence>,
    retry_budget: Option<RetryBudget>,
}

/// The policies of one kind.
#[derive(Debug)]
struct Kind<V> {
    /// Oldest first.
    list: Vec<Policy<V>>,
    /// The policy that wins each target.
    winners: BTreeMap<Target, usize>,
    /// The policies that name an object, whether they attach or not.
    naming: BTreeMap<ObjectRef, BTreeSet<usize>>,
}

impl<V> Default for Kind<V> {
    fn default() -> Self {
        Self { list: Vec::new(), winners: BTreeMap::new(), naming: BTreeMap::new() }
    }
}

/// One policy.
#[derive(Debug)]
struct Policy<V> {
    object: ObjectRef,
    age: i64,
    generation: Option<i64>,
    /// What it asks for, or reason and message of `Accepted=False`.
    value: Result<V, (&'static str, String)>,
    /// Reason and message of `ResolvedRefs=False`; `None` for a kind without references.
    resolved: Option<Result<(), (&'static str, String)>>,
    targets: Vec<(Target, Outcome)>,
    findings: Findings,
}

/// What becomes of one targetRef.
#[derive(Clone, Debug)]
enum Outcome {
    Attached,
    /// Reason and message.
    Refused(&'static str, String),
}

impl Policies {
    pub(crate) fn new(input: &Input<'_>) -> Self {
        let mut tls = Vec::new();
        for policy in &input.resources.backend_tls_policies {
            let object = ObjectRef::of_meta(GATEWAY_GROUP, "BackendTLSPolicy", &policy.metadata);
            let mut findings = Findings::new(object.clone());
            let (value, resolved) = tls::policy(policy, input, &mut findings);
            let targets = policy.spec.target_refs.iter().map(|target| {
                let section = target.section_name.as_deref().filter(|name| !name.is_empty());
                let object = ObjectRef::new(&target.group, &target.kind, namespace_of(&policy.metadata), &target.name);
                (object, section.map(Into::into))
            });
            let targets = targets.map(|target| (tls_target(&target, input), target)).map(|(outcome, target)| (target, outcome)).collect();
            let (age, generation) = (age(&policy.metadata), policy.metadata.generation);
            tls.push(Policy { object, age, generation, value, resolved: Some(resolved), targets, findings });
        }
        let mut traffic = Vec::new();
        for policy in &input.resources.backend_traffic_policies {
            let object = ObjectRef::of_meta(GATEWAY_X_GROUP, "XBackendTrafficPolicy", &policy.metadata);
            let mut findings = Findings::new(object.clone());
            let value = traffic_policy(&policy.spec, input, &mut findings).map_err(|invalid| {
                findings.error(invalid.code, invalid.path.clone(), invalid.message.clone());
                ("Invalid", format!("{}: {}", invalid.path, invalid.message))
            });
            let targets = policy.spec.target_refs.iter().map(|target| {
                let target = (ObjectRef::new(&target.group, &target.kind, namespace_of(&policy.metadata), &target.name), None);
                let outcome = traffic_target(&target, input);
                (target, outcome)
            });
            let (age, generation) = (age(&policy.metadata), policy.metadata.generation);
            traffic.push(Policy { object, age, generation, value, resolved: None, targets: targets.collect(), findings });
        }
        Self { tls: Kind::new(tls), traffic: Kind::new(traffic) }
    }

    /// How to speak TLS to a port of a Service ([TP-2]): the policy for the port comes before that for the whole
    /// Service. `None` when no policy asks for TLS; the error says why one cannot be honoured, and then nothing may be
    /// sent at all ([TP-6]). `port` is `None` for a Service that the input does not have.
    pub(crate) fn tls(&self, object: &ObjectRef, port: Option<&ServicePort>) -> Option<Result<&BackendTls, String>> {
        let winner = |section: Option<Box<str>>| self.tls.winner(&(object.clone(), section));
        let name = port.and_then(|port| port.name.as_deref());
        let policy = match port {
            Some(_) => name.and_then(|name| winner(Some(name.into()))),
            // Whether this is the port that the policy names cannot be known: then it is.
            None => self.tls.of_some_port(object),
        };
        let policy = policy.or_else(|| winner(None))?;
        let refused = |(_, message): &(_, String)| format!("{} asks for TLS and cannot be honoured: {message}", policy.object);
        Some(match port {
            None if policy.targets.iter().any(|((target, section), _)| target == object && section.is_some()) => {
                Err(format!("{} asks for TLS to a port by name, and the Service is not part of the input", policy.object))
            }
            _ => policy.value.as_ref().map_err(refused),
        })
    }

    /// Session and retry budget of a port of a backend.
    pub(crate) fn traffic(&self, object: &ObjectRef, port: u16) -> (Option<SessionPersistence>, Option<RetryBudget>) {
        let Some(Ok(traffic)) = self.traffic.winner(&(object.clone(), None)).map(|policy| policy.value.as_ref()) else {
            return (None, None);
        };
        let session = traffic.session.as_ref().and_then(|field| {
            let owner = [&*object.group, &*object.kind, &*object.namespace, &*object.name, &port.to_string()];
            // It was valid when the policy was read; this only gives it its name.
            traffic::session(field, "", &owner, &mut Findings::new(object.clone())).ok()
        });
        (session, traffic.retry_budget.clone())
    }

    /// Whether a policy asks for sessions of a backend.
    pub(crate) fn has_session(&self, object: &ObjectRef) -> bool {
        let policy = self.traffic.winner(&(object.clone(), None));
        policy.is_some_and(|policy| policy.value.as_ref().is_ok_and(|traffic| traffic.session.is_some()))
    }

    /// The findings about the policies.
    pub(crate) fn findings(&mut self) -> Vec<Findings> {
        let of_tls = self.tls.list.iter_mut().map(|policy| &mut policy.findings);
        let all = of_tls.chain(self.traffic.list.iter_mut().map(|policy| &mut policy.findings));
        all.map(|findings| Findings { object: findings.object.clone(), list: std::mem::take(&mut findings.list) }).collect()
    }

    /// Whether a policy names an object.
    pub(crate) fn name(&self, object: &ObjectRef) -> bool {
        self.tls.naming.contains_key(object) || self.traffic.naming.contains_key(object)
    }

    /// Whether a policy names a Service of this namespace, or this one.
    pub(crate) fn name_service(&self, namespace: &str, name: Option<&str>) -> bool {
        self.tls.names_service(namespace, name) || self.traffic.names_service(namespace, name)
    }
}

impl<V> Kind<V> {
    /// Gives each target to the oldest policy ([TP-2], [P-4]).
    fn new(mut list: Vec<Policy<V>>) -> Self {
        list.sort_by_cached_key(|policy| (policy.age, format!("{}/{}", policy.object.namespace, policy.object.name)));
        list.dedup_by(|b, a| a.object == b.object);
        let mut winners: BTreeMap<Target, usize> = BTreeMap::new();
        let mut names = Vec::with_capacity(list.len());
        for (n, policy) in list.iter_mut().enumerate() {
            for (place, (target, outcome)) in policy.targets.iter_mut().enumerate() {
                if matches!(outcome, Outcome::Attached) {
                    let winner = *winners.entry(target.clone()).or_insert(n);
                    if let Some(winner) = names.get(winner) {
                        let what = target.1.as_ref().map_or_else(|| target.0.to_string(), |port| format!("port `{port}` of {}", target.0));
                        *outcome = Outcome::Refused("Conflicted", format!("{what} is the target of {winner}, which comes first"));
                    }
                }
                if let Outcome::Refused(reason, message) = outcome {
                    let code = if *reason == "TargetNotFound" { Code::RefNotFound } else { Code::PolicyTarget };
                    policy.findings.warning(code, format!("spec.targetRefs[{place}]"), message.clone());
                }
            }
            names.push(policy.object.clone());
        }
        let mut naming = BTreeMap::<_, BTreeSet<_>>::new();
        for (n, policy) in list.iter().enumerate() {
            for ((object, _), _) in &policy.targets {
                naming.entry(object.clone()).or_default().insert(n);
            }
        }
        Self { list, winners, naming }
    }

    fn winner(&self, target: &Target) -> Option<&Policy<V>> {
        self.winners.get(target).and_then(|n| self.list.get(*n))
    }

    fn names_service(&self, namespace: &str, name: Option<&str>) -> bool {
        let (group, kind) = SERVICE;
        let first = ObjectRef::new(group, kind, namespace, name.unwrap_or_default());
        let of_namespace = |object: &ObjectRef| (&*object.group, &*object.kind, &*object.namespace) == (group, kind, namespace);
        match name {
            Some(_) => self.naming.contains_key(&first),
            None => self.naming.range(first..).next().is_some_and(|(object, _)| of_namespace(object)),
        }
    }

    /// A policy for any port of an object by name.
    fn of_some_port(&self, object: &ObjectRef) -> Option<&Policy<V>> {
        let from = (object.clone(), Some(Box::default()));
        let (target, n) = self.winners.range(from..).next()?;
        (target.0 == *object).then(|| self.list.get(*n)).flatten()
    }
}

/// Without a time of creation a policy is the youngest.
fn age(metadata: &ObjectMeta) -> i64 {
    metadata.creation_timestamp.as_deref().and_then(parse_timestamp).unwrap_or(i64::MAX)
}

/// Whether a BackendTLSPolicy may attach ([TP-1], [TP-7], [P-2], [XB-2]).
fn tls_target((object, section): &Target, input: &Input<'_>) -> Outcome {
    let ports = match (&*object.group, &*object.kind) {
        SERVICE => input.lookup.service(&object.namespace, &object.name).map(|service| service.spec.ports.as_slice()),
        SERVICE_IMPORT => input.lookup.import(&object.namespace, &object.name).map(|import| import.spec.ports.as_slice()),
        XBACKEND => return Outcome::Refused("Invalid", "an XBackend has TLS settings of its own: `spec.tls`".to_owned()),
        (group, kind) => {
            return Outcome::Refused("Invalid", format!("targets of kind `{kind}.{group}` are not supported, expected Service"));
        }
    };
    let Some(ports) = ports else {
        if (&*object.group, &*object.kind) == SERVICE && input.lookup.assumes_service(&object.namespace) {
            return Outcome::Attached;
        }
        return Outcome::Refused("TargetNotFound", format!("{} `{}/{}` does not exist", object.kind, object.namespace, object.name));
    };
    let of_section = |port: &&ServicePort| section.is_none() || port.name.as_deref() == section.as_deref();
    let mut targeted = ports.iter().filter(of_section).peekable();
    if let (None, Some(section)) = (targeted.peek(), section) {
        return Outcome::Refused(
            "TargetNotFound",
            format!("{} `{}/{}` has no port named `{section}`", object.kind, object.namespace, object.name),
        );
    }
    if targeted.peek().is_some() && targeted.all(|port| port.protocol.as_deref() == Some("UDP")) {
        return Outcome::Refused(
            "Invalid",
            format!("{} `{}/{}` has UDP ports only, which speak no TLS", object.kind, object.namespace, object.name),
        );
    }
    Outcome::Attached
}

/// Whether an XBackendTrafficPolicy may attach ([BT-1]).
fn traffic_target((object, _): &Target, input: &Input<'_>) -> Outcome {
    let (namespace, name) = (&*object.namespace, &*object.name);
    let exists = match (&*object.group, &*object.kind) {
        SERVICE => input.lookup.service(namespace, name).is_some() || input.lookup.assumes_service(namespace),
        SERVICE_IMPORT => input.lookup.import(namespace, name).is_some(),
        XBACKEND => input.backend(namespace, name).is_some(),
        (group, kind) => {
            return Outcome::Refused(
                "Invalid",
                format!("targets of kind `{kind}.{group}` are not supported, expected Service, ServiceImport or XBackend"),
            );
        }
    };
    if exists {
        Outcome::Attached
    } else {
        Outcome::Refused("TargetNotFound", format!("{} `{namespace}/{name}` does not exist", object.kind))
    }
}

fn traffic_policy(
    spec: &crate::resource::policy::XBackendTrafficPolicySpec,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Result<Traffic, Invalid> {
    if let Some(session) = &spec.session_persistence {
        if !input.options.features.contains(Feature::HttpRouteSessionPersistence) {
            let message = "session persistence is not a feature of this program";
            return Err(Invalid::value(Code::UnsupportedValue, "spec.sessionPersistence", message));
        }
        traffic::session(session, "spec.sessionPersistence", &[], findings)?;
    }
    let retry_budget = spec.retry_constraint.as_ref().map(|field| traffic::retry_budget(field, "spec.retryConstraint"));
    Ok(Traffic { session: spec.session_persistence.clone(), retry_budget: retry_budget.transpose()? })
}
