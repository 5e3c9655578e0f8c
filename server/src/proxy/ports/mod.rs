//! Ports of Gateways: their sockets, the connections that come, and what clients may take of them.

pub(in crate::proxy) mod connection;
pub(in crate::proxy) mod connection_record;
pub(in crate::proxy) mod limits;
pub(in crate::proxy) mod listener;
pub(in crate::proxy) mod stall;
pub(in crate::proxy) mod strict;
pub(in crate::proxy) mod tcp;
pub(in crate::proxy) mod tls;
pub(in crate::proxy) mod udp;
pub(in crate::proxy) mod worker;
