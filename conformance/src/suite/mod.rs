//! The upstream conformance suite as data: the cases, the state of each step, and the checks of status and traffic.

mod case;
mod certificates;
mod exchange;
mod hear;
mod observed;
mod pods;
mod proxy;
mod row;
mod run;
mod state;
mod status;

pub use case::{Case, Named, Profile, StatusCheck, cases};
pub use certificates::{Certificate, Certificates, Content, base64};
pub use hear::{Asked, Hear, Step, each_step};
pub use observed::{Forwarded, Observed, Refused, SeenTls, check_row, check_sample};
pub use pods::Speaks;
pub use row::{Behaviour, Conversation, Expect, Failure, Frame, Outcome, Protocol, Rejection, Row};
pub use run::{CaseResult, PartialRow, Skipped, Totals, run_all, run_case, run_case_under};
pub use state::{CONTROLLER, State, TestBackend};
