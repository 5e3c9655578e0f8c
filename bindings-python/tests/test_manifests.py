"""Manifests come in many shapes; what is wrong with them is told with file, line and column."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections import UserDict
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gatewright
import pytest
from conftest import MANIFEST
from gatewright import Forward, ManifestError, Table

TEXT = MANIFEST.read_text()
GATEWAY: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "gateway"},
    "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}


def route(name: str, created: Any = None) -> dict[str, Any]:
    metadata = {"name": name} if created is None else {"name": name, "creationTimestamp": created}
    rule = {"backendRefs": [{"name": name, "port": 80}]}
    spec = {"parentRefs": [{"name": "gateway"}], "rules": [rule]}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def winner(table: Table) -> str:
    decision = table.decide("GET", "http://a.example/")
    return decision.backend.name if isinstance(decision, Forward) else str(decision)


def nested() -> Iterator[Any]:
    yield [GATEWAY]
    yield ((one for one in [json.dumps(route("web")).encode()]), [])


@pytest.mark.parametrize(
    "source",
    [TEXT, TEXT.encode(), MANIFEST, [MANIFEST], "\ufeff" + TEXT, TEXT.replace("\n", "\r\n"), TEXT.split("\n---\n"), iter(TEXT.split("\n---\n"))],
    ids=["text", "bytes", "a path", "a list of a path", "with a byte order mark", "with carriage returns", "a list of texts", "an iterator"],
)
def test_shapes_of_text(source: Any) -> None:
    table = gatewright.compile(source)
    assert [str(one) for one in table.routes] == ["HTTPRoute/default/shop", "TCPRoute/default/database"]
    assert {one.severity for one in table.diagnostics} == {"info"}, "Services are assumed to exist"


@pytest.mark.parametrize(
    "source",
    [[GATEWAY, route("web")], nested(), (UserDict(GATEWAY), UserDict(route("web"))), {"apiVersion": "v1", "kind": "List", "items": [GATEWAY, route("web")]}],
    ids=["mappings", "nested iterables", "other people's mappings", "a List"],
)
def test_shapes_of_objects(source: Any) -> None:
    assert winner(gatewright.compile(source)) == "web"


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.yaml").write_text(json.dumps(GATEWAY))
    (tmp_path / "b" / "c.json").write_text(json.dumps(route("web")))
    (tmp_path / "ignored.txt").write_text("{")
    for table in (gatewright.load(tmp_path), gatewright.load(str(tmp_path)), gatewright.compile(tmp_path), gatewright.load(tmp_path / "b", tmp_path / "a.yaml")):
        assert winner(table) == "web"
    with pytest.raises(TypeError, match="at least one path"):
        gatewright.load()


def test_times_are_those_of_kubernetes() -> None:
    """The older route wins; a time without a zone is UTC, whatever the zone of the machine."""
    noon, east = datetime(2024, 5, 1, 12), timezone(timedelta(hours=5))
    older: list[Any] = [noon, noon.replace(tzinfo=timezone.utc), datetime(2024, 5, 1, 17, tzinfo=east), "2024-05-01T12:00:00Z", date(2024, 5, 1)]
    for created in older:
        created = created if not type(created) is date else datetime(2024, 5, 1)
        table = gatewright.compile([GATEWAY, route("b", created), route("a", "2024-05-01T12:00:01Z")])
        assert winner(table) == "b", created
        table = gatewright.compile([GATEWAY, route("b", created), route("a", "2024-05-01T11:59:59Z")])
        assert winner(table) == ("a" if created != datetime(2024, 5, 1) else "b"), created


def test_errors_say_where(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(TEXT + "---\napiVersion: v1\nkind: [\n")
    with pytest.raises(ManifestError) as caught:
        gatewright.load(file)
    error = caught.value
    found = next(one for one in error.diagnostics if one.severity == "error")
    assert isinstance(error, ValueError) and isinstance(error, gatewright.GatewrightError)
    line = len(TEXT.splitlines()) + 3
    assert (found.code, found.severity, found.file, found.line) == ("GW001", "error", str(file), line) and found.column == 7
    assert found.message.startswith("unclosed bracket '['"), "the parser's own words"
    assert f"{file}:{line}:7" in str(error) and str(found) in str(error)
    assert found.to_dict()["position"] == {"file": str(file), "line": line, "column": 7}
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ManifestError and str(again) == str(error) and again.diagnostics == error.diagnostics
    assert [one.to_dict() for one in again.diagnostics] == [one.to_dict() for one in error.diagnostics]


def test_what_is_wrong_spoils_nothing_else(table: Table) -> None:
    wrong = TEXT + "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: x}, spec: {rules: [{backendRefs: [{name: a}]}]}}\n"
    kept = gatewright.compile(wrong)
    assert kept.decide("GET", "http://shop.example/cart") == table.decide("GET", "http://shop.example/cart")
    found = [one for one in kept.diagnostics if one.severity == "error"]
    assert found and found[0].object is not None and found[0].object.name == "x" and found[0].path and found[0].line
    with pytest.raises(ManifestError):
        gatewright.compile(wrong, raise_on="error")
    assert gatewright.compile("kind: [", raise_on="never").diagnostics
    with pytest.raises(ValueError, match="raise_on"):
        gatewright.compile(TEXT, raise_on="always")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none.yaml"), "\0", "a" * 5000):
        with pytest.raises(ManifestError):
            gatewright.load(name)
    with pytest.raises(ManifestError, match="gatewright.load"):
        gatewright.compile(str(MANIFEST))


#: A value that is not the default for each option, and a default: the core says which it takes.
OPTIONS: dict[str, tuple[Any, Any]] = {
    "profile": ("raw", "strict"),
    "merge_slashes": (False, True),
    "escaped_slashes": ("keep-unchanged", "reject"),
    "path_parameters": ("reject", "opaque"),
    "alias_headers": ("keep", "drop"),
    "path_regex": ("search", "full"),
    "value_regex": ("prefix", "full"),
    "regex_rank": ("by-length", "between-exact-and-prefix"),
    "hostname_fallback": ("none", "broader"),
    "repeated_headers": ("any-line-or-joined", "any-line"),
    "repeated_query": ("last", "first"),
    "query_decoding": ("raw", "form"),
    "name_order": ("tuple", "joined"),
    "http_and_grpc": ("merge", "separate"),
    "modifier_conflicts": ("set-add-remove", "reject"),
    "preflights": ("as-matched", "by-requested-method"),
    "redirect_port": ("host", "listener"),
}
#: Those whose effect is seen otherwise, below.
BEYOND = {"controller", "missing_services", "endpoint_addresses", "without_features", "addresses", "unavailable_ports", "extensions"}


def test_all_options_are_here() -> None:
    assert set(gatewright.Options.__annotations__) == set(OPTIONS) | BEYOND


@pytest.mark.parametrize("name", OPTIONS)
def test_options_about_matching_reach_the_core(name: str) -> None:
    """An explanation says the options that are not the default."""
    value, default = OPTIONS[name]

    def told(**options: Any) -> dict[str, str]:
        return gatewright.compile(TEXT, **options).explain("GET", "http://shop.example/").options

    plain = told()
    assert told(**{name: default}) == plain == told(**{name: None})
    changed = told(**{name: value})
    assert changed != plain
    if name != "profile":
        assert {option.replace("-", "_"): said for option, said in changed.items()}[name] == str(value).lower()


def test_other_options_reach_the_core() -> None:
    def conditions(**options: Any) -> set[str]:
        return {str(one) for one in gatewright.compile(TEXT, raise_on="never", **options).conditions}

    plain = conditions()
    cls = "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: any}, spec: {controllerName: a.example/b}}\n---\n"
    assert len(gatewright.compile(cls + TEXT, controller="a.example/b").gateways) == 1
    assert len(gatewright.compile(cls + TEXT, controller="a.example/c").gateways) == 0
    assert conditions(missing_services="not-found") != plain == conditions(missing_services="infer") == conditions(missing_services="assume")
    assert conditions(unavailable_ports={80}) != plain == conditions(unavailable_ports=[])
    assert conditions(without_features=("HTTPRouteRequestTimeout",)) != plain == conditions(without_features=())
    status = gatewright.compile(TEXT, addresses=iter(["192.0.2.1", "Hostname a.example"])).status["gateways"][0]["status"]
    assert status["addresses"] == [{"type": "IPAddress", "value": "192.0.2.1"}]
    named = TEXT.replace("  listeners:", "  addresses: [{type: Hostname, value: a.example}]\n  listeners:")
    given = [gatewright.compile(named, raise_on="never", addresses=[address]).conditions for address in ("a.example", "Hostname a.example")]
    programmed = [next(one.status for one in all_ if one.object.kind == "Gateway" and one.type == "Programmed") for all_ in given]
    assert programmed == ["False", "True"], "the type counts"
    filtered = TEXT.replace("- {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-shop, value: live}]}}", "- {type: ExtensionRef, extensionRef: {group: a.example, kind: Check, name: c}}")
    decided = [gatewright.compile(filtered, raise_on="never", extensions=given).decide("GET", "http://shop.example/cart") for given in ([], ["a.example/Check default/c"])]
    assert decided[0].kind == "respond" and [str(one) for one in decided[1].extensions] == ["Check/default/c"]
    slices = TEXT + """---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 8080}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 9}]
