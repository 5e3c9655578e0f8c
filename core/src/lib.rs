//! The routing engine of the Kubernetes Gateway API.
#![forbid(unsafe_code)]

pub mod apply;
pub mod canonical;
pub mod decision;
pub mod diagnostic;
pub mod explain;
#[cfg(feature = "yaml")]
pub mod load;
pub mod model;
pub mod report;
pub mod request;
pub mod resource;
pub mod table;

mod compile;
mod decide;
mod options;

pub use compile::{Compiled, ObjectStatus, Status, compile};
pub use decision::Decision;
pub use diagnostic::{Code, Diagnostic, ObjectRef, Position, Severity};
pub use options::{MissingServices, Options, Profile};
pub use request::{Arrival, Authority, Headers, Pick, Request};
pub use resource::{Object, Resources};
pub use table::Table;

/// The examples of the README are tests.
#[cfg(all(doctest, feature = "yaml"))]
#[doc = include_str!("../../README.md")]
struct Readme;
