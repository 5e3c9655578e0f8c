"""WebSockets: joined to a backend, message for message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio

from .._gatewright import Forward
from .._model import Backend, Retry
from ._address import SslContext, tls_context
from ._exchange import Exchanges, Failure, attempts
from ._fields import lower, without
from ._http import CONNECT
from ._types import App, Fields, Message, NoConnection, Receive, Scope, Send, Trouble

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_log = logging.getLogger("gatewright")

# Each hop has a handshake of its own.
_HANDSHAKE = (
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
    b"sec-websocket-accept",
    b"content-length",
)
#: What a close without a code, and a connection that is lost, are for the other side (RFC 6455 section 7.4.1).
_NO_CODE, _NORMAL, _GOING_AWAY, _INTERNAL = 1005, 1000, 1001, 1011


async def deny(scope: Scope, send: Send, status: int, headers: Fields, body: bytes = b"") -> None:
    """Answers the handshake with something else than 101; a server that cannot do so answers 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _NORMAL})
        return
    headers = [*without(headers, b"content-length"), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


async def to_app(
    scope: Scope, receive: Receive, send: Send, forward: Forward, exchanges: Exchanges, headers: Fields
) -> None:
    """Hands the WebSocket to an application that is mounted as the backend."""
    backend: Backend = forward.backend
    app = exchanges.apps.find(backend)
    assert app is not None
    kept = without(forward.apply_request(headers, as_bytes=True), b"content-length")

    async def edited(message: Message) -> None:
        if message["type"] in ("websocket.accept", "websocket.http.response.start"):
            fields = forward.apply_response(lower(message.get("headers") or ()), as_bytes=True)
            fields += exchanges.session_fields(forward, None)
            message = {**message, "headers": fields}
        await send(message)

    run: App = app.run_websocket
    await run(app.scope(scope, forward.path, forward.query, kept), receive, edited)


class _Rejected:
    """What a backend answers that does not switch to WebSocket."""

    def __init__(self, status: int, headers: Fields, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    async def aclose(self) -> None: ...


class _Open:
    """A connection to a backend after its 101."""

    status = 101

    def __init__(self, connection: ClientConnection, endpoint: str | None) -> None:
        self.connection = connection
        self.endpoint = endpoint

    async def aclose(self) -> None:
        self.connection.transport.abort()


async def to_backend(
    scope: Scope,
    receive: Receive,
    send: Send,
    forward: Forward,
    exchanges: Exchanges,
    headers: Fields,
    pick: int,
    started: float,
    ssl_context: SslContext | None,
    max_size: int,
) -> None:
    """Joins client and backend. Raises ``Failure`` before the client's handshake has been answered."""
    backend: Backend = forward.backend
    if backend.protocol != "http1":
        _log.warning("%s speaks %s: WebSocket over HTTP/2 is not spoken here", backend, backend.protocol)
        raise Failure(502)
    if find_spec("websockets") is None:
        _log.error("WebSockets are forwarded with the library websockets: pip install 'gatewright[asgi]'")
        raise Failure(501)
    try:
        context = tls_context(backend, ssl_context)
    except NoConnection as error:
        _log.warning("%s cannot be reached: %s", backend, error)
        raise Failure(502) from None
    session = None if forward.session is None else forward.session.endpoint
    head = without(forward.apply_request(headers, as_bytes=True), *_HANDSHAKE)

    async def once(attempt: int) -> _Open | _Rejected:
        address = exchanges.addresses.find(backend, session, pick, attempt)
        make = _maker(forward, scope, head, str(address), max_size)
        return await _connect(make, head, address.host, address.port, address.endpoint, context, backend)

    timeout: timedelta | None = forward.request_timeout
    deadline = None if timeout is None else started + timeout.total_seconds()
    retry: Retry | None = forward.retry
    opened, _ = await attempts(forward, retry, exchanges.budgets, deadline, once)
    if isinstance(opened, _Rejected):
        fields = forward.apply_response(opened.headers, as_bytes=True)
        await deny(scope, send, opened.status, fields, opened.body)
        return
    connection = opened.connection
    try:
        response = connection.response
        assert response is not None
        answered = without(_latin1(response.headers.raw_items()), *_HANDSHAKE)
        fields = forward.apply_response(answered, as_bytes=True) + exchanges.session_fields(forward, opened.endpoint)
        await send({"type": "websocket.accept", "subprotocol": connection.subprotocol, "headers": fields})
        # No timeout runs from here on.
        async with anyio.create_task_group() as group:
            group.start_soon(_to_backend, receive, connection, group.cancel_scope)
            group.start_soon(_to_client, connection, send, group.cancel_scope)
    finally:
        connection.transport.abort()


def _maker(forward: Forward, scope: Scope, head: Fields, address: str, max_size: int) -> Callable[[], ClientConnection]:
    from websockets.asyncio.client import ClientConnection
    from websockets.client import ClientProtocol
    from websockets.http11 import Request
    from websockets.typing import Subprotocol
    from websockets.uri import parse_uri

    target = forward.target
    host = next((value.decode("latin-1") for name, value in head if name == b"host"), address)

    class Asking(ClientProtocol):
        def connect(self) -> Request:
            """With the decision's own target and authority, octet for octet."""
            request = super().connect()
            request.path = target
            del request.headers["Host"]
            request.headers["Host"] = host
            return request

    offered = [Subprotocol(one) for one in scope.get("subprotocols") or ()]
    uri = parse_uri(f"{'ws' if forward.backend.tls is None else 'wss'}://{address}/")

    def make() -> ClientConnection:
        protocol = Asking(uri, subprotocols=offered or None, max_size=max_size)
        # Whether somebody is still there is for client and backend to find out.
        return ClientConnection(protocol, ping_interval=None, ping_timeout=None)

    return make


async def _connect(
    make: Callable[[], ClientConnection],
    head: Fields,
    host: str,
    port: int,
    endpoint: str | None,
    context: Any,
    backend: Backend,
) -> _Open | _Rejected:
    import asyncio

    from websockets.exceptions import InvalidHandshake, InvalidStatus

    name = None if backend.tls is None else backend.tls.hostname
    try:
        with anyio.fail_after(CONNECT):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(make, host, port, ssl=context, server_hostname=name)
    except OSError as error:
        # A TimeoutError is one, too.
        raise NoConnection(f"{type(error).__name__}: {error}") from error
    try:
        await connection.handshake([(n.decode("latin-1"), v.decode("latin-1")) for n, v in without(head, b"host")], None)
    except InvalidStatus as error:
        connection.transport.abort()
        response = error.response
        return _Rejected(response.status_code, _latin1(response.headers.raw_items()), bytes(response.body or b""))
    except (InvalidHandshake, OSError, EOFError) as error:
        connection.transport.abort()
        raise Trouble(f"{type(error).__name__}: {error}") from error
    except BaseException:
        connection.transport.abort()
        raise
    return _Open(connection, endpoint)


def _latin1(items: Any) -> Fields:
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in items]


async def _to_backend(receive: Receive, connection: ClientConnection, group: anyio.CancelScope) -> None:
    from websockets.exceptions import ConnectionClosed

    # A backend that has closed says so on the other way, which ends both.
    with suppress(ConnectionClosed):
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                await connection.send(bytes(message.get("bytes") or b"") if text is None else text)
            elif message["type"] == "websocket.disconnect":
                code = message.get("code", _NO_CODE)
                await connection.close(_sendable(code, _GOING_AWAY), message.get("reason") or "")
                group.cancel()
                return


async def _to_client(connection: ClientConnection, send: Send, group: anyio.CancelScope) -> None:
    from websockets.exceptions import ConnectionClosed

    # A client that is gone says so on the other way, which ends both.
    with suppress(OSError):
        try:
            while True:
                data = await connection.recv()
                if isinstance(data, str):
                    await send({"type": "websocket.send", "text": data})
                else:
                    await send({"type": "websocket.send", "bytes": bytes(data)})
        except ConnectionClosed as closed:
            close = closed.rcvd
            code = _INTERNAL if close is None else _sendable(close.code, _INTERNAL)
            await send({"type": "websocket.close", "code": code, "reason": "" if close is None else close.reason})
            group.cancel()


def _sendable(code: int, otherwise: int) -> int:
    """The code for the next hop: some never stand in a close frame."""
    if code == _NO_CODE:
        return _NORMAL
    is_one = code in range(1000, 1004) or code in range(1007, 1015) or code in range(3000, 5000)
    return code if is_one else otherwise
