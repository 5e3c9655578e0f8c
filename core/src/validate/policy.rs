//! BackendTLSPolicy ([V-25]), XBackendTrafficPolicy and XBackend ([V-26]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::format::{self, DURATION, GROUP, HOSTNAME, KIND, NAME, PORT_NAME, PRECISE_HOSTNAME, SECTION_NAME, URI, WELL_KNOWN_CA};
use super::report::{Path, Report};
use super::{gateway, reference, session};
use crate::model::time::parse_duration;
use crate::resource::backend::{XBackendProtocol, XBackendSpec, XBackendTlsMode, XBackendType};
use crate::resource::policy::{
    BackendTlsPolicySpec, BackendTlsPolicyValidation, PolicyTargetReference, SubjectAltName, SubjectAltNameType, XBackendTrafficPolicySpec,
};

pub(super) fn backend_tls(report: &mut Report<'_>, spec: &BackendTlsPolicySpec) {
    targets(report, &spec.target_refs);
    validation(report, &Path::SPEC.field("validation"), &spec.validation);
    gateway::options(report, &Path::SPEC.field("options"), &spec.options);
}

/// References to one target must differ by sectionName.
fn targets(report: &mut Report<'_>, list: &[PolicyTargetReference]) {
    let at = Path::SPEC.field("targetRefs");
    report.items(&at, list, 1, 16);
    let mut same = BTreeMap::<_, (bool, BTreeSet<_>)>::new();
    for (n, target) in list.iter().enumerate() {
        let at = at.index(n);
        report.text(&at.field("group"), &target.group, &GROUP);
        report.text(&at.field("kind"), &target.kind, &KIND);
        report.text(&at.field("name"), &target.name, &NAME);
        report.optional(&at.field("sectionName"), target.section_name.as_deref(), &SECTION_NAME);
        let section = target.section_name.as_deref().filter(|name| !name.is_empty());
        let (first_has_one, seen) =
            same.entry((&target.group, &target.kind, &target.name)).or_insert_with(|| (section.is_some(), BTreeSet::new()));
        if *first_has_one != section.is_some() {
            report.rejected(&at, "sectionName must be specified when targetRefs includes 2 or more references to the same target");
        } else if !seen.insert(section) {
            report.rejected(&at, "sectionName must be unique when targetRefs includes 2 or more references to the same target");
        }
    }
}

/// Validation of a backend's certificate, of a BackendTLSPolicy or an XBackend.
fn validation(report: &mut Report<'_>, at: &Path<'_>, field: &BackendTlsPolicyValidation) {
    let list = at.field("caCertificateRefs");
    report.items(&list, &field.ca_certificate_refs, 0, 8);
    for (n, authority) in field.ca_certificate_refs.iter().enumerate() {
        reference::local(report, &list.index(n), authority);
    }
    report.optional(&at.field("wellKnownCACertificates"), field.well_known_ca_certificates.as_deref(), &WELL_KNOWN_CA);
    let well_known = field.well_known_ca_certificates.as_deref().is_some_and(|name| !name.is_empty());
    match (!field.ca_certificate_refs.is_empty(), well_known) {
        (true, true) => report.rejected(at, "must not contain both CACertificateRefs and WellKnownCACertificates"),
        (false, false) => report.rejected(at, "must specify either CACertificateRefs or WellKnownCACertificates"),
        _ => {}
    }
    report.text(&at.field("hostname"), &field.hostname, &PRECISE_HOSTNAME);
    let list = at.field("subjectAltNames");
    report.items(&list, &field.subject_alt_names, 0, 5);
    for (n, name) in field.subject_alt_names.iter().enumerate() {
        alt_name(report, &list.index(n), name);
    }
}

fn alt_name(report: &mut Report<'_>, at: &Path<'_>, name: &SubjectAltName) {
    report.known(&at.field("type"), name.type_.as_str(), SubjectAltNameType::KNOWN);
    for (member, what, type_, value, rule) in [
        ("hostname", "Hostname", SubjectAltNameType::Hostname, name.hostname.as_deref(), &HOSTNAME),
        ("uri", "URI", SubjectAltNameType::Uri, name.uri.as_deref(), &URI),
    ] {
        report.optional(&at.field(member), value, rule);
        let is_set = value.is_some_and(|value| !value.is_empty());
        match (name.type_ == type_, is_set) {
            (true, false) => report.rejected(at, format!("SubjectAltName element must contain {what}, if Type is set to {what}")),
            (false, true) => {
                report.rejected(&at.field(member), format!("SubjectAltName element must not contain {what}, if Type is not set to {what}"));
            }
            _ => {}
        }
    }
}

