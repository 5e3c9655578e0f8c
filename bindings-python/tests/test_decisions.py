"""Decisions as objects, and the forms of a request: URLs, ASGI scopes, WSGI environments."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import gatewright
import pytest
from conftest import MANIFEST
from gatewright import Forward, PassThrough, PlaceError, Redirect, Respond, Table

#: Two Gateways; one has HTTP and HTTPS, and a route that passes path, host and query on.
PLACES = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: both}
spec:
  gatewayClassName: any
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: a, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: cert}]}}
  - {name: b, port: 443, protocol: HTTPS, hostname: b.example, tls: {certificateRefs: [{name: cert}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
data: {tls.crt: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==, tls.key: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg==}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain}
spec: {parentRefs: [{name: both, sectionName: http}], rules: [{backendRefs: [{name: plain, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: safe}
spec: {parentRefs: [{name: both, port: 443}], rules: [{backendRefs: [{name: safe, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mesh}
spec: {parentRefs: [{kind: Service, group: "", name: web, port: 80}], rules: [{backendRefs: [{name: web2, port: 80}]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}, {port: 81}]}}
"""


@pytest.fixture(scope="module")
def places() -> Table:
    return gatewright.compile(PLACES, missing_services="assume")


def shop(table: Table, path: str = "/cart", **options: Any) -> Any:
    return table.decide("GET", f"http://shop.example{path}", **options)


def test_the_classes_match(table: Table) -> None:
    said: list[Any] = []
    for path in ("/cart", "/old", "/none"):
        match shop(table, path) if path != "/none" else table.decide("GET", "http://other.example/"):
            case Forward(backend, target):
                said.append((backend.name, target))
            case Redirect(status, location):
                said.append((status, location))
            case Respond(status, reason):
                said.append((status, reason))
            case other:
                pytest.fail(repr(other))
    assert said == [("cart", "/cart"), (301, "http://shop.example/cart"), (404, "NoRoute")]
    match shop(table):
        case Forward(kind="forward", request_timeout=timedelta(seconds=10)):
            pass
        case other:
            pytest.fail(repr(other))


def test_decisions_are_values(table: Table) -> None:
    one, other, again = shop(table), shop(table, "/cart/2"), shop(table, headers={"x-a": "b"})
    assert one == again and hash(one) == hash(again) and one != other
    assert len({one, other, again, shop(table, "/old")}) == 3
    assert shop(gatewright.load(MANIFEST)) == one, "the table is no part of what a decision says"
    assert one != one.to_dict() and one != "forward" and one is not None
    assert one == ANY and not one == shop(table, "/old")
    assert repr(one).startswith("<Forward: forward to default/cart:8080")
    assert str(one) in repr(one) and str(shop(table, "/old")).startswith("redirect 301")
    assert copy.copy(one) is one and copy.deepcopy([one])[0] is one
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(one)
    with pytest.raises(TypeError):
        sorted([one, other])


def test_decisions_do_not_change(table: Table) -> None:
    decision = shop(table)
    for name in ("backend", "target", "kind", "colour"):
        with pytest.raises(AttributeError):
            setattr(decision, name, "other")
    everything: list[Any] = [decision.backend, decision.matched, decision.route, decision.request_edits[0], table.listeners[0], table.routing[0]]
    for frozen in everything:
        with pytest.raises((AttributeError, TypeError)):
            frozen.name = "other"
    unwilling: Any = table
    with pytest.raises(AttributeError, match="a table does not change"):
        unwilling.last = decision
    with pytest.raises(AttributeError, match="a table does not change"):
        del unwilling.routes
    data = decision.to_dict()
    data["backend"]["name"] = "other"
    assert decision.to_dict()["backend"]["name"] == decision.backend.name == "cart"
    why = table.explain("GET", "http://shop.example/cart")
    why.to_dict()["candidates"].clear()
    assert why.to_dict()["candidates"] and hash(why) == hash(table.explain("GET", "http://shop.example/cart"))
    connection = table.decide_connection("tcp", port=5432)
    connection.to_dict()["backend"].clear()
    assert connection.to_dict()["backend"] and hash(connection) == hash(table.decide_connection("tcp", port=5432))


