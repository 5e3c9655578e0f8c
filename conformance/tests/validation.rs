//! Validation on upstream's own manifests: the invalid examples are rejected where and as the CRDs say, and what
//! an API server took (the examples, and the manifests of the conformance suite) is taken.

use std::path::{Path, PathBuf};

use gatewright::load::load_text;
use gatewright::{Code, Diagnostic, MissingServices, Options, Severity, compile};
use gatewright_conformance::shared;
use libtest_mimic::{Arguments, Failed, Trial};

/// The suite's placeholders, and what stands for them; addresses for documentation (RFC 5737).
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("{GATEWAY_CLASS_NAME}", "gatewright"),
    ("{GATEWAY_CONTROLLER_NAME}", "gatewright.dev/conformance"),
    ("PLACEHOLDER_UNUSABLE_ADDRS", "198.51.100.1"),
    ("PLACEHOLDER_USABLE_ADDRS", "203.0.113.1"),
];

const HOSTNAME: &str = r"should match '^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'";
const NAME: &str = r"should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'";
const GROUP: &str = r"should match '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'";
const PATH: &str = r"must only contain valid characters (matching ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$) for types ['Exact', 'PathPrefix']";
const METHODS: &str = r#"supported values: "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH""#;
const ADDRESS: &str = "must be of type ipv4 or ipv6";
const HOST_ADDRESS: &str = r"Hostname value must be empty or contain only valid characters (matching ^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)";
const NO_PORT: &str = "Must have port for Service reference";

