"""The answers of the engine as data (`conformance/answers.md`), and the same questions through this package."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gatewright
from gatewright import Forward, PassThrough, Redirect, Respond, SessionKeys, Table

from typed import broken_promises, disagreements

Lines = list[tuple[str, str]]


def path() -> Path | None:
    """The file that `cargo run -p gatewright-conformance --bin answers` wrote."""
    given = os.environ.get("GATEWRIGHT_ANSWERS")
    return Path(given) if given else None


def worlds(file: Path) -> Iterator[dict[str, Any]]:
    """Every line of the file."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def octets(lines: list[list[str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]


def in_order(lines: Lines | list[tuple[bytes, bytes]]) -> list[list[str]]:
    """Field lines as the file has them: by name, those of one name as they came."""
    text = [[part if isinstance(part, str) else part.decode("latin-1") for part in line] for line in lines]
    return sorted(text, key=lambda line: line[0])


class World:
    """A line of the file, asked again."""

    def __init__(self, line: dict[str, Any]) -> None:
        self.line = line
        self.differences: list[str] = []
        self.counts: Counter[str] = Counter()

    def equal(self, what: str, got: object, wanted: object) -> None:
        if got != wanted:
            self.differences.append(f"{self.line['id']}: {what} is\n  {got!r}\nthe engine says\n  {wanted!r}")

    def check(self) -> World:
        table = self.compiled(self.line["manifests"])
        self.counts["worlds"] += 1
        self.equal("status", table.status, self.line["status"])
        for name in ("diagnostics", "conditions", "gateways", "listeners", "routes", "backends", "routing"):
            for one in getattr(table, name):
                self.differences += broken_promises(one, type(one), f"{self.line['id']}: an item of {name}")
        self.diagnostics(table)
        for number, ask in enumerate(self.line["asks"]):
            self.counts[ask["kind"] + "s"] += 1
            check = self.request if ask["kind"] == "request" else self.connection
            check(table, ask, f"ask {number}")
        for number, steps in enumerate(self.line.get("conversations", ())):
            now = table
            for position, step in enumerate(steps):
                self.counts["steps of conversations"] += 1
                if "manifests" in step:
                    now = self.compiled(step["manifests"])
                self.step(now, step, f"step {position} of conversation {number}")
        return self

    def compiled(self, manifests: list[list[str]]) -> Table:
        return gatewright.compile((text for _, text in manifests), raise_on="never", **self.line["options"])

    def diagnostics(self, table: Table) -> None:
        """The findings; this package says the position of those of compiling, too, which the engine leaves to its caller."""
        manifests = self.line["manifests"]
        number = {f"<manifest {number}>" if number else "<manifest>": number for number in range(len(manifests))}
        found = [diagnostic.to_dict() for diagnostic in table.diagnostics]
        for one, wanted in zip(found, self.line["diagnostics"]):
            if (position := one.pop("position", None)) is None:
                continue
            name, text = manifests[number[position["file"]]]
            if "position" in wanted:
                one["position"] = position | {"file": name}
            elif not 1 <= position["column"] <= len(text.split("\n")[position["line"] - 1]) + 1:
                self.differences.append(f"{self.line['id']}: there is no {position}")
        self.equal("diagnostics", found, self.line["diagnostics"])

    @staticmethod
    def place(question: dict[str, Any]) -> dict[str, Any]:
        """Where it arrives, as keywords."""
        given: dict[str, Any] = {name: question[name] for name in ("gateway", "service", "client", "port") if name in question}
        given["pick"] = int(question["pick"])
        # A name that is left out would be the host.
        given["sni"] = question.get("sni", "")
        if "listener" in question:
            of = question.get("listener_set")
            given["listener"] = f"{of} {question['listener']}" if of else question["listener"]
        return given

    def asked(self, question: dict[str, Any]) -> tuple[tuple[str, bytes, list[tuple[bytes, bytes]]], dict[str, Any]]:
        """A request, as arguments and keywords."""
        given = self.place(question)
        headers = octets(question["headers"])
        if "scheme" in question:
            given["scheme"] = question["scheme"]
        if "authority" in question:
            given["authority"] = question["authority"].encode("latin-1")
        elif question["no_authority"] == "absent":
            given["http_version"] = "1.0"
        elif question["no_authority"] == "missing":
            given["http_version"] = "1.1"
        elif question["no_authority"] == "ambiguous" and sum(name.lower() == b"host" for name, _ in headers) < 2:
            headers = [(b"host", b"a.example"), (b"host", b"b.example"), *headers]
        return (question["method"], question["target"].encode("latin-1"), headers), given

    def request(self, table: Table, ask: dict[str, Any], what: str) -> None:
        arguments, given = self.asked(ask["request"])
        decision = table.decide(*arguments, **given)
        self.equal(f"{what}: decision", decision.to_dict(), ask["decision"])
        self.differences += [f"{self.line['id']}: {what}: {wrong}" for wrong in disagreements(decision)]
        if isinstance(decision, PassThrough):
            self.equal(f"{what}: applied", None, ask.get("applied"))
            return
        text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in arguments[2]]
        self.equal(f"{what}: decision for text", table.decide(*arguments[:2], text, **given), decision)
        if "explanation" in ask:
            explanation = table.explain(*arguments, **given)
            self.equal(f"{what}: explanation", explanation.to_dict(), ask["explanation"])
            self.differences += broken_promises(explanation, type(explanation), f"{self.line['id']}: {what}: explanation")
        self.equal(f"{what}: applied", self.applied(decision, ask["request"]["headers"], ask["applied"]), ask["applied"])

    def applied(self, decision: Forward | Redirect | Respond, headers: list[list[str]], applied: dict[str, Any]) -> dict[str, Any]:
        """The decision, carried out."""
        if not isinstance(decision, Forward):
            status, lines = decision.answer()
            return {"status": status, "headers": in_order(lines)}
        given = applied["given_response"]
        return {
            "target": decision.target,
            "request": in_order(decision.apply_request(octets(headers))),
            "given_response": given,
            "response": in_order(decision.apply_response([(name, value) for name, value in given])),
        }

    def connection(self, table: Table, ask: dict[str, Any], what: str) -> None:
        question = ask["connection"]
        decision = table.decide_connection(question["transport"], **self.place(question))
        self.equal(f"{what}: decision", decision.to_dict(), ask["decision"])
        self.differences += broken_promises(decision, type(decision), f"{self.line['id']}: {what}")
        self.equal(f"{what}: kind", decision.kind.replace("pass_through", "passThrough"), ask["decision"]["decision"])
        if "explanation" in ask:
            self.equal(f"{what}: explanation", decision.explanation, ask["explanation"])

    def step(self, table: Table, step: dict[str, Any], what: str) -> None:
        session = self.line["session"]
        keys, now = SessionKeys((session["key_id"], bytes.fromhex(session["key"]))), session["start"] + step["at"]
        arguments, given = self.asked(step["request"])
        decision = table.decide(*arguments, **given, sessions=keys, now=now)
        self.equal(f"{what}: decision", decision.to_dict(), step["decision"])
        self.differences += [f"{self.line['id']}: {what}: {wrong}" for wrong in disagreements(decision)]
        established, told = False, None
        if isinstance(decision, Forward):
            if (found := decision.session) is not None:
                established = found.established
                if found.endpoint is not None:
                    self.equal(f"{what}: endpoint", found.endpoint, step["endpoint"])
            field = decision.session_field(keys, step["endpoint"], now)
            told = None if field is None else list(field)
        self.equal(f"{what}: established", established, step["established"])
        self.equal(f"{what}: told", told, step["told"])