@pytest.mark.parametrize("kind", [Forward, Redirect, Respond, gatewright.SessionKeys])
def test_only_tables_make_decisions(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(TypeError):
        type("Mine", (kind,), {})


FORMS: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "a URL": ("http://shop.example/cart?a=1", {}),
    "a URL of bytes": (b"http://shop.example/cart?a=1", {}),
    "a URL with its port": ("http://shop.example:80/cart?a=1", {}),
    "a URL beats the Host field": ("http://shop.example/cart?a=1", {"headers": {"host": "other.example"}}),
    "a path and the Host field": ("/cart?a=1", {"headers": {"host": "shop.example"}}),
    "a path of bytes": (b"/cart?a=1", {"headers": [(b"host", b"shop.example")]}),
    "an authority": ("/cart?a=1", {"authority": "shop.example"}),
    "an authority of bytes": ("/cart?a=1", {"authority": b"SHOP.example", "http_version": "2"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_url(table: Table, form: str) -> None:
    url, options = FORMS[form]
    decision = table.decide("GET", url, options.pop("headers", None), **options)
    assert isinstance(decision, Forward) and decision.backend.name == "cart", decision
    assert (decision.path, decision.query, decision.target) == ("/cart", "a=1", "/cart?a=1")


def test_a_url_without_a_path_asks_for_the_root(table: Table) -> None:
    for url, target in [("http://shop.example", "/"), ("http://shop.example?a", "/?a"), ("http://shop.example/", "/")]:
        decision = table.decide("GET", url)
        assert isinstance(decision, Forward) and decision.target == target


@pytest.mark.parametrize("version,status", [("1.0", 404), ("1.1", 400), ("2", 400), ("2.0", 400), ("3", 400), (None, 404)])
def test_a_request_without_a_host(table: Table, version: str | None, status: int) -> None:
    decision = table.decide("GET", "/cart", http_version=version)
    assert isinstance(decision, Respond) and decision.status == status


def test_two_hosts_are_refused(table: Table) -> None:
    decision = table.decide("GET", "/cart", [("host", "shop.example"), ("host", "shop.example")])
    assert isinstance(decision, Respond) and decision.status == 400


def test_places(places: Table) -> None:
    def name(url: str, **options: Any) -> str:
        decision = places.decide("GET", url, **options)
        return decision.backend.name if isinstance(decision, Forward) else f"{decision.to_dict().get('status')}"

    assert name("http://a.example/") == name("http://a.example/", port=80) == "plain"
    assert name("https://a.example/") == name("https://a.example/", port=443, gateway="default/both") == "safe"
    assert name("https://a.example/", listener="a") == "safe"
    assert name("https://a.example/", listener="b") == "421", "the handshake was for another host"
    assert name("https://a.example/", sni="b.example") == "421"
    assert name("https://a.example/", sni="") != "safe", "nobody named a server"
    for wrong in ({"port": 81}, {"gateway": "default/none"}, {"listener": "none"}, {"gateway": "both"}, {"listener": "default/set one"}):
        with pytest.raises(PlaceError) as caught:
            name("http://a.example/", **wrong)
        assert isinstance(caught.value, LookupError) and isinstance(caught.value, gatewright.GatewrightError)


KEYWORDS: list[dict[str, Any]] = [
    {"scheme": "https"},
    {"scheme": "https", "sni": "b.example"},
    {"scheme": "https", "listener": "b"},
    {"port": 443},
    {"gateway": "default/both", "port": 80},
    {"authority": "b.example", "http_version": "2"},
    {"authority": None, "http_version": "1.1"},
    {"service": "default/web", "client": "default"},
    {"pick": 7},
]


@pytest.mark.parametrize("options", KEYWORDS, ids=str)
def test_an_explanation_is_of_the_same_request(places: Table, options: dict[str, Any]) -> None:
    options = {"authority": "a.example"} | options
    why = places.explain("GET", "/", {"x-a": "b"}, **options)
    assert why.decision == places.decide("GET", "/", {"x-a": "b"}, **options).to_dict()
    if "pick" not in options and options.get("port") != 80:
        plain = places.explain("GET", "/", {"x-a": "b"}, authority="a.example")
        assert (why.listener, why.request, why.decision) != (plain.listener, plain.request, plain.decision), "the keywords count"


def test_a_mesh(places: Table) -> None:
    decision = places.decide("GET", "/", {"host": "web"}, service="default/web", client="default")
    assert isinstance(decision, Forward) and decision.backend.name == "web2"
    assert decision.matched.service == "default/web:80"
    through = places.decide("GET", "/", {"host": "web"}, service="default/web", client="default", port=81)
    assert isinstance(through, PassThrough) and through.kind == "pass_through"
    assert through.to_dict() == {"decision": "passThrough"} == places.decide_connection("tcp", service="default/web", client="default", port=81).to_dict()
    assert places.decide_connection("tcp", service="default/web", client="default", port=81).kind == through.kind
    with pytest.raises(PlaceError, match="passes through"):
        places.explain("GET", "/", service="default/web", client="default", port=81)
    with pytest.raises(TypeError, match="both service and client"):
        places.decide("GET", "/", service="default/web")  # type: ignore[call-overload] # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="namespace/name"):
        places.decide("GET", "/", service="web", client="default")


def scope(**changes: Any) -> dict[str, Any]:
    made = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/never/read",
        "raw_path": b"/cart",
        "query_string": b"",
        "headers": [(b"host", b"shop.example")],
    }
    return made | changes


def test_asgi(table: Table, places: Table) -> None:
    decision = table.decide_asgi(scope(query_string=b"a=%2F&b"))
    assert isinstance(decision, Forward) and decision.target == "/cart?a=%2F&b"
    decoded = table.decide_asgi(scope(path="/cart/b", raw_path=b"/cart%2Fb"))
    assert not isinstance(decoded, Forward) or decoded.backend.name != "cart", "an escaped slash ends no segment"
    for changes in ({"raw_path": None}, {"type": "lifespan", "raw_path": None}):
        with pytest.raises(ValueError, match="raw_path"):
            table.decide_asgi(scope(**changes))
    socket = scope(type="websocket", scheme="ws")
    del socket["method"]
    assert table.decide_asgi(socket) == table.decide_asgi(scope())
    host = {"headers": [(b"host", b"a.example")], "raw_path": b"/"}
    for scheme, name in [("ws", "plain"), ("http", "plain"), ("wss", "safe"), ("https", "safe")]:
        kind = "websocket" if scheme.startswith("ws") else "http"
        decision = places.decide_asgi(scope(type=kind, scheme=scheme, **host))
        assert isinstance(decision, Forward) and decision.backend.name == name
    decision = places.decide_asgi(scope(**host), scheme="https", http_version="2")
    assert isinstance(decision, Forward) and decision.backend.name == "safe", "options are those of decide"
    hostless = [table.decide_asgi(scope(headers=[], http_version=version)) for version in ("1.0", "1.1", "2")]
    assert [one.status for one in hostless if isinstance(one, Respond)] == [404, 400, 400], "HTTP/1.0 may come without a host"
    with pytest.raises(TypeError):
        table.decide_asgi(scope(), colour="red")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]


def environ(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/never/read",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "shop.example",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
    }
    return made | changes


def test_wsgi(table: Table, places: Table) -> None:
    for target in ({"RAW_URI": "/cart?a=%2F"}, {"REQUEST_URI": "/cart?a=%2F"}, {"REQUEST_URI": "http://shop.example/cart?a=%2F"}):
        decision = table.decide_wsgi(environ(**target))
        assert isinstance(decision, Forward) and decision.target == "/cart?a=%2F"
    with pytest.raises(ValueError, match="PATH_INFO is decoded"):
        table.decide_wsgi(environ())
    host = {"HTTP_HOST": "a.example", "RAW_URI": "/"}
    decision = places.decide_wsgi(environ(**host, **{"wsgi.url_scheme": "https"}))
    assert isinstance(decision, Forward) and decision.backend.name == "safe"
    # Octets beyond ASCII come as Latin-1 (PEP 3333).
    decision = table.decide_wsgi(environ(RAW_URI="/cart/\xc3\xa9", HTTP_X_A="\xe9"))
    assert decision == table.decide("GET", "/cart/é".encode(), [(b"host", b"shop.example")], http_version="1.1", scheme="http")
    with pytest.raises(ValueError, match="latin-1"):
        table.decide_wsgi(environ(RAW_URI="/cart/€"))
    hostless = environ(RAW_URI="/")
    del hostless["HTTP_HOST"]
    answers = [table.decide_wsgi(hostless | {"SERVER_PROTOCOL": protocol}) for protocol in ("HTTP/1.0", "HTTP/1.1")]
    assert [one.status for one in answers if isinstance(one, Respond)] == [404, 400]


def test_wsgi_of_werkzeug(table: Table) -> None:
    made = pytest.importorskip("werkzeug.test").EnvironBuilder("/cart/a%2Fb?c=%20d", "http://shop.example", method="POST", data=b"x").get_environ()
    made.setdefault("REQUEST_URI", "/cart/a%2Fb?c=%20d")
    assert isinstance(table.decide_wsgi(made), (Forward, Respond, Redirect))


def test_wsgi_carries_header_fields(table: Table) -> None:
    manifest = """
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: any, listeners: [{name: a, port: 80, protocol: HTTP}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - {matches: [{headers: [{name: content-type, value: a/b}, {name: content-length, value: "3"}, {name: x-a-b, value: c}]}], backendRefs: [{name: a, port: 80}]}
"""
    ours = gatewright.compile(manifest)
    decision = ours.decide_wsgi(environ(RAW_URI="/", CONTENT_TYPE="a/b", CONTENT_LENGTH="3", HTTP_X_A_B="c"))
    assert isinstance(decision, Forward)
