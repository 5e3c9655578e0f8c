"""The examples in docstrings do what they say, and everything public has a docstring."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from typing import Any

import gatewright
import pytest
from conftest import HERE
from gatewright import Forward, _model, _table


def documented() -> Iterator[tuple[str, Any]]:
    """Everything public, with the members of classes."""
    yield "gatewright", gatewright
    for name in gatewright.__all__:
        thing = getattr(gatewright, name)
        yield name, thing
        if inspect.isclass(thing):
            for base in thing.__mro__[:-1]:
                if base.__module__.startswith("gatewright"):
                    yield from ((f"{name}.{member}", value) for member, value in vars(base).items() if not member.startswith("_"))


def with_examples() -> list[doctest.DocTest]:
    parser = doctest.DocTestParser()
    found: dict[str, doctest.DocTest] = {}
    for name, thing in documented():
        text = inspect.getdoc(thing) or ""
        if ">>>" in text:
            found.setdefault(text, parser.get_doctest(text, {}, name, None, None))
    return list(found.values())


@pytest.mark.parametrize("example", with_examples(), ids=lambda example: example.name)
def test_examples_do_what_they_say(example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not said, "".join(said)


def test_there_are_examples() -> None:
    names = {example.name for example in with_examples()}
    methods = {"Table.decide", "Table.explain", "Table.decide_asgi", "Table.decide_wsgi", "Table.decide_connection", "Table.to_mermaid"}
    carried_out = {"Forward.apply_request", "Forward.apply_response", "Forward.drops_trailer", "Redirect.answer", "Forward.to_dict"}
    beside = {"Forward.failure", "Forward.retry_pause", "Forward.retry_window", "RetryWindow", "forwarded", "hops", "is_grpc"}
    assert names >= {"gatewright", "compile", "ManifestError", "SessionKeys"} | methods | carried_out | beside


def test_everything_public_is_documented() -> None:
    aliases = {"Decision", "Headers", "Source", "__version__"}
    kinds: Any = (property, *{type(vars(cls)[name]) for cls, name in [(_table.Table, "routes"), (_table.Table, "explain"), (Forward, "to_dict"), (Forward, "target")]})
    bare = [
        name
        for name, thing in documented()
        if name not in aliases and (inspect.isclass(thing) or isinstance(thing, kinds)) and not inspect.getdoc(thing)
    ]
    assert not bare
    # A data class without a docstring gets its signature as one.
    generated = [name for name, thing in vars(_model).items() if inspect.isclass(thing) and str(thing.__doc__).startswith(f"{name}(")]
    assert not generated


def test_signatures_are_told() -> None:
    expected = "gateway port listener sni service client authority scheme http_version pick sessions now".split()
    signature = inspect.signature(gatewright.Table.decide)
    assert [name for name, given in signature.parameters.items() if given.kind is given.KEYWORD_ONLY] == expected
    assert all(given.default is None for given in signature.parameters.values() if given.kind is given.KEYWORD_ONLY)
    assert list(inspect.signature(gatewright.Table.explain).parameters)[1:] == ["method", "url", "headers", *expected[:-2]]
    assert str(inspect.signature(gatewright.SessionKeys)) == "(current, older=())"
