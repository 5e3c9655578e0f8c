//! The answer to a request, as plain data borrowed from the table and the request.
//!
//! A decision carries small ids; the [`Table`](crate::Table) turns them into names. Carrying it out is the
//! work of [`apply`](crate::apply).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::canonical::{KnownFields, Refusal, of_one_hop};
use crate::diagnostic::ObjectRef;
use crate::model::auth::ExternalAuth;
use crate::model::cors::Cors;
use crate::model::filter::{HeaderModifier, Mirror, Scheme};
use crate::model::retry::Retry;
use crate::request::{Headers, Pick};
use crate::session::Session;
use crate::table::{BackendId, FrontendId, ListenerId, MatchId, RouteId, RuleId};

/// What is to be done with a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Decision<'a> {
    /// Send it to a backend.
    Forward(Forward<'a>),
    /// Answer with a redirect.
    Redirect(Redirect<'a>),
    /// Answer with a status.
    Respond(Respond<'a>),
}

impl<'a> Decision<'a> {
    /// The match that gave the decision; `None` when no match did (404, 421, a refusal).
    pub fn matched(&self) -> Option<Matched> {
        match self {
            Self::Forward(d) => Some(d.matched),
            Self::Redirect(d) => Some(d.matched),
            Self::Respond(d) => d.matched,
        }
    }

    /// The status code, when the decision is an answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Forward(_) => None,
            Self::Redirect(d) => Some(d.status),
            Self::Respond(d) => Some(d.status),
        }
    }
}

/// What a route that decided is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parent {
    /// A listener of a Gateway or ListenerSet.
    Listener(ListenerId),
    /// A port of a Service in a mesh.
    Service(FrontendId),
}

impl Parent {
    /// The listener, if it is one.
    pub const fn listener(self) -> Option<ListenerId> {
        match self {
            Self::Listener(id) => Some(id),
            Self::Service(_) => None,
        }
    }
}

/// Which match of which rule of which route, at which parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matched {
    /// The parent.
    pub parent: Parent,
    /// The route.
    pub route: RouteId,
    /// The rule.
    pub rule: RuleId,
    /// The match.
    pub match_: MatchId,
}

/// Send the request to a backend.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Forward<'a> {
    /// What matched.
    pub matched: Matched,
    /// The backend ([B-1]).
    pub backend: BackendId,
    /// The only target that may be forwarded ([R-P11]).
    pub target: Target<'a>,
    /// The only authority that may be forwarded: the client's spelling unless rewritten ([R-H4], [F-30]).
    /// `None` only for an HTTP/1.0 request without Host.
    pub authority: Option<&'a str>,
    /// Edits of the request's header fields.
    pub request_headers: HeaderEdits<'a>,
    /// By which aliases are told.
    pub(crate) known_fields: &'a KnownFields,
    pub(crate) keeps_aliases: bool,
    /// Edits of the response, whoever makes it ([F-7]).
    pub response: ResponseEdits<'a>,
    /// Backends that get a copy.
    pub mirrors: Mirrors<'a>,
    /// Timeouts ([TO-1]).
    pub timeouts: Timeouts,
    /// Retries ([RT-1]).
    pub retry: Option<&'a Retry>,
    /// Session persistence ([SP-1]).
    pub session: Option<Session<'a>>,
    /// A service to ask first ([E-1]); a request that it does not allow goes nowhere.
    pub auth: Option<Check<'a>>,
    /// Filters of the embedding program's own ([F-60]).
    pub extensions: Extensions<'a>,
}

impl Forward<'_> {
    /// Whether the rule does nothing with the request but to send it to the backend: no edits, no rewrite, no timeouts,
    /// nothing to ask or to copy.
    pub fn is_plain(&self) -> bool {
        let Self { request_headers, response, mirrors, timeouts, retry, session, auth, extensions, target, .. } = self;
        let edits = request_headers.is_empty() && response.headers.is_empty() && response.cors.is_none();
        let more = retry.is_some() || session.is_some() || auth.is_some() || *timeouts != Timeouts::default();
        edits && !more && !target.is_rewritten() && extensions.is_empty() && mirrors.all.iter().all(|list| list.is_empty())
    }

    /// The names of the request's header fields that must not be forwarded: those of one hop, those that `Connection`
    /// names, and aliases of known names ([R-F4] to [R-F6]). They go before the edits, which then cannot be
    /// taken back. [`apply::forward`](crate::apply::forward) does all of it.
    ///
    /// `Connection` and `Upgrade` are among them: an upgrade is the caller's to carry out. `TE: trailers` is not.
    pub fn dropped<'h, H: Headers + ?Sized>(&self, headers: &'h H) -> impl Iterator<Item = &'h [u8]> {
        let (known, keeps) = (self.known_fields, self.keeps_aliases);
        let alias = move |name: &[u8]| !keeps && known.original(name).is_some();
        let of_one_hop = of_one_hop(headers);
        headers.names().filter(move |name| alias(name) || of_one_hop(name))
    }

    /// Whether a field of the request's trailer section must not be forwarded: those never enter matches, and some
    /// backends take them for header fields ([R-F8]). All that the table or the gateway knows by name, and aliases of
    /// those.
    pub fn drops_trailer(&self, name: &[u8]) -> bool {
        self.known_fields.knows(name)
    }
}

