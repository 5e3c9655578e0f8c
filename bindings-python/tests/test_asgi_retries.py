"""The gateway and backends that are slow, fail, or are asked again."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx
import pytest

from serving import LIMIT, SOON, WEB, gateway, in_pieces, nowhere, raw, read_head, read_request, route, server, web

__all__ = ["server", "web"]


def _hangs(connection: socket.socket) -> None:
    read_head(connection)
    time.sleep(SOON)


@pytest.mark.parametrize("timeouts", ["{request: 200ms}", "{request: 10s, backendRequest: 200ms}"])
def test_timeouts(timeouts: str, server: str) -> None:
    rules = f"[{{timeouts: {timeouts}, backendRefs: [{{name: web, port: 80}}]}}]"
    with raw(_hangs) as address, gateway(route(rules), address, server) as url:
        started = time.monotonic()
        assert httpx.get(url, timeout=LIMIT).status_code == 504
        # gRPC-Web has the status of HTTP.
        assert httpx.get(url, headers={"content-type": "application/grpc-web"}, timeout=LIMIT).status_code == 504
        assert time.monotonic() - started < 10


def test_an_answer_that_outlasts_its_timeout_is_cut(server: str) -> None:
    def backend(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        time.sleep(SOON)

    rules = "[{timeouts: {request: 500ms}, backendRefs: [{name: web, port: 80}]}]"
    with raw(backend) as address, gateway(route(rules), address, server) as url:
        started = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url, timeout=LIMIT)
        assert time.monotonic() - started < SOON / 2


def test_an_answer_that_breaks_off_does_not_look_whole(server: str) -> None:
    def backend(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")

    with raw(backend) as address, gateway(route(WEB), address, server) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url, timeout=LIMIT)


def test_backends_that_fail() -> None:
    def breaks(connection: socket.socket) -> None:
        read_head(connection)

    def babbles(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"hello\r\n\r\n")

    def switches(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        time.sleep(1)

    with gateway(route(WEB), nowhere()) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 502
    for handle in (breaks, babbles, switches):
        with raw(handle) as address, gateway(route(WEB), address) as url:
            assert httpx.get(url, timeout=LIMIT).status_code == 502, handle


@pytest.mark.parametrize(("body", "asked"), [(None, 3), (b"small", 3), (in_pieces, 1), (bytes(70_000), 1)])
def test_retries(body: Any, asked: int) -> None:
    """Only what can be sent again is."""
    requests: list[bytes] = []

    def backend(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        status = b"503 Unavailable" if len(requests) < 3 else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    rules = "[{retry: {attempts: 2, codes: [503]}, backendRefs: [{name: web, port: 80}]}]"
    content = body() if callable(body) else body
    with raw(backend) as address, gateway(route(rules), address) as url:
        status = httpx.request("POST" if body else "GET", url, content=content, timeout=LIMIT).status_code
    assert (status, len(requests)) == (200 if asked == 3 else 503, asked)
    if body == b"small":
        assert all(octets.endswith(b"small") for octets in requests)


def test_retries_of_what_cannot_be_reached(web: str) -> None:
    rules = "[{retry: {attempts: 1, codes: [500]}, backendRefs: [{name: web, port: 80}]}]"
    with gateway(route(rules), {"default/web:80": [nowhere(), web]}, pick=lambda: 0) as url:
        # A retry goes to another address.
        assert httpx.get(url, timeout=LIMIT).status_code == 200
    with gateway(route(rules), nowhere()) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 503


def test_retries_within_the_timeout() -> None:
    requests: list[bytes] = []

    def backend(connection: socket.socket) -> None:
        requests.append(read_head(connection))
        time.sleep(SOON)

    rules = """[{retry: {attempts: 50, codes: [500]}, timeouts: {request: 900ms, backendRequest: 100ms},
                 backendRefs: [{name: web, port: 80}]}]"""
    with raw(backend) as address, gateway(route(rules), address) as url:
        started = time.monotonic()
        assert httpx.get(url, timeout=LIMIT).status_code == 504
        assert time.monotonic() - started < 10
    assert 2 <= len(requests) <= 12
    # A pause that ends too late is not made.
    rules = "[{retry: {attempts: 1, codes: [500], backoff: 10s}, timeouts: {request: 6s}, backendRefs: [{name: web, port: 80}]}]"
    with gateway(route(rules), nowhere()) as url:
        started = time.monotonic()
        assert httpx.get(url, timeout=LIMIT).status_code == 504
        assert time.monotonic() - started < 4


def test_a_retry_budget() -> None:
    requests: list[bytes] = []

    def backend(connection: socket.socket) -> None:
        requests.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    budget = """---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {name: budget}
spec:
  targetRefs: [{group: "", kind: Service, name: web}]
  retryConstraint: {budget: {percent: 0, interval: 10s}, minRetryRate: {count: 1, interval: 10s}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"""
    rules = "[{retry: {attempts: 1, codes: [500], backoff: 1ms}, backendRefs: [{name: web, port: 80}]}]"
    with raw(backend) as address, gateway(route(rules) + budget, address) as url:
        assert [httpx.get(url, timeout=LIMIT).status_code for _ in range(3)] == [500, 503, 503]
    assert len(requests) == 4
