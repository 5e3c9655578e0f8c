"""Where a backend is, and how TLS is spoken to it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from .._model import Backend
from ._types import NoConnection

#: Where backends are that the manifests do not say: by ``namespace/name:port``, or a function that may say None.
#: Several addresses share the requests.
Resolve = Union[
    Mapping[str, Union[str, Sequence[str]]],
    Callable[[Backend], Union[str, Sequence[str], None]],
]
#: The TLS of a backend whose ``tls`` is not None.
SslContext = Callable[[Backend], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Address:
    """What a connection is made to."""

    host: str
    port: int
    #: Its name among the endpoints of the backend, None if it is none of these.
    endpoint: str | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``http://host:port``.

    Raises ``ValueError`` for anything else: the path is the decision's, and TLS that of a BackendTLSPolicy.
    """
    rest = text.removeprefix("http://").removesuffix("/")
    host, colon, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536) or any(c in host for c in "/?#@ "):
        raise ValueError(f"an address is host:port or http://host:port, found {text!r}")
    return host, int(port)


class Addresses:
    """Finds addresses: as told, among the ready endpoints, by the DNS name."""

    def __init__(self, resolve: Resolve | None) -> None:
        if resolve is not None and not callable(resolve):
            for name, told in resolve.items():
                for one in _all(told):
                    parse(one)
                if "/" not in name or ":" not in name:
                    raise ValueError(f"resolve has names as namespace/name:port, found {name!r}")
        self._resolve = resolve

    def find(self, backend: Backend, session: str | None, pick: int, attempt: int) -> Address:
        """Where to send an attempt. ``session`` is the endpoint of the request's session.

        Raises ``NoConnection`` for a backend that is nowhere.
        """
        if told := self._told(backend):
            try:
                return Address(*parse(told[_draw(len(told), pick, attempt)]))
            except ValueError as error:
                raise NoConnection(str(error)) from None
        if endpoints := backend.endpoints:
            endpoint = session if session in endpoints and attempt == 0 else endpoints[_draw(len(endpoints), pick, attempt)]
            return Address(*parse(endpoint), endpoint)
        if backend.endpoints is not None:
            raise NoConnection("the backend has no ready endpoint")
        return Address(backend.dns_name, backend.port)

    def _told(self, backend: Backend) -> Sequence[str]:
        if self._resolve is None:
            return ()
        told = self._resolve(backend) if callable(self._resolve) else self._resolve.get(str(backend))
        return () if told is None else _all(told)


def _all(told: str | Sequence[str]) -> Sequence[str]:
    return [told] if isinstance(told, str) else told


def _draw(count: int, pick: int, attempt: int) -> int:
    # By the low bits, as the high ones have chosen among backends by weight; each attempt has another place.
    spread = (pick * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF) >> 32
    return (spread + attempt) % count


def speakable(backend: Backend, hook: SslContext | None) -> str | None:
    """Why the TLS that a policy wants cannot be spoken; None if it can."""
    tls = backend.tls
    if tls is None or hook is not None:
        return None
    if tls.ca_certificates:
        return "its policy trusts a CA bundle, which ssl_context= has to give"
    if tls.subject_alt_names:
        return "its policy asks for subjectAltNames, which ssl_context= has to verify"
    if tls.client_certificate is not None:
        return "its Gateway shows a certificate, which ssl_context= has to give"
    return None


def tls_context(backend: Backend, hook: SslContext | None) -> ssl.SSLContext | None:
    """How TLS is spoken to a backend, None without TLS. Raises ``NoConnection`` if it cannot be spoken as the policy wants."""
    if backend.tls is None:
        return None
    if why := speakable(backend, hook):
        raise NoConnection(f"nothing is sent to it without TLS, and {why}")
    return ssl.create_default_context() if hook is None else hook(backend)
