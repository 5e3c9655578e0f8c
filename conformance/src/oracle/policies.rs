//! TLS towards backends: which BackendTLSPolicy a port of a Service has, and what it asks for ([TP-2] to [TP-6]).

use gatewright::Resources;
use gatewright::resource::BackendTlsPolicy;

use super::references::{created, name_of};

/// What the policy of a port asks for, as text; none without a policy. The error is that it cannot be honoured: then
/// nothing is sent at all ([TP-6]).
pub(super) fn tls(resources: &Resources, namespace: &str, service: &str, port_name: Option<&str>) -> Option<Result<String, ()>> {
    let mut found = Vec::new();
    for policy in &resources.backend_tls_policies {
        for target in &policy.spec.target_refs {
            let of_service = (target.group.as_str(), target.kind.as_str(), target.name.as_str()) == ("", "Service", service);
            let of_port = target.section_name.is_none() || target.section_name.as_deref() == port_name;
            if of_service && of_port && name_of(&policy.metadata).0 == namespace {
                // A policy for the port, then the oldest, then the first by name.
                let name = format!("{namespace}/{}", policy.metadata.name);
                found.push(((target.section_name.is_none(), created(&policy.metadata), name), policy));
            }
        }
    }
    let (_, policy) = found.into_iter().min_by(|(a, _), (b, _)| a.cmp(b))?;
    let validation = &policy.spec.validation;
    let trust = match validation.well_known_ca_certificates.as_deref() {
        Some("System") => "the system".to_owned(),
        _ => format!("{:?}", bundles(resources, policy)),
    };
    Some(if trust == "[]" { Err(()) } else { Ok(format!(" as {} trusting {trust}", validation.hostname)) })
}

/// The good ones of the references are used, if there is any ([TP-5]).
fn bundles(resources: &Resources, policy: &BackendTlsPolicy) -> Vec<String> {
    let namespace = name_of(&policy.metadata).0;
    let mut good = Vec::new();
    for to in &policy.spec.validation.ca_certificate_refs {
        let config_map = resources.config_maps.iter().find(|c| name_of(&c.metadata) == (namespace, to.name.as_str()));
        let whole = config_map.is_some_and(|c| c.data.get("ca.crt").is_some_and(|text| text.contains("-----END CERTIFICATE-----")));
        if (to.group.as_str(), to.kind.as_str()) == ("", "ConfigMap") && whole {
            good.push(format!("{namespace}/{}", to.name));
        }
    }
    good
}
