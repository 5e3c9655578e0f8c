"""A gateway in Python, and a middleware, for servers of ASGI such as uvicorn and hypercorn.

``Gateway`` is an application that decides requests and carries the decisions out; it needs ``pip install 'gatewright[asgi]'``.
``GatewayMiddleware`` only tells the application behind it what was decided.
"""

from ._address import Resolve, SslContext
from ._exchange import ResponseCut
from ._gateway import Extension, Gateway
from ._http import default_transport
from ._middleware import GatewayMiddleware
from ._types import App, TableSource

#: The features of the Gateway API that ``Gateway`` does not carry out. Pass it to ``compile``, ``load`` and ``watch`` as
#: ``without_features``, so that the status of what asks for them says so. Who gives ``ssl_context`` takes out what it does.
WITHOUT_FEATURES: tuple[str, ...] = (
    # Trailers: httpx has none.
    "GRPCRoute",
    "GRPCRouteNamedRouteRule",
    "GRPCRouteRequestHeaderModifier",
    "GRPCRouteSessionPersistence",
    "HTTPRouteExternalAuth",
    "HTTPRouteExternalAuthForwardBody",
    "HTTPRouteExternalAuthGRPC",
    "HTTPRouteExternalAuthHTTP",
    # TLS towards backends: see ssl_context.
    "BackendTLSPolicySANValidation",
    "GatewayBackendClientCertificate",
    # TLS towards clients is the server's, which does not tell its server name.
    "GatewayHTTPSListenerDetectMisdirectedRequests",
    "GatewayFrontendClientCertificateValidation",
    "GatewayFrontendClientCertificateValidationInsecureFallback",
    # Neither addresses nor infrastructure are its to hand out.
    "GatewayAddressEmpty",
    "GatewayInfrastructurePropagation",
    "GatewayStaticAddresses",
    # ASGI knows requests and WebSockets only.
    "TLSRoute",
    "TLSRouteModeMixed",
    "TLSRouteModeTerminate",
    "TCPRoute",
    "UDPRoute",
    "Mesh",
)

__all__ = [
    "WITHOUT_FEATURES",
    "App",
    "Extension",
    "Gateway",
    "GatewayMiddleware",
    "Resolve",
    "ResponseCut",
    "SslContext",
    "TableSource",
    "default_transport",
]
