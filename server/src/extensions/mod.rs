//! What stands behind ExtensionRef filters of this gateway: policies of four kinds, in the same manifests as the routes.
//!
//! A policy is read whole or not at all: one that is wrong somewhere is not known to the table, and rules that refer to it
//! answer 500 ([F-60]). [`proxy`](crate::proxy) carries policies out; the table hands over nothing but their names.

mod error_pages;
mod fields;
mod jwt;
mod rate_limit;
mod retry;
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use gatewright::load::Kept;
use gatewright::table::{BackendId, BackendProtocol};
use gatewright::{Code, Diagnostic, Extension, ObjectRef, Resources, Severity, Table};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(crate) use error_pages::{ErrorPages, Page};
pub(crate) use jwt::{Jwt, Refused};
pub(crate) use rate_limit::RateLimit;
pub(crate) use retry::{RetryPolicy, Trouble};

use crate::certificates::Objects;

const GROUP: &str = "policy.gateway.networking.k8s.io";
const RATE_LIMIT: (&str, &str) = (GROUP, "RateLimitPolicy");
const RETRY: (&str, &str) = (GROUP, "HTTPRetryPolicy");
const ERROR_PAGES: (&str, &str) = (GROUP, "ErrorPagePolicy");
const AUTH: (&str, &str) = (gatewright::resource::GATEWAY_GROUP, "AuthFilter");
/// The version of all of them.
const VERSION: &str = "v1alpha1";

/// Group and kind of the policies.
pub const KINDS: [(&str, &str); 4] = [RATE_LIMIT, RETRY, ERROR_PAGES, AUTH];

/// Files with the keys of issuers of tokens, as the command line names them.
pub type KeyFiles = BTreeMap<String, PathBuf>;

/// A valid policy.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    RateLimit(Arc<RateLimit>),
    Retry(Arc<RetryPolicy>),
    ErrorPages(Arc<ErrorPages>),
    Jwt(Arc<Jwt>),
}

/// The valid policies by name.
#[derive(Debug, Default)]
pub struct Extensions {
    policies: BTreeMap<ObjectRef, Policy>,
    /// Backends that policies send requests to.
    backends: HashMap<(ObjectRef, u16), BackendId>,
    /// Files that policies were made of.
    files: Vec<PathBuf>,
}

/// A policy as it is written.
#[derive(Deserialize)]
struct Manifest<S> {
    spec: S,
}

/// What is wrong with a value that is well-formed by itself.
struct Wrong {
    path: String,
    message: String,
}

impl Extensions {
    /// Reads policies. One that has not changed since `before` goes on with the state it has.
    pub fn read(kept: &[Kept], resources: &Resources, keys: &KeyFiles, before: &Self) -> (Self, Vec<Diagnostic>) {
        let (mut this, mut told) = (Self::default(), Vec::new());
        // Most manifests have none: then nobody needs to look at the Secrets.
        let mut objects = None;
        for one in kept {
            let reading = Reading { kept: one, told: &mut told };
            let known = before.policies.get(one.object());
            let policy = match (&*one.object().group, &*one.object().kind) {
                RATE_LIMIT => reading.policy(|spec| match known {
                    Some(Policy::RateLimit(known)) if known.is(&spec) => Ok(Policy::RateLimit(Arc::clone(known))),
                    _ => Ok(Policy::RateLimit(Arc::new(RateLimit::new(spec)))),
                }),
                RETRY => reading.policy(|spec| Ok(Policy::Retry(Arc::new(RetryPolicy::new(&spec)?)))),
                ERROR_PAGES => reading.policy(|spec| Ok(Policy::ErrorPages(Arc::new(ErrorPages::new(spec, one.object())?)))),
                AUTH => {
                    let objects = objects.get_or_insert_with(|| Objects::of(resources));
                    let (namespace, files) = (&one.object().namespace, &mut this.files);
                    reading.policy(|spec| Ok(Policy::Jwt(Arc::new(Jwt::new(&spec, namespace, objects, keys, files)?))))
                }
                _ => None,
            };
            if let Some(policy) = policy {
                this.policies.insert(one.object().clone(), policy);
            }
        }
        (this, told)
    }

