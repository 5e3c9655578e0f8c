"""What could end a whole process is tried in one of its own: subinterpreters, the end of the interpreter, a fork among threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import gatewright
import pytest
from conftest import MANIFEST


def child(code: str, *, seconds: int = 60) -> str:
    """What a program prints; it must end by itself, and without a fault."""
    path = os.pathsep.join([str(Path(gatewright.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", f"MANIFEST = {str(MANIFEST)!r}\n{code}"],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, f"{done.returncode} ({signal.strsignal(-done.returncode) if done.returncode < 0 else ''})\n{done.stderr[-3000:]}"
    assert "panicked" not in done.stderr and "Fatal" not in done.stderr, done.stderr[-3000:]
    return done.stdout


SUBINTERPRETERS = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
ask = '''
try:
    import gatewright
    decision = gatewright.load({manifest!r}).decide("GET", "http://shop.example/cart")
    print(decision.backend, decision.matched, decision.response_edits[0].name, isinstance(decision.backend, gatewright.Backend))
except ImportError as error:
    print("ImportError", error)
'''.format(manifest=MANIFEST)
def elsewhere():
    other = interpreters.create()
    said = interpreters.run_string(other, ask)
    assert said is None, said
    interpreters.destroy(other)
"""
#: A result whose objects are those of the interpreter itself.
RESULT = "default/cart:8080 HTTPRoute/default/shop rule 0 x-served-by True"


def test_the_first_interpreter_goes_on() -> None:
    said = child(SUBINTERPRETERS + "exec(ask)\nelsewhere()\nelsewhere()\nexec(ask)").splitlines()
    assert said[0] == said[-1] == RESULT and len(said) == 4
    for line in said[1:-1]:
        assert line == RESULT or (line.startswith("ImportError") and "interpreter" in line)


def test_another_interpreter_gets_an_answer_or_a_clear_error() -> None:
    """The first to load the package may be a subinterpreter, and may end before the others ask."""
    said = child(SUBINTERPRETERS + "elsewhere()\nelsewhere()\nexec(ask)").splitlines()
    assert len(said) == 3
    for line in said:
        assert line == RESULT or (line.startswith("ImportError") and "interpreter" in line)


END = """
import threading, gatewright
table = gatewright.load(MANIFEST)
def forever():
    while True:
        table.decide("GET", "http://shop.example/cart").to_dict()
        gatewright.compile("")
for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
class AtEnd:
    def __init__(self):
        self.table, self.decision = table, table.decide("GET", "http://shop.example/cart")
    def __del__(self):
        print(self.decision.target, repr(self.table.decide("GET", "http://shop.example/old")))
kept = AtEnd()
print("end")
"""


def test_the_end_of_the_interpreter_is_no_fault() -> None:
    assert child(END).splitlines()[0] == "end"


FORK = """
import os, threading, gatewright
table = gatewright.load(MANIFEST)
wanted = table.decide("GET", "http://shop.example/cart")
on = True
def work():
    while on:
        gatewright.load(MANIFEST).decide("GET", "http://shop.example/cart").matched
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        fresh = gatewright.load(MANIFEST).decide("GET", "http://shop.example/cart")
        os._exit(0 if table.decide("GET", "http://shop.example/cart") == wanted == fresh else 3)
    assert os.waitpid(pid, 0)[1] == 0
on = False
for thread in threads: thread.join()
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_among_threads() -> None:
    assert child(FORK) == "fine\n"


PICKS = """
import os, gatewright
rule = {"backendRefs": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}
spec = {"parentRefs": [{"name": "gateway"}], "hostnames": ["half.example"], "rules": [rule]}
route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "half"}, "spec": spec}
table = gatewright.compile([open(MANIFEST).read(), route])
def picks():
    return "".join(table.decide("GET", "http://half.example/").backend.name for _ in range(100))
picks()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        print(picks(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_processes_pick_for_themselves() -> None:
    said = child(PICKS).splitlines()
    assert len(set(said)) == 3 and all(set(picks) == {"a", "b"} for picks in said)


HOSTILE = """
import gatewright, sys, threading
threading.stack_size(256 * 1024)
table = gatewright.load(MANIFEST)
def work():
    deep = "[" * 100_000
    gatewright.compile(deep, raise_on="never")
    gatewright.compile('{"a":' * 100_000, raise_on="never")
    gatewright.compile("a: &a [*a]", raise_on="never")
    regex = "(" * 5000 + ")" * 5000
    rule = {"matches": [{"path": {"type": "RegularExpression", "value": "/" + regex}}], "backendRefs": [{"name": "a", "port": 80}]}
    spec = {"parentRefs": [{"name": "gateway"}], "rules": [rule]}
    gatewright.compile([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": spec}], raise_on="never")
    table.explain("GET", "http://shop.example/" + "../" * 100_000)
    done.append(True)
done = []
thread = threading.Thread(target=work); thread.start(); thread.join()
print(done)
"""


def test_a_small_stack_is_enough() -> None:
    assert child(HOSTILE) == "[True]\n"


def test_a_kill_is_seen() -> None:
    """The test of the test: a program that dies is told."""
    with pytest.raises(AssertionError, match="-6|Abort"):
        child("import os; os.abort()")
