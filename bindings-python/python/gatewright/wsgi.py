"""A middleware for servers of WSGI, such as gunicorn, that tells an application what the gateway would do with a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, Union

from ._gatewright import Forward, Redirect, Respond
from ._model import PlaceError
from ._table import Table

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger("gatewright")


class TableSource(Protocol):
    """What has a table that may change, for instance a ``Watcher``."""

    @property
    def table(self) -> Table: ...


class GatewayMiddleware:
    """Decides each request, and tells the application: ``environ["gatewright.decision"]``. Carries nothing out, and changes
    nothing else.

    It is a ``Forward``, a ``Redirect`` or a ``Respond``, or None for a request that cannot be asked about: the server gives
    neither ``RAW_URI`` nor ``REQUEST_URI``, a header field is none, or the table has no such port; the logger ``gatewright``
    says why.

    ``table`` is a ``Table``, or a ``Watcher``, whose table of the moment counts; who runs it is the caller. ``gateway``,
    ``port`` and ``listener`` are those of ``Table.decide``. ``pick`` gives the number that chooses among weighted backends, a
    random one by default.

    >>> import gatewright
    >>> from gatewright.wsgi import GatewayMiddleware
    >>> table = gatewright.compile({
    ...     "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gateway"},
    ...     "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    ... })
    >>> def app(environ, start_response):
    ...     return [b"%d" % environ["gatewright.decision"].status]
    >>> app = GatewayMiddleware(app, table=table)
    >>> app({"REQUEST_METHOD": "GET", "RAW_URI": "/", "HTTP_HOST": "example.com"}, None)
    [b'404']
    """

    def __init__(
        self,
        app: WSGIApplication,
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

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app({**environ, "gatewright.decision": self._decide(environ)}, start_response)

    def _decide(self, environ: WSGIEnvironment) -> Union[Forward, Redirect, Respond, None]:
        table = self._table if isinstance(self._table, Table) else self._table.table
        pick = None if self._pick is None else self._pick()
        try:
            decision: Any = table.decide_wsgi(environ, pick=pick, **self._place)
        except (ValueError, PlaceError) as error:
            _log.warning("a request cannot be asked about: %s", error)
            return None
        return decision if isinstance(decision, (Forward, Redirect, Respond)) else None
