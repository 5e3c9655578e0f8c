"""The stubs say what the binary has, and type checkers find nothing in package and tests."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import gatewright
import pytest
from conftest import HERE

PACKAGE = Path(gatewright.__file__).parent
#: Tests that speak to real servers do so by means without types.
UNTYPED = ("serving", "test_asgi", "test_watch", "test_wsgi", "test_readme")
#: What is checked beside the package as it is installed: the examples, and the tests of both.
CHECKED = [str(path) for path in (HERE.parent / "examples", *sorted(HERE.glob("*.py"))) if path.exists() and not path.stem.startswith(UNTYPED)]


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_stubs_are_those_of_the_binary() -> None:
    run(sys.executable, "-m", "mypy.stubtest", "gatewright", "--allowlist", str(HERE.parent / "stubtest-allowlist.txt"))


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_mypy_finds_nothing() -> None:
    # By its name: the folder of installed packages is no place for sources.
    run(sys.executable, "-m", "mypy", "--strict", "-p", "gatewright")
    run(sys.executable, "-m", "mypy", "--strict", *CHECKED)


@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright_finds_nothing() -> None:
    run(sys.executable, "-m", "pyright", "-p", str(HERE.parent), "--pythonpath", sys.executable, str(PACKAGE), *CHECKED)
