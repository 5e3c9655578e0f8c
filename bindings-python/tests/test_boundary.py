"""Whatever a caller passes: a result or a clear exception, never a panic, a crash or a hang."""

# pyright: basic
from __future__ import annotations

import gc
import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import gatewright
import pytest
from conftest import MANIFEST
from gatewright import Decision, Forward, PassThrough, Redirect, Respond, Table
from hypothesis import given
from hypothesis import strategies as st

#: What may come out of a call with wrong arguments. PanicException is a BaseException, and SystemError is none of these.
CLEAR = (TypeError, ValueError, OverflowError, LookupError, RecursionError)

texts = st.text(st.characters(codec=None)) | st.sampled_from(["", "\0", "\ud800", "/", "http://", "https://[::1]:99999/", "%2f%", "*", "/" * 5000])
octets = st.binary() | texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
numbers = st.integers() | st.sampled_from([-1, 0, 80, 65535, 65536, 2**64 - 1, 2**64, -(2**63)])
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | texts | octets | st.builds(object) | st.just(...) | st.just(int),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(texts | octets | numbers, inner, max_size=3),
    max_leaves=8,
)
pairs = st.lists(st.tuples(texts | octets, texts | octets), max_size=5)
plausible_headers = st.none() | pairs | st.dictionaries(texts, texts | st.lists(texts, max_size=3), max_size=4) | anything
NAMES = ["gateway", "port", "listener", "sni", "service", "client", "authority", "scheme", "http_version", "pick", "sessions", "now"]
keywords = st.dictionaries(st.sampled_from(NAMES), texts | numbers | anything | st.sampled_from(["default/gateway", "http", "1.1", "a/b c"]), max_size=4)


def clear(call: Callable[[], object]) -> object:
    """The result, or None where a clear exception was raised."""
    try:
        return call()
    except gatewright.GatewrightError:
        return None
    except CLEAR as error:
        assert str(error) and "panic" not in str(error).lower()
        return None


@given(method=texts | anything, url=texts | octets | anything, headers=plausible_headers, options=keywords)
def test_decide_takes_anything(table: Table, method: Any, url: Any, headers: Any, options: Any) -> None:
    decision = clear(lambda: table.decide(method, url, headers, **options))
    if decision is not None:
        assert isinstance(decision, (Forward, Redirect, Respond, PassThrough))
        assert decision.to_dict() and repr(decision) and hash(decision) and decision == decision
    clear(lambda: table.explain(method, url, headers, **options))


@given(url=texts | octets, headers=pairs)
def test_what_is_decided_can_be_carried_out(table: Table, url: str | bytes, headers: Any) -> None:
    for target in (url, b"http://shop.example/cart/" + (url if isinstance(url, bytes) else url.encode("utf-8", "replace"))):
        decision = clear(lambda: table.decide("GET", target, headers))
        if isinstance(decision, Forward):
            assert decision.target.startswith(("/", "*")) and decision.target.isascii() and decision.target.isprintable() and " " not in decision.target
            # A decision looks at the fields that count only; the others are refused here.
            for carry_out in (decision.apply_request, decision.apply_response):
                for name, value in cast(Any, clear(partial(carry_out, headers))) or ():
                    text = value if isinstance(value, str) else value.decode("latin-1")
                    assert name == name.lower() and not any(mark in text for mark in "\r\n\0")
        elif isinstance(decision, (Redirect, Respond)):
            assert 200 <= decision.answer().status < 600


@given(headers=plausible_headers, client=texts | anything, scheme=texts | st.sampled_from(["http", "https"]) | anything)
def test_what_is_told_takes_anything(table: Table, headers: Any, client: Any, scheme: Any) -> None:
    decision: Any = table.decide("GET", "http://shop.example/cart")
    clear(lambda: decision.apply_request(headers, client=client, scheme=scheme))
    clear(lambda: gatewright.forwarded(headers, client=client, scheme=scheme))
    clear(lambda: gatewright.hops(headers))
    clear(lambda: gatewright.is_grpc(headers))