    /// The policies, as the compiler has to know them.
    pub fn known(&self) -> BTreeMap<ObjectRef, Extension> {
        let known = self.policies.iter().map(|(name, policy)| {
            let mut extension = Extension::default();
            extension.services = services(name, policy).map(|(service, port)| (service.name, port)).collect();
            (name.clone(), extension)
        });
        known.collect()
    }

    /// Finds the backends of policies in the table that was compiled with them.
    pub fn connect(&mut self, table: &Table) {
        let wanted: HashSet<(ObjectRef, u16)> = self.policies.iter().flat_map(|(name, policy)| services(name, policy)).collect();
        if wanted.is_empty() {
            return;
        }
        let http = |protocol| matches!(protocol, BackendProtocol::Http1 | BackendProtocol::H2c);
        for backend in table.backends().filter(|backend| http(backend.protocol)) {
            let name = (backend.object.clone(), backend.port);
            if wanted.contains(&name) {
                self.backends.entry(name).or_insert(backend.id);
            }
        }
    }

    /// A policy by name.
    pub(crate) fn get(&self, name: &ObjectRef) -> Option<&Policy> {
        self.policies.get(name)
    }

    /// The backend behind a Service that a policy names.
    pub(crate) fn backend(&self, service: &ObjectRef, port: u16) -> Option<BackendId> {
        self.backends.get(&(service.clone(), port)).copied()
    }

    /// Files that policies were made of: when one changes, so do they.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// The Services that a policy sends requests to.
fn services(name: &ObjectRef, policy: &Policy) -> impl Iterator<Item = (ObjectRef, u16)> {
    let pages = if let Policy::ErrorPages(pages) = policy { Some(pages) } else { None };
    let services = pages.into_iter().flat_map(|pages| pages.services());
    services.map(|service| (ObjectRef::new("", "Service", &name.namespace, &service.name), service.port))
}

/// A policy that is being read.
struct Reading<'r> {
    kept: &'r Kept,
    told: &'r mut Vec<Diagnostic>,
}

impl Reading<'_> {
    /// Reads the specification and makes the policy of it; tells what is wrong.
    fn policy<S: DeserializeOwned>(self, make: impl FnOnce(S) -> Result<Policy, Wrong>) -> Option<Policy> {
        const OUTCOME: &str = "the policy is not used, and rules that refer to it answer 500";
        let object = self.kept.object();
        if self.kept.version() != VERSION {
            let message = format!("this version of {} is not accepted", object.kind);
            let found = Diagnostic::new(Severity::Error, Code::Version, Some(object.clone()), "apiVersion", message);
            self.told.push(found.found(self.kept.version()).expected(VERSION).outcome(OUTCOME));
            return None;
        }
        let (manifest, notes) = match self.kept.read::<Manifest<S>>() {
            Ok(read) => read,
            Err(diagnostic) => {
                self.told.push(diagnostic.outcome(OUTCOME));
                return None;
            }
        };
        // Policies may attach to routes by `targetRef`; here the filter of a rule does.
        let (ignored, notes): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.path == "spec.targetRef");
        self.told.extend(ignored.into_iter().map(|mut note| {
            note.severity = Severity::Info;
            note.message = "not read: the policy applies to the rules whose ExtensionRef names it".to_owned();
            note
        }));
        self.told.extend(notes);
        match make(manifest.spec) {
            Ok(policy) => Some(policy),
            Err(Wrong { path, message }) => {
                let found = Diagnostic::new(Severity::Error, Code::InvalidValue, Some(object.clone()), path, message);
                self.told.push(found.outcome(OUTCOME));
                None
            }
        }
    }
}
