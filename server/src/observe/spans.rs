//! Spans of OpenTelemetry: one for each request, exported over OTLP.
//!
//! The environment says where to and how much, in OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
//! `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`). Attributes have the names of its conventions for HTTP servers
//! where there are some.

use std::str::FromStr as _;

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::identity::{Identity, TRACE_PARENT, TRACE_STATE};
use super::lines::Facts;

/// Where spans go; the default is nowhere.
#[derive(Clone, Debug, Default)]
pub struct Spans(Option<(SdkTracer, SdkTracerProvider)>);

/// The span of a request.
#[derive(Debug)]
pub(crate) struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Spans {
    /// Exports to where the environment says; nowhere if it does not.
    ///
    /// # Errors
    ///
    /// When what it says cannot be used.
    pub fn from_environment() -> Result<Self, String> {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !set("OTEL_EXPORTER_OTLP_ENDPOINT") && !set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            return Ok(Self::default());
        }
        Self::new(SpanExporter::builder().with_http().build().map_err(|error| error.to_string())?)
    }

    /// Exports to a collector: `http://host:4318/v1/traces`.
    ///
    /// # Errors
    ///
    /// When the address cannot be used.
    pub fn to(endpoint: &str) -> Result<Self, String> {
        Self::new(SpanExporter::builder().with_http().with_endpoint(endpoint).build().map_err(|error| error.to_string())?)
    }

    fn new(exporter: SpanExporter) -> Result<Self, String> {
        let resource = Resource::builder();
        let resource = if std::env::var_os("OTEL_SERVICE_NAME").is_some() { resource } else { resource.with_service_name("gatewright") };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        Ok(Self(Some((provider.tracer("gatewright"), provider))))
    }

    /// Exports what is still waiting; blocks.
    pub fn shut_down(&self) {
        if let Some((_, provider)) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans are lost");
        }
    }

    /// Starts the span of a request, in the trace of the client or in a new one; the backend's trace context is this span.
    pub(crate) fn start(&self, headers: &mut HeaderMap, identity: &mut Identity) -> Span {
        let Some((tracer, _)) = &self.0 else { return Span(None) };
        let parent = identity
            .trace
            .as_ref()
            .and_then(|trace| parent(trace, headers))
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let span = tracer.build_with_context(tracer.span_builder("HTTP").with_kind(SpanKind::Server), &parent);
        let context = span.span_context();
        let text = format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags());
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(TRACE_PARENT, value.clone());
            identity.trace = Some(value);
        }
        Span(Some(span))
    }
}

fn parent(trace: &HeaderValue, headers: &HeaderMap) -> Option<SpanContext> {
    // `00-trace-parent-flags`, checked before.
    let text = trace.to_str().ok()?;
    let states: Vec<_> = headers.get_all(TRACE_STATE).iter().filter_map(|state| state.to_str().ok()).collect();
    Some(SpanContext::new(
        TraceId::from_hex(text.get(3..35)?).ok()?,
        SpanId::from_hex(text.get(36..52)?).ok()?,
        TraceFlags::new(u8::from_str_radix(text.get(53..55)?, 16).ok()?),
        true,
        TraceState::from_str(&states.join(",")).unwrap_or_default(),
    ))
}

impl Span {
    pub(crate) fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(opentelemetry::trace::Span::is_recording)
    }

    /// Ends it with what is known of the request.
    pub(crate) fn end(&mut self, facts: &Facts<'_>) {
        let Some(span) = &mut self.0 else { return };
        let known = super::names::method_word(super::names::method_index(facts.method));
        let method = if known == "_OTHER" { "HTTP" } else { known };
        span.update_name(if facts.names.route.is_empty() { method.to_owned() } else { format!("{method} {}", facts.names.route) });
        let mut set = |name: &'static str, value: Value| span.set_attribute(KeyValue::new(name, value));
        let mut text = |name, value: &str| {
            if !value.is_empty() {
                set(name, value.to_owned().into());
            }
        };
        text("http.request.method", known);
        if known == "_OTHER" {
            text("http.request.method_original", facts.method.as_str());
        }
        text("http.route", &facts.names.route);
        text("url.scheme", facts.scheme);
        text("url.path", facts.path);
        text("server.address", facts.host);
        text("client.address", &facts.client.ip().to_string());
        text("user_agent.original", facts.user_agent.unwrap_or_default());
        text("network.protocol.version", facts.protocol.strip_prefix("HTTP/").unwrap_or_default().trim_end_matches(".0"));
        text("gatewright.gateway", &facts.names.gateway);
        text("gatewright.listener", &facts.names.listener);
        text("gatewright.rule", &facts.names.rule);
        text("gatewright.backend", &facts.names.backend);
        text("gatewright.endpoint", facts.endpoint.unwrap_or_default());
        text("gatewright.reason", facts.reason.unwrap_or_default());
        text("gatewright.request_id", facts.request_id);
        let failed = facts.status.is_server_error() || !facts.complete;
        if failed {
            let status = facts.status.as_u16().to_string();
            text("error.type", facts.reason.unwrap_or(if facts.complete { &status } else { "incomplete" }));
        }
        set("http.response.status_code", i64::from(facts.status.as_u16()).into());
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}
