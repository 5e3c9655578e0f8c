"""Header fields as ASGI has them: pairs of bytes, names in lower case."""

from __future__ import annotations

from collections.abc import Iterable

from ._types import Fields


def octets(fields: Iterable[tuple[str | bytes, str | bytes]]) -> Fields:
    """Fields as octets: text is Latin-1."""
    return [
        (name.encode("latin-1") if isinstance(name, str) else name, value.encode("latin-1") if isinstance(value, str) else value)
        for name, value in fields
    ]


def values(fields: Fields, name: bytes) -> list[bytes]:
    """The values of a name, which is in lower case."""
    return [value for other, value in fields if other == name]


def knows_expectation(fields: Fields) -> bool:
    """Whether nothing but 100-continue, which the server sees to, is expected (RFC 9110 section 10.1.1)."""
    return all(value.strip().lower() == b"100-continue" for value in values(fields, b"expect"))


def without(fields: Fields, *names: bytes) -> Fields:
    """The fields without those of these names."""
    return [(name, value) for name, value in fields if name not in names]


def lower(fields: Iterable[Iterable[bytes]]) -> Fields:
    """The fields of a message with names in lower case, as ASGI asks for and some servers do not do."""
    return [(bytes(name).lower(), bytes(value)) for name, value in fields]
