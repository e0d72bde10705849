"""What the notify station is told: channels, routes, limits, the summary and the dead-man's switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from tradingd.messages import Severity
from tradingd.notify.alert import RANK

FILE, COMMAND = "file", "command"
"""The channels that need no address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which alerts go where: all of this severity or worse whose kind matches one of the patterns."""

    severity: Severity = Severity.INFO
    kinds: tuple[str, ...] = ("*",)
    channels: tuple[str, ...] = (FILE,)

    def takes(self, severity: Severity, kind: str) -> bool:
        """Tell whether an alert goes this way."""
        if RANK[severity] < RANK[self.severity]:
            return False
        return any(fnmatchcase(kind, pattern) for pattern in self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Everything configured. Spans in seconds are real time, but for the window of rejects."""

    file: Path | None = None
    file_bytes_max: int = 16 * 1024**2
    command: tuple[str, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Channel name -> address of apprise; an address is a secret."""
    routes: tuple[Route, ...] = (Route(),)
    send_deadline_s: float = 10.0
    repeat_after_s: float = 300.0
    """The same kind and text is not sent again within this."""
    rate_per_minute_max: int = 10
    """Messages of a channel in a minute, critical ones and others apart; what is beyond becomes a digest."""
    summary_at: str = "16:15"
    """New York `HH:MM`, `close` or `off`."""
    tell_fills: bool = False
    rejects_max: int = 10
    rejects_window_s: float = 300.0
    """Market time."""
    state_dir: Path = Path()
    disk_free_bytes_min: int = 1024**3
    symbols: tuple[str, ...] = ()
    """What is watched: a market is stale when all its symbols are."""
    ping_url: str = field(default="", repr=False)
    ping_interval_s: float = 60.0
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What may stand in no text that leaves: keys, addresses and their parts."""