@given(status=numbers | st.integers(400, 599), headers=plausible_headers, message=texts | anything, grpc=numbers | st.integers(1, 16))
def test_failures_take_anything(table: Table, status: Any, headers: Any, message: Any, grpc: Any) -> None:
    decision = table.decide("GET", "http://shop.example/cart")
    clear(lambda: decision.failure(status, headers, message, grpc))
    clear(lambda: decision.failure(504, {"content-type": "application/grpc"}, message, 4))


@given(retry=numbers | anything, pick=numbers | anything, now=numbers | st.floats() | st.timedeltas() | anything)
def test_retries_take_anything(table: Table, retry: Any, pick: Any, now: Any) -> None:
    decision: Any = table.decide("GET", "http://shop.example/cart")
    clear(lambda: decision.retry_pause(retry, pick))
    clear(lambda: decision.retry_window().try_retry(now))


@given(transport=texts | st.sampled_from(["tls", "tcp", "udp"]) | anything, options=keywords)
def test_connections_take_anything(table: Table, transport: Any, options: Any) -> None:
    options = {name: value for name, value in options.items() if name in ("gateway", "port", "sni", "service", "client", "pick")}
    clear(lambda: table.decide_connection(transport, **options))


@given(scope=st.dictionaries(st.sampled_from(["type", "method", "raw_path", "query_string", "headers", "scheme", "http_version"]), anything | octets | texts))
def test_scopes_take_anything(table: Table, scope: Any) -> None:
    clear(lambda: table.decide_asgi(scope))


ENVIRON = ["REQUEST_METHOD", "RAW_URI", "REQUEST_URI", "HTTP_HOST", "HTTP_", "CONTENT_TYPE", "SERVER_PROTOCOL", "wsgi.url_scheme"]


@given(environ=st.dictionaries(st.sampled_from(ENVIRON) | texts, texts))
def test_environments_take_any_text(table: Table, environ: Any) -> None:
    clear(lambda: table.decide_wsgi(environ))


manifests = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | texts | st.datetimes() | st.dates() | st.sampled_from(["Gateway", "HTTPRoute", "v1", "any"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from(["apiVersion", "kind", "metadata", "spec", "name", "items"]), inner, max_size=4),
    max_leaves=10,
)


@given(source=manifests | octets | anything)
def test_compile_takes_anything(source: Any) -> None:
    # A bare text or path could be a file of the machine.
    found = clear(lambda: gatewright.compile([source], raise_on="never"))
    if isinstance(found, Table):
        for one in found.diagnostics:
            assert one.code and one.message and str(one)
        assert isinstance(found.status, dict) and found.to_mermaid() and found.conditions is not None


@given(where=st.sampled_from(["spec", "metadata", "kind", "apiVersion", "rules", "parentRefs"]), value=manifests)
def test_routes_of_any_content(where: str, value: Any) -> None:
    spec: dict[str, Any] = {"parentRefs": [{"name": "gateway"}], "rules": [{"backendRefs": [{"name": "a", "port": 80}]}]}
    route: dict[str, Any] = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": spec}
    (spec if where in spec else route)[where] = value
    table = clear(lambda: gatewright.compile([MANIFEST, route], raise_on="never"))
    if isinstance(table, Table):
        assert table.decide("GET", "http://shop.example/cart").kind == "forward", "one object spoils no other"


@given(options=st.dictionaries(st.sampled_from(sorted(gatewright.Options.__annotations__)) | texts, anything, max_size=3))
def test_options_take_anything(options: Any) -> None:
    clear(lambda: gatewright.compile([], **options))


@given(current=anything | st.tuples(numbers, octets), older=anything | st.lists(st.tuples(numbers, octets), max_size=2))
def test_keys_take_anything(current: Any, older: Any) -> None:
    clear(lambda: gatewright.SessionKeys(current, older))


# Objects that lie, raise or never end.


