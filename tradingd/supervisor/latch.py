"""The halt latch as a file: a halt must outlive the process, the database, and our own mistakes.

The order log keeps the halt too; the file is the second witness, readable and writable by a person with
nothing but a shell. It is written inside the very publish that asks for a halt or causes one, before
anyone hears of it, so a crash at any later step finds it. Only a resume that was granted takes it away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from tradingd.messages import Ask, LevelChanged, Message, OperatorAsked
from tradingd.runtime.bus import Bus
from tradingd.supervisor.levels import cause_of

FILE_NAME = "HALT"
TEXT_MAX = 200
"""Characters of a person's note that go into the log."""

_HALTS = frozenset({Ask.HALT, Ask.FLATTEN})
_LOG = structlog.get_logger()


class HaltLatch:
    """Keeps the file and the system's latched causes in step; the system's word wins, except at its start."""

    def __init__(self, path: Path, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self.fault = ""
        """Why the file could not be written or removed, as long as it is not what it should be."""
        self._path = path
        self._wall_ns = wall_ns
        self._is_latched = False
        self._is_asked = False
        """A halt was asked for in this run, and the supervisor has not yet answered."""
        self._text = ""

    def attach(self, bus: Bus) -> None:
        """Follow what is asked and what the supervisor says."""
        bus.on(OperatorAsked, self._on_asked)
        bus.on(LevelChanged, self._on_level)

    def look(self) -> str | None:
        """Mend the file if need be; return a note that halts the system, when one lies there unheard."""
        is_there = self._path.exists()
        if self._is_latched or self._is_asked:
            if not is_there:
                self._write()
            return None
        if not is_there:
            self.fault = ""
            return None
        return f"{self._path.name}: {self._read() or 'touched'}"

    def _on_asked(self, message: Message) -> None:
        assert isinstance(message, OperatorAsked)
        if message.ask not in _HALTS or message.target or self._is_latched:
            return
        self._is_asked = True
        self.put(message.who, f"{message.ask.value}: {message.reason}")

    def _on_level(self, message: Message) -> None:
        assert isinstance(message, LevelChanged)
        was_latched = self._is_latched
        latched = [each for each in message.causes if cause_of(each).is_latched]
        self._is_latched = bool(latched)
        if latched:
            if not was_latched and not self._is_asked:
                self.put("supervisor", ", ".join(latched))
            self._is_asked = False
        elif was_latched:
            self._remove()

    def put(self, who: str, why: str) -> None:
        """Write the file; `fault` tells where that failed."""
        at = datetime.fromtimestamp(self._wall_ns() // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._text = f"halted {at} by {_line(who)}, {_line(why)}\n"
        self._write()

    def _write(self) -> None:
        """Write all or nothing, and not return before the disk has it."""
        beside = self._path.with_name(f".{self._path.name}")
        try:
            with beside.open("w", encoding="utf-8") as file:
                file.write(self._text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            self._sync_folder()
            self.fault = ""
        except OSError as error:
            self._fail(f"the halt file cannot be written: {error}")

    def _remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
            self._sync_folder()
            self.fault = ""
        except OSError as error:
            self._fail(f"the halt file cannot be removed, so the system will halt again: {error}")

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self) -> str:
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                return _line(file.read(TEXT_MAX))
        except OSError as error:
            return f"unreadable ({error.strerror})"

    def _fail(self, fault: str) -> None:
        if fault != self.fault:
            _LOG.error("halt.latch_failed", msg=fault)
        self.fault = fault


def latch_file(path: Path, who: str, why: str) -> None:
    """Halt the next run from outside it; raises `OSError` where the file cannot be written."""
    latch = HaltLatch(path)
    latch.put(who, why)
    if latch.fault:
        raise OSError(latch.fault)


def _line(text: str) -> str:
    return " ".join(text.split())
