//! From the validation of a backend's certificate, as written, to TLS settings ([TP-3] to [TP-5]).

use http::Uri;

use super::super::findings::{Findings, Problem};
use super::super::input::Input;
use crate::diagnostic::{Code, ObjectRef};
use crate::features::Feature;
use crate::model::hostname::Hostname;
use crate::model::namespace_of;
use crate::resource::policy::{self, BackendTlsPolicy, BackendTlsPolicyValidation, SubjectAltNameType};
use crate::table::{BackendTls, SubjectAltName, Trust};

/// `spec` of a BackendTLSPolicy: what `Accepted` and `ResolvedRefs` depend on.
pub(super) fn policy(
    policy: &BackendTlsPolicy,
    input: &Input<'_>,
    findings: &mut Findings,
) -> (Result<BackendTls, Problem>, Result<(), Problem>) {
    for key in policy.spec.options.keys() {
        findings.warning(Code::UnsupportedValue, "spec.options", format!("option `{}` is not known and ignored", key.escape_debug()));
    }
    if !input.options.features.contains(Feature::BackendTlsPolicy) {
        let message = "TLS towards backends is not a feature of this program: requests for the targets are answered with 500".to_owned();
        findings.error(Code::NotRouted, "", message.clone());
        return (Err(("Invalid", message)), Ok(()));
    }
    validation(&policy.spec.validation, namespace_of(&policy.metadata), "spec.validation", input, findings)
}

/// The validation of a policy or of an XBackend. References are local: they need no grant ([RG-1]).
pub(crate) fn validation(
    field: &BackendTlsPolicyValidation,
    namespace: &str,
    path: &str,
    input: &Input<'_>,
    findings: &mut Findings,
) -> (Result<BackendTls, Problem>, Result<(), Problem>) {
    let (trust, resolved) = trust(field, namespace, path, input, findings);
    let mut invalid = |at: String, message: String| {
        findings.error(Code::InvalidValue, at.clone(), message.clone());
        ("Invalid", format!("{at}: {message}"))
    };
    let hostname = match Hostname::parse(&field.hostname) {
        Ok(Hostname::Exact(name)) => Ok(name),
        _ => {
            let message =
                format!("`{}` is not a precise hostname: lower-case labels, no wildcard, no address", field.hostname.escape_debug());
            Err(invalid(format!("{path}.hostname"), message))
        }
    };
    let supported = field.subject_alt_names.is_empty() || input.options.features.contains(Feature::BackendTlsPolicySanValidation);
    let names = if supported {
        let names = field.subject_alt_names.iter().enumerate();
        names.map(|(n, name)| subject_alt_name(name).map_err(|message| invalid(format!("{path}.subjectAltNames[{n}]"), message))).collect()
    } else {
        Err(invalid(format!("{path}.subjectAltNames"), "validation of subjectAltNames is not a feature of this program".to_owned()))
    };
    let tls = trust.and_then(|trust| Ok(BackendTls { hostname: hostname?, subject_alt_names: names?, trust, client_certificate: None }));
    (tls, resolved)
}

/// Exactly one of the two ways to trust ([TP-4]); good references are enough beside bad ones ([TP-5]).
fn trust(
    field: &BackendTlsPolicyValidation,
    namespace: &str,
    path: &str,
    input: &Input<'_>,
    findings: &mut Findings,
) -> (Result<Trust, Problem>, Result<(), Problem>) {
    let well_known = field.well_known_ca_certificates.as_deref().filter(|name| !name.is_empty());
    let invalid = |at: &str, message: &str, findings: &mut Findings| {
        findings.error(Code::InvalidValue, format!("{path}{at}"), message);
        (Err(("Invalid", format!("{path}{at}: {message}"))), Ok(()))
    };
    match (field.ca_certificate_refs.as_slice(), well_known) {
        ([], None) => return invalid("", "must specify either CACertificateRefs or WellKnownCACertificates", findings),
        ([_, ..], Some(_)) => return invalid("", "must not contain both CACertificateRefs and WellKnownCACertificates", findings),
        ([], Some("System")) => return (Ok(Trust::System), Ok(())),
        ([], Some(other)) => {
            let message = format!("`{}` is not a known set of certificates, expected System", other.escape_debug());
            return invalid(".wellKnownCACertificates", &message, findings);
        }
        ([_, ..], None) => {}
    }
    let mut resolved = Ok(());
    let mut bundles = Vec::with_capacity(field.ca_certificate_refs.len());
    for (n, reference) in field.ca_certificate_refs.iter().enumerate() {
        let at = format!("{path}.caCertificateRefs[{n}]");
        let problem = if (&*reference.group, &*reference.kind) == ("", "ConfigMap") {
            input.ca_bundle(namespace, &reference.name).err().map(|message| ("InvalidCACertificateRef", Code::RefNotFound, message))
        } else {
            let message = format!("kind `{}.{}` is not supported, expected ConfigMap", reference.kind, reference.group);
            Some(("InvalidKind", Code::RefKind, message))
        };
        match problem {
            None => bundles.push(ObjectRef::new("", "ConfigMap", namespace, &reference.name)),
            Some((reason, code, message)) => {
                findings.error(code, at.clone(), message.clone());
                // The first one gives the reason, and the message names it.
                resolved = resolved.and(Err((reason, format!("{at}: {message}"))));
            }
        }
    }
    if bundles.is_empty() {
        let message = "no reference leads to the certificate of an authority: nothing is sent to the backend".to_owned();
        return (Err(("NoValidCACertificate", message)), resolved);
    }
    (Ok(Trust::Bundles(bundles.into())), resolved)
}

fn subject_alt_name(name: &policy::SubjectAltName) -> Result<SubjectAltName, String> {
    let given = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    match (&name.type_, given(&name.hostname), given(&name.uri)) {
        (SubjectAltNameType::Hostname, Some(hostname), None) => Hostname::parse(&hostname)
            .map(|_| SubjectAltName::Hostname(hostname.as_str().into()))
            .map_err(|_| format!("`{}` is not a hostname: lower-case labels, `*` only as the first", hostname.escape_debug())),
        (SubjectAltNameType::Uri, None, Some(uri)) => {
            let absolute = uri.parse::<Uri>().is_ok_and(|parsed| parsed.scheme().is_some() && parsed.authority().is_some());
            let message = || format!("`{}` is not a URI with a scheme and an authority", uri.escape_debug());
            absolute.then(|| SubjectAltName::Uri(uri.as_str().into())).ok_or_else(message)
        }
        (SubjectAltNameType::Hostname, None, _) => {
            Err("SubjectAltName element must contain Hostname, if Type is set to Hostname".to_owned())
        }
        (SubjectAltNameType::Hostname, ..) => Err("SubjectAltName element must not contain URI, if Type is not set to URI".to_owned()),
        (SubjectAltNameType::Uri, _, None) => Err("SubjectAltName element must contain URI, if Type is set to URI".to_owned()),
        (SubjectAltNameType::Uri, ..) => Err("SubjectAltName element must not contain Hostname, if Type is not set to Hostname".to_owned()),
        (SubjectAltNameType::Other(other), ..) => Err(format!("type `{other}` is not supported, expected Hostname or URI")),
    }
}
