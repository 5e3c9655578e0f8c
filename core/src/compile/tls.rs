//! Certificates: those that listeners and Gateways show, and those of the authorities they trust ([L-11], [L-36],
//! [L-37]).

use super::findings::{Findings, Problem};
use super::input::Input;
use crate::diagnostic::{Code, ObjectRef};
use crate::model::grant::Reference;
use crate::model::pem;
use crate::resource::GATEWAY_GROUP;
use crate::resource::gateway::{FrontendTlsConfig, FrontendValidationMode, Gateway};
use crate::resource::kubernetes::Secret;
use crate::resource::meta::SecretObjectReference;
use crate::table::ClientValidation;

/// The object that refers to certificates: grants are given to it, never to the Gateway it belongs to ([L-40]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'r> {
    /// `Gateway` or `ListenerSet`.
    pub(crate) kind: &'static str,
    pub(crate) namespace: &'r str,
}

/// A list of references, resolved: the good ones serve, and the first fault is the condition's, with a missing
/// grant before all others ([L-11], [L-36]).
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) good: Vec<ObjectRef>,
    pub(crate) problem: Option<Problem>,
}

impl Resolved {
    fn add(&mut self, result: Result<ObjectRef, Problem>, path: String, findings: &mut Findings) {
        match result {
            Ok(object) => self.good.push(object),
            Err((reason, message)) => {
                let code = if reason == "RefNotPermitted" { Code::RefNotPermitted } else { Code::RefNotFound };
                findings.error(code, path.clone(), message.clone());
                if self.problem.as_ref().is_none_or(|(first, _)| *first != "RefNotPermitted" && reason == "RefNotPermitted") {
                    self.problem = Some((reason, format!("{path}: {message}")));
                }
            }
        }
    }
}

/// The certificates of a list of `certificateRefs`.
pub(crate) fn certificates(
    refs: &[SecretObjectReference],
    owner: Owner<'_>,
    path: &str,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Resolved {
    let mut resolved = Resolved::default();
    for (n, reference) in refs.iter().enumerate() {
        resolved.add(certificate(reference, owner, "InvalidCertificateRef", input), format!("{path}[{n}]"), findings);
    }
    resolved
}

/// The certificate that a Gateway shows to backends; it never affects `Accepted` ([L-37]).
pub(crate) fn backend_client_certificate(gateway: &Gateway, namespace: &str, input: &Input<'_>, findings: &mut Findings) -> Resolved {
    let mut resolved = Resolved::default();
    let reference = gateway.spec.tls.as_ref().and_then(|tls| tls.backend.as_ref()).and_then(|tls| tls.client_certificate_ref.as_ref());
    if let Some(reference) = reference {
        let owner = Owner { kind: "Gateway", namespace };
        let result = certificate(reference, owner, "InvalidClientCertificateRef", input);
        resolved.add(result, "spec.tls.backend.clientCertificateRef".to_owned(), findings);
    }
    resolved
}

/// One certificate with its key. Permission comes before existence: the answer must not tell what another
/// namespace holds ([RG-5]).
fn certificate(
    reference: &SecretObjectReference,
    owner: Owner<'_>,
    invalid: &'static str,
    input: &Input<'_>,
) -> Result<ObjectRef, Problem> {
    let group = reference.group.as_deref().unwrap_or("");
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    let namespace = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(owner.namespace);
    let name = reference.name.as_str();
    permit(owner, (group, kind, namespace, name), input)?;
    if (group, kind) != ("", "Secret") {
        return Err((invalid, format!("kind `{}` is not supported, expected Secret", kind_name(group, kind))));
    }
    let Some(secret) = input.secrets.get(&(namespace, name)) else {
        return Err((invalid, format!("Secret `{namespace}/{name}` does not exist")));
    };
    // The server parses keys; here it is enough that both members are PEM texts.
    match ["tls.crt", "tls.key"].into_iter().find(|member| !has_pem(secret, member)) {
        Some(member) => Err((invalid, format!("`{member}` of Secret `{namespace}/{name}` is not in PEM format"))),
        None => Ok(ObjectRef::new("", "Secret", namespace, name)),
    }
}

fn has_pem(secret: &Secret, member: &str) -> bool {
    secret.string_data.get(member).is_some_and(|text| pem::is_pem(text))
        || secret.data.get(member).is_some_and(|base64| pem::is_base64(base64))
}

fn permit(owner: Owner<'_>, (group, kind, namespace, name): (&str, &str, &str, &str), input: &Input<'_>) -> Result<(), Problem> {
    let permitted = input.lookup.index.grants.permit(&Reference {
        from_group: GATEWAY_GROUP,
        from_kind: owner.kind,
        from_namespace: owner.namespace,
        to_group: group,
        to_kind: kind,
        to_namespace: namespace,
        to_name: name,
    });
    if permitted {
        return Ok(());
    }
    Err(("RefNotPermitted", format!("no ReferenceGrant in namespace `{namespace}` permits this reference to {kind} `{name}`")))
}

fn kind_name(group: &str, kind: &str) -> String {
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}

/// How client certificates are validated on a port.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// `None` does not ask for a certificate.
    pub(crate) settings: Option<ClientValidation>,
    /// Of the references to authorities.
    pub(crate) problem: Option<Problem>,
    /// Why a listener of the port is not accepted.
    pub(crate) rejected: Option<Problem>,
}

