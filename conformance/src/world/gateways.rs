//! Gateways, ListenerSets, and their listeners.

use gatewright::Resources;
use gatewright::resource::gateway::{
    AllowedListeners, AllowedRoutes, FromNamespaces, Gateway, GatewaySpec, Listener, ListenerTls, ProtocolType, RouteNamespaces, TlsMode,
};
use gatewright::resource::listener_set::{ListenerSet, ListenerSetSpec};
use gatewright::resource::meta::{LabelSelector, LabelSelectorOperator, LabelSelectorRequirement, ParentReference, SecretObjectReference};
use gatewright::resource::status::RouteGroupKind;

use super::{HOSTNAMES, NAMESPACES, Random, aged};

pub(super) fn add(random: &mut Random, resources: &mut Resources, streams: bool) {
    let sets = random.one_in(3);
    for (namespace, name, there) in [("gw", "gw", true), ("t", "gw", random.one_in(5))] {
        if there {
            let spec = GatewaySpec {
                gateway_class_name: "any".into(),
                listeners: listeners(random, 4, streams),
                allowed_listeners: (sets && !random.one_in(6)).then(|| AllowedListeners {
                    namespaces: if random.one_in(8) {
                        None
                    } else {
                        Some(if random.one_in(4) { namespaces(random) } else { every_namespace() })
                    },
                }),
                ..GatewaySpec::default()
            };
            resources.gateways.push(Gateway { metadata: aged(random, namespace, name), spec, status: None });
        }
    }
    if sets {
        for n in 0..=random.below(2) {
            let set = listener_set(random, n, streams);
            resources.listener_sets.push(set);
        }
    }
}

fn listener_set(random: &mut Random, n: usize, streams: bool) -> ListenerSet {
    let parent_ref = ParentReference {
        namespace: if random.one_in(8) { None } else { Some("gw".into()) },
        kind: random.maybe(4, |_| "Gateway".into()),
        name: if random.one_in(12) { "elsewhere".into() } else { "gw".into() },
        ..ParentReference::default()
    };
    let namespace = random.text(&NAMESPACES);
    ListenerSet {
        metadata: aged(random, &namespace, &format!("set{n}")),
        spec: ListenerSetSpec { parent_ref, listeners: listeners(random, 2, streams) },
        status: None,
    }
}

fn listeners(random: &mut Random, most: usize, streams: bool) -> Vec<Listener> {
    let mut all: Vec<Listener> = Vec::new();
    for n in 0..=random.below(most) {
        let listener = listener(random, n, streams);
        // Some exclude each other, most do not.
        let clash = all
            .iter()
            .any(|other| other.port == listener.port && (other.hostname == listener.hostname || other.protocol != listener.protocol));
        if !clash || random.one_in(4) {
            all.push(listener);
        }
    }
    all
}

fn listener(random: &mut Random, n: usize, streams: bool) -> Listener {
    let (protocol, port) = match random.below(if streams { 28 } else { 16 }) {
        0..4 => (ProtocolType::Https, 443),
        4 => (ProtocolType::Http, 8080),
        // A port for two protocols.
        5 if random.one_in(2) => (ProtocolType::Http, 443),
        5 => (ProtocolType::from("example.com/other"), 80),
        6 if random.one_in(4) => (ProtocolType::Tcp, 80),
        16..19 => (ProtocolType::Tls, 443),
        19..22 => (ProtocolType::Tls, 8443),
        22..25 => (ProtocolType::Tcp, 5432),
        25..28 => (ProtocolType::Udp, 5432),
        _ => (ProtocolType::Http, 80),
    };
    let named = !matches!(protocol, ProtocolType::Tcp | ProtocolType::Udp);
    Listener {
        name: format!("l{n}"),
        hostname: random.maybe(2, |random| random.text(&HOSTNAMES)).filter(|_| named),
        port,
        tls: tls(random, &protocol),
        allowed_routes: if random.one_in(8) {
            None
        } else {
            Some(AllowedRoutes { namespaces: random.maybe(4, namespaces).or(Some(every_namespace())), kinds: kinds(random) })
        },
        protocol,
    }
}

fn tls(random: &mut Random, protocol: &ProtocolType) -> Option<ListenerTls> {
    let mode = match protocol {
        ProtocolType::Https => None,
        ProtocolType::Tls => Some(if random.one_in(2) { TlsMode::Passthrough } else { TlsMode::Terminate }),
        _ => return None,
    };
    // The API server asks for the mode of a TLS listener.
    if mode.is_none() && random.one_in(30) {
        return None;
    }
    if mode == Some(TlsMode::Passthrough) {
        return Some(ListenerTls { mode, ..ListenerTls::default() });
    }
    let certificate = |random: &mut Random| SecretObjectReference {
        name: random.text(&["cert", "cert", "cert", "half", "gone"]),
        namespace: random.maybe(4, |random| random.text(&NAMESPACES)),
        ..SecretObjectReference::default()
    };
    let ordinary = SecretObjectReference { name: "cert".into(), ..SecretObjectReference::default() };
    let certificate_refs = if random.one_in(3) { vec![certificate(random), certificate(random)] } else { vec![ordinary] };
    Some(ListenerTls { mode, certificate_refs, ..ListenerTls::default() })
}

fn every_namespace() -> RouteNamespaces {
    RouteNamespaces { from: Some(FromNamespaces::All), selector: None }
}

fn namespaces(random: &mut Random) -> RouteNamespaces {
    match random.below(4) {
        0 => RouteNamespaces { from: Some(FromNamespaces::Same), selector: None },
        1 => RouteNamespaces::default(),
        _ => {
            RouteNamespaces { from: Some(FromNamespaces::Selector), selector: if random.one_in(8) { None } else { Some(selector(random)) } }
        }
    }
}

fn selector(random: &mut Random) -> LabelSelector {
    let key = |random: &mut Random| random.text(&["team", "env", "kubernetes.io/metadata.name"]);
    let value = |random: &mut Random| random.text(&["a", "b", "prod", "t", "gw"]);
    let match_labels = random.maybe(2, |random| (key(random), value(random))).into_iter().collect();
    let match_expressions = random.some(1, |random| {
        let operator = LabelSelectorOperator::from(*random.of(&["In", "NotIn", "Exists", "DoesNotExist"]));
        let listed = matches!(operator, LabelSelectorOperator::In | LabelSelectorOperator::NotIn);
        LabelSelectorRequirement {
            key: key(random),
            operator,
            values: if listed { vec![value(random), value(random)] } else { Vec::new() },
        }
    });
    LabelSelector { match_labels, match_expressions }
}

fn kinds(random: &mut Random) -> Vec<RouteGroupKind> {
    let one = |random: &mut Random| RouteGroupKind {
        group: random.maybe(8, |random| random.text(&["", "gateway.networking.k8s.io"])),
        kind: random.text(&["HTTPRoute", "GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute", "Foo"]),
    };
    if random.one_in(8) { random.some(2, one) } else { Vec::new() }
}
