"""The notify actor: hears the system through a watch, derives what is missing, sends by the routes.

What it derives it says on the bus, so that log, API and metrics have it too, and hears it back like any
other alert: one way out for all. It decides nothing in the system and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from tradingd import messages as m
from tradingd.instruments.calendar import next_midnight, ns_of, trading_day
from tradingd.messages import (
    ActorFailed,
    AlertRaised,
    Envelope,
    Market,
    Message,
    Severity,
)
from tradingd.notify.alert import Notification
from tradingd.notify.channel import Channel
from tradingd.notify.day import TOLD, DayBook
from tradingd.notify.limits import Repeats
from tradingd.notify.ping import DeadMan
from tradingd.notify.rules import PUBLISHER, SERIOUS, Rules
from tradingd.notify.settings import NotifySettings
from tradingd.observability.redact import Redactor
from tradingd.runtime.actor import run_edge
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Clock
from tradingd.state.permissions import Permissions

WATCH = "notify"
WATCH_MAX = 4096
BATCH_MAX = 256
LOOK_REAL_S = 60.0
"""The disk is looked at, and the hour of the summary, this often."""

FLUSH_REAL_S_MAX = 2.0
TEXT_CHARS_MAX = 1000
DIRECT = frozenset({"fill", "run_stopped", "stopped_not_flat", "alert_not_sent", "alerts_missed"})
"""Kinds that are not said on the bus: the log has the fact itself, or the run is over."""

Work = Callable[[], Coroutine[Any, Any, None]]


class Notifier:
    """From `start`, before the run is said to start, to `close`, after it has stopped."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        settings: NotifySettings,
        channels: Mapping[str, Channel],
        *,
        run_id: str,
        mode: str,
        free_bytes: Callable[[], int],
        on_repeated: Callable[[Severity], None],
        on_failure: Callable[[ActorFailed], None],
        ping: DeadMan | None = None,
    ) -> None:
        self.day = DayBook()
        self.rules = Rules(settings, self.day)
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._channels = channels
        self._run_id = run_id
        self._mode = mode
        self._free_bytes = free_bytes
        self._on_repeated = on_repeated
        self._on_failure = on_failure
        self._ping = ping
        self._redactor = Redactor(settings.secrets)
        self._repeats = Repeats(settings.repeat_after_s)
        self._alerts = 0
        self._missed = 0
        self._permissions = Permissions()
        self._is_over = False
        self._summary_at = self._next_summary()
        self._tasks: list[asyncio.Task[None]] = []
        self._senders: list[asyncio.Task[None]] = []
        own: set[type[Message]] = {AlertRaised, m.SessionChanged}
        kinds = own | self.rules.kinds | TOLD
        self._queue = bus.watch(WATCH, kinds, WATCH_MAX)

    def restore(self, envelopes: Sequence[Envelope]) -> None:
        """Take day and positions from an earlier log; nothing of it is told again."""
        for envelope in envelopes:
            self.day.apply(envelope.message)

    def start(self) -> None:
        """Start every task."""
        for channel in self._channels.values():
            self._senders.append(self._spawn(channel.run, f"notify {channel.name}"))
        self._tasks.append(self._spawn(self._handle_all, "notify"))
        self._tasks.append(self._spawn(self._look_regularly, "notify look"))
        if self._ping is not None:
            self._tasks.append(self._spawn(self._ping.run, "notify ping"))

    async def close(self) -> None:
        """Send what is left within `FLUSH_REAL_S_MAX`, then end every task."""
        await _ended(self._tasks)
        while not self._queue.empty():
            self._handle(self._queue.get_nowait())
        self._bus.unwatch(WATCH)
        for channel in self._channels.values():
            channel.close()
        if self._senders:
            await asyncio.wait(self._senders, timeout=FLUSH_REAL_S_MAX)
        await _ended(self._senders)

    def given_up(self, channel: str, alert: Notification, reason: str) -> None:
        """Tell the other channels that one of them lost an alert."""
        if alert.kind == "alert_not_sent":
            return  # no channel is left to whom it would be news
        text = f"channel {channel} could not send {alert.kind}: {reason}"
        emitted = AlertRaised(PUBLISHER, Severity.WARNING, "alert_not_sent", text)
        self._report(emitted, self._clock.now(), but_not=channel)

    def _spawn(self, work: Work, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._guarded(work), name=name)

    async def _guarded(self, work: Work) -> None:
        # Called here and not before: a task canceled before its first step would never await it.
        await run_edge(PUBLISHER, work(), self._bus, self._on_failure)

    async def _handle_all(self) -> None:
        while True:
            self._handle(await self._queue.get())
            for _ in range(BATCH_MAX):
                if self._queue.empty():
                    break
                self._handle(self._queue.get_nowait())
            await asyncio.sleep(0)

    def _handle(self, envelope: Envelope) -> None:
        message, at = envelope.message, envelope.at
        self.day.apply(message)
        if isinstance(message, AlertRaised):
            self._report(message, at)
        elif isinstance(message, m.LevelChanged) and message.level not in SERIOUS:
            self._repeats.forget("level")  # the next halt is news, however soon it comes
        elif isinstance(message, m.SessionChanged):
            self._follow_session(message)
        elif isinstance(message, m.RunStopped):
            self._is_over = True
        for alert in self.rules.handle(message, at):
            self._publish(alert)

    def _publish(self, alert: AlertRaised) -> None:
        if alert.kind in DIRECT or self._is_over:
            self._report(alert, self._clock.now())
        else:
            self._bus.publish(PUBLISHER, alert)

    def _report(self, message: AlertRaised, at: int, but_not: str = "") -> None:
        now = self._clock.monotonic()
        kind, text = (
            self._redactor.text(message.kind),
            self._redactor.text(message.text, TEXT_CHARS_MAX),
        )
        kept = self._repeats.admit(kind, text, now)
        if kept is None:
            self._on_repeated(message.severity)
            return
        self._alerts += 1
        alert = Notification(
            alert_id=f"{self._run_id}-{self._alerts}",
            severity=message.severity,
            kind=kind,
            publisher=message.publisher,
            text=f"{text} (again, {kept} more in between)" if kept else text,
            at=at,
            raised_at=now,
            mode=self._mode,
            run_id=self._run_id,
        )
        for name in self._names_for(alert):
            if name != but_not:
                self._channels[name].post(alert)

    def _names_for(self, alert: Notification) -> dict[str, None]:
        """Return the names of an alert's channels, each once, in the order of the routes."""
        routes = (r for r in self._settings.routes if r.takes(alert.severity, alert.kind))
        return dict.fromkeys(name for route in routes for name in route.channels)

    async def _look_regularly(self) -> None:
        while True:
            self._look()
            wait_s = LOOK_REAL_S
            if self._summary_at is not None:
                left = self._clock.real_seconds(self._summary_at - self._clock.now())
                wait_s = min(max(left, 0.001), LOOK_REAL_S)
            await asyncio.sleep(wait_s)

    def _look(self) -> None:
        for alert in self.rules.look_at_disk(self._free_bytes()):
            self._publish(alert)
        if self._summary_at is not None and self._clock.now() >= self._summary_at:
            self._summary_at = self._next_summary()
            self._summarize()
        missed, self._missed = self._missed, self._bus.dropped.get(WATCH, 0)
        if self._missed > missed:
            text = f"{self._missed - missed} messages came faster than they were read"
            self._publish(AlertRaised(PUBLISHER, Severity.CRITICAL, "alerts_missed", text))

    def _next_summary(self) -> int | None:
        """Return the market time of the next summary, None where no hour is set."""
        if ":" not in self._settings.summary_at:
            return None
        now = self._clock.now()
        at = ns_of(trading_day(now), self._settings.summary_at)
        if at > now:
            return at
        return ns_of(trading_day(next_midnight(now)), self._settings.summary_at)

    def _follow_session(self, message: m.SessionChanged) -> None:
        was_open = self._permissions.is_open(Market.US_EQUITY)
        self._permissions.apply(message)
        is_over = was_open and not self._permissions.is_open(Market.US_EQUITY)
        if is_over and self._settings.summary_at == "close":
            self._summarize()

    def _summarize(self) -> None:
        self._publish(AlertRaised(PUBLISHER, Severity.INFO, "daily_summary", self.day.text()))


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
