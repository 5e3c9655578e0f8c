//! Backends: which endpoint, over which connection, and what else is sent there.

pub(in crate::proxy) mod backend_tls;
pub(in crate::proxy) mod balance;
pub(in crate::proxy) mod budget;
pub(in crate::proxy) mod mirror;
pub(in crate::proxy) mod stream;
pub(in crate::proxy) mod upstream;
