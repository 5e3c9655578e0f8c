//! The upstream conformance suite as data: cases, the state of each step, and the checks of status and traffic.

mod case;
mod state;
mod status;
mod traffic;

pub use case::{Case, Expect, Row, StatusCheck, pure_cases};
pub use state::{CONTROLLER, State};
pub use status::check_status;
pub use traffic::{Forwarded, Observed, check_row};
