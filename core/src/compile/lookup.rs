//! What the references of routes are looked up in.

use std::collections::BTreeMap;

use crate::diagnostic::ObjectRef;
use crate::model::grant::Grants;
use crate::model::namespace_of;
use crate::model::selector::NamespaceLabels;
use crate::options::{MissingServices, Options};
use crate::resource::Resources;
use crate::resource::kubernetes::{EndpointSlice, Service, ServiceImport};
use crate::resource::meta::ObjectMeta;

/// Namespace and name.
pub(crate) type Key<'r> = (&'r str, &'r str);

/// Values by namespace and name. Names stand below their namespace, so that the values of a namespace stand together
/// and looking up needs no text of its own.
#[derive(Clone, Debug)]
pub(crate) struct ByName<T>(BTreeMap<Box<str>, BTreeMap<Box<str>, T>>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByName<T> {
    pub(crate) fn get(&self, (namespace, name): Key<'_>) -> Option<&T> {
        self.0.get(namespace)?.get(name)
    }

    pub(crate) fn insert(&mut self, key: Key<'_>, value: T) {
        let (namespace, name) = key;
        match self.0.get_mut(namespace) {
            Some(names) => {
                names.insert(name.into(), value);
            }
            None => {
                self.0.insert(namespace.into(), BTreeMap::from([(name.into(), value)]));
            }
        }
    }

    pub(crate) fn remove(&mut self, (namespace, name): Key<'_>) -> Option<T> {
        let names = self.0.get_mut(namespace)?;
        let removed = names.remove(name);
        if names.is_empty() {
            self.0.remove(namespace);
        }
        removed
    }

    /// The value, made if there is none.
    pub(crate) fn entry(&mut self, (namespace, name): Key<'_>) -> &mut T
    where
        T: Default,
    {
        self.0.entry(namespace.into()).or_default().entry(name.into()).or_default()
    }

    pub(crate) fn get_mut(&mut self, (namespace, name): Key<'_>) -> Option<&mut T> {
        self.0.get_mut(namespace)?.get_mut(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<'_>, &T)> {
        self.0.iter().flat_map(|(namespace, names)| names.iter().map(move |(name, value)| ((&**namespace, &**name), value)))
    }

    /// The values of a namespace; `None` if it has none.
    pub(crate) fn of_namespace(&self, namespace: &str) -> Option<&BTreeMap<Box<str>, T>> {
        self.0.get(namespace)
    }
}

/// Label of the EndpointSlices of a Service.
pub(crate) const OF_SERVICE: &str = "kubernetes.io/service-name";
/// Label of the EndpointSlices of a ServiceImport.
pub(crate) const OF_IMPORT: &str = "multicluster.kubernetes.io/service-name";

/// Where objects stand in their lists, and what routes ask of namespaces.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) grants: Grants,
    pub(crate) namespaces: NamespaceLabels,
    pub(crate) services: ByName<usize>,
    pub(crate) imports: ByName<usize>,
    /// By the Service, or the ServiceImport.
    pub(crate) slices: ByName<Vec<usize>>,
    pub(crate) import_slices: ByName<Vec<usize>>,
}

impl Index {
    pub(crate) fn new(resources: &Resources) -> Self {
        let mut index = Self {
            grants: Grants::new(&resources.reference_grants),
            namespaces: NamespaceLabels::new(&resources.namespaces),
            services: by_name(&resources.services, |o| &o.metadata),
            imports: by_name(&resources.service_imports, |o| &o.metadata),
            ..Self::default()
        };
        for (place, slice) in resources.endpoint_slices.iter().enumerate() {
            index.add_slice(slice, place);
        }
        index
    }

    pub(crate) fn add_slice(&mut self, slice: &EndpointSlice, place: usize) {
        for (of_import, key) in targets(slice) {
            let slices = if of_import { &mut self.import_slices } else { &mut self.slices };
            slices.entry(key).push(place);
        }
    }

    pub(crate) fn remove_slice(&mut self, slice: &EndpointSlice, place: usize) {
        for (of_import, key) in targets(slice) {
            let slices = if of_import { &mut self.import_slices } else { &mut self.slices };
            let Some(places) = slices.get_mut(key) else { continue };
            places.retain(|one| *one != place);
            if places.is_empty() {
                slices.remove(key);
            }
        }
    }
}

/// The Service and the ServiceImport that a slice belongs to; the latter is marked.
pub(crate) fn targets(slice: &EndpointSlice) -> impl Iterator<Item = (bool, Key<'_>)> {
    let namespace = namespace_of(&slice.metadata);
    let of = move |(of_import, label): (bool, &str)| Some((of_import, (namespace, slice.metadata.labels.get(label)?.as_str())));
    [(false, OF_SERVICE), (true, OF_IMPORT)].into_iter().filter_map(of)
}

fn by_name<T>(list: &[T], metadata: impl Fn(&T) -> &ObjectMeta) -> ByName<usize> {
    let mut places = ByName::default();
    for (place, object) in list.iter().enumerate() {
        let metadata = metadata(object);
        places.insert((namespace_of(metadata), &metadata.name), place);
    }
    places
}

/// The objects that routes refer to, found by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup<'r> {
    pub(crate) resources: &'r Resources,
    pub(crate) options: &'r Options,
    pub(crate) index: &'r Index,
}

impl<'r> Lookup<'r> {
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&'r Service> {
        self.resources.services.get(*self.index.services.get((namespace, name))?)
    }

    pub(crate) fn import(&self, namespace: &str, name: &str) -> Option<&'r ServiceImport> {
        self.resources.service_imports.get(*self.index.imports.get((namespace, name))?)
    }

    /// Whether the cluster itself keeps a client of a Service with one endpoint.
    pub(crate) fn has_affinity(&self, object: &ObjectRef) -> bool {
        let service = self.service(&object.namespace, &object.name).filter(|_| &*object.kind == "Service");
        service.is_some_and(|service| service.spec.session_affinity.as_deref() == Some("ClientIP"))
    }

    /// The EndpointSlices of a Service or ServiceImport; `None` when there are none.
    pub(crate) fn slices(&self, kind: &str, namespace: &str, name: &str) -> Option<impl Iterator<Item = &'r EndpointSlice>> {
        let slices = if kind == "ServiceImport" { &self.index.import_slices } else { &self.index.slices };
        let list = self.resources.endpoint_slices.as_slice();
        Some(slices.get((namespace, name))?.iter().filter_map(move |place| list.get(*place)))
    }

    /// Whether a Service that the input does not have is taken to exist.
    pub(crate) fn assumes_service(&self, namespace: &str) -> bool {
        match self.options.missing_services {
            MissingServices::NotFound => false,
            MissingServices::Assume => true,
            MissingServices::Infer => self.index.services.of_namespace(namespace).is_none(),
        }
    }
}
