"""Pins what the manifests of a repository do with requests, and that nothing is wrong with them.

    pip install gatewright pytest
    pytest test_routing.py
"""

from pathlib import Path

import gatewright
import pytest

MANIFESTS = Path(__file__).with_name("manifests")


@pytest.fixture(scope="session")
def table() -> gatewright.Table:
    return gatewright.load(MANIFESTS, raise_on="error")


def test_nothing_is_wrong(table: gatewright.Table) -> None:
    assert [str(found) for found in table.diagnostics if found.severity != "info"] == []
    assert [str(one) for one in table.conditions if one.type in ("Accepted", "ResolvedRefs") and one.status != "True"] == []


@pytest.mark.parametrize(
    ("method", "url", "headers", "backend", "target"),
    [
        ("GET", "http://shop.example.com/", {}, "default/web:8080", "/"),
        ("GET", "http://shop.example.com/cart/7?full=yes", {}, "default/cart:8080", "/7?full=yes"),
        ("GET", "http://shop.example.com/cart", {"x-canary": "yes"}, "default/cart-canary:8080", "/"),
        # Not a part of /cart: prefixes are whole segments.
        ("GET", "http://shop.example.com/carts", {}, "default/web:8080", "/carts"),
    ],
)
def test_requests_go_to(
    table: gatewright.Table, method: str, url: str, headers: dict[str, str], backend: str, target: str
) -> None:
    decision = table.decide(method, url, headers)
    # What made it so stands in the failure.
    assert isinstance(decision, gatewright.Forward), table.explain(method, url, headers)
    assert (str(decision.backend), decision.target) == (backend, target), table.explain(method, url, headers)


def test_old_links_still_work(table: gatewright.Table) -> None:
    decision = table.decide("GET", "http://shop.example.com/basket?id=7")
    assert isinstance(decision, gatewright.Redirect)
    assert (decision.status, decision.location) == (301, "http://shop.example.com/cart?id=7")


def test_other_hosts_are_nobody(table: gatewright.Table) -> None:
    decision = table.decide("GET", "http://other.example.com/")
    assert isinstance(decision, gatewright.Respond) and decision.status == 404
