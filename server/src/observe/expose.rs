//! The metrics as Prometheus reads them (OpenMetrics 1.0 text).

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::access_log::AccessLog;
use super::history::{History, Told};
use super::metrics::{Metrics, Outcome, lock};
use super::names::{method_word, status_word};
use super::process;
use crate::publish::Transport;

/// The name of every metric, as it is read; docs/metrics.md says what each means.
pub const NAMES: &[&str] = &[
    "http_server_request_duration_seconds",
    "gatewright_requests_total",
    "gatewright_answers_total",
    "gatewright_downstream_connections",
    "gatewright_connections_total",
    "gatewright_datagrams_dropped_total",
    "gatewright_upstream_requests_in_flight",
    "gatewright_upstream_attempts_total",
    "gatewright_upstream_retries_total",
    "gatewright_upstream_retries_refused_total",
    "gatewright_mirrors_total",
    "gatewright_upstream_connections",
    "gatewright_upstream_connects_total",
    "gatewright_reloads_total",
    "gatewright_config_generation",
    "gatewright_config_last_reload_timestamp_seconds",
    "gatewright_config_last_change_rejected",
    "gatewright_gateways",
    "gatewright_routes",
    "gatewright_access_log_lines_dropped_total",
    "gatewright_panics_total",
    "gatewright_build_info",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
];

