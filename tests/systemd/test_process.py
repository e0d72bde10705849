"""The real daemon under a stand-in for systemd: start, watchdog, stop, exit codes, keys at a restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd.daemon import with_strategy
from tests.systemd.manager import MOCK, REAL_S_MAX, ROOT, environment, started
from tradingd.simulator.wire.settings import SIMULATOR_KEYS

pytestmark = pytest.mark.wire

SPAN_REAL_S = 4.0
"""Longer than the watchdog of `started` waits."""

FREEZES = """
import pathlib, time

class Freezes:
    def __init__(self):
        self.bars = 0

    def on_bar(self, bar, view):
        self.bars += 1
        if self.bars > 3:
            pathlib.Path("frozen").touch()
            time.sleep(3600)
"""

BUYS = """
from tradingd.messages import Side
from tradingd.strategy.protocol import Signal

class Buys:
    def on_bar(self, bar, view):
        return Signal(side=Side.BUY, reason="always") if view.is_flat else None
"""


def test_a_run_is_ready_fed_and_stopped_as_the_unit_expects(tmp_path: Path) -> None:
    with started(tmp_path) as unit:
        unit.wait_word("READY")
        unit.wait_word("WATCHDOG", 3)
        unit.wait_event("fill.received")
        unit.wait(lambda: "equity unknown" not in unit.values("STATUS")[-1], "equity in the status")
        unit.process.send_signal(signal.SIGHUP)
        unit.wait_word("WATCHDOG", 5)
        unit.process.send_signal(signal.SIGTERM)
        unit.wait_word("STOPPING")
        unit.process.send_signal(signal.SIGTERM)
        unit.process.send_signal(signal.SIGINT)
        assert unit.wait_end() == 0

        names = [values.partition("=")[0] for values in unit.received]
        assert names.index("EXTEND_TIMEOUT_USEC") < names.index("READY") < names.index("WATCHDOG")
        assert names.count("READY") == names.count("STOPPING") == 1
        assert re.search(
            r"positions \d+, orders \d+ \| feed .*us_equity up", "\n".join(unit.values("STATUS"))
        )
        assert unit.values("STATUS")[-1].startswith("stopping, halted (stopped)")


@pytest.fixture
def slow_exchange() -> Iterator[str]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(Path(__file__).with_name("slow_exchange.py"))],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def test_a_slow_flatten_earns_time_by_what_it_sells_and_not_by_waiting(
    tmp_path: Path, slow_exchange: str
) -> None:
    config = with_strategy(tmp_path, "Buys", BUYS)
    with started(
        tmp_path, config,
        mock__simulator=slow_exchange, router__order_timeout_s="90", supervisor__flatten_check_s="60",
    ) as unit:  # fmt: skip
        unit.wait_event("position.changed")
        unit.process.send_signal(signal.SIGTERM)
        unit.process.send_signal(signal.SIGTERM)
        assert unit.wait_end() == 0
        assert unit.received.count("STOPPING=1") == 1
        rest = unit.received[unit.received.index("STOPPING=1") :]
        settings = [values.partition("=")[0] for values in rest]
        earned = settings.index("EXTEND_TIMEOUT_USEC")
        # It waits for a sale, and lives; then it waits for the look a market minute after the first, and lives.
        assert "WATCHDOG" in settings[:earned]
        assert "WATCHDOG" in settings[len(settings) - settings[::-1].index("EXTEND_TIMEOUT_USEC") :]
        assert settings.count("EXTEND_TIMEOUT_USEC") < settings.count("WATCHDOG"), "a sale earns it"
        spans = [int(values.partition("=")[2]) for values in rest if values.startswith("EXTEND")]
        assert max(spans) <= 45_000_000


def test_fault_84_keys_are_read_at_a_start_and_only_then(
    tmp_path: Path, slow_exchange: str
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "alpaca_api_key").write_text(SIMULATOR_KEYS.key_id)
    secret = credentials / "alpaca_secret_key"
    secret.write_text(SIMULATOR_KEYS.secret_key)
    host = slow_exchange.removeprefix("http://")
    given = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "TRADINGD_RUN__MODE": "paper",  # mock mode takes no keys at all
        "TRADINGD_ALPACA__TRADING_URL": slow_exchange,
        "TRADINGD_ALPACA__TRADING_STREAM_URL": f"ws://{host}/stream",
        "TRADINGD_ALPACA__DATA_URL": slow_exchange,
        "TRADINGD_ALPACA__DATA_STREAM_URL": f"ws://{host}",
    }
    with started(tmp_path, environ=given) as unit:
        unit.wait_word("READY")
        secret.write_text("a new one, which this broker does not know")
        unit.process.send_signal(signal.SIGHUP)
        unit.wait_word("WATCHDOG", 3)
        assert "broker up" in unit.values("STATUS")[-1]
        unit.process.send_signal(signal.SIGTERM)
        assert unit.wait_end() == 0
    with started(tmp_path, environ=given) as unit:
        assert unit.wait_end() == 78
        assert not unit.values("READY")


def test_fault_51_a_frozen_loop_is_not_fed_and_the_abort_names_the_line(tmp_path: Path) -> None:
    with started(tmp_path, with_strategy(tmp_path, "Freezes", FREEZES)) as unit:
        unit.wait_word("READY")
        unit.wait((tmp_path / "frozen").exists, "the frozen loop")
        fed = len(unit.values("WATCHDOG"))
        time.sleep(SPAN_REAL_S)
        assert len(unit.values("WATCHDOG")) <= fed + 1, "at most one was on its way"
        unit.process.send_signal(signal.SIGABRT)  # as WatchdogSignal says
        assert unit.wait_end() == -signal.SIGABRT
        unit.wait(lambda: "freezes.py" in "".join(unit.errors), "the line")
        line = next(n for n, text in enumerate(FREEZES.splitlines(), start=1) if "sleep" in text)
        place = f'freezes.py", line {line} in on_bar'
        unit.wait(lambda: place in "".join(unit.errors), place)


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("TRADINGD_RISK__POSITIONS_MAX", "0", 78),
        ("TRADINGD_MOCK__SIMULATOR", "http://127.0.0.1:9", 1),
    ],
)
def test_a_run_that_cannot_begin_is_never_ready(
    tmp_path: Path, variable: str, value: str, code: int
) -> None:
    with started(tmp_path, environ={variable: value}) as unit:
        assert unit.wait_end() == code
        assert not unit.values("READY")


def test_a_second_instance_ends_with_65_and_leaves_the_first_ready(tmp_path: Path) -> None:
    with started(tmp_path) as unit:
        unit.wait_word("READY")
        second = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", "run", "-c", str(MOCK)], cwd=tmp_path, check=False,
            env=environment(tmp_path), capture_output=True, timeout=REAL_S_MAX,
        )  # fmt: skip
        assert second.returncode == 65
        unit.process.send_signal(signal.SIGTERM)
        assert unit.wait_end() == 0
