"""A channel: one sink, what waits for it, and the task that tries until it is there or too old.

Each has its own task, so a sink that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import structlog

from tradingd.messages import Severity
from tradingd.notify.alert import Notification
from tradingd.notify.outbox import Outbox, Parcel
from tradingd.notify.sinks import Sink
from tradingd.runtime.ports import Clock

Count = Callable[[Severity, str, str], None]
"""Counts one alert by severity, channel and result: sent, retried, failed, dropped, repeated."""

WAIT_REAL_S_MIN = 0.001
_LOG = structlog.get_logger()


class Channel:
    """From `post` to the sink. Alerts go out in order of severity, then age."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        clock: Clock,
        rng: random.Random,
        *,
        rate_per_minute_max: int | None,
        deadline_s: float,
        count: Count,
        on_given_up: Callable[[str, Notification, str], None],
    ) -> None:
        self.name = name
        self.outbox = Outbox(rate_per_minute_max)
        self._sink = sink
        self._clock = clock
        self._rng = rng
        self._deadline_s = deadline_s
        self._count = count
        self._on_given_up = on_given_up
        self._news = asyncio.Event()
        self._is_closing = False
        self._is_failing = False

    def post(self, alert: Notification) -> None:
        """Take an alert, at once and without failing."""
        for gone in self.outbox.put(alert, self._clock.monotonic()):
            self._count(gone.severity, self.name, "dropped")
        self._news.set()

    def close(self) -> None:
        """Send what waits, each once more, and then end."""
        self._is_closing = True
        self._news.set()

    async def run(self) -> None:
        """Send for ever, or until closed and empty."""
        while True:
            parcel = self.outbox.take(self._clock.monotonic(), is_last=self._is_closing)
            if parcel is not None:
                await self._deliver(parcel)
            elif self._is_closing:
                return
            else:
                await self._wait()

    async def _wait(self) -> None:
        due_at = self.outbox.next_due()
        wait_s = None
        if due_at is not None:
            wait_s = max((due_at - self._clock.monotonic()) / 1e9, WAIT_REAL_S_MIN)
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._sink.send(parcel.alert)
        except Exception as error:  # noqa: BLE001 - quarantine: whatever a sink raises, its channel goes on
            self._failed(parcel, str(error) or type(error).__name__)
            return
        for alert in parcel.alerts:
            self._count(alert.severity, self.name, "sent")
        if self._is_failing:
            self._is_failing = False
            _LOG.info("alert.channel_back", actor="notify", channel=self.name)

    def _failed(self, parcel: Parcel, reason: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            _LOG.error("alert.channel_failed", actor="notify", channel=self.name, reason=reason)
        given_up: list[Notification] = list(parcel.alerts)
        if not self._is_closing:
            now, jitter = self._clock.monotonic(), self._rng.uniform(0.5, 1.0)
            given_up = self.outbox.give_back(parcel, now, jitter)
        for alert in parcel.alerts:
            result = "failed" if alert in given_up else "retried"
            self._count(alert.severity, self.name, result)
        for alert in given_up:
            self._on_given_up(self.name, alert, reason)
