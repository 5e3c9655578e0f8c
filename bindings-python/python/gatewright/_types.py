"""What arguments may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar, Union

if TYPE_CHECKING:
    from ._gatewright import SessionKeys

#: Names and values: all text, or all bytes.
Text = TypeVar("Text", str, bytes)
_T_co = TypeVar("_T_co", covariant=True)


class _Items(Protocol[_T_co]):
    """What tells repeated names by ``items``: werkzeug, aiohttp, ``email.message``."""

    def items(self) -> Iterable[tuple[_T_co, _T_co | list[_T_co]]]: ...


class _MultiItems(Protocol[_T_co]):
    """What tells repeated names by ``multi_items``: Starlette, httpx."""

    def multi_items(self) -> Iterable[tuple[_T_co, _T_co]]: ...


#: Header fields of one text type; a list of values stands for several lines.
HeadersOf = Union[
    Mapping[Text, Union[Text, list[Text]]],
    Iterable[Union[tuple[Text, Union[Text, list[Text]]], list[Text]]],
    _MultiItems[Text],
    _Items[Text],
]

#: Header fields in any shape: a mapping, pairs, or an object with ``multi_items()`` or ``items()``.
Headers = Union[HeadersOf[str], HeadersOf[bytes]]


class Where(TypedDict, total=False):
    """Keywords of ``decide`` beside those of a mesh."""

    gateway: str | None
    port: int | None
    listener: str | None
    sni: str | None
    authority: str | bytes | None
    scheme: str | None
    http_version: str | None
    pick: int | None
    sessions: SessionKeys | None
    now: int | None
