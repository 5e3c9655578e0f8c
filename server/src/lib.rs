//! The `gatewright` command: a reference reverse proxy on hyper, and tools that check and explain manifests.
//!
//! It is also the worked example of how to embed the library: it asks the table for a decision and carries it
//! out; it knows nothing of matching. Should you use this crate directly? As a program, yes; as a library it has
//! no stable interface.
//!
//! [`source`] reads manifests and watches them, [`publish`] compiles them and swaps the table together with the
//! [`certificates`] of its listeners and the policies ([`extensions`]) of its rules, [`proxy`] carries out decisions on
//! sockets, [`observe`] counts and logs what it does, [`admin`] shows that on a port of its own, and [`command`] holds one
//! file for each subcommand.

pub mod admin;
pub mod certificates;
pub mod command;
pub mod echo;
pub mod extensions;
pub mod features;
pub mod observe;
pub mod proxy;
pub mod publish;
mod san;
pub mod source;
