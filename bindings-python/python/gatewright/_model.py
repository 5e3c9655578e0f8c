"""What decisions, tables and findings are made of: frozen data classes.

Each is built from the JSON that the library and the command line have in common; names are the same in snake case, and
durations are ``timedelta``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache
from typing import Any, Literal, NamedTuple


class GatewrightError(Exception):
    """The base of every exception of this package's own."""


class ManifestError(GatewrightError, ValueError):
    """Manifests that cannot be read; ``diagnostics`` says what is wrong, and where.

    >>> import gatewright
    >>> try:
    ...     gatewright.compile("kind: [")
    ... except gatewright.ManifestError as error:
    ...     error.diagnostics[0].code
    'GW001'
    """

    def __init__(self, message: str, diagnostics: Iterable[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.diagnostics))


class PlaceError(GatewrightError, LookupError):
    """A Gateway, port or listener that the table does not have, or of which it has several."""


def duration(millis: int | None) -> timedelta | None:
    """Milliseconds as a duration."""
    return None if millis is None else timedelta(milliseconds=millis)


@cache
def _plan(cls: type[Any]) -> tuple[tuple[str, str], ...]:
    """Name of each field, and of its member in JSON."""
    plan: list[tuple[str, str]] = []
    for one in fields(cls):
        first, *rest = one.name.split("_")
        member = first + "".join(word.capitalize() for word in rest)
        if one.type in ("timedelta", "timedelta | None"):
            member += "Ms"
        plan.append((one.name, member))
    return tuple(plan)


class _Data:
    """Builds a data class from JSON: what is absent has its default."""

    __slots__ = ()

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Any:
        given: dict[str, Any] = {}
        for name, member in _plan(cls):  # type: ignore[arg-type]
            value = data.get(member)
            if value is None:
                continue
            if member.endswith("Ms"):
                value = timedelta(milliseconds=value)
            elif (nested := _NESTED.get((cls.__name__, name))) is not None:
                value = all_of(nested, value) if isinstance(value, list) else globals()[nested]._of(value)
            elif isinstance(value, list):
                value = tuple(value)
            given[name] = value
        return cls(**given)


