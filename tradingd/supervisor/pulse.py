"""The pulse: asks every station whether it lives, and tells the supervisor of trouble with the run itself.

Heartbeats are control tokens in the inboxes, answered by the station loops, so that what is measured is
the very way a message takes. All spans here are real time; it wakes once a second and not more often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import structlog

from tradingd.messages import (
    AlertRaised,
    Ask,
    ClockStepped,
    LoopLagged,
    Message,
    OperatorAsked,
    Severity,
    StationFailed,
    StationRecovered,
    StationStalled,
    StrategyOverran,
)
from tradingd.runtime.bus import Bus, InboxFull
from tradingd.runtime.mailbox import Heartbeat
from tradingd.runtime.ports import Clock
from tradingd.runtime.tally import Tally
from tradingd.supervisor.latch import HaltLatch

BEAT_REAL_S = 1.0
STALLED_REAL_S = 5.0
"""A heartbeat unanswered for this long makes a station stalled."""

LAG_REAL_S_MAX = 0.25
"""A wake later than this is told as `LoopLagged`."""

STEP_REAL_S_MAX = 1.0
"""Wall and monotonic clock may drift apart by this between two beats."""

LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

_SECOND_NS, _MS_NS = 1_000_000_000, 1_000_000
_LOG = structlog.get_logger(actor="pulse")


class Pulse:
    """Says `StationFailed`, `StationStalled`, `StationRecovered`, `LoopLagged`, `ClockStepped` and
    `StrategyOverran`; and asks for a halt in the name of whoever left a halt file."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        wall_ns: Callable[[], int] = time.time_ns,
        *,
        latch: HaltLatch | None = None,
        beat_s: float = BEAT_REAL_S,
    ) -> None:
        self.quarantined: set[str] = set()
        """Stations that raised; they stay silent until the process ends."""
        self.stalled: set[str] = set()
        self.lags = Tally(LAG_BOUNDS_S)
        """How late the loop let each beat come."""
        self._bus = bus
        self._clock = clock
        self._wall_ns = wall_ns
        self._asked: dict[str, Heartbeat] = {}
        self._answered_at: dict[str, int] = {}
        self._beat_s = beat_s
        self._beat_at = clock.monotonic()
        self._offset = wall_ns() - self._beat_at
        self._latch = latch
        self._fault = ""
        if latch is not None:
            latch.attach(bus)

    def failed(self, failure: StationFailed) -> None:
        """Tell of a station that raised, or of the journal; called by whoever caught it."""
        self.quarantined.add(failure.station)
        self.stalled.discard(failure.station)
        _LOG.error("actor.failed", actor=failure.station, msg=failure.error, exc=failure.traceback)
        self._say(failure)

    @property
    def answered_at(self) -> Mapping[str, int]:
        """Station -> real time (monotonic, ns) of its latest sign of life."""
        return self._answered_at

    def overran(self, strategy: str, took_ns: int) -> None:
        """Tell of a strategy that held the loop too long."""
        self._say(StrategyOverran(strategy, took_ns // _MS_NS))

    def is_fresh(self, stations: Iterable[str]) -> bool:
        """Tell whether all of `stations`, and the pulse itself, gave a sign of life lately."""
        oldest = self._clock.monotonic() - int(STALLED_REAL_S * _SECOND_NS)
        signs = [self._answered_at.get(station) for station in stations]
        return all(sign is not None and sign >= oldest for sign in (self._beat_at, *signs))

    async def run(self) -> None:
        """Beat until canceled."""
        self._look_at_latch()  # before anything else of this run: a halt of an earlier one holds
        self._ask(self._clock.monotonic())
        while True:
            await asyncio.sleep(self._beat_s)
            self.beat()

    def beat(self) -> None:
        """Look once: lag, clock, answers; then ask again."""
        now = self._clock.monotonic()
        lag = now - self._beat_at - int(self._beat_s * _SECOND_NS)
        self._beat_at = now
        self.lags.add(max(0, lag))
        is_late = lag > LAG_REAL_S_MAX * _SECOND_NS
        if is_late:
            self._say(LoopLagged(lag // _MS_NS))
        self._look_at_latch()
        self._compare_clocks(now)
        self._read_answers(now)
        if not is_late:  # after a late wake the stations had no chance to answer before us
            self._name_the_silent(now)
        self._ask(now)

    def _look_at_latch(self) -> None:
        if self._latch is None:
            return
        note = self._latch.look()
        if note is not None:
            self._say(OperatorAsked(Ask.HALT, "file", note), source="control")
        fault = self._latch.fault
        if fault and fault != self._fault:
            self._say(AlertRaised("pulse", Severity.CRITICAL, "halt_latch", fault))
        self._fault = fault

    def _compare_clocks(self, now: int) -> None:
        step = self._wall_ns() - now - self._offset
        self._offset += step
        if abs(step) > STEP_REAL_S_MAX * _SECOND_NS:
            self._say(ClockStepped(step // _MS_NS))

    def _read_answers(self, now: int) -> None:
        for station, token in list(self._asked.items()):
            if not token.is_answered:
                continue
            del self._asked[station]
            self._answered_at[station] = now
            if station in self.stalled:
                self.stalled.discard(station)
                self._say(StationRecovered(station))

    def _name_the_silent(self, now: int) -> None:
        for station, token in self._asked.items():
            silent = now - token.sent_at
            is_known = station in self.stalled or station in self.quarantined
            if silent >= STALLED_REAL_S * _SECOND_NS and not is_known:
                self.stalled.add(station)
                self._say(StationStalled(station, silent // _MS_NS))

    def _ask(self, now: int) -> None:
        for station, inbox in self._bus.inboxes.items():
            if station not in self._asked:  # one token at most, so that a dead inbox does not fill
                self._asked[station] = Heartbeat(now)
                inbox.put_nowait(self._asked[station])

    def _say(self, message: Message, source: str = "pulse") -> None:
        with suppress(InboxFull):  # the bus remembers it and has called for a halt
            self._bus.publish(source, message)