endpoints: [{addresses: [127.0.0.1]}]
"""
    endpoints = [gatewright.compile(slices, missing_services="assume", endpoint_addresses=which).backends for which in ("other-hosts", "any")]
    assert [next(one.endpoints for one in all_ if one.name == "web") for all_ in endpoints] == [(), ("127.0.0.1:9",)]


@pytest.mark.parametrize(
    "options,error,words",
    [
        ({"colour": "red"}, TypeError, "colour"),
        ({"merge_slashes": "perhaps"}, ValueError, "merge_slashes"),
        ({"escaped_slashes": "sometimes"}, ValueError, "escaped_slashes"),
        ({"missing_services": "sometimes"}, ValueError, "missing_services"),
        ({"endpoint_addresses": 7}, TypeError, "endpoint_addresses"),
        ({"controller": 7}, TypeError, "controller"),
        ({"path_regex": ["full"]}, TypeError, "path_regex"),
        ({"without_features": "HTTPRoute"}, TypeError, "without_features"),
        ({"without_features": ["Everything"]}, ValueError, "Everything"),
        ({"extensions": ["Check"]}, ValueError, "namespace/name"),
        ({"unavailable_ports": ["80"]}, TypeError, "unavailable_ports"),
        ({"unavailable_ports": [65536]}, (OverflowError, ValueError), "range"),
        ({"addresses": 7}, TypeError, "addresses"),
        ({"controller": "\ud800"}, ValueError, "surrogates"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        gatewright.compile(TEXT, **options)


def test_tables_travel(table: Table) -> None:
    made = gatewright.compile(TEXT, merge_slashes=False, unavailable_ports={81})
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is Table and repr(again) == repr(made)
    assert again.explain("GET", "http://shop.example/cart") == made.explain("GET", "http://shop.example/cart")
    assert copy.copy(table) is table and copy.deepcopy({"a": table})["a"] is table


def test_what_a_table_tells(table: Table) -> None:
    assert repr(table) == "<Table of 1 Gateways, 2 routes, 4 rules>"
    assert [str(gateway) for gateway in table.gateways] == ["default/gateway"] and table.gateways[0].ports == (80, 5432)
    assert [(one.name, one.port, one.hostname, one.programmed) for one in table.listeners] == [("http", 80, None, True), ("database", 5432, None, True)]
    assert sorted(one.name for one in table.backends) == ["cart", "database", "web"]
    assert {one.dns_name for one in table.backends} >= {"cart.default.svc.cluster.local"}
    assert {(one.type, one.status) for one in table.conditions if one.object.kind == "HTTPRoute"} == {("Accepted", "True"), ("ResolvedRefs", "True")}
    assert {one.parent for one in table.conditions if one.object.kind == "HTTPRoute"} == {"default/gateway/http"}


def test_the_version_is_that_of_the_workspace() -> None:
    workspace = (Path(__file__).parents[2] / "Cargo.toml").read_text().partition("[workspace.package]")[2]
    found = re.search(r'^version = "(.+)"$', workspace, re.MULTILINE)
    assert found is not None and gatewright.__version__ == found[1]
