"""Drills from outside: measured on a daemon of their own or on the one that runs, refused with real money."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import (
    Simulator,
    daemon,
    ended,
    read_until,
)
from tests.support.daemons import environment as paper_environment

ROOT = Path(__file__).parents[2]
MOCK, PAPER, LIVE = (ROOT / f"config/{name}.toml" for name in ("mock", "paper", "live"))
REAL_S_MAX = 120.0

pytestmark = pytest.mark.wire


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    given = {"run__state_dir": str(folder / "s"), **settings}
    named = {f"TRADINGD_{name.upper()}": value for name, value in given.items()}
    return {**kept, "PYTHONPATH": str(ROOT), **named}


def drill(folder: Path, *values: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", "drill", *map(str, values)], cwd=folder, check=False,
        env=environment(folder, **settings), capture_output=True, text=True, timeout=REAL_S_MAX,
    )  # fmt: skip


def measured(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_a_halt_is_answered_and_then_safe(tmp_path: Path) -> None:
    record = measured(drill(tmp_path, "halt", "-c", MOCK))
    assert record["is_done"]
    assert record["answered_s"] <= record["safe_s"]
    assert record["after"]["entries"] == 0
    assert record["after"]["positions"] == record["before"]["positions"]
    assert not (tmp_path / "s").exists(), "a daemon of the drill has a folder of its own"


def test_a_flatten_leaves_nothing(tmp_path: Path) -> None:
    record = measured(drill(tmp_path, "flatten", "-c", MOCK))
    assert record["before"]["positions"] >= 2
    assert record["after"] == {"positions": 0, "orders": 0, "entries": 0}


def test_a_broker_cut_off_holds_entries_until_it_is_back(tmp_path: Path) -> None:
    record = measured(drill(tmp_path, "disconnect", "-c", MOCK))
    assert record["safe_s"] is not None, "it held entries"
    assert record["recovered_s"] > 0


def test_a_running_daemon_is_drilled_as_it_stands(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", "run", "-c", str(MOCK)], cwd=tmp_path, text=True,
        env=environment(tmp_path, mock__minutes="600", api__port="0"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        timeout = threading.Timer(REAL_S_MAX, process.kill)
        timeout.start()
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "fill.received":
                break
        cut = drill(tmp_path, "disconnect", "-c", MOCK)
        record = measured(drill(tmp_path, "flatten", "-c", MOCK))
        process.terminate()
        process.communicate()
        timeout.cancel()
    assert cut.returncode == 2
    assert "only a simulator in another process" in cut.stderr
    assert record["daemon"] == "running"
    assert record["after"]["positions"] == 0
    assert process.returncode == 0


def test_a_paper_daemon_is_cut_off_where_its_broker_is_a_simulator(
    tmp_path: Path,
    simulator: Simulator,
) -> None:
    env = paper_environment(tmp_path, simulator.address)
    with daemon(tmp_path, PAPER, env) as process:
        read_until(process, "reconcile.book_adopted")
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", "drill", "disconnect", "-c", str(PAPER)],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=REAL_S_MAX,
        )  # fmt: skip
        record = measured(done)
        ended(process)
    assert (record["mode"], record["daemon"]) == ("paper", "running")
    assert record["safe_s"] is not None, "it held entries"
    assert record["recovered_s"] > 0


def test_real_money_is_not_drilled(tmp_path: Path) -> None:
    done = drill(tmp_path, "halt", "-c", LIVE, alpaca__account_id="123456789")
    assert (done.returncode, done.stdout) == (2, "")
    assert "for mock and paper" in done.stderr


def test_a_paper_daemon_that_does_not_run_is_not_started_for_a_drill(tmp_path: Path) -> None:
    done = drill(tmp_path, "flatten", "-c", PAPER)
    assert (done.returncode, done.stdout) == (3, "")
