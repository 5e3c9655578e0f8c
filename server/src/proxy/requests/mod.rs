//! One request: looked at, decided, guarded, exchanged with a backend, and recorded.

pub(in crate::proxy) mod body;
pub(in crate::proxy) mod exchange;
pub(in crate::proxy) mod ext_auth;
pub(in crate::proxy) mod ext_authz;
pub(in crate::proxy) mod guard;
pub(in crate::proxy) mod head;
pub(in crate::proxy) mod hop;
pub(in crate::proxy) mod incoming;
pub(in crate::proxy) mod interim;
pub(in crate::proxy) mod pages;
pub(in crate::proxy) mod record;
pub(in crate::proxy) mod retries;
pub(in crate::proxy) mod service;
pub(in crate::proxy) mod sessions;
pub(in crate::proxy) mod tee;
