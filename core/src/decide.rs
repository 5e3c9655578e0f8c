//! Stage 4, **deciding**: from a request to a decision, by way of one canonical form ([R-P11]).

use http::{HeaderName, StatusCode, header};

use crate::blob::Blob;
use crate::canonical::{CanonicalTarget, Fields, Host, HostKind, Refusal, RequestAuthority, TargetForm};
use crate::canonical::{canonical_target, check_method, parse_authority, split_form};
use crate::decision::{
    Check, CorsAnswer, Decision, Extensions, Forward, HeaderEdits, Location, Matched, Mirrors, Parent, Preflight, Reason, Redirect,
    Respond, ResponseEdits, Rewrite, Target, Timeouts,
};
use crate::model::filter::{self, Filters, PathModifier, Scheme};
use crate::model::matching::{Subject, is_grpc};
use crate::options::{AliasHeaders, HostnameFallback, Preflights, Reading, RedirectPort};
use crate::request::{Authority, Headers, Pick, Place, Request};
use crate::session::{Choice, Sessions};
use crate::table::host_map::HostMap;
use crate::table::path_index::{Found, Search};
use crate::table::rule::RuleData;
use crate::table::{ANY_PORT, BackendId, ListenerId, PortId, PortProtocol, Table};

// Statics, because a borrow of them outlives the call.
static ORIGIN: HeaderName = header::ORIGIN;
static REQUEST_METHOD: HeaderName = header::ACCESS_CONTROL_REQUEST_METHOD;
static REQUEST_HEADERS: HeaderName = header::ACCESS_CONTROL_REQUEST_HEADERS;

impl Table {
    /// Decides one request. Never fails and never panics; a request without an answer in the table is a
    /// decision too (404). Allocates nothing for a request whose target is already canonical.
    ///
    /// Header fields that `Connection` names are not seen, nor are aliases of known names ([R-F4], [R-F5]);
    /// [`Forward::dropped`] says which fields must not be forwarded.
    pub fn decide<'a, H: Headers + ?Sized>(&'a self, request: &Request<'a, H>, pick: Pick) -> Decision<'a> {
        self.decide_by(request, pick, None)
    }

