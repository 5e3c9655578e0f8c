"""Whether the typed face of a decision says what its data says."""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

import gatewright
from gatewright import Decision, Forward, PassThrough, Redirect, Respond

#: Members of JSON that are the decision's own, beside those of its match.
MATCH = ("gateway", "listener", "listenerSet", "service", "route", "rule", "ruleName", "match")
#: What the typed face has and JSON has not.
MORE = {"endpoints", "established", "endpoint"}


def member(field: str, value: object) -> str:
    """The name of a field in JSON."""
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest) + ("Ms" if isinstance(value, timedelta) else "")


def plain(value: Any) -> Any:
    """A value of the typed face as JSON has it: what is empty is left out."""
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        pairs = ((member(field.name, found), found) for field in fields(value) if field.name not in MORE for found in [getattr(value, field.name)])
        return {name: plain(found) for name, found in pairs if found is not None}
    return value


def lean(value: Any) -> Any:
    """JSON without what says nothing: both sides leave out other things."""
    if isinstance(value, dict):
        return {name: lean(found) for name, found in value.items() if found not in (None, "", [], (), False, 0)}
    if isinstance(value, list):
        return [lean(item) for item in value]
    return value


def disagreements(decision: Decision | PassThrough) -> list[str]:
    """Properties that say something else than `to_dict()`."""
    data = decision.to_dict()
    if isinstance(decision, PassThrough):
        return [] if data == {"decision": "passThrough"} and decision.kind == "pass_through" else ["it passes through"]
    typed: dict[str, Any] = {"decision": decision.kind, "responseHeaders": decision.response_edits, "auth": decision.auth}
    typed["extensions"] = decision.extensions
    if isinstance(decision, Forward):
        typed |= {
            "backend": decision.backend,
            "target": decision.target,
            "authority": decision.authority,
            "requestHeaders": decision.request_edits,
            "mirrors": decision.mirrors,
            "requestTimeoutMs": decision.request_timeout,
            "backendRequestTimeoutMs": decision.backend_request_timeout,
            "retry": decision.retry,
            "session": decision.session,
        }
    elif isinstance(decision, Redirect):
        typed |= {"status": decision.status, "location": decision.location}
    elif isinstance(decision, Respond):
        typed |= {"status": decision.status, "reason": decision.reason, "message": decision.message}
        typed["grpcStatus"] = decision.grpc_status
    matched = plain(decision.matched) or {}
    wrong = list(broken_promises(decision, type(decision), "decision"))
    for name, value in (typed | {name: matched.get(name) for name in MATCH}).items():
        if lean({name: plain(value)}) != lean({name: data.pop(name, None)}):
            wrong.append(f"{name} is {value!r}, to_dict() says {decision.to_dict().get(name)!r}")
    wrong += [f"{name} is in to_dict() only" for name in data]
    if decision.matched is not None:
        alone = (decision.route, decision.rule, decision.rule_name)
        if alone != (decision.matched.route, decision.matched.rule, decision.matched.rule_name):
            wrong.append(f"{alone!r} is not of {decision.matched!r}")
    if isinstance(decision, Forward):
        path, _, query = decision.target.partition("?")
        if (decision.path, decision.query) != (path, query if "?" in decision.target else None):
            wrong.append(f"path {decision.path!r} and query {decision.query!r} are not those of {decision.target!r}")
    return wrong


@cache
def promised(kind: type) -> dict[str, Any]:
    """The types of attributes: of a data class as it says, of a native class as the stub says."""
    if is_dataclass(kind):
        return typing.get_type_hints(kind)
    stub = ast.parse((Path(gatewright.__file__).parent / "_gatewright.pyi").read_text())
    body = next(node.body for node in stub.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    names = vars(gatewright) | {"timedelta": timedelta}
    properties = [node for node in body if isinstance(node, ast.FunctionDef) and [ast.unparse(one) for one in node.decorator_list] == ["property"]]
    return {node.name: eval(ast.unparse(node.returns), dict(names)) for node in properties if node.returns is not None}


def broken_promises(value: Any, promise: Any, where: str) -> Iterator[str]:
    """What of a value is not of its type."""
    origin, arguments = typing.get_origin(promise), typing.get_args(promise)
    if promise is Any:
        return
    if origin in (Union, types.UnionType):
        broken = [list(broken_promises(value, one, where)) for one in arguments]
        yield from [] if not all(broken) else broken[0]
    elif origin is Literal:
        if value not in arguments:
            yield f"{where} is {value!r}, none of {arguments!r}"
    elif origin is tuple:
        assert arguments[1:] == (...,), promise
        if isinstance(value, tuple):
            for item in value:
                yield from broken_promises(item, arguments[0], where)
        else:
            yield f"{where} is {value!r}, no tuple"
    elif not isinstance(value, origin or promise or type(None)):
        yield f"{where} is {value!r}, no {promise}"
    elif is_dataclass(value) or isinstance(value, (Forward, Redirect, Respond)):
        kind: Any = type(value)
        for name, inner in promised(kind).items():
            yield from broken_promises(getattr(value, name), inner, f"{where}.{name}")
