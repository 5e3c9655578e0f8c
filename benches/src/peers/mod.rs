//! The peers: routers from the registry, each given all that it can express of a set.
//!
//! junction-core is one, too, in a workspace of its own (`benches/junction`): what it depends on should not come into the
//! lockfile of this one.

mod atc;
mod matchit;
mod path_router;
mod path_tree;
mod regex_set;
mod wayfind;

pub use atc::Atc;
pub use matchit::Matchit;
pub use path_router::{Node, PathRouter, PerHost};
pub use path_tree::PathTree;
pub use regex_set::RegexSets;
pub use wayfind::Wayfind;
