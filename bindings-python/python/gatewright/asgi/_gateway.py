"""The gateway as an ASGI application."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

import anyio

from .._gatewright import Forward, Redirect, Respond, SessionKeys, forwarded, hops, is_grpc
from .._model import Answer, ObjectRef, PlaceError
from .._table import Table
from .._watch import Watcher
from ._address import Addresses, Resolve, SslContext, speakable
from ._apps import Apps
from ._body import Incoming
from ._exchange import UNIMPLEMENTED, Exchanges, Failure, ResponseCut
from ._fields import knows_expectation, lower, octets, without
from ._http import HttpBackends
from ._types import App, ClientGone, Fields, Receive, Scope, Send, TableSource, table_of, with_decision
from ._websocket import deny, to_app, to_backend

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._http import Transport

_log = logging.getLogger("gatewright")

#: Times that a request may have come through a gateway of this kind.
_MAX_HOPS = 10

_Decision = Union[Forward, Redirect, Respond]
#: A filter of the embedding program's own: gets the scope and the decision; an ``Answer`` is what the client gets, None
#: lets the request go on.
Extension = Callable[[Scope, _Decision], Awaitable[Union[Answer, None]]]


class Gateway:
    """A gateway: an ASGI application that sends requests to the backends of a table.

    It decides each request, answers redirects and refusals, edits header fields, and forwards, streaming both ways. ::

        import gatewright
        from gatewright.asgi import WITHOUT_FEATURES, Gateway

        app = Gateway(gatewright.watch("manifests/", without_features=WITHOUT_FEATURES))

    and then ``uvicorn gateway:app --no-server-header --no-date-header --no-proxy-headers`` (the last unless a proxy in front
    is trusted), or ``hypercorn gateway:app`` with ``include_server_header`` and ``include_date_header`` off in its
    configuration: ``Server`` and ``Date`` are the backend's to say.

    ``table``
        A ``Table``, or a ``Watcher``, whose table of the moment counts for each request. A ``Watcher`` that is not running is
        started and stopped with the application, by the server's lifespan or by ``async with gateway``.
    ``gateway``, ``port``, ``listener``
        Where requests come in, as for ``Table.decide``; not needed where the table has one port only. A place that the table
        does not have keeps the application from starting.
    ``resolve``
        Where backends are: a mapping from ``namespace/name:port``, or a function of a ``Backend``, to ``host:port``,
        ``http://host:port`` or a list of these; the function may say None. What it does not know is at one of the ready
        endpoints of its EndpointSlices, at that of the session first, or else at its DNS name.
    ``apps``
        ASGI applications that are backends, by ``namespace/name:port`` or ``namespace/name``. They get the request as a backend
        would, with ``scope["extensions"]["gatewright"]["decision"]``; they start and stop with the gateway.
    ``ssl_context``
        Gives the ``ssl.SSLContext`` for a ``Backend`` with ``tls``. It is asked once for each table. By default a policy that
        trusts the operating system is carried out, with its hostname as server name and as the name to verify; for policies with
        a CA bundle, a client certificate or ``subject_alt_names`` it is needed, or nothing is sent (502). The hostname is always
        the server name, and verified as long as ``check_hostname`` is true; ``subject_alt_names`` mean that the certificate has
        to have one of those names *instead*, which Python's ``ssl`` does not do by itself.
    ``transport``
        Makes the ``httpx`` transport of the backends with one protocol and one TLS, for limits, instrumentation or tests;
        called with a ``Backend`` and its ``ssl.SSLContext``, which it has to use. The URL of a request has only the address; path
        and query are ``request.extensions["target"]``, octet for octet.
    ``extensions``
        Filters of one's own, by ``Kind/namespace/name`` of the ``extensionRef``: async functions of scope and decision that
        return an ``Answer`` for the client, or None. ``compile`` needs their names, too (``extensions=``).
    ``sessions``
        Keys of session persistence. By default keys of this process: with several, sessions need the same keys everywhere.
    ``pick``
        Gives the number that chooses among weighted backends and endpoints; random by default.
    ``websocket_max_size``
        Octets that a message of a backend may have.

    What a rule asks for and this gateway cannot do is never skipped: external authorization and extensions without a function
    here mean 500, TLS that cannot be spoken 502, and gRPC the gRPC status UNIMPLEMENTED, as httpx has no trailers: it works
    with ``apps`` on a server that has them, such as hypercorn over HTTP/2. ``WITHOUT_FEATURES`` lets the status of the manifests say so.

    What the libraries below set bounds to: httpx reads no answer before it has sent the whole request. ASGI does not tell the
    TLS server name: whether the connection belongs to another listener (421) is not found out, and client certificates are
    the server's business. WebSockets get no mirrors. Whether ``X-Forwarded-For`` of a proxy in front counts is the ASGI
    server's setting; this gateway tells backends the client of the scope.
    """

    def __init__(
        self,
        table: Table | TableSource,
        *,
        gateway: str | None = None,
        port: int | None = None,
        listener: str | None = None,
        resolve: Resolve | None = None,
        apps: Mapping[str, App] | None = None,
        ssl_context: SslContext | None = None,
        transport: Transport | None = None,
        extensions: Mapping[str, Extension] | None = None,
        sessions: SessionKeys | None = None,
        pick: Callable[[], int] | None = None,
        websocket_max_size: int = 16 * 1024 * 1024,
    ) -> None:
        self._source = table
        self._place: dict[str, Any] = {"gateway": gateway, "port": port, "listener": listener}
        self._ssl_context = ssl_context
        self._extensions = dict(extensions or {})
        self._sessions = sessions or SessionKeys((0, secrets.token_bytes(32)))
        self._pick = pick or (lambda: random.getrandbits(64))
        self._websocket_max_size = websocket_max_size
        self._apps = Apps(apps or {})
        self._http = HttpBackends(ssl_context, transport)
        self._exchanges = Exchanges(Addresses(resolve), self._apps, self._http, self._sessions)
        self._seen: Table | None = None
        self._started_watcher: Watcher | None = None

    @property
    def table(self) -> Table:
        """The table that decides now."""
        return table_of(self._source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(f"a scope of type {scope['type']} is not served")

    # Starting and stopping.

    async def start(self) -> None:
        """Starts the watcher and the applications; a server with lifespan does it.

        Raises ``PlaceError`` for a place that the table does not have.
        """
        self.table.decide("GET", "/", pick=0, **self._place)
        await self._look_at(self.table)
        if isinstance(self._source, Watcher) and not self._source.is_running:
            self._started_watcher = self._source
            self._source.start()
        await self._apps.startup()

    async def aclose(self) -> None:
        """Stops what ``start`` has started, and closes all connections to backends."""
        watcher, self._started_watcher = self._started_watcher, None
        if watcher is not None:
            await watcher.__aexit__(None, None, None)
        await self._apps.shutdown()
        await self._exchanges.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            _log.exception("the gateway does not start")
            await self.aclose()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _look_at(self, table: Table) -> None:
        """Once for each table: says what of it cannot be carried out here."""
        if table is self._seen:
            return
        self._seen = table
        for backend in table.backends:
            if not self._apps.find(backend) and (why := speakable(backend, self._ssl_context)):
                _log.warning("nothing can be sent to %s: %s", backend, why)
        await self._http.renew(table)

    # One request.

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = lower(scope["headers"])
        incoming = Incoming(scope, headers, receive)
        broken: ResponseCut | None = None
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await incoming.gone()
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                await self._carry_out(scope, send, headers, incoming)
            except ClientGone:
                pass
            except ResponseCut as error:
                broken = error
            group.cancel_scope.cancel()
        if broken is not None:
            raise broken

    async def _carry_out(self, scope: Scope, send: Send, headers: Fields, incoming: Incoming) -> None:
        has_started = False

        async def noting(message: Any) -> None:
            nonlocal has_started
            has_started = True
            try:
                await send(message)
            except OSError:
                # So ASGI says it.
                raise ClientGone from None

        decision: _Decision | None = None
        try:
            started, pick = anyio.current_time(), self._pick()
            headers = self._told(scope, headers)
            decision = await self._decide(scope, headers, pick)
            scope = with_decision(scope, decision)
            answer = await self._guard(scope, decision)
            if answer is not None:
                await _answer(scope, noting, answer.status, octets(answer.headers))
            elif isinstance(decision, Forward):
                if is_grpc(headers) and not self._has_trailers(scope, decision):
                    raise Failure(501, UNIMPLEMENTED)
                await self._exchanges.run(scope, noting, decision, headers, incoming, pick, started)
            else:
                await _answer_decision(scope, noting, decision)
        except Failure as failure:
            if decision is None:
                await _answer(scope, noting, failure.status, [])
            else:
                await _answer(scope, noting, *failure.answer(decision, headers))
        except (ClientGone, ResponseCut):
            raise
        except Exception as error:
            _log.exception("a request could not be carried out")
            if has_started:
                raise ResponseCut(str(error)) from error
            await _answer(scope, noting, *((500, []) if decision is None else Failure(500).answer(decision, headers)))

    def _has_trailers(self, scope: Scope, forward: Forward) -> bool:
        """Whether both sides have trailers: those of an application do not get lost if the server sends them."""
        return self._apps.find(forward.backend) is not None and "http.response.trailers" in (scope.get("extensions") or {})

    def _told(self, scope: Scope, headers: Fields) -> Fields:
        """The header fields with those about the client. Raises ``Failure`` for a request that goes no further."""
        if not knows_expectation(headers):
            raise Failure(417)
        client = scope.get("client")
        scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        try:
            if hops(headers) >= _MAX_HOPS:
                raise Failure(508)
            told = forwarded(headers, client=str(client[0]) if client else "unknown", scheme=scheme, as_bytes=True)
        except ValueError as error:
            # The server has let it pass.
            _log.debug("a request is none: %s", error)
            raise Failure(400) from None
        return [*without(told, b"x-request-id"), (b"x-request-id", secrets.token_hex(16).encode())]

    async def _decide(self, scope: Scope, headers: Fields, pick: int) -> _Decision:
        """Raises ``Failure`` for what cannot be decided."""
        if scope.get("raw_path") is None:
            _log.error("the ASGI server gives no raw_path, and a decoded path is another request")
            raise Failure(500)
        # One table for the whole request, whatever comes meanwhile.
        table = self.table
        await self._look_at(table)
        try:
            decision: Any = table.decide_asgi(
                {**scope, "headers": headers}, pick=pick, sessions=self._sessions, now=int(time.time()), **self._place
            )
        except PlaceError:
            raise Failure(404) from None
        except ValueError as error:
            _log.debug("a request is none: %s", error)
            raise Failure(400) from None
        if not isinstance(decision, (Forward, Redirect, Respond)):
            raise Failure(500)
        return decision

    async def _guard(self, scope: Scope, decision: _Decision) -> Answer | None:
        """What a request has to pass, whatever is decided. Raises ``Failure`` where it cannot be asked: it is never skipped."""
        if decision.auth is not None:
            _log.warning("%s asks for external authorization, which this gateway does not do", decision.route)
            raise Failure(500)
        extensions: tuple[ObjectRef, ...] = decision.extensions
        for reference in extensions:
            extension = self._extensions.get(str(reference))
            if extension is None:
                _log.warning("%s asks for %s, which this gateway does not have", decision.route, reference)
                raise Failure(500)
            answer = await extension(scope, decision)
            if answer is not None:
                return Answer(answer.status, decision.apply_response(answer.headers))
        return None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = lower(scope["headers"])
        decision: _Decision | None = None
        try:
            started, pick = anyio.current_time(), self._pick()
            headers = self._told(scope, headers)
            decision = await self._decide(scope, headers, pick)
            scope = with_decision(scope, decision)
            answer = await self._guard(scope, decision)
            if answer is None and not isinstance(decision, Forward):
                answer = decision.answer()
            if isinstance(decision, Forward) and answer is None:
                if self._apps.find(decision.backend):
                    await to_app(scope, receive, send, decision, self._exchanges, headers)
                    return
                await receive()
                await to_backend(
                    scope,
                    receive,
                    send,
                    decision,
                    self._exchanges,
                    headers,
                    pick,
                    started,
                    self._ssl_context,
                    self._websocket_max_size,
                )
            elif answer is not None:
                await receive()
                await deny(scope, send, answer.status, octets(answer.headers))
        except Failure as failure:
            fields = [] if decision is None else octets(decision.failure(failure.status).headers)
            await deny(scope, send, failure.status, fields)


async def _answer_decision(scope: Scope, send: Send, decision: Redirect | Respond) -> None:
    answer: Answer = decision.answer()
    headers = octets(answer.headers)
    if isinstance(decision, Respond) and decision.matched is None and decision.status == 400 and _is_http1(scope):
        # Whoever sends what has two readings may have sent more behind it.
        headers.append((b"connection", b"close"))
    await _answer(scope, send, answer.status, headers)


async def _answer(scope: Scope, send: Send, status: int, headers: Fields) -> None:
    """An answer without a body."""
    if status >= 200 and status not in (204, 304):
        headers = [*without(headers, b"content-length"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_http1(scope: Scope) -> bool:
    return str(scope.get("http_version", "1.1")).startswith("1")
