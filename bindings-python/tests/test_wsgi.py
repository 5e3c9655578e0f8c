"""The middleware for WSGI."""

from __future__ import annotations

from typing import Any

import gatewright
from gatewright.wsgi import GatewayMiddleware

from serving import route

TABLE = gatewright.compile(route("[{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}]"))


def ask(middleware_options: dict[str, Any], **environ: Any) -> Any:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["gatewright.decision"])
        return [b"ok"]

    asked = {"REQUEST_METHOD": "GET", "HTTP_HOST": "a.example", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", **environ}
    before = dict(asked)
    assert GatewayMiddleware(app, **{"table": TABLE, **middleware_options})(asked, None) == [b"ok"]  # type: ignore[arg-type]
    assert asked == before
    return seen[0]


def test_the_target_as_it_was_sent() -> None:
    assert str(ask({}, RAW_URI="/a/b?c=d").backend) == "default/web:80"
    assert ask({}, REQUEST_URI="/other").status == 404
    # PATH_INFO is decoded: a%2Fb would be another request.
    assert ask({}, RAW_URI="/a%2Fb", PATH_INFO="/a/b").status == 400


def test_what_cannot_be_asked_about() -> None:
    assert ask({}, PATH_INFO="/a") is None
    assert ask({"port": 81}, RAW_URI="/a") is None


def test_the_table_of_the_moment() -> None:
    class Source:
        table = gatewright.compile(route("[]"))

    source = Source()
    assert ask({"table": source}, RAW_URI="/a").status == 404
    source.table = TABLE
    assert str(ask({"table": source}, RAW_URI="/a").backend) == "default/web:80"
