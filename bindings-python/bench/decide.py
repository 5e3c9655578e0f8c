"""What a decision costs from Python, beside what people write by hand and what frameworks do.

    cargo xtask python bench

Rivals answer the same requests in turns, round by round, in one process; what is told is the median of the rounds. All but
the last two must find the same rule for every request. Those know no header fields, queries or regular expressions: they get
the rules that have none, and requests for them.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable

import gatewright
from dicts import Dicts

ROUNDS = 15
Call = tuple[str, str, dict[str, str]]


def manifests(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "gateway"},
        "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }
    kinds = {"Exact": "Exact", "Prefix": "PathPrefix", "Regex": "RegularExpression"}
    hosts: dict[str, list[dict[str, Any]]] = {}
    for number, rule in enumerate(rules):
        match = {
            "path": {"type": kinds[rule["path"]["t"]], "value": rule["path"]["v"]},
            "headers": [{"name": name, "value": value} for name, value in rule["headers"]],
            "queryParams": [{"name": name, "value": value} for name, value in rule["query"]],
        }
        of_host = hosts.setdefault(rule["host"], [])
        of_host.append({"name": f"n{number}", "matches": [match], "backendRefs": [{"name": f"b{number}", "port": 80}]})
    routes = [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": f"route-{number:06}"},
            "spec": {"parentRefs": [{"name": "gateway"}], "hostnames": [host], "rules": rules},
        }
        for number, (host, rules) in enumerate(hosts.items())
    ]
    return [gateway, *routes]


def calls(requests: list[dict[str, Any]]) -> list[Call]:
    made: list[Call] = []
    for request in requests:
        # Names are interned, as those in source code are.
        fields = [("host", request["host"]), *request["headers"]]
        headers = {sys.intern(name): value for name, value in fields}
        query = f"?{request['query']}" if request["query"] else ""
        made.append((request["method"], request["path"] + query, headers))
    return made


def starlette(rules: list[dict[str, Any]]) -> Callable[..., Any]:
    """A router for each host, found by a dict."""
    from starlette.routing import Match, Mount, Route

    def endpoint(request: Any) -> None: ...

    hosts: dict[str, list[Any]] = {}
    for rule in rules:
        path, kind = rule["path"]["v"], rule["path"]["t"]
        hosts.setdefault(rule["host"], []).append(Route(path, endpoint) if kind == "Exact" else Mount(path, endpoint))

    def decide(method: str, url: str, headers: dict[str, str]) -> Any:
        scope = {"type": "http", "method": method, "path": url.partition("?")[0], "root_path": ""}
        for route in hosts.get(headers["host"].partition(":")[0].lower(), ()):
            if route.matches(scope)[0] is Match.FULL:
                return route
        return None

    return decide


def werkzeug(rules: list[dict[str, Any]]) -> Callable[..., Any]:
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import Map, Rule

    table = Map(host_matching=True, strict_slashes=False, merge_slashes=False)
    for number, rule in enumerate(rules):
        path, host = rule["path"]["v"], rule["host"]
        table.add(Rule(path, endpoint=number, host=host))
        if rule["path"]["t"] == "Prefix":
            table.add(Rule(f"{path}/<path:rest>", endpoint=number, host=host))

    def decide(method: str, url: str, headers: dict[str, str]) -> Any:
        path, _, query = url.partition("?")
        try:
            return table.bind(headers["host"].partition(":")[0].lower(), query_args=query).match(path, method=method)
        except HTTPException:
            return None

    return decide


def empty(method: str, url: str, headers: dict[str, str]) -> None:
    return None


def lap(decide: Callable[..., Any], made: list[Call], repeats: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(repeats):
        for method, url, headers in made:
            decide(method, url, headers)
    return (time.perf_counter_ns() - start) / len(made) / repeats


def measure(rivals: dict[str, Callable[..., Any]], made: list[Call], repeats: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        for name, decide in rivals.items():
            taken[name].append(lap(decide, made, repeats))
    gc.enable()
    return {name: statistics.median(rounds) for name, rounds in taken.items()}


def agree(table: gatewright.Table, dicts: Dicts, made: list[Call], wanted: list[int | None]) -> None:
    for (method, url, headers), rule in zip(made, wanted, strict=True):
        decision = table.decide(method, url, headers)
        found = int(decision.rule_name[1:]) if isinstance(decision, gatewright.Forward) and decision.rule_name else None
        by_hand = dicts.decide(method, url, headers)
        if found != rule or by_hand != rule:
            raise SystemExit(f"{method} {url} {headers}: rule {rule}, gatewright finds {found}, the dicts {by_hand}")


def main(sets: Path, out: Path) -> None:
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    lines = [
        "# What a decision costs from Python",
        "",
        "Written by `cargo xtask python bench`; `bench/decide.py` says what is measured.",
        "",
        f"- Processor: {cpu}",
        f"- Python {platform.python_version()}, gatewright {gatewright.__version__}",
        "",
        "Nanoseconds for one call with method, target and a dict of 8 or 9 header fields, loop included. *Cold*: 16,384 requests one"
        " after the other, whose texts are not in the processor's caches. *Warm*: 128 of them again and again, as a server has just"
        " read them.",
        "",
        "| Rules | | gatewright | dicts by hand | gatewright to dicts | empty method | starlette | werkzeug |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for rules in (10, 1000, 10_000):
        data = json.loads((sets / f"set-{rules}.json").read_text())
        table, dicts = gatewright.compile(manifests(data["rules"])), Dicts(data["rules"])
        made = calls(data["requests"])
        agree(table, dicts, made, [request["expect"] for request in data["requests"]])
        plain = [rule for rule in data["rules"] if not (rule["headers"] or rule["query"] or rule["path"]["t"] == "Regex" or rule["host"][0] == "*")]
        rivals: dict[str, Callable[..., Any]] = {
            "gatewright": table.decide,
            "dicts": dicts.decide,
            "empty": table._nothing,
            "starlette": starlette(plain),
            "werkzeug": werkzeug(plain),
        }
        few = [call for call, request in zip(made, data["requests"]) if request["expect"] is not None][:2048]
        slow = {name: rivals.pop(name) for name in ("starlette", "werkzeug")}
        frameworks = measure(slow, few, 1)
        for how, some, repeats in (("cold", made, 1), ("warm", made[:128], 100)):
            ns = measure(rivals, some, repeats)
            ratio = ns["gatewright"] / ns["dicts"]
            others = f"{frameworks['starlette']:,.0f} | {frameworks['werkzeug']:,.0f}" if how == "cold" else "- | -"
            row = f"| {rules:,} | {how} | {ns['gatewright']:.0f} | {ns['dicts']:.0f} | {ratio:.2f} | {ns['empty']:.0f} | {others} |"
            print(row, flush=True)
            lines.append(row)
    lines += [
        "",
        "What is wanted: half of the dicts at every size, and at most the empty method and 1.3 times what the library takes by itself"
        " (`benches/RESULTS.md`). The dicts compare texts as they are: they know no canonical form of hosts and paths, refuse nothing,"
        " see header fields that `Connection` names, draw no backend by weight, and have no filters.",
    ]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
