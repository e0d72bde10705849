"""A stand-in for systemd: the socket it listens on, the environment it gives, the process it started."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
MOCK = ROOT / "config/mock.toml"
REAL_S_MAX = 60.0
_T = TypeVar("_T")


@dataclass
class Unit:
    """One started daemon and all it told."""

    process: subprocess.Popen[str]
    received: list[str] = field(default_factory=list)
    records: list[dict[str, object]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def values(self, name: str) -> list[str]:
        """What was told under this name so far."""
        return [
            values.partition("=")[2] for values in self.received if values.startswith(f"{name}=")
        ]

    def wait(self, is_there: Callable[[], object], what: str) -> None:
        """Wait until told, logged or said enough."""
        deadline = time.monotonic() + REAL_S_MAX
        with self._news:
            while not is_there():
                left = deadline - time.monotonic()
                assert left > 0, f"{what} never came: {self.received} {self.errors}"
                self._news.wait(min(left, 1.0))

    def wait_word(self, name: str, count: int = 1) -> None:
        self.wait(lambda: len(self.values(name)) >= count, name)

    def wait_event(self, event: str) -> None:
        self.wait(lambda: any(record["event"] == event for record in self.records), event)

    def wait_end(self) -> int:
        return self.process.wait(REAL_S_MAX)

    def handle(self, listening: socket.socket) -> None:
        while values := listening.recv(65_536).decode():
            self._note(self.received, values)

    def read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._note(self.records, json.loads(line))

    def read_err(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._note(self.errors, line)

    def _note(self, notes: list[_T], note: _T) -> None:
        with self._news:
            notes.append(note)
            self._news.notify_all()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return what the manager gives: no keys, a state folder, settings as variables."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    given = {f"TRADINGD_{name.upper()}": value for name, value in settings.items()}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "TRADINGD_RUN__STATE_DIR": str(folder / "s"),
        "TRADINGD_MOCK__MINUTES": "1200",
        **given,
    }


@contextlib.contextmanager
def started(
    folder: Path, config: Path = MOCK, *, environ: dict[str, str] | None = None, **settings: str
) -> Iterator[Unit]:
    """Start the daemon as the unit does, with a watchdog of three seconds."""
    name = str(folder / "notify")
    Path(name).unlink(missing_ok=True)
    given = environment(folder, **settings) | (environ or {})
    given |= {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-X", "faulthandler", "-m", "tradingd", "run", "-c", str(config)],
            cwd=folder, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=_no_core,  # noqa: PLW1509 - no thread of ours runs yet
        )  # fmt: skip
        unit = Unit(process)
        threads = [
            threading.Thread(target=unit.handle, args=(listening,), daemon=True),
            threading.Thread(target=unit.read_out, daemon=True),
            threading.Thread(target=unit.read_err, daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield unit
        finally:
            process.kill()
            process.wait()
            _say_the_end(name)
            for thread in threads:
                thread.join()
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()


def _no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say_the_end(name: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talking:
        talking.sendto(b"", name)
