//! GatewayClass, XMesh, Gateway, and the listeners of Gateway and ListenerSet ([V-24]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::format::{self, ADDRESS, ADDRESS_TYPE, ANNOTATION_VALUE, CONTROLLER, DESCRIPTION, KIND, LABEL_VALUE, NAME, PROTOCOL};
use super::reference;
use super::report::{Path, Report};
use crate::resource::gateway::{
    FrontendTlsConfig, FrontendValidationMode, GatewayInfrastructure, GatewaySpec, GatewaySpecAddress, Listener, ListenerTls, ProtocolType,
    RouteNamespaces, TlsMode,
};
use crate::resource::listener_set::ListenerSetSpec;
use crate::resource::meta::{DefaultScope, ObjectReference};

/// A GatewayClass or XMesh.
pub(super) fn class(report: &mut Report<'_>, controller: &str, parameters: Option<&ObjectReference>, description: Option<&str>) {
    report.text(&Path::SPEC.field("controllerName"), controller, &CONTROLLER);
    if let Some(parameters) = parameters {
        reference::object(report, &Path::SPEC.field("parametersRef"), parameters);
    }
    report.optional(&Path::SPEC.field("description"), description, &DESCRIPTION);
}

pub(super) fn gateway(report: &mut Report<'_>, spec: &GatewaySpec) {
    let at = Path::SPEC;
    report.text(&at.field("gatewayClassName"), &spec.gateway_class_name, &NAME);
    listeners(report, &spec.listeners);
    addresses(report, &at.field("addresses"), &spec.addresses);
    if let Some(field) = &spec.infrastructure {
        infrastructure(report, &at.field("infrastructure"), field);
    }
    if let Some(allowed) = spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref()) {
        from(report, &at.field("allowedListeners").field("namespaces"), allowed, &["All", "Selector", "Same", "None"]);
    }
    default_scope(report, &at.field("defaultScope"), spec.default_scope.as_ref());
    let Some(tls) = &spec.tls else { return };
    let at = at.field("tls");
    if let Some(reference) = tls.backend.as_ref().and_then(|backend| backend.client_certificate_ref.as_ref()) {
        reference::secret(report, &at.field("backend").field("clientCertificateRef"), reference);
    }
    let Some(frontend) = &tls.frontend else { return };
    let at = at.field("frontend");
    frontend_tls(report, &at.field("default"), &frontend.default);
    let at = at.field("perPort");
    report.items(&at, &frontend.per_port, 0, 64);
    let mut ports = BTreeSet::new();
    for (n, entry) in frontend.per_port.iter().enumerate() {
        let at = at.index(n);
        report.port(&at.field("port"), Some(entry.port));
        if !ports.insert(entry.port) {
            report.rejected_value(&at.field("port"), "Port for TLS configuration must be unique within the Gateway", entry.port);
        }
        frontend_tls(report, &at.field("tls"), &entry.tls);
    }
}

pub(super) fn listener_set(report: &mut Report<'_>, spec: &ListenerSetSpec) {
    // It has no sectionName and no port.
    let parent = &spec.parent_ref;
    let (group, kind) = (parent.group.as_deref(), parent.kind.as_deref());
    reference::target(report, &Path::SPEC.field("parentRef"), group, kind, &parent.name, parent.namespace.as_deref());
    listeners(report, &spec.listeners);
}

pub(super) fn default_scope(report: &mut Report<'_>, at: &Path<'_>, scope: Option<&DefaultScope>) {
    if let Some(scope) = scope {
        report.known(at, scope.as_str(), DefaultScope::KNOWN);
    }
}

fn frontend_tls(report: &mut Report<'_>, at: &Path<'_>, config: &FrontendTlsConfig) {
    let Some(validation) = &config.validation else { return };
    let at = at.field("validation");
    let list = at.field("caCertificateRefs");
    report.items(&list, &validation.ca_certificate_refs, 1, 16);
    for (n, authority) in validation.ca_certificate_refs.iter().enumerate() {
        reference::object(report, &list.index(n), authority);
    }
    if let Some(mode) = &validation.mode {
        report.known(&at.field("mode"), mode.as_str(), FrontendValidationMode::KNOWN);
    }
}

fn addresses(report: &mut Report<'_>, at: &Path<'_>, list: &[GatewaySpecAddress]) {
    report.items(at, list, 0, 16);
    let mut seen = BTreeSet::new();
    for (n, address) in list.iter().enumerate() {
        let at = at.index(n);
        let type_ = address.type_.as_deref().unwrap_or("IPAddress");
        report.text(&at.field("type"), type_, &ADDRESS_TYPE);
        let Some(value) = address.value.as_deref() else { continue };
        let at = at.field("value");
        report.text(&at, value, &ADDRESS);
        match type_ {
            "IPAddress" if value.parse::<IpAddr>().is_err() => report.rejected_value(&at, "must be of type ipv4 or ipv6", value),
            "Hostname" if !(format::patterns::HOSTNAME.holds)(value) => {
                let pattern = format::patterns::HOSTNAME.text;
                let message = format!("Hostname value must be empty or contain only valid characters (matching {pattern})");
                report.rejected_value(&at, message, value);
            }
            _ => {}
        }
        if ["IPAddress", "Hostname"].contains(&type_) && !seen.insert((type_, value)) {
            report.rejected_value(&at, format!("{type_} values must be unique"), value);
        }
    }
}