    pub(crate) fn decide_by<'a, H: Headers + ?Sized>(
        &'a self,
        request: &Request<'a, H>,
        pick: Pick,
        sessions: Option<&Sessions<'_>>,
    ) -> Decision<'a> {
        // A client of gRPC understands `grpc-status` ([G-10]). Its content type is read only where it counts.
        let unmatched = |reason| Decision::Respond(respond(None, reason, request.headers, ResponseEdits::default()));
        match self.read(request) {
            Err(reason) => unmatched(reason),
            Ok(read) => match self.find(&read, request) {
                None => unmatched(Reason::NoRoute),
                Some(winner) => self.outcome(winner, read, request, pick, sessions),
            },
        }
    }

    /// Reads the request in its canonical form and finds its listener.
    #[inline]
    pub(crate) fn read<'a, H: Headers + ?Sized>(&'a self, request: &Request<'a, H>) -> Result<Read<'a, H>, Reason> {
        // Asked first, since it waits for memory that nothing else has asked for.
        let fields = Fields::read(request.headers);
        check_method(request.method).map_err(Reason::Refused)?;
        let (scheme, authority, target) = match split_form(request.method, request.target).map_err(Reason::Refused)? {
            TargetForm::Origin(target) => (request.scheme, request.authority, Some(target)),
            // RFC 9112 section 3.2.2: the authority of the target replaces Host.
            TargetForm::Absolute { scheme, authority, target } => (Some(scheme), Authority::Given(authority), Some(target)),
            TargetForm::Asterisk => (request.scheme, request.authority, None),
        };
        let authority = match authority {
            Authority::Given(raw) => Some(parse_authority(raw).map_err(Reason::Refused)?),
            Authority::Absent => None,
            Authority::Missing => return Err(Reason::Refused(Refusal::MissingAuthority)),
            Authority::Ambiguous => return Err(Reason::Refused(Refusal::AmbiguousAuthority)),
        };
        let choices = &self.inner.choices;
        let target = match target {
            Some(target) => Some(canonical_target(target, choices.paths).map_err(Reason::Refused)?),
            None => None,
        };
        let fields = fields.map_err(Reason::Refused)?;
        if choices.alias_headers == AliasHeaders::Reject
            && request.headers.names().any(|name| self.inner.parents.known_fields.original(name).is_some())
        {
            return Err(Reason::Refused(Refusal::HeaderAlias));
        }
        // A client of gRPC does not follow redirects.
        if target.as_ref().is_some_and(|target| target.redirect) && is_grpc(request.headers) {
            return Err(Reason::Refused(Refusal::EncodedSlash));
        }
        let (parent, expected) = match request.arrival.place {
            Place::Port(id) => {
                let port = self.port(id).ok_or(Reason::NoListener)?;
                let scheme = match port.protocol {
                    PortProtocol::Http => Scheme::Http,
                    PortProtocol::Tls => Scheme::Https,
                    PortProtocol::Tcp | PortProtocol::Udp => return Err(Reason::NoListener),
                };
                (None, scheme)
            }
            // The Service is the identity that counts, whatever the host says ([A-23]).
            Place::Service(id) => (Some(Parent::Service(self.frontend(id).ok_or(Reason::NoListener)?.id)), Scheme::Http),
        };
        if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case(expected.as_str())) {
            return Err(Reason::Refused(Refusal::SchemeMismatch));
        }
        let parent = match parent {
            Some(parent) => parent,
            None => Parent::Listener(self.listener_for(request, expected, authority.as_ref())?),
        };
        Ok(Read { parent, authority, target, fields, reading: choices.reading })
    }

    /// The listener of a request: the most specific one for its host, isolated from all others ([L-21], [L-22]);
    /// over TLS it must be the one of the handshake ([L-24]).
    fn listener_for<H: Headers + ?Sized>(
        &self,
        request: &Request<'_, H>,
        scheme: Scheme,
        authority: Option<&RequestAuthority<'_>>,
    ) -> Result<ListenerId, Reason> {
        let Place::Port(port) = request.arrival.place else { return Err(Reason::NoListener) };
        let host = authority.and_then(|authority| host_name(&authority.host));
        if scheme == Scheme::Http
            && let Some(only) = self.listeners_of(port).and_then(HostMap::only)
        {
            return Ok(ListenerId(only.u32(0)));
        }
        // Of the listeners of a TLS port only HTTPS ones have requests.
        let serves = |id: &ListenerId| self.listener(*id).is_some_and(|listener| listener.protocol.scheme() == Some(scheme));
        let best = self.listeners_for(port, host).find(serves);
        if scheme == Scheme::Http {
            return best.ok_or(Reason::NoListener);
        }
        let of_handshake = request.arrival.listener.or_else(|| {
            let sni = request.arrival.sni.and_then(|sni| parse_authority(sni.as_bytes()).ok());
            self.best_listener(port, sni.as_ref().map(|sni| &sni.host))
        });
        match best {
            None => Err(Reason::NoListener),
            Some(best) if Some(best) == of_handshake => Ok(best),
            Some(_) => Err(Reason::Misdirected),
        }
    }

    /// The most specific listener of a port for a server name ([L-23], [L-41]).
    pub(crate) fn best_listener(&self, port: PortId, host: Option<&Host<'_>>) -> Option<ListenerId> {
        self.listeners_for(port, host.and_then(host_name)).next()
    }

    fn listeners_of(&self, port: PortId) -> Option<&HostMap> {
        usize::try_from(port.index()).ok().and_then(|n| self.inner.parents.hosts_of_ports.get(n))
    }

    /// The listeners of a port that accept a host, the most specific first ([L-21]).
    fn listeners_for<'t>(&'t self, port: PortId, host: Option<&'t str>) -> impl Iterator<Item = ListenerId> {
        let index = self.listeners_of(port);
        let id = |(_, id): (_, Blob<'_>)| ListenerId(id.u32(0));
        index.into_iter().flat_map(move |index| index.levels(host)).map(id)
    }

    /// The match that wins ([M-20]).
    fn find<H: Headers + ?Sized>(&self, read: &Read<'_, H>, request: &Request<'_, H>) -> Option<Found<'_>> {
        let has_grpc = self.served(read.parent).is_some_and(|routes| !routes.grpc.is_empty());
        let subject = read.subject(request, has_grpc && is_grpc(request.headers))?;
        let host = read.host();
        if let Some(found) = self.first_match(read.parent, host, &subject, false) {
            return Some(found);
        }
        // A preflight asks about another method: rules that only match that one may answer it ([U-26]).
        if self.inner.choices.preflights == Preflights::AsMatched {
            return None;
        }
        let method = preflight(request.method, read.fields).and_then(|preflight| std::str::from_utf8(preflight.method).ok())?;
        self.first_match(read.parent, host, &Subject { method, ..subject }, true)
    }

    fn first_match<H: Headers + ?Sized>(
        &self,
        parent: Parent,
        host: Option<&str>,
        subject: &Subject<'_, H>,
        cors_only: bool,
    ) -> Option<Found<'_>> {
        let routes = self.served(parent)?;
        // When no rule of the most specific hostname matches, broader ones are asked, unless it captures the request
        // ([U-5]).
        let levels = match self.inner.choices.hostname_fallback {
            HostnameFallback::Broader => usize::MAX,
            HostnameFallback::None => 1,
        };
        let mut search = Search::new(self, subject, cors_only);
        if routes.asks_grpc(host, subject.grpc) {
            return routes.grpc.levels(host).take(levels).find_map(|(_, index)| search.find_grpc(index));
        }
        for (_, index) in routes.http.levels(host).take(levels) {
            if let Some(found) = search.find(index) {
                return Some(found);
            }
        }
        None
    }

    /// The scheme and port of a parent, which a redirect keeps unless it names others ([F-21], [F-23]).
    pub(crate) fn origin(&self, parent: Parent) -> (Scheme, u16) {
        match parent {
            Parent::Listener(id) => {
                let listener = self.listener(id);
                let port = listener.and_then(|listener| self.port(listener.port)).map_or(0, |port| port.number);
                (listener.and_then(|listener| listener.protocol.scheme()).unwrap_or(Scheme::Http), port)
            }
            Parent::Service(id) => {
                let port = self.frontend(id).map(|frontend| frontend.port).filter(|port| *port != ANY_PORT);
                (Scheme::Http, port.unwrap_or(Scheme::Http.default_port()))
            }
        }
    }

    /// The same, with the port that the client has asked for where that is the choice ([U-35]).
    fn redirect_origin(&self, parent: Parent, authority: Option<&RequestAuthority<'_>>) -> (Scheme, u16) {
        let (scheme, port) = self.origin(parent);
        match self.inner.choices.redirect_port {
            RedirectPort::Listener => (scheme, port),
            RedirectPort::Host => (scheme, authority.and_then(|authority| authority.port).unwrap_or(scheme.default_port())),
        }
    }

    /// What most rules do: they forward to a backend, and nothing more.
    #[inline]
    pub(crate) fn plain<'a>(&'a self, matched: Matched, backend: BackendId, target: Target<'a>, authority: Option<&'a str>) -> Forward<'a> {
        Forward {
            matched,
            backend,
            known_fields: &self.inner.parents.known_fields,
            keeps_aliases: self.inner.choices.alias_headers == AliasHeaders::Keep,
            authority,
            target,
            request_headers: HeaderEdits::default(),
            response: ResponseEdits::default(),
            mirrors: Mirrors::default(),
            timeouts: Timeouts::default(),
            retry: None,
            session: None,
            auth: None,
            extensions: Extensions::default(),
        }
    }

    /// What the winning rule does with the request: the fixed pipeline of [F-3].
    fn outcome<'a, H: Headers + ?Sized>(
        &'a self,
        winner: Found<'a>,
        read: Read<'a, H>,
        request: &Request<'a, H>,
        pick: Pick,
        sessions: Option<&Sessions<'_>>,
    ) -> Decision<'a> {
        let none = || Decision::Respond(respond(None, Reason::NoRoute, request.headers, ResponseEdits::default()));
        let matched = Matched { parent: read.parent, route: winner.route, rule: winner.rule, match_: winner.match_ };
        let Some(target) = read.target else { return none() };
        // What most rules are: nothing more has to be read.
        let picked = winner.backend(pick);
        if let Some(backend) = picked
            && !(winner.does_more || target.redirect || self.has_no_endpoint(backend))
        {
            return Decision::Forward(self.plain(matched, backend, target_of(target), read.authority.map(|authority| authority.received)));
        }
        let Some(rule) = self.rule_data(winner.rule) else { return none() };
        let mut response = ResponseEdits {
            headers: HeaderEdits { modifiers: [None, Some(&rule.filters.response_headers)] },
            cors: cors(rule, request.method, read.fields),
        };
        let answer = |reason, response| Decision::Respond(respond(Some(matched), reason, request.headers, response));
        let prefix = target.forwarded_len(winner.prefix);
        if rule.fail_closed() {
            return answer(Reason::InvalidRule, ResponseEdits::default());
        }
        // CORS before everything else: a preflight carries no credentials ([C-9]).
        if response.cors.is_some_and(|cors| cors.preflight.is_some()) {
            return answer(Reason::CorsPreflight, response);
        }
        // The client is to ask again with the path that is matched ([R-P6]).
        if target.redirect {
            let location = Location { scheme: Scheme::Http, host: None, port: 0, target: target_of(target) };
            let (status, extensions) = (StatusCode::TEMPORARY_REDIRECT, Extensions::default());
            return Decision::Redirect(Redirect { matched, status, location, response, auth: None, extensions });
        }
        if rule.filters.unresolved {
            return answer(Reason::UnresolvedFilter, response);
        }
        let received = read.authority.as_ref().map(|authority| authority.received);
        let auth = rule.filters.auth.as_ref().map(|service| Check { service, authority: received });
        let mut extensions = Extensions { all: [&rule.filters.extensions, &[]] };
        let to = |redirect: &'a filter::Redirect, extensions, response| {
            let authority = read.authority.as_ref();
            let origin = self.redirect_origin(read.parent, authority);
            let (status, location) = redirected(redirect, origin, authority, target.clone(), prefix);
            Decision::Redirect(Redirect { matched, status, location, response, auth, extensions })
        };
        if let Some(redirect) = &rule.filters.redirect {
            return to(redirect, extensions, response);
        }
        // Whoever may not ask is not told of backends either, and an extension may have a better answer ([F-6]).
        let without = |reason, extensions, response| {
            let respond = respond(Some(matched), reason, request.headers, response);
            let target = auth.is_some().then(|| target_of(target.clone()));
            Decision::Respond(Respond { auth, target, extensions, ..respond })
        };
        if rule.shares.is_empty() {
            return without(Reason::NoBackends, extensions, response);
        }
        let (backend, own, session) = match picked {
            Some(backend) => (Some(backend), None, None),
            None => {
                let Some(Choice { share, session }) = self.choose_share(rule, matched, request.headers, pick, sessions) else {
                    return without(Reason::ZeroWeights, extensions, response);
                };
                (share.backend, Some(&*share.filters), session)
            }
        };
        if let Some(own) = own {
            response.headers.modifiers[0] = Some(&own.response_headers);
            if own.unresolved {
                return answer(Reason::UnresolvedFilter, response);
            }
            extensions.all[1] = &own.extensions;
            // The backend of a redirecting share need not be reachable ([F-36]).
            if let Some(redirect) = &own.redirect {
                return to(redirect, extensions, response);
            }
        }
        let Some(backend) = backend else { return without(Reason::InvalidBackend, extensions, response) };
        if self.has_no_endpoint(backend) {
            return without(Reason::NoEndpoints, extensions, response);
        }
        Decision::Forward(Forward {
            matched,
            backend,
            known_fields: &self.inner.parents.known_fields,
            keeps_aliases: self.inner.choices.alias_headers == AliasHeaders::Keep,
            authority: rewritten_host(rule, own).or(received),
            target: Target { rewrite: rewrite(rewritten_path(rule, own), prefix), ..target_of(target) },
            request_headers: HeaderEdits { modifiers: [Some(&rule.filters.request_headers), own.map(|own| &own.request_headers)] },
            response,
            mirrors: Mirrors { all: [&rule.filters.mirrors, own.map_or(&[], |own| &own.mirrors)], pick },
            timeouts: rule.timeouts(),
            retry: rule.retry(),
            session,
            auth,
            extensions,
        })
    }
}

