//! Stage 2, **what is valid**: after this stage nothing can be invalid, so nothing is checked again.

pub mod cors;
pub mod filter;
pub mod retry;
pub mod session;
