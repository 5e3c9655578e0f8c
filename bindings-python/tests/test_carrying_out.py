"""What whoever forwards requests needs beside the decision: who asked for what, failures, retries and their budget."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import gatewright
import pytest
from gatewright import Forward, Table

#: Over HTTPS, with retries; `budgeted` has a policy, `mine` writes a forwarding field itself.
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gateway}
spec:
  gatewayClassName: any
  listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]
---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
data: {tls.crt: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==, tls.key: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg==}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gateway}]
  rules:
  - matches: [{path: {value: /budgeted}}]
    retry: {attempts: 3, codes: [503], backoff: 100ms}
    backendRefs: [{name: budgeted, port: 80}]
  - matches: [{path: {value: /mine}}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-forwarded-proto, value: mine}]}}
    - {type: URLRewrite, urlRewrite: {hostname: in.example}}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /retried}}]
    retry: {attempts: 3, codes: [503]}
    backendRefs: [{name: web, port: 80}]
  - backendRefs: [{name: web, port: 80}]
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: budgeted}, spec: {ports: [{port: 80}]}}
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {name: budget}
spec:
  targetRefs: [{group: "", kind: Service, name: budgeted}]
  retryConstraint: {budget: {percent: 50, interval: 10s}, minRetryRate: {count: 1, interval: 10s}}
"""


@pytest.fixture(scope="module")
def secure() -> Table:
    return gatewright.compile(MANIFEST)


def to(table: Table, path: str = "/") -> Forward:
    decision = table.decide("GET", f"https://a.example{path}")
    assert isinstance(decision, Forward)
    return decision


CLAIMS = {
    "Host": "a.example",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Prefix": "/a",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "Via": "1.1 gatewright, 1.1 other",
    "Accept": "*/*",
}
TOLD = {
    "host": "a.example",
    "x-forwarded-for": "192.0.2.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "a.example",
    "via": "1.1 gatewright, 1.1 gatewright",
    "accept": "*/*",
}


def test_who_asked_for_what(secure: Table) -> None:
    assert dict(gatewright.forwarded(CLAIMS, client="192.0.2.7", scheme="https")) == TOLD
    # The scheme is that of the listener.
    assert dict(to(secure).apply_request(CLAIMS, client="192.0.2.7")) == TOLD
    assert dict(to(secure).apply_request(CLAIMS, client="::1", scheme="http")) == {**TOLD, "x-forwarded-for": "::1", "x-forwarded-proto": "http"}
    # Nobody asked for it to be told.
    assert dict(to(secure).apply_request(CLAIMS))["x-real-ip"] == "6.6.6.6"
    # The host is the one that was asked for, and the rule has the last word.
    mine = dict(to(secure, "/mine").apply_request(CLAIMS, client="192.0.2.7"))
    assert (mine["host"], mine["x-forwarded-host"], mine["x-forwarded-proto"]) == ("in.example", "a.example", "mine")
    assert dict(to(secure).apply_request([(b"host", b"a.example")], client="::1"))[b"x-forwarded-host"] == b"a.example"
    assert gatewright.forwarded(client="::1", scheme="http", as_bytes=True)[0] == (b"x-forwarded-for", b"::1")


def test_the_scheme_of_the_listener(table: Table) -> None:
    decision = table.decide("GET", "http://shop.example/")
    assert isinstance(decision, Forward)
    assert dict(decision.apply_request(client="::1"))["x-forwarded-proto"] == "http"


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"client": "a\r\nb: c"}, ValueError, "client is an address"),
        ({"client": "é"}, ValueError, "client is an address"),
        ({"client": "::1", "scheme": "ws"}, ValueError, "http or https, found `ws`"),
        ({"client": b"::1"}, TypeError, "str"),
    ],
)
def test_what_cannot_be_told(secure: Table, keywords: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        to(secure).apply_request(**keywords)
    with pytest.raises(error, match=words):
        anything: Any = gatewright.forwarded
        anything(**{"scheme": "http", **keywords})
    with pytest.raises(TypeError, match="scheme is said with client"):
        to(secure).apply_request(scheme="http")


def test_hops() -> None:
    assert gatewright.hops({}) == gatewright.hops([("via", "1.1 other, 1.1 gatewright-2")]) == 0
    assert gatewright.hops([("Via", "1.0 fred, 1.1 gatewright"), ("via", "1.1 gatewright (comment)")]) == 2
    with pytest.raises(TypeError):
        gatewright.hops(7)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("application/grpc", True), (b"Application/gRPC+proto", True), ("application/grpc; a=b", True), ("application/grpc-web", False), ("text/html", False)],
)
def test_clients_of_grpc(content_type: str | bytes, expected: bool) -> None:
    headers: Any = [("Content-Type", content_type)]
    assert gatewright.is_grpc(headers) is expected
    assert not gatewright.is_grpc([])


