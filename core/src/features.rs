//! The names of the Gateway API's features ([R-14]), and which of them the embedding program carries out.

use std::fmt;

macro_rules! features {
    ($($variant:ident = $name:literal, $level:ident;)+) => {
        /// A feature of the Gateway API, as `supportedFeatures` names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the name is the description")]
        pub enum Feature { $($variant,)+ }

        impl Feature {
            /// Every feature, sorted by name.
            pub const ALL: &'static [Feature] = &[$(Self::$variant,)+];

            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Where the name is published.
            const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$level,)+ }
            }
        }
    };
}

/// Where a feature is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// `status` of a GatewayClass.
    Gateway,
    /// `status` of an XMesh; never that of a GatewayClass.
    Mesh,
    /// Named in field descriptions only, not among the names of the release.
    Unpublished,
}

features! {
    BackendTlsPolicy = "BackendTLSPolicy", Gateway;
    BackendTlsPolicySanValidation = "BackendTLSPolicySANValidation", Gateway;
    GrpcRoute = "GRPCRoute", Gateway;
    GrpcRouteNamedRouteRule = "GRPCRouteNamedRouteRule", Gateway;
    GrpcRouteRequestHeaderModifier = "GRPCRouteRequestHeaderModifier", Unpublished;
    GrpcRouteSessionPersistence = "GRPCRouteSessionPersistence", Unpublished;
    Gateway = "Gateway", Gateway;
    GatewayAddressEmpty = "GatewayAddressEmpty", Gateway;
    GatewayBackendClientCertificate = "GatewayBackendClientCertificate", Gateway;
    GatewayFrontendClientCertificateValidation = "GatewayFrontendClientCertificateValidation", Gateway;
    GatewayFrontendClientCertificateValidationInsecureFallback = "GatewayFrontendClientCertificateValidationInsecureFallback", Gateway;
    GatewayHttpListenerIsolation = "GatewayHTTPListenerIsolation", Gateway;
    GatewayHttpsListenerDetectMisdirectedRequests = "GatewayHTTPSListenerDetectMisdirectedRequests", Gateway;
    GatewayInfrastructurePropagation = "GatewayInfrastructurePropagation", Gateway;
    GatewayPort8080 = "GatewayPort8080", Gateway;
    GatewayStaticAddresses = "GatewayStaticAddresses", Gateway;
    HttpRoute = "HTTPRoute", Gateway;
    HttpRoute303RedirectStatusCode = "HTTPRoute303RedirectStatusCode", Gateway;
    HttpRoute307RedirectStatusCode = "HTTPRoute307RedirectStatusCode", Gateway;
    HttpRoute308RedirectStatusCode = "HTTPRoute308RedirectStatusCode", Gateway;
    HttpRouteBackendProtocolH2c = "HTTPRouteBackendProtocolH2C", Gateway;
    HttpRouteBackendProtocolWebSocket = "HTTPRouteBackendProtocolWebSocket", Gateway;
    HttpRouteBackendRequestHeaderModification = "HTTPRouteBackendRequestHeaderModification", Gateway;
    HttpRouteBackendRequestRedirect = "HTTPRouteBackendRequestRedirect", Unpublished;
    HttpRouteBackendTimeout = "HTTPRouteBackendTimeout", Gateway;
    HttpRouteBackendUrlRewrite = "HTTPRouteBackendURLRewrite", Unpublished;
    HttpRouteCors = "HTTPRouteCORS", Gateway;
    HttpRouteDestinationPortMatching = "HTTPRouteDestinationPortMatching", Gateway;
    HttpRouteExternalAuth = "HTTPRouteExternalAuth", Unpublished;
    HttpRouteExternalAuthForwardBody = "HTTPRouteExternalAuthForwardBody", Unpublished;
    HttpRouteExternalAuthGrpc = "HTTPRouteExternalAuthGRPC", Unpublished;
    HttpRouteExternalAuthHttp = "HTTPRouteExternalAuthHTTP", Unpublished;
    HttpRouteHostRewrite = "HTTPRouteHostRewrite", Gateway;
    HttpRouteMethodMatching = "HTTPRouteMethodMatching", Gateway;
    HttpRouteNamedRouteRule = "HTTPRouteNamedRouteRule", Gateway;
    HttpRouteParentRefPort = "HTTPRouteParentRefPort", Gateway;
    HttpRoutePathRedirect = "HTTPRoutePathRedirect", Gateway;
    HttpRoutePathRewrite = "HTTPRoutePathRewrite", Gateway;
    HttpRoutePortRedirect = "HTTPRoutePortRedirect", Gateway;
    HttpRouteQueryParamMatching = "HTTPRouteQueryParamMatching", Gateway;
    HttpRouteRequestMirror = "HTTPRouteRequestMirror", Gateway;
    HttpRouteRequestMultipleMirrors = "HTTPRouteRequestMultipleMirrors", Gateway;
    HttpRouteRequestPercentageMirror = "HTTPRouteRequestPercentageMirror", Gateway;
    HttpRouteRequestTimeout = "HTTPRouteRequestTimeout", Gateway;
    HttpRouteResponseHeaderModification = "HTTPRouteResponseHeaderModification", Gateway;
    HttpRouteRetry = "HTTPRouteRetry", Gateway;
    HttpRouteRetryBackendTimeout = "HTTPRouteRetryBackendTimeout", Gateway;
    HttpRouteRetryConnectionError = "HTTPRouteRetryConnectionError", Gateway;
    HttpRouteSchemeRedirect = "HTTPRouteSchemeRedirect", Gateway;
    HttpRouteSessionPersistence = "HTTPRouteSessionPersistence", Unpublished;
    ListenerSet = "ListenerSet", Gateway;
    Mesh = "Mesh", Mesh;
    MeshClusterIpMatching = "MeshClusterIPMatching", Mesh;
    MeshConsumerRoute = "MeshConsumerRoute", Mesh;
    MeshHttpRouteBackendRequestHeaderModification = "MeshHTTPRouteBackendRequestHeaderModification", Mesh;
    MeshHttpRouteNamedRouteRule = "MeshHTTPRouteNamedRouteRule", Mesh;
    MeshHttpRouteQueryParamMatching = "MeshHTTPRouteQueryParamMatching", Mesh;
    MeshHttpRouteRedirectPath = "MeshHTTPRouteRedirectPath", Mesh;
    MeshHttpRouteRedirectPort = "MeshHTTPRouteRedirectPort", Mesh;
    MeshHttpRouteRewritePath = "MeshHTTPRouteRewritePath", Mesh;
    MeshHttpRouteSchemeRedirect = "MeshHTTPRouteSchemeRedirect", Mesh;
    ReferenceGrant = "ReferenceGrant", Gateway;
    TcpRoute = "TCPRoute", Gateway;
    TlsRoute = "TLSRoute", Gateway;
    TlsRouteModeMixed = "TLSRouteModeMixed", Gateway;
    TlsRouteModeTerminate = "TLSRouteModeTerminate", Gateway;
    UdpRoute = "UDPRoute", Gateway;
}