/// Answer with a redirect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirect<'a> {
    /// What matched.
    pub matched: Matched,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Value of the `Location` field; render it with `to_string`.
    pub location: Location<'a>,
    /// Edits of the response ([F-7]).
    pub response: ResponseEdits<'a>,
    /// A service to ask first, as for [`Forward::auth`]: a redirect may tell secrets, too.
    pub auth: Option<Check<'a>>,
    /// Filters of the embedding program's own, which run before the redirect ([F-3]).
    pub extensions: Extensions<'a>,
}

/// Answer with a status and an empty body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Respond<'a> {
    /// What matched, if something did.
    pub matched: Option<Matched>,
    /// The status for an HTTP client.
    pub status: StatusCode,
    /// For a gRPC client: the gRPC status, sent with HTTP status 200 and no body ([G-10]).
    pub grpc_status: Option<GrpcStatus>,
    /// Why.
    pub reason: Reason,
    /// Edits of the response ([F-7]); for a CORS preflight these are the answer.
    pub response: ResponseEdits<'a>,
    /// For a rule of which only the backend is missing ([`Reason::NoBackends`], [`Reason::ZeroWeights`],
    /// [`Reason::InvalidBackend`], [`Reason::NoEndpoints`]): a service to ask before the extensions run.
    pub auth: Option<Check<'a>>,
    /// What that service is asked about; given with `auth`.
    pub target: Option<Target<'a>>,
    /// For the same: filters of the embedding program's own, of which one may answer instead ([F-6]).
    pub extensions: Extensions<'a>,
}

/// A service to ask before anything else is done with a request ([E-1]); see [`apply::auth`](crate::apply::auth).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Check<'a> {
    /// The service, and how it is asked.
    pub service: &'a ExternalAuth,
    /// The authority of the client's request, whatever the rule rewrites it to.
    pub authority: Option<&'a str>,
}

/// The filters that the embedding program runs itself ([F-60]): after the authorization service and before the header
/// modifiers of their level ([F-3]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    /// Those of the rule, then those of the chosen backend.
    pub(crate) all: [&'a [ObjectRef]; 2],
}

impl<'a> Extensions<'a> {
    /// The filters of the rule, once for each request.
    pub fn of_rule(&self) -> &'a [ObjectRef] {
        self.all[0]
    }

    /// The filters of the chosen backend, once for each attempt ([F-70]).
    pub fn of_backend(&self) -> &'a [ObjectRef] {
        self.all[1]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.iter().all(|list| list.is_empty())
    }

    /// All of them, in the order in which they run.
    pub fn iter(&self) -> impl Iterator<Item = &'a ObjectRef> + use<'a> {
        self.all.into_iter().flatten()
    }
}

/// Why a request is answered without a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request breaks a rule of the canonical form; the refusal names it: 400, 405, 414 or 501.
    Refused(Refusal),
    /// No listener of the port accepts the host: 404 ([L-21]).
    NoListener,
    /// No match of the listener holds: 404 ([M-17]).
    NoRoute,
    /// The connection's listener is not the one for this host: 421 ([L-24]).
    Misdirected,
    /// The rule has no backend and no filter that answers: 500 ([B-5]).
    NoBackends,
    /// The chosen backendRef is invalid: 500 ([B-4]).
    InvalidBackend,
    /// All weights are zero: 500 ([B-3]).
    ZeroWeights,
    /// The chosen backend has no ready endpoint: 503 ([B-8]).
    NoEndpoints,
    /// A filter cannot be resolved and must not be skipped: 500 ([F-60]).
    UnresolvedFilter,
    /// The rule is invalid in a way that must not widen access: 500 ([U-29]).
    InvalidRule,
    /// A CORS preflight, answered here: 204 ([C-1]).
    CorsPreflight,
}

