//! Session persistence ([SP-1] to [SP-10], [R-B4]): tokens that keep the requests of one client with one endpoint.
//!
//! A token is sealed with authenticated encryption for one scope: the Gateway and the rule, or the Gateway and the
//! Service whose policy asks for it. It tells a client nothing, cannot be made up, and opens nowhere else. What it
//! names counts only while it is a ready endpoint of a backend of the rule; in any other case the request is
//! balanced like a new one and gets a new token ([SP-5]).
//!
//! Keys and time are arguments. The feature `session` brings the cipher: without it a decision still carries what
//! the rule asks for, and no request is pinned.
//!
//! A Gateway with sessions does, for each request:
//!
//! 1. [`Table::decide_with_sessions`](crate::Table::decide_with_sessions) instead of `decide`;
//! 2. if the decision is `Forward` and its [`Session::endpoint`] is `Some`, send the request there;
//! 3. with the response, add the field that
//!    [`Table::session_field`](crate::Table::session_field) gives for the endpoint that answered.

mod choose;
mod cookie;
#[cfg(feature = "session")]
mod seal;
#[cfg(not(feature = "session"))]
mod without;

pub(crate) use choose::Choice;
pub use cookie::{cookie_value, set_cookie};
#[cfg(feature = "session")]
pub use seal::{Claim, SessionKey, SessionKeys, Sessions, Target};
#[cfg(not(feature = "session"))]
pub(crate) use without::{Claim, Sessions};

use crate::diagnostic::ObjectRef;
use crate::model::session::SessionPersistence;
use crate::table::{Endpoint, RuleInfo};

/// Where a token is good: nowhere but there ([SP-6]).
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The Gateway, or for mesh routes the Service that they are attached to.
    pub parent: &'a ObjectRef,
    /// Who asks for the session.
    pub owner: Owner<'a>,
}

/// Who asks for a session.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// `sessionPersistence` of a rule: by its name if it has one, else by its place.
    Rule(&'a ObjectRef, &'a RuleInfo),
    /// An XBackendTrafficPolicy: the Service it targets, and the port.
    Backend(&'a ObjectRef, u16),
}

/// The session of a request that is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    pub(crate) persistence: &'a SessionPersistence,
    /// Whether the backend's policy asks for it and not the rule.
    #[cfg_attr(not(feature = "session"), allow(dead_code, reason = "read to seal"))]
    pub(crate) of_backend: bool,
    /// Place of the chosen backendRef in its rule.
    #[cfg_attr(not(feature = "session"), allow(dead_code, reason = "read to seal"))]
    pub(crate) share: u16,
    pub(crate) pinned: Option<Pinned<'a>>,
}

/// What an opened token names, found again in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinned<'a> {
    /// `None` for a backend whose endpoints the table does not know.
    pub(crate) endpoint: Option<&'a Endpoint>,
}

impl<'a> Session<'a> {
    /// What the rule or the backend's policy asks for.
    pub fn persistence(&self) -> &'a SessionPersistence {
        self.persistence
    }

    /// Whether the request came with a token that holds: its backend is the session's, whatever the weights say
    /// ([SP-1]).
    pub fn is_established(&self) -> bool {
        self.pinned.is_some()
    }

    /// The endpoint of an established session. `None` for a new session, which may choose any, and for a backend
    /// whose endpoints the table does not know.
    pub fn endpoint(&self) -> Option<&'a Endpoint> {
        self.pinned.and_then(|pinned| pinned.endpoint)
    }
}
