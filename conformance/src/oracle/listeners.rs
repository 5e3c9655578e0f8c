//! The listeners of a Gateway: those of its own and those of its ListenerSets, and which of them serve ([L-1] to
//! [L-19]).

use std::collections::BTreeSet;

use gatewright::Resources;
use gatewright::resource::ListenerSet;
use gatewright::resource::gateway::{FromNamespaces, Gateway, Listener, ProtocolType, RouteNamespaces, TlsMode};
use gatewright::resource::meta::{LabelSelector, LabelSelectorOperator, SecretObjectReference};

use super::references::{End, created, name_of, permitted};
use super::{GROUP, hosts};

/// The object that carries a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner<'r> {
    pub(super) kind: &'static str,
    pub(super) namespace: &'r str,
    pub(super) name: &'r str,
}

/// A listener in the merged list of a Gateway.
#[derive(Clone, Debug)]
pub(super) struct Served<'r> {
    pub(super) owner: Owner<'r>,
    pub(super) listener: &'r Listener,
    /// Why it is excluded by another listener; several reasons may hold at once.
    pub(super) conflicts: BTreeSet<&'static str>,
    /// What is wrong with its certificates.
    pub(super) bad_certificates: BTreeSet<&'static str>,
    /// Whether it can show one, or needs none.
    pub(super) can_serve: bool,
}

/// What a listener does with connections, told from protocol and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speaks {
    Http,
    Https,
    Terminate,
    Passthrough,
    Tcp,
    Udp,
    /// A protocol that nobody knows ([L-9]).
    Unknown,
}

impl Served<'_> {
    /// Whether it takes part in traffic ([L-4], [L-9]).
    pub(super) fn accepted(&self) -> bool {
        self.conflicts.is_empty() && speaks(self.listener) != Speaks::Unknown
    }

    /// As a decision names it.
    pub(super) fn text(&self) -> String {
        format!("{} {}/{} {}", self.owner.kind, self.owner.namespace, self.owner.name, self.listener.name)
    }

    pub(super) fn hostname(&self) -> Option<&str> {
        hostname(self.listener)
    }
}

/// An empty hostname is none ([L-2]).
fn hostname(listener: &Listener) -> Option<&str> {
    listener.hostname.as_deref().filter(|name| !name.is_empty())
}

pub(super) fn speaks(listener: &Listener) -> Speaks {
    let passthrough = listener.tls.as_ref().is_some_and(|tls| tls.mode == Some(TlsMode::Passthrough));
    match listener.protocol {
        ProtocolType::Http => Speaks::Http,
        ProtocolType::Https => Speaks::Https,
        ProtocolType::Tls if passthrough => Speaks::Passthrough,
        ProtocolType::Tls => Speaks::Terminate,
        ProtocolType::Tcp => Speaks::Tcp,
        ProtocolType::Udp => Speaks::Udp,
        ProtocolType::Other(_) => Speaks::Unknown,
    }
}

/// The table of [L-3]: why two listeners on one port exclude each other.
fn conflict(a: &Listener, b: &Listener) -> Option<&'static str> {
    use Speaks::{Http, Https, Passthrough, Tcp, Terminate, Udp, Unknown};
    if a.port != b.port {
        return None;
    }
    let same_host = hostname(a) == hostname(b);
    match (speaks(a), speaks(b)) {
        (Unknown, _) | (_, Unknown) => None,
        (Udp, Udp) | (Tcp, Tcp) => Some("ProtocolConflict"),
        // Another transport.
        (Udp, _) | (_, Udp) => None,
        (Tcp, _) | (_, Tcp) => Some("ProtocolConflict"),
        (Http, Http) => same_host.then_some("HostnameConflict"),
        (Http, _) | (_, Http) => Some("ProtocolConflict"),
        // The server name tells them apart ([U-18], and TLSRouteModeMixed).
        (Https | Terminate | Passthrough, Https | Terminate | Passthrough) => same_host.then_some("HostnameConflict"),
    }
}

