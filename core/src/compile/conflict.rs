//! Which listeners exclude each other: in one Gateway nobody wins, between a Gateway and its ListenerSets the
//! first in precedence does ([L-1] to [L-6]).

use super::findings::Findings;
use super::listener::CheckedListener;
use crate::diagnostic::Code;
use crate::features::{Feature, Features};
use crate::resource::gateway::ProtocolType;
use crate::table::ListenerProtocol;

/// Why two listeners exclude each other ([L-3]).
pub(crate) fn conflict(one: &CheckedListener, other: &CheckedListener, features: Features) -> Option<&'static str> {
    use ProtocolType::{Http, Https, Tcp, Tls, Udp};
    // What could not be read has no place to hold.
    if one.port != other.port || !one.readable || !other.readable {
        return None;
    }
    let same_host = one.hostname == other.hostname;
    match (&one.written.0, &other.written.0) {
        (ProtocolType::Other(_), _) | (_, ProtocolType::Other(_)) => None,
        (Udp, Udp) => Some("ProtocolConflict"),
        (Udp, _) | (_, Udp) => None,
        (Tcp, _) | (_, Tcp) => Some("ProtocolConflict"),
        (Tls, Tls) if mixed(one, other) && !features.contains(Feature::TlsRouteModeMixed) => Some("ProtocolConflict"),
        // Server names tell HTTPS and TLS listeners apart ([U-18]).
        (Http, Http) | (Https, Https) | (Tls, Tls) | (Https, Tls) | (Tls, Https) => same_host.then_some("HostnameConflict"),
        _ => Some("ProtocolConflict"),
    }
}

/// Whether two TLS listeners differ in mode.
pub(crate) fn mixed(one: &CheckedListener, other: &CheckedListener) -> bool {
    use ListenerProtocol::{TlsPassthrough, TlsTerminate};
    matches!((one.protocol, other.protocol), (Some(TlsTerminate), Some(TlsPassthrough)) | (Some(TlsPassthrough), Some(TlsTerminate)))
}

/// Conflicts among the listeners of one object: every member of a conflicting group has one ([L-4], [L-6]), but
/// for those that have lost before. Gives the reasons by position.
pub(crate) fn within(listeners: &[CheckedListener], lost: &[bool], features: Features) -> Vec<Option<&'static str>> {
    let alive = |n: usize| !lost.get(n).copied().unwrap_or(false);
    let reason = |n: usize, one: &CheckedListener| {
        let others = listeners.iter().enumerate().filter(|(k, _)| *k != n && alive(*k));
        others.filter_map(|(_, other)| conflict(one, other, features)).next()
    };
    listeners.iter().enumerate().map(|(n, one)| alive(n).then(|| reason(n, one)).flatten()).collect()
}

/// Conflicts of later listeners with earlier ones that hold their place: the later lose ([L-5]).
pub(crate) fn with_earlier(later: &[CheckedListener], earlier: &[CheckedListener], features: Features) -> Vec<Option<&'static str>> {
    let holders = || earlier.iter().filter(|listener| listener.conflict.is_none());
    later.iter().map(|one| holders().find_map(|other| conflict(one, other, features))).collect()
}

/// Whether two listeners of one port answer TLS for a common host, so that a client may reuse a connection for
/// both ([L-33]).
pub(crate) fn overlap(one: &CheckedListener, other: &CheckedListener) -> bool {
    let tls = |listener: &CheckedListener| {
        listener.accepted() && listener.protocol.is_some_and(|protocol| protocol.of_port() == crate::table::PortProtocol::Tls)
    };
    one.port == other.port
        && tls(one)
        && tls(other)
        && crate::model::hostname::intersect(one.hostname.as_ref(), other.hostname.as_ref()).is_some()
}

/// Marks the listeners that a conflict excludes.
pub(crate) fn exclude(
    listeners: &mut [CheckedListener],
    earlier: &[CheckedListener],
    conflicts: Vec<Option<&'static str>>,
    features: Features,
    findings: &mut Findings,
) {
    // Two modes of TLS on one port are a mode that is not supported ([L-3]); any other conflict leaves a listener the
    // kinds that it serves ([A-6]).
    let of_mode = |one: &CheckedListener| listeners.iter().chain(earlier).any(|other| one.port == other.port && mixed(one, other));
    let mixed: Vec<bool> = listeners.iter().map(|one| !features.contains(Feature::TlsRouteModeMixed) && of_mode(one)).collect();
    for ((listener, reason), mixed) in listeners.iter_mut().zip(conflicts).zip(mixed) {
        let Some(reason) = reason else { continue };
        let message = format!("listener `{}` and another one on port {} exclude each other: {reason}", listener.name, listener.port);
        findings.error(Code::Listener, listener.path.clone(), message);
        listener.conflict = Some(reason);
        if mixed {
            listener.kinds.clear();
        }
    }
}
