"""TLS towards backends: as the policy says, or not at all."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gatewright
import httpx
import pytest
from gatewright.asgi import Gateway
from websockets.sync.client import connect
from websockets.sync.server import serve as serve_websocket

from serving import SOON, echo, raw, route, serve

LIMIT = httpx.Timeout(SOON)


def manifests(validation: str) -> str:
    return f"""{route("[{backendRefs: [{name: web, port: 443}]}]")}---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{port: 443}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: bundle}}
data:
  ca.crt: |
    -----BEGIN CERTIFICATE-----
    MIIBeDCCAR+gAwIBAgIUR4YK6ezXCBlc8d+VCSFoQ1f3TKgwCgYIKoZIzj0EAwIw
    -----END CERTIFICATE-----
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: web}}
spec:
  targetRefs: [{{group: "", kind: Service, name: web}}]
  validation: {validation}
"""


SYSTEM = manifests("{hostname: in.example, wellKnownCACertificates: System}")
NAMES = manifests("{hostname: in.example, wellKnownCACertificates: System, subjectAltNames: [{type: Hostname, hostname: b.example}]}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: Any) -> tuple[Path, Path]:
    """A certificate for in.example and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-subj", "/CN=x", "-addext", "subjectAltName=DNS:in.example", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def backend(certificate: tuple[Path, Path]) -> Iterator[str]:
    cert, key = certificate
    with serve(echo, ssl_certfile=cert, ssl_keyfile=key) as address:
        yield address


@contextlib.contextmanager
def gateway(manifests: str, address: str, **options: Any) -> Iterator[str]:
    with serve(Gateway(gatewright.compile(manifests), resolve={"default/web:443": address}, **options)) as own:
        yield f"http://{own}"


def test_a_certificate_that_is_trusted(certificate: tuple[Path, Path], backend: str) -> None:
    asked: list[str] = []

    def context(of: gatewright.Backend) -> ssl.SSLContext:
        asked.append(str(of))
        return ssl.create_default_context(cafile=str(certificate[0]))

    # The name is that of the policy, the address and the Host are others.
    with gateway(SYSTEM, backend, ssl_context=context) as url:
        for _ in range(3):
            answer = httpx.get(f"{url}/x", headers={"host": "out.example"}, timeout=LIMIT)
            assert answer.status_code == 200 and answer.json()["raw_path"] == "/x"
        assert ["host", "out.example"] in answer.json()["headers"]
    assert asked == ["default/web:443"]


def test_the_trust_of_the_operating_system(backend: str, certificate: tuple[Path, Path], monkeypatch: Any) -> None:
    # Nobody trusts the certificate.
    with gateway(SYSTEM, backend) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 502
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with gateway(SYSTEM, backend) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 200
    with gateway(SYSTEM.replace("in.example", "other.example"), backend) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 502


def test_what_ssl_cannot_verify_is_not_asked(caplog: Any, backend: str, certificate: tuple[Path, Path], monkeypatch: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with gateway(NAMES, backend) as url:
        assert "subjectAltNames" in caplog.text
        assert httpx.get(url, timeout=LIMIT).status_code == 502


def test_nothing_is_sent_in_the_clear() -> None:
    got: list[bytes] = []

    def plain(connection: Any) -> None:
        got.append(connection.recv(5))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw(plain) as address, gateway(SYSTEM, address) as url:
        assert httpx.get(url, timeout=LIMIT).status_code == 502
    # The record of a TLS handshake.
    assert got[0][:2] == b"\x16\x03"


def test_websockets(certificate: tuple[Path, Path]) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*certificate)
    with serve_websocket(lambda c: c.send(c.recv()), "127.0.0.1", 0, ssl=server_context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = "{}:{}".format(*server.socket.getsockname())
        with gateway(SYSTEM, address, ssl_context=lambda _: ssl.create_default_context(cafile=str(certificate[0]))) as url:
            with connect(url.replace("http", "ws")) as client:
                client.send("hello")
                assert client.recv(SOON) == "hello"
        with gateway(SYSTEM, address) as url:
            from websockets import InvalidStatus

            with pytest.raises(InvalidStatus, match="502"):
                connect(url.replace("http", "ws")).close()
        server.shutdown()
        thread.join()


def test_a_new_table_asks_for_the_context_again(tmp_path: Path, certificate: tuple[Path, Path], backend: str) -> None:
    asked: list[Any] = []
    file = tmp_path / "web.yaml"
    file.write_text(SYSTEM)
    watcher = gatewright.watch(file)

    def context(of: gatewright.Backend) -> ssl.SSLContext:
        asked.append(of)
        return ssl.create_default_context(cafile=str(certificate[0]))

    app = Gateway(watcher, resolve={"default/web:443": backend}, ssl_context=context)
    with serve(app) as own:
        for number in (1, 2):
            assert httpx.get(f"http://{own}", timeout=LIMIT).status_code == 200
            assert httpx.get(f"http://{own}", timeout=LIMIT).status_code == 200
            assert len(asked) == number
            file.write_text(SYSTEM + "# changed\n")
            watcher.check()

