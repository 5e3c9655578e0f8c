//! What is wrong or noteworthy in the input, for a person: object, field path, place in the file, what was
//! found and what was expected.
//!
//! Diagnostics stand beside the status conditions: conditions are what a controller writes back, diagnostics
//! are what the author of a manifest reads.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

use crate::resource::meta::ObjectMeta;

/// Group, kind, namespace and name of an object. Compared as a tuple, never as a joined string ([R-K1]).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// API group; empty is the Kubernetes core group.
    pub group: Box<str>,
    /// Kind.
    pub kind: Box<str>,
    /// Namespace; empty for cluster-scoped kinds.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl ObjectRef {
    /// A reference from its parts.
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The reference of an object with this metadata; an absent namespace is `default` for namespaced kinds.
    pub fn of_meta(group: &str, kind: &str, meta: &ObjectMeta) -> Self {
        let namespace = match (kind, meta.namespace.as_deref()) {
            ("GatewayClass" | "Namespace" | "XMesh", _) => "",
            (_, Some(namespace)) if !namespace.is_empty() => namespace,
            _ => "default",
        };
        Self::new(group, kind, namespace, &meta.name)
    }
}

/// `Kind/namespace/name`, or `Kind/name` for cluster-scoped kinds.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        if self.namespace.is_empty() {
            write!(line, "{}/{}", self.kind, self.name)
        } else {
            write!(line, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Writes control characters escaped: whatever a manifest holds, a log gets one line and no commands for a terminal
/// ([R-O1]).
struct OneLine<'f, 'b>(&'f mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| if c.is_control() { write!(self.0, "{}", c.escape_debug()) } else { self.0.write_char(c) })
    }
}

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work as written.
    Error,
    /// Something probably does not do what its author meant.
    Warning,
    /// Good to know.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal;)+) => {
        /// The kind of a [`Diagnostic`]; the text of a code is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$meta])* $variant,)+ }

        impl Code {
            /// The stable text, for instance `GW010`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Every code.
            pub const ALL: &'static [Code] = &[$(Self::$variant),+];
        }
    };
}

codes! {
    /// The text is not YAML or JSON, or breaks a limit of the loader.
    Syntax = "GW001";
    /// A field has the wrong type or a required field is missing: the API server would reject the object.
    Schema = "GW002";
    /// A field that the API does not have.
    UnknownField = "GW003";
    /// A kind that this library does not read.
    UnknownKind = "GW004";
    /// An API version that is old, unknown or not accepted.
    Version = "GW005";
    /// The same object is given twice.
    DuplicateObject = "GW006";
    /// The input breaks a bound of the loader.
    Limit = "GW007";
    /// A value breaks its format.
    InvalidValue = "GW010";
    /// A value that the API allows to grow and this version does not know.
    UnsupportedValue = "GW011";
    /// Fields or filters that must not stand together.
    InvalidCombination = "GW012";
    /// The API server would reject the object; the message is the API's own.
    Rejected = "GW014";
    /// A reference into another namespace without a ReferenceGrant.
    RefNotPermitted = "GW020";
    /// A referenced object or port does not exist.
    RefNotFound = "GW021";
    /// A reference to a kind that is not supported there.
    RefKind = "GW022";
    /// A Service that is not part of the input and is assumed to exist.
    AssumedService = "GW023";
    /// A backend protocol that is not supported.
    BackendProtocol = "GW024";
    /// An endpoint that no traffic is sent to.
    Endpoint = "GW025";
    /// A policy that does not attach to a target.
    PolicyTarget = "GW026";
    /// Traffic that anybody on its way can read.
    Insecure = "GW027";
    /// Sessions of one name that meet on one host.
    SessionName = "GW028";
    /// A route does not attach to a parent.
    NotAttached = "GW030";
    /// A listener or Gateway that does not take part.
    Listener = "GW031";
    /// A rule is left out.
    RuleDropped = "GW040";
    /// A rule keeps its match and answers 500.
    FailClosed = "GW041";
    /// Two matches are equal; the newer never wins.
    Shadowed = "GW042";
    /// A kind that is read but does not route traffic in this version.
    NotRouted = "GW050";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A place in a file; line and column start at 1, the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// Name of the file, `-` for standard input.
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// The object, if the text got that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// Path of the field, for instance `spec.rules[2].matches[0].path.value`; empty means the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Where that is; known only for resources that came through the loader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What is the matter: lower case, no period, user input in backticks.
    pub message: String,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What follows from it: what is ignored, left out or answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding about an object or one of its fields.
    pub fn new(severity: Severity, code: Code, object: Option<ObjectRef>, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            object,
            path: path.into(),
            position: None,
            message: message.into(),
            found: None,
            expected: None,
            outcome: None,
            help: None,
        }
    }

    /// Adds what was found.
    #[must_use]
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.found = Some(found.to_string());
        self
    }

    /// Adds what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    /// Adds what follows from it.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = Some(outcome.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `file:line:column: severity[code]: object: path: message (found …, expected …); outcome; help`, one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = OneLine(f);
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        write!(f, "{}[{}]: ", self.severity, self.code)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => write!(f, " (found {found}, expected {expected})")?,
            (Some(found), None) => write!(f, " (found {found})")?,
            (None, Some(expected)) => write!(f, " (expected {expected})")?,
            (None, None) => {}
        }
        [&self.outcome, &self.help].into_iter().flatten().try_for_each(|further| write!(f, "; {further}"))
    }
}
