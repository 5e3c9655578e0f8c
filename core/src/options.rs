//! The choices that the specification leaves open, with their defaults.
//!
//! Every default is the safe or the specified one; each choice names its rule, and who needs the other value.
//! DESIGN.md lists them side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::diagnostic::ObjectRef;
use crate::features::Features;
use crate::resource::status::GatewayStatusAddress;

/// Options of [`compile`](crate::compile).
///
/// ```
/// let mut options = gatewright::Options::default();
/// options.controller = Some("example.com/gateway".into());
/// options.regex_rank = gatewright::options::RegexRank::AfterPrefix;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The controller whose GatewayClasses are served ([S-7]); `None` serves every Gateway of the input, also
    /// those whose GatewayClass is not part of it.
    pub controller: Option<Box<str>>,
    /// What a backendRef to a Service means that is not part of the input.
    pub missing_services: MissingServices,
    /// The features that the embedding program carries out; all by default. What a manifest asks for beyond them
    /// is reported and never served without it ([S-21]).
    pub features: Features,
    /// The addresses that Gateways can be given ([L-28]); `None` takes every address of a known type as usable.
    pub addresses: Option<Vec<GatewayStatusAddress>>,
    /// Ports that the host cannot open ([L-13]).
    pub unavailable_ports: BTreeSet<u16>,
    /// The objects behind ExtensionRef filters that the embedding program knows how to run ([F-60]). A rule with any
    /// other one answers 500.
    pub extensions: BTreeMap<ObjectRef, Extension>,
    /// Which addresses of EndpointSlices traffic may be sent to ([R-K3]).
    pub endpoint_addresses: EndpointAddresses,

    /// How requests are made canonical before they are matched: a preset of the three choices that follow it
    /// ([U-11]).
    pub profile: Profile,
    /// Whether runs of `/` are one `/`; `None` is the profile's choice ([R-P8]).
    pub merge_slashes: Option<bool>,
    /// What becomes of `%2F` and `%5C` in a path; `None` is the profile's choice ([R-P6]).
    pub escaped_slashes: Option<EscapedSlashes>,
    /// What path parameters (`;x=1`) are ([R-P9]).
    pub path_parameters: PathParameters,
    /// What becomes of header fields that some backends take for another one ([R-F4]).
    pub alias_headers: AliasHeaders,

    /// How much of a path, or of a gRPC service or method, a regular expression must match ([U-6]).
    pub path_regex: RegexMatch,
    /// How much of the value of a header field or query parameter a regular expression must match ([U-6]).
    pub value_regex: RegexMatch,
    /// Where regular expressions of paths stand in the order of precedence ([U-7]).
    pub regex_rank: RegexRank,
    /// What happens when no rule of the most specific hostname matches ([U-5]).
    pub hostname_fallback: HostnameFallback,
    /// What a header match compares when a request repeats the field ([U-8]).
    pub repeated_headers: RepeatedHeaders,
    /// Which parameter a query match compares when a request repeats the name ([U-9]).
    pub repeated_query: RepeatedQuery,
    /// In what form names and values of query parameters are compared ([U-10]).
    pub query_decoding: QueryDecoding,
    /// How routes of the same age are ordered by name ([U-12]).
    pub name_order: NameOrder,
    /// Whether HTTPRoutes and GRPCRoutes may share a hostname of a listener ([U-13]).
    pub http_and_grpc: HttpAndGrpc,
    /// What a header name means that one modifier both sets and adds or removes ([U-16]).
    pub modifier_conflicts: ModifierConflicts,
    /// Which CORS preflights a rule with a method match answers ([U-26]).
    pub preflights: Preflights,
    /// The port of a redirect that names neither scheme nor port ([U-35]).
    pub redirect_port: RedirectPort,
}

/// What has to be known of an object behind ExtensionRef filters; what it means is the embedding program's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extension {
    /// Services that it sends requests of its own to, by name and port, in its own namespace. They are backends of every
    /// table with a rule that refers to it. One that cannot be resolved is reported, and is no reason to refuse requests.
    pub services: Vec<(Box<str>, u16)>,
}

