"""The rival: what somebody writes by hand with dicts, for the routes of the standard sets."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus


class Dicts:
    """Hosts by name or wildcard, then paths: exact, regular expressions, prefixes from the longest."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.hosts: dict[str, tuple[Any, Any, Any]] = {}
        self.wildcards: dict[str, tuple[Any, Any, Any]] = {}
        for number, rule in enumerate(rules):
            host, kind, path = rule["host"], rule["path"]["t"], rule["path"]["v"]
            known = self.wildcards if host.startswith("*.") else self.hosts
            exact, regexes, prefixes = known.setdefault(host.removeprefix("*."), ({}, [], {}))
            entry = ([tuple(h) for h in rule["headers"]], [tuple(q) for q in rule["query"]], number)
            if kind == "Regex":
                regexes.append((len(path), re.compile(path).fullmatch, *entry))
            else:
                (exact if kind == "Exact" else prefixes).setdefault(path, []).append(entry)
        for exact, regexes, prefixes in [*self.hosts.values(), *self.wildcards.values()]:
            regexes.sort(key=lambda r: (-r[0], -len(r[2]), -len(r[3]), r[4]))
            for entries in [*exact.values(), *prefixes.values()]:
                entries.sort(key=lambda r: (-len(r[0]), -len(r[1]), r[2]))

    def decide(self, method: str, url: str, headers: dict[str, str]) -> int | None:
        path, _, query = url.partition("?")
        host = headers["host"].partition(":")[0].lower()
        found = self.hosts.get(host)
        while found is None:
            host = host.partition(".")[2]
            if not host:
                return None
            found = self.wildcards.get(host)
        exact, regexes, prefixes = found
        for needed, queries, rule in exact.get(path, ()):
            if (not needed or self.fit(headers, needed)) and (not queries or self.has(query, queries)):
                return rule
        for _, fullmatch, needed, queries, rule in regexes:
            if fullmatch(path) and (not needed or self.fit(headers, needed)) and (not queries or self.has(query, queries)):
                return rule
        while path:
            for needed, queries, rule in prefixes.get(path, ()):
                if (not needed or self.fit(headers, needed)) and (not queries or self.has(query, queries)):
                    return rule
            path = path.rpartition("/")[0]
        return None

    @staticmethod
    def fit(headers: dict[str, str], wanted: list[tuple[str, str]]) -> bool:
        for name, value in wanted:
            if headers.get(name) != value:
                return False
        return True

    @staticmethod
    def has(query: str, wanted: list[tuple[str, str]]) -> bool:
        if "%" in query or "+" in query:
            query = "&".join(f"{unquote_plus(n)}={unquote_plus(v)}" for n, _, v in (pair.partition("=") for pair in query.split("&")))
        given: dict[str, str] = {}
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            given.setdefault(name, value)
        return all(given.get(n) == v for n, v in wanted)
