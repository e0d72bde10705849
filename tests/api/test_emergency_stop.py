"""The emergency stop from outside, by HTTP, by shell and by file: twenty working orders and real processes.

How soon it comes is `tests/app/test_halt.py`'s, in virtual time, and `bench.responsiveness`'s, by a stopwatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.halting import ORDERS, WAYS, Stage, staged

pytestmark = pytest.mark.wire


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


@pytest.mark.parametrize("way", list(WAYS))
def test_a_halt_calls_twenty_orders_back_whoever_asks(stage: Stage, way: str) -> None:
    WAYS[way](stage)
    stage.until(lambda: len(stage.working()) == 1, "all entries canceled")
    assert len(stage.canceled_real_s()) == ORDERS
    assert [row["side"] for row in stage.working()] == ["sell"], "protection stays"

    bought = sum(row["side"] == "buy" for row in stage.orders())
    assert stage.shell("submit", "ACMX", "buy", "1").returncode == 6
    assert sum(row["side"] == "buy" for row in stage.orders()) == bought == ORDERS + 1
    assert (stage.folder / "s/HALT").exists()