/// A set of choices with words for the command line, for `explain` and for documents: one list for each.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, with the default first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as a word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Reads a word.
            fn from_str(text: &str) -> Result<Self, String> {
                let words: Vec<&str> = Self::ALL.iter().map(|value| value.as_str()).collect();
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == text);
                found.ok_or_else(|| format!("`{}` is none of {}", text.escape_debug(), words.join(", ")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// How a request's target is made canonical ([R-P11]). Whatever the profile, the form that is matched is the
    /// form that is forwarded, and octets that no path may hold are refused.
    Profile {
        /// Refuse what two readers may read differently, merge empty segments, resolve dot segments, decode
        /// unreserved characters (sections 3.1 to 3.4 of the security rules). A wrong match is an authorization
        /// bypass, a refused request is a clear error.
        #[default]
        Strict = "strict",
        /// Resolve dot segments, decode unreserved characters, keep `//` and `%2F` as they are: for sites whose
        /// URIs hold them as data.
        Compatible = "compatible",
        /// Change nothing: match and forward the path as received, as gateways without normalisation do
        /// (agentgateway, Linkerd). `/public/../admin` is below `/public` then: for backends that read paths the
        /// same way, and never for rules that guard access.
        Raw = "raw",
    }
}

choice! {
    /// What becomes of `%2F` and `%5C` in a path ([R-P6]); names as in Envoy Gateway.
    EscapedSlashes {
        /// 400: some backends decode them and see another path. Default of the profile `Strict`.
        #[default]
        Reject = "reject",
        /// They are data inside of a segment. Default of the profiles `Compatible` and `Raw`.
        KeepUnchanged = "keep-unchanged",
        /// A request that matches is sent to the same path with `/` for `%2F`, by a redirect (307); a gRPC request
        /// is refused. `%5C` is refused: decoded it would be a backslash, which no path may hold. For users of
        /// Envoy Gateway, whose default it is.
        UnescapeAndRedirect = "unescape-and-redirect",
        /// `%2F` is `/`, for matching and forwarding; `%5C` is refused. For backends that decode in any case, and
        /// for users of NGINX.
        UnescapeAndForward = "unescape-and-forward",
    }
}

choice! {
    /// What path parameters are: what follows a `;` in a segment ([R-P9], RFC 3986 section 3.3).
    PathParameters {
        /// Data like any other.
        #[default]
        Opaque = "opaque",
        /// Matches do not see them; they are forwarded. For Java backends, which route without them. A segment of
        /// parameters only, and an encoded `;` before any other, are refused: they are read in several ways.
        MatchStripped = "match-stripped",
        /// 400, raw or encoded: for sites without any.
        Reject = "reject",
    }
}

choice! {
    /// What becomes of header fields whose name equals, after folding every octet but letters and digits to `_`,
    /// the name of a field that the table refers to or the gateway manages ([R-F4]): CGI, WSGI and PHP take
    /// `x_role` and `x.role` for `x-role`.
    AliasHeaders {
        /// They are not forwarded.
        #[default]
        Drop = "drop",
        /// 400: for sites whose clients send none.
        Reject = "reject",
        /// They are forwarded: for backends that need such a field and tell the names apart.
        Keep = "keep",
    }
}

choice! {
    /// How much of a value a regular expression must match ([U-6]).
    RegexMatch {
        /// The whole value, as with Envoy, Istio, Linkerd and agentgateway.
        #[default]
        Full = "full",
        /// The beginning of the value, as with NGINX Gateway Fabric for paths.
        Prefix = "prefix",
        /// Any part of the value, as with Traefik, and with NGINX Gateway Fabric for header fields and query
        /// parameters.
        Search = "search",
    }
}

choice! {
    /// Where regular expressions of paths stand in the order of precedence ([U-7]).
    RegexRank {
        /// After Exact, before PathPrefix, the longer text first, as with Envoy Gateway, Contour and NGINX Gateway
        /// Fabric: a rule for `/` must not hide them.
        #[default]
        BetweenExactAndPrefix = "between-exact-and-prefix",
        /// After every PathPrefix, `/` included, as with agentgateway.
        AfterPrefix = "after-prefix",
        /// After every PathPrefix but `/`, as with Istio.
        BeforeRoot = "before-root",
        /// With PathPrefix on one scale: the longer text wins, as with Traefik. Of equal length, the expression.
        ByLength = "by-length",
    }
}

choice! {
    /// What happens when no rule of the most specific hostname matches ([U-5]). Other listeners are never asked
    /// ([L-22]).
    HostnameFallback {
        /// Broader hostnames of the same listener are asked: precedence is among rules that match.
        #[default]
        Broader = "broader",
        /// 404: the most specific hostname captures the request, as with Envoy's virtual hosts and NGINX.
        None = "none",
    }
}

choice! {
    /// What a header match compares when a request repeats the field ([U-8]). Cookie is one value however it is
    /// split ([R-F3]).
    RepeatedHeaders {
        /// Each field line alone; any one may match.
        #[default]
        AnyLine = "any-line",
        /// Also all lines joined by `,` or `, `: for rules written for Envoy, which joins them.
        AnyLineOrJoined = "any-line-or-joined",
    }
}

choice! {
    /// Which parameter a query match compares when a request repeats the name ([U-9]).
    RepeatedQuery {
        /// The first, which the API recommends, as with Envoy and NGINX Gateway Fabric.
        #[default]
        First = "first",
        /// The last, as with agentgateway.
        Last = "last",
        /// Any one may match, as with Traefik and Linkerd.
        Any = "any",
    }
}

choice! {
    /// In what form names and values of query parameters are compared ([U-10]).
    QueryDecoding {
        /// Decoded like a form: `%XX` is an octet, `+` a space, a broken triplet itself.
        #[default]
        Form = "form",
        /// As received, as with Envoy.
        Raw = "raw",
    }
}

choice! {
    /// How routes of the same age are ordered by name ([U-12]). The two differ when one namespace begins with
    /// the other: `a-b/x` and `a/x`.
    NameOrder {
        /// By the text `namespace/name`, as the specification writes it.
        #[default]
        Joined = "joined",
        /// By namespace, then name, as with Istio and NGINX Gateway Fabric.
        Tuple = "tuple",
    }
}

choice! {
    /// Whether HTTPRoutes and GRPCRoutes may share a hostname of a listener ([U-13]).
    HttpAndGrpc {
        /// They may not: the older route keeps the hostname, as the specification says ([G-12]).
        #[default]
        Separate = "separate",
        /// They may, as with Istio, Envoy Gateway and Traefik. A request with gRPC's content type is decided by the
        /// GRPCRoutes of its host alone, any other by the HTTPRoutes alone: rules of the two never mix.
        Merge = "merge",
    }
}

choice! {
    /// What a header name means that one modifier names in more than one of `set`, `add` and `remove` ([U-16]).
    ModifierConflicts {
        /// The rule is invalid, as the specification says ([F-11]).
        #[default]
        Reject = "reject",
        /// All actions are carried out, in the order set, add, remove, as with Traefik.
        SetAddRemove = "set-add-remove",
    }
}

choice! {
    /// Which CORS preflights a rule with a CORS filter and a method match answers ([U-26]).
    Preflights {
        /// Those that ask for its method, if no match takes the OPTIONS request itself, as with Envoy Gateway.
        #[default]
        ByRequestedMethod = "by-requested-method",
        /// None unless it matches OPTIONS, as with Istio and agentgateway.
        AsMatched = "as-matched",
    }
}

choice! {
    /// The port of a redirect that names neither scheme nor port ([U-35]).
    RedirectPort {
        /// The listener's, which the specification asks for ([F-23]).
        #[default]
        Listener = "listener",
        /// That of the request's Host, as with Envoy, Traefik and Linkerd: for listeners whose port is not the one
        /// that clients see.
        Host = "host",
    }
}

choice! {
    /// What a backendRef to a Service means that is not part of the input.
    MissingServices {
        /// It does not exist: `BackendNotFound`, and its share of the requests answers 500 ([B-4]). Right when the
        /// input is a whole cluster.
        #[default]
        NotFound = "not-found",
        /// It exists: it is found by its DNS name.
        Assume = "assume",
        /// It exists unless the input has some Service of the same namespace: then the input is taken to describe
        /// that namespace as a whole. Right for folders of manifests.
        Infer = "infer",
    }
}

choice! {
    /// Which addresses of EndpointSlices traffic may be sent to ([R-K3]).
    EndpointAddresses {
        /// Those of other hosts. Loopback, link-local, multicast and unspecified addresses, and those of the gateway
        /// itself, are refused: who may write an EndpointSlice must not reach the gateway's own doors with it.
        #[default]
        OtherHosts = "other-hosts",
        /// All, for backends beside the gateway on one machine.
        Any = "any",
    }
}

/// A choice that is not the default, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Chosen {
    /// The option, as its field is called.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl Options {
    /// The choices about matching that are not the default, in the order of the fields.
    pub fn chosen(&self) -> Vec<Chosen> {
        let mut list = Vec::new();
        let mut say = |name, value, differs: bool| {
            if differs {
                list.push(Chosen { name, value });
            }
        };
        macro_rules! each {
            ($($field:ident),+) => { $(say(stringify!($field), self.$field.as_str(), self.$field != Default::default());)+ };
        }
        each!(profile);
        let (preset, merge) = (PathRules::of(self.profile), self.merge_slashes.unwrap_or_default());
        say("merge_slashes", if merge { "true" } else { "false" }, self.merge_slashes.is_some_and(|merge| merge != preset.merge_slashes));
        let escaped = self.escaped_slashes.unwrap_or(preset.escaped_slashes);
        say("escaped_slashes", escaped.as_str(), escaped != preset.escaped_slashes);
        each!(path_parameters, alias_headers, path_regex, value_regex, regex_rank, hostname_fallback, repeated_headers);
        each!(repeated_query, query_decoding, name_order, http_and_grpc, modifier_conflicts, preflights, redirect_port);
        list
    }

    /// Sets an option that has words by its name: the choices about matching in the words of [`chosen`](Self::chosen),
    /// `missing_services` and `endpoint_addresses`. For command lines and other languages.
    ///
    /// # Errors
    ///
    /// A sentence that lists the names, or the values of the name.
    ///
    /// ```
    /// let mut options = gatewright::Options::default();
    /// options.set("regex_rank", "after-prefix")?;
    /// assert!(options.set("regex_rank", "first").is_err());
    /// # Ok::<(), String>(())
    /// ```
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        macro_rules! each {
            ($($field:ident),+) => {
                match name {
                    "merge_slashes" => self.merge_slashes = Some(value.parse().map_err(|_| format!("`{}` is none of true, false", value.escape_debug()))?),
                    "escaped_slashes" => self.escaped_slashes = Some(value.parse()?),
                    $(stringify!($field) => self.$field = value.parse()?,)+
                    _ => {
                        let known = ["merge_slashes", "escaped_slashes", $(stringify!($field)),+];
                        return Err(format!("option `{}` is none of {}", name.escape_debug(), known.join(", ")));
                    }
                }
            };
        }
        each!(
            profile,
            path_parameters,
            alias_headers,
            path_regex,
            value_regex,
            regex_rank,
            hostname_fallback,
            repeated_headers,
            repeated_query,
            query_decoding,
            name_order,
            http_and_grpc,
            modifier_conflicts,
            preflights,
            redirect_port,
            missing_services,
            endpoint_addresses
        );
        Ok(())
    }

    /// The rules for paths that follow from the profile and the single choices beside it.
    pub(crate) fn path_rules(&self) -> PathRules {
        let preset = PathRules::of(self.profile);
        PathRules {
            merge_slashes: self.merge_slashes.unwrap_or(preset.merge_slashes),
            escaped_slashes: self.escaped_slashes.unwrap_or(preset.escaped_slashes),
            path_parameters: self.path_parameters,
            ..preset
        }
    }

    /// What deciding needs to know.
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            paths: self.path_rules(),
            alias_headers: self.alias_headers,
            reading: Reading {
                repeated_headers: self.repeated_headers,
                repeated_query: self.repeated_query,
                query_decoding: self.query_decoding,
            },
            hostname_fallback: self.hostname_fallback,
            preflights: self.preflights,
            redirect_port: self.redirect_port,
            regex_rank: self.regex_rank,
        }
    }
}