/// Kinds of routes that a listener serves, and whether it asks for one that it cannot serve ([L-8]).
pub(super) fn kinds(listener: &Listener) -> (Vec<&'static str>, bool) {
    let all: &[&'static str] = match speaks(listener) {
        Speaks::Http | Speaks::Https => &["HTTPRoute", "GRPCRoute"],
        Speaks::Terminate | Speaks::Passthrough => &["TLSRoute"],
        Speaks::Tcp => &["TCPRoute"],
        Speaks::Udp => &["UDPRoute"],
        Speaks::Unknown => &[],
    };
    let asked = listener.allowed_routes.as_ref().map_or(&[][..], |allowed| allowed.kinds.as_slice());
    if asked.is_empty() {
        return (all.to_vec(), false);
    }
    let is = |kind: &&str, ask: &gatewright::resource::status::RouteGroupKind| {
        ask.group.as_deref().unwrap_or(GROUP) == GROUP && ask.kind == **kind
    };
    let supported = all.iter().copied().filter(|kind| asked.iter().any(|ask| is(kind, ask))).collect();
    (supported, asked.iter().any(|ask| !all.iter().any(|kind| is(kind, ask))))
}

/// Whether `from` lets objects of a namespace in ([L-15], [L-17]).
fn allows(resources: &Resources, field: Option<&RouteNamespaces>, default: FromNamespaces, own: &str, namespace: &str) -> bool {
    match field.and_then(|field| field.from.clone()).unwrap_or(default) {
        FromNamespaces::All => true,
        FromNamespaces::Same => own == namespace,
        FromNamespaces::Selector => field.and_then(|field| field.selector.as_ref()).is_some_and(|s| selects(resources, s, namespace)),
        FromNamespaces::None | FromNamespaces::Other(_) => false,
    }
}

/// A label selector on a namespace, whose name is a label of every cluster.
fn selects(resources: &Resources, selector: &LabelSelector, namespace: &str) -> bool {
    let object = resources.namespaces.iter().find(|n| n.metadata.name == namespace);
    let mut labels = object.map(|n| n.metadata.labels.clone()).unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
    let wanted = selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    wanted
        && selector.match_expressions.iter().all(|e| match (&e.operator, labels.get(&e.key)) {
            (LabelSelectorOperator::In, value) => value.is_some_and(|value| e.values.contains(value)),
            (LabelSelectorOperator::NotIn, value) => value.is_none_or(|value| !e.values.contains(value)),
            (LabelSelectorOperator::Exists, value) => value.is_some(),
            (LabelSelectorOperator::DoesNotExist, value) => value.is_none(),
            (LabelSelectorOperator::Other(_), _) => false,
        })
}

/// Whether a listener lets routes of a namespace in; relative to the object that carries it ([L-15]).
pub(super) fn allows_routes(resources: &Resources, served: &Served<'_>, namespace: &str) -> bool {
    let field = served.listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    allows(resources, field, FromNamespaces::Same, served.owner.namespace, namespace)
}

/// What is wrong with a certificateRef ([L-11], [L-40]).
fn certificate(resources: &Resources, owner: Owner<'_>, to: &SecretObjectReference) -> Option<&'static str> {
    let namespace = to.namespace.as_deref().unwrap_or(owner.namespace);
    let (group, kind) = (to.group.as_deref().unwrap_or(""), to.kind.as_deref().unwrap_or("Secret"));
    if !permitted(resources, End(GROUP, owner.kind, owner.namespace, ""), End(group, kind, namespace, &to.name)) {
        return Some("RefNotPermitted");
    }
    let secret = resources.secrets.iter().find(|s| name_of(&s.metadata) == (namespace, to.name.as_str()));
    let whole =
        secret.is_some_and(|s| ["tls.crt", "tls.key"].iter().all(|key| s.string_data.contains_key(*key) || s.data.contains_key(*key)));
    ((group, kind) != ("", "Secret") || !whole).then_some("InvalidCertificateRef")
}

fn served<'r>(resources: &Resources, owner: Owner<'r>, listener: &'r Listener) -> Served<'r> {
    let needs = matches!(speaks(listener), Speaks::Https | Speaks::Terminate);
    let refs = listener.tls.as_ref().map_or(&[][..], |tls| tls.certificate_refs.as_slice());
    let problems: Vec<_> = refs.iter().map(|to| certificate(resources, owner, to)).collect();
    let mut bad: BTreeSet<&'static str> = problems.iter().copied().flatten().collect();
    if refs.is_empty() {
        bad.insert("InvalidCertificateRef");
    }
    if !needs {
        bad.clear();
    }
    // A reference that is not permitted is told first.
    if bad.contains("RefNotPermitted") {
        bad.retain(|reason| *reason == "RefNotPermitted");
    }
    Served { owner, listener, conflicts: BTreeSet::new(), bad_certificates: bad, can_serve: !needs || problems.contains(&None) }
}

/// A ListenerSet that names a Gateway.
#[derive(Clone, Debug)]
pub(super) struct Set<'r> {
    pub(super) owner: Owner<'r>,
    /// Reasons of which one is given when it adds nothing ([L-17], [L-18]); empty if it does.
    pub(super) refused: BTreeSet<&'static str>,
}