impl Reason {
    /// The status for an HTTP client.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::NoListener | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NoEndpoints => StatusCode::SERVICE_UNAVAILABLE,
            Self::CorsPreflight => StatusCode::NO_CONTENT,
            Self::NoBackends | Self::InvalidBackend | Self::ZeroWeights | Self::UnresolvedFilter | Self::InvalidRule => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The status for a client of gRPC ([G-10]); `None` where only the HTTP status says what to do.
    pub fn grpc_status(self) -> Option<GrpcStatus> {
        match self {
            Self::Refused(_) => Some(GrpcStatus::Internal),
            Self::NoListener | Self::NoRoute => Some(GrpcStatus::Unimplemented),
            // The client is to try again on another connection (RFC 9110 15.5.20).
            Self::Misdirected | Self::CorsPreflight => None,
            _ => Some(GrpcStatus::Unavailable),
        }
    }

    /// A stable word for logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.as_str(),
            Self::NoListener => "NoListener",
            Self::NoRoute => "NoRoute",
            Self::Misdirected => "Misdirected",
            Self::NoBackends => "NoBackends",
            Self::InvalidBackend => "InvalidBackend",
            Self::ZeroWeights => "ZeroWeights",
            Self::NoEndpoints => "NoEndpoints",
            Self::UnresolvedFilter => "UnresolvedFilter",
            Self::InvalidRule => "InvalidRule",
            Self::CorsPreflight => "CorsPreflight",
        }
    }
}

/// A sentence for a person.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(refusal) => return refusal.fmt(f),
            Self::NoListener => "no listener of the port accepts this host",
            Self::NoRoute => "no route matches",
            Self::Misdirected => "the connection belongs to another listener than this host",
            Self::NoBackends => "the rule has no backend and no filter that answers",
            Self::InvalidBackend => "the chosen backendRef is invalid",
            Self::ZeroWeights => "all weights of the rule are zero",
            Self::NoEndpoints => "the chosen backend has no ready endpoint",
            Self::UnresolvedFilter => "a filter of the rule cannot be resolved",
            Self::InvalidRule => "the rule is invalid and fails closed",
            Self::CorsPreflight => "CORS preflight answered by the gateway",
        })
    }
}

/// A gRPC status code that this library, or a filter of the embedding program, answers with: every one but that of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrpcStatus {
    /// 1: the client has given up.
    Cancelled,
    /// 2: nobody knows what.
    Unknown,
    /// 3: what the client asks makes no sense.
    InvalidArgument,
    /// 4: it took too long.
    DeadlineExceeded,
    /// 5: what is asked for is not there.
    NotFound,
    /// 6: what is to be made is there.
    AlreadyExists,
    /// 7: an authorization service says no.
    PermissionDenied,
    /// 8: the client has had its share.
    ResourceExhausted,
    /// 9: not in this state.
    FailedPrecondition,
    /// 10: something else came in between.
    Aborted,
    /// 11: beyond the end.
    OutOfRange,
    /// 12: no such method.
    Unimplemented,
    /// 13: the request is malformed.
    Internal,
    /// 14: no backend can answer.
    Unavailable,
    /// 15: data is lost or broken.
    DataLoss,
    /// 16: the client has not shown who it is.
    Unauthenticated,
}

impl GrpcStatus {
    const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The status with this number; `None` for 0, which is no failure, and for what gRPC does not define.
    ///
    /// ```
    /// use gatewright::decision::GrpcStatus;
    ///
    /// assert_eq!(GrpcStatus::from_code(14), Some(GrpcStatus::Unavailable));
    /// assert_eq!(GrpcStatus::from_code(0), None);
    /// ```
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// What a failure of the gateway with this HTTP status is for a gRPC client: 14 for those of the server, else 13.
    pub fn of_failure(status: StatusCode) -> Self {
        if status.is_server_error() { Self::Unavailable } else { Self::Internal }
    }

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Cancelled => 1,
            Self::Unknown => 2,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Aborted => 10,
            Self::OutOfRange => 11,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::DataLoss => 15,
            Self::Unauthenticated => 16,
        }
    }
}

/// The request target: canonical, rewritten if the rule says so ([R-P11], [F-31]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) query: Option<&'a str>,
    pub(crate) rewrite: Rewrite<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite<'a> {
    None,
    Full(&'a str),
    /// Replace the first `matched` octets of the path.
    Prefix {
        matched: usize,
        replacement: &'a str,
    },
}

impl<'a> Target<'a> {
    /// The canonical path of the request, before any rewrite: the one that was matched.
    pub fn request_path(&self) -> &str {
        &self.path
    }

    /// The query as received, without `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The path to forward, in two pieces that are to be joined. Does not allocate.
    pub fn path_pieces(&self) -> (&str, &str) {
        match self.rewrite {
            Rewrite::None => (&self.path, ""),
            Rewrite::Full(path) => (path, ""),
            Rewrite::Prefix { matched, replacement } => {
                let rest = self.path.get(matched..).unwrap_or("");
                if replacement.is_empty() && rest.is_empty() { ("/", "") } else { (replacement, rest) }
            }
        }
    }