def test_a_response_loses_the_fields_of_one_hop(table: Table) -> None:
    lines = [("Connection", "close, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "5"), ("Transfer-Encoding", "chunked"), ("Age", "1")]
    forward = table.decide("GET", "http://shop.example/")
    assert forward.apply_response(lines) == [("age", "1")]
    # What others answer is the caller's own.
    for path in ("http://shop.example/old", "http://other.example/"):
        assert len(table.decide("GET", path).apply_response(lines)) == len(lines)


def test_failures(table: Table) -> None:
    decision = table.decide("GET", "http://shop.example/cart")
    assert decision.failure(502) == decision.failure(502, {"content-type": "text/html"}) == (502, [("x-served-by", "gateway")])
    status, headers = decision.failure(504, [(b"content-type", b"application/grpc")])
    assert status == 200
    assert dict(headers) == {"content-type": "application/grpc", "grpc-status": "14", "grpc-message": "Gateway Timeout", "x-served-by": "gateway"}
    grpc = {"content-type": "application/grpc"}
    assert dict(decision.failure(504, grpc, "50% and a line\n", 4).headers)["grpc-message"] == "50%25 and a line%0A"
    assert dict(decision.failure(504, grpc, grpc_status=4).headers)["grpc-status"] == "4"
    assert dict(decision.failure(400, grpc).headers)["grpc-status"] == "13"
    assert dict(decision.failure(599, grpc).headers)["grpc-message"] == ""
    for path in ("http://shop.example/old", "http://other.example/"):
        assert table.decide("GET", path).failure(500) == (500, [])
        assert dict(table.decide("GET", path).failure(500, grpc).headers)["grpc-status"] == "14"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((200,), ValueError, "400 to 599, found 200"),
        ((600,), ValueError, "400 to 599, found 600"),
        ((0,), ValueError, "400 to 599, found 0"),
        ((65536,), OverflowError, "out of range"),
        ((500, None, None, 0), ValueError, "1 to 16, found 0"),
        ((500, None, None, 17), ValueError, "1 to 16, found 17"),
        ((500, {"a b": "c"}), ValueError, "no token"),
    ],
)
def test_what_is_no_failure(table: Table, arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        table.decide("GET", "http://shop.example/cart").failure(*arguments)


def test_pauses(secure: Table) -> None:
    assert to(secure).retry_pause(0) is None
    retried, most = to(secure, "/retried"), 2**64 - 1
    assert [retried.retry_pause(retry, most) for retry in (0, 1, 40)] == [timedelta(milliseconds=ms) for ms in (25, 50, 250)]
    assert retried.retry_pause(5, 0) == timedelta()
    budgeted = to(secure, "/budgeted")
    assert [budgeted.retry_pause(retry, 0) for retry in (0, 9)] == [timedelta(milliseconds=100)] * 2
    drawn = {budgeted.retry_pause(9) for _ in range(50)}
    assert len(drawn) > 10 and all(timedelta(milliseconds=100) <= pause <= timedelta(seconds=1) for pause in drawn if pause is not None)
    for retry, pick in ((-1, 0), (0, -1), (0, 2**64)):
        with pytest.raises(OverflowError):
            retried.retry_pause(retry, pick)


def test_retry_windows(secure: Table) -> None:
    decision = to(secure, "/budgeted")
    window = decision.retry_window()
    assert window.budget == decision.backend.retry_budget
    assert window.try_retry(5) and not window.try_retry(5.0), "the floor"
    for _ in range(4):
        window.request(timedelta(seconds=6))
    assert window.try_retry(6.5) and not window.try_retry(timedelta(seconds=6.5)), "half of four"
    assert window.try_retry(60), "what is old is forgotten"
    assert decision.retry_window().try_retry(0), "a new window knows of nothing"


def test_a_retry_window_without_a_policy(secure: Table) -> None:
    window = to(secure, "/retried").retry_window()
    ten = timedelta(seconds=10)
    assert window.budget == gatewright.RetryBudget(percent=20, interval=ten, min_count=100, min_interval=ten)
    assert repr(window) == "<RetryWindow: 20 percent>"
    allowed: list[bool] = []
    threads = [threading.Thread(target=lambda: allowed.extend(window.try_retry(1) for _ in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (400, 100)


@pytest.mark.parametrize("now", [-1, -0.5, float("nan"), float("inf"), 1e300, timedelta(seconds=-1)])
def test_times_that_are_none(secure: Table, now: Any) -> None:
    window = to(secure).retry_window()
    for call in (window.request, window.try_retry):
        with pytest.raises(ValueError):
            call(now)


def test_a_window_wants_a_time(secure: Table) -> None:
    window: Any = to(secure).retry_window()
    for now in ("1", None, b"1"):
        with pytest.raises(TypeError, match="seconds or a timedelta"):
            window.request(now)
    with pytest.raises(TypeError):
        type(window)()
