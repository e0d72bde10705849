"""An alert as it leaves: redacted, named, and worded for people and for programs.

Several of them make a digest, which is an alert too, so that no sink needs to know of digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tradingd.messages import Severity

VERSION = 1
LINES_MAX = 20
"""Alerts that a digest lists; the rest is counted."""

RANK = {severity: rank for rank, severity in enumerate(Severity)}
_NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One alert on its way out. Its text has passed the redactor."""

    alert_id: str
    """The same for every attempt, so that a receiver can tell a repeated delivery."""
    severity: Severity
    kind: str
    publisher: str
    text: str
    at: int
    """Market time, ns UTC."""
    raised_at: int
    """Real time, ns of the monotonic clock."""
    mode: str
    run_id: str
    parts: tuple[Notification, ...] = ()
    """The alerts of a digest."""

    @property
    def title(self) -> str:
        """One line for the subject of a mail."""
        return f"tradingd {self.mode} {self.severity.upper()}: {self.kind}"

    @property
    def body(self) -> str:
        """What a person reads."""
        when = datetime.fromtimestamp(self.at / 1e9, _NEW_YORK)
        return f"{self.text}\n{self.publisher}, {when:%Y-%m-%d %H:%M:%S} New York"

    def record(self) -> dict[str, Any]:
        """Return what a program reads, as plain values."""
        record = {
            "v": VERSION,
            "id": self.alert_id,
            "severity": self.severity.value,
            "kind": self.kind,
            "publisher": self.publisher,
            "text": self.text,
            "at": datetime.fromtimestamp(self.at / 1e9, UTC).isoformat(timespec="milliseconds"),
            "mode": self.mode,
            "run_id": self.run_id,
        }
        if self.parts:
            record["alerts"] = [part.record() for part in self.parts[:LINES_MAX]]
        return record


def digest(alerts: Sequence[Notification], unlisted: int = 0) -> Notification:
    """Return one alert that stands for all, the worst first; a single one stands for itself."""
    if len(alerts) == 1 and not unlisted:
        return alerts[0]
    worst = sorted(alerts, key=lambda alert: -RANK[alert.severity])
    lines = [f"{one.severity.value} {one.kind}: {one.text}" for one in worst[:LINES_MAX]]
    more = len(worst) - len(lines) + unlisted
    if more:
        lines.append(f"and {more} more")
    first = worst[0]
    count = len(worst) + unlisted
    return Notification(
        alert_id=f"{first.alert_id}+{count - 1}",
        severity=first.severity,
        kind=f"{first.kind} and {count - 1} more",
        publisher=first.publisher,
        text="\n".join(lines),
        at=first.at,
        raised_at=min(alert.raised_at for alert in alerts),
        mode=first.mode,
        run_id=first.run_id,
        parts=tuple(worst),
    )
