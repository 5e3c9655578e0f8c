//! Decisions that borrow nothing: for programs that keep one while its request goes on, and for other languages.
//!
//! A [`Decision`] borrows from the table and from the request. What most rules do is kept as ids and two texts. Of any
//! other decision the request is kept: with the same pick the table decides the same again, so that no rule is written
//! twice for the sake of ownership.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;

use crate::decision::{Decision, Extensions, GrpcStatus, Matched, Reason, Respond, ResponseEdits, Rewrite, Target};
use crate::request::{Arrival, Authority, Headers, Pick, Place, Request};
use crate::session::Sessions;
use crate::table::{BackendId, ListenerId, Table};

/// Keys and time of the request, if sessions are kept.
#[cfg(feature = "session")]
type Keys = Option<(crate::session::SessionKeys, u64)>;
#[cfg(not(feature = "session"))]
type Keys = Option<std::convert::Infallible>;

/// A decision that owns what it needs, its table included.
///
/// ```
/// use gatewright::{Arrival, Authority, Decision, Options, Pick, Request, Resources, compile};
///
/// # let manifests = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}}";
/// # #[cfg(feature = "yaml")] {
/// # let resources = gatewright::load::load_text("", manifests).resources;
/// let owned = {
///     let table = compile(&resources, &Options::default()).table;
///     let headers: [(&str, &str); 0] = [];
///     let request = Request {
///         arrival: Arrival::on(table.ports()[0].id),
///         method: "GET",
///         scheme: None,
///         authority: Authority::Given(b"example.com"),
///         target: b"/",
///         headers: &headers,
///     };
///     table.decide_owned(&request, Pick(0))
/// };
/// assert!(matches!(owned.decision(), Decision::Respond(respond) if respond.status == 404));
/// # }
/// ```
#[derive(Clone)]
pub struct OwnedDecision {
    table: Table,
    kept: Kept,
}

/// Which [`Decision`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecisionKind {
    /// [`Decision::Forward`]
    Forward,
    /// [`Decision::Redirect`]
    Redirect,
    /// [`Decision::Respond`]
    Respond,
}

#[derive(Clone)]
enum Kept {
    /// A plain [`Forward`](crate::decision::Forward).
    Plain(Plain),
    /// An answer to a request that nothing matched.
    Unmatched(Reason, Option<GrpcStatus>),
    /// Any other one.
    Again(Box<Again>),
}

#[derive(Clone)]
struct Plain {
    matched: Matched,
    backend: BackendId,
    /// Path, query and authority, one after the other: one allocation.
    text: Box<str>,
    path: u32,
    /// Where the query ends, if there is one.
    query: Option<u32>,
    has_authority: bool,
}

/// A request to decide again.
#[derive(Clone)]
struct Again {
    kind: DecisionKind,
    place: Place,
    sni: Option<Box<str>>,
    listener: Option<ListenerId>,
    method: Box<str>,
    scheme: Option<Box<str>>,
    authority: Authority<'static>,
    /// What `authority` has been given.
    given: Box<[u8]>,
    target: Box<[u8]>,
    headers: Fields,
    pick: Pick,
    #[cfg_attr(not(feature = "session"), allow(dead_code, reason = "there are no keys"))]
    keys: Keys,
}

impl Table {
    /// [`decide`](Self::decide), and the decision borrows nothing. Allocates once for what most rules do.
    pub fn decide_owned<H: Headers + ?Sized>(&self, request: &Request<'_, H>, pick: Pick) -> OwnedDecision {
        self.own(&self.decide(request, pick), request, pick, None)
    }

    /// [`decide_with_sessions`](Self::decide_with_sessions), and the decision borrows nothing.
    #[cfg(feature = "session")]
    pub fn decide_owned_with_sessions<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        pick: Pick,
        sessions: &Sessions<'_>,
    ) -> OwnedDecision {
        let decision = self.decide_with_sessions(request, pick, sessions);
        self.own(&decision, request, pick, Some((sessions.keys.clone(), sessions.now)))
    }

    fn own<H: Headers + ?Sized>(&self, decision: &Decision<'_>, request: &Request<'_, H>, pick: Pick, keys: Keys) -> OwnedDecision {
        let kind = match decision {
            Decision::Forward(forward) if forward.is_plain() => {
                let plain = Plain::new(forward.matched, forward.backend, &forward.target, forward.authority);
                if let Some(plain) = plain {
                    return OwnedDecision { table: self.clone(), kept: Kept::Plain(plain) };
                }
                DecisionKind::Forward
            }
            Decision::Forward(_) => DecisionKind::Forward,
            Decision::Redirect(_) => DecisionKind::Redirect,
            Decision::Respond(respond) if respond.matched.is_none() => {
                return OwnedDecision { table: self.clone(), kept: Kept::Unmatched(respond.reason, respond.grpc_status) };
            }
            Decision::Respond(_) => DecisionKind::Respond,
        };
        OwnedDecision { table: self.clone(), kept: Kept::Again(Box::new(Again::new(kind, request, pick, keys))) }
    }
}

