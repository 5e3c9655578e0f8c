"""Backends that are ASGI applications in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast
from urllib.parse import unquote

from .._model import Backend
from ._fields import lower, without
from ._http import Outgoing
from ._types import App, ClientGone, Fields, Message, Receive, Scope, Send, Trouble

_log = logging.getLogger("gatewright")

#: Seconds that an application has for what it does after its answers, when the gateway stops.
_AFTERWARDS = 5.0


class Apps:
    """The applications by the name of the backend: ``namespace/name:port``, or ``namespace/name`` for every port."""

    def __init__(self, apps: Mapping[str, App]) -> None:
        for name in apps:
            if "/" not in name:
                raise ValueError(f"apps have names as namespace/name or namespace/name:port, found {name!r}")
        lifespans = {id(app): Lifespan(app) for app in apps.values()}
        self._mounted = {name: Mounted(app, lifespans[id(app)]) for name, app in apps.items()}
        self._lifespans = list(lifespans.values())

    def find(self, backend: Backend) -> Mounted | None:
        return self._mounted.get(str(backend)) or self._mounted.get(f"{backend.namespace}/{backend.name}")

    async def startup(self) -> None:
        """Raises ``RuntimeError`` with what an application says when it cannot start."""
        for lifespan in self._lifespans:
            await lifespan.startup()

    async def shutdown(self) -> None:
        await asyncio.gather(*(mounted.end() for mounted in self._mounted.values()))
        for lifespan in reversed(self._lifespans):
            await lifespan.shutdown()


class Mounted:
    """An application that is a backend."""

    def __init__(self, app: App, lifespan: Lifespan) -> None:
        self._app = app
        self._lifespan = lifespan
        # Some work on after the answer.
        self._tasks: set[asyncio.Task[None]] = set()

    async def end(self) -> None:
        """Lets what works on after its answer come to an end, for a while."""
        if self._tasks:
            _, busy = await asyncio.wait(self._tasks, timeout=_AFTERWARDS)
            for task in busy:
                task.cancel()

    def scope(self, scope: Scope, path: str, query: str | None, headers: Fields) -> Scope:
        """The scope of a request as the decision has it: the path is the whole one, below no ``root_path``."""
        extensions = cast("dict[str, Any]", scope.get("extensions") or {})
        # Of the server's extensions only those that the gateway passes on.
        kept = {name: extensions[name] for name in ("gatewright", "tls", *_PASSED.get(scope["type"], ())) if name in extensions}
        return {
            **scope,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": (query or "").encode(),
            "root_path": "",
            "headers": headers,
            "state": dict(self._lifespan.state),
            "extensions": kept,
        }

    async def send(self, scope: Scope, request: Outgoing) -> AppAnswer:
        """Runs the application as far as the header fields of its answer. Raises ``Trouble`` if there is none."""
        headers = without(request.headers, b"content-length", b"transfer-encoding")
        if request.length is not None:
            headers.append((b"content-length", b"%d" % request.length))
        scope = self.scope({**scope, "method": request.method}, request.path, request.query, headers)
        answer = AppAnswer()
        task = asyncio.create_task(answer.run(self._app, scope, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await answer.begin()
        except BaseException:
            await answer.aclose()
            raise
        return answer

    async def run_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


_PASSED = {"http": ("http.response.trailers",), "websocket": ("websocket.http.response",)}


class AppAnswer:
    """What an application answers."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Fields = []
        self.has_trailers = False
        self.trailers: Fields = []
        self._gone = asyncio.Event()
        # Of one place: an application that is faster than its client waits.
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._error: Exception | None = None

    async def run(self, app: App, scope: Scope, request: Outgoing) -> None:
        body = request.body

        async def chunks() -> AsyncGenerator[bytes, None]:
            if isinstance(body, bytes):
                yield body
            else:
                async for chunk in body:
                    yield chunk

        rest = chunks()
        has_ended = False

        async def receive() -> Message:
            nonlocal has_ended
            if not has_ended and not self._gone.is_set():
                try:
                    chunk = await anext(rest, None)
                except ClientGone:
                    self._gone.set()
                    return {"type": "http.disconnect"}
                if chunk is None or isinstance(body, bytes):
                    has_ended = True
                return {"type": "http.request", "body": chunk or b"", "more_body": not has_ended}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if self._gone.is_set():
                raise OSError("the client is gone")
            await self._messages.put(message)

        try:
            await app(scope, receive, send)
        except Exception as error:
            if not self._gone.is_set():
                _log.exception("an application behind the gateway raised")
            self._error = error
        finally:
            if not self._gone.is_set():
                await self._messages.put(None)

    async def begin(self) -> None:
        message = await self._messages.get()
        if message is None:
            raise Trouble("the application raised" if self._error else "the application did not answer") from self._error
        if message["type"] != "http.response.start":
            raise Trouble(f"the application began with {message['type']}")
        self.status = message["status"]
        self.headers = lower(message.get("headers", ()))
        self.has_trailers = bool(message.get("trailers", False))

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        while True:
            message = await self._messages.get()
            if message is None or message["type"] != "http.response.body":
                raise Trouble("the application did not finish its answer") from self._error
            yield bytes(message.get("body", b""))
            if not message.get("more_body", False):
                break
        while self.has_trailers:
            message = await self._messages.get()
            if message is None or message["type"] != "http.response.trailers":
                raise Trouble("the application did not send its trailers") from self._error
            self.trailers += lower(message.get("headers", ()))
            if not message.get("more_trailers", False):
                break

    async def aclose(self) -> None:
        """Tells the application that nobody listens any more. What it does after its answer goes on."""
        self._gone.set()
        while not self._messages.empty():
            self._messages.get_nowait()


class Lifespan:
    """Startup and shutdown of an application, which may know nothing of them."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        # Anew, as queues belong to a loop.
        self._inbox, self._outbox, self.state = asyncio.Queue(), asyncio.Queue(), {}
        self._task = asyncio.create_task(self._run())
        await self._inbox.put({"type": "lifespan.startup"})
        message = await self._outbox.get()
        if message is None:
            self._task = None
        elif message["type"] == "lifespan.startup.failed":
            self._task = None
            raise RuntimeError(message.get("message") or "an application behind the gateway did not start")

    async def shutdown(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        await self._inbox.put({"type": "lifespan.shutdown"})
        message = await self._outbox.get()
        if message is not None and message["type"] == "lifespan.shutdown.failed":
            _log.error("an application behind the gateway did not shut down: %s", message.get("message", ""))
        await asyncio.wait([task])

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._inbox.get, self._outbox.put)
        except Exception as error:
            # As the specification of ASGI says: an application that raises here does not want to know.
            _log.debug("an application has no lifespan: %r", error)
        finally:
            self._outbox.put_nowait(None)
