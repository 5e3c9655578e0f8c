//! What the proxy carries out.

use gatewright::{Feature, Features};

/// The features that this proxy carries out: every protocol of the listeners of Gateways, and TLS towards backends.
/// What a manifest asks for beyond that is reported and not served.
pub fn served() -> Features {
    use Feature::*;
    let not_served = [GatewayInfrastructurePropagation, GatewayStaticAddresses];
    Features::all().iter().filter(|feature| !not_served.contains(feature) && !feature.as_str().starts_with("Mesh")).collect()
}
