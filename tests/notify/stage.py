"""A stage for alerts: a real bus and the notify actor in virtual time, over sinks that misbehave."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from tradingd.messages import ActorFailed, AlertRaised, Envelope, Severity
from tradingd.notify.alert import Notification
from tradingd.notify.channel import Channel
from tradingd.notify.notifier import Notifier
from tradingd.notify.settings import NotifySettings
from tradingd.notify.sinks import Sink, SinkFailed
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Clock
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.wiring import WIRING

START = 1_709_649_000_000_000_000
"""2024-03-05 09:30 New York."""

GIB = 1024**3


def alert(
    n: int = 0, severity: Severity = Severity.WARNING, kind: str = "test", raised_at: int = 0
) -> Notification:
    return Notification(
        alert_id=f"run-{n}", severity=severity, kind=kind, publisher="risk", text=f"text {n}",
        at=START, raised_at=raised_at, mode="mock", run_id="run",
    )  # fmt: skip


def raised(
    text: str = "text", severity: Severity = Severity.WARNING, kind: str = "test"
) -> AlertRaised:
    return AlertRaised("supervisor", severity, kind, text)


@dataclass
class Kept:
    """Delivers at once and keeps what it got, with the time."""

    clock: Clock
    got: list[tuple[float, Notification]] = field(default_factory=list)

    async def send(self, alert: Notification) -> None:
        self.got.append((self.clock.monotonic() / 1e9, alert))

    @property
    def kinds(self) -> list[str]:
        return [alert.kind for _, alert in self.got]

    @property
    def texts(self) -> list[str]:
        return [alert.text for _, alert in self.got]


class Hanging:
    """Never answers."""

    def __init__(self) -> None:
        self.tries = 0

    async def send(self, alert: Notification) -> None:
        self.tries += 1
        await asyncio.Event().wait()


@dataclass
class Failing(Kept):
    """Fails so many times, then delivers."""

    failures: int = 10**9
    tried_at: list[float] = field(default_factory=list)

    async def send(self, alert: Notification) -> None:
        self.tried_at.append(self.clock.monotonic() / 1e9)
        if len(self.tried_at) <= self.failures:
            raise SinkFailed("the service is away")
        await super().send(alert)


class NoLog:
    def append(self, envelope: Envelope) -> None:
        """Forget it."""


class Stage:
    """One bus, one notify actor, channels by name; `published` is what the bus heard."""

    def __init__(
        self, sinks: Mapping[str, Callable[[Clock], Sink]], settings: NotifySettings
    ) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop(), START)
        self.bus = Bus(self.clock, NoLog(), WIRING)
        self.published = self.bus.watch("test", {AlertRaised}, 10_000)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.free_bytes = 100 * GIB
        self.failed: list[ActorFailed] = []
        self.sinks = {name: make(self.clock) for name, make in sinks.items()}
        self.notify = Notifier(
            self.bus, self.clock, settings,
            {name: self._channel(name, sink, settings) for name, sink in self.sinks.items()},
            run_id="run", mode="mock", free_bytes=lambda: self.free_bytes,
            on_repeated=lambda severity: self._count(severity, "", "repeated"),
            on_failure=self.failed.append,
        )  # fmt: skip

    def _channel(self, name: str, sink: Sink, settings: NotifySettings) -> Channel:
        return Channel(
            name, sink, self.clock, random.Random(1),
            rate_per_minute_max=settings.rate_per_minute_max if name != "file" else None,
            deadline_s=settings.send_deadline_s, count=self._count,
            on_given_up=self._given_up,
        )  # fmt: skip

    def _given_up(self, channel: str, lost: Notification, reason: str) -> None:
        self.notify.given_up(channel, lost, reason)

    def _count(self, severity: Severity, channel: str, result: str) -> None:
        self.counts[channel, result] += 1

    def kinds_published(self) -> list[str]:
        kinds = []
        while not self.published.empty():
            message = self.published.get_nowait().message
            assert isinstance(message, AlertRaised)
            kinds.append(message.kind)
        return kinds


def in_virtual_time(work: Coroutine[Any, Any, None], seed: int = 1) -> None:
    loop = VirtualLoop(seed)
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()
