"""Daemons in processes of their own, and a simulator in another: started, read until an event, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOCK, PAPER, LIVE = (ROOT / f"config/{name}.toml" for name in ("mock", "paper", "live"))
REDIRECTED = ROOT / "tests/app/preflight/redirected.py"
KEYS = {"ALPACA_API_KEY": "SIMULATOR", "ALPACA_SECRET_KEY": "simulator-secret"}
SYMBOLS = "ACMX,ZORB,BTC/USD"
REAL_S_MAX = 60.0


class Simulator:
    """A standalone simulator that keeps today's time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.port = int(address.rpartition(":")[2])

    def fault(self, **fields: object) -> None:
        body = json.dumps(fields).encode()
        request = urllib.request.Request(f"{self.address}/sim/faults", body, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            assert reply.status == 200

    def account(self) -> dict[str, str]:
        headers = {
            "APCA-API-KEY-ID": KEYS["ALPACA_API_KEY"],
            "APCA-API-SECRET-KEY": KEYS["ALPACA_SECRET_KEY"],
        }
        request = urllib.request.Request(f"{self.address}/v2/account", headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            answer: dict[str, str] = json.loads(reply.read())
        return answer


def clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}


def environment(folder: Path, address: str = "", **settings: str) -> dict[str, str]:
    """Return the environment of a run; with an address, of one in paper mode against it."""
    at = address.removeprefix("http://")
    paper = {
        "alpaca__trading_url": address,
        "alpaca__trading_stream_url": f"ws://{at}/stream",
        "alpaca__data_url": address,
        "alpaca__data_stream_url": f"ws://{at}",
        **WATCHED,
    }
    given = {**(paper if address else {}), "run__state_dir": str(folder / "s"), "api__port": "0"}
    given |= settings
    named = {f"TRADINGD_{name.upper()}": value for name, value in given.items()}
    return {**clean(), **(KEYS if address else {}), "PYTHONPATH": str(ROOT), **named}


WATCHED = {
    "quotes__symbols": SYMBOLS,
    "risk__symbols": SYMBOLS,
    "strategies__sma__symbols": "ACMX",
    "strategies__momentum__symbols": "BTC/USD",
}


def tradingd(*values: object, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", *map(str, values)], cwd=cwd, env=env, check=False,
        capture_output=True, text=True, timeout=REAL_S_MAX,
    )  # fmt: skip


def refused(
    folder: Path, file: Path, env: dict[str, str], code: int, *message: str
) -> subprocess.CompletedProcess[str]:
    """Run, and hold the end of the run to its code and its one sentence."""
    done = tradingd("run", "-c", file, cwd=folder, env=env)
    assert done.returncode == code, done.stderr
    for text in message:
        assert text in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "simulator-secret" not in done.stderr + done.stdout
    return done


@contextlib.contextmanager
def started(argv: list[str], folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own program
        argv, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        timeout = threading.Timer(REAL_S_MAX, process.kill)
        timeout.start()
        try:
            yield process
        finally:
            timeout.cancel()
            process.kill()


def daemon(
    folder: Path, file: Path, env: dict[str, str]
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    return started([sys.executable, "-m", "tradingd", "run", "-c", str(file)], folder, env)


def read_until(process: subprocess.Popen[str], event: str) -> list[dict[str, object]]:
    assert process.stdout is not None
    seen: list[dict[str, object]] = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["event"] == event:
            return seen
    raise AssertionError(f"{event} never came; the last was {seen[-1:]}")


def ended(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> list[dict[str, object]]:
    process.send_signal(number)
    out, err = process.communicate(timeout=REAL_S_MAX)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]
