"""The table, and how it is made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypedDict, TypeVar, Union, overload

from . import _gatewright
from ._gatewright import Forward, Redirect, Respond
from ._model import (
    Backend,
    Condition,
    ConnectionDecision,
    Diagnostic,
    Explanation,
    Gateway,
    Listener,
    ManifestError,
    ObjectRef,
    PassThrough,
    PlaceError,
    RoutingRow,
    all_of,
)
from ._picture import dot, html, mermaid
from ._types import Headers, Where

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: What is to be done with a request.
Decision = Union[Forward, Redirect, Respond]

#: Manifests: text, octets, the path of a file or folder, an object, or many of these.
Source = Union[str, bytes, "os.PathLike[str]", Mapping[str, Any], Iterable["Source"]]

#: Manifests and values of an option at most: an endless iterable comes to an end.
MOST = 1_000_000

#: When manifests are refused with ``ManifestError``.
RaiseOn = Literal["unreadable", "error", "never"]


class Options(TypedDict, total=False):
    """Options of ``compile`` and ``load``. What the specification leaves open has the library's default."""

    #: Name of the controller whose GatewayClasses are served; default: every Gateway.
    controller: str
    #: What a backendRef to a Service means that is not in the manifests. ``infer``, the default: it exists unless the
    #: manifests have some Service of its namespace.
    missing_services: Literal["infer", "assume", "not-found"]
    #: Which addresses of EndpointSlices traffic may be sent to.
    endpoint_addresses: Literal["other-hosts", "any"]
    #: Features, by the names of the specification, that the program does not carry out.
    without_features: Iterable[str]
    #: Addresses that Gateways can be given, as ``Type value`` or an IP address.
    addresses: Iterable[str]
    #: Ports that cannot be opened.
    unavailable_ports: Iterable[int]
    #: ExtensionRef filters that the program runs itself, as ``group/Kind namespace/name``.
    extensions: Iterable[str]
    profile: Literal["strict", "compatible", "raw"]
    merge_slashes: bool
    escaped_slashes: Literal["reject", "keep-unchanged", "unescape-and-redirect", "unescape-and-forward"]
    path_parameters: Literal["opaque", "match-stripped", "reject"]
    alias_headers: Literal["drop", "reject", "keep"]
    path_regex: Literal["full", "prefix", "search"]
    value_regex: Literal["full", "prefix", "search"]
    regex_rank: Literal["between-exact-and-prefix", "after-prefix", "before-root", "by-length"]
    hostname_fallback: Literal["broader", "none"]
    repeated_headers: Literal["any-line", "any-line-or-joined"]
    repeated_query: Literal["first", "last", "any"]
    query_decoding: Literal["form", "raw"]
    name_order: Literal["joined", "tuple"]
    http_and_grpc: Literal["separate", "merge"]
    modifier_conflicts: Literal["reject", "set-add-remove"]
    preflights: Literal["by-requested-method", "as-matched"]
    redirect_port: Literal["listener", "host"]


def compile(source: Source, *, raise_on: RaiseOn = "unreadable", **options: Unpack[Options]) -> Table:
    """Compiles manifests into a table.

    ``source`` is the text of manifests (``str`` or ``bytes``, YAML or JSON, many documents), the ``Path`` of a file or
    folder, an object as a mapping (as ``yaml.safe_load`` or a Kubernetes client gives it), or an iterable of these.

    What is invalid never spoils the rest: it is left out or answers as the specification says, and stands in
    ``table.diagnostics`` and ``table.conditions``. ``raise_on`` says when ``ManifestError`` is raised all the same:
    ``"unreadable"`` when a text cannot be read as an object or a file cannot be read at all, ``"error"`` for any finding
    of severity error, ``"never"``.

    The options are those of ``Options``; an unknown one is a ``TypeError``.

    >>> import gatewright
    >>> table = gatewright.compile('''
    ... apiVersion: gateway.networking.k8s.io/v1
    ... kind: Gateway
    ... metadata: {name: gateway}
    ... spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
    ... ---
    ... apiVersion: gateway.networking.k8s.io/v1
    ... kind: HTTPRoute
    ... metadata: {name: web}
    ... spec:
    ...   parentRefs: [{name: gateway}]
    ...   rules: [{backendRefs: [{name: web, port: 8080}]}]
    ... ''')
    >>> table
    <Table of 1 Gateways, 1 routes, 1 rules>
    """
    sources: list[tuple[str, bytes]] = []
    errors: list[str] = []
    for number, one in enumerate(_bounded(_flat(source))):
        name = f"<manifest {number}>" if number else "<manifest>"
        if isinstance(one, str):
            sources.append((name, one.encode("utf-8", "surrogatepass")))
        elif isinstance(one, bytes):
            sources.append((name, one))
        elif isinstance(one, Mapping):
            sources.append((name, _json(one)))
        else:
            read, failed = _gatewright.read_files([os.fspath(one)])
            sources += read
            errors += failed
    return _checked(sources, errors, raise_on, dict(options))