/// A request in canonical form, on its listener.
pub(crate) struct Read<'a, H: ?Sized> {
    pub(crate) parent: Parent,
    authority: Option<RequestAuthority<'a>>,
    /// `None` for `*`, which no path matches ([R-T2]).
    target: Option<CanonicalTarget<'a>>,
    fields: Fields<'a, H>,
    reading: Reading,
}

impl<'a, H: Headers + ?Sized> Read<'a, H> {
    /// The host for comparison; `None` for addresses and requests without host.
    pub(crate) fn host(&self) -> Option<&str> {
        self.authority.as_ref().and_then(|authority| host_name(&authority.host))
    }

    /// What matches look at.
    pub(crate) fn subject<'s>(&'s self, request: &Request<'s, H>, grpc: bool) -> Option<Subject<'s, H>> {
        let target = self.target.as_ref()?;
        Some(Subject {
            authority: self.authority.as_ref().map(|authority| authority.received),
            method: request.method,
            path: target.matched_path(),
            query: target.query,
            fields: self.fields,
            reading: self.reading,
            grpc,
        })
    }
}

/// The name of a host for comparison with hostnames; `None` for an address.
pub(crate) fn host_name<'h>(host: &Host<'h>) -> Option<&'h str> {
    (host.kind() == HostKind::Name).then(|| host.as_str())
}

