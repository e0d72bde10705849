"""Keeps the world in step with a clock, waking when something is due and not before.

While events are dense it wakes once a tick and sends what has gathered; when a client cannot keep up, or
this machine cannot, market time waits (see `simulator/clock.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tradingd.instruments.units import SECOND_NS
from tradingd.runtime.ports import Clock
from tradingd.simulator.clock import SimulatorClock
from tradingd.simulator.wire.alpaca import LocalAlpaca

TICK_S = 0.005
"""Real time between two wakes while events are dense."""
_AHEAD_S = 0.25
"""How much real time the clock may run on past a wake that is late; more is lost."""


class Pacer:
    """One task per local Alpaca."""

    def __init__(
        self, alpaca: LocalAlpaca, clock: Clock, is_lagging: Callable[[], bool] = bool
    ) -> None:
        self._alpaca = alpaca
        self._clock = clock
        self._elastic = clock if isinstance(clock, SimulatorClock) else None
        self._is_lagging = is_lagging
        self._poked = asyncio.Event()
        self._woke_at = 0.0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def poke(self) -> None:
        """Say that a request may have made something due."""
        self._poked.set()

    async def reached(self, market_ns: int) -> None:
        """Wait until the world has come to an instant."""
        if self._alpaca.at < market_ns:
            come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((market_ns, come))
            await come

    async def run(self) -> None:
        """Go on until canceled."""
        loop = asyncio.get_running_loop()
        while True:
            self._poked.clear()
            self._woke_at = loop.time()
            if self._elastic is not None and self._is_lagging():
                await asyncio.sleep(TICK_S)  # the limit stays where it is, so time stands there
                continue
            self._alpaca.step(self._clock.now())
            self._wake()
            due = self._alpaca.next_due()
            self._allow(due)
            await self._wait(due)

    def _wake(self) -> None:
        for waiting in tuple(self._waiting):
            at, come = waiting
            if at <= self._alpaca.at:
                self._waiting.remove(waiting)
                if not come.done():
                    come.set_result(None)

    def _allow(self, due: int | None) -> None:
        if self._elastic is None:
            return
        if due is None:
            self._elastic.allow(None)
            return
        ahead = int(_AHEAD_S * SECOND_NS * self._elastic.speed)
        self._elastic.allow(max(due, self._elastic.now()) + ahead)

    async def _wait(self, due: int | None) -> None:
        if due is None:
            await self._poked.wait()
            return
        loop = asyncio.get_running_loop()
        until_due = self._clock.real_seconds(due - self._clock.now())
        rest_of_tick = self._woke_at + TICK_S - loop.time()
        alarm = loop.call_later(max(until_due, rest_of_tick), self._poked.set)
        try:
            await self._poked.wait()
        finally:
            alarm.cancel()
