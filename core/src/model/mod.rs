//! Stage 2, **what is valid**: after this stage nothing can be invalid, so nothing is checked again.

pub mod auth;
pub(crate) mod automaton;
pub mod cors;
pub mod filter;
pub(crate) mod grant;
pub mod hostname;
pub(crate) mod matching;
pub(crate) mod pattern;
pub(crate) mod pem;
pub mod retry;
pub mod retry_budget;
pub(crate) mod selector;
pub mod session;
pub(crate) mod time;

pub use time::parse_duration;

use crate::resource::meta::ObjectMeta;

/// The namespace of a namespaced object; absent and empty mean `default`, as `kubectl apply` does it ([R-7]).
pub(crate) fn namespace_of(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}
