"""The timers of a live system: market-time alarms on the loop's own clock.

One alarm is armed for the earliest timer; nothing polls. Real time only says when to look again, the
clock port says whether a timer is due, so that a clock that was rebased or stepped fires none too early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tradingd.messages import CancelTimer, Envelope, SetTimer
from tradingd.runtime.bus import Bus
from tradingd.runtime.mailbox import received
from tradingd.runtime.ports import Clock
from tradingd.runtime.timer_heap import NEVER, TimerHeap

WAIT_REAL_S_MAX = 60.0
"""Look again at least this often while a timer is armed: a clock that stepped forward is noticed."""

_WAIT_REAL_S_MIN = 0.001


class Timers:
    """Hears `SetTimer` and `CancelTimer`, says `TimerFired`."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self.heap = TimerHeap()
        self._bus = bus
        self._clock = clock
        self._mailbox = bus.mailbox("timers")
        self._alarm: asyncio.TimerHandle | None = None
        self._armed_for = NEVER

    def restore(self, envelopes: Iterable[Envelope]) -> None:
        """Follow the log of earlier runs: what was set and has not fired is armed again."""
        for envelope in envelopes:
            self.heap.apply(envelope.message)

    async def run(self) -> None:
        """Keep the alarms until canceled."""
        self.rearm()
        try:
            async for envelope in received(self._mailbox):
                if isinstance(envelope.message, SetTimer | CancelTimer):
                    self.heap.apply(envelope.message)
                    if self.heap.due != self._armed_for:
                        self.rearm()
        finally:
            self._disarm()

    def rearm(self) -> None:
        """Arm for the earliest timer anew, as after a change of the clock's speed."""
        self._disarm()
        if self.heap.due == NEVER:
            return
        wait = self._clock.real_seconds(self.heap.due - self._clock.now())
        wait = min(max(wait, _WAIT_REAL_S_MIN), WAIT_REAL_S_MAX)
        self._armed_for = self.heap.due
        self._alarm = asyncio.get_running_loop().call_later(wait, self._fire)

    def _fire(self) -> None:
        now = self._clock.now()
        try:
            while (fired := self.heap.pop(now)) is not None:
                self._bus.publish("timers", fired)
        finally:
            self.rearm()

    def _disarm(self) -> None:
        self._armed_for = NEVER
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