/// Every invalid example, with all that is wrong with it: field, and the API's sentence.
const INVALID: &[(&str, &[(&str, &str)])] = &[
    (
        "experimental/httproute/invalid-filter-externalauth-bad-http-path.yaml",
        &[
            ("spec.rules[0].filters[0].externalAuth.backendRef", "Required value"),
            ("spec.rules[0].filters[0].externalAuth.http.path", r"should match '^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$'"),
        ],
    ),
    (
        "experimental/httproute/invalid-filter-externalauth-empty.yaml",
        &[("spec.rules[0].filters[0]", "filter.externalAuth must be specified for ExternalAuth filter.type")],
    ),
    (
        "experimental/httproute/invalid-filter-externalauth-no-protocol.yaml",
        &[
            ("spec.rules[0].filters[0].externalAuth.backendRef", "Required value"),
            ("spec.rules[0].filters[0].externalAuth.protocol", "Required value"),
        ],
    ),
    (
        "experimental/httproute/invalid-header-value.yaml",
        &[("spec.rules[0].filters[0].responseHeaderModifier.add[0].value", r"should match '^[!-~]+([\t ]?[!-~]+)*$'")],
    ),
    ("standard/gateway/duplicate-listeners.yaml", &[("spec.listeners[1].name", "Listener name must be unique within the Gateway")]),
    (
        "standard/gateway/hostname-tcp.yaml",
        &[("spec.listeners[0].hostname", "hostname must not be specified for protocols ['TCP', 'UDP']")],
    ),
    (
        "standard/gateway/hostname-udp.yaml",
        &[("spec.listeners[0].hostname", "hostname must not be specified for protocols ['TCP', 'UDP']")],
    ),
    (
        "standard/gateway/invalid-addresses.yaml",
        &[
            ("spec.addresses[0].value", ADDRESS),
            ("spec.addresses[1].value", ADDRESS),
            ("spec.addresses[2].value", ADDRESS),
            ("spec.addresses[3].value", ADDRESS),
            ("spec.addresses[4].value", ADDRESS),
            ("spec.addresses[5].value", ADDRESS),
            ("spec.addresses[6].value", ADDRESS),
            ("spec.addresses[7].value", ADDRESS),
            ("spec.addresses[8].value", ADDRESS),
            ("spec.addresses[9].value", HOST_ADDRESS),
        ],
    ),
    ("standard/gateway/invalid-listener-name.yaml", &[("spec.listeners[0].name", NAME)]),
    ("standard/gateway/invalid-listener-port.yaml", &[("spec.listeners[0].port", "should be less than or equal to 65535")]),
    ("standard/gateway/invalid-tls-mode.yaml", &[("spec.listeners[0].tls.mode", "tls mode must be Terminate for protocol HTTPS")]),
    ("standard/gateway/tlsconfig-tcp.yaml", &[("spec.listeners[0].tls", "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']")]),
    (
        "standard/gatewayclass/invalid-controller.yaml",
        &[(
            "spec.controllerName",
            r"should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$'",
        )],
    ),
    ("standard/httproute/duplicate-header-match.yaml", &[("spec.rules[0].matches[0].headers[1]", "Duplicate value")]),
    ("standard/httproute/duplicate-query-match.yaml", &[("spec.rules[0].matches[0].queryParams[1]", "Duplicate value")]),
    ("standard/httproute/httproute-portless-backend.yaml", &[("spec.rules[0].backendRefs[0].port", NO_PORT)]),
    ("standard/httproute/httproute-portless-service.yaml", &[("spec.rules[0].backendRefs[0].port", NO_PORT)]),
    ("standard/httproute/invalid-backend-group.yaml", &[("spec.rules[0].backendRefs[0].group", GROUP)]),
    (
        "standard/httproute/invalid-backend-kind.yaml",
        &[("spec.rules[0].backendRefs[0].kind", "should match '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$'")],
    ),
    ("standard/httproute/invalid-backend-port.yaml", &[("spec.rules[0].backendRefs[0].port", "should be less than or equal to 65535")]),
    (
        "standard/httproute/invalid-filter-duplicate-header.yaml",
        &[("spec.rules[0].filters[0].requestHeaderModifier.remove[1]", "Duplicate value")],
    ),
    (
        "standard/httproute/invalid-filter-duplicate.yaml",
        &[("spec.rules[0].filters[1].type", "RequestHeaderModifier filter cannot be repeated")],
    ),
    (
        "standard/httproute/invalid-filter-empty.yaml",
        &[("spec.rules[0].filters[0]", "filter.requestHeaderModifier must be specified for RequestHeaderModifier filter.type")],
    ),
    (
        "standard/httproute/invalid-filter-wrong-field.yaml",
        &[
            ("spec.rules[0].filters[0]", "filter.requestHeaderModifier must be specified for RequestHeaderModifier filter.type"),
            ("spec.rules[0].filters[0].requestRedirect", "filter.requestRedirect must be nil if the filter.type is not RequestRedirect"),
        ],
    ),
    (
        "standard/httproute/invalid-header-name.yaml",
        &[("spec.rules[0].matches[0].headers[0].name", r"should match '^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$'")],
    ),
    ("standard/httproute/invalid-hostname.yaml", &[("spec.hostnames[0]", HOSTNAME), ("spec.rules[0].backendRefs[0].port", NO_PORT)]),
    (
        "standard/httproute/invalid-httpredirect-hostname.yaml",
        &[
            ("spec.rules[0].filters", "RequestRedirect filter must not be used together with backendRefs"),
            ("spec.rules[0].filters[0].requestRedirect.hostname", NAME),
        ],
    ),
    ("standard/httproute/invalid-method.yaml", &[("spec.rules[0].matches[0].method", METHODS)]),
    ("standard/httproute/invalid-path-alphanum-specialchars-mix.yaml", &[("spec.rules[0].matches[0].path.value", PATH)]),
    ("standard/httproute/invalid-path-specialchars.yaml", &[("spec.rules[0].matches[0].path.value", PATH)]),
    (
        "standard/httproute/invalid-request-redirect-with-backendref.yaml",
        &[("spec.rules[0].filters", "RequestRedirect filter must not be used together with backendRefs")],
    ),
    ("standard/referencegrant/missing-from.yaml", &[("spec", "the required field `from` is missing; the object is left out")]),
    ("standard/referencegrant/missing-ns.yaml", &[("spec.from[0]", "the required field `namespace` is missing; the object is left out")]),
    ("standard/referencegrant/missing-to.yaml", &[("spec", "the required field `to` is missing; the object is left out")]),
    (
        "standard/tlsroute/invalid-hostname.yaml",
        &[("spec.hostnames[0]", "Hostnames must be valid based on RFC-1123"), ("spec.rules[0].backendRefs[0].port", NO_PORT)],
    ),
    ("standard/tlsroute/no-hostname.yaml", &[("spec.hostnames", "Required value"), ("spec.rules[0].backendRefs[0].port", NO_PORT)]),
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add = |folder: &str, least: usize, wanted: fn(&Path) -> bool, check: fn(&str, &Path) -> Result<(), Failed>| {
        let Some(root) = shared(folder) else { return };
        let files: Vec<_> = manifests(&root).into_iter().filter(|file| wanted(file)).collect();
        assert!(files.len() >= least, "{} manifests below {}", files.len(), root.display());
        for file in files {
            let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
            trials.push(Trial::test(format!("{folder}/{name}"), move || check(&name, &file)));
        }
    };
    add("gateway-api/invalid-examples", INVALID.len(), |_| true, rejected);
    add("gateway-api/examples", 70, |_| true, accepted);
    add(
        "conformance",
        100,
        |file| file.file_stem().is_some_and(|name| !["case", "base-generated"].iter().any(|other| name == *other)),
        accepted,
    );
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every `*.yaml` below a folder.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of manifests") {
        let path = entry.expect("an entry of a folder of manifests").path();
        if path.is_dir() {
            found.append(&mut manifests(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What loading and compiling find in one manifest on its own; Services that are not in it are assumed.
fn findings(file: &Path) -> Result<Vec<Diagnostic>, Failed> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = PLACEHOLDERS.iter().fold(text, |text, (placeholder, value)| text.replace(placeholder, value));
    let loaded = load_text("manifest", &text);
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    let compiled = compile(&loaded.resources, &options);
    Ok(loaded.diagnostics.into_iter().chain(compiled.diagnostics).collect())
}

/// All that is wrong is told as an error, nothing else is, and no fault is told again by what compiling finds.
fn rejected(name: &str, file: &Path) -> Result<(), Failed> {
    let wanted = INVALID.iter().find(|(of, _)| *of == name).ok_or("what is wrong with it does not stand in the table")?.1;
    let errors: Vec<_> = findings(file)?.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    let of_api = |error: &&Diagnostic| matches!(error.code, Code::Rejected | Code::Schema);
    let told: Vec<_> = errors.iter().filter(of_api).map(|error| (error.path.as_str(), error.message.as_str())).collect();
    if told != wanted {
        return Err(format!("{errors:#?}\nexpected {wanted:#?}").into());
    }
    let within = |path: &str, around: &str| path.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let again = errors.iter().find(|error| match error.code {
        Code::InvalidValue | Code::InvalidCombination | Code::RefNotFound | Code::RefKind => {
            wanted.iter().any(|(path, _)| within(path, &error.path) || within(&error.path, path))
        }
        Code::UnsupportedValue => wanted.iter().any(|(path, _)| *path == error.path),
        _ => false,
    });
    again.map_or(Ok(()), |error| Err(format!("told again: {error}").into()))
}

/// No finding says that the API server would reject it, by the channels' rules or by what the loader cannot read. That
/// a manifest on its own refers to something outside of it is another matter.
fn accepted(_: &str, file: &Path) -> Result<(), Failed> {
    let about_form = |finding: &Diagnostic| {
        let is_error = finding.severity == Severity::Error;
        finding.code == Code::Rejected
            || matches!(finding.code, Code::Syntax | Code::Schema | Code::Limit)
            || (is_error && matches!(finding.code, Code::Version | Code::InvalidValue | Code::InvalidCombination))
            || (finding.code == Code::UnknownField && !finding.path.starts_with("status"))
    };
    let false_alarms: Vec<_> = findings(file)?.into_iter().filter(about_form).map(|finding| finding.to_string()).collect();
    if false_alarms.is_empty() { Ok(()) } else { Err(false_alarms.join("\n").into()) }
}
