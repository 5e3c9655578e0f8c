"""Header fields that belong to one hop, and those that tell a backend about the client (RFC 9110 section 7.6).

The fields of a request that a backend must not see are the decision's business (``Forward.apply_request``); here is what a
proxy adds of its own, and what it takes out of answers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from ._types import Fields

#: Times that a request may have come through a gateway of this kind.
MAX_HOPS = 10

_VIA = b"1.1 gatewright"
_OF_ONE_HOP = frozenset(
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"]
)
_CLAIMS = frozenset([b"forwarded", b"x-real-ip", b"expect", b"via", b"x-request-id"])
# With trailers in HTTP's own trailer section; gRPC-Web has them in the body.
_GRPC = re.compile(rb"application/grpc(?!-web)")


def octets(fields: Iterable[tuple[str | bytes, str | bytes]]) -> Fields:
    """Fields as octets: text is Latin-1."""
    return [
        (name.encode("latin-1") if isinstance(name, str) else name, value.encode("latin-1") if isinstance(value, str) else value)
        for name, value in fields
    ]


def values(fields: Fields, name: bytes) -> list[bytes]:
    """The values of a name, which is in lower case."""
    return [value for other, value in fields if other == name]


def is_grpc(fields: Fields) -> bool:
    """Whether the client speaks gRPC, in one of its dialects, and understands a gRPC status."""
    return any(value.startswith(b"application/grpc") for value in values(fields, b"content-type")[:1])


def needs_trailers(fields: Fields) -> bool:
    """Whether the client cannot do without a trailer section."""
    return any(_GRPC.match(value) for value in values(fields, b"content-type")[:1])


def hops(fields: Fields) -> int:
    """How often a request has come through a gateway of this kind (RFC 9110 section 7.6.3)."""
    entries = [entry.split() for value in values(fields, b"via") for entry in value.split(b",")]
    return sum(1 for entry in entries if entry[1:2] == [b"gatewright"])


def knows_expectation(fields: Fields) -> bool:
    """Whether nothing but 100-continue, which the server sees to, is expected (RFC 9110 section 10.1.1)."""
    return all(value.strip().lower() == b"100-continue" for value in values(fields, b"expect"))


def forwarded(fields: Fields, peer: str, scheme: str, host: bytes | None) -> Fields:
    """Says who asked for what; what the client says of itself is not believed.

    Of ``Via`` stays how often the request has come through here: loops end by that.
    """
    told = [(name, value) for name, value in fields if not _is_claim(name)]
    told.append((b"x-forwarded-for", peer.encode("latin-1", "replace")))
    told.append((b"x-forwarded-proto", scheme.encode("latin-1", "replace")))
    if host is not None:
        told.append((b"x-forwarded-host", host))
    told.append((b"x-request-id", secrets.token_hex(16).encode()))
    told.append((b"via", b", ".join([_VIA] * (hops(fields) + 1))))
    return told


def _is_claim(name: bytes) -> bool:
    return name in _CLAIMS or name.startswith((b"x-forwarded-", b"x-envoy-"))


def without_hop(fields: Fields) -> Fields:
    """The fields of an answer without those of one hop."""
    named = {name.strip().lower() for value in values(fields, b"connection") for name in value.split(b",")}
    return [(name, value) for name, value in fields if name not in _OF_ONE_HOP and name not in named]


def without(fields: Fields, *names: bytes) -> Fields:
    """The fields without those of these names."""
    return [(name, value) for name, value in fields if name not in names]


def lower(fields: Iterable[Iterable[bytes]]) -> Fields:
    """The fields of a message with names in lower case, as ASGI asks for and some servers do not do."""
    return [(bytes(name).lower(), bytes(value)) for name, value in fields]
