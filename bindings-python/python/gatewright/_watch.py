"""Manifests that change: a table that follows the files it is made of."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._gatewright import read_files
from ._model import ManifestError
from ._table import Options, RaiseOn, Table, _checked

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

_log = logging.getLogger("gatewright")

#: Seconds between two readings that have to agree: a file may be just being written.
_SETTLE = 0.05

_Reading = tuple[list[tuple[str, bytes]], list[str]]


def watch(
    *paths: str | os.PathLike[str],
    interval: float = 1.0,
    raise_on: RaiseOn = "unreadable",
    on_change: Callable[[Table], object] | None = None,
    **options: Unpack[Options],
) -> Watcher:
    """Compiles the manifests in files and folders, and again whenever they change.

    Takes the ``paths`` and options of ``load``. The files are read every ``interval`` seconds and compared by content, so
    that it works on every file system, and with mounted ConfigMaps, whose files are links that are exchanged as a whole. A
    change counts when two readings agree, and compiles aside, in a thread.

    ``on_change`` is called with every new table, in that thread; what it raises is logged.

    The first table is compiled at once: ``ManifestError`` for manifests that cannot be read, as of ``load``. A later change
    that cannot be read leaves the last good table in place: ``Watcher.error`` says what is wrong, as does the logger
    ``gatewright``.

    >>> import gatewright, pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "gateway.yaml")
    >>> gateway = '''
    ... apiVersion: gateway.networking.k8s.io/v1
    ... kind: Gateway
    ... metadata: {name: one}
    ... spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
    ... '''
    >>> _ = file.write_text(gateway)
    >>> with gatewright.watch(folder.name, interval=0.05) as watcher:
    ...     before = watcher.table
    ...     _ = file.write_text(gateway.replace("one", "two"))
    ...     after = next(iter(watcher))
    >>> before.gateways[0].name, after.gateways[0].name
    ('one', 'two')
    >>> folder.cleanup()
    """
    return Watcher(*paths, interval=interval, raise_on=raise_on, on_change=on_change, **options)


class Watcher:
    """A table that follows its manifests; ``watch`` makes one.

    It watches from ``start`` to ``stop``, which ``with`` and ``async with`` call. Iterating, with ``for`` or ``async for``,
    gives each table that comes after, waits for it, and ends with ``stop``; who is slow gets the newest one only. Every
    method may be called from any thread and any task.
    """

    def __init__(
        self,
        *paths: str | os.PathLike[str],
        interval: float = 1.0,
        raise_on: RaiseOn = "unreadable",
        on_change: Callable[[Table], object] | None = None,
        **options: Unpack[Options],
    ) -> None:
        if not paths:
            raise TypeError("watch() needs at least one path")
        if not interval > 0:
            raise ValueError(f"interval is more than 0 seconds, found {interval!r}")
        self._paths = [os.fspath(path) for path in paths]
        if "-" in self._paths:
            raise ValueError("standard input cannot be watched")
        self._interval = interval
        self._raise_on: RaiseOn = raise_on
        self._on_change = on_change
        self._options: dict[str, Any] = dict(options)
        # Guards what follows, and wakes those who wait for a change.
        self._changed = threading.Condition()
        self._number = 0
        self._error: ManifestError | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._sleepers: set[_Sleeper] = set()
        # One change at a time, be it the thread's or that of `check`.
        self._checking = threading.Lock()
        reading = read_files(self._paths)
        self._seen = _digest(reading)
        self._table = _checked(*reading, self._raise_on, self._options)

    @property
    def table(self) -> Table:
        """The last good table."""
        return self._table

    @property
    def error(self) -> ManifestError | None:
        """What is wrong with the manifests as they stand, or None when ``table`` is what they say."""
        return self._error

    @property
    def is_running(self) -> bool:
        """Whether it watches."""
        return self._thread is not None

    def check(self) -> bool:
        """Looks at the files now, and says whether there is a new table. Blocks while it compiles.

        For whoever knows of a change, by a signal for instance, or would rather not have a thread.
        """
        return self._check(None)

    def _check(self, stopping: threading.Event | None) -> bool:
        with self._checking:
            reading = self._read_change(stopping)
            table = None if reading is None else self._compile(reading)
        if table is not None and self._on_change is not None:
            try:
                self._on_change(table)
            except Exception:
                _log.exception("on_change raised")
        return table is not None

    def _read_change(self, stopping: threading.Event | None) -> _Reading | None:
        """The manifests, once two readings agree, if they are others than before."""
        digest = _digest(read_files(self._paths))
        while digest != self._seen:
            time.sleep(_SETTLE)
            if stopping is not None and stopping.is_set():
                return None
            reading = read_files(self._paths)
            before, digest = digest, _digest(reading)
            if before == digest:
                self._seen = digest
                return reading
        return None

    def _compile(self, reading: _Reading) -> Table | None:
        try:
            table = _checked(*reading, self._raise_on, self._options)
        except ManifestError as error:
            self._error = error
            _log.error("the manifests cannot be read, the last good table stays: %s", error)
            return None
        with self._changed:
            self._table, self._error = table, None
            self._number += 1
            self._wake()
        _log.info("the manifests have changed: %r", table)
        return table

    def _wake(self) -> None:
        self._changed.notify_all()
        for sleeper in self._sleepers:
            sleeper.wake()

    def start(self) -> None:
        """Begins to watch. Raises ``RuntimeError`` if it does already."""
        with self._changed:
            if self._thread is not None:
                raise RuntimeError("the watcher is running")
            # One of its own for each thread: an old one may be about to end.
            self._stopping = threading.Event()
            # Nobody has to wait for it when the interpreter ends.
            self._thread = threading.Thread(target=self._run, args=(self._stopping,), name="gatewright-watcher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends watching, iterations as well, and waits for the thread. Does nothing if it does not watch."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopping.set()
            self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._interval):
            try:
                self._check(stopping)
            except Exception:
                # Out of memory, for instance: the next look may do better.
                _log.exception("the manifests cannot be looked at")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A compile may be under way, which the event loop must not wait for.
        await asyncio.to_thread(self.stop)

    def __iter__(self) -> Iterator[Table]:
        return self._tables(self._number_of_running())

    def _tables(self, number: int) -> Iterator[Table]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._number != number or self._thread is None)
                if self._thread is None:
                    return
                number, table = self._number, self._table
            yield table

    def __aiter__(self) -> AsyncIterator[Table]:
        return self._tables_async(self._number_of_running())

    async def _tables_async(self, number: int) -> AsyncIterator[Table]:
        sleeper = _Sleeper(asyncio.get_running_loop())
        with self._changed:
            self._sleepers.add(sleeper)
        try:
            while True:
                with self._changed:
                    is_new, is_over = self._number != number, self._thread is None
                    number, table = self._number, self._table
                if is_over:
                    return
                if is_new:
                    yield table
                else:
                    await sleeper.sleep()
        finally:
            with self._changed:
                self._sleepers.discard(sleeper)

    def _number_of_running(self) -> int:
        """The number of the table of now: an iteration begins with the call of ``iter``."""
        with self._changed:
            if self._thread is None:
                raise RuntimeError("the watcher is not running: use it in a with block")
            return self._number

    def __repr__(self) -> str:
        return f"<Watcher of {', '.join(self._paths)}: {self._table!r}>"


class _Sleeper:
    """A task that waits for a change."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    async def sleep(self) -> None:
        await self._event.wait()
        self._event.clear()

    def wake(self) -> None:
        """May be called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            pass  # The loop has ended, and the task with it.


def _digest(reading: _Reading) -> bytes:
    """Equal digests need no new table."""
    files, errors = reading
    digest = hashlib.blake2b(digest_size=16)
    for name, octets in files:
        # With lengths, so that nothing moves between names and contents unseen.
        for part in (name.encode("utf-8", "surrogatepass"), octets):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    for error in errors:
        digest.update(error.encode("utf-8", "surrogatepass"))
    return digest.digest()