def load(*paths: str | os.PathLike[str], raise_on: RaiseOn = "unreadable", **options: Unpack[Options]) -> Table:
    """Compiles the manifests in files and folders; ``-`` is standard input.

    Of a folder every ``.yaml``, ``.yml`` and ``.json`` file counts, those of folders inside of it, too. Otherwise like
    ``compile``.

    Raises ``ManifestError`` for files that cannot be read.
    """
    if not paths:
        raise TypeError("load() needs at least one path")
    sources, errors = _gatewright.read_files([os.fspath(path) for path in paths])
    return _checked(sources, errors, raise_on, dict(options))


def _checked(sources: list[tuple[str, bytes]], errors: list[str], raise_on: RaiseOn, options: dict[str, Any]) -> Table:
    if raise_on not in ("unreadable", "error", "never"):
        raise ValueError(f"raise_on is unreadable, error or never, found {raise_on!r}")
    for name, value in options.items():
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            options[name] = list(_bounded(value))
    table = Table(sources, options)
    if raise_on == "never":
        return table
    wrong = [found for found in table.diagnostics if found.severity == "error"]
    if errors or table._is_broken or (raise_on == "error" and wrong):
        lines = errors + [str(found) for found in wrong]
        shown = lines[:5] + ([f"and {len(lines) - 5} more"] if len(lines) > 5 else [])
        if not table.routes and len(sources) == 1 and b"\n" not in sources[0][1] and os.path.exists(sources[0][1][:1000]):
            shown.append("the text is the name of a file: gatewright.load() reads files")
        raise ManifestError("\n".join(shown), table.diagnostics)
    return table


def _flat(source: Any) -> Iterator[Any]:
    """The single sources of what may be nested."""
    if isinstance(source, (str, bytes, os.PathLike, Mapping)):
        yield source
    elif isinstance(source, Iterable):
        for one in source:
            yield from _flat(one)
    else:
        raise TypeError(f"manifests are text, bytes, a path, a mapping or an iterable of these, not {type(source).__name__}")


def _bounded(items: Iterable[Any]) -> Iterator[Any]:
    several = iter(items)
    yield from islice(several, MOST)
    for _ in several:
        raise ValueError(f"more than {MOST} manifests or values of an option")


def _json(manifest: Mapping[str, Any]) -> bytes:
    def other(value: Any) -> Any:
        # YAML readers turn times into objects.
        if isinstance(value, datetime):
            # A time without a zone is one of UTC (YAML 1.1, timestamp).
            value = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value
            return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"a manifest has a value of type {type(value).__name__}")

    return json.dumps(manifest, default=other).encode()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _gatewright.reseed(int.from_bytes(os.urandom(8), "little")))


T = TypeVar("T")


