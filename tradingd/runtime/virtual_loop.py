"""An event loop in virtual time: waiting costs nothing, and any order of ready callbacks must be right.

Works: `asyncio.timeout`, `wait_for`, `TaskGroup`, `Queue`. Not here: threads and sockets; they stand
behind ports. One seed gives one schedule, so that a failing run can be had again.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from typing import NoReturn

from tradingd.runtime.clock import SECOND_NS


class Deadlock(RuntimeError):  # noqa: N818 - it names the state of affairs
    """Everyone waits and no timer is set: something awaits a thread, a socket or each other."""


class _VirtualSelector(selectors._BaseSelectorImpl):  # noqa: SLF001 - the public bases wait
    """Registers like any selector, and moves time where others wait."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` pass at once."""
        if timeout is None:
            raise Deadlock("nothing is scheduled and nothing is ready")
        self.passed_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while anyone works and jumps when all wait; ready callbacks are shuffled."""

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: object) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)
        self._random = random.Random(f"loop:{seed}")
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the seconds that passed since the loop was made."""
        return self._virtual.passed_s

    def run_in_executor(self, *_: object) -> NoReturn:
        """Refuse: a thread would bring real time back."""
        raise RuntimeError("no threads in virtual time: put a port in front")

    def _run_once(self) -> None:
        ready = list(self._ready)
        self._random.shuffle(ready)
        self._ready.clear()
        self._ready.extend(ready)
        super()._run_once()  # type: ignore[misc]


class VirtualClock:
    """Market time and real time of a virtual loop: one time, from `origin_ns` on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin_ns: int) -> None:
        self._loop = loop
        self._origin = origin_ns

    def now(self) -> int:
        """Return ns UTC."""
        return self._origin + self.monotonic()

    def monotonic(self) -> int:
        """Return ns since the loop was made."""
        return int(self._loop.time() * SECOND_NS)

    def real_seconds(self, market_ns: int) -> float:
        """Return the same span in seconds."""
        return market_ns / SECOND_NS
