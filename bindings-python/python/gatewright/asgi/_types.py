"""The types of ASGI, and what a request is within the gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, Protocol, Union

from .._table import Table

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: An ASGI application.
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Header fields as ASGI has them: names in lower case.
Fields = list[tuple[bytes, bytes]]

#: The body of a request for a backend: whole, or as it comes.
Body = Union[bytes, AsyncGenerator[bytes, None]]


class TableSource(Protocol):
    """What has a table that may change, for instance a ``Watcher``."""

    @property
    def table(self) -> Table: ...


def table_of(source: Table | TableSource) -> Table:
    """The table of this moment."""
    return source if isinstance(source, Table) else source.table


def with_decision(scope: Scope, decision: object) -> dict[str, Any]:
    """A copy of a scope that has the decision among its extensions."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), "gatewright": {"decision": decision}}}


class Trouble(Exception):
    """A backend that gave no answer."""


class NoConnection(Trouble):
    """A backend that has seen nothing of the request."""


class ClientGone(Exception):
    """The client has closed its connection."""


class Answered(Protocol):
    """The answer of a backend, as far as its header fields."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Fields: ...
    @property
    def has_trailers(self) -> bool:
        """Whether there will be ``trailers`` after the chunks."""
        ...

    @property
    def trailers(self) -> Fields: ...
    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes; raises ``Trouble`` when it breaks off."""
        ...

    async def aclose(self) -> None: ...
