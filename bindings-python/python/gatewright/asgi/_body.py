"""The body of a client's request: streamed as it comes, kept when it may have to be sent again, copied for mirrors."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from ._fields import values
from ._types import Body, ClientGone, Fields, Receive, Scope

#: Octets that are kept of a body for retries and mirrors.
KEEP = 64 * 1024
#: Octets that the copy of a body may be behind.
BEHIND = 64 * 1024


class Incoming:
    """What a client sends. One reader at a time."""

    def __init__(self, scope: Scope, headers: Fields, receive: Receive) -> None:
        self._receive = receive
        self._first: bytes | None = None
        self.has_ended = asyncio.Event()
        #: The length that was announced; None when there was none.
        self.length: int | None = None
        has_codings = bool(values(headers, b"transfer-encoding"))
        lengths = values(headers, b"content-length")
        if lengths and not has_codings and lengths[0].isdigit():
            self.length = int(lengths[0])
        # In HTTP/1 the header fields say that there is no body (RFC 9112 section 6.3); later versions just end it.
        if self.length == 0 or (str(scope.get("http_version", "1.1")).startswith("1") and self.length is None and not has_codings):
            self.has_ended.set()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes: a reader that is slow lets the client wait. Raises ``ClientGone``."""
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        while not self.has_ended.is_set():
            if chunk := await self._next():
                yield chunk

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if not message.get("more_body", False):
            self.has_ended.set()
        return bytes(message.get("body", b""))

    async def body(self, keep: bool) -> Body:
        """The body for a backend: whole if there is none, or if it is to be kept and is small. Raises ``ClientGone``."""
        if self.length is None and not self.has_ended.is_set():
            # Of HTTP/2: only its end says that there is none.
            self._first = await self._next()
        if self.has_ended.is_set():
            first, self._first = self._first or b"", None
            return first
        if keep and self.length is not None and self.length <= KEEP:
            return b"".join([chunk async for chunk in self.chunks()])
        return self.chunks()

    async def gone(self) -> None:
        """Waits until the client is gone. Begins when the body has been read."""
        await self.has_ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _Copy:
    """What one reader of a copy has not read yet."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._behind = 0
        self._state = "open"
        self._wake = asyncio.Event()

    def write(self, piece: bytes) -> None:
        if self._state != "open":
            return
        if self._behind + len(piece) > BEHIND:
            self.end("given up")
            return
        self._behind += len(piece)
        self._pieces.append(piece)
        self._wake.set()

    def end(self, state: str) -> None:
        if self._state == "open":
            self._state = state
            self._wake.set()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                if self._state == "given up":
                    # It must not look whole.
                    raise ClientGone
                if self._pieces:
                    piece = self._pieces.popleft()
                    self._behind -= len(piece)
                    yield piece
                elif self._state == "whole":
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self.end("given up")
            self._pieces.clear()


def copies(body: Body, number: int) -> tuple[Body, list[Body]]:
    """The body, and so many copies of it. The body is read as fast as its own reader reads; a copy that falls behind is
    given up."""
    if isinstance(body, bytes) or number == 0:
        return body, [body] * number
    readers = [_Copy() for _ in range(number)]
    return _copied(body, readers), [reader.chunks() for reader in readers]


async def _copied(body: AsyncGenerator[bytes, None], readers: list[_Copy]) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in body:
            for reader in readers:
                reader.write(piece)
            yield piece
        for reader in readers:
            reader.end("whole")
    finally:
        for reader in readers:
            reader.end("given up")
