"""Servers and backends for the tests of the gateway: real sockets, each server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gatewright
import httpx
import pytest
import uvicorn
from gatewright.asgi import WITHOUT_FEATURES, Gateway

#: Seconds that something may take that is to happen at all.
SOON = 20.0


@contextlib.contextmanager
def serve(app: Any, server: str = "uvicorn", **options: Any) -> Iterator[str]:
    """Serves an ASGI application, and gives its ``host:port``."""
    with {"uvicorn": _uvicorn, "hypercorn": _hypercorn}[server](app, **options) as address:
        yield address


@contextlib.contextmanager
def _uvicorn(app: Any, **options: Any) -> Iterator[str]:
    settings = {
        "port": 0,
        "log_level": "error",
        "proxy_headers": False,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": 2,
        **options,
    }
    server = uvicorn.Server(uvicorn.Config(app, **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        if not server.started:
            raise RuntimeError("the server did not start")
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def _hypercorn(app: Any) -> Iterator[str]:
    import hypercorn.asyncio
    from hypercorn.config import Config

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    host, port = listening.getsockname()
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.graceful_timeout = 2
    config.include_server_header = False
    config.include_date_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.test")
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        until(lambda: _accepts(host, port))
        yield f"{host}:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def _accepts(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """A backend that answers with what it received, as JSON."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    told = {
        "method": scope["method"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "path": scope["path"],
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
        "http_version": scope["http_version"],
    }
    headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-backend", b"echo")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


@contextlib.contextmanager
def raw(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A backend of octets: ``handle`` gets each connection, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(SOON)
            handle(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield "{}:{}".format(*listening.getsockname())
    finally:
        listening.close()


def read_head(connection: socket.socket) -> bytes:
    """The octets of a message as far as its header fields, and whatever came with them."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("the connection ended")
        octets += piece
    return octets


def read_request(connection: socket.socket) -> bytes:
    """The octets of a request with its whole body."""
    octets = read_head(connection)
    head, _, body = octets.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", 0))
    while len(body) < length or (b"transfer-encoding" in fields and not body.endswith(b"0\r\n\r\n")):
        piece = connection.recv(65536)
        if not piece:
            raise OSError("the connection ended")
        body += piece
    return head + b"\r\n\r\n" + body


def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return "{}:{}".format(*listening.getsockname())


def ask(address: str, octets: bytes) -> bytes:
    """Sends octets, and reads until the connection is closed."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), SOON) as connection:
        connection.sendall(octets)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gateway}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""


def route(rules: str, name: str = "web") -> str:
    """Manifests with one HTTPRoute, whose rules are YAML in flow style."""
    return f"""{GATEWAY}---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gateway}}]
  rules: {rules}
"""


#: A rule that sends everything to one backend.
WEB = "[{backendRefs: [{name: web, port: 80}]}]"
LIMIT = httpx.Timeout(SOON)


@contextlib.contextmanager
def gateway(manifests: Any, backend: Any = None, server: str = "uvicorn", **options: Any) -> Iterator[str]:
    """A gateway in front of a backend: the address, or a mapping for ``resolve``."""
    table = gatewright.compile(manifests, without_features=WITHOUT_FEATURES) if isinstance(manifests, str) else manifests
    if backend is not None:
        options["resolve"] = backend if isinstance(backend, dict) else {"default/web:80": backend}
    with serve(Gateway(table, **options), server) as address:
        yield f"http://{address}"


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with serve(echo) as address:
        yield address


@pytest.fixture(params=["uvicorn", "hypercorn"])
def server(request: Any) -> str:
    return str(request.param)


def in_pieces() -> Iterator[bytes]:
    yield b"in "
    # What comes in one piece is known as a whole.
    time.sleep(0.3)
    yield b"pieces"
