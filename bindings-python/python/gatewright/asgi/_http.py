"""Backends over HTTP/1.1 and HTTP/2, spoken to with httpx.

It is httpx's transport that sends, not its ``AsyncClient``: a client keeps cookies, adds fields of its own and reads
``Location``, none of which is a gateway's business.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import anyio

from .._model import Backend, BackendTls
from .._table import Table
from ._address import Address, SslContext, tls_context
from ._fields import values, without
from ._types import Body, Fields, NoConnection, Trouble

if TYPE_CHECKING:
    import httpx

    #: Makes the transport for backends that are spoken to alike.
    Transport = Callable[[Backend, Optional[ssl.SSLContext]], httpx.AsyncBaseTransport]

#: Seconds that connecting to a backend may take.
CONNECT = 5.0


@dataclass(slots=True)
class Outgoing:
    """A request as a backend gets it."""

    method: str
    path: str
    query: str | None
    #: Without those that frame the body.
    headers: Fields
    body: Body
    #: Of the body, None if it is not known.
    length: int | None

    @property
    def target(self) -> bytes:
        """Path and query, in origin form."""
        return (self.path if self.query is None else f"{self.path}?{self.query}").encode()


def default_transport(backend: Backend, context: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    """A pool of connections, of HTTP/2 with prior knowledge for ``h2c`` and of HTTP/1.1 otherwise."""
    import httpx

    http2 = backend.protocol == "h2c"
    # Without TLS the context is never used, and would trust nobody.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if context is None else context
    # How many requests there are at once is the server's to limit.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=60.0)
    return httpx.AsyncHTTPTransport(verify=verify, http1=not http2, http2=http2, limits=limits)


class _Pool:
    """A transport, and how many requests it has."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.in_flight = 0
        self.is_retired = False

    async def release(self) -> None:
        self.in_flight -= 1
        if self.is_retired and self.in_flight == 0:
            await self.transport.aclose()


class HttpBackends:
    """The connections to backends, apart by protocol and by the TLS that is spoken."""

    def __init__(self, ssl_context: SslContext | None, transport: Transport | None) -> None:
        self._ssl_context = ssl_context
        self._make = transport or default_transport
        self._pools: dict[tuple[str, BackendTls | None], _Pool] = {}
        self._table: Table | None = None

    async def renew(self, table: Table) -> None:
        """Takes notice of a new table: what is trusted may be something else under the same name."""
        if table is self._table:
            return
        is_first, self._table = self._table is None, table
        if not is_first:
            await self._retire([key for key in self._pools if key[1] is not None])

    async def aclose(self) -> None:
        await self._retire(list(self._pools))

    async def _retire(self, keys: list[tuple[str, BackendTls | None]]) -> None:
        retired = [pool for pool in (self._pools.pop(key, None) for key in keys) if pool is not None]
        for pool in retired:
            pool.is_retired = True
        for pool in retired:
            if pool.in_flight == 0:
                await pool.transport.aclose()

    async def send(self, backend: Backend, address: Address, request: Outgoing) -> HttpAnswer:
        """Sends a request, and waits for the header fields of its answer.

        Raises ``Trouble``, and what the body raises.
        """
        import httpx

        if backend.protocol not in ("http1", "h2c"):
            raise NoConnection(f"{backend.protocol} is not spoken here")
        pool = self._pool(backend)
        scheme = "http" if backend.tls is None else "https"
        timeout = {"connect": CONNECT, "read": None, "write": None, "pool": CONNECT}
        extensions: dict[str, Any] = {"target": request.target, "timeout": timeout}
        if backend.tls is not None:
            extensions["sni_hostname"] = backend.tls.hostname
        url = httpx.URL(scheme=scheme, host=address.host, port=address.port)
        outgoing = httpx.Request(
            request.method, url, headers=_framed(request, str(address)), stream=_stream(request.body), extensions=extensions
        )
        # httpx writes methods in upper case, and `get` is not GET (RFC 9110 section 9.1).
        outgoing.method = request.method
        pool.in_flight += 1
        try:
            response = await pool.transport.handle_async_request(outgoing)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await pool.release()
            if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
                raise NoConnection(_said(error)) from error
            if isinstance(error, httpx.TransportError):
                raise Trouble(_said(error)) from error
            raise
        answer = HttpAnswer(response, pool)
        if response.status_code < 200:
            # Nothing has asked for another protocol.
            await answer.aclose()
            raise Trouble(f"the backend answered {response.status_code}")
        return answer

    def _pool(self, backend: Backend) -> _Pool:
        key = (backend.protocol, backend.tls)
        pool = self._pools.get(key)
        if pool is None:
            context = tls_context(backend, self._ssl_context)
            pool = self._pools[key] = _Pool(self._make(backend, context))
        return pool


class HttpAnswer:
    """What a backend has answered."""

    #: httpx does not tell them.
    has_trailers = False
    trailers: Fields = []

    def __init__(self, response: httpx.Response, pool: _Pool) -> None:
        self._response = response
        self._pool: _Pool | None = pool
        self.status = response.status_code
        self.headers: Fields = [(name.lower(), value) for name, value in response.headers.raw]

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        import httpx

        # Not decoded: whatever the coding, it is the client's.
        stream = self._response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            async for chunk in stream:
                yield chunk
        except httpx.TransportError as error:
            raise Trouble(_said(error)) from error

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            with anyio.CancelScope(shield=True):
                await self._response.aclose()
                await pool.release()


def _framed(request: Outgoing, address: str) -> Fields:
    """The header fields, with those that frame the body: it is always framed anew."""
    headers = without(request.headers, b"content-length", b"transfer-encoding")
    if request.length is not None:
        headers.append((b"content-length", b"%d" % request.length))
    elif not isinstance(request.body, bytes):
        headers.append((b"transfer-encoding", b"chunked"))
    if not values(headers, b"host"):
        # HTTP/1.0 may do without, the next hop may not (RFC 9112 section 3.2).
        headers.append((b"host", address.encode()))
    return headers


def _stream(body: Body) -> httpx.AsyncByteStream:
    import httpx

    if isinstance(body, bytes):
        return httpx.ByteStream(body)

    chunks = body

    class Stream(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            async for chunk in chunks:
                yield chunk

    return Stream()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