class _Once(Generic[T]):
    """A property that is computed once.

    That of ``functools`` has a lock until Python 3.12, which a process that is forked meanwhile finds locked for ever. Here two
    threads may compute it at the same time, to the same result.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, table: None, owner: type) -> _Once[T]: ...
    @overload
    def __get__(self, table: object, owner: type) -> T: ...
    def __get__(self, table: object | None, owner: type) -> T | _Once[T]:
        if table is None:
            return self
        # The next time the attribute is found before this.
        found: T = vars(table).setdefault(self._name, self._compute(table))
        return found


class Table(_gatewright.Table):
    """A compiled table: immutable, and free to be shared between threads and, by pickle, between processes.

    ``gatewright.compile`` and ``gatewright.load`` make one.
    """

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a table does not change: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a table does not change: {name} cannot be deleted")

    @overload
    def decide_asgi(self, scope: Mapping[str, Any], **options: Unpack[Where]) -> Decision: ...

    @overload
    def decide_asgi(self, scope: Mapping[str, Any], *, service: str, client: str, **options: Unpack[Where]) -> Decision | PassThrough: ...

    def decide_asgi(self, scope: Mapping[str, Any], **options: Any) -> Decision | PassThrough:
        """Decides the request of an ASGI scope of type ``http`` or ``websocket``.

        Reads ``raw_path``, the target as the client sent it: ``path`` is decoded, and a decoded path is another request
        (``/a%2Fb`` is not ``/a/b``). Options are those of ``decide``.

        Raises ``ValueError`` for a scope without ``raw_path``.

        >>> import gatewright
        >>> table = gatewright.load("gateway.yaml")
        >>> scope = {
        ...     "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
        ...     "raw_path": b"/cart", "query_string": b"id=7", "headers": [(b"host", b"shop.example")],
        ... }
        >>> table.decide_asgi(scope).target
        '/cart?id=7'
        """
        raw_path = scope.get("raw_path")
        if raw_path is None:
            raise ValueError("the ASGI server gives no raw_path, and a decoded path is another request")
        query = scope.get("query_string", b"")
        if "http_version" not in options:
            options["http_version"] = scope.get("http_version", "1.1")
        if "scheme" not in options:
            options["scheme"] = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
        target = raw_path + b"?" + query if query else raw_path
        decision: Decision | PassThrough = self.decide(scope.get("method", "GET"), target, scope["headers"], **options)
        return decision

    @overload
    def decide_wsgi(self, environ: Mapping[str, Any], **options: Unpack[Where]) -> Decision: ...

    @overload
    def decide_wsgi(self, environ: Mapping[str, Any], *, service: str, client: str, **options: Unpack[Where]) -> Decision | PassThrough: ...

    def decide_wsgi(self, environ: Mapping[str, Any], **options: Any) -> Decision | PassThrough:
        """Decides the request of a WSGI environment.

        Reads the target as the client sent it from ``RAW_URI`` (gunicorn) or ``REQUEST_URI`` (uWSGI, mod_wsgi, werkzeug):
        ``PATH_INFO`` is decoded, and a decoded path is another request. Options are those of ``decide``.

        Raises ``ValueError`` for a server that gives neither.

        >>> import gatewright
        >>> table = gatewright.load("gateway.yaml")
        >>> environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/cart?id=7", "HTTP_HOST": "shop.example"}
        >>> table.decide_wsgi(environ).target
        '/cart?id=7'
        """
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if target is None:
            raise ValueError("the WSGI server gives neither RAW_URI nor REQUEST_URI, and PATH_INFO is decoded: it is another request")
        headers = [(key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")]
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(key):
                headers.append((key.replace("_", "-"), environ[key]))
        if "http_version" not in options:
            options["http_version"] = environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/")
        if "scheme" not in options and not target.startswith("http"):
            options["scheme"] = environ.get("wsgi.url_scheme", "http")
        decision: Decision | PassThrough = self.decide(environ["REQUEST_METHOD"], target.encode("latin-1"), headers, **options)
        return decision

    def decide_connection(
        self,
        transport: Literal["tls", "tcp", "udp"],
        *,
        gateway: str | None = None,
        port: int | None = None,
        sni: str | None = None,
        service: str | None = None,
        client: str | None = None,
        pick: int | None = None,
    ) -> ConnectionDecision:
        """Decides a connection (TLS by server name, TCP) or the first datagram of a flow (UDP).

        The place and ``pick`` are those of ``decide``; without ``sni`` the client names no server.

        Raises ``PlaceError`` for a Gateway or port that the table does not have.

        >>> import gatewright
        >>> table = gatewright.load("gateway.yaml")
        >>> table.decide_connection("tcp", port=5432).backend.name
        'database'
        """
        found = self._connection(transport, gateway=gateway, port=port, sni=sni, service=service, client=client, pick=pick)
        return ConnectionDecision._of(found)

    def explain(
        self,
        method: str,
        url: str | bytes,
        headers: Headers | None = None,
        *,
        gateway: str | None = None,
        port: int | None = None,
        listener: str | None = None,
        sni: str | None = None,
        service: str | None = None,
        client: str | None = None,
        authority: str | bytes | None = None,
        scheme: str | None = None,
        http_version: str | None = None,
        pick: int | None = None,
    ) -> Explanation:
        """Says why a request is decided as it is: the winner, every other candidate, the nearest miss.

        Takes what ``decide`` takes, but for sessions. ``print`` shows it.

        Raises ``PlaceError`` in a mesh where no route has the Service as parent.

        >>> import gatewright
        >>> table = gatewright.load("gateway.yaml")
        >>> why = table.explain("GET", "http://shop.example/cart")
        >>> [(candidate.rule, candidate.verdict.result) for candidate in why.candidates]
        [(1, 'failed'), (0, 'won'), (2, 'lost')]
        >>> why.won_by
        'longer path match'
        """
        found = self._explain(
            method,
            url,
            headers,
            gateway=gateway,
            port=port,
            listener=listener,
            sni=sni,
            service=service,
            client=client,
            authority=authority,
            scheme=scheme,
            http_version=http_version,
            pick=pick,
        )
        if found is None:
            raise PlaceError("no route has this port of the Service as parent: the traffic passes through unmodified")
        return Explanation._of(*found)

    def to_mermaid(self) -> str:
        """The table as a flowchart in the language of Mermaid: listener, hostname, match, what is done.

        >>> import gatewright
        >>> print(gatewright.load("gateway.yaml").to_mermaid().splitlines()[0])
        flowchart LR
        """
        return mermaid(self.routing)

    def to_dot(self) -> str:
        """The same as a graph in the language of Graphviz.

        >>> import gatewright
        >>> print(gatewright.load("gateway.yaml").to_dot().splitlines()[0])
        digraph gatewright {
        """
        return dot(self.routing)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html(self.routing)

    @_Once
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings about the manifests, those of reading them first."""
        return tuple(Diagnostic._of(data, text) for data, text in self._diagnostics())

    @_Once
    def status(self) -> dict[str, list[dict[str, Any]]]:
        """The status of every object as in the CRDs, by kind: ``gateways``, ``httpRoutes``, …, each a list of ``object`` and
        ``status``."""
        return self._status()

    @_Once
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of every object, listener and parent."""
        return tuple(_conditions(self.status))

    @_Once
    def gateways(self) -> tuple[Gateway, ...]:
        """The Gateways that are served."""
        return tuple(Gateway(about["namespace"], about["name"], tuple(ports)) for about, ports in self._all_names["gateways"])

    @_Once
    def listeners(self) -> tuple[Listener, ...]:
        """The listeners that are served."""
        return tuple(Listener(gateway, ObjectRef._of(owner), *rest) for gateway, owner, *rest in self._all_names["listeners"])

    @_Once
    def routes(self) -> tuple[ObjectRef, ...]:
        """The routes that take part."""
        return all_of("ObjectRef", self._all_names["routes"])

    @_Once
    def backends(self) -> tuple[Backend, ...]:
        """The backends that requests may go to."""
        return tuple(self._all_names["backends"])

    @_Once
    def routing(self) -> tuple[RoutingRow, ...]:
        """The whole table in the order in which it decides."""
        return all_of("RoutingRow", self._routing())

    @_Once
    def _all_names(self) -> dict[str, Any]:
        return self._names()


def _conditions(status: Mapping[str, list[dict[str, Any]]]) -> Iterator[Condition]:
    for entries in status.values():
        for entry in entries:
            about, state = ObjectRef._of(entry["object"]), entry["status"]
            yield from _listed(about, state)
            for listener in state.get("listeners", ()):
                yield from _listed(about, listener, listener=listener["name"])
            for parent in state.get("parents", ()):
                yield from _listed(about, parent, parent=_parent(parent["parentRef"], about))
            for ancestor in state.get("ancestors", ()):
                yield from _listed(about, ancestor, parent=_parent(ancestor["ancestorRef"], about))


def _listed(about: ObjectRef, state: Mapping[str, Any], **where: str) -> Iterator[Condition]:
    for condition in state.get("conditions", ()):
        yield Condition(
            object=about,
            type=condition["type"],
            status=condition["status"],
            reason=condition["reason"],
            message=condition["message"],
            observed_generation=condition.get("observedGeneration"),
            **where,
        )


def _parent(ref: Mapping[str, Any], about: ObjectRef) -> str:
    text = f"{ref.get('namespace') or about.namespace}/{ref['name']}"
    if ref.get("sectionName"):
        text += f"/{ref['sectionName']}"
    return f"{text}:{ref['port']}" if ref.get("port") else text
