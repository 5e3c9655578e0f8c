"""The routing engine of the Kubernetes Gateway API.

>>> import gatewright
>>> table = gatewright.compile({
...     "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gateway"},
...     "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
... })
>>> table.decide("GET", "http://example.com/").status
404
"""

from ._gatewright import VERSION as __version__
from ._gatewright import Forward, Redirect, Respond, RetryWindow, SessionKeys, forwarded, hops, is_grpc
from ._model import (
    Answer,
    Auth,
    Backend,
    BackendTls,
    Candidate,
    Condition,
    ConnectionDecision,
    Diagnostic,
    Explanation,
    Gateway,
    GatewrightError,
    HeaderEdit,
    Listener,
    ManifestError,
    Match,
    ObjectRef,
    PassThrough,
    PlaceError,
    Retry,
    RetryBudget,
    RoutingRow,
    Session,
    Verdict,
)
from ._table import Decision, Options, Source, Table, compile, load
from ._types import Headers
from ._watch import Watcher, watch

__all__ = [
    "Answer",
    "Auth",
    "Backend",
    "BackendTls",
    "Candidate",
    "Condition",
    "ConnectionDecision",
    "Decision",
    "Diagnostic",
    "Explanation",
    "Forward",
    "Gateway",
    "GatewrightError",
    "HeaderEdit",
    "Headers",
    "Listener",
    "ManifestError",
    "Match",
    "ObjectRef",
    "Options",
    "PassThrough",
    "PlaceError",
    "Redirect",
    "Respond",
    "Retry",
    "RetryBudget",
    "RetryWindow",
    "RoutingRow",
    "Session",
    "SessionKeys",
    "Source",
    "Table",
    "Verdict",
    "Watcher",
    "__version__",
    "compile",
    "forwarded",
    "hops",
    "is_grpc",
    "load",
    "watch",
]