impl Feature {
    /// The feature of this name; `None` for a name that the release does not have.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|feature| feature.as_str() == name)
    }

    const fn bit(self) -> u128 {
        1 << (self as u32)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The features that the embedding program carries out. A manifest that uses another one is told so, and never
/// served as if it had not asked ([S-21]).
///
/// ```
/// use gatewright::{Feature, Features};
///
/// let features = Features::all().without(Feature::TlsRouteModeMixed);
/// assert!(!features.contains(Feature::TlsRouteModeMixed));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Features(u128);

impl Features {
    /// Every feature that this library knows.
    pub const fn all() -> Self {
        // One bit for each feature.
        Self(u128::MAX.wrapping_shr(u128::BITS.wrapping_sub(Feature::ALL.len() as u32)))
    }

    /// No feature.
    pub const fn none() -> Self {
        Self(0)
    }

    /// These features and one more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | feature.bit())
    }

    /// These features but one.
    #[must_use]
    pub const fn without(self, feature: Feature) -> Self {
        Self(self.0 & !feature.bit())
    }

    /// Whether a feature is among them.
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// The features, sorted by name.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |feature| self.contains(*feature))
    }

    /// The names that `status.supportedFeatures` of a GatewayClass lists.
    pub(crate) fn of_gateways(self) -> impl Iterator<Item = &'static str> {
        self.iter().filter(|feature| feature.scope() == Scope::Gateway).map(Feature::as_str)
    }

    /// The names that `status.supportedFeatures` of an XMesh lists.
    pub(crate) fn of_meshes(self) -> impl Iterator<Item = &'static str> {
        self.iter().filter(|feature| feature.scope() == Scope::Mesh).map(Feature::as_str)
    }
}

impl Default for Features {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().fold(Self::none(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [R-14]: sorted ascending by name, at most 64 in a GatewayClass, mesh features never among them.
    #[test]
    fn published_names() {
        assert!(Feature::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
        let names: Vec<_> = Features::all().of_gateways().collect();
        assert!(names.len() <= 64 && !names.iter().any(|name| name.starts_with("Mesh")), "{}", names.len());
        assert!(Features::all().of_meshes().all(|name| name.starts_with("Mesh")));
    }

    #[test]
    fn a_set() {
        let some: Features = [Feature::Gateway, Feature::UdpRoute].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [Feature::Gateway, Feature::UdpRoute]);
        assert_eq!(Features::all().iter().count(), Feature::ALL.len());
        assert_eq!(some.without(Feature::UdpRoute).with(Feature::Gateway), Features::none().with(Feature::Gateway));
        assert!(Feature::ALL.iter().all(|feature| Feature::from_name(feature.as_str()) == Some(*feature)));
        assert_eq!(Feature::from_name("Teleport"), None);
    }
}