/// Labels and annotations of generated objects ([L-29]).
fn infrastructure(report: &mut Report<'_>, at: &Path<'_>, field: &GatewayInfrastructure) {
    for (name, one, map, most, rule) in
        [("labels", "label", &field.labels, 8, &LABEL_VALUE), ("annotations", "annotation", &field.annotations, 16, &ANNOTATION_VALUE)]
    {
        let at = at.field(name);
        report.count(&at, map.len(), 0, most);
        for (key, value) in map {
            let at = at.field(key);
            report.text(&at, value, rule);
            if !(format::patterns::LABEL_KEY.holds)(key) {
                let (first, rest) = one.split_at_checked(1).unwrap_or_default();
                let message = format!(
                    "{}{rest} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.",
                    first.to_uppercase()
                );
                report.rejected_value(&at, message, key);
            }
            if key.split('/').next().is_some_and(|prefix| prefix.chars().count() >= 253) {
                let message =
                    format!("If specified, the {one} key's prefix must be a DNS subdomain not longer than 253 characters in total.");
                report.rejected_value(&at, message, key);
            }
        }
    }
    if let Some(parameters) = &field.parameters_ref {
        reference::local(report, &at.field("parametersRef"), parameters);
    }
}

/// Listeners of a Gateway or ListenerSet.
fn listeners(report: &mut Report<'_>, list: &[Listener]) {
    let at = Path::SPEC.field("listeners");
    report.items(&at, list, 1, 64);
    let mut names = BTreeSet::new();
    let mut places = BTreeMap::new();
    for (n, one) in list.iter().enumerate() {
        let at = at.index(n);
        listener(report, &at, one);
        if !names.insert(one.name.as_str()) {
            report.rejected_value(&at.field("name"), "Listener name must be unique within the Gateway", &one.name);
        }
        let first = *places.entry((one.port, one.protocol.as_str(), one.hostname.as_deref())).or_insert(n);
        if first != n {
            let place = format!("{} {}{}", one.port, one.protocol, one.hostname.as_deref().map(|h| format!(" {h}")).unwrap_or_default());
            report.rejected_value(&at, "Combination of port, protocol and hostname must be unique for each listener", place);
        }
    }
}

fn listener(report: &mut Report<'_>, at: &Path<'_>, listener: &Listener) {
    use ProtocolType::{Http, Https, Tcp, Tls, Udp};
    report.text(&at.field("name"), &listener.name, &format::SECTION_NAME);
    report.optional(&at.field("hostname"), listener.hostname.as_deref(), &format::HOSTNAME);
    report.port(&at.field("port"), Some(listener.port));
    report.text(&at.field("protocol"), listener.protocol.as_str(), &PROTOCOL);
    if let Some(allowed) = &listener.allowed_routes {
        let at = at.field("allowedRoutes");
        if let Some(namespaces) = &allowed.namespaces {
            from(report, &at.field("namespaces"), namespaces, &["All", "Selector", "Same"]);
        }
        let at = at.field("kinds");
        report.items(&at, &allowed.kinds, 0, 8);
        for (n, kind) in allowed.kinds.iter().enumerate() {
            let at = at.index(n);
            report.optional(&at.field("group"), kind.group.as_deref(), &format::GROUP);
            report.text(&at.field("kind"), &kind.kind, &KIND);
        }
    }
    let protocol = &listener.protocol;
    if matches!(protocol, Tcp | Udp) && listener.hostname.as_deref().is_some_and(|hostname| !hostname.is_empty()) {
        report.rejected(&at.field("hostname"), "hostname must not be specified for protocols ['TCP', 'UDP']");
    }
    let at = at.field("tls");
    let Some(tls) = &listener.tls else {
        if *protocol == Tls {
            report.rejected(&at.field("mode"), "tls mode must be set for protocol TLS");
        }
        return;
    };
    match protocol {
        Http | Tcp | Udp => report.rejected(&at, "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"),
        Https if tls.mode.as_ref().is_some_and(|mode| *mode != TlsMode::Terminate) => {
            report.rejected(&at.field("mode"), "tls mode must be Terminate for protocol HTTPS");
        }
        _ => {}
    }
    listener_tls(report, &at, tls);
}

fn listener_tls(report: &mut Report<'_>, at: &Path<'_>, tls: &ListenerTls) {
    if let Some(mode) = &tls.mode {
        report.known(&at.field("mode"), mode.as_str(), TlsMode::KNOWN);
    }
    let refs = at.field("certificateRefs");
    report.items(&refs, &tls.certificate_refs, 0, 64);
    for (n, certificate) in tls.certificate_refs.iter().enumerate() {
        reference::secret(report, &refs.index(n), certificate);
    }
    options(report, &at.field("options"), &tls.options);
    let terminates = matches!(tls.mode, None | Some(TlsMode::Terminate));
    if terminates && tls.certificate_refs.is_empty() && tls.options.is_empty() {
        report.rejected(at, "certificateRefs or options must be specified when mode is Terminate");
    }
}

/// Settings of the implementation, of a listener or of a policy.
pub(super) fn options(report: &mut Report<'_>, at: &Path<'_>, options: &BTreeMap<String, String>) {
    report.count(at, options.len(), 0, 16);
    for (key, value) in options {
        report.text(&at.field(key), value, &ANNOTATION_VALUE);
    }
}

fn from(report: &mut Report<'_>, at: &Path<'_>, namespaces: &RouteNamespaces, known: &[&str]) {
    if let Some(from) = &namespaces.from {
        report.known(&at.field("from"), from.as_str(), known);
    }
}