/// The settings of `spec.tls.frontend` for a port: an entry of the port replaces the default as a whole
/// ([L-34]).
fn frontend_config(gateway: &Gateway, port: u16) -> Option<(&FrontendTlsConfig, String)> {
    let frontend = gateway.spec.tls.as_ref()?.frontend.as_ref()?;
    let of_port = frontend.per_port.iter().enumerate().find(|(_, entry)| entry.port == i32::from(port));
    Some(match of_port {
        Some((n, entry)) => (&entry.tls, format!("spec.tls.frontend.perPort[{n}].tls.validation")),
        None => (&frontend.default, "spec.tls.frontend.default.validation".to_owned()),
    })
}

/// Whether some setting lets clients in without a valid certificate ([L-35]).
pub(crate) fn insecure_fallback(gateway: &Gateway) -> bool {
    let Some(frontend) = gateway.spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref()) else { return false };
    let insecure = |config: &FrontendTlsConfig| {
        let mode = config.validation.as_ref().and_then(|validation| validation.mode.as_ref());
        mode == Some(&FrontendValidationMode::AllowInsecureFallback)
    };
    insecure(&frontend.default) || frontend.per_port.iter().any(|entry| insecure(&entry.tls))
}

/// Client certificate validation of the listeners of a port. The references are the Gateway's, also for the
/// listeners of a ListenerSet. Without any valid authority no connection may be served ([L-36]).
pub(crate) fn client_validation(gateway: &Gateway, namespace: &str, port: u16, input: &Input<'_>, findings: &mut Findings) -> Validation {
    use crate::features::Feature;
    let Some((config, path)) = frontend_config(gateway, port) else { return Validation::default() };
    let Some(validation) = &config.validation else { return Validation::default() };
    let mut rejected: Option<Problem> = None;
    let allow_insecure_fallback = match &validation.mode {
        None | Some(FrontendValidationMode::AllowValidOnly) => false,
        Some(FrontendValidationMode::AllowInsecureFallback) => true,
        Some(FrontendValidationMode::Other(other)) => {
            let message = format!("{path}.mode: `{other}` is not supported, expected AllowValidOnly or AllowInsecureFallback");
            rejected = Some(("UnsupportedValue", message));
            false
        }
    };
    let needed = match allow_insecure_fallback {
        true => Feature::GatewayFrontendClientCertificateValidationInsecureFallback,
        false => Feature::GatewayFrontendClientCertificateValidation,
    };
    if !input.options.features.contains(needed) {
        rejected = Some(("UnsupportedValue", format!("{path}: {needed} is not supported: the listener is not served without it")));
    }
    if let Some((_, message)) = &rejected {
        findings.error(Code::UnsupportedValue, path.clone(), message.clone());
    }
    let mut resolved = Resolved::default();
    for (n, reference) in validation.ca_certificate_refs.iter().enumerate() {
        let to = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(namespace);
        let owner = Owner { kind: "Gateway", namespace };
        let result = authority(owner, (&reference.group, &reference.kind, to, &reference.name), input);
        resolved.add(result, format!("{path}.caCertificateRefs[{n}]"), findings);
    }
    if resolved.good.is_empty() {
        rejected.get_or_insert(("NoValidCACertificate", format!("{path}.caCertificateRefs: no valid certificate of an authority")));
    }
    Validation {
        settings: Some(ClientValidation { ca_certificates: resolved.good.into(), allow_insecure_fallback }),
        problem: resolved.problem,
        rejected,
    }
}

/// One bundle of certificates of authorities: the key `ca.crt` of a ConfigMap.
fn authority(owner: Owner<'_>, (group, kind, namespace, name): (&str, &str, &str, &str), input: &Input<'_>) -> Result<ObjectRef, Problem> {
    permit(owner, (group, kind, namespace, name), input)?;
    if (group, kind) != ("", "ConfigMap") {
        return Err(("InvalidCACertificateKind", format!("kind `{}` is not supported, expected ConfigMap", kind_name(group, kind))));
    }
    match input.ca_bundle(namespace, name) {
        Ok(()) => Ok(ObjectRef::new("", "ConfigMap", namespace, name)),
        Err(message) => Err(("InvalidCACertificateRef", message)),
    }
}
