"""Pictures of a table: complete, and no name of a manifest becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import gatewright
import pytest
from gatewright import ObjectRef, RoutingRow, Table
from gatewright._picture import MOST_ROWS, dot, html, mermaid

HOSTILE = [
    '</script><script>alert(1)</script>',
    '"]; click n0 "javascript:alert(1)"',
    "a]] --> b{{c}}",
    "`md` **bold** %%{init: {}}%%",
    "x\n  n9 --> n0\nend",
    "&lt;b&gt;",
    "subgraph \\\" \\",
    "' onmouseover='x",
]


def row(text: str) -> RoutingRow:
    route = ObjectRef("HTTPRoute", "default", text, "gateway.networking.k8s.io")
    return RoutingRow(gateway=text, listener=text, route=route, rule_name=text, port=80, hostname=text, conditions=text, action=text)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"class", "scope"}
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_a_picture_has_every_row(table: Table) -> None:
    flow, graph, page = table.to_mermaid(), table.to_dot(), table._repr_html_()
    assert flow.startswith("flowchart LR\n") and graph.startswith("digraph") and graph.endswith("}\n")
    for row in table.routing:
        assert row.action in flow and row.action in graph and row.action in page
        assert row.hostname in flow and row.conditions in graph
    assert flow.count("shop.example") == 1, "a hostname is one node"
    edges = [line.split()[0] for line in flow.splitlines()[1:] if "-->" in line]
    assert len(edges) == len(re.findall(r"\bn\d+\[", flow)) - 2, "all but the two listeners hang on something"
    assert page.count("<tr>") == len(table.routing) + 1
    assert "color:inherit" in page and "http" not in page.split("<thead>")[0], "it fits light and dark, and needs nothing else"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_markup_in_html(text: str) -> None:
    reader = Reader()
    reader.feed(html([row(text)]))
    assert reader.tags == {"style", "table", "caption", "thead", "tbody", "tr", "th", "td", "code"}
    assert reader.cells[1:3] == [text, text] and reader.cells[-1] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_syntax_in_mermaid(text: str) -> None:
    lines = mermaid([row(text)]).splitlines()
    assert len(lines) == 5
    for line in lines[1:]:
        assert re.fullmatch(r'  (n\d+ --> )?n\d+\["([\w /.:\-=*,()]|#\d+;)*"\]', line), line
    shown = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), lines[2])
    assert text in shown or "\n" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_becomes_syntax_in_dot(text: str) -> None:
    lines = dot([row(text)]).splitlines()
    assert len(lines) == 2 + 4 + 3 + 1
    for line in lines[2:-1]:
        assert re.fullmatch(r'  (n\d+ \[label="([^"\\]|\\["\\])*"\];|n\d+ -> n\d+;)', line), line


def test_an_empty_table_has_pictures() -> None:
    empty = gatewright.compile([])
    assert empty.to_mermaid() == "flowchart LR\n"
    assert "0 matches" in empty._repr_html_()
    assert empty.to_dot().count("\n") == 3


def test_a_notebook_is_not_flooded() -> None:
    page = html(row(str(n)) for n in range(MOST_ROWS + 1))
    assert page.count("<tr>") == MOST_ROWS + 1 and f"{MOST_ROWS + 1} matches" in page and f"the first {MOST_ROWS} are shown" in page