fn respond<'a, H: Headers + ?Sized>(matched: Option<Matched>, reason: Reason, headers: &H, response: ResponseEdits<'a>) -> Respond<'a> {
    Respond {
        matched,
        status: reason.status(),
        grpc_status: reason.grpc_status().filter(|_| is_grpc(headers)),
        reason,
        response,
        auth: None,
        target: None,
        extensions: Extensions::default(),
    }
}

/// OPTIONS with Origin and a method that it asks for ([C-1]).
fn preflight<'a, H: Headers + ?Sized>(method: &str, fields: Fields<'a, H>) -> Option<Preflight<'a>> {
    if method != "OPTIONS" {
        return None;
    }
    fields.first(&ORIGIN)?;
    let method = fields.first(&REQUEST_METHOD).filter(|method| !method.is_empty())?;
    Some(Preflight { method, headers: fields.first(&REQUEST_HEADERS).filter(|list| !list.is_empty()) })
}

/// What the CORS filter of a rule adds to the response ([C-3] to [C-5]).
fn cors<'a, H: Headers + ?Sized>(rule: &'a RuleData, method: &str, fields: Fields<'a, H>) -> Option<CorsAnswer<'a>> {
    let cors = rule.filters.cors.as_ref()?;
    // Several origins are none (RFC 6454 section 7.3).
    let mut origins = fields.values(&ORIGIN);
    let origin = origins.next().filter(|origin| origins.next().is_none() && cors.allowed_origin(origin));
    Some(CorsAnswer { cors, origin, preflight: preflight(method, fields) })
}

