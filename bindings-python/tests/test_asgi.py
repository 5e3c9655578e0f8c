"""The gateway, asked over real sockets, in front of real backends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import gatewright
import httpx
import pytest
from gatewright.asgi import WITHOUT_FEATURES, Gateway

from serving import GATEWAY, LIMIT, SOON, WEB, ask, echo, gateway, in_pieces, nowhere, raw, read_head, route, serve, server, until, web

__all__ = ["server", "web"]


def values(answer: httpx.Response, name: str) -> list[str]:
    """The values of a field as the backend got it."""
    return [value for other, value in answer.json()["headers"] if other == name]


def test_forwards(web: str, server: str) -> None:
    rules = """[{
      matches: [{path: {type: PathPrefix, value: /api}}],
      filters: [
        {type: URLRewrite, urlRewrite: {hostname: in.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}},
        {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: s}], remove: [x-gone]}},
        {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-added, value: a}], remove: [x-backend]}}],
      backendRefs: [{name: web, port: 80}]}]"""
    with gateway(route(rules), web, server) as url, httpx.Client(base_url=url, timeout=LIMIT) as client:
        answer = client.post("/api/users?id=7&a=%2F", content=b"hello", headers={"host": "out.example", "x-gone": "x", "x-set": "c"})
        assert answer.status_code == 200
        told = answer.json()
        assert (told["method"], told["raw_path"], told["query"], told["body"]) == ("POST", "/v2/users", "id=7&a=%2F", "hello")
        assert values(answer, "host") == ["in.example"]
        assert values(answer, "x-set") == ["s"]
        assert values(answer, "x-gone") == []
        assert values(answer, "content-length") == ["5"]
        assert answer.headers["x-added"] == "a"
        assert "x-backend" not in answer.headers
        # Repeated fields stay apart.
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        # Cookies of one answer are nobody else's.
        assert values(client.get("/api/x", headers={"cookie": ""}), "cookie") == [""]
        assert client.get("/other").status_code == 404


def test_tells_about_the_client(web: str, server: str) -> None:
    claims = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": "/a",
        "x-real-ip": "6.6.6.6",
        "forwarded": "for=6.6.6.6",
        "x-envoy-original-path": "/b",
        "x_forwarded_for": "6.6.6.6",
        "x-request-id": "mine",
        "via": "1.1 gatewright, 1.1 other",
    }
    with gateway(route(WEB), web, server) as url:
        answer = httpx.get(url, headers={"host": "a.example", **claims}, timeout=LIMIT)
        got = {name: values(answer, name) for name in [*claims, "x-forwarded-host"]}
        assert got.pop("x-request-id") != ["mine"]
        assert got == {
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-proto": ["http"],
            "x-forwarded-host": ["a.example"],
            "x-forwarded-prefix": [],
            "x-real-ip": [],
            "forwarded": [],
            "x-envoy-original-path": [],
            "x_forwarded_for": [],
            "via": ["1.1 gatewright, 1.1 gatewright"],
        }


def test_a_loop_ends() -> None:
    addresses: list[str] = []
    table = gatewright.compile(route(WEB))
    app = Gateway(table, resolve=lambda _: addresses)
    with serve(app) as address:
        addresses.append(address)
        assert httpx.get(f"http://{address}", timeout=LIMIT).status_code == 508


def test_an_unknown_expectation(web: str) -> None:
    with gateway(route(WEB), web) as url:
        assert httpx.get(url, headers={"expect": "miracles"}, timeout=LIMIT).status_code == 417


def test_redirects(server: str) -> None:
    rules = """[{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}},
                           {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-set, value: s}]}}]}]"""
    with gateway(route(rules), server=server) as url:
        answer = httpx.get(f"{url}/a?b=c", headers={"host": "a.example"}, timeout=LIMIT)
        assert (answer.status_code, answer.headers["location"]) == (301, "https://a.example/a?b=c")
        assert (answer.headers["x-set"], answer.headers["content-length"], answer.content) == ("s", "0", b"")


def test_cors(web: str, server: str) -> None:
    rules = """[{filters: [{type: CORS, cors: {allowOrigins: ["https://app.example"], allowMethods: [PUT]}}],
                 backendRefs: [{name: web, port: 80}]}]"""
    with gateway(route(rules), web, server) as url:
        asked = {"origin": "https://app.example", "access-control-request-method": "PUT"}
        preflight = httpx.options(url, headers=asked, timeout=LIMIT)
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert preflight.headers["access-control-allow-methods"] == "PUT"
        assert preflight.content == b""
        answer = httpx.put(url, headers={"origin": "https://app.example"}, timeout=LIMIT)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.json()["method"] == "PUT"


def test_octets_of_a_request(server: str) -> None:
    """What goes out is what was decided: octet for octet, each line of a field, and without fields of one hop."""
    got: list[bytes] = []

    def backend(connection: socket.socket) -> None:
        got.append(read_head(connection))
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-End: 2\r\nX-End: 1\r\n\r\nok"
        )

    table = gatewright.compile(route(WEB), escaped_slashes="keep-unchanged")
    with raw(backend) as address, gateway(table, address, server) as url:
        answer = ask(
            url.removeprefix("http://"),
            b'GET /a%2Fb/%7Ec/{x}?q=%41"&q HTTP/1.1\r\nHost: a.example:81\r\nX-Twice: 1\r\nX-Other: o\r\nX-Twice: 2\r\n'
            b"Connection: close, X-Mine\r\nX-Mine: m\r\nTE: gzip\r\nProxy-Authorization: p\r\nUpgrade: x\r\n\r\n",
        )
    lines = got[0].split(b"\r\n")
    assert lines[0] == b'GET /a%2Fb/~c/{x}?q=%41"&q HTTP/1.1'
    fields = [line.lower() for line in lines[1:] if line]
    assert b"host: a.example:81" in fields
    assert [line for line in fields if line.startswith(b"x-twice")] == [b"x-twice: 1", b"x-twice: 2"]
    for name in (b"x-mine", b"te:", b"proxy-authorization", b"upgrade", b"keep-alive", b"accept", b"user-agent", b"transfer-enc"):
        assert not [line for line in fields if line.startswith(name)], name
    head, _, body = answer.partition(b"\r\n\r\n")
    head = head.lower()
    assert body == b"ok"
    assert b"x-hop" not in head and b"keep-alive" not in head
    assert head.index(b"x-end: 2") < head.index(b"x-end: 1")


def test_an_escaped_slash_is_not_decoded(web: str, server: str) -> None:
    with gateway(route(WEB), web, server) as url:
        # Refused by default, and the connection is not used again.
        answer = ask(url.removeprefix("http://"), b"GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") and b"connection: close" in answer.lower()
    table = gatewright.compile(route("[{matches: [{path: {value: /a/b}}], backendRefs: [{name: web, port: 80}]}]"),
                               escaped_slashes="keep-unchanged")
    with gateway(table, web, server) as url:
        assert httpx.get(f"{url}/a%2Fb", timeout=LIMIT).status_code == 404
        assert httpx.get(f"{url}/a/b", timeout=LIMIT).status_code == 200


def test_a_method_keeps_its_case(web: str) -> None:
    with gateway(route(WEB), web) as url:
        answer = ask(url.removeprefix("http://"), b"fetch / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b'"method": "fetch"' in answer


def test_streams_answers(server: str) -> None:
    """The first piece is with the client before the last one is sent."""
    has_come = threading.Event()

    def backend(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert has_come.wait(SOON)
        connection.sendall(b"4\r\nlast\r\n0\r\n\r\n")

    with raw(backend) as address, gateway(route(WEB), address, server) as url:
        with httpx.stream("GET", url, timeout=LIMIT) as answer:
            pieces = answer.iter_raw()
            assert next(pieces) == b"first"
            has_come.set()
            assert list(pieces) == [b"last"]


def test_streams_requests(server: str) -> None:
    """The first piece is with the backend before the last one is sent."""
    has_come = threading.Event()

    def backend(connection: socket.socket) -> None:
        octets = read_head(connection)
        while b"first" not in octets:
            octets += connection.recv(65536)
        has_come.set()
        while not octets.endswith(b"0\r\n\r\n"):
            octets += connection.recv(65536)
        assert b"last" in octets
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def body() -> Iterator[bytes]:
        yield b"first"
        assert has_come.wait(SOON)
        yield b"last"

    with raw(backend) as address, gateway(route(WEB), address, server) as url:
        assert httpx.post(url, content=body(), timeout=LIMIT).status_code == 200


def test_a_slow_reader_holds_the_backend_back() -> None:
    sent = [0]
    is_held = threading.Event()

    def backend(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
        connection.settimeout(1)
        piece = bytes(1_000_000)
        try:
            for _ in range(400):
                connection.sendall(piece)
                sent[0] += len(piece)
        except TimeoutError:
            is_held.set()

    with raw(backend) as address, gateway(route(WEB), address) as url, httpx.stream("GET", url, timeout=LIMIT) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        assert is_held.wait(SOON), sent
    assert sent[0] < 100_000_000


def test_mirrors(web: str) -> None:
    copied: list[bytes] = []

    def mirror(connection: socket.socket) -> None:
        octets = read_head(connection)
        with contextlib.suppress(TimeoutError, OSError):
            connection.settimeout(1)
            while piece := connection.recv(65536):
                octets += piece
        copied.append(octets)

    rules = """[{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}},
                           {type: RequestMirror, requestMirror: {backendRef: {name: gone, port: 80}}}],
                 backendRefs: [{name: web, port: 80}]}]"""
    with raw(mirror) as other:
        backends = {"default/web:80": web, "default/copy:80": other, "default/gone:80": nowhere()}
        with gateway(route(rules), backends) as url:
            assert httpx.get(f"{url}/one", timeout=LIMIT).json()["raw_path"] == "/one"
            assert httpx.post(f"{url}/two", content=b"whole", timeout=LIMIT).json()["body"] == "whole"
            assert httpx.post(f"{url}/three", content=in_pieces(), timeout=LIMIT).json()["body"] == "in pieces"
            # A copy falls behind and is given up: nobody waits for it.
            assert len(httpx.post(f"{url}/four", content=bytes(5_000_000), timeout=LIMIT).json()["body"]) == 5_000_000
            until(lambda: len(copied) == 4)
    by_path = {octets.split()[1]: octets for octets in copied}
    assert by_path[b"/two"].endswith(b"whole")
    assert b"in " in by_path[b"/three"] and by_path[b"/three"].endswith(b"0\r\n\r\n")
    assert len(by_path[b"/four"]) < 5_000_000


def test_a_client_that_leaves_stops_the_request(server: str) -> None:
    has_come, has_ended = threading.Event(), threading.Event()

    def backend(connection: socket.socket) -> None:
        read_head(connection)
        has_come.set()
        if connection.recv(1) == b"":
            has_ended.set()

    with raw(backend) as address, gateway(route(WEB), address, server) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert has_come.wait(SOON)
        assert has_ended.wait(SOON)


def test_a_client_that_leaves_within_its_request(server: str) -> None:
    has_come, has_ended = threading.Event(), threading.Event()

    def backend(connection: socket.socket) -> None:
        octets = read_head(connection)
        while b"first" not in octets:
            octets += connection.recv(65536)
        has_come.set()
        if connection.recv(65536) == b"":
            has_ended.set()

    with raw(backend) as address, gateway(route(WEB), address, server) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nfirst")
            assert has_come.wait(SOON)
        assert has_ended.wait(SOON)


def test_h2c() -> None:
    service = """---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, appProtocol: kubernetes.io/h2c}]}
