"""Header fields come in every shape that Python libraries have, and mean the same in each."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from typing import Any

import gatewright
import pytest
from gatewright import Forward, Headers, Table

#: `x-tag: b` and one of two `accept` lines decide.
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gateway}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: tagged}
spec:
  parentRefs: [{name: gateway}]
  rules:
  - matches: [{headers: [{name: X-Tag, value: b}]}]
    backendRefs: [{name: tagged, port: 80}]
  - backendRefs: [{name: other, port: 80}]
"""
LINES = [("Host", "a.example"), ("X-Tag", "a"), ("Accept", "text/html"), ("x-tag", "b")]
MULTIPLE = {"Host": ["a.example"], "X-Tag": ["a", "b"], "Accept": ["text/html"]}


@pytest.fixture(scope="module")
def tags() -> Table:
    return gatewright.compile(MANIFEST)


def encoded(lines: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in lines]


def message() -> Message:
    made = Message()
    for name, value in LINES:
        made[name] = value
    return made


def starlette() -> Any:
    return pytest.importorskip("starlette.datastructures").Headers(raw=encoded([(name.lower(), value) for name, value in LINES]))


def httpx() -> Any:
    return pytest.importorskip("httpx").Headers(LINES)


def werkzeug() -> Any:
    return pytest.importorskip("werkzeug.datastructures").Headers(LINES)


def multidict() -> Any:
    return pytest.importorskip("multidict").CIMultiDict(LINES)


class OnlyItems:
    def items(self) -> Iterator[tuple[str, str]]:
        yield from LINES


class OnlyMultiItems(OnlyItems):
    def items(self) -> Iterator[tuple[str, str]]:
        raise AssertionError("multi_items is asked first")

    def multi_items(self) -> list[tuple[str, str]]:
        return LINES


class DictOfMany(dict[str, Any]):
    """A subclass whose `items` tell more than its parent has."""

    def items(self) -> Any:
        return LINES


