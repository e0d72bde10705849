"""Starts: a bare interpreter, `--help`, and `run` in mock up to its first decision, with memory then.

    python -m bench.startup [--rounds N]

One JSON line of milliseconds, the least of the rounds each, and CPU milliseconds beside them. A decision is the first
intent that the gate approved or refused; before it the market has to give a signal. Memory is the whole daemon's, its embedded simulator included.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DECISIONS = ('"event":"risk.approved"', '"event":"risk.refused"')
STOP_REAL_S_MAX = 60.0
SETTLED_REAL_S = 10.0
"""How long the session goes on before its memory is read again: histories are full by then."""


class Start(NamedTuple):
    """One start of a program."""

    wall_ms: float
    cpu_ms: float


def start(values: Sequence[str]) -> Start:
    """Run a program to its end."""
    before = os.times()
    begun = time.perf_counter()
    subprocess.run([sys.executable, *values], cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    wall = time.perf_counter() - begun
    after = os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Start(wall * 1000, cpu * 1000)


def least(rounds: int, run: Callable[[], Start]) -> Start:
    """Return the least of each figure."""
    found = [run() for _ in range(rounds)]
    return Start(min(each.wall_ms for each in found), min(each.cpu_ms for each in found))


def first_decision(seconds_more: float = 0.0) -> dict[str, float]:
    """Start a mock session, wait for its first decision, and stop it; return milliseconds and MiB."""
    with tempfile.TemporaryDirectory() as folder:
        values = [sys.executable, "-m", "tradingd", "run", "-c", str(ROOT / "config/mock.toml")]
        environment = {**os.environ, "TRADINGD_RUN__STATE_DIR": f"{folder}/state"}
        begun = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - our own program
            values, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            found: dict[str, float] = {}
            for line in process.stdout:
                now_ms = (time.perf_counter() - begun) * 1000
                found.setdefault("listening_ms", now_ms)  # its first record
                if any(event in line for event in DECISIONS):
                    found["first_decision_ms"] = now_ms
                    break
            else:
                raise RuntimeError(f"no decision; exit code {process.wait()}")
            found["rss_mib"] = _rss_mib(process.pid)
            until = time.perf_counter() + seconds_more
            while time.perf_counter() < until and process.stdout.readline():
                pass  # its pipe must not fill
            if seconds_more:
                found["rss_settled_mib"] = _rss_mib(process.pid)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=STOP_REAL_S_MAX)
            assert process.returncode == 0, f"stopped with {process.returncode}"
    return found


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no VmRSS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    start(
        ["-m", "tradingd", "--help"]
    )  # compiled files and the page cache are not what is measured
    bare = least(rounds, lambda: start(["-c", "pass"]))
    shown = least(rounds, lambda: start(["-m", "tradingd", "--help"]))
    runs = [first_decision() for _ in range(rounds - 1)] + [first_decision(SETTLED_REAL_S)]
    line = {
        "bench": "startup",
        "bare_ms": bare.wall_ms,
        "help_ms": shown.wall_ms,
        "help_over_bare_ms": shown.wall_ms - bare.wall_ms,
        "help_over_bare_cpu_ms": shown.cpu_ms - bare.cpu_ms,
        "listening_ms": min(run["listening_ms"] for run in runs),
        "first_decision_ms": min(run["first_decision_ms"] for run in runs),
        "rss_mib": max(run["rss_mib"] for run in runs),
        "rss_settled_mib": runs[-1]["rss_settled_mib"],
    }
    print(
        json.dumps({name: round(v, 1) if isinstance(v, float) else v for name, v in line.items()})
    )


if __name__ == "__main__":
    main()
