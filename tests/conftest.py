"""Fixtures that tests of several folders share, and the two efforts of property tests.

`quick` is every run: examples seeded by the test itself and no deadline, for a neighbor on the machine is no
fault of an example. `--hypothesis-profile=long` draws them anew, and many more where `tests/properties/effort.py`
says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.properties.effort import LONG
from tests.support.fixtures import running_simulator, simulator

__all__ = ["running_simulator", "simulator"]

settings.register_profile(
    "quick", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(LONG, deadline=None, print_blob=True)
settings.load_profile("quick")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Take back what a test did to structlog: one that silences it must not blind the next."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
