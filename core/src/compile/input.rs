//! The input by name: what Gateways and policies are looked up in.

use std::collections::BTreeMap;

use super::lookup::{Key, Lookup};
use crate::model::namespace_of;
use crate::model::pem;
use crate::options::Options;
use crate::resource::kubernetes::{ConfigMap, Secret};
use crate::resource::meta::ObjectMeta;
use crate::resource::{GATEWAY_GROUP, GatewayClass, ListenerSet, Resources, XBackend, XMesh};

/// The input, indexed.
#[derive(Debug)]
pub(crate) struct Input<'r> {
    pub(crate) resources: &'r Resources,
    pub(crate) options: &'r Options,
    pub(crate) lookup: Lookup<'r>,
    pub(crate) classes: BTreeMap<&'r str, &'r GatewayClass>,
    pub(crate) meshes: BTreeMap<&'r str, &'r XMesh>,
    /// By the Gateway that they name.
    pub(crate) listener_sets: BTreeMap<Key<'r>, Vec<&'r ListenerSet>>,
    pub(crate) secrets: BTreeMap<Key<'r>, &'r Secret>,
    config_maps: BTreeMap<Key<'r>, &'r ConfigMap>,
    backends: BTreeMap<Key<'r>, &'r XBackend>,
}

impl<'r> Input<'r> {
    pub(crate) fn new(lookup: Lookup<'r>) -> Self {
        let Lookup { resources, options, .. } = lookup;
        Self {
            resources,
            options,
            lookup,
            classes: resources.gateway_classes.iter().map(|class| (class.metadata.name.as_str(), class)).collect(),
            meshes: resources.meshes.iter().map(|mesh| (mesh.metadata.name.as_str(), mesh)).collect(),
            listener_sets: sets(&resources.listener_sets),
            secrets: by_name(&resources.secrets, |o| &o.metadata),
            config_maps: by_name(&resources.config_maps, |o| &o.metadata),
            backends: by_name(&resources.backends, |o| &o.metadata),
        }
    }

    pub(crate) fn backend(&self, namespace: &str, name: &str) -> Option<&'r XBackend> {
        self.backends.get(&(namespace, name)).copied()
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
}

fn by_name<'r, T>(list: &'r [T], metadata: impl Fn(&'r T) -> &'r ObjectMeta) -> BTreeMap<Key<'r>, &'r T> {
    list.iter().map(|object| ((namespace_of(metadata(object)), metadata(object).name.as_str()), object)).collect()
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
