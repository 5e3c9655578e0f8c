//! The pods of the cluster: the test backends behind the Services, and what each of their ports speaks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

/// A pod of a Deployment.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    /// Namespace.
    pub(super) namespace: String,
    /// Name: that of the Deployment and two more parts.
    pub(super) name: String,
    /// The number of the pod in the cluster: gives its addresses.
    number: u16,
    /// Template of the Deployment.
    template: Value,
    deployment: String,
}

/// What a port of a pod speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge only.
    H2c,
    /// gRPC, HTTP/2 by prior knowledge.
    Grpc,
    /// Lines of text.
    Tcp,
    /// Datagrams.
    Udp,
}

/// The pods of Deployments.
pub(super) fn of<'v>(deployments: impl Iterator<Item = &'v Value>) -> Vec<Pod> {
    let mut pods = Vec::new();
    for deployment in deployments {
        let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
        for n in 0..deployment["spec"]["replicas"].as_u64().unwrap_or(1) {
            pods.push(Pod {
                namespace: deployment["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
                name: format!("{name}-5d8f9c7b6-p{n}"),
                number: u16::try_from(pods.len()).unwrap_or(u16::MAX),
                template: deployment["spec"]["template"].clone(),
                deployment: name.to_owned(),
            });
        }
    }
    pods
}

impl Pod {
    /// Whether a Deployment runs it.
    pub(super) fn is_of(&self, namespace: &str, deployment: &str) -> bool {
        self.namespace == namespace && self.deployment == deployment
    }

    /// Its address.
    pub(super) fn ipv4(&self) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 244, high, low)
    }

    /// Its other address.
    pub(super) fn ipv6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, self.number)
    }

    /// Whether it has an address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        address == self.ipv4() || address == self.ipv6()
    }

    /// Whether it carries all these labels.
    pub(super) fn has_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(label, value)| self.template["metadata"]["labels"][label] == **value)
    }

    /// The value of a variable of its environment.
    pub(super) fn environment(&self, name: &str) -> Option<&str> {
        let variables = self.containers().filter_map(|container| container["env"].as_array()).flatten();
        variables.filter(|variable| variable["name"] == name).find_map(|variable| variable["value"].as_str())
    }

    /// Name of the Secret that is mounted, with the certificate of its TLS port.
    pub(super) fn server_certificate(&self) -> Option<&str> {
        self.environment("TLS_SERVER_CERT")?;
        self.volumes().find_map(|volume| volume["secret"]["secretName"].as_str())
    }

    /// Name of the ConfigMap that is mounted, with the authority that its clients' certificates must come from.
    pub(super) fn client_authority(&self) -> Option<&str> {
        self.environment("TLS_CLIENT_CACERTS")?;
        self.volumes().find_map(|volume| volume["configMap"]["name"].as_str())
    }

    /// What a port speaks, and whether inside TLS; `None` where nobody listens.
    pub(super) fn speaks(&self, port: u16) -> Option<(Speaks, bool)> {
        let plain = if self.environment("TCP_ECHO_SERVER").is_some() {
            Speaks::Tcp
        } else if self.environment("GRPC_ECHO_SERVER").is_some() {
            Speaks::Grpc
        } else {
            Speaks::Http1
        };
        let image = |part: &str| self.containers().any(|container| container["image"].as_str().is_some_and(|image| image.contains(part)));
        if self.environment("UDP_ECHO_SERVER").is_some() || image("/coredns:") {
            return Some((Speaks::Udp, false));
        }
        if image("/echo-advanced:") {
            return match port {
                80 | 8080 => Some((Speaks::Http1, false)),
                7070 => Some((Speaks::Grpc, false)),
                _ => None,
            };
        }
        match port {
            3000 => Some((plain, false)),
            3001 if plain == Speaks::Http1 => Some((Speaks::H2c, false)),
            8443 if self.server_certificate().is_some() => Some((plain, true)),
            _ => None,
        }
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        self.template["spec"]["containers"].as_array().into_iter().flatten()
    }

    fn volumes(&self) -> impl Iterator<Item = &Value> {
        self.template["spec"]["volumes"].as_array().into_iter().flatten()
    }
}

/// The pods that a Service selects.
pub(super) fn selected<'p>(service: &Value, pods: &'p [Pod]) -> Vec<&'p Pod> {
    let Some(selector) = service["spec"]["selector"].as_object() else { return Vec::new() };
    let chosen = |pod: &&Pod| {
        service["metadata"]["namespace"] == *pod.namespace
            && selector.iter().all(|(label, value)| pod.template["metadata"]["labels"][label] == *value)
    };
    pods.iter().filter(chosen).collect()
}

/// The port of the pods behind a port of a Service.
pub(super) fn target_port(port: &Value) -> Option<u64> {
    match &port["targetPort"] {
        Value::Null => port["port"].as_u64(),
        number => number.as_u64(),
    }
}

/// The EndpointSlices that a cluster keeps for the Services with a selector.
pub(super) fn endpoint_slices<'v>(services: impl Iterator<Item = &'v Value>, pods: &[Pod]) -> Vec<Value> {
    let selecting = services.filter(|service| service["spec"]["selector"].is_object());
    let slice = |service: &Value| {
        let name = &service["metadata"]["name"];
        let endpoints: Vec<Value> =
            selected(service, pods).iter().map(|pod| json!({"addresses": [pod.ipv4()], "conditions": {"ready": true}})).collect();
        let ports = service["spec"]["ports"].as_array().into_iter().flatten().map(|port| {
            let mut slice_port = json!({
                "name": port["name"].as_str().unwrap_or_default(),
                "port": target_port(port),
                "protocol": port["protocol"].as_str().unwrap_or("TCP"),
            });
            if port["appProtocol"].is_string() {
                slice_port["appProtocol"] = port["appProtocol"].clone();
            }
            slice_port
        });
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-x7k2p", name.as_str().unwrap_or_default()),
                "namespace": service["metadata"]["namespace"],
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports.collect::<Vec<_>>(),
        })
    };
    selecting.map(slice).collect()
}
