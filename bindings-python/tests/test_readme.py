"""The README's snippets do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
MANIFESTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gateway}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gateway}]
  hostnames: [example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}}]
    backendRefs: [{name: api, port: 8080}]
  - backendRefs: [{name: web, port: 80}]
"""


def snippets(kind: str, readme: Path = README) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)


def promised(code: str) -> list[str]:
    """What the comments behind calls of print say."""
    return [text for line in code.splitlines() if line.lstrip().startswith("print(") for text in re.findall(r"\s# (.+)$", line)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "web.yaml").write_text(MANIFESTS)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_decisions_are_printed_as_they_stand_there(folder: Path) -> None:
    blocks = snippets("python")
    assert len(blocks) == 3
    (folder / "all.py").write_text("\n".join(blocks))
    printed = run(folder, "all.py").splitlines()
    wanted = promised("\n".join(blocks))
    assert len(wanted) == 3
    for text in wanted:
        assert text in printed


def test_the_readme_of_the_project() -> None:
    root = README.parent.parent
    [block] = snippets("python", root / "README.md")
    assert run(root, "-c", block).splitlines() == promised(block)


def test_the_gateway_serves(folder: Path) -> None:
    [block] = snippets("python gateway")
    (folder / "gateway.py").write_text(block)
    ask = """
import asyncio, httpx, gateway
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway.app), base_url="http://example.org") as client:
        print((await client.get("/")).status_code)
asyncio.run(ask())
"""
    assert run(folder, "-c", ask).strip() == "404"


def test_routing_is_pinned(folder: Path) -> None:
    [block] = snippets("python test")
    (folder / "test_routing.py").write_text(block)
    assert "2 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_routing.py")
