//! The objects of a [`Compiler`](super::Compiler), found by name, and changed one by one.

use std::collections::BTreeMap;

use super::lookup::{Index, Lookup};
use super::route::Source;
use crate::diagnostic::ObjectRef;
use crate::options::Options;
use crate::resource::kubernetes::EndpointSlice;
use crate::resource::{GATEWAY_GROUP, Object, Resources};

/// Objects, and where they are.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) resources: Resources,
    places: BTreeMap<ObjectRef, usize>,
    index: Index,
}

impl Store {
    /// Of an object that is there twice, the last counts.
    pub(crate) fn new(resources: Resources) -> Self {
        let places: BTreeMap<ObjectRef, usize> = resources.places().collect();
        if places.len() == resources.len() {
            let index = Index::new(&resources);
            return Self { resources, places, index };
        }
        let mut once = Self { index: Index::default(), places: BTreeMap::new(), resources: Resources::default() };
        once.resources.versions.clone_from(&resources.versions);
        for object in resources.into_objects() {
            let name = object.object_ref();
            let place = once.resources.put(once.places.get(&name).copied(), object);
            once.places.insert(name, place);
        }
        once.index_all();
        once
    }

    pub(crate) fn lookup<'s>(&'s self, options: &'s Options) -> Lookup<'s> {
        Lookup { resources: &self.resources, options, index: &self.index }
    }

    /// Reads grants and namespaces again, and whatever else changes rarely.
    pub(crate) fn index_all(&mut self) {
        self.index = Index::new(&self.resources);
    }

    /// The object that has this name, alone.
    pub(crate) fn alone(&self, object: &ObjectRef) -> Option<Resources> {
        Some(self.resources.alone(object, *self.places.get(object)?))
    }

    /// A route as it is written.
    pub(crate) fn route(&self, object: &ObjectRef) -> Option<Source<'_>> {
        let place = *self.places.get(object)?;
        match (&*object.group, &*object.kind) {
            (GATEWAY_GROUP, "HTTPRoute") => self.resources.http_routes.get(place).map(Source::Http),
            (GATEWAY_GROUP, "GRPCRoute") => self.resources.grpc_routes.get(place).map(Source::Grpc),
            (GATEWAY_GROUP, "TLSRoute") => self.resources.tls_routes.get(place).map(Source::Tls),
            (GATEWAY_GROUP, "TCPRoute") => self.resources.tcp_routes.get(place).map(Source::Tcp),
            (GATEWAY_GROUP, "UDPRoute") => self.resources.udp_routes.get(place).map(Source::Udp),
            _ => None,
        }
    }

    /// A slice as it is known.
    pub(crate) fn slice(&self, object: &ObjectRef) -> Option<&EndpointSlice> {
        let place = self.places.get(object).filter(|_| &*object.kind == "EndpointSlice")?;
        self.resources.endpoint_slices.get(*place)
    }

    /// Whether the namespace has a Service.
    pub(crate) fn has_services(&self, namespace: &str) -> bool {
        self.index.services.of_namespace(namespace).is_some()
    }

    /// Takes an object in; gives whether that changes anything.
    pub(crate) fn apply(&mut self, object: Object, version: Option<Box<str>>) -> bool {
        let name = object.object_ref();
        let known = self.places.get(&name).copied();
        let same_version = self.resources.versions.get(&name) == version.as_ref();
        if same_version && known.is_some_and(|place| self.resources.is_at(place, &object)) {
            return false;
        }
        match version {
            Some(version) => self.resources.versions.insert(name.clone(), version),
            None => self.resources.versions.remove(&name),
        };
        if let Some(place) = known {
            self.leave(&name, place);
        }
        let place = self.resources.put(known, object);
        self.enter(&name, place);
        self.places.insert(name, place);
        true
    }

    /// Takes an object away; gives whether it was there.
    pub(crate) fn delete(&mut self, name: &ObjectRef) -> bool {
        let Some(place) = self.places.remove(name) else { return false };
        self.resources.versions.remove(name);
        self.leave(name, place);
        let last = self.resources.count(name).saturating_sub(1);
        let moved = (last != place).then(|| self.resources.name_at(name, last)).flatten();
        if let Some(moved) = &moved {
            self.leave(moved, last);
        }
        self.resources.swap_remove(name, place);
        if let Some(moved) = moved {
            self.enter(&moved, place);
            self.places.insert(moved, place);
        }
        true
    }

    /// Enters the object at a place into the index of its kind.
    fn enter(&mut self, name: &ObjectRef, place: usize) {
        let key = (&*name.namespace, &*name.name);
        match &*name.kind {
            "Service" => self.index.services.insert(key, place),
            "ServiceImport" => self.index.imports.insert(key, place),
            "EndpointSlice" => {
                if let Some(slice) = self.resources.endpoint_slices.get(place) {
                    self.index.add_slice(slice, place);
                }
            }
            _ => {}
        }
    }

    fn leave(&mut self, name: &ObjectRef, place: usize) {
        let key = (&*name.namespace, &*name.name);
        match &*name.kind {
            "Service" => {
                self.index.services.remove(key);
            }
            "ServiceImport" => {
                self.index.imports.remove(key);
            }
            "EndpointSlice" => {
                if let Some(slice) = self.resources.endpoint_slices.get(place) {
                    self.index.remove_slice(slice, place);
                }
            }
            _ => {}
        }
    }
}

/// The Services, and ServiceImports, that a slice belongs to.
pub(crate) fn behind(slice: &EndpointSlice) -> impl Iterator<Item = (Box<str>, Box<str>)> {
    super::lookup::targets(slice).map(|(_, (namespace, name))| (namespace.into(), name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Service;
    use crate::resource::meta::ObjectMeta;

    fn service(name: &str) -> Object {
        let metadata = ObjectMeta { name: name.to_owned(), ..ObjectMeta::default() };
        Service { metadata, ..Service::default() }.into()
    }

    /// The last object of a list takes the place of one that goes.
    #[test]
    fn places_stay_right() {
        let mut store = Store::default();
        for name in ["a", "b", "c"] {
            assert!(store.apply(service(name), None));
            assert!(!store.apply(service(name), None));
        }
        assert!(store.delete(&service("a").object_ref()));
        assert!(!store.delete(&service("a").object_ref()));
        let options = Options::default();
        let lookup = store.lookup(&options);
        for (name, there) in [("a", false), ("b", true), ("c", true)] {
            assert_eq!(lookup.service("default", name).map(|service| &*service.metadata.name), there.then_some(name));
        }
    }
}
