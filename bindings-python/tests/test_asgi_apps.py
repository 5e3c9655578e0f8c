"""Applications that are mounted as backends, the middleware, and lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import gatewright
import httpx
import pytest
from fastapi.responses import PlainTextResponse, StreamingResponse
from gatewright.asgi import Gateway, GatewayMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving import SOON, echo, raw, read_head, route, serve, until

LIMIT = httpx.Timeout(SOON)
RULES = """[
  {matches: [{path: {value: /star}}],
   filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}},
             {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-set, value: s}]}}],
   backendRefs: [{name: star, port: 80}]},
  {matches: [{path: {value: /fast}}],
   filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}],
   backendRefs: [{name: fast, port: 80}]}]"""


@pytest.fixture(params=["uvicorn", "hypercorn"])
def server(request: Any) -> str:
    return str(request.param)


def star() -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}

    async def hello(request: Request) -> JSONResponse:
        told = {
            "path": request.scope["path"],
            "raw_path": request.scope["raw_path"].decode(),
            "root_path": request.scope["root_path"],
            "query": str(request.query_params),
            "greeting": request.state.greeting,
            "host": request.headers["host"],
            "route": str(request.scope["extensions"]["gatewright"]["decision"].route),
            "body": (await request.body()).decode(),
        }
        return JSONResponse(told, headers={"x-app": "star", "connection": "x-gone", "x-gone": "1"})

    return Starlette(routes=[Route("/{rest:path}", hello, methods=["GET", "POST"])], lifespan=lifespan)


def fast(worked: threading.Event | None = None) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/items/{item}")
    async def item(item: int, q: str = "") -> dict[str, Any]:
        return {"item": item, "q": q}

    @app.get("/raises")
    async def raises() -> None:
        raise ValueError("on purpose")

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(SOON)

    @app.get("/later")
    async def later(tasks: fastapi.BackgroundTasks) -> str:
        async def work() -> None:
            await asyncio.sleep(0.3)
            if worked is not None:
                worked.set()

        tasks.add_task(work)
        return "now"

    return app


def test_applications_are_backends(server: str) -> None:
    table = gatewright.compile(route(RULES))
    app = Gateway(table, apps={"default/star:80": star(), "default/fast": fast()})
    with serve(app, server) as address, httpx.Client(base_url=f"http://{address}", timeout=LIMIT) as client:
        answer = client.post("/star/a%20b?c=d", content=b"body", headers={"host": "a.example"})
        assert answer.json() == {
            "path": "/a b",
            "raw_path": "/a%20b",
            "root_path": "",
            "query": "c=d",
            "greeting": "hello",
            "host": "a.example",
            "route": "HTTPRoute/default/web",
            "body": "body",
        }
        assert (answer.headers["x-set"], answer.headers["x-app"]) == ("s", "star")
        assert "x-gone" not in answer.headers
        assert client.get("/fast/items/7?q=x").json() == {"item": 7, "q": "x"}
        assert client.get("/fast/items/seven").status_code == 422
        assert client.get("/fast/raises").status_code == 500
        assert client.get("/none").status_code == 404


def test_what_an_application_does_afterwards() -> None:
    worked = threading.Event()
    app = Gateway(gatewright.compile(route(RULES)), apps={"default/fast": fast(worked), "default/star": star()})
    with serve(app) as address:
        assert httpx.get(f"http://{address}/fast/later", timeout=LIMIT).json() == "now"
        assert not worked.is_set()
    # The gateway waits for it before it stops.
    assert worked.is_set()


def test_an_application_streams_and_hears_of_the_end(server: str) -> None:
    has_come, has_ended = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError("no lifespan here")
        assert (await receive())["type"] == "http.request"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        assert await asyncio.to_thread(has_come.wait, SOON)
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(OSError):
            await send({"type": "http.response.body", "body": b"last"})
        has_ended.set()

    gateway = Gateway(gatewright.compile(route("[{backendRefs: [{name: web, port: 80}]}]")), apps={"default/web": app})
    with serve(gateway, server) as address:
        with httpx.stream("GET", f"http://{address}", timeout=LIMIT) as answer:
            pieces = answer.iter_raw()
            assert next(pieces) == b"first"
        has_come.set()
        assert has_ended.wait(SOON)


def test_applications_that_fail() -> None:
    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("on purpose")

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise ValueError("on purpose")

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(SOON)

    async def splits(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]})
        await send({"type": "http.response.body"})

    table = gatewright.compile(route("[{timeouts: {request: 300ms}, backendRefs: [{name: web, port: 80}]}]"))
    for app, status in [(raises, 502), (hangs, 504), (splits, 502)]:
        with serve(Gateway(table, apps={"default/web": app}), lifespan="off") as address:
            assert httpx.get(f"http://{address}", timeout=LIMIT).status_code == status, app
    with serve(Gateway(table, apps={"default/web": breaks}), lifespan="off") as address:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://{address}", timeout=LIMIT)


def test_retries_and_copies_of_applications() -> None:
    asked: list[bytes] = []

    def app(name: str) -> Any:
        async def one(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                return
            body = (await receive())["body"]
            asked.append(name.encode() + body)
            await send({"type": "http.response.start", "status": 503 if len(asked) < 3 else 200, "headers": []})
            await send({"type": "http.response.body"})

        return one

    rules = """[{retry: {attempts: 3, codes: [503]},
                 filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}],
                 backendRefs: [{name: web, port: 80}]}]"""
    gateway = Gateway(gatewright.compile(route(rules)), apps={"default/web": app("web"), "default/copy": app("copy")})
    with serve(gateway) as address:
        assert httpx.post(f"http://{address}", content=b"!", timeout=LIMIT).status_code == 200
        until(lambda: b"copy!" in asked)
    assert set(asked) == {b"web!", b"copy!"}


def test_trailers_of_applications() -> None:
    """gRPC works with applications, as far as the server has trailers."""

    async def grpc(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        assert "http.response.trailers" in scope["extensions"]
        if scope["path"] == "/a.B/Fails":
            raise ValueError("on purpose")
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"message"})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})

    sent: list[Any] = []
    gateway = Gateway(gatewright.compile(route("[{backendRefs: [{name: web, port: 80}]}]")), apps={"default/web": grpc})

    async def ask(extensions: Any, path: bytes = b"/a.B/C") -> None:
        sent.clear()
        requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            for request in requests:
                return request
            await asyncio.sleep(SOON)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "2",
            "method": "POST",
            "raw_path": path,
            "query_string": b"",
            "headers": [(b"host", b"a"), (b"content-type", b"application/grpc"), (b"te", b"trailers")],
            "extensions": extensions,
        }
        await gateway(scope, receive, send)

    asyncio.run(ask({"http.response.push": {}}))
    assert dict(sent[0]["headers"])[b"grpc-status"] == b"12"
    asyncio.run(ask({"http.response.trailers": {}, "http.response.push": {}}))
    assert [message["type"].rpartition(".")[2] for message in sent] == ["start", "body", "body", "trailers"]
    assert sent[0]["trailers"] and sent[-1]["headers"] == [(b"grpc-status", b"0")]
    asyncio.run(ask({"http.response.trailers": {}}, b"/a.B/Fails"))
    failed = dict(sent[0]["headers"])
    assert (sent[0]["status"], failed[b"grpc-status"], failed[b"content-type"]) == (200, b"14", b"application/grpc")


def test_lifespan_of_applications(server: str) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        seen.append("start")
        yield
        seen.append("stop")

    app = Starlette(lifespan=lifespan)
    # The same application under two names starts once.
    gateway = Gateway(gatewright.compile(route("[]")), apps={"default/a": app, "default/b": app})
    with serve(gateway, server):
        assert seen == ["start"]
    assert seen == ["start", "stop"]


def test_an_application_that_cannot_start() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        raise ValueError("on purpose")
        yield

    gateway = Gateway(gatewright.compile(route("[]")), apps={"default/a": Starlette(lifespan=lifespan)})

    async def start() -> None:
        async with gateway:
            pass

    with pytest.raises(RuntimeError, match="on purpose"):
        asyncio.run(start())


def test_names_of_applications() -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        Gateway(gatewright.compile(route("[]")), apps={"web": echo})


def test_the_middleware_only_tells(server: str) -> None:
    table = gatewright.compile(route(RULES))
    app = fastapi.FastAPI()

    @app.get("/{rest:path}")
    async def told(request: fastapi.Request, rest: str) -> PlainTextResponse:
        decision = request.state.gatewright
        assert request.scope["extensions"]["gatewright"]["decision"] is decision
        assert request.scope["raw_path"] == b"/" + rest.encode()
        match decision:
            case gatewright.Forward(backend, target):
                return PlainTextResponse(f"{backend} {target}")
            case gatewright.Respond(status, reason):
                return PlainTextResponse(f"{status} {reason}")
            case _:
                return PlainTextResponse(repr(decision))

    with serve(GatewayMiddleware(app, table=table), server) as address, httpx.Client(base_url=f"http://{address}") as client:
        assert client.get("/star/x", timeout=LIMIT).text == "default/star:80 /x"
        assert client.get("/none", timeout=LIMIT).text == "404 NoRoute"
    # A place that is not there is no reason not to serve.
    with serve(GatewayMiddleware(app, table=table, port=81), server) as address:
        assert httpx.get(f"http://{address}/star/x", timeout=LIMIT).text == "None"


def test_the_middleware_within_starlette() -> None:
    from starlette.middleware import Middleware

    async def told(request: Request) -> StreamingResponse:
        return StreamingResponse(iter([str(request.state.gatewright.route), request.state.other]))

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, str]]:
        yield {"other": "!"}

    table = gatewright.compile(route(RULES))
    app = Starlette(
        routes=[Route("/star", told)], middleware=[Middleware(GatewayMiddleware, table=table)], lifespan=lifespan
    )
    with serve(app) as address:
        assert httpx.get(f"http://{address}/star", timeout=LIMIT).text == "HTTPRoute/default/web!"


def test_a_gateway_within_starlette() -> None:
    """A mount hands over the whole path, and no lifespan."""
    from starlette.routing import Mount

    got: list[bytes] = []

    def backend(connection: Any) -> None:
        got.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw(backend) as other:
        gateway = Gateway(gatewright.compile(route(RULES)), resolve={"default/star:80": other})
        with serve(Starlette(routes=[Mount("/star", gateway)])) as address:
            assert httpx.get(f"http://{address}/star/x", timeout=LIMIT).text == "ok"

    async def root(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{scope['root_path']} {scope['path']}".encode()})

    # The path that the decision gives is below no mount.
    gateway = Gateway(gatewright.compile(route(RULES)), apps={"default/star": root})
    with serve(Starlette(routes=[Mount("/star", gateway)])) as address:
        assert httpx.get(f"http://{address}/star/x", timeout=LIMIT).text == " /x"
    assert got[0].startswith(b"GET /x HTTP/1.1")