def all_of(cls: str, items: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    """Every item as an object of a data class of this module."""
    return tuple(globals()[cls]._of(item) for item in items)


@dataclass(frozen=True, slots=True)
class ObjectRef(_Data):
    """An object of the manifests. ``str()`` is ``Kind/namespace/name``."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    #: API group; empty is the Kubernetes core group.
    group: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True, slots=True)
class Match(_Data):
    """What matched, by name."""

    #: ``namespace/name`` of the Gateway; empty in a mesh.
    gateway: str = ""
    listener: str = ""
    #: ``namespace/name`` of the ListenerSet that has the listener.
    listener_set: str | None = None
    #: In a mesh: ``namespace/name:port`` of the Service.
    service: str | None = None
    route: ObjectRef = ObjectRef()
    #: Index in ``spec.rules``.
    rule: int = 0
    rule_name: str | None = None
    #: Index in ``matches``.
    match: int = 0

    def __str__(self) -> str:
        name = f" `{self.rule_name}`" if self.rule_name else ""
        return f"{self.route} rule {self.rule}{name}"


@dataclass(frozen=True, slots=True)
class BackendTls(_Data):
    """How TLS is spoken to a backend; nothing is sent without."""

    #: Server name to send, and to verify unless there are other names.
    hostname: str = ""
    #: Names of which the certificate must have one.
    subject_alt_names: tuple[str, ...] = ()
    #: ConfigMaps with the trusted authorities; none are those of the operating system.
    ca_certificates: tuple[ObjectRef, ...] = ()
    #: Secret with the certificate to show.
    client_certificate: ObjectRef | None = None


@dataclass(frozen=True, slots=True)
class RetryBudget(_Data):
    """Bound on the retries of a backend."""

    #: Retries for a hundred requests.
    percent: int = 0
    interval: timedelta = timedelta()
    min_count: int = 0
    min_interval: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Backend(_Data):
    """Where a request goes. ``str()`` is ``namespace/name:port``."""

    #: ``Service``, ``ServiceImport`` or ``XBackend``.
    kind: str = ""
    namespace: str = ""
    name: str = ""
    port: int = 0
    #: ``http1``, ``h2c``, ``tcp`` or ``udp``.
    protocol: str = ""
    #: Of an XBackend: the host outside of the cluster.
    host: str | None = None
    tls: BackendTls | None = None
    retry_budget: RetryBudget | None = None
    #: Ready endpoints as ``address:port``; None when the manifests have no EndpointSlice of the Service.
    endpoints: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"

    @property
    def dns_name(self) -> str:
        """The name that finds it inside of a cluster, or the host outside."""
        zone = "clusterset" if self.kind == "ServiceImport" else "cluster"
        return self.host or f"{self.name}.{self.namespace}.svc.{zone}.local"


@dataclass(frozen=True, slots=True)
class HeaderEdit(_Data):
    """One edit of a header field."""

    action: Literal["set", "add", "remove"] = "set"
    #: In lower case.
    name: str = ""
    #: None for ``remove``.
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Retry(_Data):
    """Retries of a rule."""

    attempts: int = 0
    #: Status codes that are retried.
    codes: tuple[int, ...] = ()
    #: Least pause between two attempts.
    backoff: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Session(_Data):
    """Session persistence of a request."""

    carrier: Literal["cookie", "header"] = "cookie"
    #: Name of the cookie or header field.
    name: str = ""
    absolute_timeout: timedelta | None = None
    #: Whether the cookie outlives the browser's session.
    permanent: bool = False
    #: Whether the request came with a token that holds.
    established: bool = False
    #: The endpoint of an established session, as ``address:port``.
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Auth(_Data):
    """A service that is asked before a request goes on."""

    protocol: Literal["http", "grpc"] = "http"
    backend: Backend = Backend()
    #: What stands before the path that an HTTP service is asked about.
    path_prefix: str = ""
    #: Fields that the service gets beside the fixed ones.
    request_headers: tuple[str, ...] = ()
    #: Fields of its answer that are copied into the request; none are all.
    response_headers: tuple[str, ...] = ()
    #: Octets of the body that it gets at most; 0 is no body.
    max_body: int = 0


class Answer(NamedTuple):
    """What to send to a client; the body is empty."""

    status: int
    headers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PassThrough:
    """In a mesh: no route has the Service as parent, and the traffic passes through unmodified."""

    kind: Literal["pass_through"] = "pass_through"

    def to_dict(self) -> dict[str, Any]:
        """The decision as data."""
        return {"decision": "passThrough"}


PASS_THROUGH = PassThrough()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding about manifests. ``str()`` is one line with file, line and column."""

    severity: Literal["error", "warning", "info"]
    #: Stable, for instance ``GW020``.
    code: str
    message: str
    object: ObjectRef | None = None
    #: Path of the field, for instance ``spec.rules[2].matches[0].path.value``; empty is the object.
    path: str = ""
    file: str | None = None
    #: From 1.
    line: int | None = None
    #: From 1, in characters.
    column: int | None = None
    found: str | None = None
    expected: str | None = None
    #: What follows from it.
    outcome: str | None = None
    help: str | None = None
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The finding as data, with the names that ``gatewright check -o json`` has."""
        return deepcopy(dict(self.data))

    @classmethod
    def _of(cls, data: Mapping[str, Any], text: str) -> Diagnostic:
        at: Mapping[str, Any] = data.get("position") or {}
        about = data.get("object")
        return cls(
            severity=data["severity"],
            code=data["code"],
            message=data["message"],
            object=None if about is None else ObjectRef._of(about),
            path=data.get("path", ""),
            file=at.get("file"),
            line=at.get("line"),
            column=at.get("column"),
            found=data.get("found"),
            expected=data.get("expected"),
            outcome=data.get("outcome"),
            help=data.get("help"),
            text=text,
            data=data,
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the status of an object."""

    object: ObjectRef
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    #: Name of the listener of a Gateway or ListenerSet that it is about.
    listener: str | None = None
    #: Of a route: its parent, of a policy: its ancestor, as ``namespace/name[/section][:port]``.
    parent: str | None = None
    observed_generation: int | None = None

    def __str__(self) -> str:
        about = "".join(f" {part}" for part in (self.listener, self.parent) if part)
        return f"{self.object}{about}: {self.type}={self.status} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Gateway that is served. ``str()`` is ``namespace/name``."""

    namespace: str
    name: str
    #: Numbers of its ports, ascending.
    ports: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener that is served."""

    #: ``namespace/name``
    gateway: str
    #: The Gateway or ListenerSet that has it.
    owner: ObjectRef
    name: str
    port: int
    #: None accepts any host.
    hostname: str | None
    #: ``Http``, ``Https``, ``TlsTerminate``, ``TlsPassthrough``, ``Tcp`` or ``Udp``.
    protocol: str
    #: False when it cannot be served, for instance for want of a certificate.
    programmed: bool


@dataclass(frozen=True, slots=True)
class RoutingRow(Match):
    """A match of the table at one hostname of one listener, and what it does."""

    #: 0 in a mesh.
    port: int = 0
    #: ``*`` is any.
    hostname: str = "*"
    #: Empty for connections.
    conditions: str = ""
    #: Backends with their weights, a redirect, or 500.
    action: str = ""


@dataclass(frozen=True, slots=True)
class Verdict(_Data):
    """What became of a match."""

    result: Literal["won", "lost", "failed"] = "won"
    #: For ``lost``: the criterion it lost on.
    criterion: str | None = None
    #: For ``failed``: the first condition that does not hold.
    condition: str | None = None
    #: For ``failed``: what the request has there.
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate(Match):
    """A match that could have won."""

    hostname: str = "*"
    conditions: str = ""
    verdict: Verdict = Verdict()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request is decided as it is. ``str()`` is written for a person."""

    #: Method, host, canonical path and query, as they were matched.
    request: str
    #: ``namespace/gateway/listener``, or in a mesh the Service.
    listener: str | None
    #: The decision as data.
    decision: dict[str, Any] = field(hash=False)
    #: What made the winner win.
    won_by: str | None
    #: Every match whose hostname covers the host, in order of precedence.
    candidates: tuple[Candidate, ...]
    #: When nothing matched: what came nearest.
    nearest: str | None
    #: Hostnames of the listener that do not cover the host.
    other_hostnames: tuple[str, ...]
    #: Header fields that are neither matched nor forwarded.
    dropped_headers: tuple[str, ...]
    #: Options about matching that are not the default.
    options: dict[str, str] = field(hash=False)
    text: str = field(repr=False)
    data: dict[str, Any] = field(hash=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The explanation as data, with the names that ``gatewright explain -o json`` has."""
        return deepcopy(self.data)

    @classmethod
    def _of(cls, data: dict[str, Any], text: str) -> Explanation:
        return cls(
            request=data["request"],
            listener=data.get("listener"),
            decision=data["decision"],
            won_by=data.get("wonBy"),
            candidates=all_of("Candidate", data["candidates"]),
            nearest=data.get("nearest"),
            other_hostnames=tuple(data["otherHostnames"]),
            dropped_headers=tuple(data.get("droppedHeaders", ())),
            options={option["name"]: option["value"] for option in data.get("options", ())},
            text=text,
            data=data,
        )


@dataclass(frozen=True, slots=True)
class ConnectionDecision:
    """What is to be done with a connection, or with the first datagram of a flow."""

    #: ``http``: serve HTTP and ask about each request; ``forward``; ``reject``; ``pass_through`` in a mesh.
    kind: Literal["http", "forward", "reject", "pass_through"]
    #: For ``http``: ``namespace/gateway/listener`` that the server name chose.
    listener: str | None = None
    #: The listener, or the Service and port of a mesh.
    parent: str | None = None
    route: ObjectRef | None = None
    rule_name: str | None = None
    backend: Backend | None = None
    tls: Literal["none", "passthrough", "terminate"] | None = None
    reason: str | None = None
    message: str | None = None
    #: Why, as data and as text.
    explanation: dict[str, Any] | None = field(default=None, hash=False, repr=False)
    text: str = ""

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The decision as data, with the names that ``gatewright decide -o json`` has."""
        return {"decision": "passThrough"} if self.explanation is None else deepcopy(dict(self.explanation["decision"]))

    @classmethod
    def _of(cls, found: tuple[dict[str, Any], str] | None) -> ConnectionDecision:
        if found is None:
            return cls(kind="pass_through")
        explanation, text = found
        data = explanation["decision"]
        route, backend = data.get("route"), data.get("backend")
        return cls(
            kind=data["decision"],
            listener=data.get("listener"),
            parent=data.get("parent"),
            route=None if route is None else ObjectRef._of(route),
            rule_name=data.get("ruleName"),
            backend=None if backend is None else Backend._of(backend),
            tls=data.get("tls"),
            reason=data.get("reason"),
            message=data.get("message"),
            explanation=explanation,
            text=text,
        )


#: Fields that are data classes themselves.
_NESTED = {
    ("Match", "route"): "ObjectRef",
    ("RoutingRow", "route"): "ObjectRef",
    ("Candidate", "route"): "ObjectRef",
    ("Candidate", "verdict"): "Verdict",
    ("Backend", "tls"): "BackendTls",
    ("Backend", "retry_budget"): "RetryBudget",
    ("BackendTls", "ca_certificates"): "ObjectRef",
    ("BackendTls", "client_certificate"): "ObjectRef",
    ("Auth", "backend"): "Backend",
}
