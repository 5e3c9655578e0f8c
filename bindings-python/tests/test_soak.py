"""Memory does not grow; see `soak.py`. GATEWRIGHT_SOAK is the number of decisions, a million if nothing is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gatewright
import pytest
from conftest import HERE

#: KiB: what the allocators of C and Python may hold on to. A leak of one small object for each decision is ten times as much.
BOUND = 4 << 10
DECISIONS = int(os.environ.get("GATEWRIGHT_SOAK", "1000000"))


def soaked(decisions: int, compiles: int, **environment: str) -> int:
    path = os.pathsep.join([str(Path(gatewright.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(HERE / "soak.py"), str(decisions), str(compiles)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=os.environ | {"PYTHONPATH": path} | environment)
    assert done.returncode == 0, done.stderr
    if not done.stdout.strip().lstrip("-").isdecimal():
        pytest.skip(done.stdout)
    return int(done.stdout)


def test_memory_does_not_grow() -> None:
    assert soaked(DECISIONS, 200) < BOUND


def test_a_leak_is_seen() -> None:
    """The test of the test: one decision in ten is kept."""
    assert soaked(100_000, 20, GATEWRIGHT_LEAK="1") > BOUND
