"""The worst day with real processes: broker, daemon, the owner's alert program and a shell, in real time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tradingd.instruments.calendar import ns_of
from tradingd.simulator.wire.settings import SIMULATOR_KEYS

ROOT = Path(__file__).parents[2]
CRASH = ROOT / "config/crash.toml"
TOLD = tomllib.loads(CRASH.read_text())
START = "09:38"
QUIET_MARKET_S = 180.0
"""How long it is watched that nothing is opened."""

REAL_S_MAX = 60.0

PROGRAM = """
import json, sys
alert = json.loads(sys.stdin.read())
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(alert) + chr(10))
"""
T = TypeVar("T")

pytestmark = pytest.mark.wire


def environment(folder: Path, simulator: str = "") -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    argv = [sys.executable, "-I", str(folder / "page_me.py"), str(folder / "paged.jsonl")]
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "TRADINGD_CONFIG": str(CRASH),
        "TRADINGD_RUN__STATE_DIR": str(folder / "s"),
        "TRADINGD_MOCK__SIMULATOR": simulator or "embedded",
        "TRADINGD_NOTIFY__COMMAND": json.dumps(argv),
        "TRADINGD_NOTIFY__ROUTES": '[{ channels = ["file", "command"] }]',
    }


@contextlib.contextmanager
def process(*values: str, folder: Path, simulator: str = "") -> Iterator[subprocess.Popen[str]]:
    with (folder / "stderr").open("a") as errors, subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", *values], cwd=folder, text=True,
        env=environment(folder, simulator), stdout=subprocess.PIPE, stderr=errors,
    ) as started:  # fmt: skip
        try:
            yield started
        finally:
            started.kill()


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A standalone simulator that opens seven market minutes before the fall."""
    mock = TOLD["mock"]
    values = ("--port", "0", "--scenario", mock["scenario"], "--seed", str(mock["seed"]),
             "--speed", str(mock["speed"]), "--start", f"2024-03-05 {START}", "--minutes", "300",
             "--cash", str(mock["cash"]), "--symbols", ",".join(TOLD["quotes"]["symbols"]))  # fmt: skip
    with process("simulator", *values, folder=folder) as started:
        assert started.stdout is not None
        yield started.stdout.readline().split()[-1]


def market_s(simulator: str) -> float:
    """Return the seconds since the simulator began, in its own time."""
    with urllib.request.urlopen(f"{simulator}/sim/clock", timeout=60) as reply:  # noqa: S310
        settings = json.loads(reply.read())
    spent = (time.monotonic_ns() - settings["monotonic_ns"]) * settings["speed"]
    return float(settings["origin_ns"] + spent - ns_of("2024-03-05", START)) / 1e9


def asked(simulator: str, path: str) -> list[dict[str, Any]]:
    """Ask the broker itself."""
    headers = {
        "APCA-API-KEY-ID": SIMULATOR_KEYS.key_id,
        "APCA-API-SECRET-KEY": SIMULATOR_KEYS.secret_key,
    }
    request = urllib.request.Request(f"{simulator}/v2/{path}", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        answer: list[dict[str, Any]] = json.loads(reply.read())
    return answer


def bought(simulator: str) -> int:
    """Return how many orders to buy the broker ever had."""
    return sum(order["side"] == "buy" for order in asked(simulator, "orders?status=all&limit=500"))


class Life:
    """One run of the daemon, and its records."""

    def __init__(self, folder: Path, simulator: str, started: subprocess.Popen[str]) -> None:
        self.process = started
        self.records: list[dict[str, Any]] = []
        self._folder = folder
        self._simulator = simulator
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.records.append(json.loads(line))

    def first(self, event: str, **fields: str) -> dict[str, Any]:
        """Wait for a record, and return it."""

        def found() -> dict[str, Any] | None:
            wanted = set({"event": event, **fields}.items())
            return next(
                (each for each in list(self.records) if wanted <= flat(each)),
                None,
            )

        return self.until(found, f"{event} {fields}")

    def quiet(self) -> None:
        """Let market time pass."""
        until_s = market_s(self._simulator) + QUIET_MARKET_S
        self.until(lambda: market_s(self._simulator) > until_s or None, "a later market")

    def paged(self, kind: str) -> dict[str, Any]:
        """Wait until the owner's program has an alert of a kind, and return it."""
        file = self._folder / "paged.jsonl"

        def found() -> dict[str, Any] | None:
            lines = file.read_text().splitlines(keepends=True) if file.exists() else []
            alerts = [json.loads(line) for line in lines if line.endswith("\n")]
            return next((alert for alert in alerts if alert["kind"] == kind), None)

        return self.until(found, f"the alert {kind}")

    def until(self, found: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + REAL_S_MAX
        while (it := found()) is None:
            assert time.monotonic() < deadline, f"{what} never came: {self.records[-3:]}"
            assert self.process.poll() is None, f"ended before {what}: {self.records[-3:]}"
            threading.Event().wait(0.02)
        return it

    def shell(self, *values: str) -> subprocess.CompletedProcess[str]:
        """Speak to the daemon as its owner would."""
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", *values], cwd=self._folder, check=False,
            env=environment(self._folder, self._simulator), capture_output=True, text=True,
            timeout=REAL_S_MAX,
        )  # fmt: skip


def flat(record: dict[str, Any]) -> set[tuple[str, str]]:
    return {(name, value) for name, value in record.items() if isinstance(value, str)}


@contextlib.contextmanager
def life(folder: Path, simulator: str) -> Iterator[Life]:
    with process("run", folder=folder, simulator=simulator) as started:
        yield Life(folder, simulator, started)


def test_the_loss_limit_pages_its_owner_and_only_a_reason_ends_the_halt(
    tmp_path: Path,
) -> None:
    (tmp_path / "page_me.py").write_text(PROGRAM)
    halt_file = tmp_path / "s/HALT"
    with broker(tmp_path) as simulator:
        with life(tmp_path, simulator) as run:
            run.first("halt.level_changed", system_level="flattening")
            paged = run.paged("daily_loss")
            assert paged["severity"] == "critical"
            assert len(asked(simulator, "orders?status=all&limit=500")) >= 8
            run.first("halt.level_changed", system_level="halted")
            assert asked(simulator, "positions") == []
            assert asked(simulator, "orders?status=open") == []
            assert "daily_loss" in halt_file.read_text()
            entries = bought(simulator)
            run.quiet()
            assert bought(simulator) == entries, "nothing was opened since the halt"
            run.process.send_signal(signal.SIGKILL)
            run.process.wait(REAL_S_MAX)

        with life(tmp_path, simulator) as run:
            run.first("daemon.started")
            paged = run.paged("started_halted")
            assert "daily_loss" in paged["text"]
            run.first("halt.level_changed", system_level="halted")
            run.quiet()
            assert run.shell("status").returncode == 6
            assert run.shell("resume").returncode == 2, "a resume needs a reason"
            assert halt_file.exists()
            assert bought(simulator) == entries, "nothing was opened by the restart"

            resumed = run.shell("resume", "--reason", "looked at it; the market stands again")
            assert resumed.returncode == 0, resumed.stderr
            assert "normal" in resumed.stdout
            assert not halt_file.exists()
            run.first("order.submitted")
            assert bought(simulator) > entries, "armed again"
            run.process.send_signal(signal.SIGTERM)
            assert run.process.wait(REAL_S_MAX) == 0, (tmp_path / "stderr").read_text()
        assert asked(simulator, "positions") == []
