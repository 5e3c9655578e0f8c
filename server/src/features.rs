//! What the proxy carries out.

use gatewright::{Feature, Features};

/// The features that this proxy carries out. It serves HTTP without TLS, on Gateways; what a manifest asks for
/// beyond that is reported and not served.
pub fn served() -> Features {
    use Feature::*;
    let not_served = [
        BackendTlsPolicy,
        BackendTlsPolicySanValidation,
        GatewayBackendClientCertificate,
        GatewayFrontendClientCertificateValidation,
        GatewayFrontendClientCertificateValidationInsecureFallback,
        GatewayInfrastructurePropagation,
        GatewayStaticAddresses,
        GrpcRouteSessionPersistence,
        HttpRouteExternalAuth,
        HttpRouteExternalAuthForwardBody,
        HttpRouteExternalAuthGrpc,
        HttpRouteExternalAuthHttp,
        HttpRouteSessionPersistence,
        TcpRoute,
        TlsRoute,
        TlsRouteModeMixed,
        TlsRouteModeTerminate,
        UdpRoute,
    ];
    Features::all().iter().filter(|feature| !not_served.contains(feature) && !feature.as_str().starts_with("Mesh")).collect()
}
