//! Gateways and their listeners.

use gatewright::Resources;
use gatewright::resource::gateway::{
    AllowedRoutes, FromNamespaces, Gateway, GatewaySpec, Listener, ListenerTls, ProtocolType, RouteNamespaces,
};
use gatewright::resource::meta::{LabelSelector, LabelSelectorOperator, LabelSelectorRequirement, SecretObjectReference};
use gatewright::resource::status::RouteGroupKind;

use super::{HOSTNAMES, NAMESPACES, Random, aged};

pub(super) fn add(random: &mut Random, resources: &mut Resources) {
    for (namespace, name, there) in [("gw", "gw", true), ("t", "gw", random.one_in(5))] {
        if there {
            let gateway = Gateway {
                metadata: aged(random, namespace, name),
                spec: GatewaySpec { gateway_class_name: "any".into(), listeners: listeners(random, 4), ..GatewaySpec::default() },
                status: None,
            };
            resources.gateways.push(gateway);
        }
    }
}

fn listeners(random: &mut Random, most: usize) -> Vec<Listener> {
    let mut all: Vec<Listener> = Vec::new();
    for n in 0..=random.below(most) {
        let listener = listener(random, n);
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

fn listener(random: &mut Random, n: usize) -> Listener {
    let (protocol, port) = match random.below(16) {
        0..4 => (ProtocolType::Https, 443),
        4 => (ProtocolType::Http, 8080),
        // A port for two protocols.
        5 => (ProtocolType::Http, 443),
        6 => (ProtocolType::from("example.com/other"), 80),
        _ => (ProtocolType::Http, 80),
    };
    Listener {
        name: format!("l{n}"),
        hostname: random.maybe(2, |random| random.text(&HOSTNAMES)),
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
    if *protocol != ProtocolType::Https || random.one_in(30) {
        return None;
    }
    let certificate = |random: &mut Random| SecretObjectReference {
        name: random.text(&["cert", "cert", "cert", "half", "gone"]),
        namespace: random.maybe(4, |random| random.text(&NAMESPACES)),
        ..SecretObjectReference::default()
    };
    let ordinary = SecretObjectReference { name: "cert".into(), ..SecretObjectReference::default() };
    let certificate_refs = if random.one_in(3) { vec![certificate(random), certificate(random)] } else { vec![ordinary] };
    Some(ListenerTls { certificate_refs, ..ListenerTls::default() })
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
        kind: random.text(&["HTTPRoute", "GRPCRoute", "HTTPRoute", "TLSRoute", "Foo"]),
    };
    if random.one_in(8) { random.some(2, one) } else { Vec::new() }
}