SHAPES: dict[str, Callable[[], Any]] = {
    "pairs": lambda: LINES,
    "pairs of bytes": lambda: encoded(LINES),
    "mixed pairs": lambda: [("Host", b"a.example"), (b"X-Tag", "a"), ("Accept", "text/html"), (b"x-tag", b"b")],
    "pairs as lists": lambda: [list(line) for line in LINES],
    "a tuple": lambda: tuple(LINES),
    "a generator": lambda: (line for line in LINES),
    "zip": lambda: zip([name for name, _ in LINES], [value for _, value in LINES], strict=True),
    "a user's list": lambda: UserList(LINES),
    "a dict of lists": lambda: MULTIPLE,
    "a dict of lists of bytes": lambda: {name.encode(): [value.encode() for value in values] for name, values in MULTIPLE.items()},
    "an ordered dict": lambda: OrderedDict(MULTIPLE),
    "a user's dict": lambda: UserDict(MULTIPLE),
    "the items of a dict": lambda: MULTIPLE.items(),
    "a subclass of dict": lambda: DictOfMany(),
    "items alone": OnlyItems,
    "multi_items first": OnlyMultiItems,
    "email": message,
    "Starlette": starlette,
    "httpx": httpx,
    "werkzeug": werkzeug,
    "multidict (aiohttp)": multidict,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_means_the_same(tags: Table, shape: str) -> None:
    decision = tags.decide("GET", "/", SHAPES[shape]())
    assert isinstance(decision, Forward) and decision.backend.name == "tagged"
    assert decision.authority == "a.example"
    applied = decision.apply_request(SHAPES[shape]())
    text = [(name, value) if isinstance(name, str) else (name.decode(), value.decode()) for name, value in applied]
    assert sorted(text) == [("accept", "text/html"), ("host", "a.example"), ("x-tag", "a"), ("x-tag", "b")]
    assert tags.explain("GET", "/", SHAPES[shape]()).decision == decision.to_dict()


def test_a_subclass_of_text_is_text(tags: Table) -> None:
    class Name(str):
        def lower(self) -> str:
            raise AssertionError("names are not asked")

    assert isinstance(decision := tags.decide("GET", "/", [(Name("X-TAG"), Name("b"))]), Forward)
    assert decision.backend.name == "tagged"


def test_duplicates_keep_their_order(tags: Table) -> None:
    decision = tags.decide("GET", "/", [("host", "a.example")])
    assert isinstance(decision, Forward)
    values = [value for name, value in decision.apply_request([("X-A", str(n)) for n in range(50)]) if name == "x-a"]
    assert values == [str(n) for n in range(50)]


@pytest.mark.parametrize("value", ["é", "\xff\x80", "ÿ" * 300])
def test_text_is_latin_1(tags: Table, value: str) -> None:
    decision = tags.decide("GET", "/", [("host", "a.example"), ("x-a", value)])
    assert isinstance(decision, Forward)
    assert ("x-a", value) in decision.apply_request([("x-a", value)])
    assert (b"x-a", value.encode("latin-1")) in decision.apply_request([(b"x-a", value.encode("latin-1"))])
    assert (b"x-a", value.encode("latin-1")) in decision.apply_request([("x-a", value)], as_bytes=True)


def test_pairs_are_of_the_text_that_is_wanted(tags: Table) -> None:
    decision = tags.decide("GET", "http://a.example/")
    assert isinstance(decision, Forward)
    assert decision.apply_request() == decision.apply_request([]) == [("host", "a.example")]
    assert decision.apply_request([], as_bytes=True) == [(b"host", b"a.example")]
    assert decision.apply_request([(b"host", b"b.example")], as_bytes=False) == [("host", "a.example")]
    assert decision.apply_response([], as_bytes=True) == []


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "one text": ("host: a", TypeError, "not one text"),
    "one text of bytes": (b"host: a", TypeError, "not one text"),
    "a number": (7, TypeError, "not int"),
    "a pair of three": ([("a", "b", "c")], TypeError, "pair of name and value"),
    "a text as a pair": (["ab"], TypeError, "pair of name and value"),
    "a number as a value": ({"x-tag": 7}, TypeError, "str or bytes, not int"),
    "None as a value": ({"x-tag": None}, TypeError, "str or bytes, not NoneType"),
    "a bytearray": ([(b"x-tag", bytearray(b"b"))], TypeError, "str or bytes, not bytearray"),
    "a character that is no octet": ({"x-tag": "€"}, ValueError, "U\\+00FF"),
    "half a character": ({"x-tag": "\ud800"}, ValueError, "U\\+00FF"),
    "an empty name": ({"": "b"}, ValueError, "no token"),
    "a name with a space": ({"a b": "c"}, ValueError, "no token"),
    "a name of Latin-1": ({"é": "c"}, ValueError, "no token"),
    "a line end": ({"x-tag": "b\r\nc: d"}, ValueError, "control characters"),
    "NUL": ({"x-tag": b"\0"}, ValueError, "control characters"),
    "too many": ([("a", "b")] * 16_385, ValueError, "more than 16384"),
    "too many values": ({"x-tag": ["b"] * 16_385}, ValueError, "more than 16384"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_message_has_is_refused(tags: Table, case: str) -> None:
    headers, error, words = REFUSED[case]
    ask: list[Callable[[Headers], object]] = [lambda given: tags.decide("GET", "/", given), lambda given: tags.explain("GET", "/", given)]
    decision = tags.decide("GET", "http://a.example/")
    assert isinstance(decision, Forward)
    one: Any
    for one in (*ask, decision.apply_request, decision.apply_response):
        with pytest.raises(error, match=words):
            one(headers)


def test_what_no_rule_looks_at_is_not_looked_at(tags: Table) -> None:
    """Decisions read the fields that count; carrying them out reads all."""
    decision = tags.decide("GET", "http://a.example/", {"other": 7, "x-tag": "b"})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert isinstance(decision, Forward) and decision.backend.name == "tagged"
    with pytest.raises(TypeError, match="not int"):
        decision.apply_request({"other": 7})  # type: ignore[arg-type] # pyright: ignore[reportCallIssue, reportArgumentType]


def test_as_many_as_there_may_be(tags: Table) -> None:
    """The bound leaves room for the edits: what is decided can be carried out."""
    lines = [("host", "a.example"), *((f"a-{n}", "") for n in range(16_383))]
    decision = tags.decide("GET", "/", lines)
    assert isinstance(decision, Forward)
    assert len(decision.apply_request(lines)) == len(decision.apply_response(lines)) == 16_384
    too_many = [*lines, ("a", "b")]
    one: Any
    headers: Any
    for one in (decision.apply_request, decision.apply_response):
        for headers in (too_many, dict(too_many)):
            with pytest.raises(ValueError, match="more than 16384"):
                one(headers)


def test_edits_without_number() -> None:
    """A manifest that the API server would refuse is no panic, either."""
    sets = [{"name": f"e-{n}", "value": "v"} for n in range(30_000)]
    modifier = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": sets}}
    rule = {"filters": [modifier], "backendRefs": [{"name": "a", "port": 80}]}
    spec = {"parentRefs": [{"name": "gateway"}], "rules": [rule]}
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": spec}
    decision = gatewright.compile([MANIFEST.split("---")[0], route]).decide("GET", "http://a.example/")
    assert isinstance(decision, Forward)
    assert len(decision.apply_request([(f"a-{n}", "") for n in range(16_000)])) >= 16_384


def test_names_are_told_apart_wherever_they_are(tags: Table) -> None:
    """Names that come and go have each other's addresses, literals stay; case and type are as they come."""
    for number in range(3000):
        counts = number % 3 == 0
        name = "".join(["X-" if number % 2 else "x-", "tag" if counts else "gat"])
        lines: list[Headers] = [{name: "b"}, [(name, "b")], {name.encode(): b"b"}, {f"x-{number}": "b", name: "b"}]
        for headers in lines:
            decision = tags.decide("GET", "/", headers, authority="a.example")
            assert isinstance(decision, Forward) and decision.backend.name == ("tagged" if counts else "other"), headers
    for _ in range(3):
        assert [one.backend.name for one in (tags.decide("GET", "/", {"x-tag": "b"}, authority="a"), tags.decide("GET", "/", {"x-gat": "b"}, authority="a")) if isinstance(one, Forward)] == ["tagged", "other"]
