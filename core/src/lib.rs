//! The routing engine of the Kubernetes Gateway API: resources in, an immutable table and status out, a decision for
//! each request. No I/O, clock, randomness, environment, async or `unsafe`; no panic on any input.
//!
//! Data flows one way, and the modules are in that order:
//!
//! 1. [`resource`]: what users write, one to one with the CRDs. Manifests come in through `load` (feature `yaml`).
//! 2. [`model`]: what is valid. [`compile`] goes from 1 to 3 by way of it, and reports with [`diagnostic`],
//!    what the API server would reject by the API's own sentence.
//! 3. [`table`]: what is fast. A [`Table`] is immutable, shared between threads, cheap to clone.
//! 4. [`Table::decide`] takes a [`Request`] and a [`Pick`] and gives a [`Decision`], plain data with small ids;
//!    an [`OwnedDecision`] borrows nothing; [`Table::decide_connection`] does it for connections and flows; [`Table::explain`] says why; [`report`] turns
//!    ids into names.
//! 5. [`apply`] carries a decision out on the types of the `http` crate.
//!
//! [`canonical`] is the one form in which targets and authorities are matched and forwarded.
//!
//! Numbers in brackets, such as \[M-20\] or \[R-P7\], name the rules of the specification digest and of the security
//! rules that this crate follows.
#![forbid(unsafe_code)]

pub mod apply;
pub mod canonical;
pub mod connection;
pub mod decision;
pub mod diagnostic;
pub mod explain;
#[cfg(feature = "yaml")]
pub mod load;
pub mod model;
pub mod options;
pub mod report;
pub mod request;
pub mod resource;
pub mod session;
pub mod table;

mod blob;
mod compile;
mod decide;
mod features;
mod octets;
mod owned;
mod routing;
mod validate;

pub use compile::{Changes, Compiled, Compiler, ObjectStatus, Status, Update, compile};
pub use connection::ConnectionDecision;
pub use decision::Decision;
pub use diagnostic::{Code, Diagnostic, ObjectRef, Position, Severity};
pub use features::{Feature, Features};
pub use options::{EndpointAddresses, Extension, MissingServices, Options, Profile};
pub use owned::{DecisionKind, OwnedDecision};
pub use request::{Arrival, Authority, Headers, Pick, Place, Request};
pub use resource::{Object, Resources};
pub use table::Table;

/// The examples of the README are tests.
#[cfg(all(doctest, feature = "yaml"))]
#[doc = include_str!("../../README.md")]
struct Readme;
