//! Decides one request, and says in numbers what JavaScript looks up among the objects that it has made before.

use gatewright::Pick;
use gatewright::decision::{Decision, Parent, Reason};

use std::cell::RefCell;

use crate::head::{Head, Written};
use crate::place;

/// What a decision is, in numbers: match, backend, parent, reason, octets of the path in the target, flags.
pub(crate) type Numbers = [u32; 6];

/// Kinds, and what a request could not be decided for.
pub(crate) mod kind {
    pub(crate) const FORWARD: i32 = 0;
    pub(crate) const REDIRECT: i32 = 1;
    pub(crate) const RESPOND: i32 = 2;
    /// Not as many lines as is said: a line feed in a field.
    pub(crate) const MALFORMED: i32 = -1;
    /// No place of this number, or none for the scheme of the target.
    pub(crate) const NOWHERE: i32 = -3;
}

/// Stands for what a decision does not have.
pub(crate) const NONE: u32 = u32::MAX;

/// Bits of the last number.
mod flag {
    /// The target to forward is the one that came, octet for octet.
    pub(super) const TARGET_AS_SENT: u32 = 1;
    /// Nothing else is to be done than to send the request on. What the numbers do not say is the same for every such decision of this match and backend.
    pub(super) const PLAIN: u32 = 2;
}

/// Decides one request.
#[inline]
pub(crate) fn decide(place: u32, written: Written<'_>, pick: Pick, numbers: &mut Numbers) -> i32 {
    let Some(head) = Head::parse(written) else { return kind::MALFORMED };
    let decided =
        place::with(place, |spot| spot.ask(&head, |table, request| describe(&table.decide(&request, pick), head.target, numbers)).ok());
    decided.flatten().unwrap_or(kind::NOWHERE)
}

/// A pick from a number: a fraction of one, so that it fits into a double.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(crate) fn pick(fraction: f64) -> Pick {
    Pick((fraction * 18_446_744_073_709_551_616.0) as u64)
}

#[inline]
fn describe(decision: &Decision<'_>, sent: &[u8], numbers: &mut Numbers) -> i32 {
    let (match_, parent) = decision.matched().map_or((NONE, NONE), |matched| {
        let parent = match matched.parent {
            Parent::Listener(id) => id.index() << 1,
            Parent::Service(id) => id.index() << 1 | 1,
        };
        (matched.match_.index(), parent)
    });
    *numbers = [match_, NONE, parent, NONE, 0, 0];
    let [_, backend, _, reason, path, flags] = numbers;
    match decision {
        Decision::Forward(forward) => {
            *backend = forward.backend.index();
            let (first, second) = forward.target.path_pieces();
            *path = u32::try_from(first.len() + second.len()).unwrap_or(NONE);
            let len = first.len() + second.len() + forward.target.query().map_or(0, |query| query.len() + 1);
            // Of equal length and beginning, and not rewritten: what is kept of a target is never in another order.
            if !forward.target.is_rewritten() && second.is_empty() && len == sent.len() && sent.starts_with(first.as_bytes()) {
                *flags |= flag::TARGET_AS_SENT;
            }
            if forward.is_plain() {
                *flags |= flag::PLAIN;
            }
            kind::FORWARD
        }
        Decision::Redirect(_) => kind::REDIRECT,
        Decision::Respond(respond) => {
            *reason = reason_number(respond.reason, respond.grpc_status.is_some());
            kind::RESPOND
        }
        _ => kind::NOWHERE,
    }
}

/// A number for each reason that this thread has met, since a decision without a match is told by nothing else.
fn reason_number(reason: Reason, grpc: bool) -> u32 {
    thread_local! {
        static MET: RefCell<Vec<(Reason, bool)>> = const { RefCell::new(Vec::new()) };
    }
    MET.with_borrow_mut(|met| {
        let at = met.iter().position(|other| *other == (reason, grpc)).unwrap_or_else(|| {
            met.push((reason, grpc));
            met.len() - 1
        });
        u32::try_from(at).unwrap_or(NONE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Looked, Where};
    use crate::tables::{self, Held};

    const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: h, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - {matches: [{path: {value: /plain}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /slow}}], timeouts: {request: 1s}, backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]}
";

    #[test]
    fn numbers() {
        let loaded = gatewright::load::load_text("t", MANIFESTS);
        let mut options = gatewright::Options::default();
        options.missing_services = gatewright::MissingServices::Assume;
        let compiled = gatewright::compile(&loaded.resources, &options);
        let table = tables::add(Held { table: compiled.table, status: compiled.status, diagnostics: compiled.diagnostics });
        let Looked::At(at) = place::find(place::held(table).unwrap(), &Where::default()) else { panic!("no place") };
        let mut numbers = [0; 6];
        let mut ask = |target: &str, host: &str| {
            let written = Written { bits: 8, target: target.as_bytes(), host: host.as_bytes(), lines: b"" };
            (decide(at, written, pick(0.5), &mut numbers), numbers)
        };
        let (kind, [_, backend, _, reason, path, flags]) = ask("/plain/a?b", "a.example");
        assert_eq!((kind, reason, path, flags), (kind::FORWARD, NONE, 8, flag::TARGET_AS_SENT | flag::PLAIN));
        assert_ne!(backend, NONE);
        // Another spelling is not forwarded as it came.
        assert_eq!(ask("/plain/%61", "a.example").1[5], flag::PLAIN);
        assert_eq!(ask("http://a.example/plain", "b.example").1[5], flag::PLAIN);
        assert_eq!(ask("/slow", "a.example").1[5], flag::TARGET_AS_SENT);
        assert_eq!(ask("/old", "a.example").0, kind::REDIRECT);
        let (kind, [match_, _, parent, reason, ..]) = ask("/none", "a.example");
        assert_eq!((kind, match_, parent), (kind::RESPOND, NONE, NONE));
        assert_ne!(reason, ask("/plain", "a b").1[3]);
        // This Gateway has one port, and it has no TLS.
        assert_eq!(ask("https://a.example/plain", "a.example").0, kind::RESPOND);
        let written = Written { bits: 0, target: b"/", host: b"", lines: b"" };
        assert_eq!(decide(at + 1, written, pick(0.0), &mut [0; 6]), kind::NOWHERE);
        assert_eq!(decide(at, Written { bits: 16, ..written }, pick(0.0), &mut [0; 6]), kind::MALFORMED);
    }

    /// Whole numbers up to 2^53 and shares of the whole are the same pick in both forms.
    #[test]
    fn picks_as_fractions() {
        assert_eq!(pick(0.0), Pick(0));
        assert_eq!(pick(7.0 / 18_446_744_073_709_551_616.0), Pick(7));
        assert_eq!(pick(0.75), Pick(3 << 62));
        assert_eq!(pick(f64::NAN), Pick(0));
    }
}
