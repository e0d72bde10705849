"""A standalone simulator that several tests of a module share, cleared of faults after each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.daemons import ROOT, SYMBOLS, Simulator, clean


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[Simulator]:
    now = datetime.now(ZoneInfo("America/New_York"))
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", "simulator", "--port", "0", "--minutes", "600",
         "--symbols", SYMBOLS, "--start", f"{now:%Y-%m-%d %H:%M}"],
        env={**clean(), "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield Simulator(process.stdout.readline().split()[-1])
        finally:
            process.kill()


@pytest.fixture
def simulator(running_simulator: Simulator) -> Iterator[Simulator]:
    yield running_simulator
    running_simulator.fault(fault="clear")
