//! The answer to a request, as plain data borrowed from the table and the request.
//!
//! A decision carries small ids; the [`Table`](crate::Table) turns them into names. Carrying it out is the
//! work of [`apply`](crate::apply).

mod reason;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

pub use self::reason::{GrpcStatus, Reason};
use crate::canonical::{KnownFields, of_one_hop};
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