"""
    with serve(echo, "hypercorn") as address, gateway(route(WEB) + service, address) as url:
        answer = httpx.post(f"{url}/a", content=iter([b"one", b"two"]), headers={"host": "a.example"}, timeout=LIMIT)
        told = answer.json()
        assert (told["http_version"], told["raw_path"], told["body"]) == ("2", "/a", "onetwo")
        assert values(answer, "host") == ["a.example"]


def test_clients_of_http2(web: str) -> None:
    with gateway(route(WEB), web, "hypercorn") as url, httpx.Client(http1=False, http2=True, timeout=LIMIT) as client:
        # Without a length, and without a body at all.
        answer = client.post(f"{url}/a", content=in_pieces())
        assert (answer.http_version, answer.json()["body"]) == ("HTTP/2", "in pieces")
        answer = client.get(f"{url}/a", headers={"host": "a.example"})
        assert (answer.json()["method"], answer.json()["body"]) == ("GET", "")
        assert values(answer, "transfer-encoding") == []
        assert values(answer, "host") == ["a.example"]
        assert client.head(f"{url}/a").content == b""
        assert client.get(f"{url}/a%2Fb").status_code == 400


def test_a_transport_of_ones_own() -> None:
    made: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        target = request.extensions["target"].decode()
        # Nobody has asked for another protocol.
        return httpx.Response(101 if target == "/switch" else 200, headers=[("x-target", target)])

    def transport(backend: gatewright.Backend, context: Any) -> httpx.MockTransport:
        made.append((str(backend), context))
        return httpx.MockTransport(answer)

    with gateway(route(WEB), "127.0.0.1:1", transport=transport) as url:
        assert httpx.get(f"{url}/a", timeout=LIMIT).headers["x-target"] == "/a"
        assert httpx.get(f"{url}/switch", timeout=LIMIT).status_code == 502
    assert made == [("default/web:80", None)]


def test_endpoints_and_sessions() -> None:
    """Requests share the endpoints of an EndpointSlice; those of a session stay with theirs."""
    asked: list[int] = []

    def numbered(number: int) -> Any:
        def backend(connection: socket.socket) -> None:
            while True:
                read_head(connection)
                asked.append(number)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        return backend

    with raw(numbered(0)) as zero, raw(numbered(1)) as one:
        slices = "".join(
            f"""---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{n}, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{port: {address.rsplit(":")[1]}}}]
