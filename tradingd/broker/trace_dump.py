"""What crossed the wire before something critical, kept as a file that nobody has to have asked for in time."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from tradingd.messages import (
    ActorFailed,
    AlertRaised,
    Level,
    LevelChanged,
    Message,
    Severity,
)
from tradingd.runtime.ports import Clock
from tradingd.runtime.wire_trace import WireTrace
from tradingd.state.permissions import Permissions

log = structlog.get_logger(actor="broker")

INTERVAL_NS_MIN = 60_000_000_000
"""Real time between two files: one fault raises many alerts."""

FILES_MAX = 20
"""Files kept; the oldest goes."""


_STOP = frozenset({"stop", "stopped"})
"""Causes of a session's planned end, which is no halt to look into."""


class TraceDump:
    """Writes the ring down when something critical is said: at most a file a minute, twenty in all."""

    SUBSCRIBES: tuple[type[Message], ...] = (AlertRaised, ActorFailed, LevelChanged)

    def __init__(self, folder: str, wire_trace: WireTrace, clock: Clock) -> None:
        self._folder = Path(folder) if folder else None
        self._trace = wire_trace
        self._clock = clock
        self._permissions = Permissions()
        self._written_at: int | None = None

    def handle(self, message: Message) -> None:
        """Look at a message; the bus calls this inside `publish`, so it never raises."""
        kind, text = self._judge(message)
        if self._folder is None or not kind:
            return
        now = self._clock.monotonic()
        if self._written_at is not None and now - self._written_at < INTERVAL_NS_MIN:
            return
        self._written_at = now
        try:
            name = self._write(self._folder, kind, text)
        except OSError as error:
            log.warning("trace.unwritten", reason=str(error))
            return
        log.info("trace.written", file=name, alert=kind)

    def _judge(self, message: Message) -> tuple[str, str]:
        """Return (what happened, in words) of what is worth a file, else nothing."""
        match message:
            case AlertRaised(severity=Severity.CRITICAL):
                return message.kind, f"{message.publisher} {message.kind}: {message.text}"
            case ActorFailed():
                return "station_failed", f"{message.actor} failed: {message.error}"
            case LevelChanged():
                before = self._permissions.level
                self._permissions.apply(message)
                is_asked_for = _STOP.issuperset(message.causes)
                if message.level is Level.HALTED is not before and not is_asked_for:
                    return "halted", f"halted: {', '.join(message.causes)}"
            case _:
                pass
        return "", ""

    def _write(self, folder: Path, kind: str, text: str) -> str:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        value = "".join(char if char.isalnum() else "_" for char in kind)[:40]
        path = folder / f"{self._clock.now()}_{value}.txt"
        lines = [self._trace.clean(text), *self._trace.lines()]
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        for old in sorted(folder.glob("*.txt"))[:-FILES_MAX]:
            old.unlink()
        return path.name
