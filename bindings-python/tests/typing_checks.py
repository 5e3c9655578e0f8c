"""What type checkers make of the package: read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from email.message import Message
from pathlib import Path
from typing import Any

from typing_extensions import assert_never, assert_type

import gatewright
from gatewright import Backend, Decision, Forward, Headers, ObjectRef, PassThrough, Redirect, Respond, SessionKeys, Table


def sources(text: str, octets: bytes, path: Path, manifest: dict[str, Any]) -> None:
    assert_type(gatewright.compile(text), Table)
    assert_type(gatewright.compile([octets, path, [manifest]], raise_on="never", merge_slashes=True, unavailable_ports={80}), Table)
    assert_type(gatewright.load("a", path, controller="example.com/gateway"), Table)
    gatewright.compile(text, escaped_slashes="sometimes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    gatewright.compile(text, colour="red")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    gatewright.compile(7)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def shapes(table: Table, message: Message, starlette: Mapping[str, str], scope: Mapping[str, Any], either: Headers) -> None:
    assert_type(table.decide("GET", "/"), Decision)
    table.decide("GET", b"/", {"accept": "a"}, port=80, pick=2**64 - 1)
    table.decide("GET", "/", {"accept": ["a", "b"]})
    table.decide("GET", "/", [("accept", "a")])
    table.decide("GET", "/", [["accept", "a"]])
    table.decide("GET", "/", ((b"accept", b"a") for _ in range(2)))
    table.decide("GET", "/", message)
    table.decide("GET", "/", starlette)
    table.decide("GET", "/", either)
    table.decide("GET", "/", 7)  # type: ignore[call-overload] # pyright: ignore[reportArgumentType]
    table.decide("GET", "/", port="80")  # type: ignore[call-overload] # pyright: ignore[reportArgumentType]
    assert_type(table.decide("GET", "/", service="default/web", client="default"), Forward | Redirect | Respond | PassThrough)
    assert_type(table.decide_asgi(scope), Decision)
    assert_type(table.decide_asgi(scope, service="default/web", client="default"), Forward | Redirect | Respond | PassThrough)
    assert_type(table.decide_wsgi(scope, gateway="default/gateway"), Decision)


def by_class(decision: Decision) -> Backend | str | int:
    match decision:
        case Forward(backend, target):
            assert_type(backend, Backend)
            assert_type(target, str)
            return backend
        case Redirect(status, location):
            assert_type(status, int)
            return location
        case Respond(status, reason):
            assert_type(reason, str)
            return status
        case _:
            assert_never(decision)


def by_kind(decision: Decision) -> None:
    if decision.kind == "forward":
        assert_type(decision, Forward)
        assert_type(decision.request_timeout, timedelta | None)
        assert_type(decision.route, ObjectRef)
    elif decision.kind == "redirect":
        assert_type(decision.location, str)
    else:
        assert_type(decision.grpc_status, int | None)
        assert_type(decision.route, ObjectRef | None)


def carried_out(forward: Forward, redirect: Redirect, keys: SessionKeys) -> None:
    assert_type(forward.apply_request(), list[tuple[str, str]])
    assert_type(forward.apply_request({"accept": "a"}), list[tuple[str, str]])
    assert_type(forward.apply_request([(b"accept", b"a")]), list[tuple[bytes, bytes]])
    assert_type(forward.apply_request([("accept", "a")], as_bytes=True), list[tuple[bytes, bytes]])
    assert_type(redirect.apply_response([(b"accept", b"a")], as_bytes=False), list[tuple[str, str]])
    assert_type(redirect.answer().headers, list[tuple[str, str]])
    assert_type(redirect.failure(504, {"accept": "a"}).status, int)
    assert_type(forward.apply_request([(b"accept", b"a")], client="::1", scheme="https"), list[tuple[bytes, bytes]])
    assert_type(gatewright.forwarded({"accept": "a"}, client="::1", scheme="https"), list[tuple[str, str]])
    assert_type(gatewright.forwarded([(b"accept", b"a")], client="::1", scheme="https"), list[tuple[bytes, bytes]])
    assert_type(forward.retry_pause(0), timedelta | None)
    assert_type(forward.retry_window().budget.interval, timedelta)
    assert_type(forward.retry_window().try_retry(timedelta(seconds=1)), bool)
    assert_type(forward.session_field(keys, None, 0), tuple[str, str] | None)
    forward.target = "/"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def handles(table: Table) -> None:
    assert_type([route.name for route in table.routes], list[str])
    assert_type(table.diagnostics[0].line, int | None)
    assert_type(table.explain("GET", "/").candidates[0].verdict.criterion, str | None)
    assert_type(table.to_mermaid(), str)
