"""What waits for one channel: critical first, bounded, and nothing critical is ever forgotten.

When the rate is used up, everything that waits leaves as one digest with the next free place. Alerts
that failed come back and are tried again until they are too old to be news.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingd.messages import Severity
from tradingd.notify.alert import RANK, Notification, digest
from tradingd.notify.limits import Bucket

WAITING_MAX = 256
BACK_OFF_S_MAX = 60.0
TRIED_S_MAX = {Severity.INFO: 300.0, Severity.WARNING: 900.0, Severity.CRITICAL: 7200.0}
"""How long after it was raised an alert is still tried."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent at once: one alert, or several as a digest."""

    alerts: tuple[Notification, ...]
    attempts: int
    due_at: int
    unlisted: int = 0

    @property
    def alert(self) -> Notification:
        """Return what the sink gets."""
        return digest(self.alerts, self.unlisted)

    @property
    def severity(self) -> Severity:
        """Return the worst of them."""
        return max((alert.severity for alert in self.alerts), key=RANK.__getitem__)

    @property
    def is_critical(self) -> bool:
        """Tell which of the two rates counts; a digest never mixes them."""
        return self.severity is Severity.CRITICAL


def back_off_s(attempts: int) -> float:
    """Return the span after the `attempts`-th failure, before jitter."""
    return min(BACK_OFF_S_MAX, 2.0 ** min(attempts - 1, 16))


class Outbox:
    """Pure; every time is real time from outside."""

    def __init__(self, rate_per_minute_max: int | None, waiting_max: int = WAITING_MAX) -> None:
        self.waiting: list[Parcel] = []
        self.unlisted = 0
        """Critical alerts beyond the bound: the next message counts them."""
        self._waiting_max = waiting_max
        self._buckets = {
            is_critical: Bucket(rate_per_minute_max) if rate_per_minute_max else None
            for is_critical in (True, False)
        }

    def put(self, alert: Notification, now: int) -> list[Notification]:
        """Take an alert; returns what had to go for it, the oldest of the mildest."""
        self.waiting.append(Parcel((alert,), 0, now))
        gone: list[Notification] = []
        while sum(len(parcel.alerts) for parcel in self.waiting) > self._waiting_max:
            gone.extend(self._drop())
        return gone

    def take(self, now: int, *, is_last: bool = False) -> Parcel | None:
        """Return what to send now, or None; `is_last` waits for nothing any more."""
        for is_critical, bucket in self._buckets.items():
            group = [
                parcel
                for parcel in self.waiting
                if parcel.is_critical is is_critical and (is_last or parcel.due_at <= now)
            ]
            if not group:
                continue
            if bucket is None:
                return self._merged(group[:1])
            room = bucket.room(now)
            if room > 0:
                bucket.take(now)
            elif not is_last:
                continue
            return self._merged(group[:1] if room >= len(group) else group)
        return None

    def next_due(self) -> int | None:
        """Return when `take` may have something, or None when nothing waits."""
        dues = []
        for parcel in self.waiting:
            bucket = self._buckets[parcel.is_critical]
            dues.append(max(parcel.due_at, bucket.ready_at() if bucket else 0))
        return min(dues, default=None)

    def give_back(self, parcel: Parcel, now: int, jitter: float) -> list[Notification]:
        """Keep what failed for another attempt; returns the alerts that are too old for one."""
        fresh = [a for a in parcel.alerts if now - a.raised_at < TRIED_S_MAX[a.severity] * 1e9]
        if fresh:
            attempts = parcel.attempts + 1
            due_at = now + int(back_off_s(attempts) * jitter * 1e9)
            self.waiting.insert(0, Parcel(tuple(fresh), attempts, due_at))
            self.unlisted += parcel.unlisted
        return [alert for alert in parcel.alerts if alert not in fresh]

    def _merged(self, group: list[Parcel]) -> Parcel:
        taken = {id(parcel) for parcel in group}
        self.waiting = [parcel for parcel in self.waiting if id(parcel) not in taken]
        unlisted, self.unlisted = self.unlisted, 0
        return Parcel(
            tuple(alert for parcel in group for alert in parcel.alerts),
            min(parcel.attempts for parcel in group),
            min(parcel.due_at for parcel in group),
            unlisted,
        )

    def _drop(self) -> tuple[Notification, ...]:
        for severity in (Severity.INFO, Severity.WARNING):
            for parcel in self.waiting:
                if parcel.severity is severity:
                    self.waiting.remove(parcel)
                    return parcel.alerts
        return self._uncounted()

    def _uncounted(self) -> tuple[Notification, ...]:
        """Only critical ones wait: the newest one's words go, that it was there is kept."""
        parcel = self.waiting.pop()
        self.unlisted += len(parcel.alerts)
        return ()
