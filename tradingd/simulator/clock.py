"""The simulator's clock: N times as fast as real time, and never further than the simulator can follow.

When this machine or a client lags, market time waits. A market that ran on alone would arrive late and in
heaps, and a strategy would look stupid for a reason that does not exist in life.
"""

from __future__ import annotations

import time
from math import inf

from tradingd.instruments.units import SECOND_NS


class SimulatorClock:
    """Market time that may not pass a limit; what it lost while waiting at the limit stays lost."""

    def __init__(self, origin_ns: int, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"a clock cannot run at speed {speed}")
        self.speed = speed
        self.origin_ns = origin_ns
        """Market time at `monotonic_origin_ns`; both move when time was lost."""
        self.monotonic_origin_ns = time.monotonic_ns()
        self._limit: float = inf

    def now(self) -> int:
        """Return market ns UTC."""
        return int(min(self._running(), self._limit))

    def monotonic(self) -> int:
        """Return real ns."""
        return time.monotonic_ns()

    def real_seconds(self, market_ns: int) -> float:
        """Return how long `market_ns` take at this speed."""
        return market_ns / SECOND_NS / self.speed

    def allow(self, limit_ns: int | None) -> None:
        """Let time run up to `limit_ns` (None = freely), from where it stands now."""
        limit = inf if limit_ns is None else limit_ns
        assert limit >= self.now(), "time already told is not taken back"
        if self._running() > self._limit:
            self.origin_ns = int(self._limit)
            self.monotonic_origin_ns = time.monotonic_ns()
        self._limit = limit

    def _running(self) -> int:
        passed = time.monotonic_ns() - self.monotonic_origin_ns
        return self.origin_ns + int(passed * self.speed)
