"""One request on its way to a backend: attempts, retries, mirrors, and the answer as the client gets it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol, TypeVar, Union

import anyio

from .._gatewright import Forward, Redirect, Respond, SessionKeys
from .._model import Backend, GatewrightError, Retry
from ._address import Address, Addresses
from ._apps import Apps
from ._body import Incoming, copies
from ._budget import Budgets
from ._fields import octets
from ._http import HttpBackends, Outgoing
from ._types import Answered, Body, ClientGone, Fields, NoConnection, Scope, Send, Trouble

_log = logging.getLogger("gatewright")

#: Copies on their way at most.
_MIRRORS = 128
#: Octets that are read of the answer to a copy.
_MIRROR_ANSWER = 64 * 1024
_MIRROR_TIMEOUT = 15.0

#: A gRPC status code.
UNIMPLEMENTED = 12

_Decision = Union[Forward, Redirect, Respond]


class ResponseCut(GatewrightError):
    """A response that broke off: the server has to close the connection, so that the client does not take it for whole."""


class Failure(Exception):
    """An answer of the gateway's own."""

    def __init__(self, status: int, grpc: int | None = None) -> None:
        super().__init__(status, grpc)
        self.status = status
        self.grpc = grpc

    def answer(self, decision: _Decision, headers: Fields) -> tuple[int, Fields]:
        """Status and header fields for the client of the request with these header fields."""
        status, fields = decision.failure(self.status, headers, grpc_status=self.grpc)
        return status, octets(fields)


class _Result(Protocol):
    @property
    def status(self) -> int: ...
    async def aclose(self) -> None: ...


_R = TypeVar("_R", bound=_Result)


async def attempts(
    forward: Forward,
    retry: Retry | None,
    budgets: Budgets,
    deadline: float | None,
    once: Callable[[int], Awaitable[_R]],
) -> tuple[_R, float | None]:
    """Tries until something is to be handed to the client: that, and the time by which it has to end.

    ``retry`` is None for what can be sent only once. Raises ``Failure``, and what the client has broken.
    """
    backend: Backend = forward.backend
    each: timedelta | None = forward.backend_request_timeout
    most = 0 if retry is None else retry.attempts
    budgets.request(forward, most > 0)
    attempt = 0
    while True:
        until = _first(deadline, None if each is None else anyio.current_time() + each.total_seconds())
        result: _R | None = None
        try:
            with anyio.fail_after(_left(until)):
                result = await once(attempt)
            failure = None
        except TimeoutError:
            failure = Failure(504)
            if deadline is not None and anyio.current_time() >= deadline:
                raise failure from None
        except Trouble as error:
            _log.warning("%s cannot be reached: %s", backend, error)
            # Where retries were asked for and did not help, the backend counts as unavailable.
            failure = Failure(502 if forward.retry is None else 503)
        again = retry is not None and attempt < most and (result is None or result.status in retry.codes)
        if not again or retry is None:
            if result is not None:
                return result, until
            raise failure or Failure(502)
        if result is not None:
            await result.aclose()
        if not budgets.try_retry(forward):
            raise Failure(503)
        pause = (forward.retry_pause(attempt) or timedelta()).total_seconds()
        attempt += 1
        if deadline is not None and anyio.current_time() + pause >= deadline:
            raise Failure(504)
        await asyncio.sleep(pause)


def _first(*times: float | None) -> float | None:
    return min((one for one in times if one is not None), default=None)


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - anyio.current_time())


