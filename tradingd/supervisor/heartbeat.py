"""The pulse: asks every actor whether it lives, and tells the supervisor of trouble with the run itself.

Heartbeats are control tokens in the mailboxes, answered by the actor loops, so that what is measured is
the very way a message takes. All spans here are real time; it wakes once a second and not more often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import structlog

from tradingd.messages import (
    ActorFailed,
    ActorRecovered,
    ActorStalled,
    AlertRaised,
    Ask,
    ClockStepped,
    LoopLagged,
    Message,
    OperatorAsked,
    Severity,
    StrategyOverran,
)
from tradingd.runtime.bus import Bus, MailboxFull
from tradingd.runtime.mailbox import Heartbeat
from tradingd.runtime.ports import Clock
from tradingd.runtime.tally import PlainHistogram
from tradingd.supervisor.latch import HaltLatch

HEARTBEAT_REAL_S = 1.0
STALLED_REAL_S = 5.0
"""A heartbeat unanswered for this long makes an actor stalled."""

LAG_REAL_S_MAX = 0.25
"""A wake later than this is told as `LoopLagged`."""

STEP_REAL_S_MAX = 1.0
"""Wall and monotonic clock may drift apart by this between two beats."""

LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

_SECOND_NS, _MS_NS = 1_000_000_000, 1_000_000
_LOG = structlog.get_logger(actor="pulse")


class HeartbeatMonitor:
    """Says `ActorFailed`, `ActorStalled`, `ActorRecovered`, `LoopLagged`, `ClockStepped` and
    `StrategyOverran`; and asks for a halt in the name of whoever left a halt file."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        wall_ns: Callable[[], int] = time.time_ns,
        *,
        latch: HaltLatch | None = None,
        heartbeat_s: float = HEARTBEAT_REAL_S,
    ) -> None:
        self.quarantined: set[str] = set()
        """Actors that raised; they stay silent until the process ends."""
        self.stalled: set[str] = set()
        self.lags = PlainHistogram(LAG_BOUNDS_S)
        """How late the loop let each beat come."""
        self._bus = bus
        self._clock = clock
        self._wall_ns = wall_ns
        self._asked: dict[str, Heartbeat] = {}
        self._answered_at: dict[str, int] = {}
        self._heartbeat_s = heartbeat_s
        self._checked_at = clock.monotonic()
        self._offset = wall_ns() - self._checked_at
        self._latch = latch
        self._fault = ""
        if latch is not None:
            latch.attach(bus)

    def failed(self, failure: ActorFailed) -> None:
        """Tell of an actor that raised, or of the journal; called by whoever caught it."""
        self.quarantined.add(failure.actor)
        self.stalled.discard(failure.actor)
        _LOG.error("actor.failed", actor=failure.actor, msg=failure.error, exc=failure.traceback)
        self._publish(failure)

    @property
    def answered_at(self) -> Mapping[str, int]:
        """Actor -> real time (monotonic, ns) of its latest sign of life."""
        return self._answered_at

    def overran(self, strategy: str, took_ns: int) -> None:
        """Tell of a strategy that held the loop too long."""
        self._publish(StrategyOverran(strategy, took_ns // _MS_NS))

    def is_fresh(self, actors: Iterable[str]) -> bool:
        """Tell whether all of `actors`, and the heartbeat monitor itself, gave a sign of life lately."""
        oldest = self._clock.monotonic() - int(STALLED_REAL_S * _SECOND_NS)
        signs = [self._answered_at.get(actor) for actor in actors]
        return all(sign is not None and sign >= oldest for sign in (self._checked_at, *signs))

    async def run(self) -> None:
        """Beat until canceled."""
        self._look_at_latch()  # before anything else of this run: a halt of an earlier one holds
        self._ask(self._clock.monotonic())
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self.check()

    def check(self) -> None:
        """Look once: lag, clock, answers; then ask again."""
        now = self._clock.monotonic()
        lag = now - self._checked_at - int(self._heartbeat_s * _SECOND_NS)
        self._checked_at = now
        self.lags.add(max(0, lag))
        is_late = lag > LAG_REAL_S_MAX * _SECOND_NS
        if is_late:
            self._publish(LoopLagged(lag // _MS_NS))
        self._look_at_latch()
        self._compare_clocks(now)
        self._read_answers(now)
        if not is_late:  # after a late wake the actors had no chance to answer before us
            self._name_the_silent(now)
        self._ask(now)

    def _look_at_latch(self) -> None:
        if self._latch is None:
            return
        note = self._latch.look()
        if note is not None:
            self._publish(OperatorAsked(Ask.HALT, "file", note), source="control")
        fault = self._latch.fault
        if fault and fault != self._fault:
            self._publish(AlertRaised("pulse", Severity.CRITICAL, "halt_latch", fault))
        self._fault = fault

    def _compare_clocks(self, now: int) -> None:
        step = self._wall_ns() - now - self._offset
        self._offset += step
        if abs(step) > STEP_REAL_S_MAX * _SECOND_NS:
            self._publish(ClockStepped(step // _MS_NS))

    def _read_answers(self, now: int) -> None:
        for actor, token in list(self._asked.items()):
            if not token.is_answered:
                continue
            del self._asked[actor]
            self._answered_at[actor] = now
            if actor in self.stalled:
                self.stalled.discard(actor)
                self._publish(ActorRecovered(actor))

    def _name_the_silent(self, now: int) -> None:
        for actor, token in self._asked.items():
            silent = now - token.sent_at
            is_known = actor in self.stalled or actor in self.quarantined
            if silent >= STALLED_REAL_S * _SECOND_NS and not is_known:
                self.stalled.add(actor)
                self._publish(ActorStalled(actor, silent // _MS_NS))

    def _ask(self, now: int) -> None:
        for actor, mailbox in self._bus.mailboxes.items():
            if actor not in self._asked:  # one token at most, so that a dead mailbox does not fill
                self._asked[actor] = Heartbeat(now)
                mailbox.put_nowait(self._asked[actor])

    def _publish(self, message: Message, source: str = "pulse") -> None:
        with suppress(MailboxFull):  # the bus remembers it and has called for a halt
            self._bus.publish(source, message)
