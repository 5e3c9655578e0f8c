//! A set of objects: the input of [`compile`](crate::compile).

use std::collections::BTreeMap;

use serde::{Serialize, de};

use super::*;
use crate::diagnostic::ObjectRef;

macro_rules! kinds {
    ($($(#[$meta:meta])* $field:ident: $variant:ident = $group:expr, $kind:literal, [$($version:literal),*];)+) => {
        /// A set of objects, by kind. Order does not matter: every result is the same for the same objects in
        /// any order ([R-K1]).
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Resources {
            $($(#[$meta])* #[serde(skip_serializing_if = "Vec::is_empty")] pub $field: Vec<$variant>,)+
            /// The versions of objects that are written in another than the newest, where they are known: a few
            /// rules differ between versions ([R-2]).
            #[serde(skip)]
            pub versions: BTreeMap<ObjectRef, Box<str>>,
        }

        /// One object of any kind this library reads.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "objects are moved once, into Resources")]
        pub enum Object {
            $($(#[$meta])* $variant($variant),)+
        }

        impl Object {
            /// Whether objects of this group and kind are read; `Some(versions)` lists the accepted versions
            /// ([R-2]).
            pub fn accepted_versions(group: &str, kind: &str) -> Option<&'static [&'static str]> {
                $(if group == $group && kind == $kind { return Some(&[$($version),*]); })+
                None
            }

            /// Reads an object of the given group and kind, which must be one that
            /// [`accepted_versions`](Self::accepted_versions) knows.
            ///
            /// # Errors
            ///
            /// The deserializer's, or an unknown kind.
            pub fn deserialize<'de, D: de::Deserializer<'de>>(group: &str, kind: &str, deserializer: D) -> Result<Self, D::Error> {
                $(if group == $group && kind == $kind {
                    return <$variant as de::Deserialize>::deserialize(deserializer).map(Self::$variant);
                })+
                Err(de::Error::custom(format_args!("unknown kind `{kind}` of group `{group}`")))
            }

            /// Group, kind, namespace and name.
            pub fn object_ref(&self) -> ObjectRef {
                match self { $(Self::$variant(o) => ObjectRef::of_meta($group, $kind, &o.metadata),)+ }
            }

            /// The object's metadata.
            pub fn metadata(&self) -> &meta::ObjectMeta {
                match self { $(Self::$variant(o) => &o.metadata,)+ }
            }
        }

        impl Resources {
            /// Adds one object.
            pub fn push(&mut self, object: Object) {
                match object { $(Object::$variant(o) => self.$field.push(o),)+ }
            }

            /// Adds all objects of another set.
            pub fn append(&mut self, mut other: Resources) {
                $(self.$field.append(&mut other.$field);)+
                self.versions.append(&mut other.versions);
            }

            /// Every object.
            pub fn into_objects(self) -> impl Iterator<Item = Object> {
                std::iter::empty()$(.chain(self.$field.into_iter().map(Object::$variant)))+
            }

            /// Every object by name, with its place in its list.
            pub(crate) fn places(&self) -> impl Iterator<Item = (ObjectRef, usize)> {
                std::iter::empty()$(.chain(
                    self.$field.iter().enumerate().map(|(place, o)| (ObjectRef::of_meta($group, $kind, &o.metadata), place)),
                ))+
            }

            /// Whether the object at this place of its list is this one.
            pub(crate) fn is_at(&self, place: usize, object: &Object) -> bool {
                match object { $(Object::$variant(o) => self.$field.get(place) == Some(o),)+ }
            }

            /// Puts an object at a place of its list, or at the end; gives the place.
            pub(crate) fn put(&mut self, place: Option<usize>, object: Object) -> usize {
                match object { $(Object::$variant(o) => put(&mut self.$field, place, o),)+ }
            }

            /// Takes the object at a place of the list of its kind away. The last one of the list takes its place.
            pub(crate) fn swap_remove(&mut self, object: &ObjectRef, place: usize) -> Option<Object> {
                $(if &*object.group == $group && &*object.kind == $kind {
                    let list = &mut self.$field;
                    return (place < list.len()).then(|| Object::$variant(list.swap_remove(place)));
                })+
                None
            }

            /// The number of objects of the same kind.
            pub(crate) fn count(&self, kind: &ObjectRef) -> usize {
                $(if &*kind.group == $group && &*kind.kind == $kind { return self.$field.len(); })+
                0
            }

            /// The object at a place of the list of a kind, by name.
            pub(crate) fn name_at(&self, kind: &ObjectRef, place: usize) -> Option<ObjectRef> {
                $(if &*kind.group == $group && &*kind.kind == $kind {
                    return self.$field.get(place).map(|o| ObjectRef::of_meta($group, $kind, &o.metadata));
                })+
                None
            }

            /// The object at a place of its list, alone.
            pub(crate) fn alone(&self, object: &ObjectRef, place: usize) -> Resources {
                let mut alone = Resources::default();
                $(if &*object.group == $group && &*object.kind == $kind {
                    alone.$field.extend(self.$field.get(place).cloned());
                })+
                if let Some((object, version)) = self.versions.get_key_value(object) {
                    alone.versions.insert(object.clone(), version.clone());
                }
                alone
            }

            /// Whether an object is written in this version.
            pub(crate) fn is_version(&self, group: &str, kind: &str, metadata: &meta::ObjectMeta, version: &str) -> bool {
                !self.versions.is_empty()
                    && self.versions.get(&ObjectRef::of_meta(group, kind, metadata)).is_some_and(|of| **of == *version)
            }

            /// Number of objects.
            pub fn len(&self) -> usize {
                [$(self.$field.len()),+].iter().fold(0, |sum: usize, n| sum.saturating_add(*n))
            }

            /// Whether there is no object.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }

        $(impl From<$variant> for Object {
            fn from(o: $variant) -> Self { Self::$variant(o) }
        })+
    };
}

fn put<T>(list: &mut Vec<T>, place: Option<usize>, object: T) -> usize {
    match place.and_then(|place| Some((place, list.get_mut(place)?))) {
        Some((place, slot)) => {
            *slot = object;
            place
        }
        None => {
            list.push(object);
            list.len().saturating_sub(1)
        }
    }
}

kinds! {
    /// GatewayClasses.
    gateway_classes: GatewayClass = GATEWAY_GROUP, "GatewayClass", ["v1", "v1beta1"];
    /// Gateways.
    gateways: Gateway = GATEWAY_GROUP, "Gateway", ["v1", "v1beta1"];
    /// HTTPRoutes.
    http_routes: HttpRoute = GATEWAY_GROUP, "HTTPRoute", ["v1", "v1beta1"];
    /// GRPCRoutes.
    grpc_routes: GrpcRoute = GATEWAY_GROUP, "GRPCRoute", ["v1", "v1alpha2"];
    /// TLSRoutes.
    tls_routes: TlsRoute = GATEWAY_GROUP, "TLSRoute", ["v1", "v1alpha3", "v1alpha2"];
    /// TCPRoutes.
    tcp_routes: TcpRoute = GATEWAY_GROUP, "TCPRoute", ["v1", "v1alpha2"];
    /// UDPRoutes.
    udp_routes: UdpRoute = GATEWAY_GROUP, "UDPRoute", ["v1", "v1alpha2"];
    /// ReferenceGrants.
    reference_grants: ReferenceGrant = GATEWAY_GROUP, "ReferenceGrant", ["v1", "v1beta1", "v1alpha2"];
    /// ListenerSets.
    listener_sets: ListenerSet = GATEWAY_GROUP, "ListenerSet", ["v1", "v1alpha1"];
    /// BackendTLSPolicies.
    backend_tls_policies: BackendTlsPolicy = GATEWAY_GROUP, "BackendTLSPolicy", ["v1", "v1alpha3"];
    /// XBackendTrafficPolicies.
    backend_traffic_policies: XBackendTrafficPolicy = GATEWAY_X_GROUP, "XBackendTrafficPolicy", ["v1alpha1", "v1alpha2"];
    /// XBackends.
    backends: XBackend = GATEWAY_X_GROUP, "XBackend", ["v1alpha1"];
    /// XMeshes.
    meshes: XMesh = GATEWAY_X_GROUP, "XMesh", ["v1alpha1"];
    /// Namespaces.
    namespaces: Namespace = "", "Namespace", ["v1"];
    /// Services.
    services: Service = "", "Service", ["v1"];
    /// EndpointSlices.
    endpoint_slices: EndpointSlice = "discovery.k8s.io", "EndpointSlice", ["v1", "v1beta1"];
    /// Secrets.
    secrets: Secret = "", "Secret", ["v1"];
    /// ConfigMaps.
    config_maps: ConfigMap = "", "ConfigMap", ["v1"];
    /// ServiceImports.
    service_imports: ServiceImport = "multicluster.x-k8s.io", "ServiceImport", ["v1alpha1", "v1beta1"];
}
