//! What operators see: metrics, the access log, ids of requests, what has been published.
//!
//! The request path pays for one look-up, some atomic additions, and one line if the log is on. No text of a request ever
//! becomes the label of a metric ([R-O1]).

mod access_log;
mod connects;
mod expose;
mod histogram;
mod history;
mod identity;
mod lines;
mod metrics;
mod names;
mod panics;
mod process;
mod series;
mod shards;
#[cfg(feature = "otel")]
mod spans;
#[cfg(not(feature = "otel"))]
#[path = "no_spans.rs"]
mod spans;

pub use access_log::{AccessLog, Lines};
pub use expose::{NAMES, expose};
pub use history::{History, NotTrue, Rejection};
pub use metrics::{BackendSeries, Metrics, PortSeries};
pub use series::Series;
pub use spans::Spans;

pub(crate) use access_log::{cut, cut_octets, now, timestamp};
pub(crate) use connects::{Connector, Connects};
pub(crate) use identity::Identity;
pub(crate) use lines::{ConnectionLine, Facts, Report, milliseconds};
pub(crate) use metrics::{Counted, InFlight, Open, Outcome, count};
pub(crate) use panics::caught;
pub(crate) use series::Key;
pub(crate) use spans::Span;