fn target_of(target: CanonicalTarget<'_>) -> Target<'_> {
    Target { path: target.path, query: target.query, rewrite: Rewrite::None }
}

fn rewrite(modifier: Option<&PathModifier>, matched: usize) -> Rewrite<'_> {
    match modifier {
        None => Rewrite::None,
        Some(PathModifier::Full(path)) => Rewrite::Full(path),
        Some(PathModifier::Prefix(replacement)) => Rewrite::Prefix { matched, replacement },
    }
}

/// The path rewrite; the backend's comes before the rule's ([F-36]).
fn rewritten_path<'a>(rule: &'a RuleData, own: Option<&'a Filters>) -> Option<&'a PathModifier> {
    let of = |filters: &'a Filters| filters.rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    own.and_then(of).or_else(|| of(&rule.filters))
}

/// The host rewrite: URLRewrite before `set Host` ([F-13]), the backend's before the rule's ([F-36]).
fn rewritten_host<'a>(rule: &'a RuleData, own: Option<&'a Filters>) -> Option<&'a str> {
    let of = |filters: &'a Filters| {
        let rewrite = filters.rewrite.as_ref().and_then(|rewrite| rewrite.hostname.as_deref());
        rewrite.or(filters.request_headers.host.as_deref())
    };
    own.and_then(of).or_else(|| of(&rule.filters))
}

/// A redirect; the port follows [F-23].
fn redirected<'a>(
    redirect: &'a filter::Redirect,
    (own_scheme, own_port): (Scheme, u16),
    authority: Option<&RequestAuthority<'a>>,
    target: CanonicalTarget<'a>,
    prefix: usize,
) -> (StatusCode, Location<'a>) {
    let scheme = redirect.scheme.unwrap_or(own_scheme);
    let port = redirect.port.unwrap_or(match redirect.scheme {
        Some(scheme) => scheme.default_port(),
        None => own_port,
    });
    let location = Location {
        scheme,
        host: redirect.hostname.as_deref().or(authority.map(|authority| {
            let host = authority.host_received;
            host.strip_suffix('.').unwrap_or(host)
        })),
        port,
        target: Target { rewrite: rewrite(redirect.path.as_ref(), prefix), ..target_of(target) },
    };
    (redirect.status, location)
}
