"""Pictures of a table, from its rows: listener, hostname, match, what is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from ._model import RoutingRow

#: Rows of HTML at most: a notebook keeps what it shows.
MOST_ROWS = 1000

#: A page may be light or dark; colours of text are its own.
_STYLE = (
    ".gatewright{border-collapse:collapse;color:inherit}"
    ".gatewright caption,.gatewright th,.gatewright td{text-align:left;vertical-align:top;padding:.2em .7em}"
    ".gatewright th,.gatewright td{border-bottom:1px solid #8885}"
    ".gatewright td{background:none!important}.gatewright code{background:none;color:inherit}"
)


def _levels(row: RoutingRow) -> tuple[str, str, str, str]:
    """Listener or Service, hostname, match with its route, what is done."""
    of = row.service if row.service is not None else "/".join(part for part in (row.listener_set or row.gateway, row.listener) if part)
    place = f"{of} :{row.port}" if row.port else of
    rule = f"{row.route} rule {row.rule_name or row.rule}"
    return place, row.hostname, f"{row.conditions or 'any connection'} ({rule})", row.action


def _edges(rows: Iterable[RoutingRow]) -> Iterator[tuple[str, str, str]]:
    """The tree: number and text of each node, and the number of the one that it hangs on, a node before what hangs on it."""
    numbers: dict[tuple[str, ...], str] = {}
    for index, row in enumerate(rows):
        place, hostname, match, action = _levels(row)
        # Equal matches of two rules are two branches: the first one wins.
        paths: list[tuple[str, ...]] = [(place,), (place, hostname), (place, hostname, str(index), match)]
        paths.append((*paths[-1], action))
        parent = ""
        for path in paths:
            if path not in numbers:
                numbers[path] = f"n{len(numbers)}"
                yield numbers[path], path[-1], parent
            parent = numbers[path]


def mermaid(rows: Iterable[RoutingRow]) -> str:
    """A flowchart of Mermaid."""
    lines = ["flowchart LR"]
    for number, text, parent in _edges(rows):
        # Between quotes nothing but entities is special; those of HTML cover markup and quotes, the rest is made numeric.
        shown = "".join(char if char.isalnum() or char in " /.:-_=*,()" else f"#{ord(char)};" for char in text)
        node = f'{number}["{shown}"]'
        lines.append(f"  {parent} --> {node}" if parent else f"  {node}")
    return "\n".join(lines) + "\n"


def dot(rows: Iterable[RoutingRow]) -> str:
    """A graph of Graphviz."""
    lines = ["digraph gatewright {", "  rankdir=LR; node [shape=box];"]
    for number, text, parent in _edges(rows):
        shown = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        lines.append(f'  {number} [label="{shown}"];')
        if parent:
            lines.append(f"  {parent} -> {number};")
    return "\n".join(lines) + "\n}\n"


def html(rows: Iterable[RoutingRow]) -> str:
    """A table of HTML that needs nothing else; what is the same as in the row above is left out."""
    all_rows = list(rows)
    body: list[str] = []
    before = ("", "")
    for row in all_rows[:MOST_ROWS]:
        place, hostname, _, action = _levels(row)
        first = "" if before[0] == place else place
        second = "" if before == (place, hostname) else hostname
        before = (place, hostname)
        rule = f"{row.route} rule {row.rule_name or row.rule}"
        cells = (first, second, row.conditions or "any connection", rule, action)
        body.append("<tr>" + "".join(f"<td><code>{escape(cell)}</code></td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Listener", "Hostname", "Match", "Route", "Action"))
    shown = "" if len(body) == len(all_rows) else f"; the first {len(body)} are shown"
    caption = f"<caption>{len(all_rows)} matches, in the order in which they are tried{shown}</caption>"
    return f"<style>{_STYLE}</style><table class=\"gatewright\">{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