/// How a path is made canonical: the profile, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathRules {
    /// Resolve dot segments, decode unreserved characters, write triplets in upper case.
    pub(crate) normalise: bool,
    /// Refuse a path with an empty segment and a `..` ([R-P8]).
    pub(crate) refuse_ambiguous: bool,
    pub(crate) merge_slashes: bool,
    pub(crate) escaped_slashes: EscapedSlashes,
    pub(crate) path_parameters: PathParameters,
}

impl PathRules {
    fn of(profile: Profile) -> Self {
        let (normalise, strict) = match profile {
            Profile::Strict => (true, true),
            Profile::Compatible => (true, false),
            Profile::Raw => (false, false),
        };
        Self {
            normalise,
            refuse_ambiguous: strict,
            merge_slashes: strict,
            escaped_slashes: if strict { EscapedSlashes::Reject } else { EscapedSlashes::KeepUnchanged },
            path_parameters: PathParameters::Opaque,
        }
    }
}

impl Default for PathRules {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

/// The options that a decision depends on when it is made; all others went into the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    pub(crate) paths: PathRules,
    pub(crate) alias_headers: AliasHeaders,
    pub(crate) reading: Reading,
    pub(crate) hostname_fallback: HostnameFallback,
    pub(crate) preflights: Preflights,
    pub(crate) redirect_port: RedirectPort,
    pub(crate) regex_rank: RegexRank,
}