impl OwnedDecision {
    /// The decision. Cheap for what most rules do; any other one is decided again.
    pub fn decision(&self) -> Decision<'_> {
        match &self.kept {
            Kept::Plain(plain) => Decision::Forward(self.table.plain(plain.matched, plain.backend, plain.target(), plain.authority())),
            Kept::Unmatched(reason, grpc_status) => Decision::Respond(Respond {
                matched: None,
                status: reason.status(),
                grpc_status: *grpc_status,
                reason: *reason,
                response: ResponseEdits::default(),
                auth: None,
                target: None,
                extensions: Extensions::default(),
            }),
            Kept::Again(again) => again.decide(&self.table),
        }
    }

    /// Which one it is, without deciding again.
    pub fn kind(&self) -> DecisionKind {
        match &self.kept {
            Kept::Plain(_) => DecisionKind::Forward,
            Kept::Unmatched(..) => DecisionKind::Respond,
            Kept::Again(again) => again.kind,
        }
    }

    /// The table that has decided.
    pub fn table(&self) -> &Table {
        &self.table
    }
}

impl fmt::Debug for OwnedDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedDecision").field(&self.decision()).finish()
    }
}

impl Plain {
    /// `None` for texts that no request has.
    fn new(matched: Matched, backend: BackendId, target: &Target<'_>, authority: Option<&str>) -> Option<Self> {
        let path = target.request_path();
        let query = target.query.unwrap_or_default();
        let mut text = String::with_capacity(path.len().saturating_add(query.len()).saturating_add(authority.map_or(0, str::len)));
        [path, query, authority.unwrap_or_default()].iter().for_each(|part| text.push_str(part));
        let path = u32::try_from(path.len()).ok()?;
        let end = path.checked_add(u32::try_from(query.len()).ok()?)?;
        Some(Self { matched, backend, text: text.into(), path, query: target.query.map(|_| end), has_authority: authority.is_some() })
    }

    fn part(&self, from: u32, to: Option<u32>) -> &str {
        let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        self.text.get(place(from)..to.map_or(self.text.len(), place)).unwrap_or_default()
    }

    fn target(&self) -> Target<'_> {
        let path = Cow::Borrowed(self.part(0, Some(self.path)));
        Target { path, query: self.query.map(|end| self.part(self.path, Some(end))), rewrite: Rewrite::None }
    }

    fn authority(&self) -> Option<&str> {
        self.has_authority.then(|| self.part(self.query.unwrap_or(self.path), None))
    }
}

impl Again {
    fn new<H: Headers + ?Sized>(kind: DecisionKind, request: &Request<'_, H>, pick: Pick, keys: Keys) -> Self {
        let (authority, given) = match request.authority {
            Authority::Given(octets) => (Authority::Given(b""), octets.into()),
            Authority::Absent => (Authority::Absent, Box::default()),
            Authority::Missing => (Authority::Missing, Box::default()),
            Authority::Ambiguous => (Authority::Ambiguous, Box::default()),
        };
        Self {
            kind,
            place: request.arrival.place,
            sni: request.arrival.sni.map(Into::into),
            listener: request.arrival.listener,
            method: request.method.into(),
            scheme: request.scheme.map(Into::into),
            authority,
            given,
            target: request.target.into(),
            headers: Fields::new(request.headers),
            pick,
            keys,
        }
    }

    fn decide<'a>(&'a self, table: &'a Table) -> Decision<'a> {
        let request = Request {
            arrival: Arrival { place: self.place, sni: self.sni.as_deref(), listener: self.listener },
            method: &self.method,
            scheme: self.scheme.as_deref(),
            authority: match self.authority {
                Authority::Given(_) => Authority::Given(&self.given),
                other => other,
            },
            target: &self.target,
            headers: &self.headers,
        };
        #[cfg(feature = "session")]
        let sessions = self.keys.as_ref().map(|(keys, now)| Sessions { keys, now: *now });
        #[cfg(not(feature = "session"))]
        let sessions: Option<Sessions<'_>> = None;
        table.decide_by(&request, self.pick, sessions.as_ref())
    }
}

/// Header fields in one piece of memory.
#[derive(Clone)]
struct Fields {
    octets: Box<[u8]>,
    /// Where each name begins, and where each value begins and ends.
    places: Box<[[u32; 3]]>,
}

impl Fields {
    fn new<H: Headers + ?Sized>(headers: &H) -> Self {
        let mut octets = Vec::new();
        let mut places = Vec::new();
        for (name, value) in headers.fields() {
            let mut end = |more: &[u8]| {
                octets.extend_from_slice(more);
                u32::try_from(octets.len()).unwrap_or(u32::MAX)
            };
            places.push([end(b""), end(name), end(value)]);
        }
        Self { octets: octets.into(), places: places.into() }
    }

    fn part(&self, from: u32, to: u32) -> &[u8] {
        let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        self.octets.get(place(from)..place(to)).unwrap_or_default()
    }
}

impl Headers for Fields {
    fn values<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.fields().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_str().as_bytes())).map(|(_, value)| value)
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields().map(|(name, _)| name)
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|[name, value, end]| (self.part(*name, *value), self.part(*value, *end)))
    }
}
