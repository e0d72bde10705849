"""Every verb against one running mock daemon, in a process of its own: what it prints and how it exits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradingd.cli import _COMMANDS

ROOT = Path(__file__).parents[2]
MOCK = ROOT / "config/mock.toml"
RUN_REAL_S_MAX = 90.0
CANARY = "canary-cli-5f1d0c5e9b"

pytestmark = pytest.mark.wire


class Running:
    """A daemon, and a shell beside it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "ALPACA_API_KEY": "PKCANARY000000000000",
            "ALPACA_SECRET_KEY": CANARY,
            "TRADINGD_CONFIG": str(MOCK),
            "TRADINGD_RUN__STATE_DIR": str(state / "s"),
            "TRADINGD_MOCK__MINUTES": "600",
        }
        self.published: list[str] = []

    def __call__(self, *values: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", *values],
            cwd=self.state, env=self.environment, capture_output=True, text=True,
            timeout=RUN_REAL_S_MAX, check=False,
        )  # fmt: skip
        self.published.append(done.stdout + done.stderr)
        return done

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tradingd", "run"], cwd=self.state, env=self.environment,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Running, subprocess.Popen[str]]]:
    shell = Running(tmp_path)
    with shell.start() as process:
        timeout = threading.Timer(RUN_REAL_S_MAX, process.kill)
        timeout.start()
        try:
            yield shell, process
        finally:
            timeout.cancel()
            process.kill()


def until(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"{event} never came")


def drained(process: subprocess.Popen[str]) -> threading.Thread:
    """Keep reading, so that the daemon's pipe never fills."""
    assert process.stdout is not None
    reading = threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True)
    reading.start()
    return reading


def test_verbs_from_the_first_question_to_the_stop(
    daemon: tuple[Running, subprocess.Popen[str]],
) -> None:
    shell, process = daemon
    until(process, "fill.received")
    reading = drained(process)
    for verb in ("status", "positions", "orders", "fills", "pnl", "risk", "signals", "alerts", "strategies", "reconcile"):  # fmt: skip
        assert (done := shell(verb)).returncode == 0, (verb, done.stderr)
        assert done.stdout.strip(), verb
        assert json.loads(shell(verb, "--json").stdout) is not None, verb
    assert "sma" in shell("pnl", "--by", "strategy").stdout

    assert shell("pause").returncode == 0
    paused = shell("submit", "ACMX", "buy", "1")
    assert paused.returncode == 4, paused.stdout + paused.stderr
    assert "level" in paused.stderr
    assert shell("resume").returncode == 2, "a resume needs a reason"
    assert "normal" in shell("resume", "--reason", "looked at it").stdout

    assert shell("pause", "sma").returncode == 0
    states = {
        one["strategy"]: one["state"]
        for one in json.loads(shell("strategies", "--json").stdout)["strategies"]
    }
    assert states["sma"] == "stopped"
    assert shell("resume", "sma", "--reason", "again").returncode == 0
    assert shell("pause", "nobody").returncode == 1

    huge = shell("submit", "ACMX", "buy", "100000")
    assert huge.returncode == 4
    assert "refused by order" in huge.stderr
    assert shell("submit", "ACMX", "buy", "NaN").returncode == 2
    sold = shell("submit", "ACMX", "sell", "1", "--json")
    assert sold.returncode in (0, 4), sold.stderr  # a strategy may have left the position by now
    assert json.loads(sold.stdout)["intent_id"].split("-")[1] == "o"
    assert shell("cancel", "nothing").returncode == 1
    assert shell("cancel").returncode == 2
    assert shell("cancel", "--all").returncode in (0, 5)

    assert "the books agree" in shell("reconcile").stdout
    assert shell("reconcile", "--accept").returncode == 2, "accepting needs a reason"
    assert shell("reconcile", "--accept", "--reason", "as it is").returncode == 0

    halted = shell("halt", "enough for today")
    assert halted.returncode == 0, halted.stderr
    assert shell("halt", "once more").returncode == 0, "a halt is idempotent"
    assert shell("status").returncode == 6
    assert shell("submit", "ACMX", "buy", "1").returncode == 6

    whole = shell("audit", "verify")
    assert whole.returncode == 0, whole.stderr
    assert "hold together" in whole.stdout

    stopped = shell("stop", "--reason", "home")
    assert stopped.returncode == 0, stopped.stderr
    assert "flat" in stopped.stdout
    assert process.wait(timeout=RUN_REAL_S_MAX) == 0
    reading.join(timeout=60)
    assert shell("status").returncode == 3
    assert shell("stop").returncode == 3
    assert CANARY not in "".join(shell.published)
    for file in shell.state.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file


def kinds_of_alerts(shell: Running) -> list[str]:
    lines = (shell.state / "s/alerts.jsonl").read_text().splitlines()
    return [json.loads(line)["kind"] for line in lines]


def test_stop_keep_leaves_the_positions_where_they_are(
    daemon: tuple[Running, subprocess.Popen[str]],
) -> None:
    shell, process = daemon
    until(process, "position.changed")
    reading = drained(process)
    stopped = shell("stop", "--keep", "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout) == {"is_stopped": True, "is_flat": False}
    assert process.wait(timeout=RUN_REAL_S_MAX) == 0
    reading.join(timeout=60)
    assert "stopped_not_flat" not in kinds_of_alerts(shell)
    assert kinds_of_alerts(shell)[-1] == "run_stopped"


def test_a_signal_keeps_the_positions_where_on_stop_says_so(tmp_path: Path) -> None:
    shell = Running(tmp_path)
    shell.environment["TRADINGD_RUN__ON_STOP"] = "keep"
    with shell.start() as process:
        timeout = threading.Timer(RUN_REAL_S_MAX, process.kill)
        timeout.start()
        until(process, "position.changed")
        reading = drained(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=RUN_REAL_S_MAX) == 0
        reading.join(timeout=60)
        timeout.cancel()
    assert "stopped_not_flat" not in kinds_of_alerts(shell)
    assert kinds_of_alerts(shell)[-1] == "run_stopped"


def test_a_symbol_is_flattened_alone_and_then_everything(
    daemon: tuple[Running, subprocess.Popen[str]],
) -> None:
    shell, process = daemon
    until(process, "position.changed")
    reading = drained(process)
    held = json.loads(shell("positions", "--json").stdout)["positions"]
    one = shell("flatten", held[0]["symbol"])
    assert one.returncode in (0, 1), one.stderr  # 1: the strategy was faster
    assert shell("flatten", "NONE").returncode == 1
    whole = shell("flatten", "--reason", "leaving")
    assert whole.returncode == 0, whole.stderr
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=RUN_REAL_S_MAX) == 0
    reading.join(timeout=60)


def test_every_verb_helps_and_loads_nothing_heavy_for_it() -> None:
    for verb in _COMMANDS:
        code = (
            "import sys; sys.argv = ['tradingd', sys.argv[1], '--help']\n"
            "from tradingd.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print('HEAVY', sorted({'aiohttp', 'pandas', 'alpaca', 'numpy'} & set(sys.modules)))"
        )
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", code, verb], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert "HEAVY []" in done.stdout, (verb, done.stdout)
        assert re.search(r"Usage: tradingd", done.stdout), verb