/// How the repeatable parts of a request are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) repeated_headers: RepeatedHeaders,
    pub(crate) repeated_query: RepeatedQuery,
    pub(crate) query_decoding: QueryDecoding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_choices_are_told() {
        assert_eq!(Options::default().chosen(), []);
        let mut options = Options::default();
        // The preset's own choice is nothing to tell.
        (options.merge_slashes, options.escaped_slashes) = (Some(true), Some(EscapedSlashes::Reject));
        assert_eq!(options.chosen(), []);
        options.profile = Profile::Compatible;
        options.regex_rank = RegexRank::ByLength;
        let told: Vec<String> = options.chosen().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["profile=compatible", "merge_slashes=true", "escaped_slashes=reject", "regex_rank=by-length"]);
    }

    /// What is told can be set.
    #[test]
    fn by_name() {
        let mut options = Options::default();
        let all = [
            ("profile", "raw"),
            ("merge_slashes", "true"),
            ("escaped_slashes", "unescape-and-forward"),
            ("path_parameters", "reject"),
            ("alias_headers", "keep"),
            ("path_regex", "prefix"),
            ("value_regex", "search"),
            ("regex_rank", "by-length"),
            ("hostname_fallback", "none"),
            ("repeated_headers", "any-line-or-joined"),
            ("repeated_query", "any"),
            ("query_decoding", "raw"),
            ("name_order", "tuple"),
            ("http_and_grpc", "merge"),
            ("modifier_conflicts", "set-add-remove"),
            ("preflights", "as-matched"),
            ("redirect_port", "host"),
        ];
        for (name, value) in all {
            assert_eq!(options.set(name, value), Ok(()), "{name}");
        }
        let told: Vec<(&str, &str)> = options.chosen().iter().map(|chosen| (chosen.name, chosen.value)).collect();
        assert_eq!(told, all);
        assert_eq!(options.set("redirect_port", "x").unwrap_err(), "`x` is none of listener, host");
        assert!(options.set("redirect-port", "host").unwrap_err().contains("redirect_port"));
    }

    #[test]
    fn presets() {
        let of = |profile| Options { profile, ..Options::default() }.path_rules();
        let strict = of(Profile::Strict);
        assert!(strict.normalise && strict.merge_slashes && strict.refuse_ambiguous);
        assert_eq!(strict.escaped_slashes, EscapedSlashes::Reject);
        let compatible = of(Profile::Compatible);
        assert!(compatible.normalise && !compatible.merge_slashes && !compatible.refuse_ambiguous);
        assert_eq!(compatible.escaped_slashes, EscapedSlashes::KeepUnchanged);
        assert!(!of(Profile::Raw).normalise);
    }

    #[test]
    fn the_default_stands_first() {
        assert_eq!(Profile::ALL.first(), Some(&Profile::default()));
        assert_eq!(RegexRank::ALL.first(), Some(&RegexRank::default()));
        assert_eq!(HttpAndGrpc::ALL.first(), Some(&HttpAndGrpc::default()));
    }
}
