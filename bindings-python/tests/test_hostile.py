"""Hostile calls from a program in Python: a clear exception or a decision, never a crash. The ids are those of the project's list
of hostile input."""

from __future__ import annotations

from typing import Any

import gatewright
import pytest

FORWARDED = {"host": "shop.example"}


def forward(table: gatewright.Table) -> gatewright.Forward:
    decision = table.decide("GET", "/", FORWARDED, pick=0)
    assert isinstance(decision, gatewright.Forward)
    return decision


@pytest.mark.parametrize(
    ("method", "url", "headers", "error"),
    [
        ("GET", "/\ud800", {}, ValueError),
        ("GET\ud800", "/", {}, ValueError),
        ("GET", "/", {"x\ud800": "1"}, ValueError),
        ("GET", "/", {"host": "\ud800"}, ValueError),
        ("GET", "/", {"host": 1}, TypeError),
        ("GET", "/", {"host": None}, TypeError),
        ("GET", None, {}, TypeError),
        (None, "/", {}, TypeError),
        ("GET", "/", 5, TypeError),
        ("GET", "/", "host: example.com", TypeError),
    ],
)
def test_api_001_what_is_no_request(table: gatewright.Table, method: Any, url: Any, headers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        table.decide(method, url, headers)


@pytest.mark.parametrize(("method", "url", "status"), [("GE\0T", "/", 400), ("GET", "/\0", 400), ("GET", "/" + "a" * (100 << 20), 414)])
def test_api_001_what_no_server_takes(table: gatewright.Table, method: str, url: str, status: int) -> None:
    decision = table.decide(method, url, FORWARDED)
    assert isinstance(decision, gatewright.Respond)
    assert decision.status == status


def test_api_002_a_decoded_path_is_no_target(table: gatewright.Table) -> None:
    """Servers decode the path that they give; what was sent is `raw_path`, and nothing else is taken."""
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/a/b", "query_string": b"", "headers": [(b"host", b"shop.example")]}
    with pytest.raises(ValueError, match="raw_path"):
        table.decide_asgi(scope)
    with pytest.raises(ValueError, match="PATH_INFO"):
        table.decide_wsgi({"REQUEST_METHOD": "GET", "PATH_INFO": "/a/b", "HTTP_HOST": "shop.example"})
    for path, name in (("/public/../admin", "path"), ("/a%2Fb", "raw_path")):
        decision = table.decide_asgi({**scope, "raw_path": path.encode()})
        assert not isinstance(decision, gatewright.Forward) or decision.path == "/admin", name
    assert "decoded path is another request" in (gatewright.Table.decide_asgi.__doc__ or "")


@pytest.mark.parametrize("name", ["", "x y", "x\r\ny", "x:y", "\u00fc", "x\0"])
def test_api_005_names_are_tokens(table: gatewright.Table, name: str) -> None:
    with pytest.raises(ValueError, match="token"):
        table.decide("GET", "/", {**FORWARDED, name: "1"})
    with pytest.raises(ValueError, match="token"):
        forward(table).apply_request({name: "1"})


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\0", "a\nb", "\x7f"])
def test_api_005_values_have_no_controls(table: gatewright.Table, value: str) -> None:
    """A field that no decision depends on is looked at when it is to be forwarded."""
    with pytest.raises(ValueError, match="control"):
        table.decide("GET", "/", {"host": value})
    with pytest.raises(ValueError, match="control"):
        forward(table).apply_request({"x-other": value})


def test_api_005_names_have_no_case(table: gatewright.Table) -> None:
    assert table.decide("GET", "/", {"HOST": "shop.example"}, pick=0) == forward(table)


@pytest.mark.parametrize("peer", ["fe80::1%eth0", "::ffff:1.2.3.4", "", "unix", "1.2.3.4:0", "999.1.1.1"])
def test_api_006_peers_are_text(table: gatewright.Table, peer: str) -> None:
    """Nothing reads the address: it is told to the backend as it is, and what the client says of itself is not."""
    fields = dict(forward(table).apply_request({"x-forwarded-for": "1.2.3.4, fe80::1%eth0"}, client=peer, scheme="http"))
    assert fields["x-forwarded-for"] == peer


def test_api_006_peers_break_no_line(table: gatewright.Table) -> None:
    with pytest.raises(ValueError):
        forward(table).apply_request({}, client="1.2.3.4\r\nx: y", scheme="http")