/// Writes all metrics.
///
/// # Errors
///
/// None that are known: the text is written to memory.
pub fn expose(metrics: &Arc<Metrics>, history: &Arc<History>, log: &AccessLog) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(All { metrics: Arc::clone(metrics), told: history.tell(), log: log.clone() }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct All {
    metrics: Arc<Metrics>,
    told: Told,
    log: AccessLog,
}

type Labels<'a> = [(&'static str, &'a str)];

/// No exemplar has labels.
type None_ = [(&'static str, &'static str); 0];

fn counter(metric: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: u64) -> Result<(), Error> {
    metric.encode_family(&labels)?.encode_counter::<None_, _, u64>(&value, None)
}

fn gauge(metric: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: i64) -> Result<(), Error> {
    metric.encode_family(&labels)?.encode_gauge(&value)
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn level(gauge: &AtomicI64) -> i64 {
    gauge.load(Ordering::Relaxed)
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.requests(&mut encoder)?;
        self.connections(&mut encoder)?;
        self.backends(&mut encoder)?;
        self.configuration(&mut encoder)?;
        self.process(&mut encoder)
    }
}

impl All {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut places: Vec<_> = lock(&self.metrics.places).values().cloned().collect();
        places.sort_by(|a, b| a.names.cmp(&b.names));
        let help = "End-to-end duration of requests, from the request's head to the last octet of the response";
        let unit = Some(&Unit::Seconds);
        let mut metric = encoder.encode_descriptor("http_server_request_duration", help, unit, MetricType::Histogram)?;
        for place in &places {
            let reading = place.duration.read();
            let labels = place.names.labels();
            let mut series = metric.encode_family(&labels)?;
            series.encode_histogram::<None_>(reading.seconds, reading.count, &reading.buckets, None)?;
        }
        let help = "Requests that have ended, by where they were decided, method and status code";
        let mut metric = encoder.encode_descriptor("gatewright_requests", help, None, MetricType::Counter)?;
        for place in &places {
            let requests = lock(&place.requests).clone();
            for ((method, status), requests) in requests {
                let status = status_word(status);
                let words = [("http_request_method", method_word(method)), ("http_response_status_code", &*status)];
                let labels: Vec<_> = place.names.labels().into_iter().chain(words).collect();
                counter(&mut metric, &labels, of(&requests))?;
            }
        }
        let help = "Requests that the gateway has answered itself, by reason";
        let mut metric = encoder.encode_descriptor("gatewright_answers", help, None, MetricType::Counter)?;
        let answers = lock(&self.metrics.answers).clone();
        for ((gateway, reason), answers) in &answers {
            counter(&mut metric, &[("gateway", gateway), ("reason", reason)], of(answers))?;
        }
        Ok(())
    }

    fn connections(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let ports = lock(&self.metrics.ports).clone();
        let ports: Vec<_> = ports
            .into_iter()
            .map(|(key, series)| {
                let transport = if key.transport == Transport::Udp { "udp" } else { "tcp" };
                (format!("{}/{}", key.namespace, key.gateway), key.port.to_string(), transport, series)
            })
            .collect();
        let help = "Open connections of clients, and flows of UDP";
        let mut metric = encoder.encode_descriptor("gatewright_downstream_connections", help, None, MetricType::Gauge)?;
        for (gateway, port, transport, series) in &ports {
            gauge(&mut metric, &[("gateway", gateway), ("port", port), ("transport", transport)], level(&series.open))?;
        }
        let help = "Connections, and flows of UDP, by what was decided about them";
        let mut metric = encoder.encode_descriptor("gatewright_connections", help, None, MetricType::Counter)?;
        for (gateway, port, transport, series) in &ports {
            for (decision, number) in series.decisions() {
                let labels = [("gateway", &**gateway), ("port", port), ("transport", transport), ("decision", decision)];
                counter(&mut metric, &labels, number)?;
            }
        }
        let help = "Datagrams for which there was no flow, since a port had too many";
        let mut metric = encoder.encode_descriptor("gatewright_datagrams_dropped", help, None, MetricType::Counter)?;
        for (gateway, port, _, series) in ports.iter().filter(|(_, _, transport, _)| *transport == "udp") {
            counter(&mut metric, &[("gateway", gateway), ("port", port)], of(&series.datagrams_dropped))?;
        }
        Ok(())
    }

    fn backends(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let backends = lock(&self.metrics.backends).clone();
        let help = "Requests and streams on their way to a backend, until the last octet of the answer";
        let mut metric = encoder.encode_descriptor("gatewright_upstream_requests_in_flight", help, None, MetricType::Gauge)?;
        for (backend, series) in &backends {
            gauge(&mut metric, &[("backend", backend)], level(&series.in_flight))?;
        }
        let help = "Attempts to get an answer from a backend, by what came of them";
        let mut metric = encoder.encode_descriptor("gatewright_upstream_attempts", help, None, MetricType::Counter)?;
        for (backend, series) in &backends {
            for (outcome, number) in Outcome::ATTEMPTS.into_iter().zip(&series.attempts) {
                counter(&mut metric, &[("backend", backend), ("outcome", outcome)], of(number))?;
            }
        }
        let help = "Attempts after the first";
        let mut metric = encoder.encode_descriptor("gatewright_upstream_retries", help, None, MetricType::Counter)?;
        for (backend, series) in &backends {
            counter(&mut metric, &[("backend", backend)], of(&series.retries))?;
        }
        let help = "Retries that the retry budget of the backend did not allow";
        let mut metric = encoder.encode_descriptor("gatewright_upstream_retries_refused", help, None, MetricType::Counter)?;
        for (backend, series) in &backends {
            counter(&mut metric, &[("backend", backend)], of(&series.retries_refused))?;
        }
        let help = "Copies of requests, by what came of them";
        let mut metric = encoder.encode_descriptor("gatewright_mirrors", help, None, MetricType::Counter)?;
        for (backend, series) in &backends {
            for (outcome, number) in Outcome::MIRRORS.into_iter().zip(&series.mirrors) {
                counter(&mut metric, &[("backend", backend), ("outcome", outcome)], of(number))?;
            }
        }
        let connects = &self.metrics.connects;
        let help = "Connections for HTTP to backends, by state; open ones may be idle";
        let mut metric = encoder.encode_descriptor("gatewright_upstream_connections", help, None, MetricType::Gauge)?;
        gauge(&mut metric, &[("state", "connecting")], level(&connects.connecting))?;
        gauge(&mut metric, &[("state", "open")], level(&connects.open))?;
        let help = "Attempts to connect to backends for HTTP, by what came of them";
        let mut metric = encoder.encode_descriptor("gatewright_upstream_connects", help, None, MetricType::Counter)?;
        counter(&mut metric, &[("outcome", "open")], of(&connects.made))?;
        counter(&mut metric, &[("outcome", "error")], of(&connects.failed))
    }

    fn configuration(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let told = &self.told;
        let help = "Changes of the manifests, by whether they were taken; the first table counts";
        let mut metric = encoder.encode_descriptor("gatewright_reloads", help, None, MetricType::Counter)?;
        counter(&mut metric, &[("result", "success")], told.accepted)?;
        counter(&mut metric, &[("result", "rejected")], told.rejected)?;
        let help = "Number of the table that serves";
        let mut metric = encoder.encode_descriptor("gatewright_config_generation", help, None, MetricType::Gauge)?;
        metric.encode_gauge(&i64::try_from(told.generation).unwrap_or(i64::MAX))?;
        let help = "When the table that serves was published";
        let name = "gatewright_config_last_reload_timestamp";
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        metric.encode_gauge(&told.loaded.map(seconds).unwrap_or_default())?;
        let help = "Whether the last change of the manifests was rejected: 1, or 0";
        let mut metric = encoder.encode_descriptor("gatewright_config_last_change_rejected", help, None, MetricType::Gauge)?;
        metric.encode_gauge(&i64::from(told.is_behind))?;
        for (name, help) in [
            ("gatewright_gateways", "Gateways that serve, by condition and its status"),
            ("gatewright_routes", "Routes that serve, by kind, condition and its status for all parents"),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for ((kind, condition, is_true), number) in &told.objects {
                let status = if *is_true { "True" } else { "False" };
                let number = i64::try_from(*number).unwrap_or(i64::MAX);
                match (&**kind, name) {
                    ("Gateway", "gatewright_gateways") => gauge(&mut metric, &[("condition", condition), ("status", status)], number)?,
                    ("Gateway", _) | (_, "gatewright_gateways") => {}
                    (kind, _) => gauge(&mut metric, &[("kind", kind), ("condition", condition), ("status", status)], number)?,
                }
            }
        }
        Ok(())
    }

    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Lines of the access log that were not written, since too many were waiting or nobody reads them";
        let mut metric = encoder.encode_descriptor("gatewright_access_log_lines_dropped", help, None, MetricType::Counter)?;
        metric.encode_counter::<None_, _, u64>(&of(self.log.dropped()), None)?;
        let help = "Requests that ended in a panic; any is a fault of the program";
        let mut metric = encoder.encode_descriptor("gatewright_panics", help, None, MetricType::Counter)?;
        metric.encode_counter::<None_, _, u64>(&of(&self.metrics.panics), None)?;
        let mut metric = encoder.encode_descriptor("gatewright_build_info", "The version, as a label", None, MetricType::Gauge)?;
        gauge(&mut metric, &[("version", env!("CARGO_PKG_VERSION"))], 1)?;
        let unit = Some(&Unit::Seconds);
        let mut metric = encoder.encode_descriptor("process_start_time", "When the program was started", unit, MetricType::Gauge)?;
        metric.encode_gauge(&seconds(self.metrics.started))?;
        let process = process::read();
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory in use", process.resident),
            ("process_open_fds", "Open file descriptors", process.files),
            ("process_max_fds", "File descriptors that may be open", process.files_limit),
        ] {
            if let Some(value) = value {
                encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}