    /// The path to forward; allocates only if a prefix is replaced.
    pub fn path(&self) -> Cow<'_, str> {
        match self.path_pieces() {
            (whole, "") => Cow::Borrowed(whole),
            ("", rest) => Cow::Borrowed(rest),
            (replacement, rest) => Cow::Owned([replacement, rest].concat()),
        }
    }

    /// Whether the rule changes the path.
    pub fn is_rewritten(&self) -> bool {
        self.rewrite != Rewrite::None
    }
}

/// Path and query, as they are to be forwarded.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.path_pieces();
        f.write_str(first)?;
        f.write_str(second)?;
        if let Some(query) = self.query {
            f.write_str("?")?;
            f.write_str(query)?;
        }
        Ok(())
    }
}

/// The value of a `Location` field ([F-20], [R-M1]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) host: Option<&'a str>,
    pub(crate) port: u16,
    pub(crate) target: Target<'a>,
}

impl<'a> Location<'a> {
    /// The target of the request, and what the redirect makes of it.
    pub fn target(&self) -> &Target<'a> {
        &self.target
    }
}

/// `scheme://host[:port]/path[?query]`, host in lower case, the scheme's own port left out ([F-23]).
impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let Some(host) = self.host else {
            // An HTTP/1.0 request without Host: a relative reference, never one that starts with `//`.
            if self.target.path().starts_with("//") {
                f.write_str("/.")?;
            }
            return self.target.fmt(f);
        };
        write!(f, "{}://", self.scheme.as_str())?;
        for c in host.chars() {
            f.write_char(c.to_ascii_lowercase())?;
        }
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        self.target.fmt(f)
    }
}

/// Edits of header fields: those of the rule, then those of the chosen backend ([F-14]).
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderEdits<'a> {
    /// The modifiers in the order in which they are applied.
    pub(crate) modifiers: [Option<&'a HeaderModifier>; 2],
}

impl<'a> HeaderEdits<'a> {
    /// Whether there is nothing to edit.
    pub fn is_empty(&self) -> bool {
        self.modifiers().all(HeaderModifier::is_empty)
    }

    /// The modifiers in the order in which they are applied.
    pub fn modifiers(&self) -> impl Iterator<Item = &'a HeaderModifier> + use<'a> {
        self.modifiers.into_iter().flatten()
    }
}

/// Edits of a response: header modifiers of the backend, then of the rule, then CORS ([F-3]).
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseEdits<'a> {
    pub(crate) headers: HeaderEdits<'a>,
    pub(crate) cors: Option<CorsAnswer<'a>>,
}

impl<'a> ResponseEdits<'a> {
    /// The header modifiers.
    pub fn headers(&self) -> HeaderEdits<'a> {
        self.headers
    }

    /// The CORS fields, when the rule has a CORS filter.
    pub fn cors(&self) -> Option<CorsAnswer<'a>> {
        self.cors
    }
}

/// What a CORS filter adds to a response ([C-3], [C-5]).
#[derive(Clone, Copy, Debug)]
pub struct CorsAnswer<'a> {
    pub(crate) cors: &'a Cors,
    /// The request's Origin, if the filter allows it.
    pub(crate) origin: Option<&'a [u8]>,
    /// For a preflight: the method and the header fields it asks for.
    pub(crate) preflight: Option<Preflight<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Preflight<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) headers: Option<&'a [u8]>,
}

/// The backends that get a copy of this request ([F-41]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Mirrors<'a> {
    /// Those of the rule, then those of the chosen backend.
    pub(crate) all: [&'a [Mirror]; 2],
    pub(crate) pick: Pick,
}

impl<'a> Mirrors<'a> {
    /// The backends, each chosen independently by the share of its filter.
    pub fn iter(&self) -> impl Iterator<Item = BackendId> + use<'a> {
        let pick = self.pick;
        self.all.into_iter().flatten().enumerate().filter_map(move |(n, mirror)| {
            let drawn = pick.derive(u64::try_from(n).unwrap_or(u64::MAX)).below(u64::from(mirror.denominator));
            (drawn < u64::from(mirror.numerator)).then_some(mirror.backend)
        })
    }
}

/// The timeouts of a rule; `None` is no timeout: absent, or `0s` ([TO-3]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// For the whole request ([TO-1]).
    pub request: Option<Duration>,
    /// For each attempt at a backend ([TO-2]).
    pub backend_request: Option<Duration>,
}
