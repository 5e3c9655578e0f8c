"""Retry budgets: how many retries each backend has had of late."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from .._model import Backend, RetryBudget

#: Where no policy gives a budget: a fifth of the requests, and ten a second in any case.
_WITHOUT_POLICY = RetryBudget(percent=20, interval=timedelta(seconds=10), min_count=100, min_interval=timedelta(seconds=10))
#: Parts of an interval that are counted by themselves.
_SLOTS = 10


class _Window:
    """Counts what happened within an interval."""

    def __init__(self, interval: timedelta) -> None:
        self._width = max(interval.total_seconds() / _SLOTS, 1e-6)
        self._slots: deque[tuple[int, int]] = deque()

    def add(self, now: float) -> None:
        slot = int(now / self._width)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + 1)
        else:
            self._slots.append((slot, 1))
            self._forget(slot)

    def sum(self, now: float) -> int:
        self._forget(int(now / self._width))
        return sum(count for _, count in self._slots)

    def _forget(self, slot: int) -> None:
        while self._slots and self._slots[0][0] <= slot - _SLOTS:
            self._slots.popleft()


class _Counts:
    def __init__(self, budget: RetryBudget) -> None:
        self.budget = budget
        self.requests = _Window(budget.interval)
        self.retries = _Window(budget.interval)
        self.recent = _Window(budget.min_interval)


class Budgets:
    """The counts of every backend. A new table keeps those whose budget is still the same."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, str, str, int], _Counts] = {}

    def request(self, backend: Backend, may_retry: bool) -> None:
        """A request is sent for the first time."""
        if may_retry or backend.retry_budget is not None:
            self._of(backend).requests.add(self._clock())

    def try_retry(self, backend: Backend) -> bool:
        """Whether a request may be sent again; if so, it counts."""
        counts, now = self._of(backend), self._clock()
        budget = counts.budget
        allowed = (
            counts.recent.sum(now) < budget.min_count
            or (counts.retries.sum(now) + 1) * 100 <= counts.requests.sum(now) * budget.percent
        )
        if allowed:
            counts.retries.add(now)
            counts.recent.add(now)
        return allowed

    def _of(self, backend: Backend) -> _Counts:
        key = (backend.kind, backend.namespace, backend.name, backend.port)
        budget = backend.retry_budget or _WITHOUT_POLICY
        counts = self._counts.get(key)
        if counts is None or counts.budget != budget:
            counts = self._counts[key] = _Counts(budget)
        return counts
