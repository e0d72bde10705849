"""A month of log and 100,000 order events: a restart reads little of it, and comes to the same books whatever it reads.

How long that takes is `bench.restart`'s.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import msgspec
import pytest

from bench.restart import CASES, build, core_settings, damage
from tradingd.log.recovery import recover
from tradingd.log.sqlite_store import SqliteStore
from tradingd.log.verify import verify
from tradingd.wiring import WIRING, build_cores

DAYS, ORDER_EVENTS = 30, 100_000
READ_ROWS_MAX = 7_000
"""Rows after the older of the two newest checkpoints; a day has ten thousand, the month three hundred."""


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("month") / "orders.db"
    made = build(log, DAYS, ORDER_EVENTS)
    assert made["order_events"] >= ORDER_EVENTS
    assert made["days"] == DAYS
    return log


@pytest.fixture(params=CASES)
def log(request: pytest.FixtureRequest, month: Path, tmp_path: Path) -> tuple[str, Path]:
    """Return a copy of the month whose checkpoints are damaged down to those the case names."""
    copied = tmp_path / "state"
    shutil.copytree(month.parent, copied)
    damage(copied / "orders.db", request.param)
    return request.param, copied / "orders.db"


async def saved(log: Path) -> tuple[dict[str, bytes], int]:
    store, cores = SqliteStore(log), build_cores(core_settings())
    await store.open()
    recovered = await recover(store, cores, WIRING, random.Random(1))
    await store.close()
    books = {name: core.save() for name, core in cores.items()}
    router = msgspec.json.decode(books["router"])
    # Plans of ended parents are let go by number, and each telling of the hour numbers anew.
    del router["holdings"]["plans"]
    books["router"] = msgspec.json.encode(router)
    return books, len(recovered.envelopes)


async def test_a_restart_reads_a_part_of_a_day_and_comes_to_the_same_books(
    log: tuple[str, Path], month: Path
) -> None:
    case, file = log
    books, applied = await saved(file)
    whole, least = await saved(month)
    assert books == whole
    assert applied >= least
    assert (applied < READ_ROWS_MAX) is (case != "none"), applied


def test_the_live_file_holds_a_day_and_the_month_verifies(month: Path) -> None:
    found = verify(month)
    assert (found.segments, found.faults) == (DAYS - 1, ())
    sizes = [file.stat().st_size for file in (month.parent / "segments").iterdir()]
    assert month.stat().st_size < 4 * max(sizes)
