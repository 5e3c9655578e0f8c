//! Spans of OpenTelemetry, in a build without the feature `otel`: nothing, at no cost.

use http::HeaderMap;

use super::identity::Identity;
use super::lines::Facts;

/// Makes spans, with the feature `otel`.
#[derive(Clone, Debug, Default)]
pub struct Spans(());

/// The span of a request, with the feature `otel`.
#[derive(Debug)]
pub(crate) struct Span;

impl Spans {
    /// Makes none.
    ///
    /// # Errors
    ///
    /// None.
    pub fn from_environment() -> Result<Self, String> {
        Ok(Self(()))
    }

    /// Nothing waits to be exported.
    pub fn shut_down(&self) {}

    #[expect(clippy::unused_self, reason = "the same as with the feature")]
    pub(crate) fn start(&self, _: &mut HeaderMap, _: &mut Identity) -> Span {
        Span
    }
}

impl Span {
    #[expect(clippy::unused_self, reason = "the same as with the feature")]
    pub(crate) fn is_recording(&self) -> bool {
        false
    }

    pub(crate) fn end(&mut self, _: &Facts<'_>) {}
}
