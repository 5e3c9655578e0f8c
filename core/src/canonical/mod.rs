//! The one canonical form: of request targets and authorities, of match values, of rewrite results ([R-P11]).
//!
//! Almost every routing mistake with a CVE is two readings of one request. Here a request is read once; what
//! is matched is what is forwarded, and configured values go through the same functions.

mod authority;
mod fields;
mod refusal;
mod target;

pub use authority::{Host, HostKind, RequestAuthority};
pub use refusal::Refusal;
pub use target::{CanonicalTarget, TargetForm};

pub(crate) use authority::parse_authority;
pub(crate) use fields::{Fields, KnownFields, is_named_by_connection, is_of_one_hop, of_one_hop, same_to_some};
pub(crate) use target::{canonical_target, check_method, split_form};
