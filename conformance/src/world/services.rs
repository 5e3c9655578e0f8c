//! Namespaces, Services with their endpoints and policies, Secrets, ReferenceGrants.

use gatewright::Resources;
use gatewright::resource::kubernetes::{
    ConfigMap, Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Namespace, Secret, Service, ServicePort, ServiceSpec,
};
use gatewright::resource::meta::{LocalObjectReference, ObjectMeta};
use gatewright::resource::policy::{BackendTlsPolicySpec, BackendTlsPolicyValidation, PolicyTargetReference};
use gatewright::resource::reference_grant::{ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo};
use gatewright::resource::{BackendTlsPolicy, ReferenceGrant};

use super::{NAMESPACES, Random, aged, meta};

/// Names that references use; `gone` does not exist.
pub(super) const SERVICES: [&str; 14] = ["s1", "s2", "s1", "s2", "s1", "s2", "s1", "s2", "s1", "s2", "s1", "s2", "external", "gone"];
const GROUP: &str = "gateway.networking.k8s.io";

pub(super) fn add(random: &mut Random, resources: &mut Resources) {
    for (name, labels) in [("t", &[("team", "a")][..]), ("t-a", &[("team", "b"), ("env", "prod")])] {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        resources.namespaces.push(Namespace { metadata: ObjectMeta { name: name.to_owned(), labels, ..ObjectMeta::default() } });
    }
    for namespace in NAMESPACES {
        for name in ["s1", "s2"] {
            resources.services.push(Service { metadata: meta(namespace, name), spec: spec(None) });
            if random.one_in(3) {
                resources.endpoint_slices.push(slice(random, namespace, name));
            }
        }
        resources.services.push(Service { metadata: meta(namespace, "external"), spec: spec(Some("ExternalName")) });
        secret(namespace, "cert", &["tls.crt", "tls.key"], resources);
        secret(namespace, "half", &["tls.crt"], resources);
        for (name, text) in [("ca", "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"), ("none", "nothing")] {
            let data = [("ca.crt".to_owned(), text.to_owned())].into();
            resources.config_maps.push(ConfigMap { metadata: meta(namespace, name), data, ..ConfigMap::default() });
        }
    }
    if random.one_in(4) {
        for n in 0..=random.below(3) {
            let policy = policy(random, n);
            resources.backend_tls_policies.push(policy);
        }
    }
    for n in 0..random.below(4) {
        let grant = grant(random, n);
        resources.reference_grants.push(grant);
    }
}

/// A port of each kind: plain, HTTP/2, WebSocket, WebSocket over TLS, UDP.
fn spec(type_: Option<&str>) -> ServiceSpec {
    let port = |port, name: &str, app_protocol: Option<&str>| ServicePort {
        name: Some(name.to_owned()),
        app_protocol: app_protocol.map(str::to_owned),
        port,
        protocol: None,
    };
    let udp = ServicePort { protocol: Some("UDP".to_owned()), ..port(53, "dns", None) };
    ServiceSpec {
        type_: type_.map(str::to_owned),
        ports: vec![
            port(80, "web", None),
            port(81, "two", Some("kubernetes.io/h2c")),
            port(82, "socket", Some("kubernetes.io/ws")),
            port(83, "secure", Some("kubernetes.io/wss")),
            udp,
        ],
        ..ServiceSpec::default()
    }
}

fn slice(random: &mut Random, namespace: &str, service: &str) -> EndpointSlice {
    let labels = [("kubernetes.io/service-name".to_owned(), service.to_owned())].into();
    let port = |name: &str, port, protocol: Option<&str>| EndpointPort {
        name: Some(name.to_owned()),
        port: Some(port),
        protocol: protocol.map(str::to_owned),
        ..EndpointPort::default()
    };
    EndpointSlice {
        metadata: ObjectMeta { labels, ..meta(namespace, service) },
        address_type: "IPv4".to_owned(),
        endpoints: random.some(2, |random| Endpoint {
            addresses: vec![random.text(&["10.1.0.1", "10.1.0.2"])],
            conditions: EndpointConditions { ready: *random.of(&[None, Some(true), Some(false)]), ..EndpointConditions::default() },
        }),
        ports: vec![port("web", 8080, None), port("two", 8081, Some("TCP")), port("dns", 5353, Some("UDP"))],
    }
}

fn secret(namespace: &str, name: &str, members: &[&str], resources: &mut Resources) {
    let pem = || "-----BEGIN CERTIFICATE-----".to_owned();
    let string_data = members.iter().map(|member| ((*member).to_owned(), pem())).collect();
    resources.secrets.push(Secret { metadata: meta(namespace, name), string_data, ..Secret::default() });
}

/// A policy that asks for TLS.
fn policy(random: &mut Random, n: usize) -> BackendTlsPolicy {
    let authority = |random: &mut Random| LocalObjectReference {
        kind: random.text(&["ConfigMap", "ConfigMap", "ConfigMap", "Secret"]),
        name: random.text(&["ca", "ca", "none", "gone"]),
        ..LocalObjectReference::default()
    };
    let target = |random: &mut Random| PolicyTargetReference {
        kind: "Service".to_owned(),
        name: random.text(&["s1", "s2", "s1", "s2", "gone"]),
        section_name: random.maybe(2, |random| random.text(&["web", "two", "secure", "other"])),
        ..PolicyTargetReference::default()
    };
    let mut target_refs = vec![target(random)];
    let second = target(random);
    if !target_refs.contains(&second) {
        target_refs.push(second);
    }
    let system = random.one_in(2);
    let namespace = random.text(&NAMESPACES);
    BackendTlsPolicy {
        metadata: aged(random, &namespace, &format!("policy{n}")),
        spec: BackendTlsPolicySpec {
            target_refs,
            validation: BackendTlsPolicyValidation {
                ca_certificate_refs: if system { Vec::new() } else { vec![authority(random), authority(random)] },
                well_known_ca_certificates: system.then(|| "System".to_owned()),
                hostname: format!("p{n}.example"),
                ..BackendTlsPolicyValidation::default()
            },
            ..BackendTlsPolicySpec::default()
        },
        status: None,
    }
}

/// A grant that is mostly near what some reference needs, but for one thing ([RG-4]).
fn grant(random: &mut Random, n: usize) -> ReferenceGrant {
    let from = |random: &mut Random| ReferenceGrantFrom {
        group: if random.one_in(8) { String::new() } else { GROUP.to_owned() },
        kind: random.text(&[
            "HTTPRoute",
            "HTTPRoute",
            "GRPCRoute",
            "TLSRoute",
            "TCPRoute",
            "UDPRoute",
            "Gateway",
            "ListenerSet",
            "httproutes",
        ]),
        namespace: random.text(&NAMESPACES),
    };
    let to = |random: &mut Random| ReferenceGrantTo {
        group: if random.one_in(8) { GROUP.to_owned() } else { String::new() },
        kind: random.text(&["Service", "Service", "Service", "Secret", "Secret", "services"]),
        name: random.maybe(2, |random| random.text(&["s1", "s2", "gone", "cert", ""])),
    };
    ReferenceGrant {
        metadata: meta(&random.text(&NAMESPACES), &format!("grant{n}")),
        spec: ReferenceGrantSpec { from: (0..4).map(|_| from(random)).collect(), to: (0..2).map(|_| to(random)).collect() },
    }
}