/// The listeners of a Gateway in order of precedence, and the ListenerSets that name it ([L-5]).
pub(super) fn of_gateway<'r>(resources: &'r Resources, gateway: &'r Gateway) -> (Vec<Served<'r>>, Vec<Set<'r>>) {
    let (namespace, name) = name_of(&gateway.metadata);
    let owner = Owner { kind: "Gateway", namespace, name };
    let mut all: Vec<Served<'r>> = gateway.spec.listeners.iter().map(|listener| served(resources, owner, listener)).collect();
    exclude_each_other(&mut all);
    let accepted = all.iter().any(Served::accepted);
    let mut by_age: Vec<&ListenerSet> = resources.listener_sets.iter().filter(|set| names(set, namespace, name)).collect();
    by_age.sort_by_key(|set| {
        let (namespace, name) = name_of(&set.metadata);
        (created(&set.metadata), format!("{namespace}/{name}"))
    });
    let allowed = gateway.spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    let mut sets = Vec::new();
    for set in by_age {
        let own = name_of(&set.metadata);
        let owner = Owner { kind: "ListenerSet", namespace: own.0, name: own.1 };
        let mut refused = BTreeSet::new();
        if !accepted {
            refused.insert("ParentNotAccepted");
        }
        if !allows(resources, allowed, FromNamespaces::None, namespace, own.0) {
            refused.insert("NotAllowed");
        }
        if refused.is_empty() {
            let mut added: Vec<Served<'r>> = set.spec.listeners.iter().map(|listener| served(resources, owner, listener)).collect();
            // An earlier listener that holds its place wins; only then those of the set exclude each other ([L-6]).
            for late in &mut added {
                let holders = all.iter().filter(|earlier| earlier.conflicts.is_empty());
                late.conflicts = holders.filter_map(|earlier| conflict(earlier.listener, late.listener)).collect();
            }
            let (mut alive, lost): (Vec<_>, Vec<_>) = added.into_iter().partition(|late| late.conflicts.is_empty());
            exclude_each_other(&mut alive);
            all.extend(alive);
            all.extend(lost);
        }
        sets.push(Set { owner, refused });
    }
    (all, sets)
}

/// Whether a ListenerSet names a Gateway.
fn names(set: &ListenerSet, namespace: &str, name: &str) -> bool {
    let parent = &set.spec.parent_ref;
    let kind = (parent.group.as_deref().unwrap_or(GROUP), parent.kind.as_deref().unwrap_or("Gateway"));
    let of = parent.namespace.as_deref().unwrap_or(name_of(&set.metadata).0);
    kind == (GROUP, "Gateway") && (of, parent.name.as_str()) == (namespace, name)
}

/// Inside of one object nobody wins ([L-4], [L-6]).
fn exclude_each_other(all: &mut [Served<'_>]) {
    let copies: Vec<Listener> = all.iter().map(|served| served.listener.clone()).collect();
    for (n, served) in all.iter_mut().enumerate() {
        let others = copies.iter().enumerate().filter(|(other, _)| *other != n);
        served.conflicts = others.filter_map(|(_, other)| conflict(served.listener, other)).collect();
    }
}

/// The most specific listener for a host or server name ([L-21], [L-23]).
pub(super) fn most_specific<'l, 'r>(listeners: &[&'l Served<'r>], host: Option<&str>) -> Option<&'l Served<'r>> {
    let covering = listeners.iter().copied().filter(|l| hosts::covers(l.hostname(), host));
    covering.max_by_key(|l| hosts::specificity(l.hostname()))
}
