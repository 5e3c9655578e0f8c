"""Retry budgets: one window for each backend."""

from __future__ import annotations

import time

from .._gatewright import Forward, RetryWindow
from .._model import Backend, RetryBudget


class Budgets:
    """The windows of every backend. A new table keeps those whose budget is still the same."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, str, int], tuple[RetryBudget | None, RetryWindow]] = {}

    def request(self, forward: Forward, may_retry: bool) -> None:
        """A request is sent for the first time. One that is never sent again counts only where a policy has a budget."""
        if may_retry or forward.backend.retry_budget is not None:
            self._of(forward).request(time.monotonic())

    def try_retry(self, forward: Forward) -> bool:
        """Whether a request may be sent again; if so, it counts."""
        return self._of(forward).try_retry(time.monotonic())

    def _of(self, forward: Forward) -> RetryWindow:
        backend: Backend = forward.backend
        key = (backend.kind, backend.namespace, backend.name, backend.port)
        budget, window = self._windows.get(key, (None, None))
        if window is None or budget != backend.retry_budget:
            window = forward.retry_window()
            self._windows[key] = (backend.retry_budget, window)
        return window
