"""A million decisions of all kinds and two hundred compiles: memory does not grow.

    python tests/soak.py [DECISIONS] [COMPILES]

Prints how much the resident memory grew after the warm-up, in KiB; where there is no `/proc/self/status` it says so.
`GATEWRIGHT_LEAK=1` keeps a little of each round, to see the test fail.
"""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import gatewright
from gatewright import Forward, PassThrough, Redirect, SessionKeys, Table

HERE = Path(__file__).parent

MORE = """---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mesh}
spec: {parentRefs: [{kind: Service, group: "", name: web, port: 8080}], rules: [{backendRefs: [{name: web, port: 8080}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: sessions}
spec:
  parentRefs: [{name: gateway, sectionName: http}]
  hostnames: [session.example]
  rules:
  - backendRefs: [{name: web, port: 8080}, {name: cart, port: 8080, weight: 3}]
    sessionPersistence: {sessionName: s, type: Cookie}
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: mirror, port: 80}}}
    - {type: CORS, cors: {allowOrigins: ["https://a.example"]}}
"""


def resident() -> int | None:
    """Resident memory in KiB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def rounds(table: Table) -> list[Callable[[int], object]]:
    """What is done, over and over; each gets a number that is another one every time."""
    keys = SessionKeys((1, b"k" * 32))

    def forward(n: int) -> object:
        decision = table.decide("GET", f"http://shop.example/cart/{n}?a={n}", {"accept": "text/html", f"x-{n}": str(n)})
        assert isinstance(decision, Forward)
        return decision.backend, decision.matched, decision.request_timeout, decision.apply_request([(b"host", b"a"), (b"x", str(n).encode())])

    def session(n: int) -> object:
        headers = [("host", "session.example"), ("cookie", f"s={n}"), ("origin", "https://a.example")]
        decision = table.decide("GET", f"/{n}", headers, pick=n, sessions=keys, now=n)
        assert isinstance(decision, Forward)
        return decision.session, decision.session_field(keys, None, n), decision.mirrors, decision.apply_response([("age", str(n))]), hash(decision)

    def wrong(n: int) -> object:
        try:
            return table.decide("GET", "/", [("a", "b")] * 3 + [(f"x {n}", "b")])
        except ValueError as error:
            return error

    def nowhere(n: int) -> object:
        try:
            return table.decide("GET", "/", listener=f"none-{n}")
        except gatewright.PlaceError as error:
            return error

    def redirect(n: int) -> object:
        decision = table.decide("GET", f"http://shop.example/old?{n}")
        assert isinstance(decision, Redirect)
        return decision.answer()

    return [
        forward,
        session,
        wrong,
        nowhere,
        redirect,
        lambda n: repr(table.decide("GET", f"http://{n}.example/")),
        lambda n: table.decide("GET", "/%zz" + str(n), {"host": "shop.example"}).to_dict(),
        lambda n: isinstance(table.decide("GET", f"/{n}", service="default/web", client="default", port=8000 + n % 100), PassThrough),
        lambda n: table.decide_connection("tcp", port=5432, pick=n),
        lambda n: str(table.explain("GET", f"http://shop.example/cart/{n}")),
    ]


def compiled(n: int) -> object:
    """A table with all that it makes on demand."""
    text = (HERE / "gateway.yaml").read_text() + MORE
    table = gatewright.compile([text, {"kind": "Other", "apiVersion": "a/v1", "metadata": {"name": f"n{n}"}}], merge_slashes=bool(n % 2))
    try:
        gatewright.compile(f"{n}: [")
    except gatewright.ManifestError as error:
        pickle.loads(pickle.dumps(error))
    made = table.conditions, table.routing, table.diagnostics, table.backends, table.to_mermaid(), table._repr_html_()
    return made, pickle.loads(pickle.dumps(table)), table.decide("GET", "http://shop.example/cart").route


def main(decisions: int, compiles: int) -> int | None:
    """How much memory grew after a tenth of all, in KiB."""
    table = gatewright.compile((HERE / "gateway.yaml").read_text() + MORE)
    kept: list[object] = []
    leaks = bool(os.environ.get("GATEWRIGHT_LEAK"))
    start: int | None = None
    made: object = None
    all_rounds = rounds(table)
    for number, one in zip(range(decisions), itertools.cycle(all_rounds), strict=False):
        if number == decisions // 10:
            gc.collect()
            start = resident()
        made = one(number)
        if leaks and number % 10 == 1:
            kept.append(made)
        if number % max(1, decisions // compiles) == 0:
            compiled(number)
    made = None
    gc.collect()
    end = resident()
    return None if start is None or end is None else end - start


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    grown = main(*(given + [1_000_000, 200][len(given) :]))
    print("no /proc/self/status here" if grown is None else grown)
