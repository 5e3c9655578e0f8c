//! Valid filters: what a rule or backendRef does to a request and its response ([F-1]).

use std::sync::{Arc, LazyLock};

use http::{HeaderName, HeaderValue, StatusCode};

use super::auth::ExternalAuth;
use super::cors::Cors;
use crate::diagnostic::ObjectRef;
use crate::table::BackendId;

/// A valid header modifier ([F-10]): applied in the order set, add, remove ([U-16]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeaderModifier {
    pub(crate) set: Box<[(HeaderName, HeaderValue)]>,
    pub(crate) add: Box<[(HeaderName, HeaderValue)]>,
    pub(crate) remove: Box<[HeaderName]>,
    /// From `set: Host`, which rewrites the authority ([F-13], [U-17]).
    pub(crate) host: Option<Box<str>>,
}

impl HeaderModifier {
    /// Fields whose values are replaced.
    pub fn set(&self) -> &[(HeaderName, HeaderValue)] {
        &self.set
    }

    /// Fields that get a further value.
    pub fn add(&self) -> &[(HeaderName, HeaderValue)] {
        &self.add
    }

    /// Fields that are deleted.
    pub fn remove(&self) -> &[HeaderName] {
        &self.remove
    }

    /// Whether no field is named.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// A valid path modifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathModifier {
    /// The whole path becomes this canonical path ([F-33]).
    Full(Box<str>),
    /// The matched prefix becomes this canonical path, kept without its trailing slash: empty for `/`
    /// ([F-31]).
    Prefix(Box<str>),
}

/// A scheme a listener serves or a redirect names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port a URI of this scheme means when it names none (RFC 9110 section 4.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A valid redirect ([F-20]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redirect {
    pub(crate) scheme: Option<Scheme>,
    pub(crate) hostname: Option<Box<str>>,
    pub(crate) path: Option<PathModifier>,
    pub(crate) port: Option<u16>,
    pub(crate) status: StatusCode,
}

/// A valid rewrite ([F-30]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UrlRewrite {
    pub(crate) hostname: Option<Box<str>>,
    pub(crate) path: Option<PathModifier>,
}

/// A valid mirror ([F-40]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mirror {
    pub(crate) backend: BackendId,
    pub(crate) numerator: u32,
    pub(crate) denominator: u32,
}

impl Mirror {
    /// Where the copy goes.
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// The share of requests that are copied, as numerator and denominator ([F-41]).
    pub fn share(&self) -> (u32, u32) {
        (self.numerator, self.denominator)
    }
}

/// The filters of one rule or backendRef.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filters {
    pub(crate) request_headers: HeaderModifier,
    pub(crate) response_headers: HeaderModifier,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) rewrite: Option<UrlRewrite>,
    pub(crate) mirrors: Box<[Mirror]>,
    pub(crate) cors: Option<Cors>,
    pub(crate) auth: Option<ExternalAuth>,
    /// Filters that the embedding program runs, in the order written ([F-60]).
    pub(crate) extensions: Box<[ObjectRef]>,
    /// An extension or authorization that could not be resolved: answers 500 ([F-60], [E-7]).
    pub(crate) unresolved: bool,
}

/// What most rules have.
static NONE: LazyLock<Arc<Filters>> = LazyLock::new(Arc::default);

impl Filters {
    /// The filters, to be shared; where there are none, always the same ones.
    pub(crate) fn into_shared(self) -> Arc<Self> {
        if self == Self::default() { Self::none() } else { Arc::new(self) }
    }

    /// No filters.
    pub(crate) fn none() -> Arc<Self> {
        Arc::clone(&NONE)
    }
}
