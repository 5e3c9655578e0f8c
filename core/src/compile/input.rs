//! The input by name: what references are looked up in.

use std::collections::BTreeMap;

use crate::diagnostic::ObjectRef;
use crate::model::grant::Grants;
use crate::model::namespace_of;
use crate::model::pem;
use crate::model::selector::NamespaceLabels;
use crate::options::{MissingServices, Options};
use crate::resource::kubernetes::{ConfigMap, EndpointSlice, Secret, Service, ServiceImport};
use crate::resource::{GATEWAY_GROUP, GatewayClass, ListenerSet, Resources, XBackend, XMesh};

/// Namespace and name.
pub(crate) type Key<'r> = (&'r str, &'r str);

/// The input, indexed.
#[derive(Debug)]
pub(crate) struct Input<'r> {
    pub(crate) resources: &'r Resources,
    pub(crate) options: &'r Options,
    pub(crate) classes: BTreeMap<&'r str, &'r GatewayClass>,
    pub(crate) meshes: BTreeMap<&'r str, &'r XMesh>,
    /// By the Gateway that they name.
    pub(crate) listener_sets: BTreeMap<Key<'r>, Vec<&'r ListenerSet>>,
    pub(crate) grants: Grants<'r>,
    pub(crate) namespaces: NamespaceLabels<'r>,
    pub(crate) secrets: BTreeMap<Key<'r>, &'r Secret>,
    config_maps: BTreeMap<Key<'r>, &'r ConfigMap>,
    services: BTreeMap<Key<'r>, &'r Service>,
    imports: BTreeMap<Key<'r>, &'r ServiceImport>,
    backends: BTreeMap<Key<'r>, &'r XBackend>,
    slices: BTreeMap<Key<'r>, Vec<&'r EndpointSlice>>,
    import_slices: BTreeMap<Key<'r>, Vec<&'r EndpointSlice>>,
}

impl<'r> Input<'r> {
    pub(crate) fn new(resources: &'r Resources, options: &'r Options) -> Self {
        Self {
            resources,
            options,
            classes: resources.gateway_classes.iter().map(|class| (class.metadata.name.as_str(), class)).collect(),
            meshes: resources.meshes.iter().map(|mesh| (mesh.metadata.name.as_str(), mesh)).collect(),
            listener_sets: sets(&resources.listener_sets),
            grants: Grants::new(&resources.reference_grants),
            namespaces: NamespaceLabels::new(&resources.namespaces),
            secrets: by_name(&resources.secrets, |o| &o.metadata),
            config_maps: by_name(&resources.config_maps, |o| &o.metadata),
            backends: by_name(&resources.backends, |o| &o.metadata),
            services: by_name(&resources.services, |o| &o.metadata),
            imports: by_name(&resources.service_imports, |o| &o.metadata),
            slices: slices(&resources.endpoint_slices, "kubernetes.io/service-name"),
            import_slices: slices(&resources.endpoint_slices, "multicluster.kubernetes.io/service-name"),
        }
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&'r Service> {
        self.services.get(&(namespace, name)).copied()
    }

    /// Whether the cluster itself keeps a client of a Service with one endpoint.
    pub(crate) fn has_affinity(&self, object: &ObjectRef) -> bool {
        let service = self.service(&object.namespace, &object.name).filter(|_| &*object.kind == "Service");
        service.is_some_and(|service| service.spec.session_affinity.as_deref() == Some("ClientIP"))
    }

    pub(crate) fn backend(&self, namespace: &str, name: &str) -> Option<&'r XBackend> {
        self.backends.get(&(namespace, name)).copied()
    }

    pub(crate) fn import(&self, namespace: &str, name: &str) -> Option<&'r ServiceImport> {
        self.imports.get(&(namespace, name)).copied()
    }

    /// Whether a ConfigMap has certificates of authorities in its key `ca.crt` ([L-36], [TP-4]).
    ///
    /// # Errors
    ///
    /// Why it has none.
    pub(crate) fn ca_bundle(&self, namespace: &str, name: &str) -> Result<(), String> {
        let Some(config_map) = self.config_maps.get(&(namespace, name)) else {
            return Err(format!("ConfigMap `{namespace}/{name}` does not exist"));
        };
        match config_map.data.get("ca.crt") {
            None => Err(format!("ConfigMap `{namespace}/{name}` has no key `ca.crt`")),
            Some(text) if !pem::is_bundle(text) => {
                Err(format!("`ca.crt` of ConfigMap `{namespace}/{name}` has no certificate in PEM format"))
            }
            Some(_) => Ok(()),
        }
    }

    /// The EndpointSlices of a Service or ServiceImport.
    pub(crate) fn slices<'s>(&'s self, kind: &str, namespace: &'s str, name: &'s str) -> &'s [&'r EndpointSlice] {
        let slices = if kind == "ServiceImport" { &self.import_slices } else { &self.slices };
        slices.get(&(namespace, name)).map_or(&[], Vec::as_slice)
    }

    /// Whether a Service that the input does not have is taken to exist.
    pub(crate) fn assumes_service(&self, namespace: &str) -> bool {
        match self.options.missing_services {
            MissingServices::NotFound => false,
            MissingServices::Assume => true,
            MissingServices::Infer => !self.services.keys().any(|(of, _)| *of == namespace),
        }
    }
}

fn by_name<'r, T>(list: &'r [T], metadata: impl Fn(&'r T) -> &'r crate::resource::meta::ObjectMeta) -> BTreeMap<Key<'r>, &'r T> {
    list.iter().map(|object| ((namespace_of(metadata(object)), metadata(object).name.as_str()), object)).collect()
}

fn slices<'r>(list: &'r [EndpointSlice], label: &str) -> BTreeMap<Key<'r>, Vec<&'r EndpointSlice>> {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for slice in list {
        if let Some(service) = slice.metadata.labels.get(label) {
            map.entry((namespace_of(&slice.metadata), service.as_str())).or_default().push(slice);
        }
    }
    map
}

/// ListenerSets by the Gateway that they name; sets with another kind of parent belong to nobody here.
fn sets(list: &[ListenerSet]) -> BTreeMap<Key<'_>, Vec<&ListenerSet>> {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for set in list {
        let parent = &set.spec.parent_ref;
        if parent.group.as_deref().unwrap_or(GATEWAY_GROUP) == GATEWAY_GROUP && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway" {
            let namespace = parent.namespace.as_deref().filter(|namespace| !namespace.is_empty());
            map.entry((namespace.unwrap_or(namespace_of(&set.metadata)), parent.name.as_str())).or_default().push(set);
        }
    }
    map
}
