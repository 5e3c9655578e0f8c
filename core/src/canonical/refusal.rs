//! Why a request is refused before it is matched.

use std::fmt;

use http::StatusCode;

macro_rules! refusals {
    ($($(#[$meta:meta])* $variant:ident = $rule:literal, $status:ident, $sentence:literal;)+) => {
        /// Why a request is refused before it is matched: two readers may read it differently.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Refusal { $($(#[$meta])* $variant,)+ }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &'static [Refusal] = &[$(Self::$variant),+];

            /// A stable word for logs, metrics and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// The security rule it follows from.
            pub fn rule(self) -> &'static str {
                match self { $(Self::$variant => $rule,)+ }
            }

            /// The status of the answer.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

refusals! {
    /// The method is not a token (RFC 9110 section 9.1).
    MethodSyntax = "R-T5", BAD_REQUEST, "the method is not a token";
    /// The method is longer than 32 octets.
    MethodTooLong = "R-T5", NOT_IMPLEMENTED, "the method is longer than 32 octets";
    /// CONNECT: this is not a tunnel (RFC 9110 section 9.3.6).
    Connect = "R-T2", METHOD_NOT_ALLOWED, "CONNECT is not served";
    /// The target is not in a form that this method may have (RFC 9112 section 3.2).
    TargetForm = "R-T3", BAD_REQUEST, "the request target is neither a path nor an http URI";
    /// The target has more than 8192 octets (RFC 9110 section 15.5.15).
    TargetTooLong = "R-T4", URI_TOO_LONG, "the request target is longer than 8192 octets";
    /// The target has a control, a space, a fragment or an octet outside of ASCII.
    TargetOctet = "R-T3", BAD_REQUEST, "the request target has a control character, a space, `#` or an octet outside of ASCII";
    /// The scheme is not the listener's.
    SchemeMismatch = "R-T6", BAD_REQUEST, "the scheme is not that of the listener";
    /// The path has a raw backslash, angle bracket or backquote.
    PathOctet = "R-P2", BAD_REQUEST, "the path has a raw backslash, angle bracket or backquote";
    /// A `%` without two hexadecimal digits.
    BrokenTriplet = "R-P3", BAD_REQUEST, "the path has a `%` that is not followed by two hexadecimal digits";
    /// An encoded control character.
    EncodedControl = "R-P3", BAD_REQUEST, "the path has an encoded control character";
    /// Overlong UTF-8, which some readers take for another character.
    OverlongUtf8 = "R-P4", BAD_REQUEST, "the path has an overlong UTF-8 sequence";
    /// `%2F`.
    EncodedSlash = "R-P6", BAD_REQUEST, "the path has an encoded slash, which the option `escaped_slashes` can allow";
    /// `%5C`.
    EncodedBackslash = "R-P6", BAD_REQUEST, "the path has an encoded backslash, which `escaped_slashes=keep-unchanged` allows";
    /// `..` above the root.
    AboveRoot = "R-P7", BAD_REQUEST, "the path climbs above the root, which only the profile `raw` allows";
    /// `//` and `..` in one path.
    EmptySegmentWithDotDot = "R-P8", BAD_REQUEST, "the path has an empty segment and a `..`, which the profile `compatible` allows";
    /// `/..;x/`
    DotSegmentParameter = "R-P9", BAD_REQUEST, "the path has a dot segment with parameters, which only the profile `raw` allows";
    /// `;`, or with `MatchStripped` one that readers take in several ways.
    PathParameter = "R-P9", BAD_REQUEST, "the path has a parameter (`;`), which `path_parameters=opaque` allows";
    /// The authority is not `host[:port]`.
    AuthoritySyntax = "R-H3", BAD_REQUEST, "the authority is not host[:port]";
    /// No Host although the protocol asks for one.
    MissingAuthority = "R-H1", BAD_REQUEST, "the request has no Host";
    /// Several Hosts, or one that differs from `:authority`.
    AmbiguousAuthority = "R-H2", BAD_REQUEST, "the request names more than one host";
    /// `Connection` names a field that is meant for every recipient.
    ConnectionNames = "R-F5", BAD_REQUEST, "`Connection` names a header field that is meant for every recipient";
    /// A header field whose name some backends take for that of another one.
    HeaderAlias = "R-F4", BAD_REQUEST, "the name of a header field is an alias of another one, which `alias_headers=drop` allows";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
