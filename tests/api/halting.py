"""Twenty working orders on a standalone broker, a daemon, and three ways to ask for the emergency stop."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradingd.simulator.wire.settings import SIMULATOR_KEYS

ROOT = Path(__file__).parents[2]
MOCK = ROOT / "config/mock.toml"
SYMBOLS = ("ACMX", "ZORB", "QUIL", "VEXA")
ORDERS = 20
SPEED = 10
REAL_S_MAX = 60.0
HALT = "/api/risk/emergency-stop"
STRATEGIES = re.compile(r"^\[strategies\.sma\].*(?=^\[risk\])", re.DOTALL | re.MULTILINE)


class Stage:
    """A standalone broker, a daemon without strategies, and a shell beside them."""

    def __init__(self, folder: Path, simulator: str) -> None:
        self.folder = folder
        self.simulator = simulator
        self.config = folder / "quiet.toml"
        idle = '[strategies.idle]\nkind = "sma"\nsymbols = ["ACMX"]\nwhen = "bar"\nspan_s = 60\nparams = { fast = 400, slow = 500 }\n\n'  # fmt: skip
        self.config.write_text(STRATEGIES.sub(idle, MOCK.read_text()))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "TRADINGD_CONFIG": str(self.config),
            "TRADINGD_RUN__STATE_DIR": str(folder / "s"),
            "TRADINGD_MOCK__SIMULATOR": simulator,
            "TRADINGD_ROUTER__ORDER_TIMEOUT_S": "600",
            "TRADINGD_API__PORT": "0",
        }
        self.url = ""

    def shell(self, *values: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", *values], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False, timeout=REAL_S_MAX,
        )  # fmt: skip

    def post(self, path: str, body: dict[str, str], role: str = "operate") -> dict[str, Any]:
        """Command over TCP, as another program on the machine would; patient with the ration and the first quotes."""
        token = (self.folder / f"s/api.{role}.token").read_text().strip()
        while True:
            number = f"{time.time_ns():032d}"
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json",
                       "Request-Id": number, "Request-Time": str(int(time.time()))}  # fmt: skip
            request = urllib.request.Request(  # noqa: S310 - loopback
                self.url + path, json.dumps(body).encode(), headers, method="POST"
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
                    answer: dict[str, Any] = json.loads(reply.read())
                    return answer
            except urllib.error.HTTPError as refused:
                with refused:
                    why = refused.read().decode()
                    if refused.code != 429 and "no quote of" not in why:
                        raise AssertionError(why) from refused
                threading.Event().wait(0.25)

    def ask(self, path: str) -> Any:
        """Ask the broker itself."""
        headers = {
            "APCA-API-KEY-ID": SIMULATOR_KEYS.key_id,
            "APCA-API-SECRET-KEY": SIMULATOR_KEYS.secret_key,
        }
        request = urllib.request.Request(f"{self.simulator}{path}", headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            return json.loads(reply.read())

    def orders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask("/v2/orders?status=all&limit=500")
        return rows

    def working(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask("/v2/orders?status=open&limit=500")
        return rows

    def submit(self, symbol: str, side: str, quantity: str, off_pct: str) -> None:
        quote = self.ask(f"/v2/stocks/quotes/latest?symbols={symbol}")["quotes"][symbol]
        price = (Decimal(str(quote["bp"])) * (1 + Decimal(off_pct) / 100)).quantize(Decimal("0.01"))
        settings = self.post("/api/orders", {"symbol": symbol, "side": side, "quantity": quantity,
                                         "limit_price": str(price), "reason": "a test"})  # fmt: skip
        assert settings["verdict"] == "approved", settings

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + REAL_S_MAX
        while not is_so():
            assert time.monotonic() < deadline, f"{what} never came: {self.orders()[:3]}"
            threading.Event().wait(0.05)

    def canceled_real_s(self) -> list[float]:
        """Return when, on this machine's monotonic clock, the broker had canceled each order."""
        with urllib.request.urlopen(f"{self.simulator}/sim/clock", timeout=60) as reply:  # noqa: S310
            clock = json.loads(reply.read())
        return [
            (clock["monotonic_ns"] + (_ns(row["canceled_at"]) - clock["origin_ns"]) / clock["speed"]) / 1e9
            for row in self.orders() if row["canceled_at"]
        ]  # fmt: skip


def _ns(stamp: str) -> int:
    from datetime import datetime

    whole, _, rest = stamp.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 10**9 + int(rest.ljust(9, "0")[:9] or 0)


@contextlib.contextmanager
def started(folder: Path, env: dict[str, str], *values: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", *values], cwd=folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A daemon at work on a broker of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    values = ("simulator", "--port", "0", "--speed", str(SPEED), "--minutes", "300",
             "--start", "2024-03-05 10:00", "--symbols", ",".join((*SYMBOLS, "BTC/USD")))  # fmt: skip
    with started(folder, env, *values) as broker:
        assert broker.stdout is not None
        settings = Stage(folder, broker.stdout.readline().split()[-1])
        with started(folder, settings.environment, "run") as process:
            assert process.stdout is not None
            for line in process.stdout:
                record = json.loads(line)
                settings.url = record.get("url", settings.url)
                if record.get("system_level") == "normal":
                    break
            with drained(process):
                working(settings)
                yield settings
                process.terminate()
                process.wait(REAL_S_MAX)


@contextlib.contextmanager
def drained(process: subprocess.Popen[str]) -> Iterator[None]:
    """Keep reading, so that the daemon's pipe never fills."""
    reading = threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True)
    reading.start()
    try:
        yield
    finally:
        process.kill()
        reading.join(REAL_S_MAX)


def working(stage: Stage) -> None:
    """Have twenty entries rest, beside one position and its resting exit."""
    stage.submit("ACMX", "buy", "10", "1")
    stage.until(lambda: bool(stage.ask("/v2/positions")), "the position")
    stage.submit("ACMX", "sell", "10", "1.8")
    for number in range(ORDERS):
        stage.submit(SYMBOLS[number % 4], "buy", "2", "-1.8")
    stage.until(lambda: len(stage.working()) == ORDERS + 1, "twenty working orders")


def by_http(stage: Stage) -> None:
    answer = stage.post(HALT, {"reason": "a test"}, role="halt")
    assert (answer["is_done"], answer["level"]) == (True, "halted")


def by_shell(stage: Stage) -> None:
    done = stage.shell("halt", "a test")
    assert done.returncode == 0, done.stderr


def by_file(stage: Stage) -> None:
    (stage.folder / "s/HALT").touch()
    stage.until(lambda: stage.shell("status").returncode == 6, "the halt")


WAYS: dict[str, Callable[[Stage], None]] = {"http": by_http, "shell": by_shell, "file": by_file}
