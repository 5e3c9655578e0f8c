"""A middleware that tells an application what the gateway would do with a request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._gatewright import Forward, Redirect, Respond
from .._model import PlaceError
from .._table import Table
from ._types import App, Receive, Scope, Send, TableSource, table_of, with_decision

if TYPE_CHECKING:
    from .._table import Decision

_log = logging.getLogger("gatewright")


class GatewayMiddleware:
    """Decides each request, and tells the application; carries nothing out and changes nothing.

    The decision of a request or WebSocket is in its scope twice:

    - ``scope["extensions"]["gatewright"]["decision"]``, as ASGI has extensions,
    - ``scope["state"]["gatewright"]``, which is ``request.state.gatewright`` in Starlette and FastAPI.

    It is a ``Forward``, a ``Redirect`` or a ``Respond``, or None for a request that cannot be asked about: the server gives no
    ``raw_path``, a header field is none, or the table has no such port; the logger ``gatewright`` says why.

    ``table`` is a ``Table``, or a ``Watcher``, whose table of the moment counts; who runs it is the caller. ``gateway``, ``port``
    and ``listener`` are those of ``Table.decide``: where requests come in. ``pick`` gives the number that chooses among
    weighted backends, a random one by default.

    >>> import gatewright
    >>> from gatewright.asgi import GatewayMiddleware
    >>> table = gatewright.compile({
    ...     "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gateway"},
    ...     "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    ... })
    >>> async def app(scope, receive, send):
    ...     print(scope["state"]["gatewright"].status)
    >>> app = GatewayMiddleware(app, table=table)
    >>> import asyncio
    >>> scope = {"type": "http", "method": "GET", "raw_path": b"/", "headers": [(b"host", b"example.com")]}
    >>> asyncio.run(app(scope, None, None))
    404
    """

    def __init__(
        self,
        app: App,
        *,
        table: Table | TableSource,
        gateway: str | None = None,
        port: int | None = None,
        listener: str | None = None,
        pick: Callable[[], int] | None = None,
    ) -> None:
        self.app = app
        self._table = table
        self._place: dict[str, Any] = {"gateway": gateway, "port": port, "listener": listener}
        self._pick = pick

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        decision = self._decide(scope)
        scope = with_decision(scope, decision)
        scope["state"] = {**(scope.get("state") or {}), "gatewright": decision}
        await self.app(scope, receive, send)

    def _decide(self, scope: Scope) -> Decision | None:
        pick = None if self._pick is None else self._pick()
        try:
            decision: Any = table_of(self._table).decide_asgi(scope, pick=pick, **self._place)
        except (ValueError, PlaceError) as error:
            _log.warning("a request cannot be asked about: %s", error)
            return None
        return decision if isinstance(decision, (Forward, Redirect, Respond)) else None
