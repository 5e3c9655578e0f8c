"""What the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import gatewright
import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
MANIFEST = HERE / "gateway.yaml"

# No example depends on chance or on the clock; GATEWRIGHT_HYPOTHESIS=long looks further.
settings.register_profile("ci", derandomize=True, max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("long", max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("GATEWRIGHT_HYPOTHESIS", "ci"))


@pytest.fixture(scope="session")
def table() -> gatewright.Table:
    """The table of `gateway.yaml`."""
    return gatewright.load(MANIFEST)
