"""An application that is told what the gateway in front of it would decide: here it logs the route.

    pip install gatewright starlette uvicorn
    uvicorn middleware:app
"""

import gatewright
from gatewright.asgi import GatewayMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

table = gatewright.compile("""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gateway}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gateway}]
  rules:
  - name: cart
    matches: [{path: {value: /cart}}]
    backendRefs: [{name: cart, port: 8080}]
""")


async def answer(request: Request) -> PlainTextResponse:
    decision: gatewright.Decision | None = request.state.gatewright
    match decision:
        case gatewright.Forward(backend, target):
            return PlainTextResponse(f"{decision.route} rule {decision.rule_name}: {backend} gets {target}\n")
        case gatewright.Redirect(status, location):
            return PlainTextResponse(f"{status} to {location}\n")
        case gatewright.Respond(status, reason):
            return PlainTextResponse(f"{status}: {reason}\n")
        case None:
            return PlainTextResponse("nobody knows\n")


app = Starlette(
    routes=[Route("/{path:path}", answer, methods=["GET", "POST"])],
    middleware=[Middleware(GatewayMiddleware, table=table)],
)
