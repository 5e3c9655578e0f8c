"""Every question of the vectors and of the upstream suite has the answer through this package that the engine gives.

The file of `conformance/answers.md` is named by `GATEWRIGHT_ANSWERS`. How many were asked is kept in
`conformance/python.yaml`; `GATEWRIGHT_KEEP=1` writes it.
"""

from __future__ import annotations

import copy
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import answers
import pytest

KEPT = Path(__file__).parents[2] / "conformance" / "python.yaml"
COUNTED = ("worlds", "requests", "connections", "steps of conversations")

pytestmark = pytest.mark.skipif(answers.path() is None, reason="GATEWRIGHT_ANSWERS names no file of answers")


@dataclass
class Asked:
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    differences: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def asked() -> Asked:
    file, found = answers.path(), Asked()
    assert file is not None
    for line in answers.worlds(file):
        world = answers.World(line).check()
        found.counts[line["suite"]].update(world.counts)
        found.differences += world.differences
    return found


def test_the_answers_are_those_of_the_engine(asked: Asked) -> None:
    assert not asked.differences, f"{len(asked.differences)} differences, the first:\n" + "\n".join(asked.differences[:3])


def test_all_are_counted(asked: Asked) -> None:
    text = "# Written by the tests of the Python package with GATEWRIGHT_KEEP=1.\n"
    for suite, counts in sorted(asked.counts.items()):
        text += f"{suite}: {{{', '.join(f'{name}: {counts[name]}' for name in COUNTED)}}}\n"
    if os.environ.get("GATEWRIGHT_KEEP"):
        KEPT.write_text(text)
    assert KEPT.read_text() == text, "GATEWRIGHT_KEEP=1 writes it"


PARTS = [
    "status/gateways",
    "diagnostics",
    "options/missing_services",
    "asks/0/decision/decision",
    "asks/0/explanation/candidates",
    "asks/0/applied/target",
    "asks/0/applied/request",
    "asks/0/applied/response",
    "asks/0/applied/status",
    "asks/0/applied/headers",
    "conversations/0/0/decision",
    "conversations/0/0/endpoint",
    "conversations/0/0/told",
    "conversations/0/1/established",
]


@pytest.mark.parametrize("part", PARTS)
def test_what_is_altered_is_seen(part: str) -> None:
    file = answers.path()
    assert file is not None
    for line in answers.worlds(file):
        altered = alter(copy.deepcopy(line), part.split("/"))
        if altered is not None:
            try:
                differences = answers.World(altered).check().differences
            except (TypeError, ValueError):
                return
            assert differences, f"{part} of {line['id']}"
            return
    pytest.fail(f"no line has {part}")


def alter(line: Any, keys: list[str]) -> Any:
    """The line with another value there, or None if there is none."""
    at = line
    for key in keys[:-1]:
        at = at.get(key) if isinstance(at, dict) else at[int(key)] if int(key) < len(at) else None
        if at is None:
            return None
    if keys[-1] not in at:
        return None
    at[keys[-1]] = ["altered"]
    return line