class Raises:
    """An object of which everything raises."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(f"{name} is not told")

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError("no iteration")


class LyingItems(Mapping[str, str]):
    """A mapping of which the items are whatever it is given."""

    def __init__(self, items: Callable[[], Any]) -> None:
        self.told = items

    def items(self) -> Any:
        return self.told()

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 2**40


def broken() -> Iterator[tuple[str, str]]:
    yield "a", "b"
    raise ZeroDivisionError("in the middle")


def test_what_callers_raise_goes_through(table: Table) -> None:
    for headers in (broken(), LyingItems(broken), LyingItems(lambda: 1 / 0)):
        with pytest.raises(ZeroDivisionError):
            table.decide("GET", "/", headers)
    with pytest.raises((KeyError, ZeroDivisionError)):
        table.decide("GET", "/", cast(Any, Raises()))
    with pytest.raises(ZeroDivisionError):
        gatewright.compile(cast(Any, (one for one in [MANIFEST, *broken()])))
    for items in (lambda: 7, lambda: None, lambda: [("a",)], lambda: ["ab"], lambda: {"host": 1}.items()):
        with pytest.raises(TypeError):
            table.decide("GET", "/", LyingItems(items))


class Interrupt(BaseException):
    """As KeyboardInterrupt: no error, and swallowed by nobody."""


def test_interruptions_go_through(table: Table) -> None:
    def interrupted() -> Iterator[tuple[str, str]]:
        yield "a", "b"
        raise Interrupt

    with pytest.raises(Interrupt):
        table.decide("GET", "/", interrupted())
    with pytest.raises(Interrupt):
        gatewright.compile(text for text, _ in interrupted())


ENDLESS: dict[str, Callable[[], Any]] = {
    "pairs": lambda: itertools.repeat(("a", "b")),
    "pairs without values": lambda: itertools.repeat(("a", [])),
    "items": lambda: LyingItems(lambda: itertools.repeat(("a", "b"))),
    "a generator": lambda: (("a", "b") for _ in itertools.count()),
}


@pytest.mark.parametrize("shape", ENDLESS)
def test_endless_headers_come_to_an_end(table: Table, shape: str) -> None:
    with pytest.raises(ValueError, match="more than 16384"):
        table.decide("GET", "/", ENDLESS[shape]())


def test_endless_manifests_come_to_an_end() -> None:
    with pytest.raises(ValueError, match="more than 1000000"):
        gatewright.compile(itertools.repeat(b""))
    with pytest.raises(ValueError, match="more than 1000000"):
        gatewright.compile([], unavailable_ports=itertools.repeat(80))


def test_bottomless_manifests_come_to_an_end() -> None:
    itself: list[Any] = []
    itself.append(itself)
    deep: Any = MANIFEST
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        gatewright.compile(itself)
    with pytest.raises(RecursionError):
        gatewright.compile(deep)
    circle: dict[str, Any] = {"kind": "Gateway"}
    circle["spec"] = circle
    with pytest.raises(ValueError, match="[Cc]ircular"):
        gatewright.compile(circle)
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    with pytest.raises(RecursionError):
        gatewright.compile(nested)
    for text in ("[" * 200_000, "{a: " * 200_000, "- " * 200_000, '{"a":' * 200_000):
        assert gatewright.compile(text, raise_on="never").diagnostics


def test_large_inputs(table: Table) -> None:
    """A hundred MiB of anything are an answer or an error, soon."""
    large = "a" * (100 << 20)
    for url in (f"http://shop.example/{large}", f"http://{large}/", large, f"/?{large}"):
        assert isinstance(table.decide("GET", url), (Forward, Respond))
    assert isinstance(table.decide(large, "http://shop.example/"), (Forward, Respond))
    decision = table.decide("GET", "http://shop.example/", {"x-a": large})
    assert isinstance(decision, Forward)
    assert ("x-a", large) in decision.apply_request({"x-a": large})
    for headers in ({large: "b"}, [(large.encode(), b"b")]):
        assert isinstance(table.decide("GET", "http://shop.example/", headers), (Forward, Respond))
        with pytest.raises(ValueError):
            decision.apply_request(headers)
    for name in ("gateway", "listener", "sni", "authority", "scheme", "http_version", "service"):
        options: Any = {name: large}
        clear(lambda options=options: table.decide("GET", "/", **options))  # type: ignore[misc]
    assert gatewright.compile(f"a: {large}", raise_on="never").diagnostics
    with pytest.raises(gatewright.ManifestError):
        gatewright.compile(large)


def test_arguments_out_of_range(table: Table) -> None:
    for port in (-1, 65536, 2**64):
        with pytest.raises((OverflowError, ValueError)):
            table.decide("GET", "/", port=port)
    for pick in (-1, 2**64, 2**200):
        with pytest.raises((OverflowError, ValueError)):
            table.decide("GET", "/", pick=pick)
    assert table.decide("GET", "http://shop.example/cart", pick=2**64 - 1).kind == "forward"
    with pytest.raises(ValueError, match="http_version"):
        table.decide("GET", "/", http_version="1.2")
    with pytest.raises(TypeError, match="now"):
        table.decide("GET", "/", sessions=gatewright.SessionKeys((1, b"a" * 32)))


def test_what_changes_during_the_call(table: Table) -> None:
    """Containers that change while they are read: an answer or an error, never freed memory."""
    lines: list[tuple[str, str]] = [("a", "b")] * 10

    class Clearing:
        def __iter__(self) -> Iterator[tuple[str, str]]:
            for line in lines:
                lines.clear()
                gc.collect()
                yield line

    assert table.decide("GET", "http://shop.example/", Clearing()).kind == "forward"
    fields: dict[str, Any] = {f"x-{n}": "v" for n in range(100)}

    class Growing(LyingItems):
        def items(self) -> Any:
            for item in fields.items():
                fields[f"y-{len(fields)}"] = "w"
                yield item

    with pytest.raises(RuntimeError, match="changed size"):
        table.decide("GET", "/", Growing(list))

    def reentrant() -> Iterator[tuple[str, str]]:
        yield "a", str(len(table.explain("GET", "http://shop.example/", [("a", "b")]).candidates))
        assert gatewright.compile(MANIFEST).decide("GET", "http://shop.example/").kind == "forward"

    assert table.decide("GET", "http://shop.example/", reentrant()).kind == "forward"


def test_decisions_outlive_their_table() -> None:
    table = gatewright.compile(MANIFEST)
    decision = table.decide("GET", "http://shop.example/cart")
    del table
    gc.collect()
    assert isinstance(decision, Forward) and decision.backend.name == "cart" and decision.to_dict() and decision.apply_request()


def test_threads_share_a_table(table: Table) -> None:
    """Eight threads decide on one table, whose objects are made meanwhile, while others compile."""
    shared = gatewright.compile(MANIFEST)
    errors: list[object] = []
    expected = {path: table.decide("GET", f"http://shop.example{path}") for path in ("/cart", "/old", "/")}
    start = threading.Barrier(10)

    def decide() -> None:
        start.wait()
        for n in range(3000):
            for path, wanted in expected.items():
                decision = shared.decide("GET", f"http://shop.example{path}", [("x-a", str(n))])
                if decision != wanted or decision.route != wanted.route or shared.routing != table.routing:
                    errors.append(decision)

    def compile_() -> None:
        start.wait()
        errors.extend(one for one in (gatewright.compile(MANIFEST) for _ in range(100)) if len(one.routes) != 2)

    def caught(run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=caught, args=(run,)) for run in [decide] * 8 + [compile_] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def asked_elsewhere(table: Table) -> str:
    decision: Decision = table.decide("GET", "http://shop.example/cart")
    return f"{decision!r} {table.decide('GET', 'http://shop.example/old').to_dict()}"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_other_processes(table: Table, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(asked_elsewhere, [table] * 4) == [asked_elsewhere(table)] * 4
