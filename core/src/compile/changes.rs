//! What is told between two states: changed objects, and changed status.

use std::collections::{BTreeMap, BTreeSet};

use super::{ObjectStatus, Status};
use crate::diagnostic::ObjectRef;
use crate::options::Extension;
use crate::resource::{Object, Resources};

/// An object, and the version that it is written in, if that is known.
type Written = (Object, Option<Box<str>>);

/// Objects that have changed since a [`Compiler`](super::Compiler) last heard of them.
///
/// ```
/// use gatewright::resource::Service;
/// use gatewright::{Changes, Resources};
///
/// let mut before = Resources::default();
/// before.services.push(Service::default());
/// let changes = Changes::between(&before, Resources::default());
/// assert!(changes.applied.is_empty());
/// assert_eq!(changes.deleted.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New objects, and others in their new form, with the `versions` in which they are written. Those that have not
    /// changed cost little.
    pub applied: Resources,
    /// Objects that are no more. What is applied and deleted at once is deleted.
    pub deleted: Vec<ObjectRef>,
    /// All [extensions](crate::Options::extensions) from now on; `None` leaves them as they are.
    pub extensions: Option<BTreeMap<ObjectRef, Extension>>,
}

impl Changes {
    /// What leads from one set of objects to another.
    pub fn between(before: &Resources, after: Resources) -> Self {
        let mut places: BTreeMap<ObjectRef, usize> = before.places().collect();
        let mut versions = after.versions.clone();
        let mut changes = Self::default();
        let mut seen = BTreeSet::new();
        for object in after.into_objects() {
            let name = object.object_ref();
            let version = versions.remove(&name);
            let same = |place: &usize| before.is_at(*place, &object) && before.versions.get(&name) == version.as_ref();
            // What stands there twice is told each time: the last counts.
            if seen.insert(name.clone()) && places.get(&name).is_some_and(same) {
                places.remove(&name);
                continue;
            }
            places.remove(&name);
            if let Some(version) = version {
                changes.applied.versions.insert(name, version);
            }
            changes.applied.push(object);
        }
        changes.deleted = places.into_keys().collect();
        changes
    }

    /// Each object with its version; `None` is deleted.
    pub(crate) fn each(mut self) -> impl Iterator<Item = (ObjectRef, Option<Written>)> {
        let mut versions = std::mem::take(&mut self.applied.versions);
        let applied = self.applied.into_objects().map(move |object| {
            let name = object.object_ref();
            let version = versions.remove(&name);
            (name, Some((object, version)))
        });
        applied.chain(self.deleted.into_iter().map(|name| (name, None)))
    }
}

macro_rules! lists {
    ($($field:ident),+) => {
        impl Status {
            /// Sorts each list by the objects.
            pub(crate) fn sort(&mut self) {
                $(self.$field.sort_by(|a, b| a.object.cmp(&b.object));)+
            }

            /// The entries that another status does not have so, and the objects that only the other one has.
            pub(crate) fn since(self, before: Status) -> (Status, Vec<ObjectRef>) {
                let mut gone = Vec::new();
                let changed = Status { $($field: since(self.$field, before.$field, &mut gone),)+ };
                (changed, gone)
            }

            /// Follows a change: takes over the entries of `changed`, and drops those of the objects in `gone`.
            ///
            /// ```
            /// use gatewright::{Changes, Compiler, Options, Resources};
            ///
            /// let mut compiler = Compiler::new(Resources::default(), Options::default());
            /// let mut status = compiler.status();
            /// let update = compiler.update(Changes::default());
            /// status.follow(update.status, &update.gone);
            /// assert_eq!(status, compiler.status());
            /// ```
            pub fn follow(&mut self, changed: Status, gone: &[ObjectRef]) {
                $(follow(&mut self.$field, changed.$field, gone);)+
            }
        }
    };
}

lists!(
    gateway_classes,
    gateways,
    http_routes,
    listener_sets,
    grpc_routes,
    tls_routes,
    tcp_routes,
    udp_routes,
    backend_tls_policies,
    backend_traffic_policies,
    backends,
    meshes
);

fn since<S: PartialEq>(now: Vec<ObjectStatus<S>>, before: Vec<ObjectStatus<S>>, gone: &mut Vec<ObjectRef>) -> Vec<ObjectStatus<S>> {
    let mut before: BTreeMap<ObjectRef, S> = before.into_iter().map(|entry| (entry.object, entry.status)).collect();
    let changed = now.into_iter().filter(|entry| before.remove(&entry.object).is_none_or(|old| old != entry.status)).collect();
    gone.extend(before.into_keys());
    changed
}

fn follow<S>(list: &mut Vec<ObjectStatus<S>>, changed: Vec<ObjectStatus<S>>, gone: &[ObjectRef]) {
    if !gone.is_empty() {
        list.retain(|entry| !gone.contains(&entry.object));
    }
    for entry in changed {
        match list.binary_search_by(|one| one.object.cmp(&entry.object)) {
            Ok(at) => {
                if let Some(slot) = list.get_mut(at) {
                    *slot = entry;
                }
            }
            Err(at) => list.insert(at, entry),
        }
    }
}