endpoints: [{{addresses: ["127.0.0.1"]}}]
"""
            for n, address in enumerate([zero, one])
        )
        service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
        rules = "[{sessionPersistence: {sessionName: s}, backendRefs: [{name: web, port: 80}]}]"
        table = gatewright.compile(route(rules) + service + slices, endpoint_addresses="any")
        assert table.backends[0].endpoints is not None and len(table.backends[0].endpoints) == 2
        with gateway(table) as url:
            first = httpx.get(url, timeout=LIMIT)
            cookie = first.headers["set-cookie"].split(";")[0]
            for _ in range(20):
                again = httpx.get(url, headers={"cookie": cookie}, timeout=LIMIT)
                assert again.status_code == 200
            assert set(asked) == {asked[0]}
            for _ in range(60):
                httpx.get(url, timeout=LIMIT)
            assert set(asked) == {0, 1}


def test_weights(web: str) -> None:
    rules = "[{backendRefs: [{name: web, port: 80, weight: 1}, {name: other, port: 80, weight: 1}]}]"
    picks = iter(range(0, 2**64, 2**59))
    with gateway(route(rules), {"default/web:80": web, "default/other:80": nowhere()}, pick=lambda: next(picks)) as url:
        codes = [httpx.get(url, timeout=LIMIT).status_code for _ in range(20)]
    assert set(codes) == {200, 502}


def test_what_cannot_be_done_is_not_skipped(web: str) -> None:
    auth = """[{filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}}}],
                backendRefs: [{name: web, port: 80}]}]"""
    # Both where the table knows that nobody asks, and where it does not.
    for features in ((), WITHOUT_FEATURES):
        table = gatewright.compile(route(auth), without_features=features)
        with gateway(table, web) as url:
            assert httpx.get(url, timeout=LIMIT).status_code == 500
    extension = """[{filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: Limit, name: few}}],
                     backendRefs: [{name: web, port: 80}]}]"""
    with gateway(gatewright.compile(route(extension)), web) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 500
    with gateway(gatewright.compile(route(extension), extensions=["a.example/Limit default/few"]), web) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 500
    with gateway(route(WEB), web) as url:
        grpc = httpx.post(url, headers={"content-type": "application/grpc+proto"}, timeout=LIMIT)
        assert (grpc.status_code, grpc.headers["grpc-status"]) == (200, "12")


def test_the_status_says_what_cannot_be_done() -> None:
    grpc = route("[{backendRefs: [{name: web, port: 80}]}]").replace("HTTPRoute", "GRPCRoute")
    auth = route("""[{filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}}}],
                      backendRefs: [{name: web, port: 80}]}]""")
    plain = route(WEB)
    for manifests, accepted in [(grpc, "False"), (auth, "False"), (plain, "True")]:
        table = gatewright.compile(manifests, without_features=WITHOUT_FEATURES)
        conditions = [one for one in table.conditions if one.object.name == "web" and one.type == "Accepted"]
        assert [one.status for one in conditions] == [accepted], conditions


def test_extensions_of_ones_own(web: str) -> None:
    rules = """[{filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: Limit, name: few}},
                           {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-set, value: s}]}}],
                 backendRefs: [{name: web, port: 80}]}]"""
    table = gatewright.compile(route(rules), extensions=["a.example/Limit default/few"])

    async def limit(scope: Any, decision: Any) -> gatewright.Answer | None:
        assert scope["extensions"]["gatewright"]["decision"] is decision
        return gatewright.Answer(429, [("retry-after", "1")]) if scope["path"] == "/often" else None

    with gateway(table, web, extensions={"Limit/default/few": limit}) as url:
        assert httpx.get(f"{url}/once", timeout=LIMIT).status_code == 200
        refused = httpx.get(f"{url}/often", timeout=LIMIT)
        assert (refused.status_code, refused.headers["retry-after"], refused.headers["x-set"]) == (429, "1", "s")


def test_a_place_that_is_not_there() -> None:
    async def start() -> None:
        async with Gateway(gatewright.compile(GATEWAY), port=81):
            pass

    with pytest.raises(gatewright.PlaceError, match="no such port 81, the Gateway has: 80$"):
        asyncio.run(start())


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"headers": [(b"host", b"a"), (b"x-split", b"a\r\nb: c")]}, 400),
        ({"headers": [(b"host", b"a"), (b"x split", b"a")]}, 400),
        ({"headers": [(b"host", b"a"), (b"host", b"a")]}, 400),
        ({"headers": []}, 400),
        ({"raw_path": None}, 500),
        ({"raw_path": b"/a\xff"}, 400),
        # Names in lower case are asked for, and not given by all.
        ({"headers": [(b"Host", b"a")]}, 502),
    ],
)
def test_what_servers_let_pass(scope: Any, status: int) -> None:
    gateway = Gateway(gatewright.compile(route(WEB)), resolve={"default/web:80": nowhere()})
    sent: list[Any] = []

    async def run() -> None:
        async def receive() -> Any:
            await asyncio.sleep(SOON)

        async def send(message: Any) -> None:
            sent.append(message)

        asked = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [(b"host", b"a")], **scope}
        await gateway(asked, receive, send)

    asyncio.run(run())
    assert sent[0]["status"] == status
    assert len(sent) == 2


@pytest.mark.parametrize("address", ["a", "a:0", "a:b", "https://a:1", "http://a:1/x", "a:1/x", "::1", "u@a:1"])
def test_addresses(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Gateway(gatewright.compile(GATEWAY), resolve={"default/web:80": address})
