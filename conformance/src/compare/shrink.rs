//! Makes a difference small: takes away every part of the objects and of the question that it does not need.

use gatewright::Resources;
use serde_json::{Map, Value};

use super::{Difference, answers};

macro_rules! kinds {
    ($($field:ident: $version:literal, $kind:literal;)+) => {
        /// The objects as one tree.
        fn written(resources: &Resources) -> Option<Map<String, Value>> {
            let mut map = Map::new();
            $(map.insert(stringify!($field).to_owned(), serde_json::to_value(&resources.$field).ok()?);)+
            Some(map)
        }

        /// The objects of a tree; none if a part is missing that an object must have.
        fn read(map: &Map<String, Value>) -> Option<Resources> {
            let mut resources = Resources::default();
            $(if let Some(list) = map.get(stringify!($field)) {
                resources.$field = serde_json::from_value(list.clone()).ok()?;
                if resources.$field.iter().any(|object| object.metadata.name.is_empty()) {
                    return None;
                }
            })+
            Some(resources)
        }

        /// The objects as one would apply them.
        pub(super) fn manifests(resources: &Resources) -> String {
            let mut all = Vec::new();
            $(for object in &resources.$field {
                let text = serde_saphyr::to_string(object).unwrap_or_else(|error| error.to_string());
                all.push(format!("apiVersion: {}\nkind: {}\n{text}", $version, $kind));
            })+
            all.join("---\n")
        }
    };
}

kinds! {
    gateways: "gateway.networking.k8s.io/v1", "Gateway";
    listener_sets: "gateway.networking.k8s.io/v1", "ListenerSet";
    http_routes: "gateway.networking.k8s.io/v1", "HTTPRoute";
    grpc_routes: "gateway.networking.k8s.io/v1", "GRPCRoute";
    tls_routes: "gateway.networking.k8s.io/v1", "TLSRoute";
    tcp_routes: "gateway.networking.k8s.io/v1", "TCPRoute";
    udp_routes: "gateway.networking.k8s.io/v1", "UDPRoute";
    reference_grants: "gateway.networking.k8s.io/v1", "ReferenceGrant";
    backend_tls_policies: "gateway.networking.k8s.io/v1", "BackendTLSPolicy";
    namespaces: "v1", "Namespace";
    services: "v1", "Service";
    endpoint_slices: "discovery.k8s.io/v1", "EndpointSlice";
    secrets: "v1", "Secret";
    config_maps: "v1", "ConfigMap";
}

/// The smallest difference that is left when nothing more can be taken away.
pub(super) fn smallest(difference: Difference) -> Difference {
    let Some(mut tree) = tree(&difference) else { return difference };
    // The same difference, not another one that appears on the way.
    let about = |d: &Difference| answers(&d.resources, &d.question).map(|answers| answers.about);
    let wanted = about(&difference);
    loop {
        let (mut at, mut smaller) = (0, false);
        while let Some(candidate) = without(&tree, at) {
            if self::difference(&candidate).is_some_and(|d| about(&d) == wanted) {
                tree = candidate;
                smaller = true;
            } else {
                at += 1;
            }
        }
        if !smaller {
            return self::difference(&tree).unwrap_or(difference);
        }
    }
}

fn tree(difference: &Difference) -> Option<Value> {
    let mut map = written(&difference.resources)?;
    map.insert("question".to_owned(), serde_json::to_value(&difference.question).ok()?);
    Some(Value::Object(map))
}

fn difference(tree: &Value) -> Option<Difference> {
    let map = tree.as_object()?;
    Some(Difference { resources: read(map)?, question: serde_json::from_value(map.get("question")?.clone()).ok()? })
}

/// The tree without its `n`th part, counted from the outside in.
fn without(tree: &Value, n: usize) -> Option<Value> {
    fn remove(tree: &mut Value, n: &mut usize) -> bool {
        match tree {
            Value::Object(map) => {
                let keys: Vec<String> = map.keys().cloned().collect();
                keys.iter().any(|key| {
                    if *n == 0 {
                        return map.remove(key).is_some();
                    }
                    *n -= 1;
                    map.get_mut(key).is_some_and(|part| remove(part, n))
                })
            }
            Value::Array(list) => {
                for at in 0..list.len() {
                    if *n == 0 {
                        list.remove(at);
                        return true;
                    }
                    *n -= 1;
                    if remove(&mut list[at], n) {
                        return true;
                    }
                }
                false
            }
            _ => false,
        }
    }
    let mut smaller = tree.clone();
    let mut n = n;
    remove(&mut smaller, &mut n).then_some(smaller)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every part is taken away once, the outer ones first.
    #[test]
    fn parts() {
        let tree = json!({"a": [1, {"b": 2}], "c": 3});
        let all: Vec<Value> = (0..).map_while(|n| without(&tree, n)).collect();
        let expected = [
            json!({"c": 3}),
            json!({"a": [{"b": 2}], "c": 3}),
            json!({"a": [1], "c": 3}),
            json!({"a": [1, {}], "c": 3}),
            json!({"a": [1, {"b": 2}]}),
        ];
        assert_eq!(all, expected);
    }
}
