"""Two processes, one wire, recorded quotes: half an hour of 2013-10-07 at sixty times real time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TRADINGD_DATA", "nowhere"))
TAPES = [
    DATA / kind / f"us_tick_{symbol}_20131007.parquet"
    for kind in ("quotes", "trades")
    for symbol in ("IBM", "AIG")
]
SESSION_REAL_S_MAX = 300.0
STOP_REAL_S_MAX = 120.0
HALF_AN_HOUR_LATER = "2013-10-07T14:00"
"""The session of that day opens at 13:30 UTC."""

pytestmark = [
    pytest.mark.wire,
    pytest.mark.recorded,
    pytest.mark.skipif(not TAPES[0].exists(), reason="TRADINGD_DATA has no recorded quotes"),
]


def config_for(state: Path, simulator: str) -> Path:
    """Write the mock configuration for these tapes: big orders, so that some are always at work."""
    text = (ROOT / "config/mock.toml").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^symbols = .*$", 'symbols = ["IBM", "AIG"]', text, flags=re.MULTILINE)
    for key, value in (
        ("state_dir", f'"{state / "s"}"'),
        ("simulator", f'"{simulator}"'),
        ("order_value_usd_max", "40000"),
        ("order_quantity_max", "10000"),
        ("position_pct_max", "40"),
        ("exposure_pct_max", "80"),
        ("confidence_min", "0.05"),
        ("order_timeout_s", "300"),
    ):
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found, f"config/mock.toml has no {key}"
    file = state / "tape.toml"
    file.write_text(text)
    return file


@contextlib.contextmanager
def started(*values: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", *values],
        cwd=cwd, env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


class Watch:
    """What the daemon's log tells of its orders and positions."""

    def __init__(self) -> None:
        self.working: set[str] = set()
        self.positions: dict[tuple[str, str], str] = {}
        self.records: list[dict[str, str]] = []

    def handle(self, line: str) -> dict[str, str]:
        record: dict[str, str] = json.loads(line)
        self.records.append(record)
        order = record.get("client_order_id", "")
        if record["event"] == "order.accepted":
            self.working.add(order)
        elif record["event"] in {"order.canceled", "order.expired", "order.rejected"}:
            self.working.discard(order)
        elif record["event"] == "order.parent_closed":
            self.working = {o for o in self.working if not o.startswith(record["parent_id"])}
        elif record["event"] == "position.changed":
            self.positions[record["strategy"], record["symbol"]] = record["qty"]
        return record

    @property
    def is_exposed(self) -> bool:
        """Tell whether something is held and something else still works."""
        return bool(self.working) and any(float(qty) for qty in self.positions.values())


def until_exposed(daemon: subprocess.Popen[str], watch: Watch) -> None:
    assert daemon.stdout is not None
    deadline = time.monotonic() + SESSION_REAL_S_MAX
    for line in daemon.stdout:
        record = watch.handle(line)
        if record.get("at", "") >= HALF_AN_HOUR_LATER and watch.is_exposed:
            return
        assert time.monotonic() < deadline, "never held anything with an order at work"
    raise AssertionError(f"the daemon ended early: {watch.records[-1:]}")


def test_sigterm_with_positions_and_working_orders_leaves_the_account_flat(tmp_path: Path) -> None:
    tapes = [value for tape in TAPES for value in ("--tape", str(tape))]
    with started("simulator", "--port", "0", "--speed", "60", *tapes, cwd=tmp_path) as simulator:
        assert simulator.stdout is not None
        address = simulator.stdout.readline().split()[-1]
        config = config_for(tmp_path, address)
        with started("run", "-c", str(config), cwd=tmp_path) as daemon:
            watch = Watch()
            until_exposed(daemon, watch)
            daemon.send_signal(signal.SIGTERM)
            out, err = daemon.communicate(timeout=STOP_REAL_S_MAX)
    for line in out.splitlines():
        watch.handle(line)
    summary = next(r for r in watch.records if r["event"] == "daemon.summary")
    assert daemon.returncode == 0, err
    assert summary["is_flat"]
    assert summary["agrees"], err
    assert summary["fills"], "nothing traded in half an hour"
    assert not any(float(qty) for qty in watch.positions.values())