class Exchanges:
    """Carries requests to backends."""

    def __init__(self, addresses: Addresses, apps: Apps, http: HttpBackends, sessions: SessionKeys) -> None:
        self.addresses = addresses
        self.apps = apps
        self.http = http
        self.budgets = Budgets()
        self.sessions = sessions
        self._mirrors: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        mirrors = list(self._mirrors)
        for mirror in mirrors:
            mirror.cancel()
        await asyncio.gather(*mirrors, return_exceptions=True)
        await self.http.aclose()

    async def run(
        self, scope: Scope, send: Send, forward: Forward, headers: Fields, incoming: Incoming, pick: int, started: float
    ) -> None:
        """Raises ``Failure`` before anything has been sent to the client, ``ResponseCut`` after."""
        backend: Backend = forward.backend
        retry: Retry | None = forward.retry
        head = forward.apply_request(headers, as_bytes=True)
        timeout: timedelta | None = forward.request_timeout
        deadline = None if timeout is None else started + timeout.total_seconds()
        try:
            # A body that may have to be sent more than once is kept, if it is small.
            with anyio.fail_after(_left(deadline)):
                body = await incoming.body(keep=retry is not None)
        except TimeoutError:
            raise Failure(504) from None
        mirrors: tuple[Backend, ...] = forward.mirrors
        body, copied = copies(body, len(mirrors))
        request = Outgoing(scope["method"], forward.path, forward.query, head, body, _length(body, incoming))
        for number, (mirror, copy) in enumerate(zip(mirrors, copied, strict=True)):
            self._mirror(scope, mirror, Outgoing(request.method, request.path, request.query, head, copy, request.length), pick + number)
        session = None if forward.session is None else forward.session.endpoint
        address: Address | None = None

        async def once(attempt: int) -> Answered:
            nonlocal address
            if app := self.apps.find(backend):
                return await app.send(scope, request)
            address = self.addresses.find(backend, session, pick, attempt)
            return await self.http.send(backend, address, request)

        may_retry = retry if isinstance(body, bytes) else None
        answered, until = await attempts(forward, may_retry, self.budgets, deadline, once)
        try:
            await self._reply(scope, send, forward, answered, until, None if address is None else address.endpoint)
        finally:
            await answered.aclose()

    async def _reply(
        self, scope: Scope, send: Send, forward: Forward, answered: Answered, until: float | None, endpoint: str | None
    ) -> None:
        try:
            headers = forward.apply_response(answered.headers, as_bytes=True)
        except ValueError as error:
            _log.warning("%s answers with fields that are none: %s", forward.backend, error)
            raise Failure(502) from None
        headers += self.session_fields(forward, endpoint)
        start = {"type": "http.response.start", "status": answered.status, "headers": headers}
        has_trailers = answered.has_trailers and "http.response.trailers" in (scope.get("extensions") or {})
        if has_trailers:
            start["trailers"] = True
        await send(start)
        try:
            with anyio.fail_after(_left(until)):
                async with aclosing(answered.chunks()) as chunks:
                    async for chunk in chunks:
                        if chunk:
                            await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                if has_trailers:
                    await send({"type": "http.response.trailers", "headers": answered.trailers, "more_trailers": False})
        except TimeoutError:
            raise ResponseCut(f"the response of {forward.backend} took longer than its timeout") from None
        except Trouble as error:
            raise ResponseCut(f"the response of {forward.backend} broke off: {error}") from error

    def session_fields(self, forward: Forward, endpoint: str | None) -> Fields:
        """The field that tells the client its session, if there is one to tell."""
        field = forward.session_field(self.sessions, endpoint, int(time.time()))
        return [] if field is None else octets([field])

    def _mirror(self, scope: Scope, backend: Backend, request: Outgoing, pick: int) -> None:
        """Sends a copy aside. It is never waited for, and dropped when there are too many."""
        if len(self._mirrors) >= _MIRRORS:
            _log.debug("too many copies: one for %s is dropped", backend)
            return
        task = asyncio.create_task(self._send_copy(scope, backend, request, pick))
        self._mirrors.add(task)
        task.add_done_callback(self._mirrors.discard)

    async def _send_copy(self, scope: Scope, backend: Backend, request: Outgoing, pick: int) -> None:
        try:
            with anyio.fail_after(_MIRROR_TIMEOUT):
                answered: Answered
                if app := self.apps.find(backend):
                    answered = await app.send(scope, request)
                else:
                    answered = await self.http.send(backend, self.addresses.find(backend, None, pick, 0), request)
                try:
                    # Read as far as it keeps its connection usable, and looked at by nobody.
                    read = 0
                    async with aclosing(answered.chunks()) as chunks:
                        async for chunk in chunks:
                            read += len(chunk)
                            if read > _MIRROR_ANSWER:
                                break
                finally:
                    await answered.aclose()
        except (Trouble, NoConnection, ClientGone, TimeoutError) as error:
            _log.debug("a copy for %s was not taken: %r", backend, error)
        except Exception:
            _log.exception("a copy for %s was not taken", backend)
        finally:
            if not isinstance(request.body, bytes):
                # Whoever reads the original does not have to wait for one that nobody reads.
                await request.body.aclose()


def _length(body: Body, incoming: Incoming) -> int | None:
    """The length to announce; None for none, of a body whose length nobody knows, and where there is no body at all."""
    if isinstance(body, bytes):
        return len(body) if body or incoming.length is not None else None
    return incoming.length
