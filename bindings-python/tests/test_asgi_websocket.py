"""WebSockets through the gateway."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import gatewright
import httpx
import pytest
import websockets
from gatewright.asgi import Gateway
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from serving import SOON, nowhere, raw, read_head, route, serve, until

RULES = """[
  {matches: [{path: {value: /ws}}],
   filters: [{type: URLRewrite, urlRewrite: {hostname: in.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}},
             {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: s}]}},
             {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-told, value: t}]}}],
   backendRefs: [{name: web, port: 80}]},
  {matches: [{path: {value: /moved}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /ws}}}]},
  {matches: [{path: {value: /slow}}], timeouts: {request: 300ms}, backendRefs: [{name: slow, port: 80}]}]"""


@pytest.fixture(params=["uvicorn", "hypercorn"])
def server(request: Any) -> str:
    return str(request.param)


@contextlib.contextmanager
def backend(seen: list[Any]) -> Iterator[str]:
    """Echoes; does what the messages `close` and `drop` say."""

    def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        try:
            for message in connection:
                if message == "close":
                    connection.close(4321, "as asked")
                elif message == "drop":
                    connection.socket.shutdown(socket.SHUT_RDWR)
                else:
                    connection.send(message)
        finally:
            connection.close()
            seen.append((connection.close_code, connection.close_reason))

    def check(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(401, "who are you?") if "x-refuse" in request.headers else None

    def select(_: ServerConnection, offered: Any) -> Any:
        return "one" if "one" in offered else None

    with serve_websocket(handle, "127.0.0.1", 0, select_subprotocol=select, process_request=check) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "{}:{}".format(*server.socket.getsockname())
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def gateway(address: str, server: str, **options: Any) -> Iterator[str]:
    app = Gateway(gatewright.compile(route(RULES)), resolve={"default/web:80": address}, **options)
    with serve(app, server) as own:
        yield f"ws://{own}"


def test_messages_pass(server: str) -> None:
    seen: list[Any] = []
    with backend(seen) as address, gateway(address, server) as url:
        with connect(f"{url}/ws/a;b?c=%2F", subprotocols=["one", "three"], additional_headers={"x-own": "o"}) as client:  # type: ignore[list-item]
            assert client.subprotocol == "one"
            assert client.response is not None and client.response.headers["x-told"] == "t"
            for message in ("text é", b"\x00\xff", "x" * 100_000, ""):
                client.send(message)
                assert client.recv(SOON) == message
            client.close(4001, "enough")
        until(lambda: len(seen) == 2)
    request, closed = seen
    assert request.path == "/v2/a;b?c=%2F"
    assert request.headers.get_all("host") == ["in.example"]
    assert (request.headers["x-set"], request.headers["x-own"]) == ("s", "o")
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert len(request.headers.get_all("sec-websocket-key")) == 1
    # hypercorn does not tell codes of clients.
    assert closed == ((4001, "enough") if server == "uvicorn" else (1001, ""))


def test_close_of_the_backend(server: str) -> None:
    with backend([]) as address, gateway(address, server) as url, connect(f"{url}/ws") as client:
        assert client.subprotocol is None
        client.send("close")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv(SOON)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as asked")


def test_a_backend_that_drops_its_connection(server: str) -> None:
    with backend([]) as address, gateway(address, server) as url, connect(f"{url}/ws") as client:
        client.send("drop")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv(SOON)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011


def test_a_client_that_drops_its_connection(server: str) -> None:
    seen: list[Any] = []
    with backend(seen) as address, gateway(address, server) as url:
        client = connect(f"{url}/ws")
        client.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: len(seen) == 2)
        # What the server makes of it: uvicorn takes it for a close without a code.
        assert seen[1][0] in (1000, 1001)


def _refused(url: str, **headers: str) -> Any:
    with pytest.raises(websockets.InvalidStatus) as refused:
        connect(url, additional_headers=headers).close()
    return refused.value.response


def _handshake(url: str) -> httpx.Response:
    """The answer to a handshake, whatever it is."""
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    return httpx.get(url, headers=headers, timeout=SOON)


def test_what_does_not_become_a_websocket(server: str) -> None:
    def hangs(connection: socket.socket) -> None:
        read_head(connection)
        time.sleep(SOON)

    with backend([]) as address, gateway(address, server) as url:
        assert _refused(f"{url}/none").status_code == 404
        refused = _refused(f"{url}/ws", **{"x-refuse": "1"})
        assert (refused.status_code, refused.body, refused.headers["x-told"]) == (401, b"who are you?", "t")
    with raw(hangs) as slow:
        app = Gateway(gatewright.compile(route(RULES)), resolve={"default/slow:80": slow, "default/web:80": nowhere()})
        with serve(app, server) as own:
            assert _refused(f"ws://{own}/slow").status_code == 504
            assert _refused(f"ws://{own}/ws").status_code == 502
            moved = _handshake(f"http://{own}/moved")
            assert (moved.status_code, moved.headers["location"]) == (302, "http://127.0.0.1/ws")


def test_an_answer_that_is_no_handshake(server: str) -> None:
    """Nothing but the right 101 opens it, and a redirect is the client's to follow."""
    asked: list[bytes] = []

    def answers(octets: bytes) -> Any:
        def handle(connection: socket.socket) -> None:
            asked.append(read_head(connection))
            connection.sendall(octets)
            time.sleep(0.2)

        return handle

    wrong = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"
    with raw(answers(wrong)) as address, gateway(address, server) as url:
        assert _refused(f"{url}/ws").status_code == 502
    away = b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with raw(answers(away)) as address, gateway(address, server) as url:
        answer = _handshake(f"{url}/ws".replace("ws://", "http://"))
        assert (answer.status_code, answer.headers["location"]) == (302, "ws://127.0.0.1:1/")
    assert len(asked) == 2


def test_applications(server: str) -> None:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def shout(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="one", headers=[(b"x-app", b"a")])
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text.upper()} {websocket.url.path} {websocket.headers['x-set']}")

    app = Starlette(routes=[WebSocketRoute("/v2/{rest}", shout)])
    gateway = Gateway(gatewright.compile(route(RULES)), apps={"default/web": app})
    with serve(gateway, server) as address, connect(f"ws://{address}/ws/x", subprotocols=["one"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "one"
        assert client.response is not None
        assert (client.response.headers["x-told"], client.response.headers["x-app"]) == ("t", "a")
        client.send("hello")
        assert client.recv(SOON) == "HELLO /v2/x s"
