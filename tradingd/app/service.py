"""What the service manager is told of a run: ready, status, the watchdog, stopping, and more time where it is earned.

The watchdog is fed from here and nowhere else, and only after a look at every actor: a task that fed it by
itself would certify a system that died around it. All spans are real time; it wakes once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from tradingd.app.progress import FlattenProgress
from tradingd.app.sd_notify import ServiceNotifier
from tradingd.instruments.money import cents
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Ask, LevelChanged, Message, OperatorAsked
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import Clock
from tradingd.state.permissions import Action, Permissions
from tradingd.views.system_view import SystemView

ALWAYS = ("supervisor", "broker")
"""Without these the system can neither decide to stop nor do it: no quarantine excuses them."""

MAY_BE_SILENT = frozenset({"notify"})
"""A mail server that hangs is no reason to kill a system that trades."""

HEARTBEAT_REAL_S = 1.0
START_CEILING_REAL_S = 900.0
"""How long a start may wait for the broker and its books, as long as the system itself lives."""

START_GRACE_REAL_S = 5.0
"""Before that nobody can have answered a heartbeat, and silence is not worth a record."""

EARNED_REAL_S = 30.0
"""What one sign of progress is worth."""

CLOSING_REAL_S = 15.0
"""After the last fill: the checkpoint, the last words of the log, the API."""

_KINDS: frozenset[type[Message]] = frozenset({LevelChanged, OperatorAsked, *FlattenProgress.KINDS})
_WATCH = "service"
_WATCH_MAX = 1024
_LOG = structlog.get_logger()


class Alive(Protocol):
    """What is needed of the heartbeat monitor."""

    @property
    def quarantined(self) -> set[str]:
        """Actors that raised: the supervisor knows and acts on it."""

    def is_fresh(self, actors: Iterable[str]) -> bool:
        """Tell whether all of these gave a sign of life lately."""


class Service:
    """Follows a system and speaks for it."""

    def __init__(
        self,
        notifier: ServiceNotifier,
        bus: Bus,
        clock: Clock,
        *,
        alive: Alive,
        view: SystemView,
        stop_ceiling_s: float,
    ) -> None:
        self._notifier = notifier
        self._bus = bus
        self._clock = clock
        self._alive = alive
        self._view = view
        self._stop_ceiling_ns = int(stop_ceiling_s * SECOND_NS)
        self._progress = FlattenProgress(clock)
        self._news = bus.watch(_WATCH, _KINDS, _WATCH_MAX)
        self._step_s = min(HEARTBEAT_REAL_S, notifier.watchdog_s / 3 or HEARTBEAT_REAL_S)
        # A third of the span, or the beat just before: a beat that comes a hair early must not skip a meal.
        self._feed_ns = int((notifier.watchdog_s / 3 - self._step_s / 2) * SECOND_NS)
        self._began_at = self._fed_at = clock.monotonic()
        self._stopping_at: int | None = None
        self._is_ready = False
        self._is_well = True
        self._permissions = Permissions()
        self._shown = ""

    async def run(self) -> None:
        """Beat until canceled; returns at once where nobody listens."""
        if not self._notifier.has_manager:
            self._bus.unwatch(_WATCH)
            return
        while True:
            self.check()
            await asyncio.sleep(self._step_s)

    def check(self) -> None:
        """Take in what was said, and tell what follows from it."""
        now = self._clock.monotonic()
        while not self._news.empty():
            self._handle(self._news.get_nowait().message, now)
        is_well = self._look(now)
        if self._stopping_at is not None:
            self._ask_for_time_to_stop(now)
        elif not self._is_ready:
            self._start(now, is_well=is_well)
        self._feed(now, is_well=is_well)
        self._show()

    def end(self) -> None:
        """Say the last words of the run."""
        while not self._news.empty():
            self._handle(self._news.get_nowait().message, self._clock.monotonic())
        self._begin_stop(self._clock.monotonic())
        self._show()

    def _handle(self, message: Message, now: int) -> None:
        if isinstance(message, LevelChanged):
            was_flattening = self._permissions.may(Action.FLATTEN)
            self._permissions.apply(message)
            if self._permissions.may(Action.FLATTEN) and not was_flattening:
                self._progress.begin(self._left())
            if {"stop", "stopped"}.intersection(message.causes):
                self._begin_stop(now)
        elif isinstance(message, OperatorAsked):
            if message.ask in (Ask.STOP, Ask.STOP_KEEP) and not message.target:
                self._begin_stop(now)
        else:
            self._progress.handle(message)

    def _begin_stop(self, now: int) -> None:
        if self._stopping_at is None:
            self._stopping_at = now
            self._progress.begin(self._left())
            self._notifier.stopping()

    def _look(self, now: int) -> bool:
        """Tell whether the system deserves to be fed."""
        if self._permissions.may(Action.FLATTEN):
            return self._alive.is_fresh(ALWAYS) and self._progress.is_pursued(now)
        excused = self._alive.quarantined.difference(ALWAYS) | MAY_BE_SILENT
        return self._alive.is_fresh(set(self._bus.mailboxes).union(ALWAYS) - excused)

    def _feed(self, now: int, *, is_well: bool) -> None:
        if not self._notifier.watchdog_s:
            return
        if is_well and now - self._fed_at >= self._feed_ns:
            self._notifier.feed_watchdog()
            self._fed_at = now
        if is_well is self._is_well or (
            not is_well and now - self._began_at < START_GRACE_REAL_S * SECOND_NS
        ):
            return  # nothing new, or too early for anyone to have answered
        self._is_well = is_well
        if is_well:
            _LOG.info("daemon.watchdog_fed", msg="the watchdog is fed again")
            return
        must = set(self._bus.mailboxes) - MAY_BE_SILENT
        silent = [name for name in sorted(must) if not self._alive.is_fresh((name,))]
        what = ", ".join(silent) or "the flatten"
        _LOG.critical(
            "daemon.watchdog_starved", msg=f"the watchdog is not fed: {what} stands still"
        )

    def _start(self, now: int, *, is_well: bool) -> None:
        if is_up(self._permissions.causes):
            self._is_ready = True
            self._notifier.ready()
        elif is_well and now - self._began_at < START_CEILING_REAL_S * SECOND_NS:
            self._notifier.extend(EARNED_REAL_S)

    def _ask_for_time_to_stop(self, now: int) -> None:
        assert self._stopping_at is not None
        left_s = (self._stopping_at + self._stop_ceiling_ns - now) / SECOND_NS
        if self._progress.was_made(self._left()) and left_s > 0:
            self._notifier.extend(min(EARNED_REAL_S, left_s) + CLOSING_REAL_S)

    def _left(self) -> int:
        return len(self._view.held()) + len(self._view.open_orders())

    def _show(self) -> None:
        text = status_of(self._view, is_stopping=self._stopping_at is not None)
        if text != self._shown:
            self._shown = text
            self._notifier.status(text)


def is_up(causes: Sequence[str]) -> bool:
    """Tell whether the start is over: the books were compared, or only a person can end the wait."""
    return "starting" not in causes or bool({"mismatch", "broker_refused"}.intersection(causes))


def status_of(view: SystemView, *, is_stopping: bool = False) -> str:
    """Return the one line that `systemctl status` shows."""
    causes = f" ({', '.join(view.permissions.causes)})" if view.permissions.causes else ""
    equity = "equity unknown"
    if view.equity is not None:
        equity = (
            f"equity {cents(view.equity.equity_usd):,} USD, day {cents(view.equity.day_pnl_usd):+,}"
        )
    feeds = [f"{name} {'up' if is_up else 'down'}" for name, is_up in sorted(view.feeds.items())]
    values = (
        f"{'stopping, ' if is_stopping else ''}{view.permissions.level.value}{causes}",
        equity,
        f"positions {len(view.held())}, orders {len(view.open_orders())}",
        f"feed {', '.join(feeds) or 'down'}",
        f"broker {'up' if view.is_broker_connected else 'down'}",
    )
    return " | ".join(values)