pub(super) fn backend_traffic(report: &mut Report<'_>, spec: &XBackendTrafficPolicySpec) {
    let at = Path::SPEC.field("targetRefs");
    report.items(&at, &spec.target_refs, 1, 16);
    let key = |target: &crate::resource::meta::LocalObjectReference| format!("{}/{}/{}", target.group, target.kind, target.name);
    report.distinct(&at, spec.target_refs.iter().map(key));
    for (n, target) in spec.target_refs.iter().enumerate() {
        reference::local(report, &at.index(n), target);
    }
    if let Some(field) = &spec.session_persistence {
        session::session(report, &Path::SPEC.field("sessionPersistence"), field);
    }
    let Some(constraint) = &spec.retry_constraint else { return };
    let at = Path::SPEC.field("retryConstraint");
    const HOUR: Duration = Duration::from_secs(3600);
    if let Some(budget) = &constraint.budget {
        let at = at.field("budget");
        if let Some(percent) = budget.percent {
            report.number(&at.field("percent"), percent, 0, 100);
        }
        let valid = |time: Duration| time >= Duration::from_secs(1) && time <= HOUR;
        interval(
            report,
            &at.field("interval"),
            budget.interval.as_deref(),
            valid,
            "interval cannot be greater than one hour or less than one second",
        );
    }
    if let Some(rate) = &constraint.min_retry_rate {
        let at = at.field("minRetryRate");
        if let Some(count) = rate.count {
            report.number(&at.field("count"), count, 1, 1_000_000);
        }
        // No time at all is refused with the same sentence.
        let valid = |time: Duration| !time.is_zero() && time <= HOUR;
        interval(report, &at.field("interval"), rate.interval.as_deref(), valid, "interval cannot be greater than one hour");
    }
}

fn interval(report: &mut Report<'_>, at: &Path<'_>, value: Option<&str>, valid: impl Fn(Duration) -> bool, message: &str) {
    report.optional(at, value, &DURATION);
    if let Some(value) = value
        && parse_duration(value).is_some_and(|time| !valid(time))
    {
        report.rejected_value(at, message, value);
    }
}

pub(super) fn backend(report: &mut Report<'_>, spec: &XBackendSpec) {
    let at = Path::SPEC;
    report.known(&at.field("type"), spec.type_.as_str(), XBackendType::KNOWN);
    if (spec.type_ == XBackendType::ExternalHostname) != spec.external_hostname.is_some() {
        let message = "externalHostname must be set when type is ExternalHostname and must be unset otherwise";
        report.rejected(&at.field("externalHostname"), message);
    }
    if let Some(external) = &spec.external_hostname {
        let at = at.field("externalHostname");
        let at = at.field("hostname");
        report.text(&at, &external.hostname, &PRECISE_HOSTNAME);
        if external.hostname.ends_with(".cluster.local") {
            report.rejected_value(&at, "hostname must not be an IP address or end with .cluster.local", &external.hostname);
        }
    }
    let port = at.field("port");
    report.port(&port.field("port"), Some(spec.port.port));
    if let Some(name) = &spec.port.name {
        report.text(&port.field("name"), name, &PORT_NAME);
        if !name.is_empty() && !(format::patterns::LABEL.holds)(name) {
            report.rejected_value(&port.field("name"), "Name must be a valid DNS label", name);
        }
    }
    if let Some(protocol) = &spec.protocol {
        report.known(&at.field("protocol"), protocol.as_str(), XBackendProtocol::KNOWN);
    }
    let Some(tls) = &spec.tls else { return };
    let at = at.field("tls");
    report.known(&at.field("mode"), tls.mode.as_str(), XBackendTlsMode::KNOWN);
    if (tls.mode == XBackendTlsMode::ClientAndServer) != tls.client_certificate_ref.is_some() {
        let message = "clientCertificateRef must be set if and only if mode is ClientAndServer";
        report.rejected(&at.field("clientCertificateRef"), message);
    }
    if let Some(reference) = &tls.client_certificate_ref {
        reference::secret(report, &at.field("clientCertificateRef"), reference);
    }
    if let Some(field) = &tls.validation {
        validation(report, &at.field("validation"), field);
    }
}
